//! The dump header: DUMP_HEADER64 (0x2000 bytes, `PAGEDU64`) and DUMP_HEADER32 (0x1000 bytes, `PAGEDUMP`) as one type.
//!
//! Sources: public descriptions of the format (volatility's crash profiles, kdmp-parser, rizin); the 64-bit one verified on
//! 35 real minidumps and two full-dump headers, the 32-bit one on one real header.

use crate::{Error, ExceptionRecord, Fields, Registers, VirtAddr};

/// Processor architecture of the crashed machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 32-bit x86.
    X86,
    /// 64-bit x86.
    X64,
    /// 64-bit ARM.
    Arm64,
}

impl Arch {
    /// Bytes in a pointer.
    #[must_use]
    pub fn pointer_width(self) -> usize {
        if self == Self::X86 { 4 } else { 8 }
    }

    /// Size of the CONTEXT record in bytes.
    #[must_use]
    pub fn context_size(self) -> usize {
        match self {
            Self::X86 => 0x2cc,
            Self::X64 => 0x4d0,
            Self::Arm64 => 0x390,
        }
    }

    /// The lowest address of kernel space under the usual split.
    #[must_use]
    pub fn kernel_start(self) -> u64 {
        if self == Self::X86 { 0x8000_0000 } else { 0xffff_8000_0000_0000 }
    }

    /// The name in reports: `x86`, `x64`, `arm64`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86",
            Self::X64 => "x64",
            Self::Arm64 => "arm64",
        }
    }
}

/// The stop code and its parameters, as the header records them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BugCheck {
    /// The code, with the 0x10000000 flag that minidumps may carry.
    pub code: u32,
    /// The four parameters.
    pub parameters: [u64; 4],
}

/// What the container of a dump is, from its type field and the signature behind the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DumpKind {
    /// All physical memory (type 1).
    Full,
    /// Kernel memory, summary format (type 2).
    Kernel,
    /// A header and nothing to read behind it (type 3, or a file cut there).
    HeaderOnly,
    /// Small dump, "minidump" (type 4).
    Triage,
    /// All memory with a page bitmap (type 5).
    BitmapFull,
    /// Kernel memory with a page bitmap (type 6), also what automatic and live dumps use.
    BitmapKernel,
    /// Debugger-written ranges: kernel (type 8).
    RangeKernel,
    /// Debugger-written ranges: kernel and user (type 9).
    RangeKernelUser,
    /// Debugger-written ranges: everything (type 0xA).
    RangeComplete,
}

impl DumpKind {
    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Kernel => "kernel",
            Self::HeaderOnly => "header-only",
            Self::Triage => "triage",
            Self::BitmapFull => "bitmap-full",
            Self::BitmapKernel => "bitmap-kernel",
            Self::RangeKernel => "range-kernel",
            Self::RangeKernelUser => "range-kernel-user",
            Self::RangeComplete => "range-complete",
        }
    }
}

/// A moment as Windows counts: 100 ns steps since 1601-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileTime(pub u64);

impl FileTime {
    /// Seconds since 1970-01-01 UTC, negative before.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        i64::try_from(self.0 / 10_000_000).unwrap_or(i64::MAX) - 11_644_473_600
    }
}

/// The header of a dump. A field that Windows left at its filler ("PAGE" repeated) is absent.
#[derive(Clone, Debug)]
pub struct Header {
    /// Architecture, from the machine type.
    pub arch: Arch,
    /// Major version: 15 for a free build, 12 for a checked one.
    pub major: u32,
    /// Minor version: the Windows build number.
    pub build: u32,
    /// Page table base of the context that crashed (CR3, or ARM64's TTBR).
    pub directory_table_base: u64,
    /// Address of the variable that holds the PFN database's address.
    pub pfn_database: VirtAddr,
    /// Head of the list of loaded kernel modules.
    pub ps_loaded_module_list: VirtAddr,
    /// Head of the list of processes.
    pub ps_active_process_head: VirtAddr,
    /// Number of processors.
    pub processors: u32,
    /// Stop code and parameters.
    pub bug_check: BugCheck,
    /// Address of KDDEBUGGER_DATA64.
    pub kd_debugger_data_block: VirtAddr,
    /// The raw type field.
    pub dump_type: u32,
    /// What the container is.
    pub kind: DumpKind,
    /// Bytes the whole dump should take.
    pub required_size: Option<u64>,
    /// When it crashed.
    pub system_time: Option<FileTime>,
    /// Time since boot in 100 ns steps.
    pub uptime: Option<u64>,
    /// 1 workstation, 2 domain controller, 3 server.
    pub product_type: Option<u32>,
    /// Product suite bits.
    pub suite_mask: Option<u32>,
    /// The comment text, if one was set.
    pub comment: Option<String>,
    /// Dump attributes: bit 4 marks a live dump, bit 3 a triage dump that the kernel wrote itself.
    pub attributes: Option<u32>,
    /// Counts boots.
    pub boot_id: Option<u32>,
}

/// Where the two header layouts keep the same facts.
struct Layout {
    size: usize,
    pointers: usize,
    // After the signature and the versions: five pointer-sized fields from 0x10, then four 32-bit ones.
    machine: usize,
    parameters: usize,
    kd_debugger_data_block: usize,
    context: usize,
    exception: usize,
    comment: usize,
    dump_type: usize,
    required_size: usize,
    system_time: usize,
    uptime: usize,
    product_type: usize,
    suite_mask: usize,
    attributes: Option<usize>,
    boot_id: Option<usize>,
}

const LAYOUT64: Layout = Layout {
    size: 0x2000,
    pointers: 8,
    machine: 0x30,
    parameters: 0x40,
    kd_debugger_data_block: 0x80,
    context: 0x348,
    exception: 0xf00,
    comment: 0xfb0,
    dump_type: 0xf98,
    required_size: 0xfa0,
    system_time: 0xfa8,
    uptime: 0x1030,
    product_type: 0x1040,
    suite_mask: 0x1044,
    attributes: Some(0x1050),
    boot_id: Some(0x1054),
};

const LAYOUT32: Layout = Layout {
    size: 0x1000,
    pointers: 4,
    machine: 0x20,
    parameters: 0x2c,
    kd_debugger_data_block: 0x60,
    context: 0x320,
    exception: 0x7d0,
    comment: 0x820,
    dump_type: 0xf88,
    required_size: 0xfa0,
    system_time: 0xfc0,
    uptime: 0xfb8,
    product_type: 0xf94,
    suite_mask: 0xf98,
    attributes: None,
    boot_id: None,
};

/// "PAGE" as a number: what fields hold that Windows never set.
const FILLER: u32 = 0x4547_4150;

fn set32(value: Option<u32>) -> Option<u32> {
    value.filter(|&value| value != FILLER)
}

fn set64(value: Option<u64>) -> Option<u64> {
    value.filter(|&value| value != (u64::from(FILLER) << 32 | u64::from(FILLER)))
}

impl Header {
    /// Reads the header at the start of `file`.
    ///
    /// # Errors
    /// Every reason why the file holds no kernel dump.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        let layout = layout(file)?;
        let fields = Fields(file);
        let short = || Error::TooShort { size: file.len() as u64, needed: layout.size as u64 };
        if file.len() < layout.size {
            return Err(short());
        }
        let pointer = |offset| fields.pointer(offset, layout.pointers).ok_or_else(short);
        let word = |offset| fields.u32(offset).ok_or_else(short);
        let machine = word(layout.machine)?;
        let arch = match (machine, layout.pointers) {
            (0x14c, 4) => Arch::X86,
            (0x8664, 8) => Arch::X64,
            (0xaa64, 8) => Arch::Arm64,
            _ => return Err(Error::UnknownMachine { machine, offset: layout.machine as u64 }),
        };
        let after_versions = |n: usize| pointer(0x10 + n * layout.pointers);
        let parameter = |n: usize| pointer(layout.parameters + n * layout.pointers);
        let dump_type = word(layout.dump_type)?;
        let comment = fields.ascii(layout.comment, 128).filter(|text| !text.is_empty() && !text.starts_with("PAGE"));
        Ok(Self {
            arch,
            major: word(8)?,
            build: word(0xc)?,
            directory_table_base: after_versions(0)?,
            pfn_database: VirtAddr(after_versions(1)?),
            ps_loaded_module_list: VirtAddr(after_versions(2)?),
            ps_active_process_head: VirtAddr(after_versions(3)?),
            processors: word(layout.machine + 4)?,
            bug_check: BugCheck {
                code: word(layout.machine + 8)?,
                parameters: [parameter(0)?, parameter(1)?, parameter(2)?, parameter(3)?],
            },
            kd_debugger_data_block: VirtAddr(pointer(layout.kd_debugger_data_block)?),
            dump_type,
            kind: kind(dump_type, fields, layout.size),
            required_size: set64(fields.u64(layout.required_size)),
            system_time: set64(fields.u64(layout.system_time)).filter(|&time| time != 0).map(FileTime),
            uptime: set64(fields.u64(layout.uptime)).filter(|&time| time != 0),
            product_type: set32(fields.u32(layout.product_type)),
            suite_mask: set32(fields.u32(layout.suite_mask)),
            comment,
            attributes: layout.attributes.and_then(|at| set32(fields.u32(at))),
            boot_id: layout.boot_id.and_then(|at| set32(fields.u32(at))),
        })
    }

    /// Bytes the header takes, which is where the kind's own structures begin.
    #[must_use]
    pub fn size(&self) -> usize {
        self.layout().size
    }

    /// The CONTEXT record of the header.
    #[must_use]
    pub fn context(&self, file: &[u8]) -> Option<Registers> {
        let context = Fields(file).bytes(self.layout().context, self.arch.context_size())?;
        Registers::from_context(self.arch, Fields(context))
    }

    /// The EXCEPTION_RECORD of the header.
    #[must_use]
    pub fn exception(&self, file: &[u8]) -> Option<ExceptionRecord> {
        let record = Fields(file).bytes(self.layout().exception, ExceptionRecord::size(self.arch))?;
        ExceptionRecord::parse(self.arch, Fields(record)).filter(|record| record.code != 0 && record.code != FILLER)
    }

    /// True where the attributes say that the machine went on running (bit 4).
    #[must_use]
    pub fn has_live_attribute(&self) -> bool {
        self.attributes.is_some_and(|bits| bits & 0x10 != 0)
    }

    fn layout(&self) -> &'static Layout {
        if self.arch == Arch::X86 { &LAYOUT32 } else { &LAYOUT64 }
    }
}

/// Chooses the layout by the signature, or says what the file is instead.
fn layout(file: &[u8]) -> Result<&'static Layout, Error> {
    if file.is_empty() {
        return Err(Error::Empty);
    }
    let magic = file.get(..8).unwrap_or(file);
    match magic {
        b"PAGEDU64" => Ok(&LAYOUT64),
        b"PAGEDUMP" => Ok(&LAYOUT32),
        [b'M', b'D', b'M', b'P', ..] => Err(Error::UserMinidump),
        [b'P', b'K', 3, 4, ..] => Err(Error::Packed { what: "zip archive" }),
        [b'M', b'S', b'C', b'F', ..] => Err(Error::Packed { what: "cabinet (.cab)" }),
        [b'7', b'z', 0xbc, 0xaf, ..] => Err(Error::Packed { what: "7-Zip archive" }),
        [b'R', b'a', b'r', b'!', ..] => Err(Error::Packed { what: "RAR archive" }),
        [0x1f, 0x8b, ..] => Err(Error::Packed { what: "gzip file" }),
        _ if file.iter().all(|&byte| byte == 0) => Err(Error::AllZero { size: file.len() as u64 }),
        _ => Err(Error::NotADump { magic: magic.to_vec() }),
    }
}

fn kind(dump_type: u32, fields: Fields<'_>, header_size: usize) -> DumpKind {
    let behind = fields.bytes(header_size, 8);
    match (dump_type, behind) {
        (4, _) => DumpKind::Triage,
        (_, None) => DumpKind::HeaderOnly,
        (1, _) => DumpKind::Full,
        (2, _) => DumpKind::Kernel,
        (5, _) => DumpKind::BitmapFull,
        (6 | 7, _) => DumpKind::BitmapKernel,
        (8, _) => DumpKind::RangeKernel,
        (9, _) => DumpKind::RangeKernelUser,
        (0xa, _) => DumpKind::RangeComplete,
        (_, Some(b"SDMPDUMP")) => DumpKind::BitmapKernel,
        (_, Some(b"FDMPDUMP")) => DumpKind::BitmapFull,
        _ => DumpKind::HeaderOnly,
    }
}
