//! The one place that maps files into memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// The bytes of a file: mapped, or held in memory.
#[derive(Debug)]
pub enum FileBytes {
    /// A read-only mapping.
    Mapped(memmap2::Mmap),
    /// Bytes that came from elsewhere (an archive member, a test).
    Held(Vec<u8>),
}

impl FileBytes {
    /// Maps the file read-only.
    ///
    /// # Errors
    /// Whatever the operating system says on opening or mapping it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        if metadata.len() == 0 {
            return Ok(Self::Held(Vec::new()));
        }
        // SAFETY: the mapping is read-only and private to this process. The remaining hazard is another process that
        // truncates the file meanwhile, which ends this process with SIGBUS and cannot corrupt it; dumps are finished
        // files, and copying a 64 GB dump to rule that out is what mapping exists to avoid.
        let mapping = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self::Mapped(mapping))
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(mapping) => mapping,
            Self::Held(bytes) => bytes,
        }
    }
}
