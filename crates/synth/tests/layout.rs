//! Hand-computed offsets of what the builders write.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use bugcheck_synth::{
    Arch, ContextArm64, ContextX64, ContextX86, CperSection, CpuidBlob, DeviceObject, DriverObject, ExceptionRecord, Irp, PageTables,
    PhysicalDump, PhysicalKind, SecondaryBlob, Smbios, StackLocation, TrapFrameX64, TrapFrameX86, Triage9fPower, TriageDump, cper_record,
    cpu_registry, mci_status, tags, xpf_mca_section,
};
use common::{Triage, at, text, u16_at, u32_at, u64_at};

#[test]
fn x64_triage_dump() {
    let mut dump = TriageDump::new(Arch::X64);
    dump.bug_check(0xd1, [0x10, 2, 0, 0xffff_f806_20a1_1000]);
    dump.driver("faulty.sys", 0xffff_f806_20a1_0000, 0x7000);
    dump.unloaded_driver("averylongname.sys", 0x1000, 0x2000);
    dump.call_stack(0xffff_8601_0000_1000, &[0xaa; 0x30]);
    dump.block(0x4_2000, b"hello");
    let d = dump.bytes();
    assert_eq!(&d[..8], b"PAGEDU64");
    assert_eq!((u32_at(&d, 0x30), u32_at(&d, 0x38)), (0x8664, 0xd1));
    assert_eq!((u64_at(&d, 0x40), u64_at(&d, 0x58)), (0x10, 0xffff_f806_20a1_1000));
    assert_eq!(u32_at(&d, 0xf98), 4);
    assert_eq!(&d[0x88..0x8c], b"PAGE", "no physical runs in a small dump");
    // The default context is KeBugCheckEx with rsp at the top of the stack.
    assert_eq!(u64_at(&d, 0x348 + 0x98), 0xffff_8601_0000_1000);
    assert_eq!(u32_at(&d, 0xf00), 0x8000_0003);
    // TRIAGE_DUMP64: the memory manager information follows its 0x80 bytes.
    assert_eq!((at(&d, 0x200c), at(&d, 0x2010), at(&d, 0x2014)), (0x348, 0xf00, 0x2080));
    let unloaded = at(&d, 0x2018);
    assert_eq!((unloaded, u64_at(&d, unloaded)), (0x20d0, 1));
    assert_eq!((u16_at(&d, unloaded + 8), text(&d, unloaded + 0x18, 12)), (24, "averylongnam".to_owned()));
    assert_eq!((u64_at(&d, unloaded + 0x30), u64_at(&d, unloaded + 0x38)), (0x1000, 0x2000));
    assert_eq!(at(&d, 0x201c), 0x20d0 + 8 + 56, "PRCB");
    assert_eq!((u64_at(&d, 0x2048), at(&d, 0x202c)), (0xffff_8601_0000_1000, 0x30));
    let stack = at(&d, 0x2028);
    assert_eq!(&d[stack..stack + 0x30], &[0xaa; 0x30]);
    let kdbg = at(&d, 0x2070);
    assert_eq!((&d[kdbg + 0x10..kdbg + 0x14], at(&d, 0x2074)), (&b"KDBG"[..], 0x380));
    let valid = at(&d, 0x2008);
    assert_eq!((&d[valid..valid + 4], at(&d, 0x2004), d.len()), (&b"TRGD"[..], valid + 4, valid + 4));
    let t = Triage::new(&d);
    let modules = t.modules();
    assert_eq!(modules.len(), 3);
    assert!(modules[0].path.ends_with(r"\ntoskrnl.exe"));
    assert_eq!((modules[2].base, modules[2].size), (0xffff_f806_20a1_0000, 0x7000));
    assert_eq!(t.read(0x4_2000, 5).unwrap(), b"hello");
    assert!(t.memory().iter().any(|(_, b)| b.starts_with(b"19041.1.amd64fre")));
}

#[test]
fn x86_triage_dump() {
    let mut dump = TriageDump::new(Arch::X86);
    dump.bug_check(0x1000_008e, [0xc000_0005, 0x8284_1234, 0x8d9f_be00, 0]);
    dump.driver("old.sys", 0x9251_0000, 0x6000).block(0x8651_2030, b"block");
    dump.unloaded_driver("gone.sys", 0x9300_0000, 0x9300_8000);
    let d = dump.bytes();
    assert_eq!(&d[..8], b"PAGEDUMP");
    assert_eq!((u32_at(&d, 0x20), u32_at(&d, 0x28), u32_at(&d, 0x30)), (0x14c, 0x1000_008e, 0x8284_1234));
    assert_eq!(u32_at(&d, 0xf88), 4);
    assert_eq!((at(&d, 0x100c), at(&d, 0x1010), at(&d, 0x1014)), (0x320, 0x7d0, 0x1068));
    assert_eq!(u32_at(&d, 0x320 + 0xc4), u32_at(&d, 0x1048), "esp is the top of the stack");
    let unloaded = at(&d, 0x1018);
    assert_eq!((u32_at(&d, unloaded), u32_at(&d, unloaded + 4 + 0x20)), (1, 0x9300_0000));
    let kdbg = at(&d, 0x1058);
    assert_eq!(&d[kdbg + 0x10..kdbg + 0x14], b"KDBG");
    assert_eq!(u64_at(&d, kdbg + 0x18), 0xffff_ffff_8283_d000, "32-bit addresses are sign-extended");
    let valid = at(&d, 0x1008);
    assert_eq!(&d[valid..valid + 4], b"TRGD");
    let t = Triage::new(&d);
    assert_eq!((t.modules()[2].base, t.modules()[2].size), (0x9251_0000, 0x6000));
    assert_eq!(t.read(0x8651_2030, 5).unwrap(), b"block");

    dump.short_data_blocks = true;
    let d = dump.bytes();
    let e = at(&d, 0x1060) + 12;
    assert_eq!((u32_at(&d, e), u32_at(&d, e + 8)), (0x8651_2030, 5));
}

#[test]
fn arm64_triage_dump() {
    let d = TriageDump::new(Arch::Arm64).bytes();
    assert_eq!((&d[..8], u32_at(&d, 0x30), u32_at(&d, 0xc)), (&b"PAGEDU64"[..], 0xaa64, 22000));
    // CONTEXT: Sp +0x100, Pc +0x108.
    assert_eq!(u64_at(&d, 0x348 + 0x100), u64_at(&d, 0x2048));
    assert!(Triage::new(&d).modules()[0].base <= u64_at(&d, 0x348 + 0x108));
}

#[test]
fn contexts_and_trap_frames() {
    let c = ContextX64 { rip: 0x11, rsp: 0x22, r15: 0x33, rax: 0x44, ..Default::default() }.bytes();
    assert_eq!((c.len(), u64_at(&c, 0xf8), u64_at(&c, 0x98)), (0x4d0, 0x11, 0x22));
    assert_eq!((u64_at(&c, 0xf0), u64_at(&c, 0x78), u16_at(&c, 0x38)), (0x33, 0x44, 0x10));
    assert_eq!(u32_at(&c, 0x34), u32_at(&c, 0x118), "MxCsr and its copy");
    let c = ContextX86 { eip: 1, esp: 2, ebp: 3, eax: 4, edi: 5, ..Default::default() }.bytes();
    assert_eq!((c.len(), u32_at(&c, 0xb8), u32_at(&c, 0xc4), u32_at(&c, 0xb4)), (0x2cc, 1, 2, 3));
    assert_eq!((u32_at(&c, 0xb0), u32_at(&c, 0x9c)), (4, 5));
    let mut a = ContextArm64 { pc: 1, sp: 2, lr: 3, fp: 4, ..Default::default() };
    a.x[28] = 5;
    let c = a.bytes();
    assert_eq!((c.len(), u64_at(&c, 0x108), u64_at(&c, 0x100)), (0x390, 1, 2));
    assert_eq!((u64_at(&c, 0xf8), u64_at(&c, 0xf0), u64_at(&c, 0xe8)), (3, 4, 5));

    let f = TrapFrameX64 { rip: 1, rsp: 2, rbp: 3, r11: 4, fault_address: 5, error_code: 6, ..Default::default() };
    let f = f.bytes();
    assert_eq!((f.len(), u64_at(&f, 0x168), u64_at(&f, 0x180), u64_at(&f, 0x158)), (0x190, 1, 2, 3));
    assert_eq!((u64_at(&f, 0x60), u64_at(&f, 0xd0), u64_at(&f, 0x160)), (4, 5, 6));
    assert_eq!((u16_at(&f, 0x170), u16_at(&f, 0x188)), (0x10, 0x18));
    let f = TrapFrameX86 { eip: 1, ebp: 2, error_code: 3, eax: 4, ..Default::default() }.bytes();
    assert_eq!((u32_at(&f, 0x68), u32_at(&f, 0x60), u32_at(&f, 0x64), u32_at(&f, 0x44)), (1, 2, 3, 4));
    assert_eq!(u32_at(&f, 0x6c), 8);

    let e = ExceptionRecord::access_violation(0x1234, 1, 0x5678);
    let (w, n) = (e.bytes64(), e.bytes32());
    assert_eq!((w.len(), u64_at(&w, 0x10), u32_at(&w, 0x18), u64_at(&w, 0x28)), (0x98, 0x1234, 2, 0x5678));
    assert_eq!((n.len(), u32_at(&n, 0xc), u32_at(&n, 0x10), u32_at(&n, 0x18)), (0x50, 0x1234, 2, 0x5678));
}

#[test]
fn secondary_data() {
    let mut dump = TriageDump::new(Arch::X64);
    dump.secondary(Smbios::default().blob());
    dump.secondary(CpuidBlob::intel(0x1067a, 0x0c08_e3bd, 0xbfeb_fbff, 0, "Example").blob());
    dump.secondary(cpu_registry(2667, "Example", "GenuineIntel", "Intel64", 0xa0c));
    dump.secondary(SecondaryBlob { tag: tags::PROCESS_PATH, data: b"abc".to_vec(), pre_pad: 4, post_pad: 9 });
    let d = dump.bytes();
    let area = at(&d, 0x2004);
    assert_eq!(&d[area..area + 8], b"DumpBlob");
    assert_eq!((u32_at(&d, area + 8), u32_at(&d, area + 12)), (16, 0xf000_4a61));
    // SMBIOS: GUID bytes in file order, {method, 3, 3, 0, length}, then a type 0 structure.
    let b = area + 16;
    assert_eq!(u32_at(&d, b), 0x20);
    assert_eq!(&d[b + 4..b + 12], &[0x8f, 0x00, 0x5c, 0xbc, 0x3a, 0x1e, 0xd7, 0x44]);
    let size = at(&d, b + 0x14);
    let table = &d[b + 0x20..b + 0x20 + size];
    assert_eq!((table.len(), table[8], table[9]), (8 + at(table, 4), 0, 0x18));
    // Structures follow each other up to type 127.
    let (mut p, mut kinds) = (8, Vec::new());
    while p < table.len() {
        kinds.push(table[p]);
        p += usize::from(table[p + 1]);
        while table[p..p + 2] != [0, 0] {
            p += 1;
        }
        p += 2;
    }
    assert_eq!(kinds, [0, 1, 2, 4, 17, 17, 127]);
    let next = b + 0x20 + size + at(&d, b + 0x1c);
    let leaf1 = next + 0x20 + 0x28;
    assert_eq!((u32_at(&d, leaf1), u32_at(&d, leaf1 + 4), u32_at(&d, leaf1 + 8)), (0, 1, 0x1067a));
    assert_eq!((u32_at(&d, leaf1 + 16), u32_at(&d, leaf1 + 32)), (0x0c08_e3bd, 0x0c08_e3bd));
    let registry = next + 0x20 + at(&d, next + 0x14) + at(&d, next + 0x1c);
    let value = registry + 0x20;
    assert_eq!((at(&d, value), text(&d, value + 4, 4)), (10, "~MHz".to_owned()));
    assert_eq!((at(&d, value + 14), at(&d, value + 18), at(&d, value + 22)), (4, 4, 2667));
    let last = registry + 0x20 + at(&d, registry + 0x14) + at(&d, registry + 0x1c);
    assert_eq!(&d[last + 0x24..last + 0x27], b"abc");
    assert_eq!(d.len(), last + 0x20 + 4 + 3 + 9);
}

#[test]
fn physical_kinds() {
    for kind in PhysicalKind::ALL {
        let mut dump = PhysicalDump::new(Arch::X64, kind);
        dump.page(3, b"three").page(4, b"four").page(70, b"seventy");
        let d = dump.bytes();
        assert_eq!(u32_at(&d, 0xf98), kind as u32);
        let first = match kind {
            PhysicalKind::Full => {
                assert_eq!((u32_at(&d, 0x88), u64_at(&d, 0x90)), (2, 3));
                assert_eq!((u64_at(&d, 0x98), u64_at(&d, 0xa0), u64_at(&d, 0xa8)), (3, 2, 70));
                0x2000
            }
            PhysicalKind::Kernel => {
                assert_eq!((&d[0x2000..0x2008], at(&d, 0x2014), at(&d, 0x2018)), (&b"SDMPDUMP"[..], 3, 96));
                assert_eq!((d[0x2028], d[0x2028 + 8]), (0b1_1000, 0b100_0000));
                at(&d, 0x200c)
            }
            PhysicalKind::BitmapFull | PhysicalKind::BitmapKernel => {
                let signature = if kind == PhysicalKind::BitmapFull { b"FDMPDUMP" } else { b"SDMPDUMP" };
                assert_eq!(&d[0x2000..0x2008], signature);
                assert_eq!((u64_at(&d, 0x2028), u64_at(&d, 0x2030)), (3, 96));
                assert_eq!((d[0x2038], d[0x2038 + 8]), (0b1_1000, 0b100_0000));
                assert_eq!(at(&d, 0x2020), 0x2038 + 12);
                at(&d, 0x2020)
            }
            _ => {
                assert_eq!((u32_at(&d, 0x2000), &d[0x2004..0x200c]), (0x40, &b"RDMPDUMP"[..]));
                assert_eq!((u64_at(&d, 0x2030), u64_at(&d, 0x2038)), (3, 2));
                assert_eq!((u64_at(&d, 0x2040), u64_at(&d, 0x2048), u64_at(&d, 0x2050)), (70, 1, 0));
                assert_eq!(u64_at(&d, 0x2010) + 0x2020, u64_at(&d, 0x2018));
                if kind == PhysicalKind::RangeComplete {
                    assert_eq!((u32_at(&d, 0x2020), u64_at(&d, 0x2028)), (2, 3));
                }
                at(&d, 0x2018)
            }
        };
        assert_eq!(d.len(), first + 3 * 0x1000, "{kind:?}");
        assert!(d[first..].starts_with(b"three") && d[first + 0x2000..].starts_with(b"seventy"));
    }
    for (kind, first) in [(PhysicalKind::Full, 0x1000), (PhysicalKind::Kernel, 0x2000)] {
        let mut dump = PhysicalDump::new(Arch::X86, kind);
        dump.page(3, b"three").page(9, b"nine");
        let d = dump.bytes();
        assert_eq!((&d[..8], u32_at(&d, 0xf88)), (&b"PAGEDUMP"[..], kind as u32));
        assert_eq!((u32_at(&d, 0x64), u32_at(&d, 0x68), u32_at(&d, 0x6c)), (2, 2, 3));
        if kind == PhysicalKind::Kernel {
            assert_eq!((at(&d, 0x100c), at(&d, 0x1014), d[0x1020], d[0x1021]), (0x2000, 2, 8, 2));
        }
        assert!(d[first..].starts_with(b"three") && d[first + 0x1000..].starts_with(b"nine"));
    }
}

#[test]
fn page_tables() {
    let mut t = PageTables::new(0x100);
    t.map(0xffff_8000_0000_1000, 0x55, PageTables::CODE);
    t.map_large(0xffff_8000_0020_0000, 0x400, PageTables::DATA);
    t.set_entry(0xffff_8000_0000_2000, 1, PageTables::transition(0x77));
    t.write(0xffff_f806_0000_0ffc, b"12345678", PageTables::DATA);
    assert_eq!(t.directory_base(), 0x10_0000);
    // Root entry 0x100, pointer table entry 0, directory entry 0, table entries 1 and 2.
    let entry = |pfn: u64, i: usize| u64_at(&t.pages()[&pfn], 8 * i);
    let (pdpt, pd, pt) = (0x101, 0x102, 0x103);
    assert_eq!(entry(0x100, 0x100), pdpt << 12 | 0x63);
    assert_eq!((entry(pdpt, 0), entry(pd, 0)), (pd << 12 | 0x63, pt << 12 | 0x63));
    assert_eq!((entry(pt, 1), entry(pt, 2)), (0x5_5021, 0x7_7000 | 1 << 11 | 0x90));
    assert_eq!(entry(pd, 1), 0x8000_0000_0040_00e3);
    assert_eq!(t.translate(0xffff_8000_0000_1234), Some(0x5_5234));
    assert_eq!(t.translate(0xffff_8000_0023_4567), Some(0x43_4567));
    assert_eq!(t.translate(0xffff_8000_0000_2000), None);
    let pa = t.translate(0xffff_f806_0000_1000).unwrap();
    assert!(t.pages()[&(pa >> 12)].starts_with(b"5678"));
}

#[test]
fn hardware_error_record() {
    let status = mci_status(0x0136, 0, true, false);
    assert_eq!(status, 0xb600_0000_0000_0136);
    let sections = [
        CperSection::processor_generic(1, 1, 6),
        CperSection::x64_processor(6, [0xa0655, 0, 0, 0]),
        xpf_mca_section(1, 3, 2, status, 0x1234, 0x56),
    ];
    let r = cper_record(&sections, 7, 0x2026_0314_0009_2653);
    assert_eq!((&r[..4], u16_at(&r, 4), u32_at(&r, 6)), (&b"CPER"[..], 0x210, 0xffff_ffff));
    assert_eq!((u16_at(&r, 0xa), u32_at(&r, 0xc), at(&r, 0x14)), (3, 1, r.len()));
    // Seconds, minutes, hours in BCD; day, month, year, century.
    assert_eq!(&r[0x18..0x20], &[0x53, 0x26, 0x09, 0, 0x14, 0x03, 0x26, 0x20]);
    assert_eq!(at(&r, 0x80), 0x80 + 3 * 72);
    let (generic, mca) = (at(&r, 0x80), at(&r, 0x80 + 2 * 72));
    assert_eq!((at(&r, 0x84), r[generic + 0xa], u64_at(&r, generic + 0x98)), (0xc0, 1, 6));
    assert_eq!(&r[0x80 + 2 * 72 + 0x10..][..4], &[0x01, 0x1d, 0x1e, 0x8a]);
    assert_eq!((u32_at(&r, mca + 0x10), u32_at(&r, mca + 0x24)), (3, 2));
    assert_eq!((u64_at(&r, mca + 0x28), u64_at(&r, mca + 0x30)), (status, 0x1234));
}

#[test]
fn driver_objects() {
    let driver =
        DriverObject { address: 0xffff_9000_0000_1000, device_object: 1, driver_start: 2, driver_size: 3, name: r"\Driver\x".into() };
    let b = driver.bytes();
    assert_eq!((u16_at(&b, 0), u64_at(&b, 8), u64_at(&b, 0x18), u32_at(&b, 0x20)), (4, 1, 2, 3));
    assert_eq!((u16_at(&b, 0x38), u64_at(&b, 0x40)), (18, 0xffff_9000_0000_1150));
    assert_eq!(text(&b, 0x150, 9), r"\Driver\x");
    let device =
        DeviceObject { driver_object: 1, next_device: 2, attached_device: 3, current_irp: 4, device_extension: 5, ..Default::default() };
    let b = device.bytes();
    let pointers: Vec<u64> = [8, 0x10, 0x18, 0x20, 0x40].into_iter().map(|o| u64_at(&b, o)).collect();
    assert_eq!(pointers, [1, 2, 3, 4, 5]);
    let location = StackLocation { major: 0x16, minor: 2, device_object: 9, completion_routine: 10, context: 11, ..Default::default() };
    let irp = Irp { address: 0x1000, status: 0xc000_00bb, thread: 8, stack: vec![StackLocation::default(), location], current_location: 2 };
    let b = irp.bytes();
    assert_eq!((u16_at(&b, 0), usize::from(u16_at(&b, 2)), b[0x42], b[0x43]), (6, b.len(), 2, 2));
    assert_eq!((u64_at(&b, 0x98), u64_at(&b, 0xb8)), (8, 0x1000 + 0xd0 + 0x48));
    let s = 0xd0 + 0x48;
    assert_eq!((b[s], b[s + 1], u64_at(&b, s + 0x28), u64_at(&b, s + 0x38)), (0x16, 2, 9, 10));
    let block = Triage9fPower { irp_list: 1, thread_list: 2, delayed_work_queue: 3, delayed_io_work_queue: 4 };
    let b = block.bytes();
    assert_eq!((u32_at(&b, 0), u64_at(&b, 8), u64_at(&b, 0x10), u64_at(&b, 0x18)), (0x2_8000, 1, 2, 3));
}

#[test]
fn build_revision_of_new_headers() {
    let mut dump = TriageDump::new(Arch::X64);
    dump.header.build_revision = Some(("26100".into(), 6584));
    dump.header.writer_message = Some("Dump completed successfully.".into());
    let d = dump.bytes();
    assert_eq!((text(&d, 0x12f0, 5), u32_at(&d, 0x1300), u32_at(&d, 0x1304)), ("26100".to_owned(), 6584, 10));
    assert!(d[0x11f0..].starts_with(b"Dump completed"));
}
