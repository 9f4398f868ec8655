//! Whether a file is the one that was asked for.
//!
//! PDB: MSF container, streams 1 (PDB information) and 3 (DBI), as described in LLVM's "The PDB File Format" and in
//! microsoft/pdb-rs (`docs/pdb/msf.md`, `pdb_stream.md`, `dbi_stream.md`, `msfz.md`). Image: "PE Format", Microsoft Learn.

use super::msfz::{self, Msfz};
use crate::request::{Guid, Request};
use bugcheck_dump::{Fields, FileBytes};
use std::path::Path;

/// What a symbol file is wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// The file as the linker wrote it.
    Plain,
    /// A PDB in the compressed container MSFZ.
    Msfz,
}

const MSF: &[u8] = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0";
/// Larger tables than this are no honest PDB's.
const MAX_TABLE: usize = 256 << 20;

/// Checks that the file is whole, as far as its headers tell, and carries the identity that was asked for.
///
/// # Errors
/// In words, what the file is instead.
pub fn check(path: &Path, request: &Request) -> Result<Container, String> {
    let bytes = FileBytes::open(path).map_err(|error| format!("cannot open {}: {error}", path.display()))?;
    check_bytes(&bytes, request)
}

/// The same for bytes in memory.
pub(super) fn check_bytes(bytes: &[u8], request: &Request) -> Result<Container, String> {
    match request {
        Request::Pdb { guid, age, .. } => check_pdb(bytes, *guid, *age),
        Request::Image { timestamp, size_of_image, .. } => check_image(bytes, *timestamp, *size_of_image).map(|()| Container::Plain),
    }
}

/// What a PDB says of itself. The age that images repeat is that of the DBI stream; tools that rewrite a PDB raise the other.
struct PdbIdentity {
    guid: Guid,
    age: u32,
    dbi_age: Option<u32>,
}

fn check_pdb(bytes: &[u8], guid: Guid, age: u32) -> Result<Container, String> {
    let (identity, container) = if bytes.starts_with(MSF) {
        (msf(Fields(bytes))?, Container::Plain)
    } else if bytes.starts_with(msfz::SIGNATURE) {
        (compressed(Fields(bytes))?, Container::Msfz)
    } else {
        return Err(format!("it is no PDB: {}", beginning(bytes)));
    };
    if identity.guid != guid {
        return Err(format!("it is another build's: its GUID is {}, {guid} was asked for", identity.guid));
    }
    if identity.age != age && identity.dbi_age != Some(age) {
        return Err(format!("it is another link's: its age is {:X}, {age:X} was asked for", identity.dbi_age.unwrap_or(identity.age)));
    }
    Ok(container)
}

fn beginning(bytes: &[u8]) -> String {
    match bytes.get(..bytes.len().min(16)) {
        Some(start) if !start.is_empty() => format!("it begins with '{}'", start.escape_ascii()),
        _ => "it is empty".to_owned(),
    }
}

/// The stream directory of an MSF file, read block by block without copying it.
struct Directory<'a> {
    file: Fields<'a>,
    block_size: usize,
    /// The blocks that hold the directory, as a table of block numbers in the file.
    map: Fields<'a>,
    streams: usize,
}

impl<'a> Directory<'a> {
    fn open(file: Fields<'a>) -> Option<Self> {
        let block_size = file.size(32).filter(|size| size.is_power_of_two() && (512..=65536).contains(size))?;
        let length = file.size(44).filter(|&length| length <= MAX_TABLE)?;
        let map_at = file.size(52)?.checked_mul(block_size)?;
        let map = Fields(file.bytes(map_at, length.div_ceil(block_size).checked_mul(4)?)?);
        let mut directory = Self { file, block_size, map, streams: 0 };
        directory.streams = directory.word(0).filter(|&streams| streams <= length / 4)?;
        Some(directory)
    }

    fn word(&self, index: usize) -> Option<usize> {
        let at = index.checked_mul(4)?;
        let block = self.map.size((at / self.block_size).checked_mul(4)?)?;
        self.file.size(block.checked_mul(self.block_size)?.checked_add(at % self.block_size)?)
    }

    fn stream_size(&self, stream: usize) -> Option<usize> {
        self.word(stream.checked_add(1)?).map(|size| if size == 0xffff_ffff { 0 } else { size })
    }

    /// The first block of a stream, shortened to the stream's length.
    fn first_block(&self, stream: usize) -> Option<Fields<'a>> {
        let size = self.stream_size(stream).filter(|&size| stream < self.streams && size > 0)?;
        let mut blocks_before: usize = 0;
        for earlier in 0..stream {
            blocks_before = blocks_before.checked_add(self.stream_size(earlier)?.div_ceil(self.block_size))?;
        }
        let block = self.word(self.streams.checked_add(1)?.checked_add(blocks_before)?)?;
        self.file.bytes(block.checked_mul(self.block_size)?, size.min(self.block_size)).map(Fields)
    }
}

fn msf(file: Fields) -> Result<PdbIdentity, String> {
    const DAMAGED: &str = "it is a damaged PDB: its stream directory cannot be followed";
    let (Some(block_size), Some(blocks)) = (file.size(32), file.size(40)) else { return Err(DAMAGED.to_owned()) };
    let expected = blocks.saturating_mul(block_size);
    if file.0.len() < expected {
        return Err(format!("it is cut: {} of {expected} bytes", file.0.len()));
    }
    let directory = Directory::open(file).ok_or(DAMAGED)?;
    let information = directory.first_block(1).ok_or(DAMAGED)?;
    let dbi = directory.first_block(3);
    identity(information, dbi).ok_or_else(|| DAMAGED.to_owned())
}

fn identity(information: Fields, dbi: Option<Fields>) -> Option<PdbIdentity> {
    let guid: [u8; 16] = information.bytes(12, 16)?.try_into().ok()?;
    Some(PdbIdentity { guid: Guid::from_bytes(guid), age: information.u32(8)?, dbi_age: dbi.and_then(|dbi| dbi.u32(8)) })
}

fn compressed(file: Fields) -> Result<PdbIdentity, String> {
    let damaged = || "it is a damaged or cut MSFZ file".to_owned();
    let opened = Msfz::open(file).ok_or_else(damaged)?;
    let information = opened.start(1, 28).ok_or_else(damaged)?;
    let dbi = opened.start(3, 12);
    identity(Fields(&information), dbi.as_deref().map(Fields)).ok_or_else(damaged)
}

fn check_image(bytes: &[u8], timestamp: u32, size_of_image: u32) -> Result<(), String> {
    let file = Fields(bytes);
    let header = file.size(0x3c).filter(|_| bytes.starts_with(b"MZ")).and_then(|at| file.from(at)).filter(|pe| pe.0.starts_with(b"PE\0\0"));
    let Some(header) = header else { return Err(format!("it is no executable image: {}", beginning(bytes))) };
    let (Some(found_timestamp), Some(found_size)) = (header.u32(8), header.u32(24 + 56)) else {
        return Err("it is a damaged image: its header is cut".to_owned());
    };
    if (found_timestamp, found_size) != (timestamp, size_of_image) {
        return Err(format!(
            "it is another build's: its time stamp and size are {found_timestamp:#010x} and {found_size:#x}, {timestamp:#010x} and {size_of_image:#x} were asked for"
        ));
    }
    let end = sections_end(header).ok_or("it is a damaged image: its section table is cut")?;
    if (bytes.len() as u64) < end {
        return Err(format!("it is cut: {} of {end} bytes", bytes.len()));
    }
    Ok(())
}

/// Where the data of the last section ends in the file.
fn sections_end(header: Fields) -> Option<u64> {
    let sections = usize::from(header.u16(6)?);
    let table = header.from(usize::from(header.u16(20)?).checked_add(24)?)?;
    let mut end = 0;
    for section in 0..sections {
        let entry = Fields(table.bytes(section.checked_mul(40)?, 40)?);
        end = end.max(u64::from(entry.u32(20)?).saturating_add(u64::from(entry.u32(16)?)));
    }
    Some(end)
}
