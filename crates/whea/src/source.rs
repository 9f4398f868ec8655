//! What the parameters of a bug check say about an error whose record is not at hand.

use crate::finding::{Blame, Finding};
use crate::mca::{Bank, CpuModel, CpuVendor, Registers};
use crate::words::{Severity, coded};
use crate::{Detail, Part};

coded! {
    /// Where Windows heard of an error: `WHEA_ERROR_SOURCE_TYPE` of the SDK, and parameter 1 of bug check 0x124.
    ErrorSource {
        MachineCheck = 0x00 => "machine check exception",
        CorrectedMachineCheck = 0x01 => "corrected machine check",
        CorrectedPlatform = 0x02 => "corrected platform error",
        Nmi = 0x03 => "non-maskable interrupt",
        PciExpress = 0x04 => "PCI Express error",
        Generic = 0x05 => "generic hardware error source",
        Init = 0x06 => "initialisation error",
        Boot = 0x07 => "error of the previous boot, reported by firmware",
        SciGeneric = 0x08 => "generic hardware error source by system control interrupt",
        ItaniumMachineCheck = 0x09 => "Itanium machine check",
        ItaniumCorrectedMachineCheck = 0x0a => "Itanium corrected machine check",
        ItaniumCorrectedPlatform = 0x0b => "Itanium corrected platform error",
        GenericV2 = 0x0c => "generic hardware error source, version 2",
        SciGenericV2 = 0x0d => "generic hardware error source, version 2, by system control interrupt",
        Bmc = 0x0e => "baseboard management controller",
        PersistentMemory = 0x0f => "persistent memory address-range scrub",
        DeviceDriver = 0x10 => "device driver",
        ArmSynchronousAbort = 0x11 => "ARM synchronous external abort",
        ArmSError = 0x12 => "ARM SError interrupt",
    }
}

/// The error source that parameter 1 of bug check 0x124 names.
#[must_use]
pub fn error_source(p1: u64) -> ErrorSource {
    ErrorSource::from_code(p1)
}

/// Puts `MCi_STATUS` together from the two parameters that carry its halves, high first.
#[must_use]
pub fn mci_status(high: u64, low: u64) -> u64 {
    high << 32 | low & 0xffff_ffff
}

/// What parameters tell.
#[derive(Debug, Clone, PartialEq)]
pub struct BugCheck {
    /// Where the error came from.
    pub source: ErrorSource,
    /// The machine-check bank, when the parameters hold its status.
    pub bank: Option<Bank>,
    /// The conclusion.
    pub finding: Finding,
}

/// Bug check 0x124 from its parameters alone: `p1` is the source, `status` is [`mci_status`] of parameters 3 and 4.
#[must_use]
pub fn bug_check_124(p1: u64, status: u64) -> BugCheck {
    bug_check_124_on(CpuVendor::Unknown, None, p1, status)
}

/// As [`bug_check_124`], on a processor that is known from elsewhere.
#[must_use]
pub fn bug_check_124_on(vendor: CpuVendor, model: Option<CpuModel>, p1: u64, status: u64) -> BugCheck {
    let source = error_source(p1);
    if source == ErrorSource::MachineCheck && status != 0 {
        return machine_check(vendor, model, None, status);
    }
    let blame = source_blame(source);
    let sentence = format!("Windows stopped for an uncorrectable hardware error (source: {source}).");
    let details: Vec<Detail> = vec![("error source", format!("{source} ({p1:#x})"))];
    BugCheck { source, bank: None, finding: blame.finding(Severity::Fatal, sentence, details) }
}

/// Bug check 0x9C of x64, a machine check before WHEA was ready: `bank` is parameter 1, `status` is [`mci_status`] of
/// parameters 3 and 4.
#[must_use]
pub fn bug_check_9c(vendor: CpuVendor, model: Option<CpuModel>, bank: u64, status: u64) -> BugCheck {
    machine_check(vendor, model, u32::try_from(bank).ok(), status)
}

fn machine_check(vendor: CpuVendor, model: Option<CpuModel>, bank: Option<u32>, status: u64) -> BugCheck {
    let bank = Bank::decode(vendor, model, Registers::new(bank, status, 0, 0));
    let mut finding = bank.finding();
    // The parameters carry no MCi_ADDR and no MCi_MISC, whatever the status says.
    finding.details.retain(|(label, _)| !matches!(*label, "address" | "MCi_MISC" | "address kind"));
    BugCheck { source: ErrorSource::MachineCheck, finding, bank: Some(bank) }
}

fn source_blame(source: ErrorSource) -> Blame {
    use ErrorSource as S;
    let (part, confidence, why) = match source {
        S::MachineCheck | S::CorrectedMachineCheck | S::ItaniumMachineCheck | S::ItaniumCorrectedMachineCheck => {
            (Part::Cpu, 0.3, "the processor reported it, but no status says what it was")
        }
        S::PciExpress => (Part::Bus, 0.6, "a PCI Express port or device reported it; the record would name it"),
        S::PersistentMemory => (Part::Memory, 0.6, "persistent memory reported it"),
        S::DeviceDriver => (
            Part::Unknown,
            0.2,
            "a driver reported its device; often this is a storage driver, but only the record or the stack can say so",
        ),
        S::Boot => (Part::Unknown, 0.2, "firmware kept it from before the restart; the record would say what it was"),
        _ => (Part::Unknown, 0.2, "the source alone names no part; the record would"),
    };
    Blame::new(part, confidence, why)
}
