//! The fault itself: what the instruction did, and whether it can have done that.
//!
//! A page fault's address is computed by the processor from registers that the dump has too. Computing it again and getting
//! something else is proof that no software can explain the fault: the processor, its cache or the memory did not do what the
//! program said.

use crate::address::{Class, classify, is_ordinary_memory, on_stack, one_bit_away};
use crate::instruction::{Access, Instruction, Nature, Target, decode, is_inside_another};
use crate::roles::{AccessCode, roles};
use crate::start::Start;
use bugcheck_dump::secondary::Cpuid;
use bugcheck_dump::{Registers, VirtAddr};
use bugcheck_kernel::Kernel;

pub(crate) const ACCESS_VIOLATION: u32 = 0xc000_0005;
pub(crate) const IN_PAGE_ERROR: u32 = 0xc000_0006;
const ILLEGAL_INSTRUCTION: u32 = 0xc000_001d;
const BREAKPOINT: u32 = 0x8000_0003;

/// How memory was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    Read,
    Write,
    Execute,
}

impl Touch {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
        }
    }
}

/// Whether the instruction can have done what was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// It can.
    Consistent { computed: Option<u64>, why: String },
    /// It cannot: hardware.
    Inconsistent { computed: Option<u64>, why: String },
    /// Something is missing.
    Unknown { why: String },
}

/// Facts about the faulting instruction that point somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// It needs a feature that this processor lacks.
    MissingFeature(&'static str),
    /// It lies in the padding between two functions.
    Padding,
    /// The registers hold a pointer one bit away from a good one.
    OneBit { what: String, value: u64, bit: u32, place: String, copies: Copies },
    /// It lies inside another instruction.
    InsideAnother,
    /// A pointer with a single bit set: NULL with a flipped bit, perhaps.
    LoneBit { what: String, value: u64 },
    /// The instruction pointer left all code.
    WildJump,
    /// The bytes at the instruction pointer are no instruction.
    NoInstruction,
    /// A breakpoint or assertion was left in.
    Assertion,
}

/// What the memory of the dump holds of a pointer with a flipped bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copies {
    /// The wrong value: it was wrong in memory.
    Wrong,
    /// Only the right value: it went wrong on its way into the register, or there.
    Right,
    /// Neither.
    None,
}

/// A fault, examined.
#[derive(Clone, Debug)]
pub(crate) struct Examined {
    pub exception: Option<u32>,
    pub touch: Option<Touch>,
    pub address: Option<u64>,
    pub class: Option<Class>,
    pub ip: Option<u64>,
    pub instruction: Option<Instruction>,
    pub consistency: Consistency,
    pub oddities: Vec<Oddity>,
    /// The status that a failed page-in returned, where the exception is an in-page error.
    pub io_status: Option<u32>,
    pub explanation: String,
}

/// Examines the fault; `None` for a bug check that no instruction's fault caused.
pub(crate) fn examine(kernel: &Kernel<'_>, start: &Start, base_code: u32, parameters: &[u64; 4]) -> Option<Examined> {
    let roles = roles(base_code);
    let parameter = |role: Option<usize>| role.and_then(|n| parameters.get(n.checked_sub(1)?)).copied();
    let registers = start.registers.as_ref().filter(|_| start.at_fault);
    let exception = parameter(roles.status).map(|status| status as u32).or(start.exception.as_ref().map(|record| record.code));
    let ip = registers
        .and_then(Registers::ip)
        .or(parameter(roles.instruction).filter(|&ip| ip != 0))
        .or(start.exception.as_ref().map(|record| record.address));
    if ip.is_none() && parameter(roles.address).is_none() {
        return None;
    }

    let page_fault = reported(kernel, start, base_code, parameters, exception);
    let cpuid = kernel.dump.blob(bugcheck_dump::secondary::CPUID).map(Cpuid::parse);
    let arch = kernel.dump.header().arch;
    let no_registers = Registers::empty(arch);
    let known = registers.unwrap_or(&no_registers);
    let instruction = ip.and_then(|ip| decode(arch, kernel.memory(), known, cpuid.as_ref(), ip));
    let mut examined = Examined {
        exception,
        touch: page_fault.map(|(_, touch)| touch),
        address: page_fault.map(|(address, _)| address),
        class: page_fault.map(|(address, _)| classify(kernel, address)),
        ip,
        instruction,
        consistency: Consistency::Unknown { why: "this bug check reports no address to compare with".into() },
        oddities: Vec::new(),
        io_status: start
            .exception
            .as_ref()
            .filter(|record| record.code == IN_PAGE_ERROR)
            .and_then(|record| record.information.get(2))
            .map(|&status| status as u32),
        explanation: String::new(),
    };
    let no_address_given = protection_fault_reported(kernel, start, base_code, parameters);
    examined.consistency = consistency(kernel, &examined, registers.is_some(), no_address_given);
    examined.oddities = oddities(kernel, &examined, registers);
    examined.explanation = explanation(kernel, &examined, no_address_given);
    Some(examined)
}

/// The address that the processor reported, and how it was touched. All ones stand for "not reported": a protection fault.
fn reported(kernel: &Kernel<'_>, start: &Start, base_code: u32, parameters: &[u64; 4], exception: Option<u32>) -> Option<(u64, Touch)> {
    let roles = roles(base_code);
    let parameter = |n: usize| parameters.get(n.checked_sub(1)?).copied();
    if let Some(address) = roles.address.and_then(parameter) {
        let from_trap = start.trap_frame.as_ref().map(|frame| touch_of_error_code(frame.error_code));
        let by_parameter = roles.access.and_then(|(n, code)| Some(touch_of_parameter(parameter(n)?, code)));
        // The code of the bug check itself says how memory was touched in 0xBE and 0xFC.
        let by_code = match base_code {
            0xbe => Some(Touch::Write),
            0xfc => Some(Touch::Execute),
            _ => None,
        };
        return Some((address, by_code.or(by_parameter).or(from_trap).unwrap_or(Touch::Read)));
    }
    if !matches!(exception, Some(ACCESS_VIOLATION | IN_PAGE_ERROR)) {
        return None;
    }
    // 0x1E passes the two exception parameters on; elsewhere they are in the record.
    let (kind, address) = if base_code == 0x1e {
        (parameter(3)?, parameter(4)?)
    } else {
        let information = &start.exception.as_ref()?.information;
        (*information.first()?, *information.get(1)?)
    };
    let all_ones = if kernel.width() == 4 { 0xffff_ffff } else { u64::MAX };
    let touch = match kind {
        1 => Touch::Write,
        8 => Touch::Execute,
        _ => Touch::Read,
    };
    (address != all_ones).then_some((address, touch))
}

/// True if the exception says by an address of all ones that there was none to report: a general protection fault.
fn protection_fault_reported(kernel: &Kernel<'_>, start: &Start, base_code: u32, parameters: &[u64; 4]) -> bool {
    let all_ones = if kernel.width() == 4 { 0xffff_ffff } else { u64::MAX };
    let record =
        start.exception.as_ref().filter(|record| record.code == ACCESS_VIOLATION).and_then(|record| record.information.get(1)).copied();
    let parameter = (base_code == 0x1e).then(|| parameters.get(3).copied()).flatten();
    record == Some(all_ones) || parameter == Some(all_ones)
}

fn touch_of_error_code(code: u64) -> Touch {
    if code & 0x10 != 0 {
        Touch::Execute
    } else if code & 2 != 0 {
        Touch::Write
    } else {
        Touch::Read
    }
}

fn touch_of_parameter(value: u64, code: AccessCode) -> Touch {
    match code {
        // Windows 8.1 and ARM64 write 8 for an execution here, where the processor's own code would have bit 4.
        AccessCode::PageFault if value & 0x18 != 0 => Touch::Execute,
        AccessCode::PageFault => touch_of_error_code(value),
        AccessCode::Simple if value & 8 != 0 || value == 0x10 => Touch::Execute,
        AccessCode::Simple if value & 1 != 0 || value == 2 => Touch::Write,
        AccessCode::Simple => Touch::Read,
    }
}

fn consistency(kernel: &Kernel<'_>, examined: &Examined, have_registers: bool, no_address_given: bool) -> Consistency {
    let unknown = |why: &str| Consistency::Unknown { why: why.to_owned() };
    let Some(ip) = examined.ip else { return unknown("the dump does not say which instruction faulted") };
    if examined.touch == Some(Touch::Execute) {
        return execute_consistency(examined, ip);
    }
    let Some(instruction) = &examined.instruction else {
        return unknown("the code around the faulting instruction is not in the dump");
    };
    match examined.exception {
        Some(ILLEGAL_INSTRUCTION) => return illegal_instruction(instruction),
        Some(BREAKPOINT) => return breakpoint(instruction),
        Some(ACCESS_VIOLATION | IN_PAGE_ERROR) | None => {}
        Some(_) => return unknown("this exception has no address to compare with"),
    }
    if !have_registers {
        return unknown("the registers at the fault are not in the dump");
    }
    match examined.address {
        Some(address) => page_fault_consistency(kernel, instruction, address, examined.touch),
        None if no_address_given => protection_fault_consistency(kernel, instruction),
        None if examined.exception == Some(ACCESS_VIOLATION) => own_stack_consistency(kernel, instruction),
        None => unknown("this bug check reports no address to compare with"),
    }
}

/// A fetch must come from the instruction pointer itself (an instruction may run into the next page).
fn execute_consistency(examined: &Examined, ip: u64) -> Consistency {
    let Some(address) = examined.address else { return Consistency::Unknown { why: "no address was reported".into() } };
    let distance = address.wrapping_sub(ip);
    if distance < 16 {
        Consistency::Consistent {
            computed: Some(ip),
            why: format!("the processor was told to execute {ip:#x}, and that is the address that faulted"),
        }
    } else {
        Consistency::Unknown {
            why: format!(
                "the reported address {address:#x} is not the instruction pointer {ip:#x}; the dump has no registers from the moment of the jump"
            ),
        }
    }
}

fn page_fault_consistency(kernel: &Kernel<'_>, instruction: &Instruction, reported: u64, touch: Option<Touch>) -> Consistency {
    if instruction.nature == Nature::Invalid {
        return Consistency::Unknown { why: "the bytes at the instruction pointer are no instruction".into() };
    }
    if reported.wrapping_sub(instruction.address) < 16 {
        let why = format!("the processor could not fetch the instruction itself, which lies at {:#x}", instruction.address);
        return Consistency::Consistent { computed: Some(instruction.address), why };
    }
    if instruction.accesses.is_empty() && kernel.dump.header().arch == bugcheck_dump::Arch::Arm64 {
        return Consistency::Unknown { why: format!("how `{}` computes its address is not known to this version", instruction.text) };
    }
    if instruction.accesses.is_empty() {
        return Consistency::Inconsistent {
            computed: None,
            why: format!("`{}` touches no memory at all, yet a fault at {reported:#x} was reported for it", instruction.text),
        };
    }
    let touches = |access: &&Access| match touch {
        Some(Touch::Write) => access.writes,
        // A read-modify-write reports as a write, but may fault on its read first.
        _ => access.reads,
    };
    let covers = |access: &Access| access.address.is_some_and(|address| reported.wrapping_sub(address) < access.size.max(1));
    if let Some(access) = instruction.accesses.iter().find(|access| covers(access)) {
        return Consistency::Consistent {
            computed: access.address,
            why: format!("`{}` computes {}, the address that was reported", instruction.text, sum(access).unwrap_or_default()),
        };
    }
    let unknown: Vec<&str> = instruction.accesses.iter().flat_map(|access| access.unknown.iter().map(String::as_str)).collect();
    if !unknown.is_empty() {
        return Consistency::Unknown { why: format!("`{}` uses {}, which the dump does not have", instruction.text, unknown.join(", ")) };
    }
    let told = instruction.accesses.iter().find(touches).or(instruction.accesses.first());
    let arithmetic: Vec<String> = instruction.accesses.iter().filter_map(sum).collect();
    Consistency::Inconsistent {
        computed: told.and_then(|access| access.address),
        why: format!("`{}` computes {}, but the processor reported a fault at {reported:#x}", instruction.text, arithmetic.join(" and ")),
    }
}

/// An access violation without an address is a general protection fault: a non-canonical address, or one of the few
/// instructions that raise it for other reasons.
fn protection_fault_consistency(kernel: &Kernel<'_>, instruction: &Instruction) -> Consistency {
    let wide = kernel.width() == 8;
    match instruction.nature {
        Nature::MayProtectionFault => {
            return Consistency::Consistent {
                computed: None,
                why: format!("`{}` can raise a protection fault by itself", instruction.text),
            };
        }
        Nature::Invalid => return Consistency::Unknown { why: "the bytes at the instruction pointer are no instruction".into() },
        _ => {}
    }
    if let Some(access) =
        instruction.accesses.iter().find(|access| wide && access.address.is_some_and(|address| !VirtAddr(address).is_canonical()))
    {
        return Consistency::Consistent {
            computed: access.address,
            why: format!(
                "`{}` computes {} = {:#x}, which is no canonical address",
                instruction.text,
                access.expression,
                access.address.unwrap_or(0)
            ),
        };
    }
    match instruction.target.map(|target| branch_target(kernel, target)) {
        Some(Some(target)) if wide && !VirtAddr(target).is_canonical() => {
            let why = format!(
                "`{}` goes to {target:#x}, which is no canonical address: what was there is no longer a code address",
                instruction.text
            );
            return Consistency::Consistent { computed: Some(target), why };
        }
        Some(None) => return Consistency::Unknown { why: format!("where `{}` goes is not in the dump", instruction.text) },
        _ => {}
    }
    let unknown: Vec<&str> = instruction.accesses.iter().flat_map(|access| access.unknown.iter().map(String::as_str)).collect();
    if !unknown.is_empty() {
        return Consistency::Unknown { why: format!("`{}` uses {}, which the dump does not have", instruction.text, unknown.join(", ")) };
    }
    // A hypervisor raises the same fault for device registers it guards, so the argument holds for ordinary memory only.
    if let Some(device) =
        instruction.accesses.iter().filter_map(|access| access.address).find(|&address| !is_ordinary_memory(kernel, address))
    {
        let why = format!(
            "`{}` touches {device:#x}, a canonical address: ordinary memory there cannot raise a protection fault, a device's registers under a hypervisor can, and the dump does not tell which it is",
            instruction.text
        );
        return Consistency::Unknown { why };
    }
    let arithmetic: Vec<String> = instruction.accesses.iter().filter_map(sum).collect();
    if arithmetic.is_empty() {
        return Consistency::Inconsistent {
            computed: None,
            why: format!("`{}` touches no memory and cannot raise a protection fault, yet one was reported", instruction.text),
        };
    }
    Consistency::Inconsistent {
        computed: instruction.accesses.first().and_then(|access| access.address),
        why: format!(
            "`{}` computes {}, a canonical address in ordinary memory, and cannot raise a general protection fault, yet the processor raised one",
            instruction.text,
            arithmetic.join(" and ")
        ),
    }
}

/// An access violation whose address the dump does not have. An instruction that touches nothing but its own stack cannot cause
/// one: a running thread's kernel stack is always present and writable.
fn own_stack_consistency(kernel: &Kernel<'_>, instruction: &Instruction) -> Consistency {
    let accesses = &instruction.accesses;
    let all_on_stack =
        !accesses.is_empty() && accesses.iter().all(|access| access.address.is_some_and(|address| on_stack(kernel, address)));
    // Behind a call, the exception may have been raised by software, with the return address as its place.
    let raised = bugcheck_unwind::call_before(kernel, kernel.dump.header().arch, instruction.address) == bugcheck_unwind::CallBefore::Seen;
    if !all_on_stack || raised || instruction.target.is_some() || instruction.nature != Nature::Ordinary {
        return Consistency::Unknown { why: "the address that was touched is not in this dump".into() };
    }
    let arithmetic: Vec<String> = accesses.iter().filter_map(sum).collect();
    Consistency::Inconsistent {
        computed: accesses.first().and_then(|access| access.address),
        why: format!(
            "`{}` computes {}, a place on the thread's own stack, which is always there, yet the processor reported an access violation",
            instruction.text,
            arithmetic.join(" and ")
        ),
    }
}

/// How an access computes its address, with the result: `rcx + 0x29 = 0xfffff800a56f0279`; an absolute address stands alone.
fn sum(access: &Access) -> Option<String> {
    let address = format!("{:#x}", access.address?);
    Some(if access.expression == address { address } else { format!("{} = {address}", access.expression) })
}

/// Where an indirect branch goes.
fn branch_target(kernel: &Kernel<'_>, target: Target) -> Option<u64> {
    match target {
        Target::Register(value) => value,
        Target::Memory(address) => kernel.memory().pointer(VirtAddr(address?), kernel.width()).ok().map(|target| target.0),
    }
}

fn illegal_instruction(instruction: &Instruction) -> Consistency {
    match instruction.nature {
        Nature::Invalid | Nature::Trap => {
            Consistency::Consistent { computed: None, why: "the bytes are indeed no instruction this processor executes".into() }
        }
        _ if instruction.features.iter().any(|(_, has)| *has == Some(false)) => {
            Consistency::Consistent { computed: None, why: "the processor lacks this instruction".into() }
        }
        _ if instruction.features.iter().all(|(_, has)| *has == Some(true)) => Consistency::Inconsistent {
            computed: None,
            why: format!(
                "`{}` is an instruction this processor has, yet it was reported as illegal: what was executed is not what is in memory",
                instruction.text
            ),
        },
        _ => Consistency::Unknown { why: format!("whether this processor has `{}` is not in the dump", instruction.text) },
    }
}

fn breakpoint(instruction: &Instruction) -> Consistency {
    if instruction.nature == Nature::Breakpoint {
        return Consistency::Consistent { computed: None, why: "the instruction is a breakpoint".into() };
    }
    Consistency::Inconsistent { computed: None, why: format!("`{}` is no breakpoint, yet one was reported there", instruction.text) }
}

fn oddities(kernel: &Kernel<'_>, examined: &Examined, registers: Option<&Registers>) -> Vec<Oddity> {
    let mut found = Vec::new();
    let in_code = examined.ip.is_some_and(|ip| kernel.modules.find(ip).is_some());
    if examined.ip.is_some() && !in_code && registers.is_some() && !kernel.modules.loaded.is_empty() {
        found.push(Oddity::WildJump);
    }
    if let Some(instruction) = &examined.instruction
        && in_code
    {
        let feature = instruction.features.iter().find(|(_, has)| *has == Some(false));
        if is_inside_another(kernel.dump.header().arch, kernel.memory(), instruction.address) {
            found.push(Oddity::InsideAnother);
        } else if let (Some(&(feature, _)), Some(ILLEGAL_INSTRUCTION)) = (feature, examined.exception) {
            found.push(Oddity::MissingFeature(feature));
        } else if instruction.nature == Nature::Invalid {
            found.push(Oddity::NoInstruction);
        }
        if instruction.nature == Nature::Breakpoint {
            found.push(if in_padding(kernel, instruction.address) { Oddity::Padding } else { Oddity::Assertion });
        } else if instruction.nature == Nature::Trap {
            found.push(Oddity::Assertion);
        }
    }
    // Pointers that the instruction started from, then the address itself.
    let mut candidates: Vec<(String, u64)> = Vec::new();
    for access in examined.instruction.iter().flat_map(|instruction| &instruction.accesses) {
        if let (Some(base), Some(registers)) = (access.base, registers)
            && let Some(value) = registers.get(base)
        {
            candidates.push((base.to_owned(), value));
        }
    }
    candidates.extend(examined.address.map(|address| ("the address".to_owned(), address)));
    if !in_code {
        candidates.extend(examined.ip.map(|ip| ("the instruction pointer".to_owned(), ip)));
    }
    if !matches!(examined.consistency, Consistency::Inconsistent { .. })
        && let Some((what, value, bit, place)) =
            candidates.into_iter().find_map(|(what, value)| one_bit_away(kernel, value).map(|(bit, place)| (what, value, bit, place)))
    {
        let copies = copies(kernel, value, value ^ 1 << bit, registers.and_then(Registers::sp));
        found.push(Oddity::OneBit { what, value, bit, place, copies });
    } else if let Some((what, value)) = candidates_with_lone_bit(examined, registers) {
        found.push(Oddity::LoneBit { what, value });
    }
    found
}

/// Looks for a pointer and its repaired form in the memory of the dump. What lies on the stack below the fault is left out: there
/// the handling of the fault keeps its own copies of the registers.
fn copies(kernel: &Kernel<'_>, wrong: u64, right: u64, sp: Option<u64>) -> Copies {
    let handling = kernel.stack().start..sp.unwrap_or(u64::MAX);
    let memory = kernel.memory();
    let mut found = Copies::None;
    for range in memory.ranges() {
        let start = range.address.0;
        if handling.contains(&start) && kernel.stack().contains(&start) && range.length as u64 <= handling.end.saturating_sub(start) {
            continue;
        }
        let skip = (start.wrapping_neg() % 8) as usize;
        let words = memory.bytes_of(range).get(skip..).unwrap_or_default().chunks_exact(8);
        for (index, word) in words.enumerate() {
            let value = word.iter().rev().fold(0_u64, |value, &byte| (value << 8) | u64::from(byte));
            if value != wrong && value != right {
                continue;
            }
            let address = start + (skip + 8 * index) as u64;
            if handling.contains(&address) && kernel.stack().contains(&address) {
                continue;
            }
            if value == wrong {
                return Copies::Wrong;
            }
            found = Copies::Right;
        }
    }
    found
}

/// A base register that holds a small power of two, as NULL does after one of its bits flipped.
fn candidates_with_lone_bit(examined: &Examined, registers: Option<&Registers>) -> Option<(String, u64)> {
    examined.address.filter(|&address| address < 0x1000_0000)?;
    let bases = examined.instruction.iter().flat_map(|instruction| &instruction.accesses).filter_map(|access| access.base);
    bases.filter_map(|base| Some((base.to_owned(), registers?.get(base)?))).find(|&(_, value)| value >= 0x100 && value.is_power_of_two())
}

/// Compilers fill the gaps between functions with breakpoints. The first one behind code may be meant (behind a call that does
/// not return), so only the others count.
fn in_padding(kernel: &Kernel<'_>, address: u64) -> bool {
    let mut around = [0_u8; 32];
    let start = address.wrapping_sub(16);
    if kernel.dump.header().arch == bugcheck_dump::Arch::Arm64 || kernel.memory().try_read_exact(VirtAddr(start), &mut around).is_none() {
        return false;
    }
    let run_before = around.get(..16).unwrap_or_default().iter().rev().take_while(|&&byte| byte == 0xcc).count();
    let run_behind = around.get(16..).unwrap_or_default().iter().take_while(|&&byte| byte == 0xcc).count();
    run_before >= 1 && run_before + run_behind >= 3
}

fn explanation(kernel: &Kernel<'_>, examined: &Examined, protection_fault: bool) -> String {
    let outside = if kernel.modules.loaded.is_empty() { "" } else { ", outside every loaded module," };
    let place = examined.ip.map(|ip| kernel.modules.describe(ip).unwrap_or_else(|| format!("{ip:#x}{outside}")));
    let subject = place.map_or_else(|| "Kernel code".to_owned(), |place| format!("The code at {place}"));
    let status =
        |code: u32| bugcheck_knowledge::status(code).map_or_else(|| format!("{code:#x}"), |status| format!("{code:#x} {}", status.name));
    match (examined.address, examined.touch, examined.exception) {
        (Some(address), Some(touch), _) => {
            let verb = match touch {
                Touch::Read => "read from",
                Touch::Write => "wrote to",
                // The processor went there; whoever sent it is elsewhere.
                Touch::Execute => {
                    return format!(
                        "The processor was sent to {address:#x} to execute code there{}.",
                        examined.class.as_ref().map(|class| format!(": {}", class.words())).unwrap_or_default()
                    );
                }
            };
            let class = examined.class.as_ref().map(|class| format!(", {}", class.words())).unwrap_or_default();
            format!("{subject} {verb} {address:#x}{class}.")
        }
        (None, _, Some(ACCESS_VIOLATION)) if protection_fault => {
            format!("{subject} raised a protection fault, for which the processor reports no address.")
        }
        (None, _, Some(ACCESS_VIOLATION)) => format!("{subject} raised an access violation; the address it touched is not in this dump."),
        (None, _, Some(code)) => format!("{subject} raised exception {}.", status(code)),
        _ => format!("{subject} failed."),
    }
}
