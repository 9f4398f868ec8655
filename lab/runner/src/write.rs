//! Dumps and truth files, through the project's dump writer.

use crate::collect;
use crate::compile::Built;
use crate::image::Prepared;
use crate::kernel::Crash;
use crate::stories::Story;
use bugcheck_synth::{Arch, Driver, ExceptionRecord, Header, PhysicalDump, PhysicalKind, TriageDump, Truth, UnloadedDriver, filetime};
use std::path::Path;

/// A small dump is no larger than this.
const LARGEST: usize = 128 << 10;
/// The machine's clock, which stands still, and how long it claims to have been up.
pub(crate) const CRASH_TIME: u64 = filetime(1_773_480_413);
const UP_TIME: u64 = 36_610_000_000;

/// Writes `NAME.dmp` and `NAME.truth.json`.
pub(crate) fn dump(story: &Story, crash: &Crash, prepared: &Prepared, truth: Truth, out: &Path) {
    let bytes = triage(crash, prepared).bytes();
    assert!(bytes.len() <= LARGEST, "{}: {} bytes", story.name, bytes.len());
    std::fs::write(out.join(format!("{}.dmp", story.name)), bytes).unwrap();
    std::fs::write(out.join(format!("{}.truth.json", story.name)), truth.json()).unwrap();
    if story.physical {
        let name = format!("{}-bitmap", story.name);
        let truth = Truth { dump: format!("{name}.dmp"), ..truth };
        std::fs::write(out.join(&truth.dump), bitmap(crash, prepared).bytes()).unwrap();
        std::fs::write(out.join(format!("{name}.truth.json")), truth.json()).unwrap();
    }
}

/// Writes all of memory as a full dump, for checks with other readers; too large to be committed.
pub(crate) fn full(crash: &Crash, prepared: &Prepared, path: &Path) {
    let mut dump = PhysicalDump::new(Arch::X64, PhysicalKind::Full);
    let header = header(crash, prepared);
    dump.header = Header { dump_type: dump.header.dump_type, mini_dump_fields: dump.header.mini_dump_fields, ..header };
    for (frame, page) in prepared.guest.ram.chunks(0x1000).enumerate().skip(1) {
        dump.page(frame as u64, page);
    }
    std::fs::write(path, dump.bytes()).unwrap();
}

/// The same crash as a kernel dump with a bitmap of its pages: every page that is not empty, above the firmware's.
fn bitmap(crash: &Crash, prepared: &Prepared) -> PhysicalDump {
    let mut dump = PhysicalDump::new(Arch::X64, PhysicalKind::BitmapKernel);
    let header = header(crash, prepared);
    dump.header = Header { dump_type: dump.header.dump_type, mini_dump_fields: dump.header.mini_dump_fields, ..header };
    for (frame, page) in prepared.guest.ram.chunks(0x1000).enumerate().skip(0x201) {
        if page.iter().any(|&byte| byte != 0) {
            dump.page(frame as u64, page);
        }
    }
    dump
}

/// Copies the images and PDBs.
pub(crate) fn symbols(built: &Built, out: &Path) {
    for entry in std::fs::read_dir(&built.bin).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| ["exe", "sys", "pdb"].iter().any(|kept| end == *kept)) {
            std::fs::copy(&path, out.join(path.file_name().unwrap())).unwrap();
        }
    }
}

fn header(crash: &Crash, prepared: &Prepared) -> Header {
    let mut header = Header::new(Arch::X64);
    header.directory_table_base = prepared.guest.root;
    header.pfn_database = prepared.guest.u64(prepared.symbol("MmPfnDatabase"));
    header.ps_loaded_module_list = prepared.symbol("PsLoadedModuleList");
    header.ps_active_process_head = prepared.symbol("PsActiveProcessHead");
    header.kd_debugger_data_block = prepared.symbol("KdDebuggerDataBlock");
    header.processors = 1;
    header.code = crash.code;
    header.parameters = crash.parameters;
    header.context = Some(crash.context.clone());
    header.exception = Some(exception(prepared));
    header.system_time = CRASH_TIME;
    header.system_up_time = UP_TIME;
    header
}

/// The exception that was dispatched last, or the breakpoint that Windows records where there was none.
fn exception(prepared: &Prepared) -> ExceptionRecord {
    let (guest, at) = (&prepared.guest, prepared.symbol("KiBugCheckExceptionRecord"));
    let mut record = ExceptionRecord::header_default(0);
    if guest.u32(at) != 0 {
        record.code = guest.u32(at);
        record.flags = guest.u32(at + 4);
        record.address = guest.u64(at + 0x10);
        record.information = (0..u64::from(guest.u32(at + 0x18))).map(|index| guest.u64(at + 0x20 + 8 * index)).collect();
    }
    record
}

fn triage(crash: &Crash, prepared: &Prepared) -> TriageDump {
    let guest = &prepared.guest;
    let mut dump = TriageDump::new(Arch::X64);
    dump.header = header(crash, prepared);
    dump.drivers = crash
        .modules
        .iter()
        .map(|module| Driver {
            path: module.path.clone(),
            base: module.base,
            size: module.size,
            entry_point: module.entry,
            check_sum: module.check_sum,
            time_date_stamp: module.time_date_stamp,
        })
        .collect();
    dump.unloaded =
        crash.unloaded.iter().map(|(name, start, end)| UnloadedDriver { name: name.clone(), start: *start, end: *end }).collect();
    dump.prcb.clone_from(&crash.prcb);
    dump.process.clone_from(&crash.process.1);
    dump.thread.clone_from(&crash.thread.1);
    dump.debugger_data = Some(guest.exact(dump.header.kd_debugger_data_block, 0x380));
    let sp = crash.register(0x98);
    // A double fault has a stack of its own; its page is what there is.
    let end = if collect::own_stack(crash) { crash.stack_base } else { (sp | 0xfff) + 1 };
    dump.call_stack(sp, &guest.exact(sp, usize::try_from(end - sp).unwrap()));
    dump.blocks.clear();
    for (address, bytes) in collect::blocks(crash, prepared) {
        dump.block(address, &bytes);
    }
    dump
}
