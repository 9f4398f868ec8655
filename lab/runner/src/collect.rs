//! Which memory a small dump keeps: what Windows keeps (the code at the fault, what registers point to, what the parameters
//! name, a few of the kernel's variables), as pieces that do not overlap.

use crate::guest::Guest;
use crate::image::Prepared;
use crate::kernel::Crash;
use std::collections::BTreeMap;

/// Bytes kept before and after where a register points.
const AROUND_POINTER: (u64, u64) = (0x100, 0x300);
/// Bytes kept before and after a return address.
const AROUND_RETURN: (u64, u64) = (0x80, 0x40);
/// Offsets of the general registers, rip and rsp included, in a CONTEXT and in a KTRAP_FRAME.
const CONTEXT_REGISTERS: std::ops::RangeInclusive<usize> = 0x78..=0xf8;
const FRAME_REGISTERS: [u64; 14] = [0x30, 0x38, 0x40, 0x48, 0x50, 0x58, 0x60, 0xd0, 0x140, 0x148, 0x150, 0x158, 0x168, 0x180];
const RIP_IN_FRAME: u64 = 0x168;
const RSP_IN_FRAME: u64 = 0x180;

/// Sorted, merged ranges of addresses.
#[derive(Debug, Default)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    fn add(&mut self, start: u64, end: u64) {
        if start < 0x1000 || start >= end {
            return;
        }
        let (mut start, mut end) = (start, end);
        let touching: Vec<u64> = self.0.range(..=end).filter(|&(_, &known_end)| known_end >= start).map(|(&known, _)| known).collect();
        for known in touching {
            let known_end = self.0.remove(&known).unwrap();
            start = start.min(known);
            end = end.max(known_end);
        }
        self.0.insert(start, end);
    }

    /// What lies around an address, if it is mapped; not into the page before or after, which may be somebody else's.
    fn around(&mut self, guest: &Guest, at: u64, (before, after): (u64, u64)) {
        if at > 0x1000 && guest.physical(at).is_some() {
            let page = at & !0xfff;
            self.add(at.saturating_sub(before).max(page) & !7, (at + after).min(page + 0x1000) & !7);
        }
    }

    fn remove(&mut self, start: u64, end: u64) {
        let inside: Vec<(u64, u64)> = self.0.range(..end).filter(|&(_, &known_end)| known_end > start).map(|(&a, &b)| (a, b)).collect();
        for (known, known_end) in inside {
            self.0.remove(&known);
            self.add(known, start.min(known_end));
            if known_end > end {
                self.0.insert(end.max(known), known_end);
            }
        }
    }
}

/// The blocks of a small dump.
pub(crate) fn blocks(crash: &Crash, prepared: &Prepared) -> Vec<(u64, Vec<u8>)> {
    let guest = &prepared.guest;
    let mut ranges = Ranges::default();
    for offset in CONTEXT_REGISTERS.step_by(8) {
        ranges.around(guest, crash.register(offset), AROUND_POINTER);
    }
    if let Some(frame) = crash.trap_frame {
        ranges.around(guest, frame, (0x20, 0x190));
        for offset in FRAME_REGISTERS {
            ranges.around(guest, guest.u64(frame + offset), AROUND_POINTER);
        }
        ranges.around(guest, guest.u64(frame + RIP_IN_FRAME), (0x1000, 0x1000));
        ranges.around(guest, guest.u64(frame + RSP_IN_FRAME), (0x1000, 0x1000));
        // A double fault is handled on a stack of its own; the one that overflowed is what matters.
        let sp = guest.u64(frame + RSP_IN_FRAME);
        if !own_stack(crash) && (crash.stack_limit.saturating_sub(0x1000)..crash.stack_base).contains(&sp) {
            ranges.add(sp.max(crash.stack_limit), crash.stack_base);
        }
    }
    for &address in &crash.true_stack {
        ranges.around(guest, address, AROUND_RETURN);
    }
    for parameter in crash.parameters {
        ranges.around(guest, parameter, AROUND_POINTER);
    }
    for (name, size) in [("NtBuildLab", 0x40), ("KiProcessorBlock", 8), ("KiBugCheckData", 0x28)] {
        ranges.around(guest, prepared.symbol(name), (0, size));
    }
    for (at, size) in objects(crash, prepared) {
        ranges.add(at, at + size);
    }
    // What has a place of its own in the dump.
    if own_stack(crash) {
        ranges.remove(crash.register(0x98), crash.stack_base);
    }
    for (at, bytes) in [&crash.process, &crash.thread] {
        ranges.remove(*at, at + bytes.len() as u64);
    }
    let pcr = prepared.symbol("KiInitialPCR");
    ranges.remove(pcr, pcr + 0xb080);
    let kdbg = prepared.symbol("KdDebuggerDataBlock");
    ranges.remove(kdbg, kdbg + 0x380);
    ranges
        .0
        .iter()
        .map(|(&start, &end)| (start, guest.read(start, usize::try_from(end - start).unwrap())))
        .filter(|(_, b)| !b.is_empty())
        .collect()
}

/// True if the bug check was raised on the thread's own stack.
pub(crate) fn own_stack(crash: &Crash) -> bool {
    (crash.stack_limit..crash.stack_base).contains(&crash.register(0x98))
}

/// The objects that parameters name: for a power failure the request, the device stack with its drivers, and the triage block.
fn objects(crash: &Crash, prepared: &Prepared) -> Vec<(u64, u64)> {
    let [first, device, triage, irp] = crash.parameters;
    if (crash.code, first) != (0x9f, 3) {
        return Vec::new();
    }
    let guest = &prepared.guest;
    let locations = u64::from(guest.exact(irp + 0x42, 1)[0]);
    let mut objects = vec![(irp, 0xd0 + 0x48 * locations), (triage, 0x28)];
    for pointer in [8, 0x10, 0x18, 0x20] {
        objects.push((guest.u64(triage + pointer), 0x10));
    }
    let mut at = device;
    while at != 0 {
        let driver = guest.u64(at + 8);
        objects.push((at, 0x150));
        objects.push((guest.u64(at + 0x138), 0x70));
        objects.push((driver, 0x150));
        objects.push((guest.u64(driver + 0x40), u64::from(guest.u32(driver + 0x38) & 0xffff)));
        at = guest.u64(at + 0x18);
    }
    objects
}
