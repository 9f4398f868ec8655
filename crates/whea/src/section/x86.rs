//! The x86/x64 processor section (UEFI specification, appendix N.2.4.2; `WHEA_XPF_PROCESSOR_ERROR_SECTION`): up to 63
//! checks, then up to 63 saved contexts.

use super::{Body, Context};
use crate::bytes::{Bytes, bit, bits, when};
use crate::finding::{Blame, Details, Finding};
use crate::mca::CpuModel;
use crate::words::{Participation, Request, Severity, Target, Transaction, coded};
use crate::{Guid, Part};

const FIXED_SIZE: usize = 64;
const CHECK_SIZE: usize = 64;
const CONTEXT_HEADER: usize = 16;

/// An x86 processor error.
#[derive(Debug, Clone, PartialEq)]
pub struct Processor {
    /// The local APIC id.
    pub apic_id: Option<u64>,
    /// CPUID leaf 1: EAX, EBX, ECX, EDX (each stored in eight bytes).
    pub cpuid: Option<[u64; 4]>,
    /// How many checks the section claims.
    pub check_count: u8,
    /// How many contexts the section claims.
    pub context_count: u8,
    /// The checks that are there.
    pub checks: Vec<Check>,
    /// The contexts that are there.
    pub contexts: Vec<SavedContext>,
}

/// What kind of check a structure holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckKind {
    /// Cache.
    Cache,
    /// Address translation.
    Tlb,
    /// Bus.
    Bus,
    /// Micro-architecture specific.
    MicroArchitecture,
    /// A type without a published meaning.
    Unknown(Guid),
}

coded! {
    /// The error of a micro-architecture specific check.
    InternalError {
        None = 0 => "no error",
        Unclassified = 1 => "an unclassified error",
        MicrocodeParity = 2 => "a microcode ROM parity error",
        External = 3 => "an external error",
        FunctionalRedundancy = 4 => "a redundancy mismatch",
        InternalUnclassified = 5 => "an unclassified internal error",
    }
}

/// One error of the processor. Fields not marked valid are absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What was checked.
    pub kind: CheckKind,
    /// The check's raw bits.
    pub raw: Option<u64>,
    /// What was fetched.
    pub transaction: Option<Transaction>,
    /// What was done.
    pub request: Option<Request>,
    /// The cache level.
    pub level: Option<u8>,
    /// Whether the processor's state is corrupt.
    pub context_corrupt: Option<bool>,
    /// Whether it was not corrected.
    pub uncorrected: Option<bool>,
    /// Whether the instruction pointer belongs to the error.
    pub precise: Option<bool>,
    /// Whether the processor could go on from the instruction pointer.
    pub restartable: Option<bool>,
    /// Whether further errors were lost.
    pub overflow: Option<bool>,
    /// Bus checks: the processor's role.
    pub participation: Option<Participation>,
    /// Bus checks: whether it timed out.
    pub timeout: Option<bool>,
    /// Bus checks: where the request went.
    pub target: Option<Target>,
    /// Micro-architecture specific checks: what happened.
    pub internal: Option<InternalError>,
    /// The address accessed.
    pub target_address: Option<u64>,
    /// The instruction pointer.
    pub instruction_pointer: Option<u64>,
}

coded! {
    /// What a saved context holds.
    ContextKind {
        Unclassified = 0 => "unclassified data",
        Msr = 1 => "model-specific registers",
        X86 = 2 => "x86 registers",
        X64 = 3 => "x64 registers",
        Fxsave = 4 => "floating-point state",
        DebugX86 = 5 => "x86 debug registers",
        DebugX64 = 6 => "x64 debug registers",
        MemoryMapped = 7 => "memory-mapped registers",
    }
}

/// A saved context: its kind and raw bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedContext {
    /// What it holds.
    pub kind: ContextKind,
    /// The first model-specific register.
    pub msr: u32,
    /// The address of memory-mapped registers.
    pub mapped_address: u64,
    /// The registers, eight bytes each.
    pub registers: Vec<u64>,
}

const CACHE: Guid = Guid(0xa55701f5_e3ef_43de_ac72_249b573fad2c);
const TLB: Guid = Guid(0xfc06b535_5e1f_4562_9f25_0a3b9adb63c3);
const BUS: Guid = Guid(0x1cf3f8b3_c5b1_49a2_aa59_5eef92ffa63c);
const MICRO: Guid = Guid(0x48ab7f57_dc34_4f6c_a7d3_b0b5b0a74314);

pub(super) fn signature(b: Bytes<'_>) -> Option<u32> {
    when(b.u64(0)?, 1, b.u32(16)).filter(|&s| s != 0)
}

pub(super) fn decode(b: Bytes<'_>, _: &Context) -> Option<Body> {
    let valid = b.u64(0)?;
    b.at(0, FIXED_SIZE)?;
    let (check_count, context_count) = (bits(valid, 2, 7), bits(valid, 8, 13));
    let cpuid = || Some([b.u64(16)?, b.u64(24)?, b.u64(32)?, b.u64(40)?]);
    let mut at = FIXED_SIZE;
    let mut checks = Vec::new();
    for _ in 0..check_count {
        let Some(body) = b.at(at, CHECK_SIZE) else {
            break;
        };
        checks.extend(Check::read(Bytes(body)));
        at += CHECK_SIZE;
    }
    let mut contexts = Vec::new();
    for _ in 0..context_count {
        let Some((context, size)) = SavedContext::read(b.rest(at)) else {
            break;
        };
        contexts.push(context);
        at += size;
    }
    Some(Body::X86Processor(Processor {
        apic_id: when(valid, 0, b.u64(8)),
        cpuid: when(valid, 1, cpuid()),
        check_count: u8::try_from(check_count).unwrap_or(0),
        context_count: u8::try_from(context_count).unwrap_or(0),
        checks,
        contexts,
    }))
}

impl Check {
    fn read(b: Bytes<'_>) -> Option<Self> {
        let valid = b.u64(16)?;
        let raw = when(valid, 0, b.u64(24));
        let kind = match b.guid(0)? {
            CACHE => CheckKind::Cache,
            TLB => CheckKind::Tlb,
            BUS => CheckKind::Bus,
            MICRO => CheckKind::MicroArchitecture,
            other => CheckKind::Unknown(other),
        };
        let check = Self {
            kind,
            raw,
            target_address: when(valid, 1, b.u64(32)),
            instruction_pointer: when(valid, 4, b.u64(56)),
            ..Self::empty(kind)
        };
        Some(match (raw, kind) {
            (Some(raw), CheckKind::Cache | CheckKind::Tlb | CheckKind::Bus) => check.with_access(raw),
            (Some(raw), CheckKind::MicroArchitecture) => check.with_internal(raw),
            _ => check,
        })
    }

    fn empty(kind: CheckKind) -> Self {
        Self {
            kind,
            raw: None,
            transaction: None,
            request: None,
            level: None,
            context_corrupt: None,
            uncorrected: None,
            precise: None,
            restartable: None,
            overflow: None,
            participation: None,
            timeout: None,
            target: None,
            internal: None,
            target_address: None,
            instruction_pointer: None,
        }
    }

    /// Cache, TLB and bus checks share their form; validity bits come first, bit n for the n-th field.
    fn with_access(self, raw: u64) -> Self {
        let field = |n, first, last| when(raw, n, Some(bits(raw, first, last)));
        let flag = |n, at| when(raw, n, Some(bit(raw, at)));
        let bus = self.kind == CheckKind::Bus;
        Self {
            transaction: field(0, 16, 17).map(Transaction::from_code),
            request: field(1, 18, 21).map(Request::from_code),
            level: field(2, 22, 24).and_then(|l| u8::try_from(l).ok()),
            context_corrupt: flag(3, 25),
            uncorrected: flag(4, 26),
            precise: flag(5, 27),
            restartable: flag(6, 28),
            overflow: flag(7, 29),
            participation: field(8, 30, 31).filter(|_| bus).map(Participation::from_code),
            timeout: flag(9, 32).filter(|_| bus),
            target: field(10, 33, 34).filter(|_| bus).map(Target::from_code),
            ..self
        }
    }

    fn with_internal(self, raw: u64) -> Self {
        let flag = |n, at| when(raw, n, Some(bit(raw, at)));
        Self {
            internal: when(raw, 0, Some(InternalError::from_code(bits(raw, 16, 18)))),
            context_corrupt: flag(1, 19),
            uncorrected: flag(2, 20),
            precise: flag(3, 21),
            restartable: flag(4, 22),
            overflow: flag(5, 23),
            ..self
        }
    }

    fn phrase(&self) -> String {
        let during = self.request.map_or(String::new(), |r| format!(" during {r}"));
        let level = self.level.map_or(String::new(), |l| format!("level {l} "));
        match self.kind {
            CheckKind::Cache => format!("a {level}cache error{during}"),
            CheckKind::Tlb => format!("a {level}address-translation (TLB) error{during}"),
            CheckKind::Bus => {
                let target = self.target.map_or(String::new(), |t| format!(" to {t}"));
                format!("a bus error{during}{target}")
            }
            CheckKind::MicroArchitecture => self.internal.map_or_else(|| "an internal error".to_owned(), |e| e.to_string()),
            CheckKind::Unknown(guid) => format!("an error of unknown kind {guid}"),
        }
    }

    fn blame(&self) -> Blame {
        match self.kind {
            CheckKind::Cache | CheckKind::Tlb => Blame::new(Part::Cpu, 0.85, "the unit is inside the processor"),
            CheckKind::Bus => Blame::new(Part::Bus, 0.4, "another device on the bus may have caused it"),
            CheckKind::MicroArchitecture => Blame::new(Part::Cpu, 0.7, "it is internal to the processor"),
            CheckKind::Unknown(_) => Blame::new(Part::Cpu, 0.3, "the kind of check is unknown"),
        }
    }

    fn finding(&self, severity: Severity) -> Finding {
        let mut d = Details::default();
        d.hex("check", self.raw);
        d.add("transaction", self.transaction);
        d.add("operation", self.request);
        d.add("level", self.level);
        d.yes("context corrupt", self.context_corrupt);
        d.yes("uncorrected", self.uncorrected);
        d.yes("precise instruction pointer", self.precise);
        d.yes("restartable", self.restartable);
        d.yes("overflow", self.overflow);
        d.add("participation", self.participation);
        d.yes("timed out", self.timeout);
        d.add("address space", self.target);
        d.hex("target address", self.target_address);
        d.hex("instruction pointer", self.instruction_pointer);
        let sentence = format!("The processor reported {} ({severity}).", self.phrase());
        self.blame().finding(severity, sentence, d.0)
    }
}

impl SavedContext {
    /// The context and the room it takes.
    fn read(b: Bytes<'_>) -> Option<(Self, usize)> {
        let size = usize::from(b.u16(2)?);
        let data = b.at(CONTEXT_HEADER, size)?;
        let registers = data.chunks_exact(8).filter_map(|c| c.try_into().ok()).map(u64::from_le_bytes).collect();
        let context = Self { kind: ContextKind::from_code(b.u16(0)?.into()), msr: b.u32(4)?, mapped_address: b.u64(8)?, registers };
        Some((context, CONTEXT_HEADER + size))
    }
}

impl Processor {
    /// The model, from CPUID.
    #[must_use]
    pub fn model(&self) -> Option<CpuModel> {
        let [eax, ..] = self.cpuid?;
        u32::try_from(eax & 0xffff_ffff).ok().map(CpuModel::from_signature)
    }

    pub(super) fn findings(&self, severity: Severity) -> Vec<Finding> {
        if self.checks.is_empty() {
            let blame = Blame::new(Part::Cpu, 0.3, "the section names a processor but holds no check");
            let sentence = format!("A processor reported an error without details ({severity}).");
            return vec![blame.finding(severity, sentence, Vec::new())];
        }
        self.checks.iter().map(|c| c.finding(severity)).collect()
    }
}
