//! The machine's memory before and after the run: physical pages and the page tables in them.

/// Bytes of memory.
pub(crate) const RAM: usize = 32 << 20;
/// Where the first page for images and tables lies; below are the firmware's and the boot loader's.
const FIRST_PAGE: u64 = 0x201;
const FRAME: u64 = 0x000f_ffff_ffff_f000;

/// How a page is mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub write: bool,
    pub execute: bool,
    pub user: bool,
}

impl Access {
    pub(crate) const DATA: Access = Access { write: true, execute: false, user: false };
    pub(crate) const USER: Access = Access { write: true, execute: true, user: true };

    fn bits(self) -> u64 {
        let mut bits = 0x21; // present, accessed
        bits |= if self.write { 0x42 } else { 0 };
        bits |= if self.user { 4 } else { 0 };
        bits | if self.execute { 0 } else { 1 << 63 }
    }
}

/// Physical memory.
#[derive(Debug)]
pub(crate) struct Guest {
    pub ram: Vec<u8>,
    /// The physical address of the top table.
    pub root: u64,
    /// The first page frame that nothing uses.
    pub next: u64,
}

impl Guest {
    /// Empty tables that map themselves, as Windows' do.
    pub(crate) fn new() -> Self {
        let mut guest = Guest { ram: vec![0; RAM], root: 0, next: FIRST_PAGE };
        guest.root = guest.page();
        guest.put(guest.root + 8 * 0x1ed, guest.root | 0x8000_0000_0000_0063);
        guest
    }

    fn page(&mut self) -> u64 {
        self.next += 1;
        (self.next - 1) << 12
    }

    fn get(&self, physical: u64) -> u64 {
        let at = usize::try_from(physical).unwrap();
        u64::from_le_bytes(self.ram[at..at + 8].try_into().unwrap())
    }

    fn put(&mut self, physical: u64, value: u64) {
        let at = usize::try_from(physical).unwrap();
        self.ram[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn slot(table: u64, address: u64, level: u32) -> u64 {
        table + 8 * (address >> (12 + 9 * (level - 1)) & 511)
    }

    /// The physical address of the lowest table for an address; missing tables are made.
    pub(crate) fn table(&mut self, address: u64) -> u64 {
        let mut table = self.root;
        for level in (2..=4).rev() {
            let slot = Self::slot(table, address, level);
            if self.get(slot) == 0 {
                let user = if address < 1 << 47 { 4 } else { 0 };
                let page = self.page();
                self.put(slot, page | 0x63 | user);
            }
            table = self.get(slot) & FRAME;
        }
        table
    }

    /// Maps a page to a physical one.
    pub(crate) fn map_to(&mut self, address: u64, physical: u64, access: Access) {
        let table = self.table(address);
        self.put(Self::slot(table, address, 1), physical | access.bits());
    }

    /// Maps fresh pages.
    pub(crate) fn map(&mut self, address: u64, bytes: u64, access: Access) {
        for offset in (0..bytes).step_by(0x1000) {
            let page = self.page();
            self.map_to(address + offset, page, access);
        }
    }

    /// The physical address of a virtual one.
    pub(crate) fn physical(&self, address: u64) -> Option<u64> {
        let mut table = self.root;
        for level in (1..=4).rev() {
            let entry = self.get(Self::slot(table, address, level));
            if entry & 1 == 0 || (entry & FRAME) >= RAM as u64 {
                return None;
            }
            table = entry & FRAME;
        }
        Some(table | address & 0xfff)
    }

    /// Reads as far as pages are mapped.
    pub(crate) fn read(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let at = address.wrapping_add(bytes.len() as u64);
            let Some(physical) = self.physical(at) else { break };
            let count = (length - bytes.len()).min(0x1000 - usize::try_from(at & 0xfff).unwrap());
            let from = usize::try_from(physical).unwrap();
            bytes.extend_from_slice(&self.ram[from..from + count]);
        }
        bytes
    }

    /// Reads all of it.
    pub(crate) fn exact(&self, address: u64, length: usize) -> Vec<u8> {
        let bytes = self.read(address, length);
        assert_eq!(bytes.len(), length, "no memory at {:#x}", address + bytes.len() as u64);
        bytes
    }

    pub(crate) fn u64(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.exact(address, 8).try_into().unwrap())
    }

    pub(crate) fn u32(&self, address: u64) -> u32 {
        u32::from_le_bytes(self.exact(address, 4).try_into().unwrap())
    }

    /// Writes to mapped pages.
    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) {
        for (offset, byte) in bytes.iter().enumerate() {
            let physical = self.physical(address + offset as u64).unwrap();
            self.ram[usize::try_from(physical).unwrap()] = *byte;
        }
    }

    /// A UNICODE_STRING's text.
    pub(crate) fn unicode_string(&self, address: u64) -> String {
        let length = self.u32(address) & 0xffff;
        let bytes = self.exact(self.u64(address + 8), length as usize);
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    }
}
