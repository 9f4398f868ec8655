//! Writes one story in every physical form, for checks with other readers:
//! `cargo run -p bugcheck-synth --example write_kinds -- DIR`.
#![allow(clippy::unwrap_used)]

use bugcheck_synth::{Arch, PageTables, PhysicalDump, PhysicalKind, scenario};

fn main() {
    let dir = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "kinds".to_owned()));
    std::fs::create_dir_all(&dir).unwrap();
    let story = scenario::by_name("null-write-d1");
    for kind in PhysicalKind::ALL {
        let mut dump = scenario::physical_form(&story, kind);
        std::fs::write(dir.join(format!("{kind:?}.dmp")), dump.bytes()).unwrap();
        // Page table oddities, each at its own address.
        let mut t = PageTables::new(0x300);
        t.write(0xffff_8000_0000_0ff0, b"across two pages, the second", PageTables::DATA);
        t.map(0xffff_8000_0010_0000, 0x9_9999, PageTables::DATA);
        t.set_entry(0xffff_8000_0010_1000, 1, PageTables::transition(0x305));
        t.set_entry(0xffff_8000_0010_2000, 1, PageTables::paged_out(0, 0x1234));
        t.set_entry(0xffff_8000_0010_3000, 1, PageTables::demand_zero());
        t.map_large(0xffff_8000_0020_0000, 0x400, PageTables::DATA);
        t.set_page(0x403, b"inside a large page");
        t.map_huge(0xffff_8000_4000_0000, 0x4_0000, PageTables::DATA);
        t.set_page(0x4_0207, b"inside a huge page");
        dump = PhysicalDump::new(Arch::X64, kind);
        dump.tables(&t);
        std::fs::write(dir.join(format!("{kind:?}-tables.dmp")), dump.bytes()).unwrap();
    }
    for kind in [PhysicalKind::Full, PhysicalKind::Kernel] {
        let mut dump = PhysicalDump::new(Arch::X86, kind);
        dump.header.code = 0xd1;
        for pfn in [3, 4, 0x185, 0x186] {
            dump.page(pfn, format!("page {pfn:#x}").as_bytes());
        }
        std::fs::write(dir.join(format!("{kind:?}-x86.dmp")), dump.bytes()).unwrap();
    }
}
