//! What a minidump shows of threads and processes: KTHREAD/ETHREAD and EPROCESS, whose layouts Windows keeps to itself.
//!
//! KDDEBUGGER_DATA64 names some offsets; the others stand at fixed distances from those. Distances verified against
//! Microsoft's public type information of builds 9600, 19041, 22000 and 26100 (x64) and 7601 (x86).

use bugcheck_dump::{Arch, DebuggerData, Memory, VirtAddr};

/// A thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Where its ETHREAD lies.
    pub address: VirtAddr,
    /// Lowest address of its kernel stack.
    pub stack_limit: Option<u64>,
    /// First address above its kernel stack.
    pub stack_base: Option<u64>,
    /// Its stack pointer when it last stopped running.
    pub kernel_stack: Option<u64>,
    /// The process whose address space it was in.
    pub process: Option<VirtAddr>,
    /// Where it began: in a driver, for a driver's system thread.
    pub start_address: Option<u64>,
    /// Where its program began, for a user thread; for a system thread the same as `start_address` or 0.
    pub win32_start_address: Option<u64>,
}

impl Thread {
    /// Reads what the dump has of the thread at an address; `None` if it has nothing of it.
    #[must_use]
    pub fn read(arch: Arch, data: &DebuggerData, memory: Memory<'_>, address: VirtAddr) -> Option<Self> {
        let width = arch.pointer_width();
        let field = |offset: Option<usize>| {
            let value = memory.pointer(address.offset(offset? as u64), width).ok()?.0;
            (value != 0).then_some(value)
        };
        let irp_list = data.thread_irp_list();
        // StartAddress and Win32StartAddress stand on both sides of IrpList.
        let (before, behind) = if width == 8 { (0x60, 0x20) } else { (0x34, 0x14) };
        let thread = Self {
            address,
            stack_limit: field(data.thread_stack_limit()),
            stack_base: field(data.thread_stack_base()),
            kernel_stack: field(data.thread_kernel_stack()),
            process: field(data.thread_apc_process()).map(VirtAddr),
            start_address: field(irp_list.and_then(|offset| offset.checked_sub(before))),
            win32_start_address: field(irp_list.map(|offset| offset + behind)),
        };
        (thread.kernel_stack.is_some() || thread.stack_base.is_some()).then_some(thread)
    }
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Where its EPROCESS lies.
    pub address: VirtAddr,
    /// The first 14 characters of its file name: all that EPROCESS keeps.
    pub image: String,
    /// Its exit status, where that can be told apart from "still running" (0x103).
    pub exit_status: Option<u32>,
}

impl Process {
    /// Reads the process at an address; `None` if the dump lacks its name.
    #[must_use]
    pub fn read(arch: Arch, build: u32, data: &DebuggerData, memory: Memory<'_>, address: VirtAddr) -> Option<Self> {
        let offsets = ProcessOffsets::of(arch, build, data)?;
        let name: [u8; 15] = memory.array(address.offset(offsets.image)).ok()?;
        let end = name.iter().position(|&byte| byte == 0)?;
        let text = name.get(..end)?;
        let printable = text.len() > 1 && text.iter().all(|&byte| byte.is_ascii_graphic() || byte == b' ' || byte >= 0x80);
        let image = bugcheck_dump::Fields(text).ascii(0, end).filter(|_| printable)?;
        let exit_status = offsets.exit_status.and_then(|offset| memory.u32(address.offset(offset)).ok());
        Some(Self { address, image, exit_status: exit_status.filter(|&status| status != 0x103 && status != 0) })
    }
}

struct ProcessOffsets {
    image: u64,
    exit_status: Option<u64>,
}

impl ProcessOffsets {
    /// ImageFileName stands at a distance from Peb, which KDDEBUGGER_DATA64 names; ExitStatus at one from ImageFileName.
    fn of(arch: Arch, build: u32, data: &DebuggerData) -> Option<Self> {
        let peb = data.process_peb()? as u64;
        if arch == Arch::X86 {
            return Some(match build {
                7600..=7601 => Self { image: peb.checked_sub(0x3c)?, exit_status: Some(peb + 0xcc) },
                _ => Self { image: peb.checked_sub(0x3c)?, exit_status: None },
            });
        }
        Some(match build {
            ..=6999 => Self { image: peb.checked_sub(0x58)?, exit_status: None },
            7000..=7999 => Self { image: peb.checked_sub(0x58)?, exit_status: None },
            8000..=9999 => Self { image: peb + 0x50, exit_status: Some(peb + 0x1ec) },
            10000..=18999 => Self { image: peb + 0x58, exit_status: None },
            19000..=25999 => Self { image: peb + 0x58, exit_status: Some(peb + 0x284) },
            26000.. => Self { image: peb + 0x58, exit_status: Some(peb + 0x274) },
        })
    }
}
