//! The compact index of a module's names: what every source of symbols becomes, in memory and on disk.
//!
//! Address → name is a binary search over a dense array of addresses; name → address one over a permutation sorted by name.
//! Names of code and of data are kept apart, so that an address in code is never answered with the name of a string.
//!
//! # Format, version 1
//!
//! All numbers are little-endian. Nothing is aligned beyond 4 bytes; nothing is a pointer. Readers refuse any other version, a
//! length that does not fit, and a checksum that does not match: the index is then built again from its source.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0x00 | 8 | `BUGSYMX` and a line feed |
//! | 0x08 | 4 | version: 1 |
//! | 0x0c | 4 | where the names come from: 1 PDB, 2 ISF, 3 exports of an image |
//! | 0x10 | 16 | GUID as in the PDB; zeros if none |
//! | 0x20 | 4 | age |
//! | 0x24 | 4 | machine type of the PE header; 0 if unknown |
//! | 0x28 | 4 | `C`: names of code |
//! | 0x2c | 4 | `D`: names of data |
//! | 0x30 | 4 | `S`: sections |
//! | 0x34 | 4 | `B`: bytes of the strings |
//! | 0x38 | 8 | mark of the source: the length of a PDB in bytes (a private and a public one share their identity), a checksum of other files |
//! | 0x40 | 8 | checksum of everything but itself |
//! | 0x48 | 12·S | sections by address: RVA, size, flags (bit 0: executable) |
//! | … | 4·(C+D) | RVAs: first those of code, then those of data, each ascending. Of several names at one address the preferred one is last |
//! | … | 4·(C+D) | where each name begins in the strings |
//! | … | 4·(C+D) | kind (bits 28–31, as [`SymbolKind`]) and size in bytes (bits 0–27; 0 unknown) |
//! | … | 4·(C+D) | numbers of the names, ordered by the names' bytes |
//! | … | B | strings: each a 16-bit length and that many bytes of UTF-8 without control characters |
//!
//! A worked example: one section `.text` at 0x1000 of 0x100 bytes, the function `f` at 0x1010 of 0x20 bytes, no data, from a
//! PDB of 4096 bytes:
//!
//! ```text
//! 00  42 55 47 53 59 4d 58 0a  01 00 00 00  01 00 00 00     BUGSYMX, version 1, from a PDB
//! 10  … 16 bytes of GUID …     01 00 00 00  64 86 00 00     age 1, x64
//! 28  01 00 00 00  00 00 00 00  01 00 00 00  03 00 00 00    C = 1, D = 0, S = 1, B = 3
//! 38  00 10 00 00 00 00 00 00  … 8 bytes of checksum …
//! 48  00 10 00 00  00 01 00 00  01 00 00 00                 .text
//! 54  10 10 00 00                                           RVA 0x1010
//! 58  00 00 00 00                                           its name begins at 0
//! 5c  20 00 00 30                                           a function (3) of 0x20 bytes
//! 60  00 00 00 00                                           first by name: number 0
//! 64  01 00 66                                              "f"
//! ```

mod build;
mod cache;

use std::ops::Range;

use bugcheck_dump::{Fields, FileBytes};

pub use build::{IndexBuilder, Section};
pub(crate) use cache::cached;

use crate::error::SymbolError;
use crate::source::{Fit, PdbId, Symbol, SymbolAt, SymbolKind};

/// The version that this program writes and reads.
pub const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"BUGSYMX\n";
const HEADER: usize = 0x48;
const CHECKSUM_AT: usize = 0x40;
const SIZE_MASK: u32 = 0x0fff_ffff;
const EXECUTABLE: u32 = 1;

/// Where the names of an index come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Origin {
    /// A PDB.
    Pdb = 1,
    /// A Volatility ISF file.
    Isf = 2,
    /// The export table of an image.
    Exports = 3,
}

/// The names of one module.
#[derive(Debug)]
pub struct SymbolIndex {
    bytes: FileBytes,
    origin: Origin,
    id: Option<PdbId>,
    machine: u32,
    source_mark: u64,
    sections: Vec<Section>,
    code: usize,
    count: usize,
    rvas: Range<usize>,
    names: Range<usize>,
    infos: Range<usize>,
    by_name: Range<usize>,
    strings: Range<usize>,
}

impl SymbolIndex {
    /// Reads an index.
    ///
    /// # Errors
    /// What is wrong with it; it must then be built again.
    pub fn parse(bytes: FileBytes) -> Result<Self, SymbolError> {
        let fields = Fields(&bytes);
        let damaged = |what: &str, offset: u64| SymbolError::damaged(format!("symbol index: {what}"), offset);
        if fields.bytes(0, 8) != Some(MAGIC) || fields.u32(8) != Some(VERSION) {
            return Err(damaged("no index of this version", 0));
        }
        let cut = || damaged("cut", bytes.len() as u64);
        let number = |at: usize| fields.size(at).ok_or_else(cut);
        let origin = match number(0x0c)? {
            1 => Origin::Pdb,
            2 => Origin::Isf,
            3 => Origin::Exports,
            _ => return Err(damaged("unknown origin", 0x0c)),
        };
        let guid: [u8; 16] = fields.bytes(0x10, 16).and_then(|guid| guid.try_into().ok()).ok_or_else(cut)?;
        let age = fields.u32(0x20).ok_or_else(cut)?;
        let machine = fields.u32(0x24).ok_or_else(cut)?;
        let (code, data, sections, string_size) = (number(0x28)?, number(0x2c)?, number(0x30)?, number(0x34)?);
        let source_mark = fields.u64(0x38).ok_or_else(cut)?;
        let layout = Layout::new(code, data, sections, string_size).filter(|layout| layout.strings.end == bytes.len());
        let layout = layout.ok_or_else(|| damaged("its length does not fit its counts", bytes.len() as u64))?;
        if fields.u64(CHECKSUM_AT) != Some(checksum(&bytes)) {
            return Err(damaged("checksum does not match", CHECKSUM_AT as u64));
        }
        let sections = (0..sections).map_while(|number| Section::read(fields, HEADER + 12 * number)).collect();
        let id = (guid != [0; 16]).then_some(PdbId { guid, age });
        let Layout { rvas, names, infos, by_name, strings } = layout;
        Ok(Self { origin, id, machine, source_mark, sections, code, count: code + data, rvas, names, infos, by_name, strings, bytes })
    }

    /// Where the names come from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The identity of the image that the names are for, if the source says it.
    #[must_use]
    pub fn id(&self) -> Option<PdbId> {
        self.id
    }

    /// Machine type of the PE header, 0 if unknown.
    #[must_use]
    pub fn machine(&self) -> u32 {
        self.machine
    }

    /// What tells the file that the index was built from from others of its identity: the length of a PDB, a checksum else.
    #[must_use]
    pub fn source_mark(&self) -> u64 {
        self.source_mark
    }

    /// The sections of the image by address; none where the source does not know them.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no name at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The function that an address of code belongs to: the nearest name of code at or below it, in the same section. Never
    /// the name of data; [`SymbolAt::fit`] says how far the answer can be trusted.
    #[must_use]
    pub fn function_at(&self, rva: u32) -> Option<SymbolAt<'_>> {
        let lowest = self.section_start(rva, true)?;
        let rvas = self.rvas();
        let nearest = below(rvas.get(..self.code)?, rva)?;
        let symbol = self.symbol(self.around(nearest, rva).unwrap_or(nearest))?;
        let nothing_between = || {
            let data = rvas.get(self.code..)?;
            let between = below(data, rva).and_then(|number| data.get(number)).is_some_and(|&at| u32::from_le_bytes(at) > symbol.rva);
            Some(if between { Fit::Doubtful } else { Fit::Nearest })
        };
        placed(symbol, rva, lowest, nothing_between)
    }

    /// The function that a label of no known size lies in, if it is one of the few before it.
    fn around(&self, label: usize, rva: u32) -> Option<usize> {
        let info = |number: usize| self.array(&self.infos).get(number).map(|&info| u32::from_le_bytes(info));
        if self.origin != Origin::Pdb || info(label)? != (SymbolKind::Public as u32) << 28 {
            return None;
        }
        (label.saturating_sub(16)..label).rev().find(|&number| {
            let covers = |(start, info): (u32, u32)| rva.wrapping_sub(start) < info & SIZE_MASK;
            self.rva(number).zip(info(number)).is_some_and(covers)
        })
    }

    /// The nearest name of any kind at or below an address, in the same section: for pointers to data.
    #[must_use]
    pub fn symbol_at(&self, rva: u32) -> Option<SymbolAt<'_>> {
        let lowest = self.section_start(rva, false)?;
        let rvas = self.rvas();
        let code = below(rvas.get(..self.code)?, rva).and_then(|number| self.symbol(number));
        let data = below(rvas.get(self.code..)?, rva).and_then(|number| self.symbol(self.code + number));
        let symbol = match (code, data) {
            (Some(code), Some(data)) if data.rva > code.rva => data,
            (code, data) => code.or(data)?,
        };
        placed(symbol, rva, lowest, || Some(Fit::Nearest))
    }

    /// Every name that begins at an address, the preferred one first, at most 64.
    pub fn names_at(&self, rva: u32) -> impl Iterator<Item = Symbol<'_>> {
        let numbers = |from: usize, to: usize| {
            let end = self.rvas().get(from..to).and_then(|rvas| below(rvas, rva)).map_or(0, |number| from + number + 1);
            (from..end).rev()
        };
        let code = numbers(0, self.code);
        let data = numbers(self.code, self.count);
        let here = move |number: &usize| self.rva(*number) == Some(rva);
        code.take_while(here).chain(data.take_while(here)).filter_map(|number| self.symbol(number)).take(64)
    }

    /// The symbol of a name, as its source has it. Where a name has several addresses, one of them.
    #[must_use]
    pub fn find(&self, raw: &str) -> Option<Symbol<'_>> {
        let order = self.order();
        let first = order.partition_point(|&number| self.name_bytes(number) < Some(raw.as_bytes()));
        let symbol = self.symbol(u32::from_le_bytes(*order.get(first)?) as usize)?;
        (symbol.raw == raw).then_some(symbol)
    }

    /// The address of a name.
    #[must_use]
    pub fn rva_of(&self, raw: &str) -> Option<u32> {
        self.find(raw).map(|symbol| symbol.rva)
    }

    /// The symbols whose names begin with `prefix`, in the order of their names.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = Symbol<'a>> {
        let order = self.order();
        let first = order.partition_point(|&number| self.name_bytes(number) < Some(prefix.as_bytes()));
        let rest = order.get(first..).unwrap_or_default();
        rest.iter()
            .filter_map(|&number| self.symbol(u32::from_le_bytes(number) as usize))
            .take_while(move |symbol| symbol.raw.starts_with(prefix))
    }

    /// Every symbol: first those of code, then those of data, each by address.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'_>> {
        (0..self.count).filter_map(|number| self.symbol(number))
    }

    /// The bytes of the index, as written to disk.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the section of an address begins; 0 where the sections are not known, nothing where the address is in none.
    fn section_start(&self, rva: u32, code: bool) -> Option<u32> {
        if self.sections.is_empty() {
            return Some(0);
        }
        let number = self.sections.partition_point(|section| section.rva <= rva).checked_sub(1)?;
        let section = self.sections.get(number)?;
        let within = rva.checked_sub(section.rva)? < section.size;
        (within && (section.executable || !code)).then_some(section.rva)
    }

    fn array(&self, range: &Range<usize>) -> &[[u8; 4]] {
        self.bytes.get(range.clone()).unwrap_or_default().as_chunks().0
    }

    fn rvas(&self) -> &[[u8; 4]] {
        self.array(&self.rvas)
    }

    fn order(&self) -> &[[u8; 4]] {
        self.array(&self.by_name)
    }

    fn rva(&self, number: usize) -> Option<u32> {
        self.rvas().get(number).map(|&rva| u32::from_le_bytes(rva))
    }

    fn name_bytes(&self, number: [u8; 4]) -> Option<&[u8]> {
        self.string(u32::from_le_bytes(number) as usize)
    }

    fn string(&self, number: usize) -> Option<&[u8]> {
        let at = u32::from_le_bytes(*self.array(&self.names).get(number)?) as usize;
        let strings = Fields(self.bytes.get(self.strings.clone())?);
        strings.bytes(at.checked_add(2)?, strings.u16(at)?.into())
    }

    fn symbol(&self, number: usize) -> Option<Symbol<'_>> {
        let info = u32::from_le_bytes(*self.array(&self.infos).get(number)?);
        Some(Symbol {
            raw: std::str::from_utf8(self.string(number)?).ok()?,
            rva: self.rva(number)?,
            size: Some(info & SIZE_MASK).filter(|&size| size != 0),
            kind: SymbolKind::from_byte((info >> 28) as u8),
        })
    }
}

/// How an address lies to the name nearest below it, if that name stands in the same section, which starts at `lowest`.
/// `unsized_fit` says how far a name without a size reaches.
fn placed(symbol: Symbol<'_>, rva: u32, lowest: u32, unsized_fit: impl FnOnce() -> Option<Fit>) -> Option<SymbolAt<'_>> {
    if symbol.rva < lowest {
        return None;
    }
    let offset = rva.checked_sub(symbol.rva)?;
    let fit = match symbol.size {
        Some(size) if offset < size => Fit::Inside,
        Some(_) => Fit::Doubtful,
        None => unsized_fit()?,
    };
    Some(SymbolAt { symbol, offset, fit })
}

/// The number of the last address that is not above `rva`.
fn below(rvas: &[[u8; 4]], rva: u32) -> Option<usize> {
    rvas.partition_point(|&at| u32::from_le_bytes(at) <= rva).checked_sub(1)
}

/// Where the parts of an index lie.
struct Layout {
    rvas: Range<usize>,
    names: Range<usize>,
    infos: Range<usize>,
    by_name: Range<usize>,
    strings: Range<usize>,
}

impl Layout {
    fn new(code: usize, data: usize, sections: usize, strings: usize) -> Option<Self> {
        let array = code.checked_add(data)?.checked_mul(4)?;
        let mut at = sections.checked_mul(12)?.checked_add(HEADER)?;
        let mut next = |length: usize| {
            let start = at;
            at = at.checked_add(length)?;
            Some(start..at)
        };
        Some(Self { rvas: next(array)?, names: next(array)?, infos: next(array)?, by_name: next(array)?, strings: next(strings)? })
    }
}

/// A checksum of everything but the 8 bytes that hold it in an index: four lanes of multiply and rotate. It tells damage, not
/// malice; every read of an index is checked besides.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |lane: u64, word: u64| (lane ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let mut lanes = [bytes.len() as u64, 1, 2, 3];
    let head = bytes.get(..CHECKSUM_AT).unwrap_or_default();
    let body = bytes.get(HEADER..).unwrap_or_default();
    for part in [head, body] {
        let (blocks, rest) = part.as_chunks::<32>();
        for block in blocks {
            for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
                *lane = mix(*lane, u64::from_le_bytes(*word));
            }
        }
        for &byte in rest {
            lanes = lanes.map(|lane| mix(lane, byte.into()));
        }
    }
    lanes.into_iter().fold(FACTOR, mix)
}

/// What the fuzzer calls: the bytes as they are, and with the checksum made to fit, so that the reads behind it are tried too.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let mut fitting = bytes.to_vec();
    let sum = checksum(bytes).to_le_bytes();
    if let Some(place) = fitting.get_mut(CHECKSUM_AT..CHECKSUM_AT + 8) {
        place.copy_from_slice(&sum);
    }
    for bytes in [bytes.to_vec(), fitting] {
        let Ok(index) = SymbolIndex::parse(FileBytes::Held(bytes)) else { continue };
        for rva in [0, 1, 0x1000, 0x1010, u32::MAX].into_iter().chain(index.iter().take(32).map(|symbol| symbol.rva)) {
            let _ = (index.function_at(rva), index.symbol_at(rva), index.names_at(rva).count());
        }
        for symbol in index.iter().take(32) {
            let _ = (index.find(symbol.raw), index.with_prefix(symbol.raw).take(32).count());
        }
    }
}
