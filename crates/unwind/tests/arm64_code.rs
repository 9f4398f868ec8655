//! Real ARM64 code against its unwind data: prologues and epilogues are executed here, instruction by instruction, and at each
//! one the unwinder must find the registers that the function was called with.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use bugcheck_dump::{Arch, FileBytes};
use bugcheck_unwind::{Layout, ReadRva, pe};
use common::simulated::{RETURN_ADDRESS, Simulated, TOP, mark, mark_vector, unwind_at};

const SP: usize = 31;
const LR: usize = 30;

fn u32_at(file: &pe::File<FileBytes>, rva: u32) -> u32 {
    let mut bytes = [0; 4];
    assert_eq!(file.read(rva, &mut bytes), 4, "code at {rva:#x}");
    u32::from_le_bytes(bytes)
}

fn signed(value: u32, bits: u32) -> i64 {
    i64::from((value << (32 - bits)).cast_signed() >> (32 - bits))
}

/// What executing one instruction comes to.
#[derive(PartialEq, Debug)]
enum Outcome {
    Done,
    Return,
    /// A branch, or an instruction that is not simulated.
    Unknown,
}

/// Executes what prologues and epilogues are made of; encodings from the Arm Architecture Reference Manual.
fn execute(s: &mut Simulated, i: u32, next: u32) -> Outcome {
    let (rd, rn) = ((i & 31) as usize, (i >> 5 & 31) as usize);
    let loads = i >> 22 & 1 != 0;
    match i {
        0xd503_237f | 0xd503_23ff | 0xd503_201f => return Outcome::Done, // pacibsp, autibsp, nop
        0xd65f_03c0 | 0xd65f_0fff => return Outcome::Return,             // ret, retab
        _ => {}
    }
    // A call of __chkstk: the allocation by X15 follows.
    if i >> 26 == 0b10_0101 && next & 0xffff_ffe0 == 0xcb2f_73e0 {
        s.registers[LR] = mark(LR, 0xffff);
        return Outcome::Done;
    }
    if i == 0xcb2f_73ff {
        s.registers[SP] -= s.registers[15] << 4; // sub sp, sp, x15, lsl #4
        return Outcome::Done;
    }
    if i & 0xffe0_001f == 0xd280_000f {
        s.registers[15] = u64::from(i >> 5 & 0xffff); // mov x15, #immediate
        return Outcome::Done;
    }
    // add and sub of an immediate, 64 bits, no flags.
    if i & 0xbf80_0000 == 0x9100_0000 {
        let immediate = u64::from(i >> 10 & 0xfff) << if i >> 22 & 1 != 0 { 12 } else { 0 };
        if rd == SP || rn == SP || rn == 29 {
            let base = s.registers[rn];
            s.registers[rd] = if i >> 30 & 1 != 0 { base.wrapping_sub(immediate) } else { base.wrapping_add(immediate) };
        } else {
            s.junk(rd);
        }
        return Outcome::Done;
    }
    // Pairs: stp and ldp of X (10), D (01) and Q (10, vector) registers.
    if i & 0x3a00_0000 == 0x2800_0000 {
        let (size, vector, mode) = (i >> 30, i >> 26 & 1 != 0, i >> 23 & 3);
        let width = match (vector, size) {
            (false, 2) => 8,
            (true, 1) => 8,
            (true, 2) => 16,
            _ => return Outcome::Unknown,
        };
        let second = (i >> 10 & 31) as usize;
        return transfer(s, &[rd, second], vector, width, loads, rn, signed(i >> 15 & 0x7f, 7) * width as i64, mode);
    }
    // Single registers with an unsigned offset, X and D.
    if matches!(i & 0xff80_0000, 0xf900_0000 | 0xfd00_0000) {
        let offset = i64::from(i >> 10 & 0xfff) * 8;
        return transfer(s, &[rd], i >> 26 & 1 != 0, 8, loads, rn, offset, 2);
    }
    // Single registers, before (11) or after (01) the base is moved.
    if matches!(i & 0xffa0_0000, 0xf800_0000 | 0xfc00_0000) && matches!(i >> 10 & 3, 1 | 3) {
        let mode = if i >> 10 & 3 == 3 { 3 } else { 1 };
        return transfer(s, &[rd], i >> 26 & 1 != 0, 8, loads, rn, signed(i >> 12 & 0x1ff, 9), mode);
    }
    // Moves and arithmetic of the body write one register.
    let writes_one = matches!(i >> 24 & 0x1f, 0x0a | 0x0b | 0x10..=0x13 | 0x1a | 0x1b) && i & 0x7fe0_0000 != 0x7a40_0000;
    if writes_one && rd < 29 {
        s.junk(rd);
        return Outcome::Done;
    }
    Outcome::Unknown
}

#[expect(clippy::too_many_arguments, reason = "the fields of an instruction")]
fn transfer(s: &mut Simulated, registers: &[usize], vector: bool, width: usize, loads: bool, rn: usize, offset: i64, mode: u32) -> Outcome {
    let base = s.registers[rn];
    let moved = base.wrapping_add_signed(offset);
    // 1 moves the base afterwards, 2 not at all, 3 before.
    let mut at = if mode == 1 { base } else { moved };
    for &register in registers {
        let done = match (vector, loads) {
            (false, true) => s.load_u64(at).map(|value| {
                if register != 31 {
                    s.registers[register] = value
                }
            }),
            (false, false) => Some(s.store(at, &if register == 31 { [0; 8] } else { s.registers[register].to_le_bytes() }))
                .filter(|&done| done)
                .map(|_| ()),
            (true, true) if width == 16 => s.load_u128(at).map(|value| s.vectors[register] = value),
            (true, true) => s.load_u64(at).map(|value| s.vectors[register] = value.into()),
            (true, false) => Some(s.store(at, &s.vectors[register].to_le_bytes()[..width])).filter(|&done| done).map(|_| ()),
        };
        if done.is_none() {
            if rn == SP {
                return Outcome::Unknown;
            }
            // Memory elsewhere.
            if loads && !vector && register != 31 {
                s.junk(register);
            }
        }
        at += width as u64;
    }
    if mode != 2 {
        s.registers[rn] = moved;
    }
    Outcome::Done
}

/// Says how unwinding at an instruction differs from the truth.
fn check(file: &pe::File<FileBytes>, s: &Simulated, rva: u32) -> Result<(), String> {
    let caller = unwind_at(file, s, rva, SP).map_err(|reason| reason.to_string())?;
    if (caller.context.ip(), caller.context.sp()) != (Some(RETURN_ADDRESS), Some(TOP)) {
        return Err(format!("pc {:x?} sp {:x?}", caller.context.ip(), caller.context.sp()));
    }
    for register in 19..30 {
        if caller.context.get(register) != Some(mark(register, 0)) {
            return Err(format!("x{register} {:x?}", caller.context.get(register)));
        }
    }
    for register in 8..16 {
        let low = caller.context.vector(register).map(|value| value & u128::from(u64::MAX));
        if low != Some(mark_vector(register, 0) & u128::from(u64::MAX)) {
            return Err(format!("d{register} {low:x?}"));
        }
    }
    Ok(())
}

fn called() -> Simulated {
    let mut s = Simulated::new(Arch::Arm64);
    s.registers[SP] = TOP;
    s.registers[LR] = RETURN_ADDRESS;
    s
}

/// Registers that lie on the stack may hold anything in the body.
fn scramble(s: &mut Simulated) {
    let words = s.stored.clone();
    for register in 19..29 {
        if words.contains(&mark(register, 0)) {
            s.junk(register);
        }
    }
    for register in 8..16 {
        if words.contains(&(mark_vector(register, 0) as u64)) {
            s.junk_vector(register);
        }
    }
    if words.contains(&RETURN_ADDRESS) {
        s.junk(LR);
    }
}

/// False for code that leaves the stack pointer elsewhere: helpers that store the security cookie for their caller.
fn returns_to_top(mut s: Simulated, instructions: impl Iterator<Item = u32>) -> bool {
    instructions.for_each(|instruction| {
        execute(&mut s, instruction, 0);
    });
    s.registers[SP] == TOP
}

#[derive(Default, Debug)]
struct Tally {
    unusual: u32,
    functions: u32,
    packed: u32,
    fragments: u32,
    prologue: u32,
    epilogue: u32,
    returns: u32,
    wrong: Vec<String>,
}

struct Function {
    begin: u32,
    end: u32,
    packed: bool,
    fragment: bool,
    prologue: u32,
}

/// Length and kind of a function, and the number of bytes of its prologue's codes.
fn function(file: &pe::File<FileBytes>, begin: u32, unwind: u32) -> Function {
    if unwind & 3 != 0 {
        return Function { begin, end: begin + 4 * (unwind >> 2 & 0x7ff), packed: true, fragment: unwind & 3 == 2, prologue: 64 };
    }
    let header = u32_at(file, unwind);
    let (mut scopes, mut words, mut at) = (header >> 22 & 31, header >> 27, unwind + 4);
    if scopes == 0 && words == 0 {
        let extension = u32_at(file, at);
        (scopes, words, at) = (extension & 0xffff, extension >> 16 & 0xff, at + 4);
    }
    if header >> 21 & 1 == 0 {
        at += 4 * scopes;
    }
    let mut codes = vec![0; 4 * words as usize];
    file.read(at, &mut codes);
    Function { begin, end: begin + 4 * (header & 0x3_ffff), packed: false, fragment: codes.contains(&0xe5), prologue: words * 4 }
}

fn try_function(file: &pe::File<FileBytes>, function: &Function, tally: &mut Tally) {
    let mut s = called();
    let mut rva = function.begin;
    let mut wrong = Vec::new();
    let next = |rva: u32| if rva + 4 < function.end { u32_at(file, rva + 4) } else { 0 };
    let instruction = |rva: u32| u32_at(file, rva);
    while rva < function.end && rva < function.begin + 4 * function.prologue {
        tally.prologue += 1;
        if let Err(why) = check(file, &s, rva) {
            wrong.push(format!("{rva:#x} (function {:#x}) {why}", function.begin));
            break;
        }
        let code = instruction(rva);
        if execute(&mut s, code, next(rva)) != Outcome::Done {
            break;
        }
        rva += 4;
    }
    scramble(&mut s);
    let body = s;
    let mut scratch = body.clone();
    // A function without branches has been run to its end already.
    for end in (rva + 4..function.end).step_by(4).filter(|&rva| matches!(instruction(rva), 0xd65f_03c0 | 0xd65f_0fff)) {
        // The longest run up to the return that can be executed here.
        let start =
            (rva..end).step_by(4).rev().take(24).take_while(|&rva| execute(&mut scratch, instruction(rva), 0) == Outcome::Done).last();
        let (mut s, mut at) = (body.clone(), start.unwrap_or(end));
        if !returns_to_top(s.clone(), (at..end).step_by(4).map(instruction)) {
            tally.unusual += 1;
            continue;
        }
        tally.returns += 1;
        loop {
            tally.epilogue += 1;
            if let Err(why) = check(file, &s, at) {
                wrong.push(format!("{at:#x} (epilogue to {end:#x}, function {:#x}) {why}", function.begin));
                break;
            }
            if execute(&mut s, instruction(at), 0) != Outcome::Done {
                break;
            }
            at += 4;
        }
    }
    tally.wrong.extend(wrong);
}

#[test]
fn every_instruction_of_real_prologues_and_epilogues_unwinds_to_the_caller() {
    let mut tally = Tally::default();
    for path in common::node_pty("arm64") {
        let file = common::image_file(&path);
        let table = Layout::read(&file).unwrap().exceptions;
        let before = tally.wrong.len();
        for entry in 0..table.size / 8 {
            let (begin, unwind) = (u32_at(&file, table.rva + 8 * entry), u32_at(&file, table.rva + 8 * entry + 4));
            let function = function(&file, begin, unwind);
            if function.fragment {
                tally.fragments += 1;
                continue;
            }
            tally.functions += 1;
            tally.packed += u32::from(function.packed);
            try_function(&file, &function, &mut tally);
        }
        eprintln!("{}: {} wrong", path.display(), tally.wrong.len() - before);
    }
    eprintln!(
        "{} functions ({} packed), {} fragments, {} prologue places, {} returns, {} epilogue places, {} that keep the stack pointer moved",
        tally.functions, tally.packed, tally.fragments, tally.prologue, tally.returns, tally.epilogue, tally.unusual
    );
    for wrong in tally.wrong.iter().take(40) {
        eprintln!("{wrong}");
    }
    assert!(tally.wrong.is_empty(), "{} wrong", tally.wrong.len());
}
