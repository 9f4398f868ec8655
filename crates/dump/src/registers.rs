//! CPU registers as dumps keep them: the CONTEXT record of each architecture.

use crate::{Arch, Fields};

/// One named register with its value, or without one where the record that held it did not save it.
///
/// Names are the assembler's, in lower case (`rip`, `eip`, `pc`, `x29`); ARM64's `fp` and `lr` are named so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers {
    arch: Arch,
    values: Vec<Option<u64>>,
}

const X64: &[&str] = &[
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags", "cs",
    "ss",
];
const X86: &[&str] = &["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags", "cs", "ss"];
const ARM64: &[&str] = &[
    "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19",
    "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "fp", "lr", "sp", "pc", "cpsr", "fpcr", "fpsr",
];

/// Where CONTEXT keeps each register of the list above: (offset, bytes).
/// Sources: `winnt.h` of the public SDK for the three architectures; x64 and ARM64 verified on real triage dumps.
const X64_CONTEXT: &[(usize, usize)] = &[
    (0x78, 8),
    (0x80, 8),
    (0x88, 8),
    (0x90, 8),
    (0x98, 8),
    (0xa0, 8),
    (0xa8, 8),
    (0xb0, 8),
    (0xb8, 8),
    (0xc0, 8),
    (0xc8, 8),
    (0xd0, 8),
    (0xd8, 8),
    (0xe0, 8),
    (0xe8, 8),
    (0xf0, 8),
    (0xf8, 8),
    (0x44, 4),
    (0x38, 2),
    (0x42, 2),
];
const X86_CONTEXT: &[(usize, usize)] =
    &[(0xb0, 4), (0xac, 4), (0xa8, 4), (0xa4, 4), (0xc4, 4), (0xb4, 4), (0xa0, 4), (0x9c, 4), (0xb8, 4), (0xc0, 4), (0xbc, 4), (0xc8, 4)];

impl Registers {
    /// No register known yet.
    #[must_use]
    pub fn empty(arch: Arch) -> Self {
        Self { arch, values: vec![None; Self::names(arch).len()] }
    }

    /// The register names of an architecture, in the order they are shown.
    #[must_use]
    pub fn names(arch: Arch) -> &'static [&'static str] {
        match arch {
            Arch::X64 => X64,
            Arch::X86 => X86,
            Arch::Arm64 => ARM64,
        }
    }

    /// Decodes a CONTEXT record; `None` if the bytes end before its registers do, or if its flags name another architecture.
    #[must_use]
    pub fn from_context(arch: Arch, context: Fields<'_>) -> Option<Self> {
        let flags = context.u32(if arch == Arch::X64 { 0x30 } else { 0 })?;
        let mark = match arch {
            Arch::X64 => 0x0010_0000,
            Arch::X86 => 0x0001_0000,
            Arch::Arm64 => 0x0040_0000,
        };
        if flags & 0x00ff_0000 != mark || flags & 1 == 0 {
            return None;
        }
        let field = |(offset, size): (usize, usize)| match size {
            2 => context.u16(offset).map(u64::from),
            4 => context.u32(offset).map(u64::from),
            _ => context.u64(offset),
        };
        let values: Option<Vec<_>> = match arch {
            Arch::X64 => X64_CONTEXT.iter().map(|&place| field(place)).collect(),
            Arch::X86 => X86_CONTEXT.iter().map(|&place| field(place)).collect(),
            // X0..X28, Fp, Lr, Sp, Pc from 0x08; Cpsr at 4; Fpcr and Fpsr behind the 32 vector registers.
            Arch::Arm64 => (0..33).map(|n| (8 + 8 * n, 8)).chain([(4, 4), (0x310, 4), (0x314, 4)]).map(field).collect(),
        };
        Some(Self { arch, values: values?.into_iter().map(Some).collect() })
    }

    /// The architecture these registers belong to.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The value of a register by name, if the record saved it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        let index = Self::names(self.arch).iter().position(|&known| known == name)?;
        self.values.get(index).copied().flatten()
    }

    /// Sets a register; a name the architecture does not have is ignored.
    pub fn set(&mut self, name: &str, value: u64) {
        if let Some(index) = Self::names(self.arch).iter().position(|&known| known == name)
            && let Some(slot) = self.values.get_mut(index)
        {
            *slot = Some(value);
        }
    }

    /// The saved registers with their names, in the order they are shown.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Self::names(self.arch).iter().zip(&self.values).filter_map(|(&name, &value)| value.map(|value| (name, value)))
    }

    /// The instruction pointer.
    #[must_use]
    pub fn ip(&self) -> Option<u64> {
        self.get(match self.arch {
            Arch::X64 => "rip",
            Arch::X86 => "eip",
            Arch::Arm64 => "pc",
        })
    }

    /// The stack pointer.
    #[must_use]
    pub fn sp(&self) -> Option<u64> {
        self.get(match self.arch {
            Arch::X64 => "rsp",
            Arch::X86 => "esp",
            Arch::Arm64 => "sp",
        })
    }

    /// The frame pointer (a plain register where the code does not keep one).
    #[must_use]
    pub fn fp(&self) -> Option<u64> {
        self.get(match self.arch {
            Arch::X64 => "rbp",
            Arch::X86 => "ebp",
            Arch::Arm64 => "fp",
        })
    }
}

/// An EXCEPTION_RECORD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionRecord {
    /// NTSTATUS of the exception.
    pub code: u32,
    /// Flags; bit 0 means it cannot be continued.
    pub flags: u32,
    /// The instruction that raised it.
    pub address: u64,
    /// The exception's own parameters, at most 15.
    pub information: Vec<u64>,
}

impl ExceptionRecord {
    /// Decodes EXCEPTION_RECORD64 (x64, ARM64: 0x98 bytes) or EXCEPTION_RECORD32 (x86: 0x50 bytes), as `winnt.h` lays them out.
    #[must_use]
    pub fn parse(arch: Arch, record: Fields<'_>) -> Option<Self> {
        let width = arch.pointer_width();
        let (address_at, count_at, information_at) = if width == 8 { (0x10, 0x18, 0x20) } else { (0x0c, 0x10, 0x14) };
        let count = record.size(count_at)?;
        if count > 15 {
            return None;
        }
        Some(Self {
            code: record.u32(0)?,
            flags: record.u32(4)?,
            address: record.pointer(address_at, width)?,
            information: (0..count).map(|n| record.pointer(information_at + n * width, width)).collect::<Option<_>>()?,
        })
    }

    /// Size of the record in bytes.
    #[must_use]
    pub fn size(arch: Arch) -> usize {
        if arch.pointer_width() == 8 { 0x98 } else { 0x50 }
    }
}
