//! Small sections that only Windows defines (`cper.h` of the SDK): NMI, recovery, PCI recovery, Project Mu telemetry.

use super::{Body, Context};
use crate::bytes::{Bytes, bit};
use crate::finding::{Blame, Details, Finding};
use crate::words::{Severity, coded, set_bits};
use crate::{Guid, Part};

/// A non-maskable interrupt (`WHEA_NMI_ERROR_SECTION`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nmi {
    /// Data of the platform.
    pub data: [u8; 8],
    /// Whether the hypervisor reported it.
    pub hypervisor: bool,
}

pub(super) fn decode_nmi(b: Bytes<'_>, _: &Context) -> Option<Body> {
    Some(Body::Nmi(Nmi { data: b.array(0)?, hypervisor: bit(b.u32(8)?.into(), 0) }))
}

impl Nmi {
    pub(super) fn finding(&self, severity: Severity) -> Finding {
        let (part, confidence, why) = if self.hypervisor {
            (Part::Unknown, 0.2, "the hypervisor raised the interrupt")
        } else {
            (Part::BoardFirmware, 0.3, "the board raises such an interrupt for memory and bus errors, a watchdog, or a button")
        };
        let data = self.data.map(|b| format!("{b:02x}")).join(" ");
        Blame::new(part, confidence, why).finding(
            severity,
            format!("The machine raised a non-maskable interrupt for a hardware error ({severity})."),
            vec![("data", data)],
        )
    }
}

coded! {
    /// Why recovery failed (`WHEA_RECOVERY_FAILURE_REASON`).
    RecoveryFailure {
        None = 0 => "none given",
        CouldNotMarkBad = 1 => "the memory could not be marked bad",
        MarkBadTimedOut = 2 => "marking the memory bad timed out",
        NoContext = 3 => "no recovery context",
        NotContinuable = 4 => "not continuable",
        ContextCorrupt = 5 => "processor context corrupt",
        Overflow = 6 => "further errors were lost",
        NotSupported = 7 => "not supported",
        AddressNotValid = 8 => "no valid address",
        InvalidAddressMode = 9 => "invalid address mode",
        HighIrql = 10 => "interrupt level too high",
        NoAlternateContext = 11 => "too few alternate contexts",
        InterruptsDisabled = 12 => "interrupts were disabled",
        SwapBusy = 13 => "swap busy",
        StackOverflow = 14 => "stack overflow",
        Unexpected = 15 => "unexpected failure",
        WouldPageFault = 16 => "the kernel would fault at this interrupt level",
        FaultAddressNotValid = 17 => "fault address not valid",
    }
}

const ACTIONS: &[(u32, &str)] = &[
    (0, "none attempted"),
    (1, "process terminated"),
    (2, "forwarded to a virtual machine"),
    (3, "page marked bad"),
    (4, "poison not present"),
];

/// What recovery Windows tried (`WHEA_ERROR_RECOVERY_INFO_SECTION`, packed).
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// Whether the kernel itself had to recover.
    pub kernel: bool,
    /// Bits as in [`Recovery::action_names`].
    pub actions: u64,
    /// 1: action required, 2: action optional.
    pub kind: u32,
    /// The interrupt level.
    pub irql: u8,
    /// Whether it worked.
    pub succeeded: bool,
    /// Why it did not.
    pub failure: RecoveryFailure,
    /// The process concerned.
    pub process: String,
}

pub(super) fn decode_recovery(b: Bytes<'_>, _: &Context) -> Option<Body> {
    Some(Body::Recovery(Recovery {
        kernel: b.u8(0)? != 0,
        actions: b.u64(1)?,
        kind: b.u32(9)?,
        irql: b.u8(13)?,
        succeeded: b.u8(14)? != 0,
        failure: RecoveryFailure::from_code(b.u32(15)?.into()),
        process: b.text(19, 20)?,
    }))
}

impl Recovery {
    /// What was done, in words.
    #[must_use]
    pub fn action_names(&self) -> Vec<String> {
        set_bits(self.actions, ACTIONS)
    }
}

coded! {
    /// How PCI recovery was signalled.
    RecoverySignal {
        Unknown = 0 => "unknown",
        Aer = 1 => "Advanced Error Reporting",
        Dpc = 2 => "Downstream Port Containment",
    }
}

coded! {
    /// How PCI recovery ended (`WHEA_PCI_RECOVERY_STATUS`).
    RecoveryStatus {
        Unknown = 0 => "unknown",
        NoError = 1 => "no error",
        LinkDisableTimeout = 2 => "the link could not be disabled in time",
        LinkEnableTimeout = 3 => "the link could not be enabled in time",
        RootPortBusy = 4 => "the root port stayed busy",
        ComplexTree = 5 => "the tree of devices is too complex",
        BusNotFound = 6 => "bus not found",
        DeviceNotFound = 7 => "device not found",
        AssignedDevice = 8 => "the device is assigned to a virtual machine",
        Failed = 9 => "failed",
        NoDevices = 10 => "recovered, but no device is left",
        CxlNotRecoverable = 11 => "a Compute Express Link error, not recoverable",
    }
}

/// What PCI recovery Windows tried (`WHEA_PCI_RECOVERY_SECTION`).
#[derive(Debug, Clone, PartialEq)]
pub struct PciRecovery {
    /// How it was signalled.
    pub signal: RecoverySignal,
    /// Whether it was tried.
    pub attempted: bool,
    /// How it ended.
    pub status: RecoveryStatus,
}

pub(super) fn decode_pci_recovery(b: Bytes<'_>, _: &Context) -> Option<Body> {
    Some(Body::PciRecovery(PciRecovery {
        signal: RecoverySignal::from_code(b.u8(0)?.into()),
        attempted: b.u8(1)? != 0,
        status: RecoveryStatus::from_code(b.u8(2)?.into()),
    }))
}

/// Telemetry of Project Mu firmware (`MU_TELEMETRY_SECTION`).
#[derive(Debug, Clone, PartialEq)]
pub struct MuTelemetry {
    /// The component that reports.
    pub component: Guid,
    /// Its part.
    pub sub_component: Guid,
    /// The error status.
    pub status: u32,
    /// Further data.
    pub info: [u64; 2],
}

pub(super) fn decode_mu(b: Bytes<'_>, _: &Context) -> Option<Body> {
    Some(Body::MuTelemetry(MuTelemetry {
        component: b.guid(0)?,
        sub_component: b.guid(16)?,
        status: b.u32(36)?,
        info: [b.u64(40)?, b.u64(48)?],
    }))
}

impl MuTelemetry {
    pub(super) fn finding(&self, severity: Severity) -> Finding {
        let mut d = Details::default();
        d.add("component", Some(self.component));
        d.add("sub-component", Some(self.sub_component));
        d.hex("status", Some(self.status));
        d.hex("info", Some(self.info[0]));
        d.hex("info", Some(self.info[1]));
        Blame::new(Part::BoardFirmware, 0.5, "the firmware reported one of its own components").finding(
            severity,
            format!("The firmware reported error {:#x} of a component ({severity}).", self.status),
            d.0,
        )
    }
}
