//! Where in an epilogue an instruction lies, and what is left of it.
//!
//! Epilogues have a fixed form so that an unwinder can recognise them: the stack pointer is moved up once, registers are
//! popped, and the function returns or jumps away (Microsoft's "x64 prolog and epilog").

use super::codes::Info;
use super::{Function, LONGEST_CHAIN};
use crate::Image;
use bugcheck_dump::Fields;

/// How the stack pointer is moved before the pops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjust {
    /// Not any more.
    None,
    /// `add rsp, constant`.
    Add(i32),
    /// `lea rsp, [register + constant]`.
    Frame(u8, i32),
}

/// What is left to run of an epilogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epilogue {
    pub adjust: Adjust,
    pops: [u8; 16],
    count: usize,
}

impl Epilogue {
    fn new() -> Self {
        Self { adjust: Adjust::None, pops: [0; 16], count: 0 }
    }

    /// The registers still to be popped, in order.
    pub fn pops(&self) -> &[u8] {
        self.pops.get(..self.count).unwrap_or_default()
    }

    fn pop(&mut self, register: u8) -> Option<()> {
        *self.pops.get_mut(self.count)? = register;
        self.count += 1;
        Some(())
    }
}

/// The rest of the epilogue at `rva`, if that is where it lies.
pub fn at(image: &Image<'_>, function: Function, info: &Info, rva: u32) -> Option<Epilogue> {
    let mut described = None;
    if let Some(mut epilogues) = info.epilogues() {
        let from_end = function.end.saturating_sub(rva);
        // Version 2 lists them all; the adjustment of the stack pointer before the pops is not part of them.
        described = epilogues.find(|&(start, size)| from_end <= start && start - from_end < size);
        described?;
    }
    let mut code = [0; 64];
    let length = image.source.read(rva, &mut code);
    let code = Fields(code.get(..length).unwrap_or_default());
    match (parse(code, info.frame_register()), described) {
        (Parsed::Epilogue(epilogue, None), _) => Some(epilogue),
        (Parsed::Epilogue(epilogue, Some(jump)), _) => leaves(image, function, rva, jump).then_some(epilogue),
        (Parsed::OutOfCode, Some((start, _))) => from_pushes(info, start - function.end.saturating_sub(rva)),
        _ => None,
    }
}

enum Parsed {
    /// An epilogue, and where it jumps to, from the first byte that was parsed, if it ends in a jump with a known target.
    Epilogue(Epilogue, Option<i64>),
    Other,
    OutOfCode,
}

fn parse(code: Fields<'_>, frame_register: Option<u8>) -> Parsed {
    parse_inner(code, frame_register).unwrap_or(Parsed::OutOfCode)
}

/// `None` where the code ends too early.
fn parse_inner(code: Fields<'_>, frame_register: Option<u8>) -> Option<Parsed> {
    let mut epilogue = Epilogue::new();
    let mut at = 0;
    if let Some((adjust, length)) = adjustment(code, frame_register)? {
        epilogue.adjust = adjust;
        at = length;
    }
    loop {
        let (rex, opcode_at) = match code.u8(at)? {
            prefix @ 0x40..=0x4f => (prefix, at + 1),
            _ => (0, at),
        };
        let opcode = code.u8(opcode_at)?;
        if matches!(opcode, 0x58..=0x5f) {
            if epilogue.pop((opcode & 7) | (rex & 1) << 3).is_none() {
                return Some(Parsed::Other);
            }
            at = opcode_at + 1;
            continue;
        }
        return Some(match end(code, at, rex, opcode_at, opcode)? {
            End::Return | End::FarJump => Parsed::Epilogue(epilogue, None),
            End::Jump(target) => Parsed::Epilogue(epilogue, Some(target)),
            End::Other => Parsed::Other,
        });
    }
}

enum End {
    Return,
    /// A jump through memory or a register: compilers use the form with REX.W for leaving a function only.
    FarJump,
    Jump(i64),
    Other,
}

fn end(code: Fields<'_>, at: usize, rex: u8, opcode_at: usize, opcode: u8) -> Option<End> {
    let relative = |operand: usize, displacement: i32| i64::try_from(operand).ok().map(|at| End::Jump(at + i64::from(displacement)));
    match opcode {
        0xc3 | 0xc2 if rex == 0 => Some(End::Return),
        // `rep ret`, which old AMD processors predict better; `bnd ret` of code built with MPX.
        0xf3 | 0xf2 if rex == 0 && code.u8(at + 1)? == 0xc3 => Some(End::Return),
        0xeb if rex == 0 => relative(at + 2, i32::from(code.u8(at + 1)?.cast_signed())),
        0xe9 if rex == 0 => relative(at + 5, code.u32(at + 1)?.cast_signed()),
        0xff => {
            let modrm = code.u8(opcode_at + 1)?;
            let leaves = modrm == 0x25 || (rex & 8 != 0 && modrm >> 3 & 7 == 4);
            Some(if leaves { End::FarJump } else { End::Other })
        }
        _ => Some(End::Other),
    }
}

/// `add rsp, imm` or `lea rsp, [frame + displacement]`, with its length.
#[expect(clippy::option_option, reason = "the code may end, or hold something else")]
fn adjustment(code: Fields<'_>, frame_register: Option<u8>) -> Option<Option<(Adjust, usize)>> {
    let prefix = code.u8(0)?;
    if prefix & 0xf8 != 0x48 {
        return Some(None);
    }
    let (opcode, modrm) = (code.u8(1)?, code.u8(2)?);
    Some(match (prefix, opcode, modrm) {
        (0x48, 0x83, 0xc4) => Some((Adjust::Add(code.u8(3)?.cast_signed().into()), 4)),
        (0x48, 0x81, 0xc4) => Some((Adjust::Add(code.u32(3)?.cast_signed()), 7)),
        (0x48 | 0x49, 0x8d, _) => {
            let register = (modrm & 7) | (prefix & 1) << 3;
            // R12 as a base needs a SIB byte: the displacement lies one byte further.
            let sib = usize::from(modrm & 7 == 4);
            let to_stack_pointer = modrm >> 3 & 7 == 4 && frame_register == Some(register);
            match modrm >> 6 {
                1 if to_stack_pointer => Some((Adjust::Frame(register, code.u8(3 + sib)?.cast_signed().into()), 4 + sib)),
                2 if to_stack_pointer => Some((Adjust::Frame(register, code.u32(3 + sib)?.cast_signed()), 7 + sib)),
                _ => None,
            }
        }
        _ => None,
    })
}

/// A jump ends an epilogue if it leaves the function, or begins it anew.
fn leaves(image: &Image<'_>, function: Function, rva: u32, jump: i64) -> bool {
    let Some(target) = i64::from(rva).checked_add(jump).and_then(|target| u32::try_from(target).ok()) else { return true };
    let primary = function.primary(image).unwrap_or(function.begin);
    if target == primary || (function.begin..function.end).contains(&target) {
        return target == primary;
    }
    // Parts of a function lie apart from it and are chained to it.
    let other = Function::find(image, target).ok().flatten();
    other.and_then(|other| other.primary(image).ok()) != Some(primary)
}

/// Where the code is absent but its epilogues are described: they pop in the reverse order of the pushes.
fn from_pushes(info: &Info, run: u32) -> Option<Epilogue> {
    let mut epilogue = Epilogue::new();
    let mut at = 0;
    for register in info.pushes().take(LONGEST_CHAIN) {
        if at >= run {
            epilogue.pop(register)?;
        }
        at += if register < 8 { 1 } else { 2 };
    }
    Some(epilogue)
}
