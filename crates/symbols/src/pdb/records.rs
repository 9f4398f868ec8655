//! The numbered records of the type and identity streams. <https://llvm.org/docs/PDB/TpiStream.html>

use bugcheck_dump::Fields;
use ms_pdb::types::{TypeData, TypeRecord, TypesIter, build_types_starts};

/// Most bytes of records that are read; larger ones than any real PDB's cannot be numbered with 32 bits.
const MOST: usize = 1 << 30;

/// The records of one stream.
#[derive(Debug, Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    /// Where the records begin in `bytes`.
    begin: usize,
    /// The number of the first.
    first: u32,
    /// Where each begins, from `begin`.
    starts: Vec<u32>,
}

impl Records {
    pub(super) fn new(bytes: Vec<u8>) -> Option<Self> {
        let fields = Fields(&bytes);
        let (begin, first, size) = (fields.size(4)?, fields.u32(8)?, fields.size(16)?);
        let records = bytes.get(begin..)?;
        let records = records.get(..size).unwrap_or(records);
        if records.len() > MOST {
            return None;
        }
        // A record has at least four bytes: the count cannot outgrow the stream.
        let starts = build_types_starts(0, records);
        Some(Self { begin, first, starts, bytes })
    }

    /// Whether a number is that of a record; lower ones stand for types that need none.
    pub(super) fn is_record(&self, number: u32) -> bool {
        number >= self.first
    }

    /// The record of a number.
    pub(super) fn get(&self, number: u32) -> Option<TypeData<'_>> {
        let start = *self.starts.get(number.checked_sub(self.first)? as usize)? as usize;
        TypesIter::new(self.bytes.get(self.begin.checked_add(start)?..)?).next()?.parse().ok()
    }

    /// Every record and its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, TypeRecord<'_>)> {
        (self.first..).zip(TypesIter::new(self.bytes.get(self.begin..).unwrap_or_default()).take(self.starts.len()))
    }
}
