//! Ways up a stack that need no image: saved frame pointers, and values that can only be return addresses.

use crate::{CallBefore, Frame, MOST_FRAMES, Stack, Trust, call_before};
use bugcheck_dump::{Arch, Registers};

/// How far a scan looks: kernel stacks are 24 KiB on x64, 12 KiB on x86, more when expanded (up to 72 KiB and beyond).
const FARTHEST: u64 = 0x2_0000;
/// How far a stack that overflowed may lie below its first readable byte.
const GUARD: u64 = 0x4000;

/// Walks up from `registers` without images: by frame pointers where the architecture's code keeps them, then by scan, whose
/// frames are all the candidates there are.
#[must_use]
pub fn walk(stack: &dyn Stack, registers: &Registers) -> Vec<Frame> {
    let arch = registers.arch();
    let mut frames = Vec::new();
    if let (Some(ip), sp) = (registers.ip(), registers.sp().unwrap_or(0)) {
        frames.push(Frame { ip, sp, trust: Trust::Context, call: CallBefore::NotAsked });
    }
    let Some(sp) = registers.sp() else { return frames };
    let mut resume = sp;
    if arch != Arch::X64
        && let Some(fp) = registers.fp()
    {
        frame_pointers(stack, arch, sp, fp, &mut frames);
        resume = frames.last().map_or(sp, |frame| frame.sp.max(sp));
    }
    scan(stack, arch, resume, MOST_FRAMES, &mut frames);
    frames
}

/// Scans for return addresses from `sp` on, for a stack of which only the bytes are known.
#[must_use]
pub fn scan_from(stack: &dyn Stack, arch: Arch, sp: u64) -> Vec<Frame> {
    let mut frames = Vec::new();
    scan(stack, arch, sp, MOST_FRAMES, &mut frames);
    frames
}

/// The first candidate from `sp` on.
pub(crate) fn next_candidate(stack: &dyn Stack, arch: Arch, sp: u64) -> Option<Frame> {
    let mut frames = Vec::with_capacity(1);
    scan(stack, arch, sp, 1, &mut frames);
    frames.pop()
}

/// Follows the chain of saved frame pointers.
fn frame_pointers(stack: &dyn Stack, arch: Arch, sp: u64, fp: u64, frames: &mut Vec<Frame>) {
    let (mut fp, mut lowest) = (fp, sp);
    while frames.len() < MOST_FRAMES
        && let Some((frame, next)) = saved_pair(stack, arch, lowest, fp)
    {
        lowest = frame.sp;
        frames.push(frame);
        fp = next;
    }
}

/// One link of the chain of frame pointers, and the next one: [fp] is the caller's, [fp + width] the return address.
pub(crate) fn saved_pair(stack: &dyn Stack, arch: Arch, lowest: u64, fp: u64) -> Option<(Frame, u64)> {
    let width = arch.pointer_width() as u64;
    let near = fp.checked_sub(lowest)? < FARTHEST && fp.is_multiple_of(width);
    let (next, ip) = if near { (word(stack, arch, fp)?, word(stack, arch, fp.checked_add(width)?)?) } else { return None };
    let ip = strip_authentication(arch, ip);
    let call = if stack.may_be_code(ip) { call_before(stack, arch, ip) } else { return None };
    if call == CallBefore::Absent {
        return None;
    }
    Some((Frame { ip, sp: fp.checked_add(2 * width)?, trust: Trust::FramePointer, call }, next))
}

fn scan(stack: &dyn Stack, arch: Arch, sp: u64, most: usize, frames: &mut Vec<Frame>) {
    let width = arch.pointer_width();
    let mut address = sp & !(width as u64 - 1);
    let end = address.saturating_add(FARTHEST);
    let mut page = [0_u8; 0x1000];
    let mut nothing_read = true;
    while address < end && frames.len() < most {
        let room = usize::try_from(0x1000 - address % 0x1000).unwrap_or(0x1000);
        let Some(buffer) = page.get_mut(..room) else { break };
        let length = stack.read(address, buffer);
        for (index, slot) in buffer.get(..length).unwrap_or_default().chunks_exact(width).enumerate() {
            let value = slot.iter().rev().fold(0_u64, |value, &byte| (value << 8) | u64::from(byte));
            let ip = strip_authentication(arch, value);
            if !stack.may_be_code(ip) {
                continue;
            }
            let call = call_before(stack, arch, ip);
            if call != CallBefore::Absent {
                let sp = address + (index as u64 + 1) * width as u64;
                frames.push(Frame { ip, sp, trust: Trust::Scan, call });
                if frames.len() >= most {
                    return;
                }
            }
        }
        nothing_read &= length == 0;
        // A stack that overflowed has its pointer on the guard page: its bytes begin a little higher.
        let skips_guard = nothing_read && address.wrapping_sub(sp) < GUARD;
        if length < room && !skips_guard {
            break;
        }
        let Some(next) = address.checked_add(room as u64) else { break };
        address = next;
    }
}

pub(crate) fn word(stack: &dyn Stack, arch: Arch, address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    let width = arch.pointer_width();
    let slot = bytes.get_mut(..width)?;
    (stack.read(address, slot) == width).then(|| u64::from_le_bytes(bytes))
}

/// ARM64 may sign return addresses in the bits above the address: bit 55 tells kernel from user, so all of them become that.
pub(crate) fn strip_authentication(arch: Arch, value: u64) -> u64 {
    const ABOVE: u64 = 0xffff_0000_0000_0000;
    match (arch, value & 1 << 55 != 0) {
        (Arch::Arm64, true) => value | ABOVE,
        (Arch::Arm64, false) => value & !ABOVE,
        _ => value,
    }
}
