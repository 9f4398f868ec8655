//! PDB files, plain and compressed (MSFZ), through `ms-pdb`: names, source lines, inlined functions, types.
//!
//! Opening reads the header, the directory and the identity only. The names become an index ([`crate::index`]), which is read
//! from a cache where there is one; lines and types are read when first asked for, a module at a time.
//!
//! Formats: <https://llvm.org/docs/PDB/> and the headers of <https://github.com/microsoft/microsoft-pdb>.

mod address;
mod inline;
mod lines;
mod modules;
mod names;
mod records;
mod streams;
mod types;

use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

use bugcheck_dump::{Fields, FileBytes};
use ms_pdb::pdbi::PdbiStream;

pub use types::PdbTypes;

use crate::error::SymbolError;
use crate::index::{Origin, SymbolIndex, cached};
use crate::source::{PdbId, SourceFrame};
use lines::Lines;
use modules::Debug;
use records::Records;
use streams::{DEBUG, IDS, INFO, Streams, TYPES, damaged};

/// An opened PDB.
pub struct PdbFile {
    streams: Streams,
    id: Option<PdbId>,
    /// The age of the PDB itself, which grows when tools rewrite it; images carry the one in `id`.
    own_age: u32,
    machine: u32,
    names_stream: Option<u32>,
    debug: OnceLock<Option<Debug>>,
    lines: OnceLock<Option<Lines>>,
    types: OnceLock<Option<PdbTypes>>,
}

impl PdbFile {
    /// Opens a PDB.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn open(path: &Path) -> Result<Self, SymbolError> {
        let bytes = FileBytes::open(path).map_err(|source| SymbolError::Read { path: path.to_owned(), source })?;
        Self::parse(bytes).map_err(|error| error.in_file(path))
    }

    /// Opens a PDB that is already in memory.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SymbolError> {
        Self::parse(FileBytes::Held(bytes))
    }

    /// Opens a PDB and the index of its names: from `cache` if it is there, else built.
    ///
    /// # Errors
    /// Why it gives no symbols. `expected` refuses a PDB of another build.
    pub fn open_indexed(path: &Path, cache: Option<&Path>, expected: Option<PdbId>) -> Result<(Self, SymbolIndex), SymbolError> {
        let pdb = Self::open(path)?;
        let index = pdb.check(expected).and_then(|()| cached(cache, Origin::Pdb, pdb.id, pdb.streams.file_length(), || pdb.index()));
        index.map(|index| (pdb, index)).map_err(|error| error.in_file(path))
    }

    fn parse(bytes: FileBytes) -> Result<Self, SymbolError> {
        let streams = Streams::open(bytes)?;
        let info = PdbiStream::parse(&streams.read(INFO)?).map_err(damaged)?;
        let header = streams.read_start(DEBUG, 64)?;
        // A PDB of types alone has no debug stream.
        let age = Fields(&header).u32(8).unwrap_or(info.age);
        let id = info.unique_id.map(|guid| PdbId { guid: guid.to_bytes_le(), age });
        Ok(Self {
            id,
            own_age: info.age,
            machine: Fields(&header).u16(58).unwrap_or(0).into(),
            names_stream: info.named_streams.get("/names"),
            streams,
            debug: OnceLock::new(),
            lines: OnceLock::new(),
            types: OnceLock::new(),
        })
    }

    /// The identity that the image carries. Absent in PDBs from before 2000.
    #[must_use]
    pub fn id(&self) -> Option<PdbId> {
        self.id
    }

    /// Machine type of the image, 0 if unknown.
    #[must_use]
    pub fn machine(&self) -> u32 {
        self.machine
    }

    /// Whether this is the PDB of an identity. The age of the PDB itself is accepted beside that of the image.
    ///
    /// # Errors
    /// [`SymbolError::WrongIdentity`] if not.
    pub fn check(&self, expected: Option<PdbId>) -> Result<(), SymbolError> {
        match (expected, self.id) {
            (Some(wanted), Some(found)) if wanted != found && wanted != (PdbId { age: self.own_age, ..found }) => {
                Err(SymbolError::WrongIdentity { wanted, found })
            }
            (Some(_), None) => Err(SymbolError::damaged("PDB: it has no GUID, so that it cannot be told from those of other builds", 0)),
            _ => Ok(()),
        }
    }

    /// Builds the index of the names.
    ///
    /// # Errors
    /// Why there are no names.
    pub fn index(&self) -> Result<SymbolIndex, SymbolError> {
        // The read below is kept for the lines; a failure is reported, not kept.
        let debug = match self.debug() {
            Some(debug) => debug,
            None => return Err(Debug::read(&self.streams).err().unwrap_or_else(|| damaged("its debug stream cannot be read"))),
        };
        names::index(&self.streams, debug, self.id, self.machine)
    }

    /// The functions of the source text at an address, the innermost first: those inlined there, then the one that has them.
    /// Empty where the PDB has no lines for the address. Where the linker folded several functions into one, `name` chooses.
    #[must_use]
    pub fn source_at(&self, rva: u32, name: Option<&str>) -> Vec<SourceFrame> {
        let Some(debug) = self.debug() else { return Vec::new() };
        let lines = self.lines.get_or_init(|| {
            let names = self.names_stream.and_then(|stream| self.streams.read(stream).ok()).unwrap_or_default();
            let ids = self.streams.read(IDS).ok().and_then(Records::new).unwrap_or_default();
            Some(Lines::new(names, ids))
        });
        lines.as_ref().map(|lines| lines.source_at(&self.streams, debug, self.types(), rva, name)).unwrap_or_default()
    }

    /// The types; they are read when first asked for. Nothing where the PDB has none.
    #[must_use]
    pub fn types(&self) -> Option<&PdbTypes> {
        let read = || {
            let records = Records::new(self.streams.read(TYPES).ok()?)?;
            Some(PdbTypes::new(records, if self.machine == 0x14c { 4 } else { 8 }))
        };
        self.types.get_or_init(read).as_ref()
    }

    fn debug(&self) -> Option<&Debug> {
        self.debug.get_or_init(|| Debug::read(&self.streams).ok()).as_ref()
    }
}

impl fmt::Debug for PdbFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PdbFile").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What the fuzzer calls.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(pdb) = PdbFile::from_bytes(bytes.to_vec()) else { return };
    if let Ok(index) = pdb.index() {
        for symbol in index.iter().take(64) {
            let _ = (index.function_at(symbol.rva), index.symbol_at(symbol.rva), index.find(symbol.raw), symbol.name());
            let _ = pdb.source_at(symbol.rva, Some(symbol.raw));
        }
    }
    if let Some(types) = pdb.types() {
        types.fuzz();
    }
}
