//! Machine code in whole 4 KiB pages, the way small dumps hold it around the addresses of interest.

use crate::DataBlock;
use std::collections::BTreeMap;

/// Code pages under construction. Unwritten bytes are `int3` (x64, x86) or zero (ARM64), like the padding between
/// real functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    pages: BTreeMap<u64, Vec<u8>>,
    filler: u8,
}

impl Code {
    /// No pages yet.
    pub fn new(filler: u8) -> Self {
        Code { pages: BTreeMap::new(), filler }
    }

    /// Writes bytes at a virtual address; returns the address behind them.
    pub fn put(&mut self, address: u64, bytes: &[u8]) -> u64 {
        for (i, byte) in bytes.iter().enumerate() {
            let a = address + i as u64;
            let page = self.pages.entry(a & !0xfff).or_insert_with(|| vec![self.filler; 0x1000]);
            page[(a & 0xfff) as usize] = *byte;
        }
        address + bytes.len() as u64
    }

    /// Writes `call rel32` (E8) at `address`; returns the return address.
    ///
    /// # Panics
    /// When the target is more than 2 GiB away.
    pub fn call_near(&mut self, address: u64, target: u64) -> u64 {
        let distance = i32::try_from(target.wrapping_sub(address + 5) as i64).expect("call target out of reach");
        let end = self.put(address, &[0xe8]);
        self.put(end, &distance.to_le_bytes())
    }

    /// Writes `call rel32` between 32-bit addresses; returns the return address.
    pub fn call_near_x86(&mut self, address: u64, target: u64) -> u64 {
        let distance = (target as u32).wrapping_sub(address as u32 + 5);
        let end = self.put(address, &[0xe8]);
        self.put(end, &distance.to_le_bytes())
    }

    /// Writes x64 `call qword ptr [rip+x]` (FF 15) through a pointer at `slot`; returns the return address.
    pub fn call_import(&mut self, address: u64, slot: u64, target: u64) -> u64 {
        let distance = i32::try_from(slot.wrapping_sub(address + 6) as i64).expect("import slot out of reach");
        self.put(slot, &target.to_le_bytes());
        let end = self.put(address, &[0xff, 0x15]);
        self.put(end, &distance.to_le_bytes())
    }

    /// Writes x86 `call dword ptr [slot]` (FF 15); returns the return address.
    pub fn call_import_x86(&mut self, address: u64, slot: u64, target: u64) -> u64 {
        self.put(slot, &(target as u32).to_le_bytes());
        let end = self.put(address, &[0xff, 0x15]);
        self.put(end, &(slot as u32).to_le_bytes())
    }

    /// Writes `call rax` / `call eax` (FF D0); returns the return address.
    pub fn call_register(&mut self, address: u64) -> u64 {
        self.put(address, &[0xff, 0xd0])
    }

    /// Writes ARM64 `bl target`; returns the return address.
    ///
    /// # Panics
    /// When the target is more than 128 MiB away.
    pub fn branch_link_arm64(&mut self, address: u64, target: u64) -> u64 {
        let words = target.wrapping_sub(address) as i64 / 4;
        assert!((-(1 << 25)..1 << 25).contains(&words), "branch target out of reach");
        self.put(address, &(0x9400_0000 | (words as u32 & 0x03ff_ffff)).to_le_bytes())
    }

    /// Writes ARM64 `blr x8`; returns the return address.
    pub fn branch_register_arm64(&mut self, address: u64) -> u64 {
        self.put(address, &0xd63f_0100_u32.to_le_bytes())
    }

    /// The bytes at an address, if their page was written.
    pub fn get(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        (0..len as u64).map(|i| self.pages.get(&((address + i) & !0xfff)).map(|p| p[((address + i) & 0xfff) as usize])).collect()
    }

    /// The finished pages.
    pub fn blocks(&self) -> Vec<DataBlock> {
        self.pages.iter().map(|(address, data)| DataBlock { address: *address, data: data.clone() }).collect()
    }
}
