//! The section of Windows' storage port driver, found in records of device drivers (bug check 0x124 with parameter 1 = 0x10).
//!
//! No public document describes it, and its section type is all zero. The layout here is what real records show: text
//! `STORPORT`, a version and the section's length, a GUID at 24, the miniport's name at 40 (UTF-16, 32 bytes), then the
//! vendor (8 characters and NUL) and the product (16 characters and NUL) that a disk gives to a SCSI inquiry. Fields in
//! between have no known meaning and are left alone.

use super::Body;
use crate::bytes::Bytes;
use crate::finding::{Blame, Details, Finding};
use crate::words::Severity;
use crate::{Guid, Part};

const SIGNATURE: &[u8; 8] = b"STORPORT";

/// A disk error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorPort {
    /// Version of the layout.
    pub version: u16,
    /// A GUID that seems to name the disk.
    pub id: Guid,
    /// The miniport driver, such as `stornvme`.
    pub miniport: String,
    /// The disk's vendor, as it gives it.
    pub vendor: String,
    /// The disk's product name, as it gives it (at most 16 characters).
    pub product: String,
}

pub(super) fn decode(b: Bytes<'_>) -> Option<Body> {
    if b.at(0, SIGNATURE.len())? != SIGNATURE {
        return None;
    }
    Some(Body::StorPort(StorPort {
        version: b.u16(8)?,
        id: b.guid(24)?,
        miniport: b.wide_text(40, 32)?,
        vendor: b.text(72, 9)?,
        product: b.text(81, 17)?,
    }))
}

impl StorPort {
    pub(super) fn finding(&self, severity: Severity) -> Finding {
        let disk = [self.vendor.as_str(), self.product.as_str()].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ");
        let mut d = Details::default();
        d.add("miniport driver", Some(&self.miniport));
        d.add("disk", Some(&disk));
        d.add("id", Some(self.id));
        Blame::new(
            Part::Storage,
            0.85,
            "the storage driver itself reported this disk; its slot, cable, power or firmware can be at fault as well",
        )
        .finding(
            severity,
            format!("The storage driver \"{}\" reported an error of the disk \"{disk}\" ({severity}).", self.miniport),
            d.0,
        )
    }
}
