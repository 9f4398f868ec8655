//! Records that firmware kept (UEFI specification, appendix N.2.10; `WHEA_FIRMWARE_ERROR_RECORD_REFERENCE`). The header is 16
//! bytes long up to revision 1 and 32 bytes with a GUID from revision 2 on; what follows is the platform's own.

use super::{Body, Context};
use crate::bytes::Bytes;
use crate::finding::{Blame, Details, Finding};
use crate::words::{Severity, coded};
use crate::{Guid, Part};

coded! {
    /// Whose record it is.
    RecordKind {
        ItaniumSal = 0 => "Itanium SAL record",
        SocType1 = 1 => "system-on-chip record, type 1",
        SocType2 = 2 => "system-on-chip record, type 2",
    }
}

/// Intel's CrashLog: what processor and chipset saved when the machine was lost.
const CRASH_LOG: Guid = Guid(0x8f87f311_c998_4d9e_a0c4_6065518c4f6d);

/// A firmware record.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Whose record it is.
    pub kind: RecordKind,
    /// Revision of the header.
    pub revision: u8,
    /// The record's number in firmware.
    pub record_id: u64,
    /// The format of what follows.
    pub format: Option<Guid>,
    /// What follows.
    pub data: Vec<u8>,
}

pub(super) fn decode(b: Bytes<'_>, _: &Context) -> Option<Body> {
    let revision = b.u8(1)?;
    let format = b.guid(16).filter(|_| revision >= 2);
    Some(Body::Firmware(Reference {
        kind: RecordKind::from_code(b.u8(0)?.into()),
        revision,
        record_id: b.u64(8)?,
        format,
        data: b.rest(if format.is_some() { 32 } else { 16 }).0.to_vec(),
    }))
}

impl Reference {
    /// Whether it is an Intel CrashLog.
    #[must_use]
    pub fn is_crash_log(&self) -> bool {
        self.format == Some(CRASH_LOG)
    }

    pub(super) fn finding(&self, severity: Severity) -> Finding {
        let what = if self.is_crash_log() { "an Intel CrashLog" } else { "a record of its own format" };
        let why = if self.is_crash_log() {
            "a CrashLog is taken when processor or chipset give up; what gave up is in data that only Intel's decoder reads"
        } else {
            "only the platform's maker can read what is inside"
        };
        let mut d = Details::default();
        d.add("record kind", Some(self.kind));
        d.add("header revision", Some(self.revision));
        d.add("format", self.format);
        d.hex("record id", Some(self.record_id));
        d.add("bytes", Some(self.data.len()));
        Blame::new(Part::Unknown, 0.15, why).finding(
            severity,
            format!("Firmware kept {what} of {} bytes about the error ({severity}).", self.data.len()),
            d.0,
        )
    }
}
