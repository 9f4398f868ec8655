//! The small dump ("minidump", type 4): TRIAGE_DUMP64 / TRIAGE_DUMP32 behind the header, and everything it points to.
//!
//! Sources: public descriptions of the format (rizin's reader, Windows' documentation of triage data blocks); offsets of the
//! 64-bit form verified on 35 real minidumps of builds 9600, 19041, 22000 and 26100. The 32-bit form is known from public
//! descriptions only: no real one was at hand.

use crate::memory::{Range, arrange};
use crate::{Arch, DebuggerData, Fields, Header, Note, VirtAddr};

/// The fields of the triage header. Offsets are from the start of the file, 0 where a part is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the format's own")]
pub struct TriageHeader {
    pub service_pack_build: u32,
    pub size_of_dump: u32,
    pub valid_offset: u32,
    pub context_offset: u32,
    pub exception_offset: u32,
    pub mm_offset: u32,
    pub unloaded_drivers_offset: u32,
    pub prcb_offset: u32,
    pub process_offset: u32,
    pub thread_offset: u32,
    pub call_stack_offset: u32,
    pub size_of_call_stack: u32,
    pub driver_list_offset: u32,
    pub driver_count: u32,
    pub string_pool_offset: u32,
    pub string_pool_size: u32,
    pub broken_driver_offset: u32,
    pub triage_options: u32,
    pub top_of_stack: u64,
    pub data_page_address: u64,
    pub data_page_offset: u32,
    pub data_page_size: u32,
    pub debugger_data_offset: u32,
    pub debugger_data_size: u32,
    pub data_blocks_offset: u32,
    pub data_blocks_count: u32,
}

/// A module of the driver list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The name as written: a bare file name or a full `\SystemRoot\…` path, depending on the build.
    pub path: String,
    /// Where the image was loaded.
    pub base: VirtAddr,
    /// Size of the image in bytes.
    pub size: u32,
    /// The image's entry point.
    pub entry_point: VirtAddr,
    /// The PE header's checksum.
    pub checksum: u32,
    /// The PE header's time stamp (a hash in reproducible builds).
    pub timestamp: u32,
}

/// An entry of the list of drivers that had been unloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnloadedDriver {
    /// The file name, of which Windows keeps 12 characters; a cut-off `.sys` is completed.
    pub image: String,
    /// First address of the range it had.
    pub start: VirtAddr,
    /// First address behind it.
    pub end: VirtAddr,
}

/// What a minidump brings, read from its tables.
#[derive(Clone, Debug)]
pub struct Triage {
    /// The fields as they stand.
    pub header: TriageHeader,
    /// Loaded modules, the kernel first.
    pub drivers: Vec<Driver>,
    /// Bytes from one driver entry to the next.
    pub driver_stride: usize,
    /// Modules that had been unloaded before the crash.
    pub unloaded_drivers: Vec<UnloadedDriver>,
    /// Name of the driver that Windows itself blamed, if it did (BrokenDriverOffset).
    pub broken_driver: Option<String>,
    /// The stack bytes of the crashing thread.
    pub call_stack: Range,
    /// Number of data blocks the table lists.
    pub data_blocks: usize,
    /// All memory of the dump, ascending and without overlap.
    pub ranges: Vec<Range>,
    /// Where the copy of KDDEBUGGER_DATA64 lies, if it is one.
    pub debugger_data: Option<DebuggerData>,
    /// The KTHREAD copy: where that thread was in memory, and its bytes in the file.
    pub thread: Option<Range>,
    /// The EPROCESS copy, in the same way.
    pub process: Option<Range>,
    /// The PRCB copy's bytes in the file (its address is not recorded).
    pub prcb: Option<Range>,
}

/// More entries than any real machine has; a damaged count stops here.
const MOST_DRIVERS: u32 = 4096;
const MOST_BLOCKS: u32 = 1 << 18;
const MOST_UNLOADED: u64 = 512;

impl Triage {
    /// Reads the tables of a minidump. Damage makes notes, not errors: what is there is still used.
    #[must_use]
    pub fn parse(file: &[u8], header: &Header, notes: &mut Vec<Note>) -> Self {
        let fields = Fields(file);
        let triage = triage_header(fields, header, notes);
        let broken = fields.u32(triage.valid_offset as usize) != Some(u32::from_le_bytes(*b"TRGD"));
        if file.len() < triage.size_of_dump as usize {
            notes.push(Note::warning(
                format!(
                    "the file is cut: it has {:#x} of the {:#x} bytes its header promises; what is there is used",
                    file.len(),
                    triage.size_of_dump
                ),
                Some(file.len() as u64),
            ));
        } else if broken {
            notes.push(Note::warning(
                "the mark TRGD is missing where the triage block should end: parts of this dump may be damaged",
                Some(u64::from(triage.valid_offset)),
            ));
        }

        let (drivers, driver_stride) = drivers(fields, header.arch, &triage, notes);
        let call_stack = Range {
            address: VirtAddr(triage.top_of_stack),
            offset: triage.call_stack_offset as usize,
            length: triage.size_of_call_stack as usize,
        };
        let mut ranges = data_blocks(fields, header.arch, &triage, notes);
        let data_blocks = ranges.len();
        let debugger_data = DebuggerData::find(fields, triage.debugger_data_offset as usize, triage.debugger_data_size as usize);

        let copy = |offset: u32, size: Option<usize>| {
            let size = size.filter(|&size| size > 0 && offset > 0)?;
            fields.bytes(offset as usize, size).map(|_| (offset as usize, size))
        };
        let data = debugger_data.as_ref();
        let prcb_copy = copy(triage.prcb_offset, data.and_then(DebuggerData::size_of_prcb));
        let thread_copy = copy(triage.thread_offset, data.and_then(DebuggerData::size_of_thread));
        let process_copy = copy(triage.process_offset, data.and_then(DebuggerData::size_of_process));
        let width = header.arch.pointer_width();
        // The copies do not record their addresses: the PRCB points to its current thread, that thread to its process.
        let pointer_in = |copy: Option<(usize, usize)>, offset: Option<usize>| {
            let ((at, size), offset) = (copy?, offset?);
            (offset + width <= size)
                .then(|| fields.pointer(at + offset, width))
                .flatten()
                .filter(|&address| address >= header.arch.kernel_start())
        };
        let thread_address = pointer_in(prcb_copy, data.and_then(DebuggerData::prcb_current_thread));
        let process_address = pointer_in(thread_copy, data.and_then(DebuggerData::thread_apc_process));
        let range = |copy: Option<(usize, usize)>, address: Option<u64>| {
            let ((offset, length), address) = (copy?, address?);
            Some(Range { address: VirtAddr(address), offset, length })
        };
        let thread = range(thread_copy, thread_address);
        let process = range(process_copy, process_address);

        ranges.extend([thread, process].into_iter().flatten());
        if call_stack.length > 0 {
            ranges.push(call_stack);
        }
        if triage.data_page_size > 0 {
            ranges.push(Range {
                address: VirtAddr(triage.data_page_address),
                offset: triage.data_page_offset as usize,
                length: triage.data_page_size as usize,
            });
        }
        if debugger_data.is_some() && header.kd_debugger_data_block.0 != 0 {
            ranges.push(Range {
                address: header.kd_debugger_data_block,
                offset: triage.debugger_data_offset as usize,
                length: triage.debugger_data_size as usize,
            });
        }

        Self {
            drivers,
            driver_stride,
            unloaded_drivers: unloaded_drivers(fields, header.arch, triage.unloaded_drivers_offset as usize),
            broken_driver: (triage.broken_driver_offset != 0).then(|| dump_string(fields, triage.broken_driver_offset as usize)).flatten(),
            call_stack,
            data_blocks,
            ranges: arrange(ranges, file.len()),
            debugger_data,
            thread,
            process,
            prcb: prcb_copy.map(|(offset, length)| Range { address: VirtAddr(0), offset, length }),
            header: triage,
        }
    }
}

fn triage_header(file: Fields<'_>, header: &Header, notes: &mut Vec<Note>) -> TriageHeader {
    let Some(block) = file.from(header.size()) else {
        notes.push(Note::warning("the file ends before the triage block", Some(header.size() as u64)));
        return TriageHeader::default();
    };
    let word = |offset: usize| block.u32(offset).unwrap_or(0);
    let wide = header.arch.pointer_width() == 8;
    // The 32-bit block has a 4-byte TopOfStack and DataPageAddress and no IA64 part between them.
    let place = |at64: usize, at32: usize| if wide { at64 } else { at32 };
    let address = |at64: usize, at32: usize| block.pointer(place(at64, at32), header.arch.pointer_width()).unwrap_or(0);
    TriageHeader {
        service_pack_build: word(0),
        size_of_dump: word(4),
        valid_offset: word(8),
        context_offset: word(0xc),
        exception_offset: word(0x10),
        mm_offset: word(0x14),
        unloaded_drivers_offset: word(0x18),
        prcb_offset: word(0x1c),
        process_offset: word(0x20),
        thread_offset: word(0x24),
        call_stack_offset: word(0x28),
        size_of_call_stack: word(0x2c),
        driver_list_offset: word(0x30),
        driver_count: word(0x34),
        string_pool_offset: word(0x38),
        string_pool_size: word(0x3c),
        broken_driver_offset: word(0x40),
        triage_options: word(0x44),
        top_of_stack: address(0x48, 0x48),
        data_page_address: address(0x60, 0x4c),
        data_page_offset: word(place(0x68, 0x50)),
        data_page_size: word(place(0x6c, 0x54)),
        debugger_data_offset: word(place(0x70, 0x58)),
        debugger_data_size: word(place(0x74, 0x5c)),
        data_blocks_offset: word(place(0x78, 0x60)),
        data_blocks_count: word(place(0x7c, 0x64)),
    }
}

/// DUMP_STRING: a count of UTF-16 units, then the units.
fn dump_string(file: Fields<'_>, at: usize) -> Option<String> {
    let units = file.size(at)?;
    if units > 1024 {
        return None;
    }
    file.utf16(at.checked_add(4)?, units)
}

/// Where a driver entry keeps its facts: a name offset, then an LDR_DATA_TABLE_ENTRY.
struct DriverEntry {
    base: usize,
    entry_point: usize,
    size: usize,
    checksum: usize,
    timestamp: usize,
    smallest: usize,
}

const DRIVER64: DriverEntry = DriverEntry { base: 0x38, entry_point: 0x40, size: 0x48, checksum: 0x80, timestamp: 0x88, smallest: 0x8c };
const DRIVER32: DriverEntry = DriverEntry { base: 0x1c, entry_point: 0x20, size: 0x24, checksum: 0x44, timestamp: 0x48, smallest: 0x4c };

fn drivers(file: Fields<'_>, arch: Arch, triage: &TriageHeader, notes: &mut Vec<Note>) -> (Vec<Driver>, usize) {
    let width = arch.pointer_width();
    let layout = if width == 8 { &DRIVER64 } else { &DRIVER32 };
    let list = triage.driver_list_offset as usize;
    let count = triage.driver_count.min(MOST_DRIVERS);
    if count == 0 || list == 0 {
        notes.push(Note::warning("the dump lists no loaded modules: addresses cannot be given to drivers", None));
        return (Vec::new(), 0);
    }
    let entry_at = |index: usize, stride: usize| -> Option<Driver> {
        let entry = file.from(list.checked_add(index.checked_mul(stride)?)?)?;
        let base = entry.pointer(layout.base, width)?;
        let size = entry.u32(layout.size)?;
        let path = dump_string(file, entry.size(0)?)?;
        (base >= arch.kernel_start() && base.is_multiple_of(0x1000) && size > 0 && !path.is_empty()).then_some(Driver {
            path,
            base: VirtAddr(base),
            size,
            entry_point: VirtAddr(entry.pointer(layout.entry_point, width)?),
            checksum: entry.u32(layout.checksum)?,
            timestamp: entry.u32(layout.timestamp)?,
        })
    };
    // The string pool follows the list, so their distance gives the stride; where the table disproves that, known ones are tried.
    let derived = (triage.string_pool_offset as usize).checked_sub(list).map(|room| (room / count as usize) & !(width - 1));
    let fits = |stride: usize| stride >= layout.smallest && (0..(count as usize).min(4)).all(|index| entry_at(index, stride).is_some());
    let known = if width == 8 { [0x90, 0x98, 0xa8] } else { [0x4c, 0x54, 0x5c] };
    let Some(stride) =
        derived.into_iter().chain(known).find(|&stride| fits(stride)).or(derived.filter(|&stride| stride >= layout.smallest))
    else {
        notes.push(Note::warning("the module list is damaged: no entry size fits it", Some(list as u64)));
        return (Vec::new(), 0);
    };
    let drivers: Vec<Driver> = (0..count as usize).filter_map(|index| entry_at(index, stride)).collect();
    let lost = triage.driver_count as usize - drivers.len();
    if lost > 0 {
        notes.push(Note::warning(format!("{lost} of {} entries of the module list are damaged", triage.driver_count), Some(list as u64)));
    }
    (drivers, stride)
}

fn unloaded_drivers(file: Fields<'_>, arch: Arch, at: usize) -> Vec<UnloadedDriver> {
    let width = arch.pointer_width();
    // UNICODE_STRING, WCHAR[12], start, end.
    let (name, start, size) = if width == 8 { (0x10, 0x28, 0x38) } else { (0x8, 0x20, 0x28) };
    let count = if at == 0 { 0 } else { file.pointer(at, width).unwrap_or(0).min(MOST_UNLOADED) };
    (0..usize::try_from(count).unwrap_or(0))
        .filter_map(|index| {
            let entry = file.from(at.checked_add(width + index * size)?)?;
            let start_address = entry.pointer(start, width)?;
            Some(UnloadedDriver {
                image: whole_name(entry.utf16(name, 12).filter(|name| !name.is_empty())?),
                start: VirtAddr(start_address),
                end: VirtAddr(entry.pointer(start + width, width)?),
            })
        })
        .collect()
}

/// Windows keeps 12 characters of the name: an extension that was cut off in its middle can only have been this one.
fn whole_name(name: String) -> String {
    let cut = name.chars().count() == 12;
    match [".sy", ".s", "."].into_iter().find_map(|end| name.strip_suffix(end)) {
        Some(stem) if cut => format!("{stem}.sys"),
        _ => name,
    }
}

/// The table of data blocks: {u64 address, u32 offset, u32 size}. Public descriptions disagree on 32-bit dumps: some give them
/// the same entries, some 12-byte ones with a 32-bit address. Whichever makes the first entries lie in the file is taken.
fn data_blocks(file: Fields<'_>, arch: Arch, triage: &TriageHeader, notes: &mut Vec<Note>) -> Vec<Range> {
    let table = triage.data_blocks_offset as usize;
    let entry_at = |index: usize, width: usize| {
        let entry = file.from(table.checked_add(index.checked_mul(width + 8)?)?)?;
        Some((entry.pointer(0, width)?, entry.size(width)?, entry.size(width + 4)?))
    };
    let fits = |width: usize| {
        let sane = |(address, offset, length): (u64, usize, usize)| {
            address >> 32 == 0 && length > 0 && offset >= 0x1000 && offset.saturating_add(length) <= file.0.len()
        };
        (0..triage.data_blocks_count.min(4) as usize).all(|index| entry_at(index, width).is_some_and(sane))
    };
    let width = if arch == Arch::X86 && !fits(8) && fits(4) { 4 } else { 8 };
    let room = file.0.len().saturating_sub(table) / (width + 8);
    let count = (triage.data_blocks_count.min(MOST_BLOCKS) as usize).min(room);
    if count < triage.data_blocks_count as usize {
        notes.push(Note::warning(
            format!("only {count} of {} entries of the data block table are in the file", triage.data_blocks_count),
            Some(table as u64),
        ));
    }
    (0..if table == 0 { 0 } else { count })
        .filter_map(|index| {
            let (address, offset, length) = entry_at(index, width)?;
            (length > 0).then_some(Range { address: VirtAddr(address), offset, length })
        })
        .collect()
}
