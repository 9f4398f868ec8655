//! Dumps that hold physical pages.
//!
//! | type | layout behind the header | sources | checked |
//! |---|---|---|---|
//! | 1 full | pages of the header's runs, in order | volatility3, kdmp-parser | kdmp-parser 0.7.4 and volatility3 2.x read the bytes back; header fields against three real headers |
//! | 2 kernel (old) | SUMMARY_DUMP: `SDMPDUMP`, options, header size, bits, pages, bitmap, pages | `mindumpdef.h` as quoted by other projects, Ghidra | nothing at hand reads this kind |
//! | 5 bitmap full, 6 bitmap kernel | `FDMPDUMP`/`SDMPDUMP`, first page +0x20, present +0x28, bits +0x30, bitmap +0x38 | kdmp-parser, rizin | kdmp-parser, volatility3 (type 5); rizin's asserted header size 0xa038 for 0x40000 bits |
//! | 8, 9 ranges | u32 0x40, `RDMPDUMP`, metadata size, first page, {pfn, count} from +0x30 | kdmp-parser | kdmp-parser |
//! | 0xA complete ranges | the same with number of ranges +0x20 and pages +0x28 | kdmp-parser | kdmp-parser |
//!
//! 32-bit forms are written for 1 and 2 only (header 0x1000 bytes, bitmap at +0x20). volatility3 reads type 1 back.
//!
//! Range dumps are refused by kdmp-parser unless metadata size + 0x2020 is the first page's offset.
//! The files for such checks come from `cargo run -p bugcheck-synth --example write_kinds`.

use crate::blob::align;
use crate::{Arch, Blob, ContextX64, ContextX86, ExceptionRecord, Header, PageTables};
use std::collections::BTreeMap;

/// The kind of a dump with physical pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PhysicalKind {
    Full = 1,
    Kernel = 2,
    BitmapFull = 5,
    BitmapKernel = 6,
    RangeKernel = 8,
    RangeKernelUser = 9,
    RangeComplete = 0xa,
}

impl PhysicalKind {
    /// All kinds.
    pub const ALL: [PhysicalKind; 7] = [
        PhysicalKind::Full,
        PhysicalKind::Kernel,
        PhysicalKind::BitmapFull,
        PhysicalKind::BitmapKernel,
        PhysicalKind::RangeKernel,
        PhysicalKind::RangeKernelUser,
        PhysicalKind::RangeComplete,
    ];
}

/// A dump of physical pages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PhysicalDump {
    pub header: Header,
    pub kind: PhysicalKind,
    /// Page frame number to 4096 bytes.
    pub pages: BTreeMap<u64, Vec<u8>>,
}

impl PhysicalDump {
    /// A dump without pages.
    ///
    /// # Panics
    /// For an x86 dump of a kind other than 1 and 2.
    pub fn new(arch: Arch, kind: PhysicalKind) -> Self {
        assert!(!arch.is_32() || matches!(kind, PhysicalKind::Full | PhysicalKind::Kernel));
        let mut header = Header::new(arch);
        header.dump_type = kind as u32;
        header.mini_dump_fields = None;
        PhysicalDump { header, kind, pages: BTreeMap::new() }
    }

    /// Takes the tables' pages and root.
    pub fn tables(&mut self, tables: &PageTables) -> &mut Self {
        self.header.directory_table_base = tables.directory_base();
        self.pages.extend(tables.pages().clone());
        self
    }

    /// Adds or replaces a page; short data is padded with zeros.
    pub fn page(&mut self, pfn: u64, data: &[u8]) -> &mut Self {
        assert!(data.len() <= 0x1000);
        let mut page = data.to_vec();
        page.resize(0x1000, 0);
        self.pages.insert(pfn, page);
        self
    }

    fn runs(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for pfn in self.pages.keys() {
            match runs.last_mut() {
                Some((base, count)) if *base + *count == *pfn => *count += 1,
                _ => runs.push((*pfn, 1)),
            }
        }
        runs
    }

    /// The bitmap: one bit a page frame, up to a multiple of 32 frames behind the last.
    fn bitmap(&self) -> Vec<u8> {
        let bits = align(self.pages.keys().last().map_or(0, |p| *p as usize + 1), 32);
        let mut map = vec![0u8; bits / 8];
        for pfn in self.pages.keys() {
            map[*pfn as usize / 8] |= 1 << (pfn % 8);
        }
        map
    }

    /// The whole file.
    ///
    /// # Panics
    /// When the pages need more runs than a full dump's header holds, or a range dump has page frame 0 (a range
    /// of page 0 ends the list).
    pub fn bytes(&self) -> Vec<u8> {
        let wide = !self.header.arch.is_32();
        let runs = self.runs();
        let mut header = self.header.clone();
        if self.kind == PhysicalKind::Full || runs.len() <= 42 {
            header.physical_runs = header.physical_runs.or(Some(runs.clone()));
        }
        if header.context.is_none() {
            header.context = Some(match header.arch {
                Arch::X86 => ContextX86::default().bytes(),
                Arch::Arm64 => crate::ContextArm64::default().bytes(),
                Arch::X64 => ContextX64::default().bytes(),
            });
        }
        if header.exception.is_none() {
            header.exception = Some(ExceptionRecord::header_default(0));
        }
        let at = header.arch.header_size();
        let mut out = Blob::default();
        out.bytes(0, &header.bytes());
        let count = self.pages.len() as u64;
        let count32 = u32::try_from(count).unwrap();
        let first_page = match self.kind {
            PhysicalKind::Full => at,
            PhysicalKind::Kernel => {
                let map = self.bitmap();
                let bits = u32::try_from(map.len() * 8).unwrap();
                let map_at = at + if wide { 0x28 } else { 0x20 };
                let first = align(map_at + map.len(), 0x1000);
                out.bytes(at, b"SDMPDUMP").u32(at + 8, 0).u32(at + 0xc, u32::try_from(first).unwrap());
                out.u32(at + 0x10, bits).u32(at + 0x14, count32).u32(at + 0x18, bits).bytes(map_at, &map);
                first
            }
            PhysicalKind::BitmapFull | PhysicalKind::BitmapKernel => {
                let map = self.bitmap();
                let first = at + 0x38 + map.len();
                let signature = if self.kind == PhysicalKind::BitmapFull { b"FDMPDUMP" } else { b"SDMPDUMP" };
                out.bytes(at, signature).u64(at + 8, 0).u64(at + 0x10, 0).u64(at + 0x18, 0);
                out.u64(at + 0x20, first as u64).u64(at + 0x28, count).u64(at + 0x30, map.len() as u64 * 8);
                out.bytes(at + 0x38, &map);
                first
            }
            PhysicalKind::RangeKernel | PhysicalKind::RangeKernelUser | PhysicalKind::RangeComplete => {
                assert!(!self.pages.contains_key(&0), "page 0 cannot be written in a range dump");
                // The list ends with a zero range; the first page lies on a page boundary, and the metadata size
                // counts from +0x20 of this header: kdmp-parser wants exactly that.
                let first = align(at + 0x30 + 0x10 * (runs.len() + 1), 0x1000);
                out.u32(at, 0x40).bytes(at + 4, b"RDMPDUMP").u32(at + 0xc, 0);
                out.u64(at + 0x10, (first - at - 0x20) as u64).u64(at + 0x18, first as u64);
                if self.kind == PhysicalKind::RangeComplete {
                    out.u32(at + 0x20, u32::try_from(runs.len()).unwrap()).u64(at + 0x28, count);
                }
                for (i, (base, length)) in runs.iter().enumerate() {
                    out.u64(at + 0x30 + 0x10 * i, *base).u64(at + 0x38 + 0x10 * i, *length);
                }
                first
            }
        };
        let mut file = out.done();
        file.resize(first_page, 0);
        for page in self.pages.values() {
            file.extend_from_slice(page);
        }
        file
    }
}
