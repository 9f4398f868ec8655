//! KTRAP_FRAME: the registers that an interrupt or fault saved.
//!
//! x64 (size 0x190) and x86 (size 0x8c) layouts are in Microsoft's public symbols and have not moved from Windows 7 to 11;
//! the x64 one is verified on real dumps of builds 9600, 19041 and 26100.

use bugcheck_dump::{Arch, Fields, Memory, Registers, VirtAddr};

/// A trap frame found in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrapFrame {
    /// Where it lies.
    pub address: VirtAddr,
    /// The registers it holds. Registers that a fault does not save are absent.
    pub registers: Registers,
    /// The address whose access faulted (CR2), where the frame is a page fault's.
    pub fault_address: Option<u64>,
    /// The error code that the CPU pushed.
    pub error_code: u64,
}

/// Offsets of the x64 frame.
const X64: &[(&str, usize)] = &[
    ("rax", 0x30),
    ("rcx", 0x38),
    ("rdx", 0x40),
    ("r8", 0x48),
    ("r9", 0x50),
    ("r10", 0x58),
    ("r11", 0x60),
    ("rbp", 0x158),
    ("rip", 0x168),
    ("rsp", 0x180),
];
const X86: &[(&str, usize)] = &[
    ("edx", 0x3c),
    ("ecx", 0x40),
    ("eax", 0x44),
    ("edi", 0x54),
    ("esi", 0x58),
    ("ebx", 0x5c),
    ("ebp", 0x60),
    ("eip", 0x68),
    ("eflags", 0x70),
];
const X64_SIZE: usize = 0x190;
const X86_SIZE: usize = 0x8c;

impl TrapFrame {
    /// Size of the frame in bytes; ARM64's is not read.
    #[must_use]
    pub fn size(arch: Arch) -> Option<usize> {
        match arch {
            Arch::X64 => Some(X64_SIZE),
            Arch::X86 => Some(X86_SIZE),
            Arch::Arm64 => None,
        }
    }

    /// Reads the frame at an address, if its code segment is one that Windows uses.
    #[must_use]
    pub fn read(arch: Arch, memory: Memory<'_>, address: VirtAddr) -> Option<Self> {
        let mut bytes = [0; X64_SIZE];
        let bytes = bytes.get_mut(..Self::size(arch)?)?;
        memory.try_read_exact(address, bytes)?;
        Self::parse(arch, address, Fields(bytes))
    }

    fn parse(arch: Arch, address: VirtAddr, frame: Fields<'_>) -> Option<Self> {
        let mut registers = Registers::empty(arch);
        if arch == Arch::X64 {
            let cs = frame.u16(0x170)?;
            if !matches!(cs, 0x10 | 0x33 | 0x23) || frame.u32(0x178)? & 2 == 0 {
                return None;
            }
            for &(name, offset) in X64 {
                registers.set(name, frame.u64(offset)?);
            }
            registers.set("eflags", frame.u32(0x178)?.into());
            registers.set("cs", cs.into());
            registers.set("ss", frame.u16(0x188)?.into());
            return Some(Self { address, registers, fault_address: frame.u64(0xd0), error_code: frame.u64(0x160)? });
        }
        let cs = frame.u16(0x6c)?;
        if !matches!(cs, 0x08 | 0x1b) || frame.u32(0x70)? & 2 == 0 {
            return None;
        }
        for &(name, offset) in X86 {
            registers.set(name, frame.u32(offset)?.into());
        }
        registers.set("cs", cs.into());
        // A fault in kernel mode pushes no stack pointer: the stack at the fault begins where HardwareEsp would be.
        let sp = if cs == 0x08 { address.0 + 0x74 } else { frame.u32(0x74)?.into() };
        registers.set("esp", sp);
        Some(Self { address, registers, fault_address: None, error_code: frame.u32(0x64)?.into() })
    }
}

/// Slides over the memory from `start` on and returns every frame that `accept` wants, nearest first.
///
/// Frames lie on 8-byte (x64) or 4-byte (x86) boundaries. Verified: on minidumps of 0x50, 0xD1 and 0xBE exactly one frame
/// matches the bug check's own parameters.
#[must_use]
pub fn find_trap_frames(arch: Arch, memory: Memory<'_>, start: VirtAddr, accept: &dyn Fn(&TrapFrame) -> bool) -> Vec<TrapFrame> {
    let (Some(size), Ok(bytes)) = (TrapFrame::size(arch), memory.run(start)) else { return Vec::new() };
    let step = arch.pointer_width();
    (0..bytes.len().saturating_sub(size - 1))
        .step_by(step)
        .filter_map(|at| TrapFrame::parse(arch, start.offset(at as u64), Fields(bytes.get(at..at + size)?)))
        .filter(|frame| accept(frame))
        .collect()
}

/// Completes a page fault's registers with the non-volatile ones, where the dump lets us know where they were saved.
///
/// KiBugCheckDispatch saves them in a KEXCEPTION_FRAME directly below the trap frame before it calls KeBugCheckEx, so they are
/// found exactly when the stack pointer at KeBugCheckEx lies that distance below. Layout: Microsoft's public symbols.
#[must_use]
pub fn full_registers(frame: &TrapFrame, memory: Memory<'_>, bug_check_sp: Option<u64>) -> Registers {
    const SIZE: u64 = 0x140;
    const SAVED: &[(&str, u64)] =
        &[("rbx", 0x100), ("rdi", 0x108), ("rsi", 0x110), ("r12", 0x118), ("r13", 0x120), ("r14", 0x128), ("r15", 0x130)];
    let mut registers = frame.registers.clone();
    let base = VirtAddr(frame.address.0.wrapping_sub(SIZE));
    if registers.arch() == Arch::X64 && bug_check_sp == Some(base.0.wrapping_sub(8)) {
        for &(name, offset) in SAVED {
            if let Ok(value) = memory.u64(base.offset(offset)) {
                registers.set(name, value);
            }
        }
    }
    registers
}
