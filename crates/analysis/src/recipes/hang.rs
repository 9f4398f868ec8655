//! Something did not answer in time: 0x133, 0x101, 0x1CA and other watchdogs.

use crate::case::{Case, described, is_windows};
use crate::model::Missing;
use crate::suspects::Subject;
use bugcheck_dump::{Fields, VirtAddr};

pub(super) fn run(case: &mut Case<'_>) {
    match case.code {
        0x133 => deferred_call(case),
        0x101 => silent_processor(case),
        _ => {
            let text =
                "the processor did not get to run for a long time: an overloaded or paused virtual machine, firmware, or failing hardware";
            case.suspects.accuse(Subject::hardware("board-firmware"), "watchdog", 0.25, text, "code");
            case.suspects.accuse(Subject::hardware("cpu"), "watchdog", 0.2, text, "code");
            super::memory_access::blame_stack(case, 0.2);
        }
    }
}

/// 0x133: a deferred procedure call or interrupt ran too long. The stack is what it interrupted.
fn deferred_call(case: &mut Case<'_>) {
    let single = case.parameter(1) == 0;
    watchdog_block(case, if single { 4 } else { 3 });
    let interrupted = case.frames.first().filter(|_| case.start.interrupted).and_then(|frame| case.module_at(frame.ip));
    if let Some(module) = interrupted.filter(|module| !is_windows(module)) {
        let text = format!("{} was running when the watchdog struck", described(module));
        case.accuse_module(module, "interrupted", if single { 0.5 } else { 0.35 }, text, "trap frame of the interrupt");
    }
    super::memory_access::blame_stack(case, if single { 0.4 } else { 0.25 });
    if !single {
        case.missing.push(Missing {
            what: "which deferred calls used up the time".into(),
            why: "the time was used up by many calls together; the one on this stack is only the last of them".into(),
            how: "a kernel dump holds the history of deferred calls; bring C:\\Windows\\MEMORY.DMP, or record a trace with `xperf -on latency`".into(),
        });
    }
    case.suspects.accuse(
        Subject::hardware("storage"),
        "slow-device",
        0.08,
        "a device that answers slowly, often a drive with old firmware, keeps its driver waiting at high priority",
        "code",
    );
}

/// DPC_WATCHDOG_GLOBAL_TRIAGE_BLOCK: signature 0xAEBECEDE (Microsoft's documentation; verified on a real dump).
fn watchdog_block(case: &mut Case<'_>, parameter: usize) {
    let address = VirtAddr(case.parameter(parameter));
    let Ok(bytes) = case.kernel.memory().array::<16>(address) else { return };
    let block = Fields(&bytes);
    if block.u32(0) == Some(0xaebe_cede) {
        let text = format!("DPC watchdog record, revision {}, size {:#x}", block.u16(4).unwrap_or(0), block.u16(6).unwrap_or(0));
        case.object("dpc-watchdog", address.0, text);
    }
}

/// 0x101: one processor does not answer the others. The stack of the dump is the reporter's; P3 leads to the silent one.
fn silent_processor(case: &mut Case<'_>) {
    let prcb = VirtAddr(case.parameter(3));
    let text = "a processor stopped answering the others: unstable clock or voltage, heat, a defective core, firmware, or an overloaded host of a virtual machine";
    case.suspects.accuse(Subject::hardware("cpu"), "silent-processor", 0.42, text, "P3, P4");
    case.suspects.accuse(Subject::hardware("board-firmware"), "silent-processor", 0.15, text, "P3, P4");
    let thread = crate::running_on(case.kernel, prcb.0);
    let Some(thread) = thread else {
        case.missing.push(Missing {
            what: "what the silent processor was doing".into(),
            why: format!("its control block at {prcb} or its thread is not in this dump"),
            how: "set Windows to write a kernel dump and bring C:\\Windows\\MEMORY.DMP".into(),
        });
        return;
    };
    let modules = super::threads::modules_of_thread(case, &thread);
    let names: Vec<&str> = modules.iter().map(|module| module.image.as_str()).collect();
    let shown =
        if names.is_empty() { "nothing of its stack is in the dump".to_owned() } else { format!("its stack shows {}", names.join(", ")) };
    case.object("thread", thread.address.0, format!("was running on the silent processor {}; {shown}", case.parameter(4)));
    if let Some(module) = modules.iter().find(|module| !is_windows(module)) {
        let text = format!("the silent processor was running {}", described(module));
        let innermost = modules.iter().find(|module| !crate::case::forwards(module)).is_some_and(|first| std::ptr::eq(*first, *module));
        case.accuse_module(module, "on-silent-processor", if innermost { 0.45 } else { 0.3 }, text, "stack of the thread at P3");
    }
}
