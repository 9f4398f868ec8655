//! The sections of a record: one descriptor each, and a body whose layout its type names.

pub mod arm;
pub mod firmware;
pub mod machine_check;
pub mod memory;
pub mod pci;
pub mod pcie;
pub mod processor;
pub mod storport;
pub mod windows;
pub mod x86;

use crate::bytes::{Bytes, when};
use crate::finding::{Blame, Finding};
use crate::mca::CpuModel;
use crate::words::{Severity, set_bits};
use crate::{Guid, Note, Part};

pub(crate) const DESCRIPTOR_SIZE: usize = 72;
/// A longer body is read only so far. Descriptors may overlap, so this bounds what a small hostile record can ask for.
const MAX_BODY: usize = 256 * 1024;

/// A section descriptor (UEFI specification, appendix N.2.2; `WHEA_ERROR_RECORD_SECTION_DESCRIPTOR` of the SDK).
#[derive(Debug, Clone, PartialEq)]
pub struct Descriptor {
    /// Where the body starts, from the start of the record.
    pub offset: u32,
    /// How long it is.
    pub length: u32,
    /// Format revision.
    pub revision: u16,
    /// Bits as in [`Descriptor::flag_names`].
    pub flags: u32,
    /// The type of the section.
    pub kind: Guid,
    /// The field-replaceable unit's id, when marked valid.
    pub fru_id: Option<Guid>,
    /// The field-replaceable unit's name, when marked valid.
    pub fru_text: Option<String>,
    /// The severity of this section.
    pub severity: Severity,
}

/// `WHEA_ERROR_RECORD_SECTION_DESCRIPTOR_FLAGS`; all but the last are UEFI's.
const FLAGS: &[(u32, &str)] = &[
    (0, "primary"),
    (1, "not contained"),
    (2, "component was reset"),
    (3, "threshold exceeded"),
    (4, "resource not accessible"),
    (5, "latent"),
    (6, "propagated"),
    (7, "unit named by a plug-in"),
];

impl Descriptor {
    pub(crate) fn read(record: Bytes<'_>, at: usize) -> Option<Self> {
        let b = Bytes(record.at(at, DESCRIPTOR_SIZE)?);
        let valid = u64::from(b.u8(10)?);
        Some(Self {
            offset: b.u32(0)?,
            length: b.u32(4)?,
            revision: b.u16(8)?,
            flags: b.u32(12)?,
            kind: b.guid(16)?,
            fru_id: when(valid, 0, b.guid(32)),
            fru_text: when(valid, 1, b.text(52, 20)).filter(|t| !t.is_empty()),
            severity: Severity::from_code(b.u32(48)?.into()),
        })
    }

    /// The set flags in words.
    #[must_use]
    pub fn flag_names(&self) -> Vec<String> {
        set_bits(self.flags.into(), FLAGS)
    }

    /// What kind of section this is, in words.
    #[must_use]
    pub fn kind_name(&self) -> Option<&'static str> {
        KINDS.iter().find(|(g, ..)| *g == self.kind).map(|(_, name, _)| *name)
    }

    /// As much of the body as the record holds and this crate reads.
    fn body<'a>(&self, record: Bytes<'a>) -> &'a [u8] {
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        let rest = record.rest(offset).0;
        let read = rest.len().min(length).min(MAX_BODY);
        rest.get(..read).unwrap_or(rest)
    }
}

/// A descriptor and its decoded body.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// The descriptor.
    pub descriptor: Descriptor,
    /// The body.
    pub body: Body,
}

/// The decoded body of a section.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Body {
    /// A processor error of any architecture.
    ProcessorGeneric(processor::Generic),
    /// An x86 or x64 processor error.
    X86Processor(x86::Processor),
    /// An ARM processor error.
    ArmProcessor(arm::Processor),
    /// A memory error, of either UEFI layout.
    Memory(memory::Memory),
    /// A PCI Express error.
    Pcie(Box<pcie::Pcie>),
    /// A PCI or PCI-X bus error.
    PciBus(pci::Bus),
    /// A PCI or PCI-X device error.
    PciDevice(pci::Device),
    /// A record kept by firmware.
    Firmware(firmware::Reference),
    /// Windows' own machine-check section.
    MachineCheck(Box<machine_check::MachineCheck>),
    /// A non-maskable interrupt.
    Nmi(windows::Nmi),
    /// What recovery Windows tried.
    Recovery(windows::Recovery),
    /// What PCI recovery Windows tried.
    PciRecovery(windows::PciRecovery),
    /// Telemetry of Project Mu firmware.
    MuTelemetry(windows::MuTelemetry),
    /// A disk error reported by Windows' storage port driver.
    StorPort(storport::StorPort),
    /// A section whose layout is not decoded, or whose bytes do not fit its layout.
    Opaque(Opaque),
}

/// Bytes that were not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque {
    /// The type's name, when it is known.
    pub name: Option<&'static str>,
    /// The bytes, as far as the record holds them.
    pub data: Vec<u8>,
}

/// What sections tell each other.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// The processor's model, from whichever section has its signature.
    pub model: Option<CpuModel>,
}

impl Context {
    pub fn gather(record: Bytes<'_>, descriptors: &[Descriptor]) -> Self {
        let signature = |d: &Descriptor| {
            let body = Bytes(d.body(record));
            match d.kind {
                PROCESSOR_GENERIC => processor::signature(body),
                X86_PROCESSOR => x86::signature(body),
                _ => None,
            }
        };
        Self { model: descriptors.iter().find_map(signature).map(CpuModel::from_signature) }
    }
}

type Decode = fn(Bytes<'_>, &Context) -> Option<Body>;

const PROCESSOR_GENERIC: Guid = Guid(0x9876ccad_47b4_4bdb_b65e_16f193c4f3db);
const X86_PROCESSOR: Guid = Guid(0xdc3ea0b0_a144_4797_b95b_53fa242b6e1d);

/// Every section type with a name: UEFI appendix N.2.2, then `cperguid.h` of the SDK; and how to read those that are read.
const KINDS: &[(Guid, &str, Option<Decode>)] = &[
    (PROCESSOR_GENERIC, "generic processor error", Some(processor::decode)),
    (X86_PROCESSOR, "x86/x64 processor error", Some(x86::decode)),
    (Guid(0xe19e3d16_bc11_11e4_9caa_c2051d5d46b0), "ARM processor error", Some(arm::decode)),
    (Guid(0xe429faf1_3cb7_11d4_bca7_0080c73c8881), "Itanium processor error", None),
    (Guid(0xa5bc1114_6f64_4ede_b863_3e83ed7c83b1), "memory error", Some(memory::decode_1)),
    (Guid(0x61ec04fc_48e6_d813_25c9_8daa44750b12), "memory error, version 2", Some(memory::decode_2)),
    (Guid(0xd995e954_bbc1_430f_ad91_b44dcb3c6f35), "PCI Express error", Some(pcie::decode)),
    (Guid(0xc5753963_3b84_4095_bf78_eddad3f9c9dd), "PCI/PCI-X bus error", Some(pci::decode_bus)),
    (Guid(0xeb5e4685_ca66_4769_b6a2_26068b001326), "PCI/PCI-X device error", Some(pci::decode_device)),
    (Guid(0x81212a96_09ed_4996_9471_8d729c8e69ed), "firmware error record", Some(firmware::decode)),
    (Guid(0x5b51fef7_c79d_4434_8f1b_aa62de3e2c64), "DMA remapping error", None),
    (Guid(0x71761d37_32b2_45cd_a7d0_b0fedd93e8cf), "Intel VT-d DMA remapping error", None),
    (Guid(0x036f84e1_7f37_428c_a79e_575fdfaa84ec), "AMD IOMMU DMA remapping error", None),
    (Guid(0x91335ef6_ebfb_4478_a6a6_88b728cf75d7), "CCIX error", None),
    (Guid(0x80b9efb4_52b5_4de3_a777_68784b771048), "Compute Express Link protocol error", None),
    (Guid(0x5e4706c1_5356_48c6_930b_52f2120a4458), "poisoned memory by unit", None),
    (Guid(0x8a1e1d01_42f9_4557_9c33_565e5cc3f7e8), "machine check", Some(machine_check::decode)),
    (Guid(0xe71254e7_c1b9_4940_ab76_909703a4320f), "non-maskable interrupt", Some(windows::decode_nmi)),
    (Guid(0xe71254e8_c1b9_4940_ab76_909703a4320f), "generic error", None),
    (Guid(0xe71254e9_c1b9_4940_ab76_909703a4320f), "WHEA error packet", None),
    (Guid(0x6f3380d1_6eb0_497f_a578_4d4c65a71617), "Itanium SAL record", None),
    (Guid(0xc34832a1_02c3_4c52_a9f1_9f1d5d7723fc), "recovery information", Some(windows::decode_recovery)),
    (Guid(0xdd060800_f6e1_4204_ac27_c4bca9568402), "PCI recovery", Some(windows::decode_pci_recovery)),
    (Guid(0x85183a8b_9c41_429c_939c_5c3c087ca280), "Project Mu telemetry", Some(windows::decode_mu)),
    (Guid(0xe16edb28_6113_4263_a41d_e53f8de78751), "memory error, Intel extension", None),
    (Guid(0x0e36c93e_ca15_4a83_ba8a_cbe80f7f0017), "corrected memory error summary", None),
    (Guid(0xe96eca99_53e2_4f52_9be7_d2dbe9508ed0), "corrected PCI Express error summary", None),
    (Guid(0xec49534b_30e7_4358_972f_eca6958fae3b), "PCI Express containment (DPC)", None),
    (Guid(0x81687003_dbfd_4728_9ffd_f0904f97597d), "persistent memory error", None),
    (Guid(0x1c15b445_9b06_4667_ac25_33c056b88803), "processor register dump", None),
    (Guid(0xf5fe48a6_84ce_4c1e_aa64_20c9a53099f1), "ARM synchronous external abort", None),
    (Guid(0xf2a4a152_9c6d_4020_aecf_7695b389251b), "ARM SError interrupt", None),
    (Guid(0xe3ebf4a2_df50_4708_b2d7_0b29ec2f7aa9), "ARM RAS node", None),
];

/// Reads the body that a descriptor points to.
pub(crate) fn read(record: Bytes<'_>, descriptor: Descriptor, context: &Context, notes: &mut Vec<Note>) -> Section {
    let data = descriptor.body(record);
    let at = usize::try_from(descriptor.offset).unwrap_or(usize::MAX);
    let kind = KINDS.iter().find(|(g, ..)| *g == descriptor.kind);
    let name = kind.map(|(_, name, _)| *name);
    let called = name.map_or_else(|| format!("section {}", descriptor.kind), |n| format!("section \"{n}\""));
    let claimed = descriptor.length;
    if u32::try_from(data.len()) != Ok(claimed) {
        let have = data.len();
        notes.push(Note::new(at, format!("{called} claims {claimed} bytes at {at:#x}, of which {have} were read")));
    }
    let decode = kind.and_then(|(_, _, decode)| *decode);
    let body = match decode {
        Some(decode) => decode(Bytes(data), context),
        None => storport::decode(Bytes(data)),
    };
    if decode.is_some() && body.is_none() {
        notes.push(Note::new(at, format!("{called} is too short for its layout or of an unknown version")));
    }
    let body = body.unwrap_or_else(|| Body::Opaque(Opaque { name, data: data.to_vec() }));
    Section { descriptor, body }
}

impl Body {
    /// What the body says about a part. Sections that only accompany others say nothing.
    pub(crate) fn findings(&self, severity: Severity, descriptor: &Descriptor) -> Vec<Finding> {
        match self {
            Self::ProcessorGeneric(s) => vec![s.finding(severity)],
            Self::X86Processor(s) => s.findings(severity),
            Self::ArmProcessor(s) => s.findings(severity),
            Self::Memory(s) => vec![s.finding(severity, descriptor)],
            Self::Pcie(s) => vec![s.finding(severity)],
            Self::PciBus(s) => vec![s.finding(severity)],
            Self::PciDevice(s) => vec![s.finding(severity)],
            Self::Firmware(s) => vec![s.finding(severity)],
            Self::MachineCheck(s) => s.findings(),
            Self::Nmi(s) => vec![s.finding(severity)],
            Self::MuTelemetry(s) => vec![s.finding(severity)],
            Self::StorPort(s) => vec![s.finding(severity)],
            Self::Recovery(_) | Self::PciRecovery(_) => Vec::new(),
            Self::Opaque(s) => vec![s.finding(severity, descriptor)],
        }
    }
}

impl Opaque {
    fn finding(&self, severity: Severity, descriptor: &Descriptor) -> Finding {
        let what = match self.name {
            Some(name) => format!("a section of kind \"{name}\""),
            None => format!("a section of unknown kind {}", descriptor.kind),
        };
        let sentence = format!("The record holds {what} of {} bytes that is not decoded.", self.data.len());
        Blame::new(Part::Unknown, 0.05, "its layout is not read, so it names no part").finding(
            severity,
            sentence,
            vec![("section type", descriptor.kind.to_string())],
        )
    }
}
