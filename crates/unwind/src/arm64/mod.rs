//! ARM64: packed unwind data and unwind records.
//!
//! Source: Microsoft's "ARM64 exception handling"; the codes of hand-written routines as the MIT-licensed .NET runtime reads
//! them.

mod codes;
mod custom;
mod packed;

use crate::scan::strip_authentication;
use crate::step::{entry_before, stack_vector, stack_word};
use crate::{Break, Caller, Context, Image, MachineFrame, Position, Stack};
use bugcheck_dump::Arch;
use codes::{Bank, Code, Place};
use packed::Packed;

/// X19 to X28, FP, LR, SP and PC. LR is no longer the caller's, but it is what unwind codes may leave alone.
const NONVOLATILE: u64 = 0x1_fff8_0000;
/// V8 to V15, of which calls preserve the lower halves.
const NONVOLATILE_VECTORS: u32 = 0xff00;
const FP: usize = 29;
const LR: usize = 30;
const ENTRY: u32 = 8;
/// Code bytes of the largest unwind record: 255 words.
const MOST_CODES: usize = 1020;
/// `save_next` may be repeated until all registers are saved.
const MOST_SAVE_NEXT: u8 = 16;

/// An entry of the exception directory.
#[derive(Clone, Copy, Debug)]
struct Function {
    begin: u32,
    unwind: u32,
}

impl Function {
    fn read(image: &Image<'_>, rva: u32) -> Result<Self, Break> {
        let [a, b, c, d, e, f, g, h] = image.array(rva).ok_or(Break::ImageHole(rva))?;
        Ok(Self { begin: u32::from_le_bytes([a, b, c, d]), unwind: u32::from_le_bytes([e, f, g, h]) })
    }
}

pub(crate) fn unwind(stack: &dyn Stack, image: &Image<'_>, callee: &Context, position: Position) -> Result<Caller, Break> {
    let ip = callee.ip().ok_or(Break::UnknownRegister("pc"))?;
    // Behind a call, what counts is where the call is.
    let at = if position == Position::AfterCall { ip.wrapping_sub(4) } else { ip };
    let rva = image.rva(at).ok_or(Break::NoImage(ip))?;
    let mut frame = Unwinding::new(stack, callee)?;
    let codes = match entry_before(image, ENTRY, rva)? {
        Some(entry) => Codes::find(image, Function::read(image, entry)?, rva)?,
        None => None,
    };
    match codes {
        Some(codes) => frame.undo(&codes)?,
        // A function without unwind data neither moves the stack pointer nor calls another one.
        None if position == Position::AfterCall => return Err(Break::NotGrowing { from: frame.sp, to: frame.sp }),
        None => {}
    }
    frame.leave()
}

/// The codes to undo at some place in a function.
struct Codes {
    /// Where they come from, for error messages.
    rva: u32,
    bytes: [u8; MOST_CODES],
    /// The codes that count begin and end here.
    range: std::ops::Range<usize>,
    packed: Option<Packed>,
    in_epilogue: bool,
    /// The instructions of the prologue that have not run yet, or those of the epilogue that have.
    skip: u32,
}

impl Codes {
    /// Codes for the function that `rva` lies in; `None` if it lies behind the last one that begins before it.
    fn find(image: &Image<'_>, function: Function, rva: u32) -> Result<Option<Self>, Break> {
        let (function, rva) = match function.unwind & 7 {
            3 => {
                let parent = Function::read(image, function.unwind - 3)?;
                (parent, parent.begin)
            }
            7 => return Err(Break::BadCode { code: 7, rva: function.begin }),
            _ => (function, rva),
        };
        let instruction = rva.saturating_sub(function.begin) / 4;
        match function.unwind & 3 {
            0 => Self::record(image, function.unwind, instruction),
            3 => Err(Break::EndlessChain(function.begin)),
            _ => Self::packed(function, instruction),
        }
    }

    fn empty(rva: u32) -> Self {
        Self { rva, bytes: [0; MOST_CODES], range: 0..0, packed: None, in_epilogue: false, skip: 0 }
    }

    fn packed(function: Function, instruction: u32) -> Result<Option<Self>, Break> {
        let packed = Packed::expand(function.unwind).ok_or(Break::BadCode { code: 1, rva: function.begin })?;
        if instruction >= packed.instructions {
            return Ok(None);
        }
        let mut codes = Self::empty(function.begin);
        if !packed.fragment {
            let prologue: u32 = packed.codes().map(Code::instructions).sum();
            // And the return.
            let epilogue = packed.codes().filter(|&code| packed::is_in_epilogue(code)).map(Code::instructions).sum::<u32>() + 1;
            codes.locate(instruction, prologue, packed.instructions.checked_sub(epilogue));
        }
        codes.packed = Some(packed);
        Ok(Some(codes))
    }

    /// Finds the instruction in the prologue, or in the epilogue that begins at `epilogue`.
    fn locate(&mut self, instruction: u32, prologue: u32, epilogue: Option<u32>) {
        if instruction < prologue {
            self.skip = prologue - instruction;
        } else if let Some(run) = epilogue.and_then(|start| instruction.checked_sub(start)) {
            self.in_epilogue = true;
            self.skip = run;
        }
    }

    fn record(image: &Image<'_>, rva: u32, instruction: u32) -> Result<Option<Self>, Break> {
        let word = |index: u32| {
            let at = rva.saturating_add(4 * index);
            image.u32(at).ok_or(Break::ImageHole(at))
        };
        let header = word(0)?;
        if header >> 18 & 3 != 0 {
            return Err(Break::Version(u8::try_from(header >> 18 & 3).unwrap_or(0)));
        }
        let length = header & 0x3_ffff;
        if instruction >= length {
            return Ok(None);
        }
        let (mut scopes, mut words, mut header_words) = (header >> 22 & 31, header >> 27, 1);
        if scopes == 0 && words == 0 {
            let extension = word(1)?;
            (scopes, words, header_words) = (extension & 0xffff, extension >> 16 & 0xff, 2);
        }
        let single_epilogue = header >> 21 & 1 != 0;
        let listed = if single_epilogue { 0 } else { scopes };

        let mut codes = Self::empty(rva);
        codes.range.end = usize::try_from(4 * words).unwrap_or(0);
        let first = rva.saturating_add(4 * (header_words + listed));
        let there = codes.bytes.get_mut(..codes.range.end).map(|buffer| image.source.read(first, buffer));
        if there != Some(codes.range.end) {
            return Err(Break::ImageHole(first));
        }
        let prologue = codes.instructions(0);
        if instruction < prologue {
            codes.locate(instruction, prologue, None);
        } else if single_epilogue {
            codes.enter_epilogue(instruction, scopes, |size| length.saturating_sub(size));
        } else {
            for index in 0..listed {
                let scope = word(header_words + index)?;
                let start = scope & 0x3_ffff;
                if instruction < start || codes.enter_epilogue(instruction, scope >> 22, |_| start) {
                    break;
                }
            }
        }
        Ok(Some(codes))
    }

    /// If the instruction lies in the epilogue whose codes begin at `index`, these are what counts.
    fn enter_epilogue(&mut self, instruction: u32, index: u32, start: impl Fn(u32) -> u32) -> bool {
        let index = usize::try_from(index).unwrap_or(usize::MAX).min(self.range.end);
        // The codes leave out the return.
        let size = self.instructions(index) + 1;
        let run = instruction.checked_sub(start(size)).filter(|&run| run < size);
        if let Some(run) = run {
            self.range.start = index;
            self.in_epilogue = true;
            self.skip = run;
        }
        run.is_some()
    }

    /// The instructions that codes from `start` to the end of their sequence stand for.
    fn instructions(&self, start: usize) -> u32 {
        let codes = self.from(start).map_while(Result::ok);
        codes.take_while(|code| !matches!(code, Code::End | Code::EndChained)).map(Code::instructions).sum()
    }

    fn from(&self, start: usize) -> impl Iterator<Item = Result<Code, Break>> {
        let mut at = start;
        std::iter::from_fn(move || {
            let rest = self.bytes.get(at..self.range.end).filter(|rest| !rest.is_empty())?;
            let code = Code::read(rest).ok_or(Break::BadCode { code: rest.first().copied().unwrap_or(0), rva: self.rva });
            // After a code that is not defined there is no telling where the next one begins.
            at = code.as_ref().map_or(usize::MAX, |(_, length)| at + length);
            Some(code.map(|(code, _)| code))
        })
    }

    /// The codes of the sequence, innermost first.
    fn sequence(&self) -> impl Iterator<Item = Result<Code, Break>> {
        let packed = self.packed.iter().flat_map(|packed| packed.codes());
        let packed = packed.filter(|code| !self.in_epilogue || packed::is_in_epilogue(*code));
        packed.map(Ok).chain(self.from(self.range.start))
    }
}

/// The state of unwinding one frame.
struct Unwinding<'s> {
    stack: &'s dyn Stack,
    context: Context,
    sp: u64,
    save_next: u8,
    guessed: bool,
    /// Set by a code that says where to go on: otherwise LR does.
    entered: Option<(Position, Option<MachineFrame>)>,
}

impl<'s> Unwinding<'s> {
    fn new(stack: &'s dyn Stack, callee: &Context) -> Result<Self, Break> {
        let sp = callee.sp().ok_or(Break::UnknownRegister("sp"))?;
        let mut context = *callee;
        context.keep(NONVOLATILE, NONVOLATILE_VECTORS);
        Ok(Self { stack, context, sp, save_next: 0, guessed: false, entered: None })
    }

    fn undo(&mut self, codes: &Codes) -> Result<(), Break> {
        let body = self.sp;
        let mut skip = codes.skip;
        for code in codes.sequence() {
            let code = code?;
            if skip > 0 && code.instructions() > 0 {
                skip -= 1;
            } else if !self.undo_one(code, body, codes.rva)? {
                break;
            }
        }
        Ok(())
    }

    /// Undoes what one code stands for; false at the end of the sequence.
    fn undo_one(&mut self, code: Code, body: u64, rva: u32) -> Result<bool, Break> {
        let bad = Break::BadCode { code: 0xe6, rva };
        if self.save_next > 0 && !matches!(code, Code::Save { count: 2, .. } | Code::SaveNext | Code::EndChained) {
            return Err(bad);
        }
        match code {
            Code::Allocate(size) => self.sp = self.sp.wrapping_add(size.into()),
            Code::Save { bank, first, count, place } => {
                let count = count + 2 * std::mem::take(&mut self.save_next);
                self.restore(bank, first, count, place).map_err(|reason| reason.unwrap_or(bad))?;
            }
            Code::SaveWithLr { register, offset } => {
                let at = self.sp.wrapping_add(offset.into());
                self.context.set(register.into(), stack_word(self.stack, at)?);
                self.context.set(LR, stack_word(self.stack, at.wrapping_add(8))?);
            }
            Code::SaveNext if self.save_next >= MOST_SAVE_NEXT => return Err(bad),
            Code::SaveNext => self.save_next += 1,
            Code::SetFrame(offset) => match self.context.get(FP) {
                Some(fp) => self.sp = fp.wrapping_sub(offset.into()),
                // The stack pointer is right as long as the function did not allocate more.
                None => self.guessed = true,
            },
            Code::SignLr => {
                if let Some(lr) = self.context.get(LR) {
                    self.context.set(LR, strip_authentication(Arch::Arm64, lr));
                }
            }
            Code::Custom(custom) => self.entered = Some(custom::enter(self.stack, custom, &mut self.context, &mut self.sp, body)?),
            Code::End => return Ok(false),
            Code::Nothing | Code::EndChained => {}
        }
        Ok(true)
    }

    /// Restores consecutive registers; an error without a reason means that there are not so many.
    fn restore(&mut self, bank: Bank, first: u8, count: u8, place: Place) -> Result<(), Option<Break>> {
        let last_register = if bank == Bank::General { 30 } else { 31 };
        if u32::from(first) + u32::from(count) > last_register + 1 {
            return Err(None);
        }
        let width = if bank == Bank::Quad { 16 } else { 8 };
        let base = match place {
            Place::At(offset) => self.sp.wrapping_add(offset.into()),
            Place::Pushed(_) => self.sp,
        };
        for index in 0..count {
            let (register, at) = (usize::from(first + index), base.wrapping_add(width * u64::from(index)));
            match bank {
                Bank::General => self.context.set(register, stack_word(self.stack, at)?),
                Bank::Double => self.context.set_vector(register, stack_word(self.stack, at)?.into()),
                Bank::Quad => self.context.set_vector(register, stack_vector(self.stack, at)?),
            }
        }
        if let Place::Pushed(size) = place {
            self.sp = self.sp.wrapping_add(size.into());
        }
        Ok(())
    }

    fn leave(mut self) -> Result<Caller, Break> {
        self.context.set_sp(self.sp);
        if let Some((position, machine_frame)) = self.entered {
            return Ok(Caller { context: self.context, position, machine_frame, guessed: self.guessed });
        }
        let lr = self.context.get(LR).ok_or(Break::UnknownRegister("lr"))?;
        self.context.set_ip(strip_authentication(Arch::Arm64, lr));
        Ok(Caller { context: self.context, position: Position::AfterCall, machine_frame: None, guessed: self.guessed })
    }
}
