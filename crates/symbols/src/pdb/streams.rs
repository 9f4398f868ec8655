//! The streams of a PDB, through `ms-pdb`, which reads plain (MSF) and compressed (MSFZ) containers.
//!
//! `ms-pdb` believes the sizes that a container states: it would allocate what a hostile one asks for, and some of its
//! arithmetic would overflow. So the header is checked first, and every stream before it is read.

use std::io;

use bugcheck_dump::{Fields, FileBytes};
use ms_pdb::msf::Msf;
use ms_pdb::msfz::{MSFZ_FILE_SIGNATURE, Msfz};
use ms_pdb::{Container, ReadAt};

use crate::error::SymbolError;

/// Most bytes that a stream, a chunk or the directory of a compressed container may unpack to.
const MOST_UNPACKED: u64 = 512 << 20;
/// Most bytes that all chunks of a compressed container may unpack to.
const MOST_UNPACKED_TOGETHER: u64 = 2 << 30;
/// Most bytes of the directory of a compressed container.
const MOST_DIRECTORY: u64 = 64 << 20;
const MSF_MAGIC: &[u8] = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0";

/// Stream of identity and names of streams.
pub(super) const INFO: u32 = 1;
/// Stream of types.
pub(super) const TYPES: u32 = 2;
/// Stream of modules, sections and where other streams are.
pub(super) const DEBUG: u32 = 3;
/// Stream of functions' identities.
pub(super) const IDS: u32 = 4;

/// The streams of a PDB.
pub(super) struct Streams {
    container: Container<Source>,
    limit: u64,
    file_length: u64,
}

struct Source(FileBytes);

impl ReadAt for Source {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), rest.get(..length)) {
            to.copy_from_slice(from);
        }
        Ok(length)
    }
}

impl Streams {
    pub(super) fn open(bytes: FileBytes) -> Result<Self, SymbolError> {
        let file_length = bytes.len() as u64;
        if bytes.starts_with(MSF_MAGIC) {
            check_msf(&bytes)?;
            let container = Container::Msf(Msf::open_with_file(Source(bytes)).map_err(damaged)?);
            // A stream's pages lie in the file: it cannot be longer.
            Ok(Self { container, limit: file_length, file_length })
        } else if bytes.starts_with(&MSFZ_FILE_SIGNATURE) {
            check_msfz(&bytes)?;
            let container = Msfz::from_file(Source(bytes)).map_err(damaged)?;
            if let Some(fragment) = container.fragments().iter().find(|fragment| u64::from(fragment.size) > MOST_UNPACKED) {
                return Err(too_big("a fragment of a stream", fragment.size.into(), MOST_UNPACKED));
            }
            Ok(Self { container: Container::Msfz(container), limit: MOST_UNPACKED, file_length })
        } else {
            Err(SymbolError::damaged("no PDB: neither an MSF nor an MSFZ container", 0))
        }
    }

    /// Length of the file.
    pub(super) fn file_length(&self) -> u64 {
        self.file_length
    }

    /// A whole stream.
    pub(super) fn read(&self, stream: u32) -> Result<Vec<u8>, SymbolError> {
        self.read_start(stream, u64::MAX)
    }

    /// The first bytes of a stream, fewer if it is shorter.
    pub(super) fn read_start(&self, stream: u32, length: u64) -> Result<Vec<u8>, SymbolError> {
        let reader = self.container.get_stream_reader(stream).map_err(damaged)?;
        if reader.stream_size() > self.limit {
            return Err(too_big("a stream of a PDB", reader.stream_size(), self.limit));
        }
        let length = usize::try_from(reader.stream_size().min(length)).unwrap_or(0);
        let mut bytes = vec![0; length];
        if length > 0 {
            reader.read_exact_at(&mut bytes, 0).map_err(damaged)?;
        }
        Ok(bytes)
    }
}

/// What `ms-pdb` said, as an error of this crate.
pub(super) fn damaged(error: impl std::fmt::Display) -> SymbolError {
    SymbolError::damaged(format!("PDB: {error}"), 0)
}

fn too_big(what: &'static str, size: u64, limit: u64) -> SymbolError {
    SymbolError::TooBig { what, size, limit }
}

/// The header of an MSF file: magic, page size, free page map, number of pages, bytes of the directory.
/// <https://llvm.org/docs/PDB/MsfFile.html>
fn check_msf(bytes: &[u8]) -> Result<(), SymbolError> {
    let fields = Fields(bytes);
    let number = |at: usize| fields.u32(at).map(u64::from).ok_or_else(|| SymbolError::damaged("PDB: cut", bytes.len() as u64));
    let (page_size, pages, directory) = (number(0x20)?, number(0x28)?, number(0x2c)?);
    if !(512..=0x1_0000).contains(&page_size) || !page_size.is_power_of_two() {
        return Err(SymbolError::damaged("PDB: impossible page size", 0x20));
    }
    let length = bytes.len() as u64;
    // The last page may be cut short.
    if pages * page_size >= length + page_size {
        return Err(SymbolError::damaged("PDB: the file is shorter than its header says", 0x28));
    }
    if directory > length { Err(SymbolError::damaged("PDB: impossible directory size", 0x2c)) } else { Ok(()) }
}

/// The header of an MSFZ file, as `ms-pdb-msfz` documents it, and its table of chunks.
fn check_msfz(bytes: &[u8]) -> Result<(), SymbolError> {
    let fields = Fields(bytes);
    let cut = || SymbolError::damaged("compressed PDB: cut", bytes.len() as u64);
    let number = |at: usize| fields.u32(at).map(u64::from).ok_or_else(cut);
    let (streams, packed, unpacked) = (number(56)?, number(64)?, number(68)?);
    let (chunks, table_size) = (number(72)?, number(76)?);
    let length = bytes.len() as u64;
    if packed > length || table_size > length || chunks.checked_mul(20) != Some(table_size) || streams * 4 > unpacked {
        return Err(SymbolError::damaged("compressed PDB: impossible sizes in its header", 56));
    }
    if unpacked > MOST_DIRECTORY {
        return Err(too_big("the directory of a compressed PDB", unpacked, MOST_DIRECTORY));
    }
    let start = fields.u64(48).and_then(|start| usize::try_from(start).ok()).ok_or_else(cut)?;
    let table = if table_size == 0 { &[][..] } else { fields.bytes(start, table_size as usize).ok_or_else(cut)? };
    let mut together = 0;
    for chunk in table.as_chunks::<20>().0 {
        let chunk = Fields(chunk);
        let (packed, unpacked) = (chunk.u32(12).map_or(0, u64::from), chunk.u32(16).map_or(0, u64::from));
        together += unpacked;
        if packed > length {
            return Err(SymbolError::damaged("compressed PDB: a chunk is longer than the file", start as u64));
        }
        if unpacked > MOST_UNPACKED || together > MOST_UNPACKED_TOGETHER {
            return Err(too_big("the content of a compressed PDB", together, MOST_UNPACKED_TOGETHER));
        }
    }
    Ok(())
}
