//! Real dumps taken apart with offsets written out here, then written again by the builders: the bytes must agree.
//! Needs the shared test data; without it the tests say so and pass.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use bugcheck_synth::{
    Arch, ContextX64, DataBlock, DebuggerData, Driver, ExceptionRecord, Guid, Header, Irp, SecondaryBlob, StackLocation, TrapFrameX64,
    Triage9fPower, TriageDump, UnloadedDriver,
};
use bugcheck_testdata::shared;
use common::{Triage, at, text, u16_at, u32_at, u64_at};

const PAGE: u32 = 0x4547_4150;

fn real_dumps() -> Vec<(String, Vec<u8>)> {
    let list: Vec<_> =
        bugcheck_testdata::real_dumps().iter().map(|path| (bugcheck_testdata::name(path), std::fs::read(path).unwrap())).collect();
    assert!(list.is_empty() || list.len() > 20);
    list
}

fn optional(d: &[u8], at: usize) -> Option<u32> {
    Some(u32_at(d, at)).filter(|v| *v != PAGE)
}

/// Every field of a 64-bit header that the builder knows.
fn header64(d: &[u8]) -> Header {
    let arch = if u32_at(d, 0x30) == 0xaa64 { Arch::Arm64 } else { Arch::X64 };
    let runs = optional(d, 0x88).map(|n| (0..n as usize).map(|i| (u64_at(d, 0x98 + 16 * i), u64_at(d, 0xa0 + 16 * i))).collect::<Vec<_>>());
    let information = (0..u32_at(d, 0xf18) as usize % 16).map(|i| u64_at(d, 0xf20 + 8 * i)).collect();
    Header {
        arch,
        major_version: u32_at(d, 8),
        minor_version: u32_at(d, 0xc),
        directory_table_base: u64_at(d, 0x10),
        pfn_database: u64_at(d, 0x18),
        ps_loaded_module_list: u64_at(d, 0x20),
        ps_active_process_head: u64_at(d, 0x28),
        machine: u32_at(d, 0x30),
        processors: u32_at(d, 0x34),
        code: u32_at(d, 0x38),
        parameters: std::array::from_fn(|i| u64_at(d, 0x40 + 8 * i)),
        version_user: optional(d, 0x60).map(|_| d[0x60..0x80].try_into().unwrap()),
        pae_enabled: 0,
        kd_debugger_data_block: u64_at(d, 0x80),
        physical_runs: runs,
        context: Some(d[0x348..0x348 + 3000].to_vec()),
        exception: Some(ExceptionRecord {
            code: u32_at(d, 0xf00),
            flags: u32_at(d, 0xf04),
            nested: u64_at(d, 0xf08),
            address: u64_at(d, 0xf10),
            information,
        }),
        dump_type: u32_at(d, 0xf98),
        required_dump_space: u64_at(d, 0xfa0),
        system_time: u64_at(d, 0xfa8),
        comment: None,
        system_up_time: u64_at(d, 0x1030),
        mini_dump_fields: optional(d, 0x1038),
        secondary_data_state: optional(d, 0x103c),
        product_type: optional(d, 0x1040),
        suite_mask: optional(d, 0x1044),
        writer_status: optional(d, 0x1048),
        kd_secondary_version: d[0x104d],
        attributes: optional(d, 0x1050),
        boot_id: optional(d, 0x1054),
        writer_message: optional(d, 0x11f0).map(|_| {
            let message = d[0x11f0..0x12f0].split(|b| *b == 0).next().unwrap();
            String::from_utf8(message.to_vec()).unwrap()
        }),
        build_revision: optional(d, 0x12f0).map(|_| (text(d, 0x12f0, 5), u32_at(d, 0x1300))),
    }
}

#[test]
fn headers_come_out_byte_for_byte() {
    for (name, d) in real_dumps() {
        let written = header64(&d).bytes();
        // A kernel that fills the alignment word differently: look only at what differs, and it must be filler.
        let different: Vec<usize> = (0..0x2000).filter(|i| written[*i] != d[*i]).collect();
        let known_filler = |i: &usize| matches!(*i, 0x3c..0x40 | 0x8c..0x90 | 0xf9c..0xfa0 | 0x104e);
        assert!(different.iter().all(known_filler), "{name}: {different:x?}");
    }
}

#[test]
fn three_real_headers_of_full_dumps() {
    let Some(root) = shared() else { return };
    for entry in std::fs::read_dir(root.join("data/dumps/headers_only")).unwrap() {
        let path = entry.unwrap().path();
        let d = std::fs::read(&path).unwrap();
        if d.starts_with(b"PAGEDU64") {
            let h = header64(&d);
            assert_eq!(h.dump_type, 1);
            assert!(!h.physical_runs.as_ref().unwrap().is_empty());
            let written = h.bytes();
            // The word between the two counts is alignment: zero or filler.
            assert_eq!(written[0x80..0x8c], d[0x80..0x8c]);
            let n = u32_at(&d, 0x88) as usize;
            assert_eq!(written[0x90..0x98 + 16 * n], d[0x90..0x98 + 16 * n]);
            assert_eq!(written[0xf98..0xf9c], d[0xf98..0xf9c]);
        } else if d.starts_with(b"PAGEDUMP") {
            // Windows 7, two processors, 32 bits.
            let mut h = Header::new(Arch::X86);
            h.minor_version = u32_at(&d, 0xc);
            h.major_version = u32_at(&d, 8);
            h.directory_table_base = u32_at(&d, 0x10).into();
            h.pfn_database = u32_at(&d, 0x14).into();
            h.ps_loaded_module_list = u32_at(&d, 0x18).into();
            h.ps_active_process_head = u32_at(&d, 0x1c).into();
            h.processors = u32_at(&d, 0x24);
            h.code = u32_at(&d, 0x28);
            h.parameters = std::array::from_fn(|i| u32_at(&d, 0x2c + 4 * i).into());
            h.kd_debugger_data_block = u32_at(&d, 0x60).into();
            h.pae_enabled = d[0x5c];
            h.kd_secondary_version = d[0x5d];
            h.physical_runs =
                Some((0..u32_at(&d, 0x64) as usize).map(|i| (u32_at(&d, 0x6c + 8 * i).into(), u32_at(&d, 0x70 + 8 * i).into())).collect());
            h.dump_type = u32_at(&d, 0xf88);
            h.required_dump_space = u64_at(&d, 0xfa0);
            h.system_time = u64_at(&d, 0xfc0);
            h.system_up_time = u64_at(&d, 0xfb8);
            assert_eq!((h.minor_version, h.processors, h.dump_type), (7601, 2, 1));
            assert_eq!(h.physical_runs, Some(vec![(1, 0x9e), (0x100, 0xbfedf)]));
            let written = h.bytes();
            for range in [0..0x3c, 0x5c..0x5e, 0x60..0x7c, 0xf88..0xf8c, 0xfa0..0xfa8, 0xfb8..0xfc8] {
                assert_eq!(written[range.clone()], d[range.clone()], "{range:x?}");
            }
        }
    }
}

#[test]
fn triage_parts_come_out_byte_for_byte() {
    for (name, d) in real_dumps() {
        let t = Triage::new(&d);
        let mut dump = TriageDump::new(if u32_at(&d, 0x30) == 0xaa64 { Arch::Arm64 } else { Arch::X64 });
        dump.header = header64(&d);
        let modules = t.modules();
        assert!(modules[0].path.ends_with("ntoskrnl.exe"), "{name}: {}", modules[0].path);
        dump.drivers = modules
            .into_iter()
            .enumerate()
            .map(|(i, m)| Driver {
                path: m.path,
                base: m.base,
                size: m.size,
                entry_point: u64_at(&d, at(&d, 0x2030) + 0x90 * i + 0x40),
                check_sum: m.check_sum,
                time_date_stamp: m.time,
            })
            .collect();
        let u = at(&d, 0x2018);
        dump.unloaded = (0..u32_at(&d, u) as usize)
            .map(|i| u + 8 + 56 * i)
            .map(|e| UnloadedDriver {
                name: text(&d, e + 0x10, usize::from(u16_at(&d, e) / 2)),
                start: u64_at(&d, e + 0x28),
                end: u64_at(&d, e + 0x30),
            })
            .collect();
        let slice = |offset: usize, size: usize| d[offset..offset + size].to_vec();
        dump.mm = slice(at(&d, 0x2014), 0x50);
        dump.stack = slice(at(&d, 0x2028), at(&d, 0x202c));
        dump.top_of_stack = u64_at(&d, 0x2048);
        dump.triage_options = u32_at(&d, 0x2044);
        dump.debugger_data = Some(slice(at(&d, 0x2070), at(&d, 0x2074)));
        dump.prcb = slice(at(&d, 0x201c), at(&d, 0x2020) - at(&d, 0x201c));
        dump.process = slice(at(&d, 0x2020), at(&d, 0x2024) - at(&d, 0x2020));
        dump.thread = slice(at(&d, 0x2024), at(&d, 0x2028) - at(&d, 0x2024));
        dump.blocks = t.memory().into_iter().skip(1).map(|(address, b)| DataBlock { address, data: b.to_vec() }).collect();
        dump.secondary = secondary(&d);
        dump.kernel_generated = u32_at(&d, 0x1050) != PAGE && u32_at(&d, 0x1050) & 8 != 0;
        let w = dump.bytes();
        let list = at(&d, 0x2030);
        let pool = at(&d, 0x2038);
        // Windows 8.1, and dumps with KernelGeneratedTriageDump set, leave other things of the loader entries in the
        // list; look at the fields alone there.
        let modern = u32_at(&d, 0xc) >= 19041 && !dump.kernel_generated;
        // SizeOfDump and ValidOffset: real files have some slack between the last block and the mark. In
        // kernel-generated dumps the unloaded drivers keep their name pointers and room for 50, so everything
        // behind them lies elsewhere.
        let end = if modern { pool } else { u };
        if u32_at(&d, 0xc) >= 19041 {
            let slack = |i: &usize| (0x2004..0x200c).contains(i) || (dump.kernel_generated && (0x2030..0x207c).contains(i));
            let different: Vec<usize> = (0x2000..end).filter(|i| w[*i] != d[*i] && !slack(i)).collect();
            assert!(different.is_empty(), "{name}: {different:x?}");
        }
        let (wlist, wpool) = (at(&w, 0x2030), at(&w, 0x2038));
        for i in 0..at(&d, 0x2034) {
            let (ours, real) = (&w[wlist + 0x90 * i + 4..][..0x8c], &d[list + 0x90 * i + 4..][..0x8c]);
            if modern {
                assert_eq!(ours, real, "{name}: entry {i}");
            }
        }
        let size = at(&d, 0x203c);
        assert!(dump.kernel_generated || at(&w, 0x203c) == size, "{name}: string pool size");
        let differs = (0..size.min(at(&w, 0x203c))).find(|i| w[wpool + i] != d[pool + i]);
        // The padding between strings is stale memory on Windows 8.1.
        assert!(!modern || differs.is_none(), "{name}: string pool differs at {differs:x?}");
        let last = at(&d, 0x2008);
        assert_eq!((&d[last..last + 4], at(&d, 0x2004)), (&b"TRGD"[..], last + 4), "{name}");
        assert!(d.len() >= last + 4);
        let area = &w[at(&w, 0x2004)..];
        let differs = (0..area.len()).find(|i| d[last + 4 + i] != area[*i]);
        assert!(differs.is_none(), "{name}: secondary data differs at {differs:x?}");
    }
}

/// The blobs up to the first that is none.
fn secondary(d: &[u8]) -> Vec<SecondaryBlob> {
    let mut p = at(d, 0x2004);
    if d.get(p..p + 8) != Some(b"DumpBlob") {
        return Vec::new();
    }
    p += 16;
    let mut list = Vec::new();
    while p + 0x20 <= d.len() && u32_at(d, p) == 0x20 {
        let tag = Guid(u32_at(d, p + 4), u16_at(d, p + 8), u16_at(d, p + 10), d[p + 12..p + 20].try_into().unwrap());
        let (size, pre_pad, post_pad) = (at(d, p + 0x14), u32_at(d, p + 0x18), u32_at(d, p + 0x1c));
        let from = p + 0x20 + pre_pad as usize;
        list.push(SecondaryBlob { tag, data: d[from..from + size].to_vec(), pre_pad, post_pad });
        p = from + size + post_pad as usize;
    }
    list
}

#[test]
fn debugger_data_offsets_are_those_of_19041_and_22000() {
    let mut seen = 0;
    for (name, d) in real_dumps() {
        let arch = match (u32_at(&d, 0x30), u32_at(&d, 0xc)) {
            (0x8664, 19041) => Arch::X64,
            (0xaa64, 22000) => Arch::Arm64,
            _ => continue,
        };
        let k = &d[at(&d, 0x2070)..][..at(&d, 0x2074)];
        let ours = DebuggerData {
            arch,
            address: u64_at(k, 0),
            size: u32_at(k, 0x14),
            kern_base: u64_at(k, 0x18),
            ps_loaded_module_list: u64_at(&d, 0x20),
            ps_active_process_head: u64_at(&d, 0x28),
            pfn_database: u64_at(k, 0xc0),
            nt_build_lab: u64_at(k, 0x208),
            ki_processor_block: u64_at(k, 0x218),
            mm_unloaded_drivers: u64_at(k, 0x220),
            mm_last_unloaded_driver: u64_at(k, 0x228),
            size_prcb: u16_at(k, 0x2b0),
            pte_base: u64_at(k, 0x360),
        }
        .bytes();
        let ranges = [0..0x20, 0x48..0x58, 0xc0..0xc8, 0x138..0x140, 0x298..0x2c2, 0x338..0x33a, 0x340..0x348];
        for r in ranges {
            assert_eq!(ours[r.clone()], k[r.clone()], "{name}: {r:x?}");
        }
        if arch == Arch::X64 {
            assert_eq!(ours[0x2e0..0x2f8], k[0x2e0..0x2f8], "{name}: KPCR and kernel selectors");
            // User selectors come with or without their privilege bits.
            for i in (0x2f8..0x308).step_by(2) {
                assert_eq!(u16_at(&ours, i) & !3, u16_at(k, i) & !3, "{name}: selector at {i:#x}");
            }
        }
        seen += 1;
    }
    assert!(seen > 5 || shared().is_none());
}

/// Where the builders put a field: the one place where a marker appears.
fn offset_of(bytes: &[u8], marker: u64) -> usize {
    let places: Vec<usize> = (0..bytes.len() - 7).step_by(8).filter(|i| u64_at(bytes, *i) == marker).collect();
    assert_eq!(places.len(), 1);
    places[0]
}

#[test]
fn contexts_and_trap_frames_lie_where_the_builders_put_their_fields() {
    const A: u64 = 0x1111_2222_3333_4444;
    const B: u64 = 0x5555_6666_7777_8888;
    let frame = TrapFrameX64 { rip: A, fault_address: B, ..Default::default() }.bytes();
    let (frame_rip, frame_cr2) = (offset_of(&frame, A), offset_of(&frame, B));
    let context = ContextX64 { rip: A, rsp: B, ..Default::default() }.bytes();
    let (context_rip, context_rsp) = (offset_of(&context, A), offset_of(&context, B));
    let record = ExceptionRecord { address: A, ..Default::default() }.bytes64();
    let record_address = offset_of(&record, A);
    let (mut frames, mut contexts, mut records) = (0, 0, 0);
    for (name, d) in real_dumps() {
        if u32_at(&d, 0x30) != 0x8664 {
            continue;
        }
        let p: [u64; 4] = std::array::from_fn(|i| u64_at(&d, 0x40 + 8 * i));
        let t = Triage::new(&d);
        let stack = t.memory()[0].1;
        let code = u32_at(&d, 0x38);
        if matches!(code, 0xd1 | 0x50) {
            let ip = if code == 0xd1 { p[3] } else { p[2] };
            let hits = (0..stack.len().saturating_sub(0x190))
                .step_by(8)
                .filter(|i| u64_at(stack, i + frame_rip) == ip && u64_at(stack, i + frame_cr2) == p[0])
                .filter(|i| matches!(u16_at(stack, i + 0x170), 0x10 | 0x33))
                .count();
            assert_eq!(hits, 1, "{name}: trap frame");
            frames += 1;
        }
        let (context_at, ip) = match code & 0x0fff_ffff {
            0x3b => (p[2], p[1]),
            0x7e => (p[3], p[1]),
            _ => continue,
        };
        if let Some(c) = t.read(context_at, 0x4d0) {
            assert_eq!(u64_at(c, context_rip), ip, "{name}: context");
            assert!(u64_at(c, context_rsp) > context_at, "{name}: the stack pointer lies above the context");
            assert_eq!(u32_at(c, 0x34), u32_at(c, 0x118), "{name}: MxCsr");
            contexts += 1;
        }
        let system_thread = code & 0x0fff_ffff == 0x7e;
        if let Some(r) = t.read(p[2], 0x20).filter(|_| system_thread) {
            let found = (u64_at(r, record_address), u32_at(r, 0));
            assert_eq!(found, (ip, p[0] as u32), "{name}: record");
            records += 1;
        }
    }
    if shared().is_some() {
        assert!(frames >= 4 && contexts >= 5 && records >= 3, "{frames} {contexts} {records}");
    }
}

#[test]
fn the_power_request_of_a_real_9f_has_the_written_shape() {
    let mut seen = 0;
    for (name, d) in real_dumps() {
        if u32_at(&d, 0x38) != 0x9f || u64_at(&d, 0x40) != 3 {
            continue;
        }
        let t = Triage::new(&d);
        let (pdo, block, irp_at) = (u64_at(&d, 0x48), u64_at(&d, 0x50), u64_at(&d, 0x58));
        let real = t.read(irp_at, 0xd0).unwrap();
        let ours = Irp {
            address: irp_at,
            status: u32_at(real, 0x30),
            thread: u64_at(real, 0x98),
            stack: vec![StackLocation::default(); usize::from(real[0x42])],
            current_location: real[0x43],
        }
        .bytes();
        for r in [0..2, 0x20..0x34, 0x42..0x44, 0x98..0xa0, 0xb8..0xc0] {
            assert_eq!(ours[r.clone()], real[r.clone()], "{name}: IRP {r:x?}");
        }
        let current = t.read(u64_at(real, 0xb8), 0x48).unwrap();
        assert_eq!((current[0], current[1]), (0x16, 2), "{name}: IRP_MN_SET_POWER");
        let b = t.read(block, 0x28).unwrap();
        let triage = Triage9fPower {
            irp_list: u64_at(b, 8),
            thread_list: u64_at(b, 0x10),
            delayed_work_queue: u64_at(b, 0x18),
            delayed_io_work_queue: u64_at(b, 0x20),
        };
        assert_eq!(triage.bytes(), b, "{name}: triage block");
        // Device, its driver, and the driver's start in a module.
        let device = t.read(u64_at(current, 0x28), 0x50).unwrap();
        assert_eq!((u16_at(device, 0), u16_at(t.read(pdo, 2).unwrap(), 0)), (3, 3));
        let driver = t.read(u64_at(device, 8), 0x50).unwrap();
        assert_eq!((u16_at(driver, 0), u16_at(driver, 2)), (4, 0x150));
        assert!(t.modules().iter().any(|m| m.base == u64_at(driver, 0x18) && m.size == u32_at(driver, 0x20)));
        seen += 1;
    }
    assert!(seen > 0 || shared().is_none());
}
