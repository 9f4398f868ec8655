//! Windows' machine-check section (`WHEA_XPF_MCA_SECTION` of the SDK, versions 1 to 5): the registers of one bank, and in
//! versions 4 and 5 of further ones.

use super::{Body, Context};
use crate::bytes::{Bytes, bit, bits};
use crate::finding::{Details, Finding};
use crate::mca::{Bank, CpuVendor, Registers};

/// `MCG_STATUS`, `IA32_MCG_STATUS` (Intel SDM vol. 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalStatus(pub u64);

impl GlobalStatus {
    /// Execution could restart at the saved instruction pointer.
    #[must_use]
    pub fn restart_ip_valid(self) -> bool {
        bit(self.0, 0)
    }

    /// The saved instruction pointer belongs to the error.
    #[must_use]
    pub fn error_ip_valid(self) -> bool {
        bit(self.0, 1)
    }

    /// A machine check was being handled.
    #[must_use]
    pub fn in_progress(self) -> bool {
        bit(self.0, 2)
    }

    /// Only this processor got the machine check.
    #[must_use]
    pub fn local(self) -> bool {
        bit(self.0, 3)
    }
}

/// The section.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineCheck {
    /// The version of the layout.
    pub version: u32,
    /// Whose processor.
    pub vendor: CpuVendor,
    /// When, as a FILETIME: 100 ns units since 1601, UTC.
    pub filetime: u64,
    /// Which logical processor, in Windows' numbering.
    pub processor: u32,
    /// `MCG_STATUS`.
    pub global_status: GlobalStatus,
    /// `MCG_CAP`, where the version has it.
    pub capability: Option<u64>,
    /// The instruction pointer.
    pub instruction_pointer: u64,
    /// The APIC id, from version 2 on.
    pub apic_id: Option<u32>,
    /// The bank that reported.
    pub bank: Bank,
    /// Further banks with errors.
    pub more_banks: Vec<Bank>,
    /// Whether Windows recovered, where the version says and recovery was tried.
    pub recovered: Option<bool>,
}

/// Where version 4 (32 banks) and version 5 (64 banks) keep their arrays.
const MORE_COUNT: usize = 292;
const MORE_ARRAYS: usize = 296;
/// Up to and including `ApicId` and the 24 extended registers.
const FIRST_VERSION_SIZE: usize = 264;

pub(super) fn decode(b: Bytes<'_>, context: &Context) -> Option<Body> {
    let version = b.u32(0)?;
    if !(1..=5).contains(&version) || b.len() < FIRST_VERSION_SIZE {
        return None;
    }
    let vendor = CpuVendor::from_code(b.u32(4)?.into());
    let capability = b.u64(264).filter(|&c| version >= 2 && c != 0);
    // AMD's extended registers start with MCA_IPID and MCA_SYND.
    let amd = |at| b.u64(at).filter(|_| version >= 2 && vendor == CpuVendor::Amd);
    let first = Registers {
        bank: b.u32(36),
        status: b.u64(40)?,
        address: b.u64(48)?,
        misc: b.u64(56)?,
        capability,
        ipid: amd(72).filter(|&v| v != 0),
        syndrome: amd(80),
    };
    let bank = |r: Registers| Bank::decode(vendor, context.model, r);
    Some(Body::MachineCheck(Box::new(MachineCheck {
        version,
        vendor,
        filetime: b.u64(8)?,
        processor: b.u32(16)?,
        global_status: GlobalStatus(b.u64(20)?),
        capability,
        instruction_pointer: b.u64(28)?,
        apic_id: b.u32(68).filter(|_| version >= 2),
        more_banks: more_registers(b, version, capability)
            .filter(|r| bit(r.status, 63) && (r.bank, r.status) != (first.bank, first.status))
            .map(bank)
            .collect(),
        bank: bank(first),
        recovered: recovered(b).filter(|_| version >= 3),
    })))
}

/// `RecoveryInfo`: the action's first bit says whether recovery was tried, a later byte whether it worked.
fn recovered(b: Bytes<'_>) -> Option<bool> {
    let tried = bit(b.u32(276)?.into(), 0);
    b.u8(281).filter(|_| tried).map(|v| v != 0)
}

fn more_registers(b: Bytes<'_>, version: u32, capability: Option<u64>) -> impl Iterator<Item = Registers> {
    let room: usize = match version {
        4 => 32,
        5 => 64,
        _ => 0,
    };
    let claimed = b.u32(MORE_COUNT).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let array = move |index: usize| MORE_ARRAYS + room * 4 + room * 8 * index;
    (0..claimed.min(room)).filter_map(move |i| {
        Some(Registers {
            bank: b.u32(MORE_ARRAYS + i * 4),
            status: b.u64(array(0) + i * 8)?,
            address: b.u64(array(1) + i * 8)?,
            misc: b.u64(array(2) + i * 8)?,
            capability,
            ..Registers::default()
        })
    })
}

impl MachineCheck {
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = std::iter::once(&self.bank).chain(&self.more_banks).map(Bank::finding).collect();
        if let Some(first) = findings.first_mut() {
            first.details.extend(self.details().0);
        }
        findings
    }

    fn details(&self) -> Details {
        let mut d = Details::default();
        let g = self.global_status;
        d.add("logical processor", Some(self.processor));
        d.add("APIC id", self.apic_id);
        if g.0 != 0 {
            d.hex("MCG_STATUS", Some(g.0));
            d.yes("machine check in progress", Some(g.in_progress()));
            d.yes("could restart", Some(g.restart_ip_valid()));
        }
        d.hex("MCG_CAP", self.capability);
        d.add("banks", self.capability.map(|c| bits(c, 0, 7)));
        d.hex("instruction pointer", Some(self.instruction_pointer).filter(|&ip| ip != 0));
        d.yes("recovered", self.recovered);
        d
    }
}
