//! Why a file gives no symbols.

use std::io;
use std::path::{Path, PathBuf};

use crate::source::PdbId;

/// A file that gives no symbols.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The bytes are not what they should be.
    #[error("{what} at offset {offset:#x}: the file is damaged or of another kind, fetch it again")]
    Damaged {
        /// What is wrong.
        what: String,
        /// Where in the file (or in the part of it that `what` names).
        offset: u64,
    },
    /// More than any honest file needs.
    #[error("{what} is {size} but at most {limit} is read: the file is hostile or damaged")]
    TooBig {
        /// What is too big.
        what: &'static str,
        /// How big it says it is.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// Symbols of another build.
    #[error("the symbols are those of {found}, wanted are {wanted}: fetch the PDB of that identity")]
    WrongIdentity {
        /// The identity asked for.
        wanted: PdbId,
        /// The identity of the file.
        found: PdbId,
    },
    /// An error with the file's name.
    #[error("{}: {source}", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<SymbolError>,
    },
}

impl SymbolError {
    pub(crate) fn damaged(what: impl Into<String>, offset: u64) -> Self {
        Self::Damaged { what: what.into(), offset }
    }

    pub(crate) fn in_file(self, path: &Path) -> Self {
        Self::In { path: path.to_owned(), source: Box::new(self) }
    }
}
