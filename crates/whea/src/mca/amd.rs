//! AMD's part of `MCi_STATUS`, with the scalable extension (SMCA) of family 17h and later.
//!
//! Bits: AMD64 APM vol. 2, "Machine Check Architecture" (legacy and MCAX `MCi_STATUS`). Unit types (`MCA_IPID`: hardware
//! id and bank type) and their error codes are those of AMD's Processor Programming References for families 17h and 19h,
//! section "Machine Check Architecture Extensions", in the numbering that the Linux kernel's public tables give; the words
//! are our own. Real records show two of the units, PIE and DE. AMD has given
//! some codes other meanings on later models, so a name here is a strong hint, not a proof.

use super::{Code, CpuModel, Registers};
use crate::Part;
use crate::bytes::{bit, bits};
use crate::finding::{Blame, Details};

/// The first family with scalable machine-check banks.
const SCALABLE_FAMILY: u16 = 0x17;

/// A kind of unit behind a scalable bank.
#[derive(Debug, PartialEq)]
pub struct Unit {
    /// Hardware id, bits 32 to 43 of `MCA_IPID`.
    pub hardware: u16,
    /// Bank type, bits 48 to 63 of `MCA_IPID`.
    pub kind: u16,
    /// Its short name in AMD's documents.
    pub short: &'static str,
    /// What it is.
    pub name: &'static str,
    /// The part of the machine it belongs to.
    pub part: Part,
    /// How surely its errors point to that part.
    pub confidence: f64,
    /// What its extended error codes mean, in order.
    pub errors: &'static [&'static str],
}

/// Bits 16 to 56.
#[derive(Debug, Clone, PartialEq)]
pub struct Bits {
    /// Whether the bank is scalable; `None` if neither model nor `MCA_IPID` tells.
    pub scalable: Option<bool>,
    /// The extended error code: six bits from bit 16 in scalable banks, five in older ones.
    pub extended_code: u8,
    /// The unit behind a scalable bank, if `MCA_IPID` names one of those known.
    pub unit: Option<&'static Unit>,
    /// What the extended code means for that unit.
    pub error_name: Option<&'static str>,
    /// Bit 44: bad data was found but not used yet.
    pub deferred: bool,
    /// Bit 43: data already known to be bad was used.
    pub poison: bool,
    /// Bit 55: the running task's state may be corrupt.
    pub task_corrupt: bool,
    /// Bit 53, scalable banks: `MCA_SYND` holds something.
    pub syndrome_valid: bool,
    /// Bit 46: ECC corrected it.
    pub corrected_ecc: bool,
    /// Bit 45: ECC could not correct it.
    pub uncorrected_ecc: bool,
    /// Bit 40: the scrubber found it.
    pub scrub: bool,
}

impl Bits {
    pub(super) fn read(model: Option<CpuModel>, registers: &Registers) -> Self {
        let status = registers.status;
        let ipid = registers.ipid.filter(|&id| id != 0);
        let scalable = match (ipid, model) {
            (Some(_), _) => Some(true),
            (None, Some(m)) => Some(m.family >= SCALABLE_FAMILY),
            (None, None) => None,
        };
        let last = if scalable == Some(false) { 20 } else { 21 };
        let extended_code = u8::try_from(bits(status, 16, last)).unwrap_or(0);
        let unit = ipid.and_then(unit);
        let error_name = match (unit, scalable, registers.bank) {
            (Some(unit), ..) => unit.errors.get(usize::from(extended_code)).copied(),
            (None, Some(false), Some(4)) => NORTHBRIDGE.get(usize::from(extended_code)).copied(),
            _ => None,
        };
        Self {
            scalable,
            extended_code,
            unit,
            error_name: error_name.filter(|name| !name.is_empty()),
            deferred: bit(status, 44),
            poison: bit(status, 43),
            task_corrupt: bit(status, 55),
            syndrome_valid: scalable != Some(false) && bit(status, 53),
            corrected_ecc: bit(status, 46),
            uncorrected_ecc: bit(status, 45),
            scrub: bit(status, 40),
        }
    }

    /// What happened: the unit's own words where they are known, the architectural code where not.
    pub(super) fn phrase(&self, code: Code) -> String {
        match (self.unit, self.error_name) {
            (Some(unit), Some(error)) => format!("{error} in the {} ({})", unit.name, unit.short),
            (Some(unit), None) => {
                format!("extended error {} in the {} ({}), by its class {}", self.extended_code, unit.name, unit.short, code.phrase())
            }
            (None, Some(error)) => format!("{error} (northbridge)"),
            (None, None) => format!("{} (extended error {}, unit unknown)", code.phrase(), self.extended_code),
        }
    }

    pub(super) fn recovery_words(&self) -> &'static str {
        if self.deferred {
            "bad data was found and marked, but not used yet"
        } else if self.poison {
            "bad data was used, so the code that needed it could not go on"
        } else {
            "it was not corrected"
        }
    }

    pub(super) fn details(&self, registers: &Registers, d: &mut Details) {
        let flags = [
            (self.task_corrupt, "TCC"),
            (self.syndrome_valid, "SyndV"),
            (self.corrected_ecc, "CECC"),
            (self.uncorrected_ecc, "UECC"),
            (self.deferred, "Deferred"),
            (self.poison, "Poison"),
            (self.scrub, "Scrub"),
        ];
        let set: Vec<String> = flags.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()).collect();
        d.list("AMD flags", &set);
        d.add("extended error code", Some(self.extended_code));
        d.add("extended error", self.error_name);
        let unknown = (self.unit.is_none() && self.scalable != Some(false)).then_some("unknown");
        d.add("unit", self.unit.map(|u| u.name).or(unknown));
        d.hex("MCA_IPID", registers.ipid);
        d.hex("MCA_SYND", registers.syndrome.filter(|_| self.syndrome_valid));
        d.yes("scalable bank", self.scalable);
    }
}

/// The unit an `MCA_IPID` names.
#[must_use]
pub fn unit(ipid: u64) -> Option<&'static Unit> {
    let (hardware, kind) = (bits(ipid, 32, 43), bits(ipid, 48, 63));
    UNITS.iter().find(|u| u64::from(u.hardware) == hardware && u64::from(u.kind) == kind)
}

/// Which part a bank points to. The weights are this project's judgement.
pub(super) fn blame(b: &Bits, code: Code) -> Blame {
    let blame = match (b.unit, b.scalable) {
        (Some(unit), _) => unit_blame(unit, b.extended_code),
        (None, Some(false)) if b.error_name.is_some_and(|e| e.contains("DRAM")) => {
            Blame::new(Part::Memory, 0.85, "the memory controller saw it")
        }
        (None, _) => code_blame(code),
    };
    if b.poison {
        return blame.weaken(0.5, "the data was already marked bad, so it was damaged elsewhere");
    }
    blame
}

fn unit_blame(unit: &Unit, extended_code: u8) -> Blame {
    let why = match unit.part {
        Part::Cpu => "the unit is inside the processor package",
        Part::Memory => "the memory controller saw it: a module, its slot, its settings, or the path to it",
        _ => "the unit is in the processor package, but what it talks to is outside",
    };
    let blame = Blame::new(unit.part, unit.confidence, why);
    match (unit.short, extended_code) {
        ("EX", 0) => blame.weaken(0.6, "a core that waits too long may wait for memory or a device"),
        ("PIE", 2) | ("CS", _) | ("PIE", 1) => blame.weaken(0.9, "the fabric depends on memory clock and on-package voltages as well"),
        ("LS", 9 | 10 | 19..=21) | ("IF", 12 | 13) => blame.weaken(0.5, "the unit received data that was bad before it came"),
        ("UMC", 1) => blame.weaken(0.6, "poisoned data passed through the controller"),
        ("UMC", 6 | 7) => Blame::new(Part::Cpu, 0.8, "the controller's own storage is inside the processor"),
        _ => blame,
    }
}

/// Without a unit only the class of the code speaks, and the last level may be cache or memory.
fn code_blame(code: Code) -> Blame {
    let blame = super::intel::blame(code);
    match code {
        Code::Cache { level: 3, .. } => {
            Blame::new(Part::Cpu, 0.4, "the class fits the last-level cache and the memory behind it alike, and the unit is unknown")
        }
        Code::Cache { .. } => blame.weaken(0.8, "the unit behind the bank is unknown"),
        _ => blame,
    }
}

macro_rules! units {
    ($($hw:literal $kind:literal $short:literal $name:literal $part:ident $confidence:literal $errors:expr;)*) => {
        &[$(Unit { hardware: $hw, kind: $kind, short: $short, name: $name, part: Part::$part, confidence: $confidence, errors: $errors },)*]
    };
}

/// The known units, by hardware id and bank type.
static UNITS: &[Unit] = units! {
    0x0b0 0x00 "LS" "load-store unit" Cpu 0.9 LOAD_STORE;
    0x0b0 0x01 "IF" "instruction fetch unit" Cpu 0.9 FETCH;
    0x0b0 0x02 "L2" "level 2 cache" Cpu 0.9 LEVEL_2;
    0x0b0 0x03 "DE" "decode unit" Cpu 0.9 DECODE;
    0x0b0 0x05 "EX" "execution unit" Cpu 0.9 EXECUTION;
    0x0b0 0x06 "FP" "floating-point unit" Cpu 0.9 FLOATING_POINT;
    0x0b0 0x07 "L3" "level 3 cache" Cpu 0.9 LEVEL_3;
    0x0b0 0x10 "LS" "load-store unit" Cpu 0.9 LOAD_STORE_2;
    0x02e 0x00 "CS" "coherent station of the data fabric" Cpu 0.7 COHERENT;
    0x02e 0x01 "PIE" "data fabric's power, interrupt and link block" Cpu 0.7 FABRIC;
    0x02e 0x02 "CS" "coherent station of the data fabric" Cpu 0.7 COHERENT_2;
    0x02e 0x04 "MALL" "memory-attached last-level cache" Cpu 0.7 &[];
    0x096 0x00 "UMC" "memory controller" Memory 0.85 MEMORY;
    0x096 0x01 "UMCv2" "memory controller" Memory 0.8 MEMORY_2;
    0x005 0x00 "PB" "parameter block" Cpu 0.8 &["an ECC error"];
    0x0ff 0x00 "PSP" "security processor" Cpu 0.7 &["an ECC or parity error"];
    0x0ff 0x01 "PSP" "security processor" Cpu 0.7 &[];
    0x001 0x00 "SMU" "system management unit" Cpu 0.7 &["an ECC or parity error"];
    0x001 0x01 "SMU" "system management unit" Cpu 0.7 &[];
    0x001 0x02 "MP5" "management microprocessor" Cpu 0.7 &[];
    0x001 0x03 "MPDMA" "DMA microprocessor" Cpu 0.7 &[];
    0x018 0x00 "NBIO" "I/O hub" Bus 0.6 IO_HUB;
    0x046 0x00 "PCIE" "PCI Express controller" Bus 0.7 &[];
    0x046 0x01 "PCIE" "PCI Express controller" Bus 0.7 &["an internal parity error"];
    0x050 0x00 "XGMI" "link between processors" Bus 0.5 &[];
    0x06c 0x00 "NBIF" "I/O bridge" Bus 0.6 BRIDGE;
    0x080 0x00 "SHUB" "system hub" Bus 0.6 BRIDGE;
    0x0a8 0x00 "SATA" "SATA controller" Storage 0.5 &[];
    0x0aa 0x00 "USB" "USB controller" Bus 0.5 &[];
    0x241 0x00 "GMI" "link between dies" Cpu 0.6 &[];
    0x259 0x00 "XGMIPHY" "link between processors" Bus 0.5 &[];
    0x267 0x00 "WAFLPHY" "management link" Bus 0.5 &[];
    0x269 0x00 "GMIPHY" "link between dies" Cpu 0.6 &[];
};

const LOAD_STORE: &[&str] = &[
    "a load queue parity error",
    "a store queue parity error",
    "a miss buffer parity error",
    "a level 1 TLB parity error",
    "a data cache tag error",
    "a data cache tag error",
    "a data cache tag error",
    "an internal error",
    "an internal error",
    "bad data from the system (thread 0)",
    "bad data from the system (thread 1)",
    "a data cache tag error",
    "a data cache data error or use of poisoned data",
    "a data cache data error",
    "a data cache data error",
    "a data cache tag error",
    "a level 2 TLB parity error",
    "a page directory cache parity error",
    "a data cache tag error",
    "a data cache tag error",
    "bad fill data from the level 2 cache",
];

const LOAD_STORE_2: &[&str] = &[
    "a data cache ECC error on a probe or eviction",
    "a data cache ECC error or poison on a load",
    "a data cache ECC error on a store",
    "a data cache tag error on a probe or eviction",
    "a data cache tag error on a load",
    "a data cache tag error on a store",
    "an emulation memory ECC error on a load",
    "an emulation memory ECC error on a store",
    "a level 1 TLB parity error",
    "a level 2 TLB parity error",
    "a page walk cache parity error",
    "a store queue parity error",
    "a load queue parity error",
    "a miss buffer parity error",
    "a store buffer state parity error",
    "a store buffer address parity error",
    "a store buffer data parity error",
    "a write-combining buffer parity error",
    "a poisoned line in the store buffer",
    "bad data from the system on a load",
    "bad data from the system on a store",
    "bad data from the system on a write-combined store",
    "a hardware assertion",
    "a store forwarding parity error",
];

const FETCH: &[&str] = &[
    "a micro-op cache microtag parity error",
    "an instruction cache tag multi-hit error",
    "an instruction cache tag parity error",
    "an instruction cache data parity error",
    "an address queue parity error",
    "a level 0 instruction TLB parity error",
    "a level 1 instruction TLB parity error",
    "a level 2 instruction TLB parity error",
    "a prediction queue parity error (thread 0)",
    "a prediction queue parity error (thread 1)",
    "a level 1 branch target multi-match error",
    "a level 2 branch target multi-match error",
    "poisoned data from the level 2 cache",
    "bad data from the system",
    "a hardware assertion",
    "a level 1 TLB multi-hit error",
    "a level 2 TLB multi-hit error",
    "a branch status parity error",
];

const LEVEL_2: &[&str] = &["a tag multi-hit error", "a tag or state ECC error", "a data ECC error", "a hardware assertion"];

const DECODE: &[&str] = &[
    "a micro-op cache tag parity error",
    "a micro-op cache data parity error",
    "an instruction buffer parity error",
    "a micro-op queue parity error",
    "a dispatch queue parity error",
    "a fetch address queue parity error",
    "a patch RAM data parity error",
    "a patch RAM sequencer parity error",
    "a micro-op buffer parity error",
    "a hardware assertion",
];

const EXECUTION: &[&str] = &[
    "a watchdog timeout: no instruction finished for too long",
    "a register file parity error",
    "a flag register file parity error",
    "an immediate displacement file parity error",
    "an address generator parity error",
    "an execution payload parity error",
    "a checkpoint queue parity error",
    "a retire dispatch queue parity error",
    "a retire status queue parity error",
    "a scheduler queue parity error",
    "a branch buffer parity error",
    "a hardware assertion",
    "a speculative map parity error",
    "a retire map parity error",
];

const FLOATING_POINT: &[&str] = &[
    "a register file parity error",
    "a free list parity error",
    "a scheduler queue parity error",
    "a non-scheduling queue parity error",
    "a retire queue parity error",
    "a status register parity error",
    "a hardware assertion",
];

const LEVEL_3: &[&str] = &[
    "a shadow tag ECC error",
    "a shadow tag multi-hit error",
    "a tag ECC error",
    "a tag multi-hit error",
    "a data ECC error",
    "bad data from the fabric or a port parity error",
    "a victim queue parity error",
    "a hardware assertion",
];

const COHERENT: &[&str] = &[
    "an illegal request",
    "an address violation",
    "a security violation",
    "an illegal response",
    "an unexpected response",
    "a request or probe parity error",
    "a read response parity error",
    "an atomic request parity error",
    "a probe filter ECC error",
];

const COHERENT_2: &[&str] = &[
    "an illegal request",
    "an address violation",
    "a security violation",
    "an illegal response",
    "an unexpected response",
    "a request or probe parity error",
    "a read response parity error",
    "an atomic request parity error",
    "a read response without a request",
    "a probe filter protocol error",
    "a probe filter ECC error",
    "an unexpected retry",
    "a counter overflow",
    "a counter underflow",
];

const FABRIC: &[&str] = &[
    "a hardware assertion",
    "a register security violation",
    "a link error",
    "use of poisoned data",
    "a deferred error of the data fabric",
];

const MEMORY: &[&str] = &[
    "a DRAM ECC error",
    "poisoned data",
    "a port parity error",
    "a peripheral bus error",
    "an address or command parity error",
    "a write data CRC error",
    "an ECC error of the command queue's storage",
    "an ECC error of the encryption engine's storage",
];

const MEMORY_2: &[&str] = &[
    "a DRAM ECC error",
    "poisoned data",
    "a port parity error",
    "",
    "an address or command parity error",
    "a write data parity error",
    "an ECC error of the command queue's storage",
    "",
    "a read data parity error",
    "an ECC error of the read buffer",
    "an ECC error of the read response buffer",
    "a microprocessor error",
];

const IO_HUB: &[&str] =
    &["an ECC or parity error", "a PCI Express error", "an error event from a port", "poisoned data leaving", "an internal poison error"];

const BRIDGE: &[&str] = &["a timeout", "a memory ECC error", "an error event of the non-transparent bridge", "a port parity error"];

/// Extended codes of bank 4, the northbridge of families 10h to 16h (BIOS and Kernel Developer's Guides).
const NORTHBRIDGE: &[&str] = &[
    "a DRAM ECC error",
    "a link CRC error",
    "a link synchronisation error",
    "a master abort on a link",
    "a target abort on a link",
    "a bad graphics translation (GART) entry",
    "an unsupported atomic request from a link",
    "a watchdog timeout",
    "a DRAM ECC error",
    "a DMA exclusion error",
    "a link data error",
    "a link, level 3 cache or probe filter protocol error",
    "an internal array parity error",
    "a DRAM address or control parity error",
    "a link transmission error",
];
