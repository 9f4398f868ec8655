//! The faulting instruction: its bytes, its text, and every address it touches.

mod arm64;
mod x86;

use bugcheck_dump::{Arch, Memory, Registers, VirtAddr};

/// The longest instruction of any architecture.
const LONGEST: usize = 15;

/// A memory access that an instruction makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The address it computes, if every register it needs is known.
    pub address: Option<u64>,
    /// Bytes it touches; at least 1.
    pub size: u64,
    /// True if it reads.
    pub reads: bool,
    /// True if it writes.
    pub writes: bool,
    /// How the address is computed, such as `rcx + 0x29`.
    pub expression: String,
    /// The register it starts from, if any.
    pub base: Option<&'static str>,
    /// Registers it needs whose values the dump does not have.
    pub unknown: Vec<String>,
}

/// A decoded instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Where it lies.
    pub address: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its text.
    pub text: String,
    /// The memory it touches, explicitly and through the stack.
    pub accesses: Vec<Access>,
    /// What kind of instruction it is, as far as faults are concerned.
    pub nature: Nature,
    /// Processor features it needs beyond the architecture's baseline, each with whether this processor has it.
    pub features: Vec<(&'static str, Option<bool>)>,
    /// Where it goes, if it returns, calls or jumps through a register or memory.
    pub target: Option<Target>,
}

/// Where an indirect branch takes its target from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A register, with its value if the dump has it.
    Register(Option<u64>),
    /// The pointer at an address, if that can be computed.
    Memory(Option<u64>),
}

/// True if `address` is inside another instruction: nearly every decoding that begins somewhat earlier steps over it.
///
/// x86 code synchronises itself: wherever decoding begins, it soon falls into step with the real instructions. So a real
/// instruction's address is met by nearly all attempts, and one that all of them step over is no instruction's.
#[must_use]
pub fn is_inside_another(arch: Arch, memory: Memory<'_>, address: u64) -> bool {
    const BEFORE: usize = 48;
    let mut bytes = [0; BEFORE + LONGEST];
    let start = address.wrapping_sub(BEFORE as u64);
    arch != Arch::Arm64 && memory.try_read_exact(VirtAddr(start), &mut bytes).is_some() && x86::steps_over(arch, &bytes, start, address)
}

/// What an instruction can do that matters when it faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Computes or moves data.
    Ordinary,
    /// Raises a general protection fault for other reasons than its address: privileged, or demands aligned memory.
    MayProtectionFault,
    /// A breakpoint.
    Breakpoint,
    /// Undefined on purpose (UD2, BRK): an assertion.
    Trap,
    /// The bytes are no instruction.
    Invalid,
}

/// Reads and decodes the instruction at `address`; `None` if the dump does not have its bytes.
#[must_use]
pub fn decode(
    arch: Arch,
    memory: Memory<'_>,
    registers: &Registers,
    cpuid: Option<&bugcheck_dump::secondary::Cpuid>,
    address: u64,
) -> Option<Instruction> {
    let mut bytes = [0; LONGEST];
    let length = memory.read(VirtAddr(address), &mut bytes).ok()?;
    let code = bytes.get(..length)?;
    match arch {
        Arch::X64 | Arch::X86 => x86::decode(arch, code, registers, cpuid, address),
        Arch::Arm64 => arm64::decode(code, registers, address),
    }
}
