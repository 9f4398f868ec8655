//! Where the faulting stack begins: the registers at the moment that matters, and how they were found.
//!
//! In order of trust: a CONTEXT that a parameter names; a trap frame that a parameter names; a trap frame found on the stack
//! whose contents match the parameters; the header's CONTEXT where it is the exception's; a CONTEXT found on the stack; and
//! last the processor's context at the bug check itself.

use crate::roles::{Roles, roles};
use bugcheck_dump::{Arch, ExceptionRecord, Fields, Registers, VirtAddr};
use bugcheck_kernel::{Kernel, TrapFrame, find_trap_frames, full_registers};

/// How the starting registers were found: the contract's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Parameter,
    TrapFrame,
    Prcb,
    Header,
    Scan,
    None,
}

impl Origin {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parameter => "parameter",
            Self::TrapFrame => "trap-frame",
            Self::Prcb => "prcb",
            Self::Header => "header",
            Self::Scan => "scan",
            Self::None => "none",
        }
    }
}

/// The beginning of an analysis.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// Registers where the fault happened, or at the bug check if it has none.
    pub registers: Option<Registers>,
    /// How they were found.
    pub origin: Origin,
    /// True if the registers are the fault's own and not the bug check's.
    pub at_fault: bool,
    /// True if the registers are those of the code that a watchdog interrupted.
    pub interrupted: bool,
    /// The trap frame, if the registers come from one.
    pub trap_frame: Option<TrapFrame>,
    /// The exception record, if one was found.
    pub exception: Option<ExceptionRecord>,
    /// Registers at KeBugCheckEx.
    pub bug_check: Option<(Registers, Origin)>,
}

pub(crate) fn find(kernel: &Kernel<'_>, base_code: u32, parameters: &[u64; 4]) -> Start {
    let roles = roles(base_code);
    let parameter = |role: Option<usize>| role.and_then(|n| parameters.get(n.checked_sub(1)?)).copied().filter(|&value| value != 0);
    let pointer = |role| parameter(role).filter(|&value| kernel.is_kernel_address(value)).map(VirtAddr);
    let arch = kernel.dump.header().arch;
    let memory = kernel.memory();
    let bug_check = bug_check_context(kernel);
    let pair = pointer(roles.exception_pointers).and_then(|at| {
        let width = kernel.width();
        Some((memory.pointer(at, width).ok()?, memory.pointer(at.offset(width as u64), width).ok()?))
    });

    let mut start =
        Start { registers: None, origin: Origin::None, at_fault: false, interrupted: false, trap_frame: None, exception: None, bug_check };
    start.exception = pointer(roles.exception).or(pair.map(|(record, _)| record)).and_then(|at| kernel.exception_at(at));

    let in_code = |registers: &Registers| registers.ip().is_some_and(|ip| ip != 0);
    if let Some(registers) =
        pointer(roles.context).or(pair.map(|(_, context)| context)).and_then(|at| kernel.context_at(at)).filter(in_code)
    {
        start.set(registers, Origin::Parameter);
    } else if let Some(frame) = pointer(roles.trap_frame).and_then(|at| TrapFrame::read(arch, memory, at)) {
        start.set_trap(frame, kernel, Origin::Parameter);
    } else if let Some(frame) = trap_frame_by_search(kernel, &start, &roles, parameters, base_code) {
        start.set_trap(frame, kernel, Origin::TrapFrame);
    } else if let Some(registers) = header_of_exception(kernel, &start, &roles, parameters) {
        start.set(registers, Origin::Header);
    } else if let Some(registers) = parameter(roles.instruction).and_then(|ip| context_by_scan(kernel, ip)) {
        start.set(registers, Origin::Scan);
    }
    if start.exception.is_none() {
        let ip = parameter(roles.instruction).or_else(|| start.registers.as_ref().filter(|_| start.at_fault)?.ip());
        start.exception = ip.and_then(|ip| exception_by_scan(kernel, ip, parameter(roles.status)));
    }
    if matches!(base_code, 0x133 | 0x1ca | 0x1cf)
        && let Some(frame) = interrupted_code(kernel, &start)
    {
        start.set_trap(frame, kernel, Origin::TrapFrame);
        start.at_fault = false;
        start.interrupted = true;
    }
    if start.registers.is_none()
        && let Some((registers, origin)) = start.bug_check.clone()
    {
        start.registers = Some(registers);
        start.origin = origin;
    }
    start
}

impl Start {
    fn set(&mut self, registers: Registers, origin: Origin) {
        self.registers = Some(registers);
        self.origin = origin;
        self.at_fault = true;
    }

    fn set_trap(&mut self, frame: TrapFrame, kernel: &Kernel<'_>, origin: Origin) {
        let bug_check_sp = self.bug_check.as_ref().and_then(|(registers, _)| registers.sp());
        self.set(full_registers(&frame, kernel.memory(), bug_check_sp), origin);
        self.trap_frame = Some(frame);
    }
}

/// The registers at KeBugCheckEx: the PRCB's, or the header's where those are the same thing.
fn bug_check_context(kernel: &Kernel<'_>) -> Option<(Registers, Origin)> {
    if let Some(registers) = kernel.bug_check_context().filter(|registers| registers.ip().is_some_and(|ip| ip != 0)) {
        return Some((registers, Origin::Prcb));
    }
    kernel.dump.header_context().filter(|registers| registers.ip().is_some_and(|ip| ip != 0)).map(|registers| (registers, Origin::Header))
}

/// The stack bytes from KeBugCheckEx upwards, where the frames of the trap must lie.
fn stack_start(kernel: &Kernel<'_>, start: &Start) -> Option<VirtAddr> {
    let sp = start.bug_check.as_ref().and_then(|(registers, _)| registers.sp()).map(VirtAddr).filter(|&sp| kernel.memory().run(sp).is_ok());
    sp.or_else(|| kernel.dump.triage().map(|triage| triage.call_stack.address)).map(|at| VirtAddr(at.0 & !(kernel.width() as u64 - 1)))
}

fn trap_frame_by_search(kernel: &Kernel<'_>, start: &Start, roles: &Roles, parameters: &[u64; 4], base_code: u32) -> Option<TrapFrame> {
    let parameter = |role: Option<usize>| role.and_then(|n| parameters.get(n.checked_sub(1)?)).copied();
    let from = stack_start(kernel, start)?;
    let (ip, address) = (parameter(roles.instruction), parameter(roles.address));
    let arch = kernel.dump.header().arch;
    let matches = |frame: &TrapFrame| {
        let frame_ip = frame.registers.ip();
        let same_ip = ip.is_some_and(|ip| ip != 0 && frame_ip == Some(ip));
        let same_address = address.is_some() && frame.fault_address == address;
        match (ip.filter(|&ip| ip != 0), address) {
            // 0x50 may give 0 for the instruction: then the address must match and the frame's own IP must be code.
            (None, Some(_)) => same_address && frame_ip.is_some_and(|ip| kernel.modules.find(ip).is_some()),
            // x86 frames do not keep CR2.
            (Some(_), Some(_)) => same_ip && (same_address || arch == Arch::X86),
            (Some(_), None) => same_ip,
            (None, None) => false,
        }
    };
    let by_parameters = || find_trap_frames(arch, kernel.memory(), from, &matches).into_iter().next();
    // A double fault's own stack holds the machine state as the first frame whose stack pointer lies elsewhere.
    let by_shape = || {
        let plausible = |frame: &TrapFrame| {
            frame.registers.ip().is_some_and(|ip| kernel.modules.may_be_code(ip))
                && frame.registers.get("cs").is_some_and(|cs| cs == 0x10 || cs == 8)
        };
        (base_code == 0x7f).then(|| find_trap_frames(arch, kernel.memory(), from, &plausible).into_iter().next()).flatten()
    };
    by_parameters().or_else(by_shape)
}

/// The trap frame of the interrupt that found the watchdog expired: the first one on the stack whose every field is as an
/// interrupt in kernel mode leaves it.
fn interrupted_code(kernel: &Kernel<'_>, start: &Start) -> Option<TrapFrame> {
    let stack = kernel.stack();
    let genuine = |frame: &TrapFrame| {
        let registers = &frame.registers;
        let flags_are_sane = registers.get("eflags").is_some_and(|flags| flags & 0xffc0_802a == 2);
        let kernel_segments = registers.get("cs") == Some(0x10) && registers.get("ss").is_some_and(|ss| matches!(ss, 0 | 0x18));
        let sp_is_above = registers.sp().is_some_and(|sp| sp % 8 == 0 && (stack.contains(&sp) || kernel.is_kernel_address(sp)));
        flags_are_sane && kernel_segments && sp_is_above && registers.ip().is_some_and(|ip| kernel.modules.may_be_code(ip))
    };
    let arch = kernel.dump.header().arch;
    if arch != Arch::X64 {
        return None;
    }
    find_trap_frames(arch, kernel.memory(), stack_start(kernel, start)?, &genuine).into_iter().next()
}

/// The header's CONTEXT, if it is the exception's: Windows puts it there in 0x1000007E dumps.
fn header_of_exception(kernel: &Kernel<'_>, start: &Start, roles: &Roles, parameters: &[u64; 4]) -> Option<Registers> {
    let registers = kernel.dump.header_context()?;
    let ip = registers.ip().filter(|&ip| ip != 0)?;
    let named = roles.instruction.and_then(|n| parameters.get(n.checked_sub(1)?)).copied();
    let recorded = start.exception.as_ref().map(|exception| exception.address);
    (named == Some(ip) || recorded == Some(ip)).then_some(registers)
}

/// A CONTEXT on the stack with this instruction pointer.
fn context_by_scan(kernel: &Kernel<'_>, ip: u64) -> Option<Registers> {
    let arch = kernel.dump.header().arch;
    let stack = kernel.memory().run(kernel.dump.triage()?.call_stack.address).ok()?;
    let size = arch.context_size();
    (0..stack.len().saturating_sub(size - 1)).step_by(kernel.width()).find_map(|at| {
        let registers = Registers::from_context(arch, Fields(stack.get(at..at + size)?))?;
        let sp_is_sane = registers.sp().is_some_and(|sp| sp != 0 && sp % 4 == 0);
        (registers.ip() == Some(ip) && sp_is_sane).then_some(registers)
    })
}

/// An EXCEPTION_RECORD on the stack for this instruction.
fn exception_by_scan(kernel: &Kernel<'_>, ip: u64, status: Option<u64>) -> Option<ExceptionRecord> {
    let arch = kernel.dump.header().arch;
    let stack = kernel.memory().run(kernel.dump.triage()?.call_stack.address).ok()?;
    let size = ExceptionRecord::size(arch);
    let wanted = status.map(|status| status as u32);
    (0..stack.len().saturating_sub(size - 1)).step_by(kernel.width()).find_map(|at| {
        let record = ExceptionRecord::parse(arch, Fields(stack.get(at..at + size)?))?;
        let is_error = record.code >= 0x8000_0000 && record.code & 0x1000_0000 == 0;
        (record.address == ip && wanted.map_or(is_error, |wanted| record.code == wanted) && record.flags < 0x100).then_some(record)
    })
}
