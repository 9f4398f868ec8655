//! Damaged dumps: whatever a file holds, opening, analysing and printing it must neither panic, nor hang, nor take memory
//! without bound.
//!
//! Damage is made from fixed seeds; a failure names the dump and the seed, so that it can be made again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unsafe_code)]

use bugcheck_analysis::{Options, analyze};
use bugcheck_dump::Dump;
use bugcheck_report::{Style, json, table, text};
use bugcheck_testdata::{name, real_dumps, samples};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Counts what the current thread holds: tests run side by side.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    // A thread that is going away has no counter any more, and nobody asks for it.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

fn size(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

// SAFETY: every call is handed to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-size(layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Both may exist for a moment.
        count(size(new_size));
        // SAFETY: the caller's promises are passed on.
        let moved = unsafe { System.realloc(place, layout, new_size) };
        count(-size(layout.size()));
        moved
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// xorshift64*: numbers that look random and are the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn word(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..at + 4).map_or(0, |word| u32::from_le_bytes(word.try_into().unwrap()) as usize)
}

/// Ranges of a dump whose bytes steer the reader: headers, lists, tables; and everything.
fn targets(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let triage = if bytes.starts_with(b"PAGEDU64") { 0x2000 } else { 0x1000 };
    let mut targets = vec![0..0x80, 0xf00..0x1060, triage..triage + 0x80, 0..bytes.len(), 0..bytes.len()];
    // Debugger data, drivers, strings, data blocks, unloaded drivers, PRCB, thread, call stack, secondary data.
    let wide = triage == 0x2000;
    let tables =
        if wide { [0x70, 0x30, 0x38, 0x78, 0x18, 0x1c, 0x24, 0x28, 0x04] } else { [0x58, 0x30, 0x38, 0x60, 0x18, 0x1c, 0x24, 0x28, 0x04] };
    for field in tables {
        let start = word(bytes, triage + field);
        targets.push(start..start.saturating_add(0x800));
    }
    targets.retain(|range| range.start < bytes.len());
    targets.iter_mut().for_each(|range| range.end = range.end.min(bytes.len()));
    targets.retain(|range| !range.is_empty());
    targets
}

/// One damaged copy.
fn damaged(original: &[u8], seed: u64) -> (Vec<u8>, String) {
    let mut numbers = Numbers::new(seed);
    let mut bytes = original.to_vec();
    let what = match seed % 4 {
        0 => {
            // Short files are cut anywhere, long ones often in the part that has the tables.
            let limit = if numbers.next() & 1 == 0 { bytes.len() } else { bytes.len().min(0x4000) };
            bytes.truncate(numbers.below(limit));
            format!("cut to {:#x} bytes", bytes.len())
        }
        kind => {
            let targets = targets(&bytes);
            let target = targets[numbers.below(targets.len())].clone();
            let at = target.start + numbers.below(target.len());
            let old = bytes[at];
            bytes[at] = match kind {
                1 => old ^ (1 << numbers.below(8)),
                2 => [0, 0xff, 0x7f, 0x80][numbers.below(4)],
                _ => numbers.next() as u8,
            };
            format!("byte {at:#x}: {old:#04x} → {:#04x}", bytes[at])
        }
    };
    (bytes, what)
}

/// The most memory an analysis may take above what the file itself takes.
fn most_memory(file: usize) -> isize {
    size((16 << 20).max(3 * file))
}

/// How a dump was survived.
struct Survived {
    /// What is wrong about that, if anything.
    wrong: Option<String>,
    /// True if it was still a dump.
    opened: bool,
    time: Duration,
    memory: isize,
}

/// Opens, analyses, prints in every form.
fn try_one(bytes: Vec<u8>) -> Survived {
    let file = bytes.len();
    let baseline = HELD.get();
    PEAK.set(baseline);
    let start = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let Ok(dump) = Dump::from_bytes(bytes) else { return false };
        let analysis = analyze(&dump, "damaged.dmp", Options::default());
        let sum: f64 = analysis.suspects.iter().map(|suspect| suspect.confidence).sum();
        assert!(sum <= 1.0 + 1e-9, "suspects sum to {sum}");
        let style = Style { verbosity: 1, ..Style::default() };
        let row = table::Row::new(&analysis);
        assert!(!text::render(&analysis, style).is_empty() && json::line(&analysis).starts_with("{\"schema\""));
        assert!(!table::render(std::slice::from_ref(&row), style).is_empty() && !table::csv(&[row]).is_empty());
        true
    }));
    let (time, memory) = (start.elapsed(), PEAK.get() - baseline);
    let opened = matches!(outcome, Ok(true));
    let wrong = match outcome {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            Some(format!("panics: {}", text.unwrap_or_default()))
        }
        Ok(_) if memory > most_memory(file) => Some(format!("takes {memory} bytes of memory for a file of {file}")),
        Ok(_) if time > Duration::from_secs(10) => Some(format!("takes {time:?}")),
        Ok(_) => None,
    };
    Survived { wrong, opened, time, memory }
}

fn survive(dumps: &[PathBuf], copies: u64) {
    let mut failures = Vec::new();
    let (mut tried, mut opened) = (0, 0);
    let (mut slowest, mut biggest) = ((Duration::ZERO, String::new()), (0, String::new()));
    for path in dumps {
        let original = std::fs::read(path).unwrap();
        let whole = try_one(original.clone());
        assert!(whole.wrong.is_none() && whole.opened, "{}, not damaged at all: {:?}", name(path), whole.wrong);
        for seed in 0..copies {
            let (bytes, what) = damaged(&original, seed);
            let label = format!("{}, seed {seed} ({what})", name(path));
            let survived = try_one(bytes);
            failures.extend(survived.wrong.map(|wrong| format!("{label}: {wrong}")));
            tried += 1;
            opened += usize::from(survived.opened);
            if survived.time > slowest.0 {
                slowest = (survived.time, label.clone());
            }
            if survived.memory > biggest.0 {
                biggest = (survived.memory, label);
            }
        }
    }
    println!("{opened} of {tried} still are dumps\nslowest: {slowest:?}\nbiggest: {biggest:?}");
    assert!(failures.is_empty(), "{} damaged dumps:\n{}", failures.len(), failures.join("\n"));
    // Damage that is always noticed at once would try nothing.
    assert!(opened * 2 >= tried, "only {opened} of {tried} still are dumps");
}

#[test]
fn damaged_samples_do_no_harm() {
    survive(&samples(), 48);
}

#[test]
fn damaged_real_dumps_do_no_harm() {
    survive(&real_dumps(), 32);
}

/// Counts, offsets and sizes at their extremes: each word of the triage header and the first words of each table.
#[test]
fn extreme_numbers_do_no_harm() {
    let mut failures = Vec::new();
    for path in samples() {
        let original = std::fs::read(&path).unwrap();
        let triage = if original.starts_with(b"PAGEDU64") { 0x2000 } else { 0x1000 };
        let mut places: Vec<usize> = (triage..triage + 0x80).step_by(4).collect();
        for field in [0x18, 0x30, 0x38, 0x70, 0x78, 0x04] {
            let table = word(&original, triage + field);
            places.extend((table..table.saturating_add(0x20)).step_by(4));
        }
        for at in places.into_iter().filter(|at| at + 4 <= original.len()) {
            for extreme in [0xffff_ffff_u32, 0x7fff_ffff, 0x8000_0000, 1] {
                let mut bytes = original.clone();
                bytes[at..at + 4].copy_from_slice(&extreme.to_le_bytes());
                failures.extend(try_one(bytes).wrong.map(|wrong| format!("{}, {extreme:#x} at {at:#x}: {wrong}", name(&path))));
            }
        }
    }
    assert!(failures.is_empty(), "{} damaged dumps:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn memory_is_counted() {
    let baseline = HELD.get();
    PEAK.set(baseline);
    let block = vec![1_u8; 5 << 20];
    assert!(HELD.get() - baseline >= 5 << 20);
    drop(std::hint::black_box(block));
    assert!(HELD.get() - baseline < 4096 && PEAK.get() - baseline >= 5 << 20);
}
