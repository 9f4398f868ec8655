//! Intel's part of `MCi_STATUS`: recovery, counting, thresholds (Intel SDM vol. 3, "Machine-Check Architecture",
//! figure and tables of IA32_MCi_STATUS, and "Recovery of Uncorrected Recoverable (UCR) Errors").

use super::{Code, Flags, Registers};
use crate::Part;
use crate::bytes::{bit, bits};
use crate::finding::{Blame, Details};
use crate::words::{Target, coded};

/// Bit 12 of a compound code: further corrected errors of this region were filtered out.
pub(super) const FILTERING: u16 = 0x1000;

coded! {
    /// How many corrected errors a structure has seen (bits 53 and 54 of a corrected error).
    Threshold {
        NotTracked = 0 => "not tracked",
        Green = 1 => "below the threshold",
        Yellow = 2 => "above the threshold",
    }
}

/// What software is asked to do about an uncorrected error that left the processor intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing: the damaged data was not used yet (UCNA).
    NoAction,
    /// Optional (SRAO).
    Optional,
    /// Required before going on (SRAR).
    Required,
    /// A combination the manual does not define.
    Undefined,
}

/// Bits 12 and 16 to 56.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits {
    /// Bits 16 to 31; their meaning depends on the model and the bank.
    pub model_code: u16,
    /// Bit 12: corrected errors of this region are no longer all reported.
    pub filtered: bool,
    /// Bits 38 to 52; `None` when the processor is known not to count.
    pub corrected_count: Option<u16>,
    /// Bits 53 and 54, of a corrected error on a processor that tracks thresholds.
    pub threshold: Option<Threshold>,
    /// Bit 37, on processors known to define it: firmware edited this status.
    pub firmware_updated: Option<bool>,
    /// Bits 55 and 56, of an uncorrected error on a processor that supports recovery.
    pub recovery: Option<Recovery>,
    /// The address mode of `MCi_MISC` bits 6 to 8, on a processor that supports recovery.
    pub address_mode: Option<AddressMode>,
}

coded! {
    /// What kind of address `MCi_ADDR` holds.
    AddressMode {
        Segment = 0 => "segment offset",
        Linear = 1 => "linear",
        Physical = 2 => "physical",
        Memory = 3 => "memory",
        Generic = 7 => "generic",
    }
}

impl Bits {
    pub(super) fn read(registers: &Registers, flags: Flags) -> Self {
        let Registers { status, misc, capability, .. } = *registers;
        // Without MCG_CAP, take what every processor of the last fifteen years has: counting and recovery.
        let has = |n| capability.is_none_or(|cap| bit(cap, n));
        let known = |n| capability.is_some_and(|cap| bit(cap, n));
        let corrected = !flags.uncorrected;
        Self {
            model_code: narrow(bits(status, 16, 31)),
            filtered: bit(status, 12) && corrected,
            corrected_count: (has(10) && corrected).then(|| narrow(bits(status, 38, 52))),
            threshold: (known(11) && corrected).then(|| Threshold::from_code(bits(status, 53, 54))),
            firmware_updated: known(25).then(|| bit(status, 37)),
            recovery: (has(24) && flags.uncorrected && !flags.context_corrupt).then(|| recovery(bit(status, 56), bit(status, 55))),
            address_mode: (has(24) && flags.misc_valid && flags.address_valid).then(|| AddressMode::from_code(bits(misc, 6, 8))),
        }
    }

    pub(super) fn recovery_words(&self) -> &'static str {
        match self.recovery {
            Some(Recovery::NoAction) => "it was not corrected, but the damaged data was not used yet",
            Some(Recovery::Optional) => "it was not corrected, but work could go on",
            Some(Recovery::Required) => "it was not corrected and the running code could not go on without recovery",
            Some(Recovery::Undefined) | None => "it was not corrected",
        }
    }

    pub(super) fn details(&self, d: &mut Details) {
        d.add("model-specific code", Some(format!("{:#06x}", self.model_code)));
        d.add("corrected errors counted", self.corrected_count);
        d.add("corrected-error tracking", self.threshold);
        d.add("address kind", self.address_mode);
        d.yes("status edited by firmware", self.firmware_updated);
        if self.filtered {
            d.add("filtering", Some("further corrected errors of this region are not reported"));
        }
        let recovery = self.recovery.map(|r| match r {
            Recovery::NoAction => "no action required (UCNA)",
            Recovery::Optional => "software recovery optional (SRAO)",
            Recovery::Required => "software recovery required (SRAR)",
            Recovery::Undefined => "action without signal, an undefined combination",
        });
        d.add("recovery", recovery);
    }
}

fn recovery(signalled: bool, action_required: bool) -> Recovery {
    match (signalled, action_required) {
        (false, false) => Recovery::NoAction,
        (true, false) => Recovery::Optional,
        (true, true) => Recovery::Required,
        (false, true) => Recovery::Undefined,
    }
}

fn narrow(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// Which part an architectural code points to. The weights are this project's judgement, not the manual's.
pub(super) fn blame(code: Code) -> Blame {
    use Part::{BoardFirmware, Bus, Cpu, Memory, Unknown};
    let (part, confidence, why) = match code {
        Code::NoError => (Unknown, 0.1, "the bank carries no error code"),
        Code::Unclassified => (Cpu, 0.3, "the processor could not classify the error"),
        Code::MicrocodeRomParity => (Cpu, 0.95, "the microcode ROM is inside the processor"),
        Code::External => (Unknown, 0.2, "another component signalled it"),
        Code::FunctionalRedundancy => (Cpu, 0.8, "two processors disagreed"),
        Code::InternalParity => (Cpu, 0.9, "the parity error is inside the processor; heat, voltage or overclocking can cause it too"),
        Code::SmmCodeAccess => (BoardFirmware, 0.7, "system-management code belongs to the firmware"),
        Code::InternalTimer => (
            Cpu,
            0.5,
            "the core stopped making progress; unstable voltage or clock does this, but so does a device that \
             never answers an access",
        ),
        Code::GenericIo => (Bus, 0.6, "input and output go to devices, whose failure the processor only reports"),
        Code::InternalUnclassified(_) => (Cpu, 0.6, "it is internal to the processor package, but has no class"),
        Code::GenericCache { .. } => (Cpu, 0.85, "the caches are inside the processor"),
        Code::Tlb { .. } => (Cpu, 0.9, "address-translation buffers are inside the processor"),
        Code::Cache { level: 3, .. } => {
            (Cpu, 0.8, "the last-level cache is inside the processor, but it also reports bad data that came from memory")
        }
        Code::Cache { .. } => (Cpu, 0.9, "this cache is inside the processor core"),
        Code::Memory { .. } => (
            Memory,
            0.85,
            "the memory controller saw it: a module, its slot, its settings, or (less often) the controller in the processor",
        ),
        Code::Bus { target: Target::Memory, .. } => {
            (Bus, 0.35, "the request went to memory over an interconnect; either end can be at fault")
        }
        Code::Bus { timeout: true, .. } => (Bus, 0.5, "a request was not answered; whatever should have answered is suspect"),
        Code::Bus { .. } => (Bus, 0.45, "the processor reports it, but another device on the interconnect may have caused it"),
        Code::Other(_) => (Unknown, 0.2, "the code has no published meaning"),
    };
    Blame::new(part, confidence, why)
}
