//! Symbol stores on disk, and the search through a symbol path.
//!
//! Layouts are those of symstore ("SymStore" and "Advanced SymSrv Use", Microsoft Learn): `NAME/KEY/NAME`, the same below the
//! name's first two letters where `index2.txt` stands in the root, packed files whose names end in `_`, and `file.ptr`.
//! Compressed PDBs (MSFZ) lie in a folder `msfz0` beside (microsoft/perfview issue 2243).

mod cabinet;
mod finder;
mod fresh;
pub mod fuzz;
mod identity;
mod layout;
mod msfz;
mod pointer;

pub use finder::{Finder, Found, Lookup, Missing, OnProgress, Origin, Reason, Why};
pub use identity::Container;
pub use pointer::Pointer;

pub(crate) use cabinet::expand;
pub(crate) use fresh::Entry;
#[cfg(feature = "network")]
pub(crate) use fresh::fnv;
pub(crate) use identity::check;
#[cfg(feature = "network")]
pub(crate) use layout::two_letters;
#[cfg(feature = "network")]
pub(crate) use pointer::{MAX_POINTER, plain};

use crate::server::{Policy, Transfer};
use std::io;
use std::path::{Path, PathBuf};

/// How a search behaves.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether the network may be used.
    pub policy: Policy,
    /// Where `cache*`, `srv**…` and `srv*https://…` keep files. Without it, such elements need a folder of their own.
    pub default_cache: Option<PathBuf>,
    /// Sizes beyond which files are refused.
    pub limits: Limits,
    /// How servers are talked to.
    pub transfer: Transfer,
}

/// Sizes beyond which files are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file, received or unpacked.
    pub file: u64,
    /// Bytes of all files of one pack.
    pub pack: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file: 4 << 30, pack: 64 << 30 }
    }
}

/// Why a file could not be put into a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The contents are not what they should be.
    #[error("{0}")]
    Content(String),
    /// Another process holds the entry.
    #[error("{}: another process has been fetching this file for too long; try again later", .0.display())]
    Busy(PathBuf),
}

impl StoreError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
