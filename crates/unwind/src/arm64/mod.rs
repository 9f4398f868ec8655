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

/// Where the function begins that a relative address lies in; parts of functions count as functions.
pub(crate) fn function_begin(image: &Image<'_>, rva: u32) -> Option<u32> {
    Some(Function::read(image, entry_before(image, ENTRY, rva).ok()??).ok()?.begin)
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
            // They are listed in order: only the last one that begins at or before the instruction can hold it.
            let (mut low, mut high) = (0, listed);
            while low < high {
                let middle = low + (high - low) / 2;
                if word(header_words + middle)? & 0x3_ffff <= instruction { low = middle + 1 } else { high = middle }
            }
            if let Some(last) = low.checked_sub(1) {
                let scope = word(header_words + last)?;
                codes.enter_epilogue(instruction, scope >> 22, |_| scope & 0x3_ffff);
            }
        }
        Ok(Some(codes))
    }

    /// If the instruction lies in the epilogue whose codes begin at `index`, these are what counts.
    fn enter_epilogue(&mut self, instruction: u32, index: u32, start: impl Fn(u32) -> u32) {
        let index = usize::try_from(index).unwrap_or(usize::MAX).min(self.range.end);
        // The codes leave out the return.
        let size = self.instructions(index) + 1;
        let run = instruction.checked_sub(start(size)).filter(|&run| run < size);
        if let Some(run) = run {
            self.range.start = index;
            self.in_epilogue = true;
            self.skip = run;
        }
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

#[cfg(test)]
mod tests {
    use super::{FP, LR};
    use crate::testing::{BASE, INFO, Machine, STACK, TABLE};
    use crate::{Break, Caller, MachineFrame, Position, step};
    use bugcheck_dump::Arch;

    const CALLED_FROM: u64 = BASE + 0x5_0000;

    /// One function at 0x1000 with unwind data `word`; X19 holds 0x19 and so on, FP lies 0x100 above SP, which is [`STACK`].
    struct Case {
        machine: Machine,
    }

    impl Case {
        fn new(word: u32) -> Self {
            let mut machine = Machine::new(Arch::Arm64);
            machine.entry(&[0x1000, word]);
            let slots: Vec<u64> = (0..0x200).map(|slot| 0xffff_f800_0000_0000 | slot).collect();
            machine.words(STACK, &slots);
            Self { machine }
        }

        /// A record: header fields and codes. Epilogue scopes are words before the codes.
        fn record(length: u32, single_epilogue: Option<u32>, scopes: &[u32], codes: &[u8]) -> Self {
            let mut case = Self::new(INFO);
            let words = u32::try_from(codes.len().div_ceil(4)).unwrap();
            let count = single_epilogue.unwrap_or(u32::try_from(scopes.len()).unwrap());
            let header = (length / 4) | u32::from(single_epilogue.is_some()) << 21 | count << 22 | words << 27;
            let bytes: Vec<u8> =
                std::iter::once(&header).chain(scopes).flat_map(|word| word.to_le_bytes()).chain(codes.iter().copied()).collect();
            case.machine.image_bytes(INFO, &bytes);
            case.machine.image_bytes(INFO + bytes.len() as u32, &[0xe4; 4]);
            case
        }

        fn at(&self, instruction: u32) -> Result<Caller, Break> {
            let mut context = self.machine.context(0x1000 + 4 * instruction, STACK);
            for register in 19..29 {
                context.set(register, register as u64);
            }
            context.set(FP, STACK + 0x100);
            context.set(LR, CALLED_FROM);
            self.machine.step(&context)
        }

        /// How far the stack pointer moves, and where the return address was read: `None` if it stayed in LR.
        fn moves(&self, instruction: u32) -> (u64, Option<u64>) {
            let caller = self.at(instruction).unwrap();
            assert_eq!(caller.position, Position::AfterCall);
            let ip = caller.context.ip().unwrap();
            (caller.context.sp().unwrap() - STACK, (ip != CALLED_FROM).then_some((ip & 0xfff) * 8))
        }
    }

    fn packed(reg_f: u32, reg_i: u32, homes: u32, cr: u32, frame: u32) -> Case {
        Case::new(1 | 0x40 << 2 | reg_f << 13 | reg_i << 16 | homes << 20 | cr << 21 | (frame / 16) << 23)
    }

    #[test]
    fn packed_leaf_frames() {
        // sub sp, sp, #0x30 … add; ret
        let case = packed(0, 0, 0, 0, 0x30);
        assert_eq!([case.moves(0), case.moves(1), case.moves(0x3e), case.moves(0x3f)], [(0, None), (0x30, None), (0x30, None), (0, None)]);
        // Two instructions for much.
        let case = packed(0, 0, 0, 0, 0x1ff0);
        assert_eq!(
            [case.moves(0), case.moves(1), case.moves(2), case.moves(0x3e)],
            [(0, None), (4080, None), (0x1ff0, None), (4080, None)]
        );
    }

    #[test]
    fn packed_chains() {
        // stp x19, x20, [sp, #-0x20]!; str x21, [sp, #0x10]; stp fp, lr, [sp, #-0x20]!; mov fp, sp
        let case = packed(0, 3, 0, 3, 0x40);
        assert_eq!([case.moves(0), case.moves(1), case.moves(2)], [(0, None), (0x20, None), (0x20, None)]);
        assert_eq!(case.moves(3), (0x40, Some(8)));
        // FP lies 0x100 above SP, as after alloca.
        assert_eq!(case.moves(4), (0x140, Some(0x108)));
        let body = case.at(0x10).unwrap().context;
        assert_eq!([19, 20, 21, FP].map(|register| body.get(register).unwrap() & 0xfff), [0x24, 0x25, 0x26, 0x20]);
        assert_eq!(body.get(22), Some(22));
        // ldp fp, lr; ldr x21; ldp x19, x20; ret
        assert_eq!([case.moves(0x3c), case.moves(0x3d), case.moves(0x3f)], [(0x40, Some(8)), (0x20, None), (0, None)]);
        // Far from the saved registers: sub sp; stp fp, lr, [sp].
        let case = packed(0, 2, 0, 3, 0x410);
        assert_eq!([case.moves(1), case.moves(2), case.moves(3)], [(0x10, None), (0x410, None), (0x410, Some(8))]);
    }

    #[test]
    fn packed_signed_return_addresses_are_stripped() {
        let mut case = packed(0, 0, 0, 2, 0x10);
        case.machine.words(STACK + 0x100, &[1, 0x00a3_f800_0005_0000 | 0x5a00_0000_0000_0000]);
        let caller = case.at(0x10).unwrap();
        assert_eq!(caller.context.ip(), Some(0xffff_f800_0005_0000));
        // pacibsp; stp; mov: three instructions, and autibsp before the return.
        assert_eq!([case.moves(0), case.moves(1), case.moves(0x3d), case.moves(0x3e)], [(0, None), (0, None), (0x10, Some(8)), (0, None)]);
    }

    #[test]
    fn packed_lr_without_chain() {
        // stp x19, x20, [sp, #-0x20]!; str lr, [sp, #0x10]
        assert_eq!(packed(0, 2, 0, 1, 0x20).moves(0x10), (0x20, Some(0x10)));
        // str lr, [sp, #-0x10]!
        assert_eq!(packed(0, 0, 0, 1, 0x10).moves(0x10), (0x10, Some(0)));
        // stp x19, x20; stp x21, lr, [sp, #0x10]
        assert_eq!(packed(0, 3, 0, 1, 0x20).moves(0x10), (0x20, Some(0x18)));
        // sub sp, sp, #0x10; stp x19, lr, [sp]
        assert_eq!(packed(0, 1, 0, 1, 0x10).moves(0x10), (0x10, Some(8)));
    }

    #[test]
    fn packed_doubles_and_homes() {
        // d8 to d10 alone: stp d8, d9, [sp, #-0x20]!; str d10, [sp, #0x10].
        let context = packed(2, 0, 0, 0, 0x20).at(0x10).unwrap().context;
        assert_eq!([8, 9, 10].map(|register| context.vector(register).unwrap() & 0xfff), [0, 1, 2]);
        // Homes add 64 bytes and four instructions to the prologue, none to the epilogue.
        let case = packed(0, 2, 1, 3, 0x60);
        assert_eq!([case.moves(1), case.moves(5), case.moves(6)], [(0x50, None), (0x50, None), (0x60, Some(8))]);
        assert_eq!([case.moves(0x3d), case.moves(0x3e)], [(0x60, Some(8)), (0x50, None)]);
        // Without saved registers they are stored by the body.
        assert_eq!(packed(0, 0, 1, 0, 0x50).moves(1), (0x50, None));
        // A frame smaller than its parts.
        assert!(matches!(packed(7, 10, 0, 0, 0x10).at(0x10), Err(Break::BadCode { code: 1, .. })));
    }

    #[test]
    fn packed_fragments_have_no_prologue() {
        let word = 2 | 0x40 << 2 | 2 << 16 | 3 << 21 | 2 << 23;
        let case = Case::new(word);
        assert_eq!([case.moves(0), case.moves(0x3f)], [(0x120, Some(0x108)); 2]);
    }

    #[test]
    fn records_know_prologue_body_and_epilogues() {
        // set_fp, save_fplr_x 0x20; the same without set_fp for epilogues, of which one is listed at instruction 8.
        let listed = Case::record(0x40, None, &[8 | 1 << 22], &[0xe1, 0x83, 0xe4, 0xe4]);
        let single = Case::record(0x28, Some(1), &[], &[0xe1, 0x83, 0xe4, 0xe4]);
        for case in [&listed, &single] {
            assert_eq!([case.moves(0), case.moves(1), case.moves(2)], [(0, None), (0x20, Some(8)), (0x120, Some(0x108))]);
            assert_eq!([case.moves(8), case.moves(9)], [(0x20, Some(8)), (0, None)]);
        }
        assert_eq!(listed.moves(10), (0x120, Some(0x108)), "behind the epilogue");
        // Behind the function it is as if there were no entry.
        assert_eq!(single.moves(10), (0, None));
    }

    #[test]
    fn extended_headers() {
        let mut case = Case::new(INFO);
        let words = [0x40_u32, 1 | 1 << 16, 8 | 1 << 22];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).chain([0xe1, 0x83, 0xe4, 0xe4]).collect();
        case.machine.image_bytes(INFO, &bytes);
        assert_eq!([case.moves(1), case.moves(2), case.moves(8)], [(0x20, Some(8)), (0x120, Some(0x108)), (0x20, Some(8))]);
    }

    #[test]
    fn saves_of_all_kinds() {
        // alloc_m 0x200; save_next, save_next, save_regp x19 at 0x10; save_lrpair x25 at 0x40; save_reg x28 at 0x58.
        let codes = [0xc0, 0x20, 0xe4];
        assert_eq!(Case::record(0x40, None, &[], &codes).moves(8), (0x200, None));
        let codes = [0xe6, 0xe6, 0xc8, 0x02, 0xd6, 0xc8, 0xd2, 0x4b, 0xe0, 0, 0, 7, 0xe4];
        let context = Case::record(0x40, None, &[], &codes).at(12).unwrap().context;
        let saved = [19, 20, 21, 22, 23, 24, 25, LR, 28].map(|register| context.get(register).unwrap() & 0xfff);
        assert_eq!(saved, [2, 3, 4, 5, 6, 7, 8, 9, 11]);
        assert_eq!(context.sp(), Some(STACK + 0x70));
        // add_fp 0x20; save_fregp_x d8 0x20; save_any_reg q6 at 0x10, x5 at 8.
        let context =
            Case::record(0x40, None, &[], &[0xe2, 4, 0xe7, 0x06, 0x81, 0xe7, 0x05, 0x01, 0xda, 0x03, 0xe4]).at(12).unwrap().context;
        assert_eq!(context.sp(), Some(STACK + 0x100));
        assert_eq!((context.get(5).unwrap() & 0xfff, context.vector(9).unwrap() & 0xfff), (0x1d, 0x1d));
        assert_eq!(context.vector(6).map(|value| (value & 0xfff, value >> 64 & 0xfff)), Some((0x1e, 0x1f)));
    }

    #[test]
    fn codes_that_make_no_sense_are_refused() {
        for codes in [&[0xed, 0xe4][..], &[0xe6, 0x01, 0xe4], &[0xd2, 0xff, 0xd3, 0xff, 0xe4], &[0xc8, 0xe0, 0xe6]] {
            let result = Case::record(0x40, None, &[], codes).at(15);
            assert!(matches!(result, Err(Break::BadCode { .. })), "{codes:02x?} {result:?}");
        }
        let mut case = Case::new(INFO);
        case.machine.image_bytes(INFO, &(0x10_u32 | 1 << 18).to_le_bytes());
        assert_eq!(case.at(8).unwrap_err(), Break::Version(1));
        case.machine.image_bytes(INFO, &(0x10_u32 | 1 << 27).to_le_bytes());
        assert_eq!(case.at(8).unwrap_err(), Break::ImageHole(INFO + 4));
    }

    #[test]
    fn fragments_go_on_with_the_function_they_belong_to() {
        // The fragment's own alloc_s 0x10, end_c, then the parent's save_fplr_x 0x20.
        let case = Case::record(0x40, None, &[], &[0x01, 0xe5, 0x83, 0xe4]);
        assert_eq!([case.moves(0), case.moves(1)], [(0x20, Some(8)), (0x30, Some(0x18))]);
    }

    #[test]
    fn chained_entries_stand_for_the_beginning_of_their_parent() {
        let mut machine = Machine::new(Arch::Arm64);
        machine.entry(&[0x1000, TABLE + 8 + 3]);
        machine.entry(&[0x1100, 1 | 0x40 << 2 | 3 << 21 | 2 << 23]);
        let mut context = machine.context(0x1010, STACK);
        context.set(LR, CALLED_FROM);
        assert_eq!(machine.step(&context).unwrap().context.ip(), Some(CALLED_FROM));
        machine.entries = 0;
        machine.entry(&[0x1000, TABLE + 3]);
        assert_eq!(machine.step(&context).unwrap_err(), Break::EndlessChain(0x1000));
    }

    #[test]
    fn machine_frames_contexts_and_trap_frames() {
        let caller = Case::record(0x40, None, &[], &[0x02, 0xe9, 0xe4]).at(8).unwrap();
        assert_eq!(caller.position, Position::Exact);
        assert_eq!(caller.machine_frame, Some(MachineFrame { address: STACK + 0x20, body: STACK }));
        assert_eq!([caller.context.sp(), caller.context.ip()].map(|value| value.unwrap() & 0xfff), [4, 5]);
        assert_eq!(caller.context.get(0), Some(0xa11), "the hook filled in X0");

        let context = Case::record(0x40, None, &[], &[0xe8, 0xe4]).at(8).unwrap().context;
        let read = [1, 18, LR, FP, 31, 32].map(|register| context.get(register).unwrap() & 0xfff);
        assert_eq!(read, [0x15, 0x26, 0x27, 0x28, 0x13, 0x29]);

        let mut case = Case::record(0x40, None, &[], &[0xea, 0xe4]);
        case.machine.word(STACK, 0x0040_0007);
        let caller = case.at(8).unwrap();
        assert_eq!([1, 28, 31, 32].map(|register| caller.context.get(register).unwrap() & 0xfff), [2, 29, 32, 33]);
        assert_eq!((caller.position, caller.context.vector(1).unwrap() & 0xfff), (Position::Exact, 0x24));
        case.machine.word(STACK, 0x2040_0007);
        assert_eq!(case.at(8).unwrap().position, Position::AfterCall);

        let context = Case::record(0x40, None, &[], &[0xeb, 0xe4]).at(8).unwrap().context;
        assert_eq!([1, 22, LR, 31, 32].map(|register| context.get(register).unwrap() & 0xfff), [0x11, 0x1e, 0x24, 0x13, 0x1f]);

        let caller = Case::record(0x40, None, &[], &[0x83, 0xec, 0xe4]).at(8).unwrap();
        assert_eq!((caller.position, caller.machine_frame), (Position::Exact, None));
        assert_eq!(caller.context.ip().unwrap() & 0xfff, 1);
    }

    #[test]
    fn leaves_return_to_lr_once() {
        let case = Case::new(1 | 4 << 2);
        assert_eq!(case.moves(0x80), (0, None));
        let mut context = case.machine.context(0x1200, STACK);
        context.set(LR, CALLED_FROM);
        assert!(matches!(step(&case.machine, &case.machine, &context, Position::AfterCall), Err(Break::NotGrowing { .. })));
    }
}
