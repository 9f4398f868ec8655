//! DUMP_HEADER64 (0x2000 bytes) and DUMP_HEADER32 (0x1000 bytes).
//!
//! 64-bit: compared with the headers of real x64 and ARM64 triage dumps and of three real full dumps.
//! 32-bit: volatility3 `crash.json` and `mindumpdef.h` (Attributes, BootId); compared with one real 32-bit header
//! (Windows 7, type 1). Fields left unset hold the bytes `PAGE`, as Windows leaves them.

use crate::{Blob, ExceptionRecord};

/// The processor family of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// AMD64, machine 0x8664.
    X64,
    /// ARM64, machine 0xaa64.
    Arm64,
    /// 32-bit x86, machine 0x14c.
    X86,
}

impl Arch {
    /// IMAGE_FILE_MACHINE_*.
    pub fn machine(self) -> u32 {
        match self {
            Arch::X64 => 0x8664,
            Arch::Arm64 => 0xaa64,
            Arch::X86 => 0x14c,
        }
    }

    /// True for x86.
    pub fn is_32(self) -> bool {
        self == Arch::X86
    }

    /// Size of the dump header.
    pub fn header_size(self) -> usize {
        if self.is_32() { 0x1000 } else { 0x2000 }
    }

    /// Size of a pointer.
    pub fn pointer(self) -> usize {
        if self.is_32() { 4 } else { 8 }
    }
}

/// The FILETIME of a moment given in seconds since 1970, UTC.
pub const fn filetime(unix_seconds: u64) -> u64 {
    (unix_seconds + 11_644_473_600) * 10_000_000
}

/// Every field of a dump header. `None` leaves the `PAGE` filler.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Header {
    pub arch: Arch,
    /// 0xf free build, 0xc checked build.
    pub major_version: u32,
    /// The build number, e.g. 19041.
    pub minor_version: u32,
    pub directory_table_base: u64,
    pub pfn_database: u64,
    pub ps_loaded_module_list: u64,
    pub ps_active_process_head: u64,
    pub machine: u32,
    pub processors: u32,
    pub code: u32,
    pub parameters: [u64; 4],
    pub version_user: Option<[u8; 32]>,
    /// x86 only.
    pub pae_enabled: u8,
    pub kd_debugger_data_block: u64,
    /// {base page, page count}; `None` in triage dumps.
    pub physical_runs: Option<Vec<(u64, u64)>>,
    /// CONTEXT bytes, put at 0x348 (0x320 on x86).
    pub context: Option<Vec<u8>>,
    pub exception: Option<ExceptionRecord>,
    pub dump_type: u32,
    pub required_dump_space: u64,
    /// FILETIME.
    pub system_time: u64,
    /// 100 ns units since boot.
    pub system_up_time: u64,
    pub comment: Option<String>,
    pub mini_dump_fields: Option<u32>,
    pub secondary_data_state: Option<u32>,
    pub product_type: Option<u32>,
    pub suite_mask: Option<u32>,
    pub writer_status: Option<u32>,
    pub kd_secondary_version: u8,
    pub attributes: Option<u32>,
    pub boot_id: Option<u32>,
    /// 64-bit: the writer's message at 0x11f0 (seen on 26100: `Dump completed successfully.`).
    pub writer_message: Option<String>,
    /// 64-bit: {build as text at 0x12f0, update revision at 0x1300}, followed by the version 10.0 (seen on 26100).
    pub build_revision: Option<(String, u32)>,
}

impl Header {
    /// A workstation header of `arch` with plausible kernel addresses.
    pub fn new(arch: Arch) -> Self {
        let nt = crate::triage::default_nt_base(arch);
        Header {
            arch,
            major_version: 15,
            minor_version: match arch {
                Arch::X64 => 19041,
                Arch::Arm64 => 22000,
                Arch::X86 => 7601,
            },
            directory_table_base: if arch.is_32() { 0x0018_5000 } else { 0x001a_d000 },
            pfn_database: nt + if arch.is_32() { 0x17_2610 } else { 0xc_fc500 },
            ps_loaded_module_list: nt + if arch.is_32() { 0x14_84d0 } else { 0xc2_a360 },
            ps_active_process_head: nt + if arch.is_32() { 0x14_0658 } else { 0xc1_e0a0 },
            machine: arch.machine(),
            processors: 4,
            code: 0xe2,
            parameters: [0; 4],
            version_user: None,
            pae_enabled: 1,
            kd_debugger_data_block: nt + if arch.is_32() { 0x12_bc28 } else { 0xc0_0b20 },
            physical_runs: None,
            context: None,
            exception: None,
            dump_type: 4,
            required_dump_space: 0x31_2f60,
            system_time: filetime(1_773_480_413),
            system_up_time: 36_610_000_000,
            comment: None,
            mini_dump_fields: Some(0xcff),
            secondary_data_state: None,
            product_type: Some(1),
            suite_mask: Some(0x110),
            writer_status: Some(0),
            kd_secondary_version: 0,
            attributes: None,
            boot_id: None,
            writer_message: None,
            build_revision: None,
        }
    }

    /// The header's bytes: 0x2000 or 0x1000.
    ///
    /// # Panics
    /// When there are more physical memory runs than the header's 700 bytes hold, or the context is too long.
    pub fn bytes(&self) -> Vec<u8> {
        if self.arch.is_32() { self.bytes32() } else { self.bytes64() }
    }

    fn bytes64(&self) -> Vec<u8> {
        let mut b = Blob::filled(0x2000, *b"PAGE");
        b.bytes(0, b"PAGEDU64").u32(8, self.major_version).u32(0xc, self.minor_version);
        b.u64(0x10, self.directory_table_base).u64(0x18, self.pfn_database);
        b.u64(0x20, self.ps_loaded_module_list).u64(0x28, self.ps_active_process_head);
        b.u32(0x30, self.machine).u32(0x34, self.processors).u32(0x38, self.code);
        for (i, p) in self.parameters.iter().enumerate() {
            b.u64(0x40 + 8 * i, *p);
        }
        if let Some(v) = &self.version_user {
            b.bytes(0x60, v);
        }
        b.u64(0x80, self.kd_debugger_data_block);
        if let Some(runs) = &self.physical_runs {
            assert!(0x10 + runs.len() * 0x10 <= 700, "at most 42 runs fit");
            b.u32(0x88, u32::try_from(runs.len()).unwrap()).u32(0x8c, 0);
            b.u64(0x90, runs.iter().map(|r| r.1).sum());
            for (i, (base, count)) in runs.iter().enumerate() {
                b.u64(0x98 + 0x10 * i, *base).u64(0xa0 + 0x10 * i, *count);
            }
        }
        if let Some(c) = &self.context {
            assert!(c.len() <= 3000);
            b.bytes(0x348, &[0; 3000]).bytes(0x348, c);
        }
        if let Some(e) = &self.exception {
            // The kernel writes only as many parameters as there are, and leaves the rest of the record filled.
            b.bytes(0xf00, &e.bytes64()[..0x1c]).bytes(0xf1c, b"PAGE");
            for (i, v) in e.information.iter().enumerate() {
                b.u64(0xf20 + 8 * i, *v);
            }
        }
        b.u32(0xf98, self.dump_type);
        b.u64(0xfa0, self.required_dump_space).u64(0xfa8, self.system_time);
        if let Some(text) = &self.comment {
            assert!(text.len() < 128);
            b.bytes(0xfb0, &[0; 128]).bytes(0xfb0, text.as_bytes());
        }
        b.u64(0x1030, self.system_up_time);
        let optional = [
            (0x1038, self.mini_dump_fields),
            (0x103c, self.secondary_data_state),
            (0x1040, self.product_type),
            (0x1044, self.suite_mask),
            (0x1048, self.writer_status),
            (0x1050, self.attributes),
            (0x1054, self.boot_id),
        ];
        for (at, value) in optional {
            if let Some(v) = value {
                b.u32(at, v);
            }
        }
        b.u8(0x104d, self.kd_secondary_version);
        if let Some(message) = &self.writer_message {
            assert!(message.len() < 0x100);
            b.bytes(0x1058, &[0; 0x298]).u32(0x1058, 0x298).u32(0x105c, 0x298).bytes(0x11f0, message.as_bytes());
        }
        if let Some((build, revision)) = &self.build_revision {
            assert!(build.len() <= 5);
            b.bytes(0x12f0, &[0; 12]).utf16(0x12f0, build);
            b.u32(0x1300, *revision).u32(0x1304, 10).u32(0x1308, 0);
        }
        b.done()
    }

    fn bytes32(&self) -> Vec<u8> {
        let mut b = Blob::filled(0x1000, *b"PAGE");
        b.bytes(0, b"PAGEDUMP").u32(8, self.major_version).u32(0xc, self.minor_version);
        b.u32(0x10, self.directory_table_base as u32).u32(0x14, self.pfn_database as u32);
        b.u32(0x18, self.ps_loaded_module_list as u32).u32(0x1c, self.ps_active_process_head as u32);
        b.u32(0x20, self.machine).u32(0x24, self.processors).u32(0x28, self.code);
        for (i, p) in self.parameters.iter().enumerate() {
            b.u32(0x2c + 4 * i, *p as u32);
        }
        if let Some(v) = &self.version_user {
            b.bytes(0x3c, v);
        }
        b.u8(0x5c, self.pae_enabled).u8(0x5d, self.kd_secondary_version);
        b.u32(0x60, self.kd_debugger_data_block as u32);
        if let Some(runs) = &self.physical_runs {
            assert!(8 + runs.len() * 8 <= 700, "at most 86 runs fit");
            b.u32(0x64, u32::try_from(runs.len()).unwrap());
            b.u32(0x68, u32::try_from(runs.iter().map(|r| r.1).sum::<u64>()).unwrap());
            for (i, (base, count)) in runs.iter().enumerate() {
                b.u32(0x6c + 8 * i, *base as u32).u32(0x70 + 8 * i, *count as u32);
            }
        }
        if let Some(c) = &self.context {
            assert!(c.len() <= 1200);
            b.bytes(0x320, &[0; 1200]).bytes(0x320, c);
        }
        if let Some(e) = &self.exception {
            b.bytes(0x7d0, &e.bytes32());
        }
        if let Some(text) = &self.comment {
            assert!(text.len() < 128);
            b.bytes(0x820, &[0; 128]).bytes(0x820, text.as_bytes());
        }
        let optional = [
            (0x8a0, self.attributes),
            (0x8a4, self.boot_id),
            (0xf8c, self.mini_dump_fields),
            (0xf90, self.secondary_data_state),
            (0xf94, self.product_type),
            (0xf98, self.suite_mask),
            (0xf9c, self.writer_status),
        ];
        for (at, value) in optional {
            if let Some(v) = value {
                b.u32(at, v);
            }
        }
        b.u32(0xf88, self.dump_type).u64(0xfa0, self.required_dump_space);
        b.u64(0xfb8, self.system_up_time).u64(0xfc0, self.system_time);
        b.done()
    }
}
