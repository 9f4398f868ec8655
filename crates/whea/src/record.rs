//! The record itself: header, section descriptors, sections, and what they mean together.

use std::fmt;

use crate::bytes::{Bytes, bit, when};
use crate::finding::{Blame, Finding};
use crate::section::{self, Body, Descriptor, Section};
use crate::words::Severity;
use crate::{Error, Guid, Note, Parsed, Part};

const SIGNATURE: u32 = u32::from_le_bytes(*b"CPER");
const SIGNATURE_END: u32 = 0xffff_ffff;
const HEADER_SIZE: usize = 128;
/// More sections than this are not read; real records have a handful.
const MAX_SECTIONS: usize = 256;

/// From here on a finding has something to say.
const SPEAKS: f64 = 0.3;
/// Up to here it only says that a section is there.
const SILENT: f64 = 0.1;

/// The header of a record (UEFI specification, appendix N.2.1; `WHEA_ERROR_RECORD_HEADER` of the SDK).
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Format revision; Windows writes 0x0210.
    pub revision: u16,
    /// How many sections the record claims.
    pub section_count: u16,
    /// The severity of the whole.
    pub severity: Severity,
    /// The length the record claims.
    pub length: u32,
    /// When it was made.
    pub timestamp: Option<Timestamp>,
    /// The platform, when marked valid.
    pub platform: Option<Guid>,
    /// The partition, when marked valid.
    pub partition: Option<Guid>,
    /// Who made the record.
    pub creator: Guid,
    /// How the error announced itself.
    pub notify: Guid,
    /// The record's number; Windows counts from a time stamp.
    pub record_id: u64,
    /// Bits as in [`Header::flag_names`].
    pub flags: u32,
}

/// When a record was made. Windows writes plain binary numbers in UTC (as its own FILETIME values beside them show);
/// the UEFI specification asks for decimal-coded local time, which firmware may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    /// All four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// Whether it is the very time of the error, and not of its collection.
    pub precise: bool,
    /// Whether the numbers were written as Windows writes them (binary, UTC) or decimal-coded (local time).
    pub binary: bool,
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second, .. } = self;
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

impl Timestamp {
    /// The century byte tells the encoding: 20 is 0x14 in binary and 0x20 decimal-coded.
    fn read([second, minute, hour, flags, day, month, year, century]: [u8; 8]) -> Option<Self> {
        let binary = match century {
            0x13..=0x15 => true,
            0x19 | 0x20 => false,
            _ => return None,
        };
        let number = |b: u8| if binary { b } else { (b >> 4) * 10 + (b & 0xf) };
        // Some firmware counts centuries from one: 21 for the years from 2000.
        let hundreds = number(century).min(20);
        let stamp = Self {
            year: u16::from(hundreds) * 100 + u16::from(number(year)),
            month: number(month),
            day: number(day),
            hour: number(hour),
            minute: number(minute),
            second: number(second),
            precise: bit(flags.into(), 0),
            binary,
        };
        let plausible = number(year) < 100
            && (1..=12).contains(&stamp.month)
            && (1..=31).contains(&stamp.day)
            && stamp.hour < 24
            && stamp.minute < 60
            && stamp.second < 61;
        plausible.then_some(stamp)
    }
}

impl Header {
    fn read(b: Bytes<'_>, notes: &mut Vec<Note>) -> Option<Self> {
        let valid = u64::from(b.u32(16)?);
        let stamp: [u8; 8] = b.array(24)?;
        let timestamp = bit(valid, 1).then(|| Timestamp::read(stamp)).flatten();
        if bit(valid, 1) && timestamp.is_none() {
            notes.push(Note::new(24, "the time stamp is marked valid but is no time"));
        }
        let end = b.u32(6)?;
        if end != SIGNATURE_END {
            notes.push(Note::new(6, format!("the signature's end is {end:#010x}, not 0xffffffff")));
        }
        Some(Self {
            revision: b.u16(4)?,
            section_count: b.u16(10)?,
            severity: Severity::from_code(b.u32(12)?.into()),
            length: b.u32(20)?,
            timestamp,
            platform: when(valid, 0, b.guid(32)),
            partition: when(valid, 2, b.guid(48)),
            creator: b.guid(64)?,
            notify: b.guid(80)?,
            record_id: b.u64(96)?,
            flags: b.u32(104)?,
        })
    }

    /// How the error announced itself, in words.
    #[must_use]
    pub fn notify_name(&self) -> Option<&'static str> {
        name_of(NOTIFY, self.notify)
    }

    /// Who made the record, in words.
    #[must_use]
    pub fn creator_name(&self) -> Option<&'static str> {
        name_of(CREATORS, self.creator)
    }

    /// The set flags in words.
    #[must_use]
    pub fn flag_names(&self) -> Vec<String> {
        crate::words::set_bits(self.flags.into(), FLAGS)
    }
}

fn name_of(table: &[(Guid, &'static str)], key: Guid) -> Option<&'static str> {
    table.iter().find(|(g, _)| *g == key).map(|(_, name)| *name)
}

/// `WHEA_ERROR_RECORD_HEADER_FLAGS`; the first three are UEFI's.
const FLAGS: &[(u32, &str)] = &[
    (0, "recovered"),
    (1, "from a previous session"),
    (2, "simulated"),
    (3, "device driver"),
    (4, "critical event"),
    (5, "bad page number kept"),
    (6, "sections truncated"),
    (7, "recovery in progress"),
    (8, "throttled"),
];

/// Creator ids of Windows.
const CREATORS: &[(Guid, &str)] =
    &[(Guid(0xcf07c4bd_b789_4e18_b3c4_1f732cb57131), "Windows"), (Guid(0x57217c8d_5e66_44fb_8033_9b74cacedf5b), "a device driver")];

const NOTIFY_MACHINE_CHECK: Guid = Guid(0xe8f56ffe_919c_4cc5_ba88_65abe14913bb);
const NOTIFY_DRIVER: Guid = Guid(0x0033f803_2e70_4e88_992c_6f26daf3db7a);

/// Notification types: UEFI appendix N.2.1.1, then those only Windows has.
const NOTIFY: &[(Guid, &str)] = &[
    (NOTIFY_MACHINE_CHECK, "machine check exception"),
    (Guid(0x2dce8bb1_bdd7_450e_b9ad_9cf4ebd4f890), "corrected machine check"),
    (Guid(0x4e292f96_d843_4a55_a8c2_d481f27ebeee), "corrected platform error"),
    (Guid(0xcf93c01f_1a16_4dfc_b8bc_9c4daf67c104), "PCI Express error"),
    (Guid(0xcc5263e8_9308_454a_89d0_340bd39bc98e), "initialisation record"),
    (Guid(0x5bad89ff_b7e6_42c9_814a_cf2485d6e98a), "non-maskable interrupt"),
    (Guid(0x3d61a466_ab40_409a_a698_f362d464b38f), "error of the previous boot"),
    (Guid(0x667dd791_c6b3_4c27_8a6b_0f8e722deb41), "DMA remapping error"),
    (Guid(0x9a78788a_bbe8_11e4_809e_67611e5d46b0), "ARM synchronous external abort"),
    (Guid(0x5c284c81_b0ae_4e87_a322_b04c85624323), "ARM SError interrupt"),
    (Guid(0x09a9d5ac_5204_4214_96e5_94992e752bcd), "platform error interrupt"),
    (Guid(0x69293bc9_41df_49a3_b4bd_4fb0db3041f6), "Compute Express Link error"),
    (Guid(0x487565ba_6494_4367_95ca_4eff893522f6), "baseboard management controller"),
    (Guid(0x919448b2_3739_4b7f_a8f1_e0062805c2a3), "corrected machine check interrupt"),
    (NOTIFY_DRIVER, "device driver"),
    (Guid(0xfe84086e_b557_43cf_ac1b_17982e078470), "external interrupt"),
    (Guid(0x3e62a467_ab40_409a_a698_f362d464b38f), "generic error source"),
    (Guid(0xe9d59197_94ee_4a4f_8ad8_9b7d8bd93d2e), "system control interrupt"),
];

/// An error record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The header.
    pub header: Header,
    /// The sections, in the order of their descriptors.
    pub sections: Vec<Section>,
}

impl Record {
    /// Reads a record. Bytes beyond the length that the header claims are left alone.
    ///
    /// # Errors
    /// If the bytes are fewer than a header or do not start with `CPER`.
    pub fn parse(bytes: &[u8]) -> Result<Parsed<Self>, Error> {
        const WHAT: &str = "an error record (CPER)";
        let b = Bytes(bytes);
        let mut notes = Vec::new();
        if let Some(found) = b.u32(0).filter(|&s| s != SIGNATURE) {
            return Err(Error::WrongSignature { what: WHAT, found, expected: SIGNATURE });
        }
        let too_short = Error::TooShort { what: WHAT, have: bytes.len(), need: HEADER_SIZE };
        let whole = Bytes(b.at(0, HEADER_SIZE).ok_or(too_short)?);
        let header = Header::read(whole, &mut notes).ok_or(too_short)?;
        let b = Bytes(clip(bytes, header.length, &mut notes));
        let sections = read_sections(b, &header, &mut notes);
        Ok(Parsed { value: Self { header, sections }, notes })
    }

    /// The conclusions, surest first. Sections that tell the same error again, in fewer words, add none.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let finest = self.sections.iter().map(|s| s.body.grain()).max().unwrap_or(0);
        let mut findings: Vec<Finding> = self
            .sections
            .iter()
            .filter(|s| s.body.grain() == 0 || s.body.grain() == finest)
            .flat_map(|s| s.findings(&self.header))
            .collect();
        if findings.is_empty() {
            findings.push(self.bare_finding());
        }
        // What says nothing stays out when something speaks.
        if findings.iter().any(|f| f.confidence >= SPEAKS) {
            findings.retain(|f| f.confidence > SILENT);
        }
        findings.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        findings.dedup();
        findings
    }

    /// The driver that reported its device, when one did.
    #[must_use]
    pub fn from_device_driver(&self) -> bool {
        self.header.notify == NOTIFY_DRIVER || bit(self.header.flags.into(), 3)
    }

    /// What to say of a record none of whose sections could be read.
    fn bare_finding(&self) -> Finding {
        let source = self.header.notify_name().map_or_else(|| format!("source {}", self.header.notify), str::to_owned);
        let sentence = format!(
            "A {} hardware error was recorded ({source}), but no section of the record says which part it was.",
            self.header.severity
        );
        Blame::new(Part::Unknown, 0.1, "no section of a known layout names a part").finding(
            self.header.severity,
            sentence,
            vec![("source", source)],
        )
    }
}

/// The bytes the header claims, as far as they are there.
fn clip<'a>(bytes: &'a [u8], length: u32, notes: &mut Vec<Note>) -> &'a [u8] {
    let claimed = usize::try_from(length).unwrap_or(usize::MAX);
    if claimed < HEADER_SIZE {
        notes.push(Note::new(20, format!("the record claims a length of {claimed} bytes, less than its header")));
        return bytes;
    }
    match bytes.get(..claimed) {
        Some(record) => {
            if bytes.len() > claimed {
                let extra = bytes.len() - claimed;
                notes.push(Note::new(claimed, format!("{extra} bytes after the record were not read")));
            }
            record
        }
        None => {
            let have = bytes.len();
            notes.push(Note::new(20, format!("the record claims {claimed} bytes, but only {have} are here")));
            bytes
        }
    }
}

fn read_sections(b: Bytes<'_>, header: &Header, notes: &mut Vec<Note>) -> Vec<Section> {
    let claimed = usize::from(header.section_count);
    if claimed > MAX_SECTIONS {
        notes.push(Note::new(10, format!("{claimed} sections are claimed; only {MAX_SECTIONS} are read")));
    }
    let mut descriptors = Vec::new();
    for index in 0..claimed.min(MAX_SECTIONS) {
        let offset = HEADER_SIZE + index * section::DESCRIPTOR_SIZE;
        match Descriptor::read(b, offset) {
            Some(descriptor) => descriptors.push(descriptor),
            None => {
                notes.push(Note::new(offset, format!("the record ends before descriptor {index} of {claimed}")));
                break;
            }
        }
    }
    let context = section::Context::gather(b, &descriptors);
    descriptors.into_iter().map(|d| section::read(b, d, &context, notes)).collect()
}

impl Section {
    /// What this section says by itself.
    fn findings(&self, header: &Header) -> Vec<Finding> {
        let severity = match self.descriptor.severity {
            Severity::Reserved(_) => header.severity,
            known => known,
        };
        self.body.findings(severity, &self.descriptor)
    }
}

impl Body {
    /// Three kinds of section tell a processor error, each in more detail than the one before; zero is all else.
    fn grain(&self) -> u8 {
        match self {
            Self::ProcessorGeneric(_) => 1,
            Self::X86Processor(_) => 2,
            Self::MachineCheck(_) => 3,
            _ => 0,
        }
    }
}
