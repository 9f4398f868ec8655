//! The NT view of a dump: which module an address lies in, trap frames, the threads and processes a minidump brings, IRPs and
//! device stacks.
//!
//! Structures that Windows documents (`wdm.h`) are read at their documented offsets. For the opaque ones, the offsets come
//! from the dump's own KDDEBUGGER_DATA64 wherever it names them, and from their neighbours otherwise; every such rule says
//! what it was verified on.
#![forbid(unsafe_code)]

mod io;
mod modules;
mod power;
mod thread;
mod trap_frame;

pub use io::{DeviceObject, DriverObject, Irp, StackLocation, attached_devices, unicode_string};
pub use modules::{Module, Modules, Place};
pub use power::{PowerTriage, power_triage};
pub use thread::{Process, Thread};
pub use trap_frame::{TrapFrame, find_trap_frames, full_registers};

use bugcheck_dump::{Dump, Memory, Registers, VirtAddr};
use bugcheck_unwind::{Frame, Stack};

/// A dump seen as NT.
pub struct Kernel<'a> {
    /// The dump underneath.
    pub dump: &'a Dump,
    /// Loaded and unloaded modules.
    pub modules: Modules,
    memory: Memory<'a>,
    stack: std::ops::Range<u64>,
}

impl<'a> Kernel<'a> {
    /// Builds the view: module lists are sorted, nothing else is read yet.
    #[must_use]
    pub fn new(dump: &'a Dump) -> Self {
        let memory = dump.memory();
        let modules = dump.triage().map_or_else(Modules::default, |triage| Modules::new(&triage.drivers, &triage.unloaded_drivers, memory));
        Self { dump, modules, memory, stack: current_stack(dump, memory) }
    }

    /// The kernel stack of the crashing thread, from its limit to its base; only the bytes of the dump where the thread does not
    /// tell. Empty if neither is known.
    #[must_use]
    pub fn stack(&self) -> std::ops::Range<u64> {
        self.stack.clone()
    }

    /// The dump's memory.
    #[must_use]
    pub fn memory(&self) -> Memory<'a> {
        self.memory
    }

    /// Bytes in a pointer.
    #[must_use]
    pub fn width(&self) -> usize {
        self.dump.header().arch.pointer_width()
    }

    /// True for an address in kernel space.
    #[must_use]
    pub fn is_kernel_address(&self, address: u64) -> bool {
        let arch = self.dump.header().arch;
        address >= arch.kernel_start() && (arch.pointer_width() == 8 || address <= 0xffff_ffff)
    }

    /// The registers of the processor that called KeBugCheckEx: `KPRCB.Context`, which the header's own CONTEXT may differ from.
    #[must_use]
    pub fn bug_check_context(&self) -> Option<Registers> {
        let triage = self.dump.triage()?;
        let prcb = self.dump.part(triage.prcb.as_ref()?);
        let pointer = prcb.pointer(triage.debugger_data.as_ref()?.prcb_context()?, self.width())?;
        self.context_at(VirtAddr(pointer))
    }

    /// The CONTEXT record at an address.
    #[must_use]
    pub fn context_at(&self, address: VirtAddr) -> Option<Registers> {
        let arch = self.dump.header().arch;
        let mut bytes = vec![0; arch.context_size()];
        self.memory.try_read_exact(address, &mut bytes)?;
        Registers::from_context(arch, bugcheck_dump::Fields(&bytes))
    }

    /// The EXCEPTION_RECORD at an address.
    #[must_use]
    pub fn exception_at(&self, address: VirtAddr) -> Option<bugcheck_dump::ExceptionRecord> {
        let arch = self.dump.header().arch;
        let mut bytes = vec![0; bugcheck_dump::ExceptionRecord::size(arch)];
        self.memory.try_read_exact(address, &mut bytes)?;
        bugcheck_dump::ExceptionRecord::parse(arch, bugcheck_dump::Fields(&bytes))
    }

    /// The frames above a set of registers.
    #[must_use]
    pub fn walk(&self, registers: &Registers) -> Vec<Frame> {
        bugcheck_unwind::walk(self, registers)
    }
}

/// More than any kernel stack: limits further apart than this are damaged.
const LARGEST_STACK: u64 = 0x10_0000;

fn current_stack(dump: &Dump, memory: Memory<'_>) -> std::ops::Range<u64> {
    let Some(triage) = dump.triage() else { return 0..0 };
    let thread = triage
        .debugger_data
        .as_ref()
        .zip(triage.thread)
        .and_then(|(data, range)| Thread::read(dump.header().arch, data, memory, range.address));
    let limits = thread.and_then(|thread| Some(thread.stack_limit?..thread.stack_base?));
    let bytes = triage.call_stack.address.0..triage.call_stack.address.0.saturating_add(triage.call_stack.length as u64);
    limits.filter(|stack| stack.start < stack.end && stack.end - stack.start <= LARGEST_STACK).unwrap_or(bytes)
}

impl Stack for Kernel<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        self.memory.read(VirtAddr(address), buffer).unwrap_or(0)
    }

    fn may_be_code(&self, address: u64) -> bool {
        self.modules.may_be_code(address)
    }

    /// Windows puts stubs for imported and indirect calls right behind an image that was built for retpolines (verified on a
    /// dump of build 19041).
    fn may_be_called(&self, from: u64, target: u64) -> bool {
        const STUBS: u64 = 0x2000;
        let end = self.modules.find(from).map(|place| place.module.end());
        self.may_be_code(target) || end.is_some_and(|end| (end..end.saturating_add(STUBS)).contains(&target))
    }
}
