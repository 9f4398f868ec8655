//! Indexes on disk: named by identity, version and mark of the source; written whole or not at all; never trusted.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bugcheck_dump::FileBytes;

use super::{Origin, SymbolIndex, VERSION};
use crate::error::SymbolError;
use crate::source::PdbId;

/// The index of a source, from `folder` if a sound one is there, else built, and kept there if that can be done. A folder that
/// cannot be written costs time, not the answer.
pub(crate) fn cached(
    folder: Option<&Path>,
    origin: Origin,
    id: Option<PdbId>,
    source_mark: u64,
    build: impl FnOnce() -> Result<SymbolIndex, SymbolError>,
) -> Result<SymbolIndex, SymbolError> {
    let path = folder.zip(id).map(|(folder, id)| file_name(folder, origin, id, source_mark));
    let Some(path) = path else { return build() };
    let fits = |index: &SymbolIndex| index.origin() == origin && index.id() == id && index.source_mark() == source_mark;
    let kept = FileBytes::open(&path).ok().and_then(|bytes| SymbolIndex::parse(bytes).ok()).filter(fits);
    if let Some(index) = kept {
        return Ok(index);
    }
    let index = build()?;
    if index.id() == id {
        // Nobody reads the outcome: the next run builds the index again.
        let _ = write(&path, index.as_bytes());
    }
    Ok(index)
}

/// Only digits, letters and what is written here: no part of the name comes from text in a file.
fn file_name(folder: &Path, origin: Origin, id: PdbId, source_mark: u64) -> PathBuf {
    let source = match origin {
        Origin::Pdb => "pdb",
        Origin::Isf => "isf",
        Origin::Exports => "exports",
    };
    folder.join(format!("{id}-{source}-{source_mark:x}.v{VERSION}.symbols"))
}

/// A reader sees the old file or the new one, never a part.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map(|_| ()).map_err(|error| error.error)
}
