//! Ways to damage a dump.

use crate::random::Random;
use bugcheck_dump::{Dump, Triage};
use std::ops::Range;

/// A part of a file.
pub(crate) type Region = Range<usize>;

/// The parts that steer a reader: headers, tables, lists, objects. Those that are small count as much as those that are large.
pub(crate) fn regions(bytes: &[u8]) -> Vec<Region> {
    let mut regions = vec![0..0x1000, 0..0x100, 0x348..0x348 + 0x4d0, 0xf00..0x1000, 0x1000..0x2000];
    if let Ok(dump) = Dump::from_bytes(bytes.to_vec()) {
        let header = dump.header().size();
        // The triage block; in other kinds the bitmap's header or the first pages.
        regions.extend([header..header + 0x100, header..header + 0x1000]);
        regions.extend(dump.triage().map(triage).unwrap_or_default());
        regions.extend(dump.blobs().iter().map(|blob| blob.offset.saturating_sub(0x20)..blob.offset.saturating_add(blob.length)));
    }
    regions.retain_mut(|region| {
        region.end = region.end.min(bytes.len());
        region.start < region.end
    });
    regions
}

/// The parts that a minidump's tables name.
fn triage(triage: &Triage) -> Vec<Region> {
    let header = &triage.header;
    let part = |offset: u32, size: usize| (offset as usize)..(offset as usize).saturating_add(size);
    let strings = part(header.string_pool_offset, header.string_pool_size as usize);
    let mut regions = vec![
        part(header.driver_list_offset, triage.driver_stride.saturating_mul(header.driver_count as usize)),
        part(header.driver_list_offset, triage.driver_stride),
        part(header.unloaded_drivers_offset, 0x800),
        part(header.data_blocks_offset, 16 * triage.data_blocks),
        part(header.debugger_data_offset, header.debugger_data_size as usize),
        part(header.context_offset, 0x4d0),
        part(header.exception_offset, 0x98),
        part(header.call_stack_offset, header.size_of_call_stack as usize),
        part(header.size_of_dump, 0x80),
        strings,
    ];
    let objects = [triage.thread, triage.process, triage.prcb].into_iter().flatten();
    regions.extend(objects.chain(triage.ranges.iter().copied()).map(|range| range.offset..range.offset.saturating_add(range.length)));
    regions
}

/// Values that readers get wrong.
const NASTY: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_f000,
    u64::MAX,
];

/// A damaged copy and what was done to it.
pub(crate) fn damaged(bytes: &[u8], regions: &[Region], random: &mut Random) -> (Vec<u8>, String) {
    let mut copy = bytes.to_vec();
    let mut done = Vec::new();
    let kind = random.below(16);
    if kind < 13 {
        for _ in 0..random.pick(&[1, 1, 1, 2, 3, 8]).unwrap_or(1) {
            done.push(corrupt(&mut copy, regions, random));
        }
    }
    if kind >= 12 {
        let at = place(&copy, regions, random);
        copy.truncate(at);
        done.push(format!("cut at {at:#x}"));
    }
    (copy, done.join(", "))
}

/// Anywhere in the file, or (mostly) in one of the parts that matter.
fn place(bytes: &[u8], regions: &[Region], random: &mut Random) -> usize {
    match regions.get(random.below(regions.len())) {
        Some(region) if random.below(4) > 0 => region.start + random.below(region.len()),
        _ => random.below(bytes.len()),
    }
}

/// Overwrites a few bytes.
fn corrupt(bytes: &mut [u8], regions: &[Region], random: &mut Random) -> String {
    let at = place(bytes, regions, random);
    let value = match random.below(8) {
        // One bit.
        0 | 1 => u64::from(bytes.get(at).copied().unwrap_or(0)) ^ (1 << random.below(8)),
        2 => random.next(),
        // A length or an offset near the end of the file.
        3 => (bytes.len() as u64).wrapping_sub(8).wrapping_add(random.next() % 16),
        // A value from elsewhere in the same file: pointers that lead to the wrong place.
        4 | 5 => {
            let from = place(bytes, regions, random) & !7;
            bytes.get(from..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u64::from_le_bytes(*chunk))
        }
        _ => random.pick(&NASTY).unwrap_or(0),
    };
    let width = random.pick(&[1, 1, 4, 4, 8, 8]).unwrap_or(1);
    // Fields lie at their natural alignment.
    let at = if random.below(4) > 0 { at & !(width - 1) } else { at };
    for (target, source) in bytes.iter_mut().skip(at).zip(value.to_le_bytes().into_iter().take(width)) {
        *target = source;
    }
    let shown = value & (u64::MAX >> (64 - 8 * width));
    format!("{width} bytes of {shown:#x} at {at:#x}")
}
