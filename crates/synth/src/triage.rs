//! Small memory dumps: header, TRIAGE_DUMP64 (0x80 bytes at 0x2000) or TRIAGE_DUMP32 (0x68 bytes at 0x1000), the
//! parts they point to, the `TRGD` mark, and secondary data after it.
//!
//! The order of the parts is that of real 19041/22000 dumps: memory manager information, unloaded drivers, PRCB,
//! process, thread, call stack, debugger data, driver list, string pool, data block list, data, mark.
//!
//! Compared with real dumps: all of the 64-bit layout. Not compared with any real file (none is at hand): the
//! 32-bit layout. Its sources are `mindumpdef.h` as other projects quote it, Ghidra `TriageDump.java`, and a
//! published reader that measured a Windows XP dump: driver entries 0x4c bytes apart, a u32 name offset and then the
//! loader entry. TRIAGE_DATA_BLOCK is one structure with a 64-bit address for both widths in the SDK header, while
//! Ghidra reads a 32-bit address; see [`TriageDump::short_data_blocks`].

use crate::blob::{align, utf16};
use crate::{Arch, Blob, ContextArm64, ContextX64, ContextX86, DebuggerData, ExceptionRecord, Header, SecondaryBlob};

/// The base every default uses for ntoskrnl.exe.
pub(crate) fn default_nt_base(arch: Arch) -> u64 {
    match arch {
        Arch::X64 => 0xffff_f806_1240_0000,
        Arch::Arm64 => 0xffff_f802_2f80_0000,
        Arch::X86 => 0x8283_d000,
    }
}

/// One loaded driver.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Driver {
    /// As in the dump: a full path on most builds, a bare file name on 26100.
    pub path: String,
    pub base: u64,
    pub size: u32,
    pub entry_point: u64,
    pub check_sum: u32,
    pub time_date_stamp: u32,
}

/// One driver that was unloaded before the crash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct UnloadedDriver {
    /// The dump keeps the first 12 characters only.
    pub name: String,
    pub start: u64,
    pub end: u64,
}

/// Memory saved at a virtual address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DataBlock {
    pub address: u64,
    pub data: Vec<u8>,
}

/// A small memory dump. All fields may be changed before [`TriageDump::bytes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriageDump {
    /// The header; a missing context or exception is filled in by [`TriageDump::bytes`].
    pub header: Header,
    /// ServicePackBuild.
    pub service_pack_build: u32,
    /// TriageOptions; 0xffffffff in kernel-generated dumps.
    pub triage_options: u32,
    /// Memory manager information; 0x50 bytes (0x34 on x86).
    pub mm: Vec<u8>,
    /// Loaded drivers; entry 0 should be nt.
    pub drivers: Vec<Driver>,
    /// Unloaded drivers, oldest first.
    pub unloaded: Vec<UnloadedDriver>,
    /// The start of the current processor's KPRCB (real dumps hold all of it, 0xaf00 bytes on 19041).
    pub prcb: Vec<u8>,
    /// EPROCESS bytes.
    pub process: Vec<u8>,
    /// ETHREAD bytes.
    pub thread: Vec<u8>,
    /// Virtual address of the first call stack byte.
    pub top_of_stack: u64,
    /// Call stack bytes.
    pub stack: Vec<u8>,
    /// KDDEBUGGER_DATA64 bytes; `None` leaves it out.
    pub debugger_data: Option<Vec<u8>>,
    /// Saved memory.
    pub blocks: Vec<DataBlock>,
    /// The single data page of old dumps.
    pub data_page: Option<DataBlock>,
    /// Secondary data after the mark; none writes no `DumpBlob` header.
    pub secondary: Vec<SecondaryBlob>,
    /// The mark at ValidOffset, `TRGD`.
    pub mark: [u8; 4],
    /// x86 only: write 12-byte data block entries with a 32-bit address, as Ghidra reads them, instead of 16-byte
    /// ones, as `mindumpdef.h` declares them.
    pub short_data_blocks: bool,
    /// Puts the parts in the order of dumps whose attributes have KernelGeneratedTriageDump set: the unloaded
    /// drivers come after the debugger data.
    pub kernel_generated: bool,
}

impl TriageDump {
    /// A manually initiated crash (0xE2) with nt and hal loaded and nothing of interest on the stack.
    pub fn new(arch: Arch) -> Self {
        let header = Header::new(arch);
        let nt = default_nt_base(arch);
        let lab_at = nt + if arch.is_32() { 0x12_c0a0 } else { 0xc4_c0a0 };
        let (lab, nt_size) = match arch {
            Arch::X64 => ("19041.1.amd64fre.vb_release.191206-1406", 0x104_6000),
            Arch::Arm64 => ("22000.1.arm64fre.co_release.210604-1628", 0x103_e000),
            Arch::X86 => ("7601.17514.x86fre.win7sp1_rtm.101119-1850", 0x41_2000),
        };
        let stack_base: u64 = if arch.is_32() { 0x8d9f_c000 } else { 0xffff_8601_3ac6_d000 };
        let top = stack_base - 0x100;
        let thread_at: u64 = if arch.is_32() { 0x8572_9d48 } else { 0xffff_9c8b_e41a_7040 };
        let process_at: u64 = if arch.is_32() { 0x8568_b1e0 } else { 0xffff_9c8b_de09_5080 };
        let mut mm = Blob::new(if arch.is_32() { 0x34 } else { 0x50 });
        mm.u32(0, 1);
        let mm_size = u32::try_from(mm.len()).unwrap();
        mm.u32(4, mm_size);
        let mut lab_block = Blob::new(0x100);
        lab_block.bytes(0, lab.as_bytes());
        let mut prcb = Blob::new(0x400);
        let mut process = Blob::new(0);
        let mut thread = Blob::new(0);
        match arch {
            Arch::X64 | Arch::Arm64 => {
                let arm = arch == Arch::Arm64;
                prcb.u64(8, thread_at).u32(0x24, 0);
                if arch == Arch::X64 {
                    prcb.u32(0, 0x1f80).u32(0x44, 3600);
                }
                process.bytes(0, &vec![0; if arm { 0xc80 } else { 0xa40 }]);
                process.u64(0, 3).u64(0x28, header.directory_table_base);
                thread.bytes(0, &vec![0; if arm { 0x910 } else { 0x898 }]);
                thread.u16(0, 6).u64(0x28, stack_base - 0x3b0).u64(0x30, stack_base - 0x6000);
                thread.u64(0x38, stack_base).u64(0x58, top - 0x110);
                if !arm {
                    process.u64(0x440, 4).bytes(0x5a8, b"System");
                    thread.u64(0x220, process_at).u8(0x184, 2).u64(0x478, 4).u64(0x480, 0x1c8);
                }
            }
            Arch::X86 => {
                prcb.u16(0, 1).u16(2, 1).u32(4, thread_at as u32).u32(0x3c0, 2933).u32(0x3cc, 0);
                process.bytes(0, &[0; 0x2c0]);
                process.u32(0, 3).u32(0x18, header.directory_table_base as u32).u32(0xb4, 4);
                process.bytes(0x16c, b"System");
                thread.bytes(0, &[0; 0x2b8]);
                thread.u16(0, 6).u32(0x28, stack_base as u32 - 0x200).u32(0x2c, stack_base as u32 - 0x3000);
                thread.u32(0x30, top as u32 - 0x80).u32(0x50, process_at as u32).u8(0x68, 2);
                thread.u32(0x22c, 4).u32(0x230, 0x1c8);
            }
        }
        let debugger = DebuggerData {
            arch,
            address: header.kd_debugger_data_block,
            size: if arch.is_32() { 0x340 } else { 0x380 },
            kern_base: nt,
            ps_loaded_module_list: header.ps_loaded_module_list,
            ps_active_process_head: header.ps_active_process_head,
            pfn_database: header.pfn_database,
            nt_build_lab: lab_at,
            ki_processor_block: nt + if arch.is_32() { 0x12_d900 } else { 0xcf_dc80 },
            mm_unloaded_drivers: nt + if arch.is_32() { 0x14_9300 } else { 0xc2_a308 },
            mm_last_unloaded_driver: nt + if arch.is_32() { 0x14_9304 } else { 0xc2_a310 },
            size_prcb: 0x400,
            pte_base: if arch.is_32() { 0xc000_0000 } else { 0xffff_f700_0000_0000 },
        };
        let mut dump = TriageDump {
            header,
            service_pack_build: 0,
            triage_options: 0xffff_ffff,
            mm: mm.done(),
            drivers: Vec::new(),
            unloaded: Vec::new(),
            prcb: prcb.done(),
            process: process.done(),
            thread: thread.done(),
            top_of_stack: top,
            stack: vec![0; 0x100],
            debugger_data: Some(debugger.bytes()),
            blocks: vec![DataBlock { address: lab_at, data: lab_block.done() }],
            data_page: None,
            secondary: Vec::new(),
            mark: *b"TRGD",
            short_data_blocks: false,
            kernel_generated: false,
        };
        dump.driver("\\SystemRoot\\system32\\ntoskrnl.exe", nt, nt_size);
        let hal_base = nt - if arch.is_32() { 0x3_7000 } else { 0x40_0000 };
        dump.driver("\\SystemRoot\\system32\\hal.dll", hal_base, if arch.is_32() { 0x3_7000 } else { 0x6000 });
        dump
    }

    /// Sets the code and its four parameters.
    pub fn bug_check(&mut self, code: u32, parameters: [u64; 4]) -> &mut Self {
        self.header.code = code;
        self.header.parameters = parameters;
        self
    }

    /// Adds a loaded driver. A bare file name becomes `\SystemRoot\System32\drivers\NAME`; checksum and timestamp
    /// are made from the name, so that they are stable and differ between drivers.
    pub fn driver(&mut self, name: &str, base: u64, size: u32) -> &mut Self {
        let path = if name.contains('\\') { name.to_owned() } else { format!("\\SystemRoot\\System32\\drivers\\{name}") };
        // FNV-1a of the path.
        let hash = path.bytes().fold(0x811c_9dc5_u32, |h, c| (h ^ u32::from(c)).wrapping_mul(0x0100_0193));
        self.drivers.push(Driver {
            path,
            base,
            size,
            entry_point: 0,
            check_sum: size + (hash & 0x7fff),
            time_date_stamp: 0x5e00_0000 + (hash >> 6),
        });
        self
    }

    /// Adds an unloaded driver.
    pub fn unloaded_driver(&mut self, name: &str, start: u64, end: u64) -> &mut Self {
        self.unloaded.push(UnloadedDriver { name: name.to_owned(), start, end });
        self
    }

    /// Adds memory saved at `address`.
    pub fn block(&mut self, address: u64, data: &[u8]) -> &mut Self {
        self.blocks.push(DataBlock { address, data: data.to_vec() });
        self
    }

    /// Replaces the call stack.
    pub fn call_stack(&mut self, top: u64, data: &[u8]) -> &mut Self {
        self.top_of_stack = top;
        self.stack = data.to_vec();
        self
    }

    /// Adds a secondary blob.
    pub fn secondary(&mut self, blob: SecondaryBlob) -> &mut Self {
        self.secondary.push(blob);
        self
    }

    /// The base of the driver whose path ends in `name`.
    ///
    /// # Panics
    /// When there is none.
    pub fn base_of(&self, name: &str) -> u64 {
        self.drivers.iter().find(|d| d.path.ends_with(name)).unwrap_or_else(|| panic!("no driver {name}")).base
    }

    pub(crate) fn default_context(&self) -> Vec<u8> {
        let nt = self.drivers.first().map_or(0, |d| d.base);
        let sp = self.top_of_stack;
        match self.header.arch {
            Arch::X64 => ContextX64 { rip: nt + 0x3f_7b00, rsp: sp, ..Default::default() }.bytes(),
            Arch::Arm64 => ContextArm64 { pc: nt + 0x3f_7b00, sp, fp: sp, cpsr: 0x8000_0144, ..Default::default() }.bytes(),
            Arch::X86 => ContextX86 { eip: (nt + 0x7_b100) as u32, esp: sp as u32, ..Default::default() }.bytes(),
        }
    }

    fn unloaded_bytes(&self) -> Vec<u8> {
        let wide = !self.header.arch.is_32();
        let (first, step) = if wide { (8, 56) } else { (4, 40) };
        let mut b = Blob::new(first);
        b.u32(0, u32::try_from(self.unloaded.len()).unwrap());
        for (i, d) in self.unloaded.iter().enumerate() {
            let at = first + step * i;
            let name: String = d.name.chars().take(12).collect();
            let length = u16::try_from(2 * name.encode_utf16().count()).unwrap();
            b.bytes(at, &vec![0; step]).u16(at, length).u16(at + 2, length);
            if wide {
                b.utf16(at + 0x10, &name).u64(at + 0x28, d.start).u64(at + 0x30, d.end);
            } else {
                b.utf16(at + 8, &name).u32(at + 0x20, d.start as u32).u32(at + 0x24, d.end as u32);
            }
        }
        b.done()
    }

    /// The whole file.
    pub fn bytes(&self) -> Vec<u8> {
        let arch = self.header.arch;
        let wide = !arch.is_32();
        let mut header = self.header.clone();
        if header.context.is_none() {
            header.context = Some(self.default_context());
        }
        if header.exception.is_none() {
            let nt = self.drivers.first().map_or(0, |d| d.base);
            let at = nt + if wide { 0x3f_7b00 } else { 0x7_b100 };
            header.exception = Some(ExceptionRecord::header_default(at));
        }
        let triage_at = arch.header_size();
        let mut out = Blob::default();
        out.bytes(0, &header.bytes());
        let mut at = triage_at + if wide { 0x80 } else { 0x68 };
        let mut put = |out: &mut Blob, data: &[u8]| {
            let here = at;
            out.bytes(here, data);
            at = align(here + data.len(), 8);
            out.bytes(here + data.len(), &vec![0; at - here - data.len()]);
            u32::try_from(here).unwrap()
        };
        let mm = put(&mut out, &self.mm);
        let early = if self.kernel_generated { 0 } else { put(&mut out, &self.unloaded_bytes()) };
        let prcb = put(&mut out, &self.prcb);
        let process = put(&mut out, &self.process);
        let thread = put(&mut out, &self.thread);
        let stack = put(&mut out, &self.stack);
        let page = self.data_page.as_ref().map_or(0, |p| put(&mut out, &p.data));
        let debugger = self.debugger_data.as_ref().map_or(0, |d| put(&mut out, d));

        let unloaded = if self.kernel_generated { put(&mut out, &self.unloaded_bytes()) } else { early };

        // Driver list: a fixed stride, names in the pool behind it by file offset.
        let stride = if wide { 0x90 } else { 0x4c };
        let list_at = out.len();
        let pool_at = align(list_at + stride * self.drivers.len(), 8);
        let mut list = Blob::new(pool_at - list_at);
        let mut pool = Blob::default();
        for (i, d) in self.drivers.iter().enumerate() {
            let e = i * stride;
            list.u32(e, u32::try_from(pool_at + pool.len()).unwrap());
            if wide {
                list.u64(e + 0x38, d.base).u64(e + 0x40, d.entry_point).u32(e + 0x48, d.size);
                list.u32(e + 0x80, d.check_sum).u32(e + 0x88, d.time_date_stamp);
            } else {
                list.u32(e + 0x1c, d.base as u32).u32(e + 0x20, d.entry_point as u32).u32(e + 0x24, d.size);
                list.u32(e + 0x44, d.check_sum).u32(e + 0x48, d.time_date_stamp);
            }
            let text = utf16(&d.path);
            let s = pool.len();
            pool.u32(s, u32::try_from(text.len() / 2).unwrap()).bytes(s + 4, &text).u16(s + 4 + text.len(), 0);
            let end = align(pool.len(), 8);
            pool.bytes(end, &[]);
        }
        let list_at = put(&mut out, &list.done());
        let pool_at = put(&mut out, &pool.done());

        let entry = if wide || !self.short_data_blocks { 16 } else { 12 };
        let descriptors_at = out.len();
        let mut data_at = descriptors_at + entry * self.blocks.len();
        let mut descriptors = Blob::new(entry * self.blocks.len());
        let mut data = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            let (offset, size) = (u32::try_from(data_at).unwrap(), u32::try_from(block.data.len()).unwrap());
            if entry == 16 {
                descriptors.u64(16 * i, block.address).u32(16 * i + 8, offset).u32(16 * i + 12, size);
            } else {
                descriptors.u32(12 * i, block.address as u32).u32(12 * i + 4, offset).u32(12 * i + 8, size);
            }
            data.extend_from_slice(&block.data);
            data_at += block.data.len();
        }
        out.bytes(descriptors_at, &descriptors.done()).bytes(descriptors_at + descriptors.len(), &data);
        let valid_at = align(out.len(), 8);
        out.bytes(valid_at, &self.mark);

        let offset = |v: usize| u32::try_from(v).unwrap();
        let t = triage_at;
        let (context_at, exception_at) = if wide { (0x348, 0xf00) } else { (0x320, 0x7d0) };
        let words = [
            self.service_pack_build,
            offset(out.len()),
            offset(valid_at),
            context_at,
            exception_at,
            mm,
            unloaded,
            prcb,
            process,
            thread,
            stack,
            offset(self.stack.len()),
            list_at,
            offset(self.drivers.len()),
            pool_at,
            offset(pool.len()),
            0,
            self.triage_options,
        ];
        for (i, w) in words.into_iter().enumerate() {
            out.u32(t + 4 * i, w);
        }
        let page_size = self.data_page.as_ref().map_or(0, |p| p.data.len());
        let page_address = self.data_page.as_ref().map_or(0, |p| p.address);
        let debugger_size = self.debugger_data.as_ref().map_or(0, Vec::len);
        let tail = [page, offset(page_size), debugger, offset(debugger_size), offset(descriptors_at)];
        let tail_at = if wide {
            out.u64(t + 0x48, self.top_of_stack).bytes(t + 0x50, &[0; 16]).u64(t + 0x60, page_address);
            0x68
        } else {
            out.u32(t + 0x48, self.top_of_stack as u32).u32(t + 0x4c, page_address as u32);
            0x50
        };
        for (i, w) in tail.into_iter().chain([offset(self.blocks.len())]).enumerate() {
            out.u32(t + tail_at + 4 * i, w);
        }
        let mut file = out.done();
        if !self.secondary.is_empty() {
            file.extend(crate::secondary::area(self.header.minor_version, &self.secondary));
        }
        file
    }
}
