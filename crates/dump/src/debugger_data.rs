//! KDDEBUGGER_DATA64: the kernel's own table of where a debugger finds things.
//!
//! Layout: `wdbgexts.h` of the public SDK. It is the same 64-bit structure on every architecture and only grows at its end
//! (0x360 bytes in build 9600, 0x380 in 19041, 0x3a0 in 26100; verified on dumps of each).

use crate::Fields;

/// A copy of KDDEBUGGER_DATA64.
#[derive(Clone, Debug)]
pub struct DebuggerData {
    bytes: Box<[u8]>,
}

/// Named fields that hold addresses.
macro_rules! addresses {
    ($($(#[$doc:meta])* $name:ident = $offset:literal;)*) => {
        $($(#[$doc])* #[must_use] pub fn $name(&self) -> Option<u64> { self.fields().u64($offset).filter(|&value| value != 0) })*
    };
}

/// Named fields that hold 16-bit sizes of kernel structures, or offsets within them.
macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident = $offset:literal;)*) => {
        $($(#[$doc])* #[must_use] pub fn $name(&self) -> Option<usize> { self.fields().u16($offset).map(usize::from).filter(|&value| value != 0) })*
    };
}

impl DebuggerData {
    /// The block at `offset` of a file, if it carries the mark `KDBG`.
    #[must_use]
    pub fn find(file: Fields<'_>, offset: usize, size: usize) -> Option<Self> {
        let bytes = file.bytes(offset, size.min(0x1000))?;
        (Fields(bytes).bytes(0x10, 4) == Some(b"KDBG")).then(|| Self { bytes: bytes.into() })
    }

    /// The raw block.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields(&self.bytes)
    }

    addresses! {
        /// Base of the kernel image.
        kernel_base = 0x18;
        /// `nt!PsLoadedModuleList`.
        ps_loaded_module_list = 0x48;
        /// `nt!PsActiveProcessHead`.
        ps_active_process_head = 0x50;
        /// `nt!KiBugCheckData`: code and parameters as five pointers.
        ki_bug_check_data = 0x88;
        /// `nt!MmPfnDatabase`.
        mm_pfn_database = 0xc0;
        /// `nt!NtBuildLab`.
        nt_build_lab = 0x208;
        /// `nt!KiProcessorBlock`: one PRCB pointer for each processor.
        ki_processor_block = 0x218;
        /// `nt!MmUnloadedDrivers`.
        mm_unloaded_drivers = 0x220;
    }

    offsets! {
        /// `KTHREAD.KernelStack`.
        thread_kernel_stack = 0x29c;
        /// `KTHREAD.InitialStack`.
        thread_initial_stack = 0x29e;
        /// `KTHREAD.ApcState.Process`.
        thread_apc_process = 0x2a0;
        /// Size of EPROCESS.
        size_of_process = 0x2a8;
        /// Size of KPRCB.
        size_of_prcb = 0x2b0;
        /// `KPRCB.CurrentThread`.
        prcb_current_thread = 0x2b4;
        /// `KPRCB.ProcessorState.ContextFrame`.
        prcb_processor_context = 0x2bc;
        /// `KPRCB.Number`.
        prcb_number = 0x2be;
        /// Size of ETHREAD.
        size_of_thread = 0x2c0;
        /// `KPRCB.Context`, a pointer to the CONTEXT of the bug check (Windows 7 and later).
        prcb_context = 0x338;
        /// `KTHREAD.StackLimit`.
        thread_stack_limit = 0x340;
        /// `KTHREAD.StackBase`.
        thread_stack_base = 0x344;
        /// `ETHREAD.IrpList`.
        thread_irp_list = 0x34c;
        /// `EPROCESS.Peb`.
        process_peb = 0x2aa;
    }
}
