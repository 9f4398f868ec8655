//! A reader of its own for the tests: a few lines, offsets written out, nothing from the crate.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

pub fn u16_at(d: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(d[at..at + 2].try_into().unwrap())
}

pub fn u32_at(d: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(d[at..at + 4].try_into().unwrap())
}

pub fn u64_at(d: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(d[at..at + 8].try_into().unwrap())
}

/// `offset` and `size` at two places of the file, as usize.
pub fn at(d: &[u8], field: usize) -> usize {
    u32_at(d, field) as usize
}

pub fn text(d: &[u8], at: usize, units: usize) -> String {
    let units: Vec<u16> = (0..units).map(|i| u16_at(d, at + 2 * i)).collect();
    String::from_utf16(&units).unwrap()
}

pub struct Module {
    pub path: String,
    pub base: u64,
    pub size: u32,
    pub check_sum: u32,
    pub time: u32,
}

/// What a small dump holds, by fixed offsets.
pub struct Triage<'a> {
    pub d: &'a [u8],
    pub wide: bool,
    /// Offset of the triage header.
    pub t: usize,
}

impl<'a> Triage<'a> {
    pub fn new(d: &'a [u8]) -> Self {
        let wide = &d[..8] == b"PAGEDU64";
        assert!(wide || &d[..8] == b"PAGEDUMP");
        Triage { d, wide, t: if wide { 0x2000 } else { 0x1000 } }
    }

    pub fn modules(&self) -> Vec<Module> {
        let (list, count) = (at(self.d, self.t + 0x30), at(self.d, self.t + 0x34));
        (0..count)
            .map(|i| {
                let e = list + i * if self.wide { 0x90 } else { 0x4c };
                let s = at(self.d, e);
                let path = text(self.d, s + 4, at(self.d, s));
                if self.wide {
                    Module {
                        path,
                        base: u64_at(self.d, e + 0x38),
                        size: u32_at(self.d, e + 0x48),
                        check_sum: u32_at(self.d, e + 0x80),
                        time: u32_at(self.d, e + 0x88),
                    }
                } else {
                    Module {
                        path,
                        base: u64::from(u32_at(self.d, e + 4 + 0x18)),
                        size: u32_at(self.d, e + 4 + 0x20),
                        check_sum: u32_at(self.d, e + 4 + 0x40),
                        time: u32_at(self.d, e + 4 + 0x44),
                    }
                }
            })
            .collect()
    }

    /// {address, bytes}: the call stack first, then the data blocks.
    pub fn memory(&self) -> Vec<(u64, &'a [u8])> {
        let d = self.d;
        let top = if self.wide { u64_at(d, self.t + 0x48) } else { u64::from(u32_at(d, self.t + 0x48)) };
        let (stack, size) = (at(d, self.t + 0x28), at(d, self.t + 0x2c));
        let mut out = vec![(top, &d[stack..stack + size])];
        let field = self.t + if self.wide { 0x78 } else { 0x60 };
        for i in 0..at(d, field + 4) {
            let e = at(d, field) + 16 * i;
            let (offset, size) = (at(d, e + 8), at(d, e + 12));
            out.push((u64_at(d, e), &d[offset..offset + size]));
        }
        out
    }

    pub fn read(&self, address: u64, len: usize) -> Option<&'a [u8]> {
        self.memory().into_iter().find_map(|(base, data)| {
            let from = usize::try_from(address.checked_sub(base)?).ok()?;
            data.get(from..from + len)
        })
    }
}
