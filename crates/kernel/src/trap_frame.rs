//! KTRAP_FRAME: the registers that an interrupt or fault saved.
//!
//! The x64 (size 0x190) and x86 (size 0x8c) layouts are in Microsoft's public symbols and have not moved from Windows 7 to 11;
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
    /// The error code that the CPU pushed; on ARM64 its syndrome in the same bits: 1 write, 4 fetch.
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

const ARM64_SIZE: usize = 0x150;

impl TrapFrame {
    /// Size of the frame in bytes.
    #[must_use]
    pub fn size(arch: Arch) -> usize {
        match arch {
            Arch::X64 => X64_SIZE,
            Arch::X86 => X86_SIZE,
            Arch::Arm64 => ARM64_SIZE,
        }
    }

    /// Reads the frame at an address, if it can be one: its code segment, or its processor state, is one that Windows uses.
    #[must_use]
    pub fn read(arch: Arch, memory: Memory<'_>, address: VirtAddr) -> Option<Self> {
        let mut bytes = [0; X64_SIZE];
        let bytes = bytes.get_mut(..Self::size(arch))?;
        memory.try_read_exact(address, bytes)?;
        Self::parse(arch, address, Fields(bytes))
    }

    fn parse(arch: Arch, address: VirtAddr, frame: Fields<'_>) -> Option<Self> {
        match arch {
            Arch::X64 => Self::parse_x64(address, frame),
            Arch::X86 => Self::parse_x86(address, frame),
            Arch::Arm64 => Self::parse_arm64(address, frame),
        }
    }

    fn parse_x64(address: VirtAddr, frame: Fields<'_>) -> Option<Self> {
        let (cs, eflags) = (frame.u16(0x170)?, frame.u32(0x178)?);
        if !matches!(cs, 0x10 | 0x33 | 0x23) || eflags & 2 == 0 {
            return None;
        }
        let mut registers = Registers::empty(Arch::X64);
        for &(name, offset) in X64 {
            registers.set(name, frame.u64(offset)?);
        }
        registers.set("eflags", eflags.into());
        registers.set("cs", cs.into());
        registers.set("ss", frame.u16(0x188)?.into());
        Some(Self { address, registers, fault_address: frame.u64(0xd0), error_code: frame.u64(0x160)? })
    }

    fn parse_x86(address: VirtAddr, frame: Fields<'_>) -> Option<Self> {
        let cs = frame.u16(0x6c)?;
        if !matches!(cs, 0x08 | 0x1b) || frame.u32(0x70)? & 2 == 0 {
            return None;
        }
        let mut registers = Registers::empty(Arch::X86);
        for &(name, offset) in X86 {
            registers.set(name, frame.u32(offset)?.into());
        }
        registers.set("cs", cs.into());
        // A fault in kernel mode pushes no stack pointer: the stack at the fault begins where HardwareEsp would be.
        let sp = if cs == 0x08 { address.0.wrapping_add(0x74) } else { frame.u32(0x74)?.into() };
        registers.set("esp", sp);
        Some(Self { address, registers, fault_address: None, error_code: frame.u32(0x64)?.into() })
    }

    /// FaultAddress 8, Spsr 0x90, Esr 0x94, Sp 0x98, X0..X18 from 0xA0, Lr 0x138, Fp 0x140, Pc 0x148: as the public ARM64
    /// unwinder of .NET declares it. Not verified on a real dump.
    fn parse_arm64(address: VirtAddr, frame: Fields<'_>) -> Option<Self> {
        let (spsr, esr) = (frame.u32(0x90)?, frame.u32(0x94)?);
        let (sp, pc) = (frame.u64(0x98)?, frame.u64(0x148)?);
        // AArch64 state (bit 4 clear), an exception level of 0 or 1, and registers that are aligned as the processor demands.
        if spsr & 0x1a != 0 || pc == 0 || pc % 4 != 0 || sp % 16 != 0 {
            return None;
        }
        let mut registers = Registers::empty(Arch::Arm64);
        for (index, name) in Registers::names(Arch::Arm64).iter().take(19).enumerate() {
            registers.set(name, frame.u64(0xa0 + 8 * index)?);
        }
        for (name, value) in [("cpsr", spsr.into()), ("sp", sp), ("lr", frame.u64(0x138)?), ("fp", frame.u64(0x140)?), ("pc", pc)] {
            registers.set(name, value);
        }
        // In the words of an x64 error code: a data abort's bit 6 tells a write, an instruction abort is a fetch.
        let error_code = match esr >> 26 {
            0x24 | 0x25 if esr & 0x40 != 0 => 2,
            0x20 | 0x21 => 0x10,
            _ => 0,
        };
        Some(Self { address, registers, fault_address: frame.u64(8), error_code })
    }
}

/// Slides over the memory from `start` on and returns every frame that `accept` wants, nearest first.
///
/// Frames lie on 8-byte (x64, ARM64) or 4-byte (x86) boundaries. Verified: on minidumps of 0x50, 0xD1 and 0xBE exactly one frame
/// matches the bug check's own parameters.
#[must_use]
pub fn find_trap_frames(arch: Arch, memory: Memory<'_>, start: VirtAddr, accept: &dyn Fn(&TrapFrame) -> bool) -> Vec<TrapFrame> {
    let Ok(bytes) = memory.run(start) else { return Vec::new() };
    let size = TrapFrame::size(arch);
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
