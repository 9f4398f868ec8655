//! The ARM processor section (UEFI specification, appendix N.2.4.4; `WHEA_ARM_PROCESSOR_ERROR_SECTION`).

use super::{Body, Context};
use crate::Part;
use crate::bytes::{Bytes, bit, bits, when};
use crate::finding::{Blame, Details, Finding};
use crate::words::{Participation, Request, Severity, Transaction, coded};

const FIXED_SIZE: usize = 40;
const ERROR_SIZE: usize = 32;
const CONTEXT_HEADER: usize = 8;
/// More structures than this are not read.
const MAX_STRUCTURES: u16 = 64;

/// An ARM processor error.
#[derive(Debug, Clone, PartialEq)]
pub struct Processor {
    /// Which processor (`MPIDR_EL1`).
    pub mpidr: Option<u64>,
    /// What kind of processor (`MIDR_EL1`).
    pub midr: u64,
    /// The level of affinity concerned.
    pub affinity_level: Option<u8>,
    /// Whether the processor was running.
    pub running: Option<bool>,
    /// The errors that are there.
    pub errors: Vec<ArmError>,
    /// The saved contexts that are there.
    pub contexts: Vec<SavedContext>,
}

/// What was in error.
///
/// Up to version 2.9 the UEFI specification listed the kinds without numbers, and firmware counted them from 0; since
/// version 2.9A they are bits 1 to 4. The code 2 is therefore ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Cache.
    Cache,
    /// Address translation.
    Tlb,
    /// Bus.
    Bus,
    /// Micro-architectural.
    MicroArchitecture,
    /// Cache by the newer numbering, bus by the older.
    CacheOrBus,
    /// Another code.
    Unknown(u8),
}

impl ErrorKind {
    fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Cache,
            1 | 4 => Self::Tlb,
            2 => Self::CacheOrBus,
            3 | 16 => Self::MicroArchitecture,
            8 => Self::Bus,
            other => Self::Unknown(other),
        }
    }
}

/// One error. Fields not marked valid are absent.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmError {
    /// What was in error.
    pub kind: ErrorKind,
    /// How many further errors there were; 0 for one, 1 for an unknown number.
    pub multiple: Option<u16>,
    /// Bits: first captured, last captured, propagated, overflow.
    pub flags: Option<u8>,
    /// The raw information.
    pub raw: Option<u64>,
    /// What was fetched.
    pub transaction: Option<Transaction>,
    /// What was done.
    pub request: Option<Request>,
    /// The cache level.
    pub level: Option<u8>,
    /// Whether the processor's state is corrupt.
    pub context_corrupt: Option<bool>,
    /// Whether it was corrected.
    pub corrected: Option<bool>,
    /// Bus errors: the processor's role.
    pub participation: Option<Participation>,
    /// Bus errors: whether it timed out.
    pub timeout: Option<bool>,
    /// The virtual address.
    pub virtual_address: Option<u64>,
    /// The physical address.
    pub physical_address: Option<u64>,
}

coded! {
    /// What a saved context holds.
    ContextKind {
        Aarch32General = 0 => "AArch32 general registers",
        Aarch32El1 = 1 => "AArch32 EL1 registers",
        Aarch32El2 = 2 => "AArch32 EL2 registers",
        Aarch32Secure = 3 => "AArch32 secure registers",
        Aarch64General = 4 => "AArch64 general registers",
        Aarch64El1 = 5 => "AArch64 EL1 registers",
        Aarch64El2 = 6 => "AArch64 EL2 registers",
        Aarch64El3 = 7 => "AArch64 EL3 registers",
        Misc = 8 => "a single system register",
    }
}

/// A saved context: its kind and raw bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedContext {
    /// What it holds.
    pub kind: ContextKind,
    /// The bytes.
    pub data: Vec<u8>,
}

pub(super) fn decode(b: Bytes<'_>, _: &Context) -> Option<Body> {
    let valid = u64::from(b.u32(0)?);
    b.at(0, FIXED_SIZE)?;
    let mut at = FIXED_SIZE;
    let mut errors = Vec::new();
    for _ in 0..b.u16(4)?.min(MAX_STRUCTURES) {
        let Some(body) = b.at(at, ERROR_SIZE) else {
            break;
        };
        errors.extend(ArmError::read(Bytes(body)));
        at += ERROR_SIZE;
    }
    let mut contexts = Vec::new();
    for _ in 0..b.u16(6)?.min(MAX_STRUCTURES) {
        let Some((context, size)) = SavedContext::read(b.rest(at)) else {
            break;
        };
        contexts.push(context);
        at += size;
    }
    Some(Body::ArmProcessor(Processor {
        mpidr: when(valid, 0, b.u64(16)),
        midr: b.u64(24)?,
        affinity_level: when(valid, 1, b.u8(12)),
        running: when(valid, 2, b.u32(32)).map(|s| bit(s.into(), 0)),
        errors,
        contexts,
    }))
}

impl ArmError {
    fn read(b: Bytes<'_>) -> Option<Self> {
        let valid = u64::from(b.u16(2)?);
        let raw = when(valid, 2, b.u64(8));
        let kind = ErrorKind::from_code(b.u8(4)?);
        let info = raw.unwrap_or(0);
        // As in the x86 checks, validity bits come first; the micro-architectural form is the vendor's own.
        let known = kind != ErrorKind::MicroArchitecture;
        let field = |n, first, last| when(info, n, Some(bits(info, first, last))).filter(|_| known);
        let flag = |n, at| field(n, at, at).map(|v| v == 1);
        let bus = kind == ErrorKind::Bus;
        Some(Self {
            kind,
            multiple: when(valid, 0, b.u16(5)),
            flags: when(valid, 1, b.u8(7)),
            raw,
            transaction: field(0, 16, 17).map(Transaction::from_code),
            request: field(1, 18, 21).map(Request::from_code),
            level: field(2, 22, 24).and_then(|l| u8::try_from(l).ok()),
            context_corrupt: flag(3, 25),
            corrected: flag(4, 26),
            participation: field(7, 29, 30).filter(|_| bus).map(Participation::from_code),
            timeout: flag(8, 31).filter(|_| bus),
            virtual_address: when(valid, 3, b.u64(16)),
            physical_address: when(valid, 4, b.u64(24)),
        })
    }

    fn finding(&self, severity: Severity) -> Finding {
        let (what, blame) = match self.kind {
            ErrorKind::Cache => ("a cache error", Blame::new(Part::Cpu, 0.85, "the caches are inside the processor")),
            ErrorKind::Tlb => ("an address-translation (TLB) error", Blame::new(Part::Cpu, 0.85, "the unit is inside the processor")),
            ErrorKind::Bus => ("a bus error", Blame::new(Part::Bus, 0.4, "another device on the bus may have caused it")),
            ErrorKind::MicroArchitecture => ("an internal error", Blame::new(Part::Cpu, 0.7, "it is internal to the processor")),
            ErrorKind::CacheOrBus => {
                ("a cache or bus error", Blame::new(Part::Cpu, 0.4, "older and newer firmware number the kinds of error differently"))
            }
            ErrorKind::Unknown(_) => ("an error of unknown kind", Blame::new(Part::Cpu, 0.3, "the kind of error is unknown")),
        };
        let mut d = Details::default();
        d.hex("error information", self.raw);
        d.add("transaction", self.transaction);
        d.add("operation", self.request);
        d.add("level", self.level);
        d.yes("context corrupt", self.context_corrupt);
        d.yes("corrected", self.corrected);
        d.add("participation", self.participation);
        d.yes("timed out", self.timeout);
        d.hex("virtual address", self.virtual_address);
        d.hex("physical address", self.physical_address);
        blame.finding(severity, format!("An ARM processor reported {what} ({severity})."), d.0)
    }
}

impl SavedContext {
    /// The context and the room it takes.
    fn read(b: Bytes<'_>) -> Option<(Self, usize)> {
        let size = usize::try_from(b.u32(4)?).ok()?;
        let context = Self { kind: ContextKind::from_code(b.u16(2)?.into()), data: b.at(CONTEXT_HEADER, size)?.to_vec() };
        Some((context, CONTEXT_HEADER + size))
    }
}

impl Processor {
    pub(super) fn findings(&self, severity: Severity) -> Vec<Finding> {
        if self.errors.is_empty() {
            let blame = Blame::new(Part::Cpu, 0.3, "the section names a processor but holds no error");
            let sentence = format!("An ARM processor reported an error without details ({severity}).");
            return vec![blame.finding(severity, sentence, Vec::new())];
        }
        self.errors.iter().map(|e| e.finding(severity)).collect()
    }
}
