//! Names from any source → the bytes of an index.

use bugcheck_dump::{Fields, FileBytes};

use super::{CHECKSUM_AT, EXECUTABLE, HEADER, MAGIC, Origin, SIZE_MASK, SymbolIndex, VERSION, checksum};
use crate::demangle::names_data;
use crate::error::SymbolError;
use crate::source::{PdbId, SymbolKind};

/// Most names that are kept of one source: the largest known PDBs of kernel modules have some 60,000, those of browsers two
/// million.
const MOST_SYMBOLS: usize = 8 << 20;
/// Most bytes of names.
const MOST_STRINGS: usize = 1 << 30;
/// Longest name; longer ones are cut.
const LONGEST_NAME: usize = 4096;
/// Most sections; a PE image has at most 96.
const MOST_SECTIONS: usize = 4096;

/// A section of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Where it begins.
    pub rva: u32,
    /// Bytes in memory.
    pub size: u32,
    /// Whether it holds code.
    pub executable: bool,
}

impl Section {
    pub(super) fn read(fields: Fields<'_>, at: usize) -> Option<Self> {
        Some(Self { rva: fields.u32(at)?, size: fields.u32(at + 4)?, executable: fields.u32(at + 8)? & EXECUTABLE != 0 })
    }
}

#[derive(Clone, Copy)]
struct Entry {
    rva: u32,
    size: u32,
    kind: SymbolKind,
    /// Where the name begins in the strings, behind its length.
    name: u32,
    length: u16,
}

/// Collects names and writes an index of them.
#[derive(Default)]
pub struct IndexBuilder {
    sections: Vec<Section>,
    entries: Vec<Entry>,
    strings: Vec<u8>,
    skipped: usize,
}

impl IndexBuilder {
    /// With the sections of the image, in any order; none if they are not known.
    #[must_use]
    pub fn new(sections: &[Section]) -> Self {
        let mut sections: Vec<Section> = sections.iter().copied().take(MOST_SECTIONS).collect();
        sections.sort_by_key(|section| section.rva);
        Self { sections, ..Self::default() }
    }

    /// Adds a name. `size` is 0 where it is not known. Control characters in the name are replaced, a name that says that it
    /// is data is data, and beyond a cap names are dropped and counted.
    pub fn add(&mut self, raw: &[u8], rva: u32, size: u32, kind: SymbolKind) {
        if raw.is_empty() {
            return;
        }
        let raw = raw.get(..LONGEST_NAME).unwrap_or(raw);
        if self.entries.len() >= MOST_SYMBOLS || self.strings.len() + 2 + 3 * raw.len() > MOST_STRINGS {
            self.skipped += 1;
            return;
        }
        let kind = if kind == SymbolKind::Public && names_data(raw) { SymbolKind::Data } else { kind };
        let start = self.strings.len();
        self.strings.extend_from_slice(&[0, 0]);
        if raw.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            self.strings.extend_from_slice(raw);
        } else {
            let clean: String = String::from_utf8_lossy(raw).chars().map(shown).collect();
            self.strings.extend_from_slice(clean.as_bytes());
        }
        let length = u16::try_from(self.strings.len() - start - 2).unwrap_or(0);
        if let Some(place) = self.strings.get_mut(start..start + 2) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        self.entries.push(Entry { rva, size: size.min(SIZE_MASK), kind, name: start as u32, length });
    }

    /// How many names were dropped because there were too many.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Writes the index and opens it.
    ///
    /// # Errors
    /// Never for what [`Self::add`] accepted; the result is read back like any other.
    pub fn finish(mut self, origin: Origin, id: Option<PdbId>, machine: u32, source_mark: u64) -> Result<SymbolIndex, SymbolError> {
        self.order();
        let code = self.entries.partition_point(|entry| entry.kind.is_code());
        let data = self.entries.len() - code;
        let id = id.unwrap_or(PdbId { guid: [0; 16], age: 0 });
        let mut out = Vec::with_capacity(HEADER + 12 * self.sections.len() + 16 * self.entries.len() + self.strings.len());
        out.extend_from_slice(MAGIC);
        let mut number = |value: u32| out.extend_from_slice(&value.to_le_bytes());
        number(VERSION);
        number(origin as u32);
        out.extend_from_slice(&id.guid);
        for value in [id.age, machine, code as u32, data as u32, self.sections.len() as u32, self.strings.len() as u32] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&source_mark.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        for section in &self.sections {
            for value in [section.rva, section.size, u32::from(section.executable)] {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        out.extend(self.entries.iter().flat_map(|entry| entry.rva.to_le_bytes()));
        out.extend(self.entries.iter().flat_map(|entry| entry.name.to_le_bytes()));
        out.extend(self.entries.iter().flat_map(|entry| (entry.size | (entry.kind as u32) << 28).to_le_bytes()));
        out.extend(self.by_name().into_iter().flat_map(u32::to_le_bytes));
        out.extend_from_slice(&self.strings);
        let sum = checksum(&out).to_le_bytes();
        if let Some(place) = out.get_mut(CHECKSUM_AT..CHECKSUM_AT + 8) {
            place.copy_from_slice(&sum);
        }
        SymbolIndex::parse(FileBytes::Held(out))
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        let start = entry.name as usize + 2;
        self.strings.get(start..start + usize::from(entry.length)).unwrap_or_default()
    }

    /// Code before data, each by address; the same name at the same address once, with the most that is known of it; the
    /// preferred name of an address last.
    fn order(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_unstable_by_key(|entry| entry.rva);
        let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
        for run in entries.chunk_by_mut(|a, b| a.rva == b.rva) {
            if run.len() > 1 {
                // Equal names next to each other, the best known first.
                run.sort_unstable_by(|a, b| self.name(a).cmp(self.name(b)).then((b.kind, b.size).cmp(&(a.kind, a.size))));
            }
            let first = kept.len();
            for entry in run.iter() {
                let repeated = kept.get(first..).and_then(<[Entry]>::last).is_some_and(|last| self.name(last) == self.name(entry));
                if !repeated {
                    kept.push(*entry);
                }
            }
            if let Some(run) = kept.get_mut(first..)
                && run.len() > 1
            {
                // Stable: of equally good names the first by alphabet comes last, as debuggers prefer it.
                run.reverse();
                run.sort_by_key(|entry| self.preference(entry));
            }
        }
        // Stable: the order of addresses and preferences stays.
        let (mut code, data): (Vec<Entry>, Vec<Entry>) = kept.into_iter().partition(|entry| entry.kind.is_code());
        code.extend(data);
        self.entries = code;
    }

    /// Of several names at one address, the one with the greatest value is shown: a function before a mere public, one of known
    /// size, one without marks of a compiler's or linker's own making, the shorter one.
    fn preference(&self, entry: &Entry) -> (SymbolKind, bool, bool, std::cmp::Reverse<u16>) {
        let plain = !self.name(entry).iter().any(|byte| matches!(byte, b'$' | b'`' | b'.'));
        (entry.kind, entry.size != 0, plain, std::cmp::Reverse(entry.length))
    }

    /// The numbers of the entries in the order of their names; equal names by address.
    fn by_name(&self) -> Vec<u32> {
        // The first eight bytes decide nearly always, and compare as one number.
        let mut keys: Vec<(u64, u32)> = self.entries.iter().zip(0..).map(|(entry, number)| (prefix(self.name(entry)), number)).collect();
        let rest = |number: u32| self.entries.get(number as usize).and_then(|entry| self.name(entry).get(8..)).unwrap_or_default();
        let length = |number: u32| self.entries.get(number as usize).map_or(0, |entry| entry.length);
        keys.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| rest(a.1).cmp(rest(b.1))).then_with(|| length(a.1).cmp(&length(b.1))).then(a.1.cmp(&b.1))
        });
        keys.into_iter().map(|(_, number)| number).collect()
    }
}

/// The first eight bytes as a number that compares like them; absent ones are zeros, which no name contains.
fn prefix(name: &[u8]) -> u64 {
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(name) {
        *to = *from;
    }
    u64::from_be_bytes(first)
}

fn shown(c: char) -> char {
    let invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if c.is_control() || invisible { char::REPLACEMENT_CHARACTER } else { c }
}
