//! PE images: files on disk as they would lie in memory, and what their tables say.
//!
//! Everything but [`File`] reads by relative virtual address, so it works on the pages of a dump as well; what is not there is
//! simply not found. Source: Microsoft's PE format specification.

use crate::image::{Headers, array};
use crate::{Directory, ReadRva};
use bugcheck_dump::{Arch, Fields};
use std::ops::Deref;

/// The loader takes no more sections.
const MOST_SECTIONS: u16 = 96;
/// Ordinals have 16 bits.
const MOST_EXPORTS: u32 = 0x1_0000;
/// Decorated C++ names are cut off by compilers at 4096 characters; exported ones are far shorter.
const LONGEST_NAME: usize = 1024;
/// Real images have half a dozen entries.
const MOST_DEBUG_ENTRIES: u32 = 32;
const PAGE: u32 = 0x1000;

const EXPORTS: usize = 0;
const DEBUG: usize = 6;

/// Why a file is no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnImage {
    /// No MZ and PE signatures where they belong.
    #[error("no PE headers in the first KiB")]
    NoHeaders,
    /// The section table does not lie in the file.
    #[error("the section table at offset {0:#x} is cut off")]
    NoSections(u32),
}

/// What identifies an image; symbol servers find it by time stamp and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The processor, if it is one whose crash dumps this project reads.
    pub arch: Option<Arch>,
    /// Seconds since 1970, or a hash of the contents in images that are built reproducibly.
    pub timestamp: u32,
    /// Bytes in memory.
    pub size: u32,
    /// Checksum of the file; 0 if the linker set none.
    pub checksum: u32,
}

impl Identity {
    /// Reads the headers.
    #[must_use]
    pub fn read(source: &dyn ReadRva) -> Option<Self> {
        let headers = Headers::read(source)?;
        let optional = headers.optional();
        Some(Self { arch: headers.arch(), timestamp: headers.coff().u32(4)?, size: optional.u32(56)?, checksum: optional.u32(64)? })
    }
}

/// An entry of the section table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name, at most eight bytes.
    pub name: String,
    /// Where it lies in memory.
    pub memory: Directory,
    /// Offset in the file.
    pub file_offset: u32,
    /// Bytes in the file.
    pub file_size: u32,
    /// The flags.
    pub characteristics: u32,
}

impl Section {
    /// True if its pages may be executed.
    #[must_use]
    pub fn is_code(&self) -> bool {
        self.characteristics & 0x2000_0000 != 0
    }

    fn parse(entry: [u8; 40]) -> Option<Self> {
        let entry = Fields(&entry);
        let file_size = entry.u32(16)?;
        let size = entry.u32(8).filter(|&size| size != 0).unwrap_or(file_size);
        Some(Self {
            name: entry.ascii(0, 8)?,
            memory: Directory { rva: entry.u32(12)?, size },
            file_offset: entry.u32(20)?,
            file_size,
            characteristics: entry.u32(36)?,
        })
    }
}

/// The section table, as far as it is there.
#[must_use]
pub fn sections(source: &dyn ReadRva) -> Vec<Section> {
    let Some((table, count)) = Headers::read(source).and_then(|headers| headers.sections()) else { return Vec::new() };
    let section = |index: u16| Section::parse(array(source, table.checked_add(u32::from(index) * 40)?)?);
    (0..count.min(MOST_SECTIONS)).map_while(section).collect()
}

/// A file, read as if it were loaded. Relocations are not applied: unwind data has none.
#[derive(Debug)]
pub struct File<B> {
    bytes: B,
    sections: Vec<Section>,
}

impl<B: Deref<Target = [u8]>> File<B> {
    /// Reads the section table.
    ///
    /// # Errors
    /// Why the bytes are no image.
    pub fn parse(bytes: B) -> Result<Self, NotAnImage> {
        let mut file = Self { bytes, sections: Vec::new() };
        let (table, count) = Headers::read(&file).and_then(|headers| headers.sections()).ok_or(NotAnImage::NoHeaders)?;
        let sections = sections(&file);
        if sections.len() < usize::from(count.min(MOST_SECTIONS)) {
            return Err(NotAnImage::NoSections(table));
        }
        file.sections = sections;
        Ok(file)
    }

    /// The section table.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The bytes of the file from an offset on, `most` of them at most.
    fn at(&self, offset: u32, most: u32) -> &[u8] {
        let (start, most) = (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(most).unwrap_or(usize::MAX));
        let rest = self.bytes.get(start..).unwrap_or_default();
        rest.get(..most).unwrap_or(rest)
    }
}

impl<B: Deref<Target = [u8]>> ReadRva for File<B> {
    fn read(&self, rva: u32, buffer: &mut [u8]) -> usize {
        let section = self.sections.iter().find(|section| {
            // A section occupies whole pages.
            let pages = section.memory.size.checked_next_multiple_of(PAGE).unwrap_or(u32::MAX);
            rva.checked_sub(section.memory.rva).is_some_and(|offset| offset < pages)
        });
        let bytes = match section {
            // The headers lie in front of the first section, at the same place as in the file.
            None => {
                let end = self.sections.iter().map(|section| section.memory.rva).min().unwrap_or(u32::MAX);
                self.at(rva, end.saturating_sub(rva))
            }
            Some(section) => {
                let offset = rva - section.memory.rva;
                self.at(section.file_offset.saturating_add(offset), section.file_size.saturating_sub(offset))
            }
        };
        let length = bytes.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), bytes.get(..length)) {
            to.copy_from_slice(from);
        }
        length
    }
}

/// A name that an image exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Where it points.
    pub rva: u32,
    /// The name.
    pub name: String,
    /// The ordinal.
    pub ordinal: u32,
    /// `module.name` if the function lives in another image; then `rva` is where this text lies.
    pub forwarder: Option<String>,
}

/// The named exports of an image, by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exports(Vec<Export>);

impl Exports {
    /// Reads the export directory, as far as it is there.
    #[must_use]
    pub fn read(source: &dyn ReadRva) -> Self {
        let directory = Headers::read(source).map(|headers| headers.directory(EXPORTS)).unwrap_or_default();
        let mut exports = Self::parse(source, directory).unwrap_or_default();
        exports.sort_by(|a, b| (a.rva, &a.name).cmp(&(b.rva, &b.name)));
        Self(exports)
    }

    fn parse(source: &dyn ReadRva, directory: Directory) -> Option<Vec<Export>> {
        let table: [u8; 40] = array(source, directory.rva).filter(|_| directory.size >= 40)?;
        let table = Fields(&table);
        let (first_ordinal, functions, names, ordinals) = (table.u32(16)?, table.u32(28)?, table.u32(32)?, table.u32(36)?);
        let count = table.u32(24)?.min(MOST_EXPORTS);
        let u32_at = |rva: u32| array(source, rva).map(u32::from_le_bytes);
        let export = |index: u32| {
            let ordinal = u32::from(u16::from_le_bytes(array(source, ordinals.checked_add(2 * index)?)?));
            let rva = u32_at(functions.checked_add(4 * ordinal)?)?;
            let name = text(source, u32_at(names.checked_add(4 * index)?)?)?;
            let forwards = rva.checked_sub(directory.rva).is_some_and(|offset| offset < directory.size);
            let forwarder = forwards.then(|| text(source, rva)).flatten();
            Some(Export { rva, name, ordinal: first_ordinal.wrapping_add(ordinal), forwarder })
        };
        Some((0..count).filter_map(export).collect())
    }

    /// All of them, by address.
    #[must_use]
    pub fn all(&self) -> &[Export] {
        &self.0
    }

    /// The last one at or before an address, and the distance from it. It need not be the function that the address lies in.
    #[must_use]
    pub fn nearest(&self, rva: u32) -> Option<(&Export, u32)> {
        let behind = self.0.partition_point(|export| export.rva <= rva);
        let export = self.0.get(..behind)?.iter().rev().find(|export| export.forwarder.is_none())?;
        Some((export, rva - export.rva))
    }
}

/// The record that leads from an image to its PDB (CodeView's `RSDS`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeView {
    /// The GUID, as its sixteen bytes lie in the file.
    pub guid: [u8; 16],
    /// Counts how often the PDB was written.
    pub age: u32,
    /// The path of the PDB on the machine that linked the image: a name from a file, not to be opened.
    pub path: String,
}

impl CodeView {
    /// Looks for the record in the debug directory.
    #[must_use]
    pub fn read(source: &dyn ReadRva) -> Option<Self> {
        const ENTRY: u32 = 28;
        const CODE_VIEW: u32 = 2;
        let directory = Headers::read(source)?.directory(DEBUG);
        let entry = |index: u32| array::<28>(source, directory.rva.checked_add(index * ENTRY)?);
        let entries = (0..(directory.size / ENTRY).min(MOST_DEBUG_ENTRIES)).filter_map(entry);
        entries.filter(|entry| Fields(entry).u32(12) == Some(CODE_VIEW)).find_map(|entry| Self::parse(source, Fields(&entry).u32(20)?))
    }

    fn parse(source: &dyn ReadRva, rva: u32) -> Option<Self> {
        let record: [u8; 24] = array(source, rva).filter(|record: &[u8; 24]| record.starts_with(b"RSDS"))?;
        let record = Fields(&record);
        let path = text(source, rva.checked_add(24)?).unwrap_or_default();
        Some(Self { guid: record.bytes(4, 16)?.try_into().ok()?, age: record.u32(20)?, path })
    }

    /// The folder's name on a symbol server: GUID and age, without separators.
    #[must_use]
    pub fn identifier(&self) -> String {
        let fields = Fields(&self.guid);
        let (a, b, c) = (fields.u32(0).unwrap_or(0), fields.u16(4).unwrap_or(0), fields.u16(6).unwrap_or(0));
        let rest: String = self.guid.iter().skip(8).map(|byte| format!("{byte:02X}")).collect();
        format!("{a:08X}{b:04X}{c:04X}{rest}{:X}", self.age)
    }
}

/// Text that ends in a NUL.
fn text(source: &dyn ReadRva, rva: u32) -> Option<String> {
    let mut bytes = [0; LONGEST_NAME];
    let length = source.read(rva, &mut bytes);
    let bytes = bytes.get(..length)?;
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Fields(bytes).ascii(0, end)
}
