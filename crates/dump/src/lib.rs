//! Windows kernel crash dump files: bytes of a file → header, triage blocks, secondary data, memory.
//!
//! Opening fails only where a file holds no kernel dump at all ([`Error`]). Damage inside a dump makes [`Note`]s beside
//! whatever could still be read; a hole in memory is an answer ([`Missing`]), not a failure.
//!
//! This crate knows nothing of kernel objects, symbols or what a bug check means.
#![deny(unsafe_code)]

mod address;
mod debugger_data;
mod error;
mod fields;
mod header;
mod map;
pub mod memory;
mod note;
mod registers;
pub mod secondary;
mod triage;

pub use address::{PhysAddr, VirtAddr};
pub use debugger_data::DebuggerData;
pub use error::Error;
pub use fields::Fields;
pub use header::{Arch, BugCheck, DumpKind, FileTime, Header};
pub use map::FileBytes;
pub use memory::{Memory, Missing, Range};
pub use note::{Note, Severity};
pub use registers::{ExceptionRecord, Registers};
pub use secondary::{Blob, BlobTag};
pub use triage::{Driver, Triage, TriageHeader, UnloadedDriver};

use std::path::Path;

/// An opened dump.
#[derive(Debug)]
pub struct Dump {
    bytes: FileBytes,
    header: Header,
    triage: Option<Triage>,
    blobs: Vec<Blob>,
    notes: Vec<Note>,
}

impl Dump {
    /// Maps a file and reads its tables.
    ///
    /// # Errors
    /// Why the file holds no kernel dump.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes = FileBytes::open(path).map_err(|source| Error::Open { path: path.to_owned(), source })?;
        Self::parse(bytes)
    }

    /// Reads the tables of a dump that is already in memory.
    ///
    /// # Errors
    /// Why the bytes hold no kernel dump.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        Self::parse(FileBytes::Held(bytes))
    }

    fn parse(bytes: FileBytes) -> Result<Self, Error> {
        let header = Header::parse(&bytes)?;
        let mut notes = Vec::new();
        let triage = (header.kind == DumpKind::Triage).then(|| Triage::parse(&bytes, &header, &mut notes));
        let blobs =
            triage.as_ref().map_or_else(Vec::new, |triage| secondary::blobs(&bytes, triage.header.size_of_dump as usize, &mut notes));
        if header.kind == DumpKind::HeaderOnly {
            notes.push(Note::warning(
                "the file holds a dump header and nothing behind it: code, parameters and registers are all there is",
                Some(bytes.len() as u64),
            ));
        } else if let Some(required) =
            header.required_size.filter(|&required| header.kind != DumpKind::Triage && required > bytes.len() as u64)
        {
            notes.push(Note::warning(
                format!("the file has {} bytes, its header asks for {required}: the copy is cut", bytes.len()),
                Some(bytes.len() as u64),
            ));
        }
        Ok(Self { bytes, header, triage, blobs, notes })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The tables of a minidump; absent in every other kind.
    #[must_use]
    pub fn triage(&self) -> Option<&Triage> {
        self.triage.as_ref()
    }

    /// The secondary data behind a minidump.
    #[must_use]
    pub fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// The bytes of the first blob with this tag.
    #[must_use]
    pub fn blob(&self, tag: BlobTag) -> Option<Fields<'_>> {
        let blob = self.blobs.iter().find(|blob| blob.tag == tag && blob.length > 0)?;
        Fields(&self.bytes).bytes(blob.offset, blob.length).map(Fields)
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was odd about the file.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The virtual memory that the dump brings. Kinds other than minidumps bring none yet.
    #[must_use]
    pub fn memory(&self) -> Memory<'_> {
        Memory::new(&self.bytes, self.triage.as_ref().map_or(&[], |triage| &triage.ranges))
    }

    /// The CONTEXT in the header.
    #[must_use]
    pub fn header_context(&self) -> Option<Registers> {
        self.header.context(&self.bytes)
    }

    /// The exception record in the header.
    #[must_use]
    pub fn header_exception(&self) -> Option<ExceptionRecord> {
        self.header.exception(&self.bytes)
    }

    /// The bytes of a part of the file that [`Triage`] names, shortened where the file is cut.
    #[must_use]
    pub fn part(&self, range: &Range) -> Fields<'_> {
        Fields(self.memory().bytes_of(range))
    }
}
