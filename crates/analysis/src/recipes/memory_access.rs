//! Faulting instructions: 0xA, 0xD1, 0x50, 0x1E, 0x3B, 0x7E, 0x8E, 0xBE, 0xFC, special pool, 0x7F, 0x139, 0xF7.

use crate::address::Class;
use crate::case::{Case, Seen, described, forwards, is_windows, known, subject};
use crate::fault::{Consistency, Copies, IN_PAGE_ERROR, Oddity, Touch};
use crate::suspects::Subject;

/// A fault of an instruction.
pub(super) fn run(case: &mut Case<'_>) {
    let Some(fault) = case.fault.clone() else { return stack_only(case) };
    let at = fault.ip.map_or_else(|| "parameters".to_owned(), |ip| case.kernel.modules.describe(ip).unwrap_or_else(|| format!("{ip:#x}")));

    if fault.exception == Some(IN_PAGE_ERROR) {
        super::storage::in_page_error(case, fault.io_status);
    }
    if let Some(driver) = [fault.ip, fault.address].into_iter().flatten().find_map(|address| case.kernel.modules.find_unloaded(address)) {
        let text =
            format!("{} had been unloaded, but something still called into it or used it: it left work behind when it went", driver.image);
        case.suspects.accuse(Subject::driver(driver.image.clone()), "unloaded-driver", 0.8, text, at.clone());
    }
    match case.fault_module() {
        Some(module) if !forwards(module) => {
            let weight = if is_windows(module) { 0.3 } else { 0.55 };
            case.accuse_module(
                module,
                "faulting-module",
                weight,
                format!("the instruction that failed is in {}", described(module)),
                at.clone(),
            );
            if is_windows(module) {
                blame_stack(case, 0.3);
            } else {
                blame_stack(case, 0.1);
            }
        }
        Some(module) => {
            let text = format!("the instruction that failed is in {}, which works on what others hand it", described(module));
            case.accuse_module(module, "faulting-module", 0.12, text, at.clone());
            blame_stack(case, 0.45);
        }
        None if fault.oddities.contains(&Oddity::WildJump) && !case.suspects.is_empty() => blame_stack(case, 0.2),
        None if fault.oddities.contains(&Oddity::WildJump) => {
            // Whoever jumped pushed its return address first.
            blame_stack(case, 0.45);
            let on_its_stack = fault.class == Some(Class::Stack);
            let text = "the processor ran off to an address that holds no code";
            case.suspects.accuse(Subject::hardware("cpu"), "wild-jump", if on_its_stack { 0.2 } else { 0.12 }, text, at.clone());
            case.suspects.accuse(Subject::hardware("memory"), "wild-jump", 0.12, text, at.clone());
        }
        None => blame_stack(case, 0.35),
    }
    firmware_evidence(case, &at);
    pointer_evidence(case, &at);
    code_evidence(case, &at);
    oddity_evidence(case, &at);
    consistency_evidence(case, &at);
    if case.suspects.is_empty() {
        nothing_found(case);
    }
}

/// Without a faulting instruction, only the stack speaks.
pub(super) fn stack_only(case: &mut Case<'_>) {
    blame_stack(case, 0.3);
}

/// Accuses the first module of the stack that does not merely forward; `weight` is for a return address behind a seen call.
pub(super) fn blame_stack(case: &mut Case<'_>, weight: f64) {
    let seen = case.modules_on_stack();
    let skip = usize::from(case.start.at_fault);
    let candidates: Vec<Seen<'_>> = seen.into_iter().filter(|seen| seen.frame >= skip && !forwards(seen.module)).collect();
    // Windows' own components call each other everywhere: the first third-party driver is the better bet, near the top above all.
    let third_party = candidates.iter().find(|seen| !is_windows(seen.module));
    let first = candidates.first().filter(|first| is_windows(first.module));
    if let Some(seen) = third_party {
        let near = if seen.frame <= 12 { 1.0 } else { 0.6 };
        let trust = if seen.sure { 1.0 } else { 0.6 };
        let unknown = if known(seen.module).is_none() { 0.9 } else { 1.0 };
        let text =
            format!("{} is the first driver on the stack that is not part of Windows (frame {})", described(seen.module), seen.frame);
        case.accuse_module(seen.module, "first-third-party-on-stack", weight * near * trust * unknown, text, frame(seen.frame));
        let second = candidates.iter().find(|other| !is_windows(other.module) && !std::ptr::eq(other.module, seen.module));
        if let Some(other) = second.filter(|other| other.sure) {
            let text = format!("{} is on the stack too (frame {})", described(other.module), other.frame);
            case.accuse_module(other.module, "on-stack", 0.08, text, frame(other.frame));
        }
    }
    if let Some(seen) = first {
        let text =
            format!("{} is the first module on the stack that does more than forward (frame {})", described(seen.module), seen.frame);
        case.accuse_module(seen.module, "first-on-stack", 0.12, text, frame(seen.frame));
    }
}

fn frame(index: usize) -> String {
    format!("stack frame {index}")
}

/// Windows' own processor and platform drivers touch registers that the firmware describes to them.
fn firmware_evidence(case: &mut Case<'_>, at: &str) {
    use bugcheck_knowledge::Role;
    let Some(module) = case.fault_module() else { return };
    let touches_firmware = known(module).is_some_and(|known| known.is_microsoft() && matches!(known.role, Role::Power | Role::Platform));
    if touches_firmware && !forwards(module) {
        let text = format!("{} works on registers and tables that the firmware describes: a wrong description makes it fail", module.image);
        case.suspects.accuse(Subject::hardware("board-firmware"), "firmware-description", 0.25, text, at);
    }
}

/// The code that ran, held against the image it came from: one wrong bit is a fault of memory. Other differences say nothing:
/// Windows itself patches calls when it loads an image.
fn code_evidence(case: &mut Case<'_>, at: &str) {
    let Some(ip) = case.fault.as_ref().and_then(|fault| fault.ip) else { return };
    // The instruction itself and what led to it, within its page.
    let around = ip.saturating_sub(64).max(ip & !0xfff)..ip.saturating_add(16).min(ip | 0xfff);
    let Some(differences) = case.session.and_then(|session| session.code_differences(around)) else { return };
    if let [(address, file, memory)] = *differences.as_slice()
        && (file ^ memory).is_power_of_two()
    {
        let bit = (file ^ memory).trailing_zeros();
        let text = format!("the code at {address:#x} is {memory:#04x} in memory and {file:#04x} in the image: bit {bit} of it flipped");
        case.suspects.accuse(Subject::hardware("memory"), "code-bit", 0.9, text.clone(), at);
        case.suspects.excuse_software("code-bit", 0.85, "the code that ran is not the code that was written", at);
        case.verdict = Some(("hardware", format!("Hardware: {text}. Test the memory.")));
    }
}

/// What the bad address says of who made it.
fn pointer_evidence(case: &mut Case<'_>, at: &str) {
    let Some(fault) = &case.fault else { return };
    let Some(class) = fault.class.clone() else { return };
    let Some(module) = case.fault_module().filter(|module| !forwards(module)) else { return };
    match class {
        Class::Null | Class::NullOffset(_) | Class::BelowNull(_) => {
            let text = format!("it used {}", class.words());
            case.accuse_module(module, "null-pointer", 0.2, text, at);
        }
        Class::Pattern(_) | Class::Text(_) => {
            let text =
                format!("the pointer is {}: memory was used after it was freed, before it was set, or was overwritten", class.words());
            case.accuse_module(module, "garbage-pointer", 0.1, text, at);
        }
        Class::User if fault.touch == Some(Touch::Execute) => {
            case.accuse_module(module, "user-code", 0.1, "kernel code was made to run at a user-space address", at);
        }
        _ => {}
    }
}

fn oddity_evidence(case: &mut Case<'_>, at: &str) {
    let Some(fault) = case.fault.clone() else { return };
    for oddity in fault.oddities {
        match oddity {
            Oddity::MissingFeature(feature) => {
                let Some(module) = case.fault_module() else { continue };
                let cpu = super::hardware::cpu_name(case).unwrap_or_else(|| "this processor".into());
                let text = format!(
                    "{} executes {feature}, an instruction that the {cpu} does not have: this version of the driver does not support this processor",
                    module.image
                );
                case.accuse_module(module, "missing-instruction", 0.9, text.clone(), at);
                case.verdict = Some(("fault", format!("{text}. Install the last version that supports it, or a newer processor.")));
            }
            Oddity::Padding => {
                let text = "the processor was executing the padding between two functions: its instruction pointer went wrong, or a jump target was damaged";
                case.suspects.accuse(Subject::hardware("cpu"), "executing-padding", 0.55, text, at);
                case.suspects.accuse(Subject::hardware("memory"), "executing-padding", 0.3, text, at);
                case.suspects.excuse_software(
                    "executing-padding",
                    0.6,
                    "no function contains that address: no programmer wrote a jump to it",
                    at,
                );
            }
            Oddity::OneBit { what, value, bit, place, copies } => {
                let (memory, cpu, where_from) = match copies {
                    Copies::Wrong => (0.7, 0.05, "; memory holds the wrong value: a bit flipped there"),
                    Copies::Right => (0.35, 0.5, "; memory holds the right value: the bit flipped on the way to the register, or in it"),
                    Copies::None => (0.6, 0.1, ": a flipped bit in memory"),
                };
                let text = format!("{what} = {value:#x} is one bit (bit {bit}) away from {place}{where_from}");
                case.suspects.accuse(Subject::hardware("memory"), "one-bit-pointer", memory, text.clone(), at);
                case.suspects.accuse(Subject::hardware("cpu"), "one-bit-pointer", cpu, text, at);
                case.suspects.excuse_software(
                    "one-bit-pointer",
                    0.45,
                    "a single wrong bit is a mistake that hardware makes, not programmers",
                    at,
                );
            }
            Oddity::InsideAnother => {
                let text = "the instruction pointer is in the middle of another instruction: no program jumps there; a return address or the instruction pointer itself was damaged";
                case.suspects.accuse(Subject::hardware("cpu"), "inside-instruction", 0.45, text, at);
                case.suspects.accuse(Subject::hardware("memory"), "inside-instruction", 0.3, text, at);
                case.suspects.excuse_software("inside-instruction", 0.5, "the code at fault never meant to run there", at);
            }
            Oddity::LoneBit { what, value } => {
                let text = format!("{what} = {value:#x} has exactly one bit set: it may be NULL with one flipped bit");
                case.suspects.accuse(Subject::hardware("memory"), "lone-bit", 0.15, text, at);
            }
            Oddity::NoInstruction => {
                let text = "the bytes at the instruction pointer are no instruction: code in memory was damaged, or a jump went wrong";
                case.suspects.accuse(Subject::hardware("memory"), "code-damaged", 0.35, text, at);
            }
            Oddity::Assertion => {
                if let Some(module) = case.fault_module() {
                    let text = format!(
                        "{} stopped itself: the instruction is a breakpoint or an assertion that its programmers left in",
                        module.image
                    );
                    let weight = if forwards(module) { 0.1 } else { 0.3 };
                    case.accuse_module(module, "assertion", weight, text, at);
                }
            }
            // An unloaded driver's range says who it was.
            Oddity::WildJump if matches!(fault.class, Some(Class::Unloaded(_))) => {}
            Oddity::WildJump => {
                let text = fault.class.as_ref().map_or_else(
                    || "the processor was sent to an address that holds no code".to_owned(),
                    |class| format!("the processor was sent to an address that holds no code: {}", class.words()),
                );
                case.missing.push(crate::model::Missing {
                    what: "who made the jump".into(),
                    why: text,
                    how: "the value at the stack pointer is the caller's return address, if the jump was a call: see the first frames of the stack".into(),
                });
            }
        }
    }
}

fn consistency_evidence(case: &mut Case<'_>, at: &str) {
    let Some(fault) = &case.fault else { return };
    let Consistency::Inconsistent { why, .. } = fault.consistency.clone() else { return };
    case.suspects.accuse(Subject::hardware("cpu"), "impossible-fault", 0.85, format!("{why}. No software can cause this"), at);
    case.suspects.accuse(
        Subject::hardware("memory"),
        "impossible-fault",
        0.2,
        "what the processor did differs from what the program says",
        at,
    );
    case.suspects.excuse_software(
        "impossible-fault",
        0.92,
        "the fault that was reported cannot come from the instruction that it was reported for",
        at,
    );
    let module = case.fault_module().map_or_else(|| "the code".to_owned(), |module| module.image.clone());
    case.verdict = Some((
        "hardware",
        format!(
            "Hardware: the processor reported a fault that the instruction in {module} cannot cause. {why}. Suspect the CPU (overclocking, voltage, heat, a defective core), then board and memory, before any driver."
        ),
    ));
}

fn nothing_found(case: &mut Case<'_>) {
    case.missing.push(crate::model::Missing {
        what: "a suspect".into(),
        why: "neither the faulting address nor the stack leads to a driver".into(),
        how: "keep the next minidumps too, or set Windows to write a kernel dump: with several crashes, what they share names the cause"
            .into(),
    });
}

/// 0x139 and 0xF7: a check that Windows or the compiler built in.
pub(super) fn security_check(case: &mut Case<'_>) {
    if case.code == 0xf7 {
        return stack_cookie(case);
    }
    let at = "P1".to_owned();
    let corruption = matches!(case.parameter(1), 3 | 8 | 0x16 | 0x1d | 0x24);
    if let Some(module) = case.fault_module() {
        let weight = match (forwards(module), is_windows(module)) {
            (true, _) => 0.1,
            (false, true) => 0.2,
            (false, false) => 0.5,
        };
        let text = format!("{} noticed the damage", described(module));
        case.accuse_module(module, "detected-in", weight, text, at.clone());
    }
    blame_stack(case, 0.4);
    if corruption {
        case.suspects.accuse(
            Subject::hardware("memory"),
            "structure-corrupt",
            0.15,
            "a list or tree in memory was damaged: an overrun by some driver is usual, bad memory does the same",
            at,
        );
    }
}

/// The cookie that guards a function's return address did not match.
fn stack_cookie(case: &mut Case<'_>) {
    let (actual, expected) = (case.parameter(1), case.parameter(2));
    let difference = actual ^ expected;
    if difference.count_ones() == 1 {
        let text = format!(
            "the cookie on the stack is {actual:#x}, the right one {expected:#x}: they differ in exactly one bit (bit {}), which an overrun cannot do",
            difference.trailing_zeros()
        );
        case.suspects.accuse(Subject::hardware("memory"), "one-bit-cookie", 0.85, text.clone(), "P1, P2");
        case.verdict = Some(("hardware", format!("Hardware: {text}. Test the memory.")));
        return;
    }
    blame_stack(case, 0.4);
    let text = if actual == 0 {
        "the cookie on the stack reads as zero: it was cleared, or the load returned nothing, which damaged memory or a failing processor can do"
    } else {
        "the cookie on the stack was overwritten with something else: a driver wrote past the end of a local buffer, or the stack is damaged"
    };
    let weight = if actual == 0 { 0.25 } else { 0.12 };
    case.suspects.accuse(Subject::hardware("cpu"), "cookie", weight, text, "P1");
    case.suspects.accuse(Subject::hardware("memory"), "cookie", weight, text, "P1");
    let reporter = case.modules_on_stack().into_iter().find(|seen| seen.module.name != "nt").map(|seen| seen.module);
    if let Some(module) = reporter {
        let weight = if is_windows(module) { 0.15 } else { 0.3 };
        case.accuse_module(
            module,
            "cookie-owner",
            weight,
            format!("{} holds the function whose cookie was wrong, or called it", described(module)),
            "stack",
        );
    }
}

/// 0x7F: a trap that the kernel cannot handle.
pub(super) fn trap(case: &mut Case<'_>) {
    if case.parameter(1) != 8 {
        return run(case);
    }
    // A double fault in kernel mode is nearly always a full stack: the module whose frames fill it did it.
    let mut count: Vec<(&bugcheck_kernel::Module, usize)> = Vec::new();
    for frame in case.frames {
        if let Some(module) = case.module_at(frame.ip) {
            match count.iter_mut().find(|(known, _)| std::ptr::eq(*known, module)) {
                Some((_, times)) => *times += 1,
                None => count.push((module, 1)),
            }
        }
    }
    count.retain(|(module, _)| module.name != "nt");
    count.sort_by_key(|&(_, times)| std::cmp::Reverse(times));
    if let Some(&(module, times)) = count.first().filter(|&&(_, times)| times >= 8) {
        let text = format!("{} has {times} frames on the stack that overflowed", described(module));
        let weight = if is_windows(module) { 0.3 } else { 0.7 };
        case.accuse_module(module, "stack-filled", weight, text.clone(), "stack");
        case.verdict =
            Some(("fault", format!("The kernel stack overflowed, and {text}: it calls itself, or keeps too much on the stack.")));
    } else {
        blame_stack(case, 0.3);
        case.suspects.accuse(
            Subject::hardware("memory"),
            "double-fault",
            0.15,
            "a double fault also comes from damaged memory or a failing processor",
            "P1",
        );
        case.suspects.accuse(
            Subject::hardware("cpu"),
            "double-fault",
            0.12,
            "a double fault also comes from damaged memory or a failing processor",
            "P1",
        );
    }
    let top = case.fault_module().filter(|module| !forwards(module));
    if let Some(module) = top
        && !case.suspects.accuses(&subject(module).name)
    {
        case.accuse_module(module, "faulting-module", 0.2, format!("it happened in {}", described(module)), "registers");
    }
}
