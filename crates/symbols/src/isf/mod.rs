//! Volatility 3's symbol files (ISF, `.json` and `.json.xz`) as a source of names and types.
//!
//! The format is described by Volatility 3's documentation and its JSON schemas (`volatility3/schemas/schema-6.2.0.json`). The
//! Windows files are made from public PDBs: addresses are RVAs, nothing says which names are code, and a name that the maker
//! of the file undecorated has its real one in `linkage_name`.

mod json;
pub mod proof;
mod types;

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bugcheck_dump::FileBytes;

pub use types::IsfTypes;

use crate::error::SymbolError;
use crate::index::{IndexBuilder, Origin, SymbolIndex, cached, checksum};
use crate::source::{PdbId, SymbolKind};

/// Most bytes of JSON that are read: real files of Windows modules have 6 MiB.
const MOST_JSON: u64 = 192 << 20;
/// Most memory that decompression may take, in KiB: real files want 9 MiB.
const MOST_XZ_MEMORY: u32 = 96 << 10;
/// Machine type of x86, the only one that puts an underscore before names of C.
const X86: u32 = 0x14c;

/// An ISF file.
#[derive(Debug)]
pub struct IsfFile {
    bytes: FileBytes,
    types: OnceLock<Option<Arc<IsfTypes>>>,
}

impl IsfFile {
    /// Opens the file and its index: from `cache` if it is there, else built from the file.
    ///
    /// # Errors
    /// Why it gives no symbols. `expected` refuses a file of another build.
    pub fn open(path: &Path, cache: Option<&Path>, expected: Option<PdbId>) -> Result<(Self, SymbolIndex), SymbolError> {
        let bytes = FileBytes::open(path).map_err(|source| SymbolError::Read { path: path.to_owned(), source })?;
        let named = path.file_name().and_then(|name| name.to_str()).and_then(|name| PdbId::from_key(name.split('.').next()?));
        Self::with_index(bytes, cache, expected.or(named), expected).map_err(|error| error.in_file(path))
    }

    /// Reads a file that is already in memory.
    ///
    /// # Errors
    /// Why it gives no symbols.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<(Self, SymbolIndex), SymbolError> {
        Self::with_index(FileBytes::Held(bytes), None, None, None)
    }

    fn with_index(
        bytes: FileBytes,
        cache: Option<&Path>,
        key: Option<PdbId>,
        expected: Option<PdbId>,
    ) -> Result<(Self, SymbolIndex), SymbolError> {
        let file = Self { bytes, types: OnceLock::new() };
        let mark = if cache.is_some() { checksum(&file.bytes) } else { 0 };
        let index = cached(cache, Origin::Isf, key, mark, || file.build(mark))?;
        match (expected, index.id()) {
            (Some(wanted), Some(found)) if wanted != found => Err(SymbolError::WrongIdentity { wanted, found }),
            _ => Ok((file, index)),
        }
    }

    /// The types of the file; they are read when first asked for. Nothing where they cannot be read.
    #[must_use]
    pub fn types(&self) -> Option<&Arc<IsfTypes>> {
        let read = || {
            let text = text(&self.bytes).ok()?;
            Some(Arc::new(IsfTypes::new(json::parse(&text).ok()?)))
        };
        self.types.get_or_init(read).as_ref()
    }

    /// Reads names and types in one go.
    fn build(&self, mark: u64) -> Result<SymbolIndex, SymbolError> {
        let text = text(&self.bytes)?;
        let mut document = json::parse(&text)?;
        let pdb = document.metadata.windows.as_ref().and_then(|windows| windows.pdb.as_ref());
        let id = pdb.and_then(|pdb| PdbId::new(&pdb.guid, pdb.age));
        let machine = pdb.and_then(|pdb| pdb.machine_type).unwrap_or(0);
        let mut builder = IndexBuilder::new(&[]);
        for (name, symbol) in std::mem::take(&mut document.symbols).0 {
            let Ok(rva) = u32::try_from(symbol.address) else { continue };
            // Volatility drops a leading underscore from every name, which only x86 adds.
            let raw = symbol.linkage_name.as_ref().filter(|_| machine != X86).unwrap_or(&name);
            builder.add(raw.as_bytes(), rva, 0, SymbolKind::Public);
        }
        let index = builder.finish(Origin::Isf, id, machine, mark)?;
        if index.is_empty() {
            return Err(SymbolError::damaged("ISF: it has no symbol with an address", 0));
        }
        let _ = self.types.set(Some(Arc::new(IsfTypes::new(document))));
        Ok(index)
    }
}

/// The JSON text, unpacked if need be.
fn text(bytes: &[u8]) -> Result<String, SymbolError> {
    const XZ: &[u8] = b"\xfd7zXZ\0";
    let too_big = |size| SymbolError::TooBig { what: "the text of an ISF file", size, limit: MOST_JSON };
    if !bytes.starts_with(XZ) {
        if bytes.len() as u64 > MOST_JSON {
            return Err(too_big(bytes.len() as u64));
        }
        return String::from_utf8(bytes.to_vec())
            .map_err(|error| SymbolError::damaged("ISF: no UTF-8", error.utf8_error().valid_up_to() as u64));
    }
    let mut text = String::new();
    let reader = lzma_rust2::XzReader::new_mem_limit(bytes, true, MOST_XZ_MEMORY);
    let read = reader.take(MOST_JSON + 1).read_to_string(&mut text);
    let read = read.map_err(|error| SymbolError::damaged(format!("ISF: xz data cannot be unpacked ({error})"), 0))?;
    if read as u64 > MOST_JSON { Err(too_big(read as u64)) } else { Ok(text) }
}

/// What the fuzzer calls.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok((file, index)) = IsfFile::from_bytes(bytes.to_vec()) else { return };
    for symbol in index.iter().take(64) {
        let _ = (index.function_at(symbol.rva), index.symbol_at(symbol.rva), index.find(symbol.raw), symbol.name());
    }
    if let Some(types) = file.types() {
        types.fuzz();
    }
}
