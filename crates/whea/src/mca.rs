//! Machine-check banks: what `MCi_STATUS` and its companions say.
//!
//! Both vendors share the upper flags (bits 57 to 63) and the form of the compound error codes (bits 0 to 15); the bits
//! between are each vendor's own, read in [`intel`] and [`amd`]. Sources: Intel SDM vol. 3, chapters
//! "Machine-Check Architecture" and "Interpreting Machine-Check Error Codes"; AMD64 APM vol. 2, chapter "Machine
//! Check Architecture"; AMD's Processor Programming References for the scalable extension (SMCA).

pub mod amd;
pub mod intel;

use std::fmt;

use crate::Part;
use crate::bytes::{bit, bits};
use crate::finding::{Blame, Detail, Details, Finding};
use crate::words::{Participation, Request, Severity, Target, Transaction, coded};

coded! {
    /// Whose processor it is, with the numbers of `WHEA_CPU_VENDOR`.
    CpuVendor {
        Unknown = 0 => "unknown vendor",
        Intel = 1 => "Intel",
        Amd = 2 => "AMD",
    }
}

/// Family, model and stepping as the vendors count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuModel {
    /// Base plus extended family.
    pub family: u16,
    /// Extended and base model.
    pub model: u16,
    /// Stepping.
    pub stepping: u8,
}

impl CpuModel {
    /// Reads the signature that CPUID leaf 1 gives in EAX (Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix E).
    #[must_use]
    pub fn from_signature(eax: u32) -> Self {
        let field = |first, last| u16::try_from(bits(eax.into(), first, last)).unwrap_or(0);
        let base = field(8, 11);
        let (family, extended) = if base == 0xf { (base + field(20, 27), true) } else { (base, base == 6) };
        let model = field(4, 7) | if extended { field(16, 19) << 4 } else { 0 };
        Self { family, model, stepping: u8::try_from(field(0, 3)).unwrap_or(0) }
    }
}

impl fmt::Display for CpuModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, model, stepping } = self;
        write!(f, "family {family:#x}, model {model:#x}, stepping {stepping}")
    }
}

/// The registers of one bank, as far as they were saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Registers {
    /// Which bank, if known.
    pub bank: Option<u32>,
    /// `MCi_STATUS`.
    pub status: u64,
    /// `MCi_ADDR`; counts only when the status says so.
    pub address: u64,
    /// `MCi_MISC`; counts only when the status says so.
    pub misc: u64,
    /// `MCG_CAP`, which says which optional bits of an Intel status have a meaning.
    pub capability: Option<u64>,
    /// AMD's `MCA_IPID`, which names the unit behind the bank.
    pub ipid: Option<u64>,
    /// AMD's `MCA_SYND`.
    pub syndrome: Option<u64>,
}

impl Registers {
    /// A bank of which only the four classic values are known.
    #[must_use]
    pub fn new(bank: Option<u32>, status: u64, address: u64, misc: u64) -> Self {
        Self { bank, status, address, misc, ..Self::default() }
    }
}

/// The flags both vendors define alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    /// Bit 63: the bank holds an error.
    pub valid: bool,
    /// Bit 62: a further error came before this one was cleared.
    pub overflow: bool,
    /// Bit 61: hardware did not correct the error.
    pub uncorrected: bool,
    /// Bit 60: reporting of this error was switched on.
    pub enabled: bool,
    /// Bit 59: `MCi_MISC` holds something.
    pub misc_valid: bool,
    /// Bit 58: `MCi_ADDR` holds something.
    pub address_valid: bool,
    /// Bit 57: the processor's state may be corrupt, so nothing could go on.
    pub context_corrupt: bool,
}

impl Flags {
    fn read(status: u64) -> Self {
        Self {
            valid: bit(status, 63),
            overflow: bit(status, 62),
            uncorrected: bit(status, 61),
            enabled: bit(status, 60),
            misc_valid: bit(status, 59),
            address_valid: bit(status, 58),
            context_corrupt: bit(status, 57),
        }
    }

    /// The set flags by their usual names.
    fn names(self) -> Vec<String> {
        let named = [
            (self.valid, "VAL"),
            (self.overflow, "OVER"),
            (self.uncorrected, "UC"),
            (self.enabled, "EN"),
            (self.misc_valid, "MISCV"),
            (self.address_valid, "ADDRV"),
            (self.context_corrupt, "PCC"),
        ];
        let set = named.into_iter().filter(|(set, _)| *set);
        set.map(|(_, name)| name.to_owned()).collect()
    }
}

coded! {
    /// What the memory controller was doing (`MMM`).
    MemoryOperation {
        Generic = 0 => "an unspecified request",
        Read = 1 => "a read",
        Write = 2 => "a write",
        AddressOrCommand = 3 => "an address or command transfer",
        Scrub = 4 => "scrubbing",
    }
}

/// The architectural error code, bits 0 to 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// Nothing reported.
    NoError,
    /// Not classified by the hardware.
    Unclassified,
    /// Parity error in the microcode ROM (Intel).
    MicrocodeRomParity,
    /// Another processor signalled an error (Intel).
    External,
    /// The checking twin of a redundant pair disagreed (Intel).
    FunctionalRedundancy,
    /// Parity error inside the processor (Intel).
    InternalParity,
    /// System-management code ran outside its memory (Intel).
    SmmCodeAccess,
    /// The core made no progress until its timer ran out (Intel).
    InternalTimer,
    /// Input or output failed (Intel).
    GenericIo,
    /// Internal error without a class; the code as it stands.
    InternalUnclassified(u16),
    /// Cache hierarchy, nothing more known (Intel).
    GenericCache {
        /// Level 0 to 2; 3 is "generic".
        level: u8,
    },
    /// Address translation buffer.
    Tlb {
        /// What was fetched.
        transaction: Transaction,
        /// Level 0 to 2; 3 is "generic".
        level: u8,
    },
    /// Cache or memory hierarchy.
    Cache {
        /// What was done.
        request: Request,
        /// What was fetched.
        transaction: Transaction,
        /// Level 0 to 2; 3 is "generic".
        level: u8,
    },
    /// Memory controller (Intel).
    Memory {
        /// What was done.
        operation: MemoryOperation,
        /// The channel, if the code names one.
        channel: Option<u8>,
        /// Whether this memory serves as a cache for other memory.
        as_cache: bool,
    },
    /// Bus or interconnect.
    Bus {
        /// The processor's role.
        participation: Participation,
        /// Whether the request timed out.
        timeout: bool,
        /// What was done.
        request: Request,
        /// Where the request went.
        target: Target,
        /// Level 0 to 2; 3 is "generic".
        level: u8,
    },
    /// A code of no published form.
    Other(u16),
}

impl Code {
    /// Reads bits 0 to 15 for a vendor. Intel's table is a superset and serves when the vendor is unknown.
    #[must_use]
    pub fn read(vendor: CpuVendor, status: u64) -> Self {
        let raw = u16::try_from(bits(status, 0, 15)).unwrap_or(0);
        match vendor {
            CpuVendor::Amd => Self::common(raw),
            _ => Self::intel(raw & !intel::FILTERING),
        }
    }

    fn intel(code: u16) -> Self {
        match code {
            0x0000 => Self::NoError,
            0x0001 => Self::Unclassified,
            0x0002 => Self::MicrocodeRomParity,
            0x0003 => Self::External,
            0x0004 => Self::FunctionalRedundancy,
            0x0005 => Self::InternalParity,
            0x0006 => Self::SmmCodeAccess,
            0x000c..=0x000f => Self::GenericCache { level: level(code) },
            0x0080..=0x00ff | 0x0280..=0x02ff => Self::Memory {
                operation: MemoryOperation::from_code(bits(code.into(), 4, 6)),
                channel: u8::try_from(code & 0xf).ok().filter(|&c| c != 0xf),
                as_cache: code & 0x0200 != 0,
            },
            0x0400 => Self::InternalTimer,
            0x0e0b => Self::GenericIo,
            _ => Self::common(code),
        }
    }

    /// The forms that both vendors use.
    fn common(code: u16) -> Self {
        let wide = u64::from(code);
        let transaction = Transaction::from_code(bits(wide, 2, 3));
        let request = Request::from_code(bits(wide, 4, 7));
        match code {
            0x0000 => Self::NoError,
            0x0010..=0x001f => Self::Tlb { transaction, level: level(code) },
            0x0100..=0x01ff => Self::Cache { request, transaction, level: level(code) },
            0x0400..=0x07ff => Self::InternalUnclassified(code),
            0x0800..=0x0fff => Self::Bus {
                participation: Participation::from_code(bits(wide, 9, 10)),
                timeout: bit(wide, 8),
                request,
                target: Target::from_code(bits(wide, 2, 3)),
                level: level(code),
            },
            _ => Self::Other(code),
        }
    }

    /// What happened, as a phrase that can stand after "reported".
    #[must_use]
    pub fn phrase(self) -> String {
        match self {
            Self::NoError => "no error code".into(),
            Self::Unclassified => "an unclassified error".into(),
            Self::MicrocodeRomParity => "a parity error in its microcode ROM".into(),
            Self::External => "an error signalled by another processor".into(),
            Self::FunctionalRedundancy => "a mismatch between redundant processors".into(),
            Self::InternalParity => "an internal parity error".into(),
            Self::SmmCodeAccess => "that system-management code tried to run outside its protected memory".into(),
            Self::InternalTimer => "an internal timer error: a core made no progress for too long".into(),
            Self::GenericIo => "an input/output error".into(),
            Self::InternalUnclassified(code) => {
                format!("an unclassified internal error (code {code:#06x})")
            }
            Self::GenericCache { level } => {
                format!("an error in the {} cache hierarchy", level_name(level))
            }
            Self::Tlb { transaction, level } => {
                format!("an error in the {} {transaction} address-translation buffer (TLB)", level_name(level))
            }
            Self::Cache { request, transaction, level } => cache_phrase(request, transaction, level),
            Self::Memory { operation, channel, as_cache } => memory_phrase(operation, channel, as_cache),
            Self::Bus { participation, timeout, request, target, .. } => {
                let timeout = if timeout { " that timed out" } else { "" };
                format!("a bus or interconnect error during {request} to {target}{timeout} ({participation})")
            }
            Self::Other(code) => format!("error code {code:#06x}, which has no published meaning"),
        }
    }
}

fn cache_phrase(request: Request, transaction: Transaction, level: u8) -> String {
    let unit = match transaction {
        Transaction::Instruction => "instruction cache",
        Transaction::Data => "data cache",
        _ => "cache or memory hierarchy",
    };
    format!("an error in the {} {unit} during {request}", level_name(level))
}

fn memory_phrase(operation: MemoryOperation, channel: Option<u8>, as_cache: bool) -> String {
    let kind = if as_cache { "memory used as a cache" } else { "memory" };
    let channel = channel.map_or(String::new(), |c| format!(" on channel {c}"));
    format!("a {kind} error during {operation}{channel}")
}

fn level(code: u16) -> u8 {
    u8::try_from(code & 3).unwrap_or(0)
}

fn level_name(level: u8) -> &'static str {
    match level {
        0 => "level 0",
        1 => "level 1",
        2 => "level 2",
        _ => "last-level or unspecified",
    }
}

/// What the vendor's own bits say.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum VendorBits {
    /// Intel.
    Intel(intel::Bits),
    /// AMD.
    Amd(amd::Bits),
    /// The vendor is unknown, and so are these bits.
    Unknown,
}

/// One decoded bank.
#[derive(Debug, Clone, PartialEq)]
pub struct Bank {
    /// Whose processor.
    pub vendor: CpuVendor,
    /// Which processor, if known.
    pub model: Option<CpuModel>,
    /// The registers it was read from.
    pub registers: Registers,
    /// The common flags.
    pub flags: Flags,
    /// The architectural error code.
    pub code: Code,
    /// The vendor's own bits.
    pub vendor_bits: VendorBits,
}

impl Bank {
    /// Reads a bank.
    #[must_use]
    pub fn decode(vendor: CpuVendor, model: Option<CpuModel>, registers: Registers) -> Self {
        let flags = Flags::read(registers.status);
        let vendor_bits = match vendor {
            CpuVendor::Intel => VendorBits::Intel(intel::Bits::read(&registers, flags)),
            CpuVendor::Amd => VendorBits::Amd(amd::Bits::read(model, &registers)),
            _ => VendorBits::Unknown,
        };
        Self { vendor, model, registers, flags, code: Code::read(vendor, registers.status), vendor_bits }
    }

    /// The address, when the status vouches for it.
    #[must_use]
    pub fn address(&self) -> Option<u64> {
        self.flags.address_valid.then_some(self.registers.address)
    }

    /// How bad it was.
    #[must_use]
    pub fn severity(&self) -> Severity {
        let deferred = matches!(&self.vendor_bits, VendorBits::Amd(b) if b.deferred);
        match self.flags {
            Flags { valid: false, .. } => Severity::Informational,
            Flags { context_corrupt: true, .. } => Severity::Fatal,
            Flags { uncorrected: true, .. } => Severity::Recoverable,
            _ if deferred => Severity::Recoverable,
            _ => Severity::Corrected,
        }
    }

    /// The error in one plain sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let who = match self.vendor {
            CpuVendor::Intel | CpuVendor::Amd => format!("The {} processor", self.vendor),
            _ => "The processor".to_owned(),
        };
        let bank = self.registers.bank.map_or(String::new(), |n| format!(" (machine-check bank {n})"));
        if !self.flags.valid {
            return format!("{who}{bank} holds no valid error.");
        }
        let what = match &self.vendor_bits {
            VendorBits::Amd(b) => b.phrase(self.code),
            _ => self.code.phrase(),
        };
        format!("{who}{bank} reported {what}; {}.", self.consequence())
    }

    fn consequence(&self) -> String {
        let lost = if self.flags.overflow { ", and further errors were lost" } else { "" };
        let outcome = match (&self.vendor_bits, self.severity()) {
            (_, Severity::Fatal) => "it was not corrected and the processor could not go on",
            (VendorBits::Intel(b), Severity::Recoverable) => b.recovery_words(),
            (VendorBits::Amd(b), Severity::Recoverable) => b.recovery_words(),
            (_, Severity::Recoverable) => "it was not corrected",
            _ => "hardware corrected it",
        };
        format!("{outcome}{lost}")
    }

    /// The part it points to.
    #[must_use]
    pub fn blame(&self) -> Blame {
        if !self.flags.valid {
            return Blame::new(Part::Unknown, 0.0, "the status is not marked valid");
        }
        let blame = match &self.vendor_bits {
            VendorBits::Intel(_) => intel::blame(self.code),
            VendorBits::Amd(b) => amd::blame(b, self.code),
            VendorBits::Unknown => intel::blame(self.code).weaken(0.8, "the processor's vendor is not known and Intel's table was used"),
        };
        if self.severity() == Severity::Corrected {
            return Blame { why: format!("{}; hardware corrected it, so by itself it crashes nothing", blame.why), ..blame };
        }
        blame
    }

    /// Every decoded field.
    #[must_use]
    pub fn details(&self) -> Vec<Detail> {
        let mut d = Details::default();
        let r = &self.registers;
        d.add("processor model", self.model);
        d.add("bank", r.bank);
        d.add("MCi_STATUS", Some(format!("{:#018x}", r.status)));
        d.list("flags", &self.flags.names());
        d.add("error code", Some(format!("{:#06x}", bits(r.status, 0, 15))));
        d.hex("address", self.address());
        d.hex("MCi_MISC", self.flags.misc_valid.then_some(r.misc));
        match &self.vendor_bits {
            VendorBits::Intel(b) => b.details(&mut d),
            VendorBits::Amd(b) => b.details(r, &mut d),
            VendorBits::Unknown => {}
        }
        d.0
    }

    /// Sentence, blame and details together.
    #[must_use]
    pub fn finding(&self) -> Finding {
        self.blame().finding(self.severity(), self.sentence(), self.details())
    }
}
