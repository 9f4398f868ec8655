//! x64: RUNTIME_FUNCTION and UNWIND_INFO, versions 1 and 2.
//!
//! Source: Microsoft's "x64 exception handling" and "x64 prolog and epilog"; version 2's epilogue codes as the MIT-licensed
//! .NET runtime reads them, verified on drivers of Windows 11.

mod codes;
mod epilogue;

use crate::step::{entry_before, stack_vector, stack_word};
use crate::{Break, Caller, Context, Image, MachineFrame, Position, Stack};
use bugcheck_dump::Arch;
use codes::{Info, Operation};

/// RBX, RSP, RBP, RSI, RDI, R12 to R15: a call preserves them.
const NONVOLATILE: u64 = 0xf0f8;
/// XMM6 to XMM15.
const NONVOLATILE_VECTORS: u32 = 0xffc0;
/// Unwind data may refer to other unwind data so often: real chains have two or three links.
const LONGEST_CHAIN: usize = 32;
const REGISTERS: [&str; 16] =
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

/// A RUNTIME_FUNCTION entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Function {
    begin: u32,
    end: u32,
    unwind: u32,
}

const ENTRY: u32 = 12;

impl Function {
    fn parse(entry: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = entry;
        Self { begin: u32::from_le_bytes([a, b, c, d]), end: u32::from_le_bytes([e, f, g, h]), unwind: u32::from_le_bytes([i, j, k, l]) }
    }

    fn read(image: &Image<'_>, rva: u32) -> Result<Self, Break> {
        image.array(rva).map(Self::parse).ok_or(Break::ImageHole(rva))
    }

    /// The entry for a relative address; none means a function that neither calls nor touches the stack pointer.
    fn find(image: &Image<'_>, rva: u32) -> Result<Option<Self>, Break> {
        let Some(entry) = entry_before(image, ENTRY, rva)? else { return Ok(None) };
        let entry = Self::read(image, entry)?;
        if rva >= entry.end { Ok(None) } else { entry.direct(image).map(Some) }
    }

    /// An entry may stand for another one: the low bit of its unwind data marks that.
    fn direct(self, image: &Image<'_>) -> Result<Self, Break> {
        let mut entry = self;
        for _ in 0..LONGEST_CHAIN {
            if entry.unwind & 1 == 0 {
                return Ok(entry);
            }
            entry = Self::read(image, entry.unwind - 1)?;
        }
        Err(Break::EndlessChain(self.unwind))
    }

    /// Where the function begins that this one is a part of.
    fn primary(self, image: &Image<'_>) -> Result<u32, Break> {
        let mut entry = self;
        for _ in 0..LONGEST_CHAIN {
            let Some(parent) = Info::read(image, entry.unwind)?.parent() else { return Ok(entry.begin) };
            entry = parent.direct(image)?;
        }
        Err(Break::EndlessChain(self.unwind))
    }
}

pub(crate) fn unwind(stack: &dyn Stack, image: &Image<'_>, callee: &Context, position: Position) -> Result<Caller, Break> {
    let ip = callee.ip().ok_or(Break::UnknownRegister("rip"))?;
    let rva = image.rva(ip).ok_or(Break::NoImage(ip)).or_else(|reason| match position {
        Position::AfterCall => image.rva(ip.wrapping_sub(1)).map(|rva| rva + 1).ok_or(reason),
        Position::Exact => Err(reason),
    })?;
    let looked_up = if position == Position::AfterCall { rva.saturating_sub(1) } else { rva };
    let mut frame = Unwinding::new(stack, callee)?;
    if let Some(function) = Function::find(image, looked_up)? {
        let info = Info::read(image, function.unwind)?;
        let offset = rva.saturating_sub(function.begin);
        // Behind a call, running what is left of an epilogue and undoing the whole prologue come to the same.
        let epilogue = (position == Position::Exact).then(|| epilogue::at(image, function, &info, rva)).flatten();
        match epilogue {
            Some(epilogue) => frame.finish_epilogue(&epilogue)?,
            None => frame.undo_all(image, info, offset)?,
        }
    }
    frame.leave()
}

/// The state of unwinding one frame: the caller's registers come to light one by one.
struct Unwinding<'s> {
    stack: &'s dyn Stack,
    callee: &'s Context,
    context: Context,
    sp: u64,
    machine_frame: Option<MachineFrame>,
    guessed: bool,
}

impl<'s> Unwinding<'s> {
    fn new(stack: &'s dyn Stack, callee: &'s Context) -> Result<Self, Break> {
        let sp = callee.sp().ok_or(Break::UnknownRegister("rsp"))?;
        let mut context = *callee;
        context.keep(NONVOLATILE, NONVOLATILE_VECTORS);
        Ok(Self { stack, callee, context, sp, machine_frame: None, guessed: false })
    }

    /// Undoes the prologue of a function and of those it is chained to, as far as it has run.
    fn undo_all(&mut self, image: &Image<'_>, info: Info, offset: u32) -> Result<(), Break> {
        let (mut info, mut offset) = (info, offset);
        for _ in 0..LONGEST_CHAIN {
            self.undo(&info, offset)?;
            let Some(parent) = info.parent() else { return Ok(()) };
            info = Info::read(image, parent.direct(image)?.unwind)?;
            offset = u32::MAX;
        }
        Err(Break::EndlessChain(info.rva))
    }

    fn undo(&mut self, info: &Info, offset: u32) -> Result<(), Break> {
        let body = self.sp;
        let base = self.base(info, offset)?;
        for code in info.codes() {
            let (at, operation) = code?;
            if u32::from(at) > offset {
                continue;
            }
            match operation {
                Operation::Push(register) => {
                    let value = self.pop()?;
                    self.restore(register, value);
                }
                Operation::Allocate(size) => self.sp = self.sp.wrapping_add(size.into()),
                Operation::SetFrame => self.sp = base,
                Operation::Save(register, offset) => {
                    self.context.set(register.into(), stack_word(self.stack, base.wrapping_add(offset.into()))?);
                }
                Operation::SaveVector(register, offset) => {
                    self.context.set_vector(register.into(), stack_vector(self.stack, base.wrapping_add(offset.into()))?);
                }
                Operation::MachineFrame { error_code } => {
                    let address = self.sp.wrapping_add(if error_code { 8 } else { 0 });
                    self.machine_frame = Some(MachineFrame { address, body });
                }
                Operation::Nothing => {}
            }
        }
        Ok(())
    }

    /// What saved registers are counted from: the stack pointer in the body of the function.
    fn base(&mut self, info: &Info, offset: u32) -> Result<u64, Break> {
        let Some(register) = info.frame_register() else { return Ok(self.sp) };
        if !info.has_set_frame(offset)? {
            return Ok(self.sp);
        }
        let value = self.context.get(register.into()).or_else(|| self.callee.get(register.into()));
        if value.is_none() {
            // Without the frame pointer the stack pointer is right as long as the function did not allocate more.
            self.guessed = true;
        }
        Ok(value.map_or(self.sp, |value| value.wrapping_sub(info.frame_offset().into())))
    }

    fn finish_epilogue(&mut self, epilogue: &epilogue::Epilogue) -> Result<(), Break> {
        match epilogue.adjust {
            epilogue::Adjust::None => {}
            epilogue::Adjust::Add(size) => self.sp = self.sp.wrapping_add_signed(size.into()),
            epilogue::Adjust::Frame(register, offset) => {
                let name = REGISTERS.get(usize::from(register)).copied().unwrap_or("a register");
                let value = self.callee.get(register.into()).ok_or(Break::UnknownRegister(name))?;
                self.sp = value.wrapping_add_signed(offset.into());
            }
        }
        for &register in epilogue.pops() {
            let value = self.pop()?;
            self.restore(register, value);
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<u64, Break> {
        let value = stack_word(self.stack, self.sp)?;
        self.sp = self.sp.wrapping_add(8);
        Ok(value)
    }

    /// RSP is pushed by nobody's prologue; a code that says so must not lead the walk elsewhere.
    fn restore(&mut self, register: u8, value: u64) {
        if register != 4 {
            self.context.set(register.into(), value);
        }
    }

    /// Takes the return address, or what the processor pushed.
    fn leave(mut self) -> Result<Caller, Break> {
        let position = if let Some(frame) = self.machine_frame {
            // RIP, CS, EFLAGS, RSP, SS (Intel SDM volume 3, "Stack frame in 64-bit mode").
            let word = |index: u64| stack_word(self.stack, frame.address.wrapping_add(8 * index));
            self.context.set_ip(word(0)?);
            self.context.set_sp(word(3)?);
            for (register, index, mask) in [(18, 1, 0xffff), (17, 2, 0xffff_ffff), (19, 4, 0xffff)] {
                self.context.set(register, word(index)? & mask);
            }
            Position::Exact
        } else {
            let ip = self.pop()?;
            self.context.set_ip(ip);
            self.context.set_sp(self.sp);
            Position::AfterCall
        };
        debug_assert_eq!(self.context.arch(), Arch::X64);
        Ok(Caller { context: self.context, position, machine_frame: self.machine_frame, guessed: self.guessed })
    }
}
