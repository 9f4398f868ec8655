//! Registers, memory and images → the frames of a call stack.
//!
//! There are three ways up a stack, and every frame says which one found it. The image's own unwind data tells exactly where
//! a function keeps what ([`unwind`]; x64 and ARM64 images carry it, for x86 a PDB may). Without images there are saved frame
//! pointers, which ARM64 and x86 code keeps, and scanning the stack for values that can only be return addresses ([`walk`]).
//! A scan cannot tell a live frame from what an earlier call left behind, so its frames are candidates, not facts.
//!
//! Where memory and images come from is the caller's business: see [`Stack`] and [`Images`].
#![forbid(unsafe_code)]

mod arm64;
mod call;
mod context;
pub mod fuzz;
mod image;
pub mod pe;
mod scan;
mod step;
#[cfg(test)]
mod testing;
mod walk;
mod x64;
pub mod x86;

pub use call::{CallBefore, call_before};
pub use context::Context;
pub use image::{Directory, Image, Images, Layout, MachineFrame, NoImages, ReadRva};
pub use scan::{scan_from, walk};
pub use step::{Break, Caller, Position, step};
pub use walk::{End, UnwoundFrame, Walk, unwind};

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
