//! Registers and memory → the frames of a call stack.
//!
//! Without images or symbols there are two ways up a stack, and every frame says which one found it: following saved frame
//! pointers (ARM64 and x86 code keeps them), and scanning the stack for values that can only be return addresses. A scan
//! cannot tell a live frame from what an earlier call left behind, so its frames are candidates, not facts.
//!
//! Where memory comes from is the caller's business: see [`Stack`].
#![forbid(unsafe_code)]

mod call;

pub use call::{CallBefore, call_before};

use bugcheck_dump::{Arch, Registers};

/// What a walk needs to know of the machine.
pub trait Stack {
    /// Copies bytes at `address` into `buffer`; returns how many were there.
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize;

    /// True if the address may hold code: it lies in a loaded image, outside that image's headers and data sections.
    fn may_be_code(&self, address: u64) -> bool;

    /// True if a call in the image around `from` may go to `target`.
    fn may_be_called(&self, from: u64, target: u64) -> bool {
        let _ = from;
        self.may_be_code(target)
    }
}

/// How a frame was found, most trustworthy first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// The registers themselves.
    Context,
    /// The image's own unwind data.
    Unwind,
    /// A saved frame pointer.
    FramePointer,
    /// A value on the stack that looks like a return address.
    Scan,
}

impl Trust {
    /// The word in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::Unwind => "unwind",
            Self::FramePointer => "frame-pointer",
            Self::Scan => "scan",
        }
    }
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Instruction pointer: the faulting instruction in the first frame, a return address in the others.
    pub ip: u64,
    /// Stack pointer in that frame: behind the slot that held the return address.
    pub sp: u64,
    /// How it was found.
    pub trust: Trust,
    /// What the code before a return address says.
    pub call: CallBefore,
}

/// The most frames of one stack.
pub const MOST_FRAMES: usize = 256;
/// How far a scan looks: kernel stacks are 24 KiB on x64, 12 KiB on x86, more when expanded (up to 72 KiB and beyond).
const FARTHEST: u64 = 0x2_0000;

/// Walks up from `registers`.
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
    scan(stack, arch, resume, &mut frames);
    frames
}

/// Scans for return addresses from `sp` on, for a stack of which only the bytes are known.
#[must_use]
pub fn scan_from(stack: &dyn Stack, arch: Arch, sp: u64) -> Vec<Frame> {
    let mut frames = Vec::new();
    scan(stack, arch, sp, &mut frames);
    frames
}

/// Follows the chain of saved frame pointers: [fp] is the caller's, [fp + width] the return address.
fn frame_pointers(stack: &dyn Stack, arch: Arch, sp: u64, fp: u64, frames: &mut Vec<Frame>) {
    let width = arch.pointer_width() as u64;
    let mut fp = fp;
    let mut lowest = sp;
    while frames.len() < MOST_FRAMES && fp >= lowest && fp - lowest < FARTHEST && fp.is_multiple_of(width) {
        let (Some(next), Some(ip)) = (word(stack, arch, fp), word(stack, arch, fp.wrapping_add(width))) else { break };
        let ip = strip_authentication(arch, ip);
        if !stack.may_be_code(ip) {
            break;
        }
        let call = call_before(stack, arch, ip);
        if call == CallBefore::Absent {
            break;
        }
        lowest = fp + 2 * width;
        frames.push(Frame { ip, sp: lowest, trust: Trust::FramePointer, call });
        fp = next;
    }
}

fn scan(stack: &dyn Stack, arch: Arch, sp: u64, frames: &mut Vec<Frame>) {
    let width = arch.pointer_width();
    let mut address = sp & !(width as u64 - 1);
    let end = address.saturating_add(FARTHEST);
    let mut page = [0_u8; 0x1000];
    while address < end && frames.len() < MOST_FRAMES {
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
            if call != CallBefore::Absent && frames.len() < MOST_FRAMES {
                let sp = address + (index as u64 + 1) * width as u64;
                frames.push(Frame { ip, sp, trust: Trust::Scan, call });
            }
        }
        // A stack that overflowed has its pointer on the guard page: its bytes begin a little higher.
        let skips_guard = length == 0 && frames.len() <= 1 && address.wrapping_sub(sp) < 0x4000;
        if length < room && !skips_guard {
            break;
        }
        let Some(next) = address.checked_add(room as u64) else { break };
        address = next;
    }
}

fn word(stack: &dyn Stack, arch: Arch, address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    let width = arch.pointer_width();
    let slot = bytes.get_mut(..width)?;
    (stack.read(address, slot) == width).then(|| u64::from_le_bytes(bytes))
}

/// ARM64 may sign return addresses in the bits above the address: bit 55 tells kernel from user, so put it back everywhere.
fn strip_authentication(arch: Arch, value: u64) -> u64 {
    if arch == Arch::Arm64 && value & (1 << 55) != 0 { value | 0xffff_0000_0000_0000 } else { value }
}
