//! x64 page tables (4 levels), built page by page.
//!
//! The formats are the processor's (Intel SDM volume 3, 4.5) for present entries and the public nt type
//! information's MMPTE_SOFTWARE and MMPTE_TRANSITION (Vergilius 10.0.19041) for the others. Present, missing, large
//! and huge entries were read back through kdmp-parser.

use std::collections::BTreeMap;

/// Page tables and the pages they map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageTables {
    pages: BTreeMap<u64, Vec<u8>>,
    root: u64,
    next: u64,
}

impl PageTables {
    /// Present, writable, accessed, dirty, not executable.
    pub const DATA: u64 = 0x8000_0000_0000_0063;
    /// Present, accessed, executable, read-only.
    pub const CODE: u64 = 0x21;
    /// The large page bit of a level 2 or 3 entry.
    pub const LARGE: u64 = 0x80;

    /// Empty tables; pages are taken from `first_pfn` upwards, the root first.
    pub fn new(first_pfn: u64) -> Self {
        let mut t = PageTables { pages: BTreeMap::new(), root: 0, next: first_pfn };
        t.root = t.allocate();
        t
    }

    /// Takes the next page.
    pub fn allocate(&mut self) -> u64 {
        let pfn = self.next;
        self.next += 1;
        self.pages.insert(pfn, vec![0; 0x1000]);
        pfn
    }

    /// The physical address of the root, for CR3 and the dump header.
    pub fn directory_base(&self) -> u64 {
        self.root << 12
    }

    /// The pages written so far.
    pub fn pages(&self) -> &BTreeMap<u64, Vec<u8>> {
        &self.pages
    }

    /// Removes a page, so that an entry points to memory that is not in the dump.
    pub fn remove_page(&mut self, pfn: u64) {
        self.pages.remove(&pfn);
    }

    /// Gives a page contents of its own.
    pub fn set_page(&mut self, pfn: u64, data: &[u8]) {
        let mut page = data.to_vec();
        assert!(page.len() <= 0x1000);
        page.resize(0x1000, 0);
        self.pages.insert(pfn, page);
    }

    fn index(va: u64, level: u32) -> usize {
        ((va >> (12 + 9 * (level - 1))) & 0x1ff) as usize
    }

    fn entry(&self, table: u64, index: usize) -> u64 {
        u64::from_le_bytes(self.pages[&table][8 * index..8 * index + 8].try_into().unwrap())
    }

    fn put(&mut self, table: u64, index: usize, value: u64) {
        self.pages.get_mut(&table).unwrap()[8 * index..8 * index + 8].copy_from_slice(&value.to_le_bytes());
    }

    /// Writes the raw entry of `va` at `level`: 1 page table entry, 2 directory, 3 pointer table, 4 root. Upper
    /// levels are made as needed.
    ///
    /// # Panics
    /// When an upper level is already a large or non-present entry.
    pub fn set_entry(&mut self, va: u64, level: u32, raw: u64) -> &mut Self {
        assert!((1..=4).contains(&level));
        let mut table = self.root;
        for l in (level + 1..=4).rev() {
            let old = self.entry(table, Self::index(va, l));
            table = if old == 0 {
                let pfn = self.allocate();
                self.put(table, Self::index(va, l), pfn << 12 | 0x63);
                pfn
            } else {
                assert!(old & 0x81 == 1, "level {l} entry of {va:#x} is no table: {old:#x}");
                (old >> 12) & 0xf_ffff_ffff
            };
        }
        self.put(table, Self::index(va, level), raw);
        self
    }

    /// Maps a page to a page frame.
    pub fn map(&mut self, va: u64, pfn: u64, flags: u64) -> &mut Self {
        self.set_entry(va, 1, pfn << 12 | flags)
    }

    /// Maps 2 MiB; `pfn` must be a multiple of 512.
    pub fn map_large(&mut self, va: u64, pfn: u64, flags: u64) -> &mut Self {
        assert!(pfn.is_multiple_of(512));
        self.set_entry(va, 2, pfn << 12 | flags | Self::LARGE)
    }

    /// Maps 1 GiB; `pfn` must be a multiple of 512 * 512.
    pub fn map_huge(&mut self, va: u64, pfn: u64, flags: u64) -> &mut Self {
        assert!(pfn.is_multiple_of(512 * 512));
        self.set_entry(va, 3, pfn << 12 | flags | Self::LARGE)
    }

    /// The root maps itself at `index`, as Windows does to reach its own tables.
    pub fn self_map(&mut self, index: usize) -> &mut Self {
        let raw = self.root << 12 | 0x8000_0000_0000_0063;
        self.put(self.root, index, raw);
        self
    }

    /// A software entry: the page is in paging file `file` (0-15) at page `offset`.
    pub fn paged_out(file: u64, offset: u64) -> u64 {
        assert!(file < 16);
        offset << 32 | file << 12 | 4 << 5 | 1 << 4
    }

    /// A software entry: the page is in transition; its contents are still in page frame `pfn`.
    pub fn transition(pfn: u64) -> u64 {
        pfn << 12 | 1 << 11 | 4 << 5 | 1 << 4
    }

    /// A software entry: a page of zeros on first touch.
    pub fn demand_zero() -> u64 {
        4 << 5
    }

    /// Physical address of a virtual one, through present entries.
    pub fn translate(&self, va: u64) -> Option<u64> {
        let mut table = self.root;
        for level in (1..=4).rev() {
            let raw = self.pages.get(&table).map(|_| self.entry(table, Self::index(va, level)))?;
            if raw & 1 == 0 {
                return None;
            }
            let frame = raw & 0x000f_ffff_ffff_f000;
            let span = 1u64 << (12 + 9 * (level - 1));
            if level == 1 || (level < 4 && raw & Self::LARGE != 0) {
                return Some((frame & !(span - 1)) + (va & (span - 1)));
            }
            table = frame >> 12;
        }
        None
    }

    /// Writes bytes at a virtual address; pages are made and mapped with `flags` where nothing is mapped yet.
    pub fn write(&mut self, va: u64, data: &[u8], flags: u64) -> &mut Self {
        let mut done = 0;
        while done < data.len() {
            let at = va + done as u64;
            let pfn = match self.translate(at) {
                Some(pa) => pa >> 12,
                None => {
                    let pfn = self.allocate();
                    self.map(at & !0xfff, pfn, flags);
                    pfn
                }
            };
            let start = (at & 0xfff) as usize;
            let count = (0x1000 - start).min(data.len() - done);
            let page = self.pages.entry(pfn).or_insert_with(|| vec![0; 0x1000]);
            page[start..start + count].copy_from_slice(&data[done..done + count]);
            done += count;
        }
        self
    }
}
