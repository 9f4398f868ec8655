//! A story told with physical pages: the triage form's memory put behind page tables, with the module list,
//! the processor block and the debugger data where a kernel keeps them.

use super::Scenario;
use crate::blob::utf16;
use crate::{Arch, Blob, PageTables, PhysicalDump, PhysicalKind, unicode_string};

/// The x64 story as a dump of another kind. The virtual addresses are the same as in the small dump.
///
/// # Panics
/// When the scenario is not x64.
pub fn physical_form(story: &Scenario, kind: PhysicalKind) -> PhysicalDump {
    let from = &story.dump;
    assert_eq!(from.header.arch, Arch::X64);
    let mut t = PageTables::new(0x1ad);
    t.self_map(0x1ee);
    let images = |va: u64| from.drivers.iter().any(|d| (d.base..d.base + u64::from(d.size)).contains(&va));
    for block in &from.blocks {
        let code = images(block.address) && block.data.len() == 0x1000;
        t.write(block.address, &block.data, if code { PageTables::CODE } else { PageTables::DATA });
    }
    t.write(from.top_of_stack, &from.stack, PageTables::DATA);
    t.write(from.header.kd_debugger_data_block, from.debugger_data.as_ref().unwrap(), PageTables::DATA);

    // PsLoadedModuleList and its KLDR_DATA_TABLE_ENTRYs, names behind each.
    let head = from.header.ps_loaded_module_list;
    let pool = 0xffff_9c8b_e100_0050_u64;
    let entry_at = |i: usize| {
        if i < from.drivers.len() { pool + 0x200 * i as u64 } else { head }
    };
    for (i, d) in from.drivers.iter().enumerate() {
        let at = entry_at(i);
        let file = d.path.rsplit('\\').next().unwrap();
        let file_at = at + 0xa0 + (utf16(&d.path).len() - utf16(file).len()) as u64;
        let mut b = Blob::new(0xa0);
        b.u64(0, entry_at(i + 1)).u64(8, if i == 0 { head } else { entry_at(i - 1) });
        b.u64(0x30, d.base).u64(0x38, d.entry_point).u32(0x40, d.size);
        b.bytes(0x48, &unicode_string(&d.path, at + 0xa0)).bytes(0x58, &unicode_string(file, file_at));
        b.u32(0x68, 0x0900_4000).u16(0x6c, 1).u32(0x78, d.check_sum).u32(0x9c, d.time_date_stamp);
        b.bytes(0xa0, &utf16(&d.path));
        t.write(at, &b.done(), PageTables::DATA);
    }
    let mut links = Blob::new(16);
    links.u64(0, entry_at(0)).u64(8, entry_at(from.drivers.len().saturating_sub(1)));
    t.write(head, &links.done(), PageTables::DATA);

    // KiProcessorBlock[0] -> KPRCB: CurrentThread +8, Number +0x24, Context pointer +0x85c0.
    let nt = from.drivers[0].base;
    let prcb_at = nt - 0x4d_fe80;
    let thread_at = u64::from_le_bytes(from.prcb[8..16].try_into().unwrap());
    t.write(nt + 0xcf_dc80, &prcb_at.to_le_bytes(), PageTables::DATA);
    t.write(prcb_at, &from.prcb, PageTables::DATA);
    t.write(thread_at, &from.thread, PageTables::DATA);
    t.write(0xffff_9c8b_de09_5080, &from.process, PageTables::DATA);
    let context = from.header.context.clone().unwrap_or_else(|| from.default_context());
    let context_at = prcb_at + 0x100 + 0xf0;
    t.write(context_at, &context, PageTables::DATA);
    t.write(prcb_at + 0x85c0, &context_at.to_le_bytes(), PageTables::DATA);

    let mut dump = PhysicalDump::new(Arch::X64, kind);
    let fields = (dump.header.dump_type, dump.header.mini_dump_fields);
    dump.header = from.header.clone();
    (dump.header.dump_type, dump.header.mini_dump_fields) = fields;
    dump.header.context = Some(context);
    dump.tables(&t);
    dump
}
