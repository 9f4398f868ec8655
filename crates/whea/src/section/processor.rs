//! The generic processor section (UEFI specification, appendix N.2.4.1; `WHEA_PROCESSOR_GENERIC_ERROR_SECTION`).

use super::{Body, Context};
use crate::Part;
use crate::bytes::{Bytes, bit, when};
use crate::finding::{Blame, Details, Finding};
use crate::mca::CpuModel;
use crate::words::{Severity, coded, set_bits};

coded! {
    /// The processor's architecture.
    Architecture {
        X86 = 0 => "x86/x64",
        Itanium = 1 => "Itanium",
        Arm = 2 => "ARM",
    }
}

coded! {
    /// The instruction set in use.
    InstructionSet {
        X86 = 0 => "x86",
        Itanium = 1 => "Itanium",
        X64 = 2 => "x64",
        Arm32 = 4 => "ARM A32",
        Arm64 = 8 => "ARM A64",
    }
}

coded! {
    /// What was being done.
    Operation {
        Generic = 0 => "unspecified",
        DataRead = 1 => "data read",
        DataWrite = 2 => "data write",
        InstructionExecution = 3 => "instruction execution",
    }
}

/// The bits of the error type.
const ERROR_TYPES: &[(u32, &str)] = &[(0, "cache"), (1, "address translation (TLB)"), (2, "bus"), (3, "micro-architectural")];

const FLAGS: &[(u32, &str)] = &[(0, "restartable"), (1, "precise"), (2, "overflow"), (3, "corrected")];

/// A processor error as any architecture can tell it. Fields not marked valid are absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Generic {
    /// The architecture.
    pub architecture: Option<Architecture>,
    /// The instruction set.
    pub instruction_set: Option<InstructionSet>,
    /// Bits: cache, TLB, bus, micro-architectural.
    pub error_type: Option<u8>,
    /// What was being done.
    pub operation: Option<Operation>,
    /// Bits: restartable, precise, overflow, corrected.
    pub flags: Option<u8>,
    /// The cache level and the like.
    pub level: Option<u8>,
    /// The processor's version; on x86, the signature of CPUID leaf 1.
    pub version: Option<u64>,
    /// The brand text.
    pub brand: Option<String>,
    /// Which processor; on x86, the APIC id.
    pub processor_id: Option<u64>,
    /// The address accessed.
    pub target_address: Option<u64>,
    /// Who asked.
    pub requester: Option<u64>,
    /// Who answered.
    pub responder: Option<u64>,
    /// The instruction pointer.
    pub instruction_pointer: Option<u64>,
}

/// The signature of CPUID leaf 1, if this is an x86 processor that gives it.
pub(super) fn signature(b: Bytes<'_>) -> Option<u32> {
    let valid = b.u64(0)?;
    let x86 = !bit(valid, 0) || b.u8(8)? == 0;
    when(valid, 6, b.u32(16)).filter(|&s| x86 && s != 0)
}

pub(super) fn decode(b: Bytes<'_>, _: &Context) -> Option<Body> {
    let valid = b.u64(0)?;
    let byte = |n, at| when(valid, n, b.u8(at));
    let wide = |n, at| when(valid, n, b.u64(at));
    b.at(0, 152)?;
    Some(Body::ProcessorGeneric(Generic {
        architecture: byte(0, 8).map(|c| Architecture::from_code(c.into())),
        instruction_set: byte(1, 9).map(|c| InstructionSet::from_code(c.into())),
        error_type: byte(2, 10),
        operation: byte(3, 11).map(|c| Operation::from_code(c.into())),
        flags: byte(4, 12),
        level: byte(5, 13),
        version: wide(6, 16),
        brand: when(valid, 7, b.text(24, 128)).filter(|t| !t.is_empty()),
        processor_id: wide(8, 152),
        target_address: wide(9, 160),
        requester: wide(10, 168),
        responder: wide(11, 176),
        instruction_pointer: wide(12, 184),
    }))
}

impl Generic {
    /// The x86 model, when the version gives it.
    #[must_use]
    pub fn model(&self) -> Option<CpuModel> {
        let x86 = self.architecture.is_none_or(|a| a == Architecture::X86);
        let signature = u32::try_from(self.version? & 0xffff_ffff).ok()?;
        x86.then(|| CpuModel::from_signature(signature))
    }

    /// The kinds of error named.
    #[must_use]
    pub fn error_types(&self) -> Vec<String> {
        set_bits(self.error_type.unwrap_or(0).into(), ERROR_TYPES)
    }

    pub(super) fn finding(&self, severity: Severity) -> Finding {
        let kinds = self.error_types();
        let what = if kinds.is_empty() { "an error".to_owned() } else { format!("a {} error", kinds.join(" and ")) };
        let blame = match self.error_type {
            Some(t) if t & 0b1011 != 0 => Blame::new(Part::Cpu, 0.8, "the kind of error is inside the processor"),
            Some(0b0100) => Blame::new(Part::Bus, 0.4, "a bus error that another device may have caused"),
            _ => Blame::new(Part::Cpu, 0.4, "the processor reported it without saying what kind it is"),
        };
        let mut d = Details::default();
        d.add("architecture", self.architecture);
        d.add("instruction set", self.instruction_set);
        d.list("error type", &kinds);
        d.add("operation", self.operation);
        d.list("flags", &set_bits(self.flags.unwrap_or(0).into(), FLAGS));
        d.add("level", self.level);
        d.hex("processor version", self.version);
        d.add("processor", self.brand.as_ref());
        d.add("processor id", self.processor_id);
        d.hex("target address", self.target_address);
        d.hex("instruction pointer", self.instruction_pointer);
        blame.finding(severity, format!("The processor reported {what} ({severity})."), d.0)
    }
}
