//! UNWIND_INFO: the header, the codes behind it, and what they are chained to.

use super::Function;
use crate::{Break, Image};
use bugcheck_dump::Fields;

const CHAINED: u8 = 4;
/// Header, 255 codes of two bytes, made even, and the RUNTIME_FUNCTION of a chain.
const LARGEST: usize = 4 + 2 * 256 + 12;

/// What a prologue did at one of its instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Pushed an integer register.
    Push(u8),
    /// Moved the stack pointer down.
    Allocate(u32),
    /// Set the frame pointer.
    SetFrame,
    /// Stored an integer register at an offset in the frame.
    Save(u8, u32),
    /// Stored a vector register at an offset in the frame.
    SaveVector(u8, u32),
    /// The processor pushed a frame before the function began.
    MachineFrame {
        /// With an error code.
        error_code: bool,
    },
    /// Nothing to undo: a description of an epilogue.
    Nothing,
}

/// One UNWIND_INFO.
pub struct Info {
    /// Its relative address.
    pub rva: u32,
    bytes: [u8; LARGEST],
    length: usize,
}

impl Info {
    pub fn read(image: &Image<'_>, rva: u32) -> Result<Self, Break> {
        let mut bytes = [0; LARGEST];
        let hole = Break::ImageHole(rva);
        let header: [u8; 4] = image.array(rva).ok_or(hole)?;
        let [version_and_flags, _, count, _] = header;
        if !matches!(version_and_flags & 7, 1 | 2) {
            return Err(Break::Version(version_and_flags & 7));
        }
        let codes = usize::from(count).next_multiple_of(2) * 2;
        let length = 4 + codes + if version_and_flags >> 3 & CHAINED != 0 { 12 } else { 0 };
        let buffer = bytes.get_mut(..length).ok_or(hole)?;
        if image.source.read(rva, buffer) < length {
            return Err(hole);
        }
        Ok(Self { rva, bytes, length })
    }

    fn fields(&self) -> Fields<'_> {
        Fields(self.bytes.get(..self.length).unwrap_or_default())
    }

    fn byte(&self, at: usize) -> u8 {
        self.fields().u8(at).unwrap_or(0)
    }

    fn version(&self) -> u8 {
        self.byte(0) & 7
    }

    fn count(&self) -> usize {
        self.byte(2).into()
    }

    /// The register that serves as frame pointer.
    pub fn frame_register(&self) -> Option<u8> {
        Some(self.byte(3) & 15).filter(|&register| register != 0)
    }

    /// How far the frame pointer lies above the stack pointer in the body.
    pub fn frame_offset(&self) -> u32 {
        // UWOP_SET_FPREG_LARGE brings an offset that the header has no room for.
        let large = self.large_frame_offset();
        large.unwrap_or_else(|| u32::from(self.byte(3) >> 4) * 16)
    }

    fn large_frame_offset(&self) -> Option<u32> {
        let index = self.raw().find(|&(_, byte, _)| byte & 15 == SET_FPREG_LARGE)?.2;
        self.fields().u32(4 + 2 * (index + 1))?.checked_mul(16)
    }

    /// True if the frame pointer has been set when `offset` bytes of the function have run.
    pub fn has_set_frame(&self, offset: u32) -> Result<bool, Break> {
        if offset >= u32::from(self.byte(1)) {
            return Ok(true);
        }
        for code in self.codes() {
            let (at, operation) = code?;
            if operation == Operation::SetFrame {
                return Ok(u32::from(at) <= offset);
            }
        }
        Ok(false)
    }

    /// The entry of the function that this is a part of.
    pub fn parent(&self) -> Option<Function> {
        let chained = self.byte(0) >> 3 & CHAINED != 0;
        let at = 4 + 2 * self.count().next_multiple_of(2);
        chained.then(|| self.fields().bytes(at, 12)?.try_into().ok().map(Function::parse)).flatten()
    }

    /// The registers that the prologue pushed, in the order in which the epilogue pops them.
    pub fn pushes(&self) -> impl Iterator<Item = u8> {
        self.codes().map_while(Result::ok).filter_map(|(_, operation)| match operation {
            Operation::Push(register) => Some(register),
            _ => None,
        })
    }

    /// Offsets from the end of the function at which epilogues begin, with their size in bytes; `None` if only the code can tell.
    pub fn epilogues(&self) -> Option<impl Iterator<Item = (u32, u32)>> {
        if self.version() != 2 {
            return None;
        }
        let mut epilogues = self.raw().take_while(|&(_, byte, _)| byte & 15 == EPILOG).map(|(low, byte, _)| (low, byte >> 4));
        let (size, flags) = epilogues.next()?;
        let size = u32::from(size);
        let last = (flags & 1 != 0).then_some(size);
        let others = epilogues.map(|(low, high)| u32::from(low) | u32::from(high) << 8).filter(|&offset| offset != 0);
        Some(last.into_iter().chain(others).map(move |from_end| (from_end, size)))
    }

    /// The codes with their place, extra operands skipped: first byte, second byte, index.
    fn raw(&self) -> impl Iterator<Item = (u8, u8, usize)> {
        let mut index = 0;
        std::iter::from_fn(move || {
            let at = index;
            let (first, second) = (at < self.count()).then(|| (self.byte(4 + 2 * at), self.byte(5 + 2 * at)))?;
            index += slots(self.version(), second).unwrap_or(1);
            Some((first, second, at))
        })
    }

    /// What the prologue did, last instruction first, each with the offset behind its instruction.
    pub fn codes(&self) -> impl Iterator<Item = Result<(u8, Operation), Break>> {
        self.raw().map(|(at, byte, index)| {
            let bad = Break::BadCode { code: byte, rva: self.rva };
            let slots = slots(self.version(), byte).ok_or(bad)?;
            if index + slots > self.count() {
                return Err(bad);
            }
            self.decode(byte, index).map(|operation| (at, operation)).ok_or(bad)
        })
    }

    fn decode(&self, byte: u8, index: usize) -> Option<Operation> {
        let info = byte >> 4;
        let operand = 4 + 2 * (index + 1);
        let short = |scale: u32| Some(u32::from(self.fields().u16(operand)?) * scale);
        let long = || self.fields().u32(operand);
        Some(match byte & 15 {
            PUSH_NONVOL => Operation::Push(info),
            ALLOC_LARGE if info == 0 => Operation::Allocate(short(8)?),
            ALLOC_LARGE => Operation::Allocate(long()?),
            ALLOC_SMALL => Operation::Allocate(u32::from(info) * 8 + 8),
            SET_FPREG | SET_FPREG_LARGE => Operation::SetFrame,
            SAVE_NONVOL => Operation::Save(info, short(8)?),
            SAVE_NONVOL_FAR => Operation::Save(info, long()?),
            SAVE_XMM128 => Operation::SaveVector(info, short(16)?),
            SAVE_XMM128_FAR => Operation::SaveVector(info, long()?),
            PUSH_MACHFRAME => Operation::MachineFrame { error_code: info == 1 },
            _ => Operation::Nothing,
        })
    }
}

const PUSH_NONVOL: u8 = 0;
const ALLOC_LARGE: u8 = 1;
const ALLOC_SMALL: u8 = 2;
const SET_FPREG: u8 = 3;
const SAVE_NONVOL: u8 = 4;
const SAVE_NONVOL_FAR: u8 = 5;
const EPILOG: u8 = 6;
const SPARE: u8 = 7;
const SAVE_XMM128: u8 = 8;
const SAVE_XMM128_FAR: u8 = 9;
const PUSH_MACHFRAME: u8 = 10;
const SET_FPREG_LARGE: u8 = 11;

/// How many 16-bit slots a code takes; `None` if the version does not define it.
fn slots(version: u8, byte: u8) -> Option<usize> {
    match (byte & 15, byte >> 4) {
        (PUSH_NONVOL | ALLOC_SMALL | SET_FPREG, _) | (PUSH_MACHFRAME, 0..=1) => Some(1),
        (SAVE_NONVOL | SAVE_XMM128, _) | (ALLOC_LARGE, 0) => Some(2),
        (SAVE_NONVOL_FAR | SAVE_XMM128_FAR | SET_FPREG_LARGE, _) | (ALLOC_LARGE, 1) => Some(3),
        (EPILOG, _) if version == 2 => Some(1),
        (SPARE, _) if version == 2 => Some(3),
        _ => None,
    }
}
