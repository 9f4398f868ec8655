//! Real x64 code against its unwind data: prologues and epilogues are executed here, instruction by instruction, and at each
//! one the unwinder must find the registers that the function was called with. A peer, `pe-unwind-info`, is asked too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use bugcheck_dump::{Arch, FileBytes};
use bugcheck_unwind::{Layout, ReadRva, pe};
use common::simulated::{RETURN_ADDRESS, Simulated, TOP, mark, mark_vector, unwind_at};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};
use pe_unwind_info::x86_64::{FunctionTableEntries, UnwindState};
use std::path::PathBuf;

const SP: usize = 4;
const NONVOLATILE: [usize; 8] = [3, 5, 6, 7, 12, 13, 14, 15];

fn bytes_at<const N: usize>(file: &pe::File<FileBytes>, rva: u32) -> [u8; N] {
    let mut bytes = [0; N];
    assert_eq!(file.read(rva, &mut bytes), N, "{rva:#x}");
    bytes
}

fn entry(file: &pe::File<FileBytes>, rva: u32) -> (u32, u32, u32) {
    let words: [u8; 12] = bytes_at(file, rva);
    let word = |at: usize| u32::from_le_bytes(words[at..at + 4].try_into().unwrap());
    (word(0), word(4), word(8))
}

/// The instructions of a range.
fn instructions(file: &pe::File<FileBytes>, begin: u32, end: u32) -> Vec<Instruction> {
    let mut code = vec![0; (end - begin) as usize];
    let length = file.read(begin, &mut code);
    Decoder::with_ip(64, &code[..length], begin.into(), DecoderOptions::NONE).into_iter().collect()
}

#[derive(PartialEq, Debug)]
enum Outcome {
    Done,
    Return,
    Unknown,
}

fn number(register: Register) -> Option<usize> {
    register.is_gpr64().then(|| register.number())
}

/// The address of a memory operand, if it is built from registers.
fn address(s: &Simulated, i: &Instruction) -> Option<u64> {
    if i.is_ip_rel_memory_operand() || i.segment_prefix() != Register::None {
        return None;
    }
    let value = |register: Register| if register == Register::None { Some(0) } else { number(register).map(|n| s.registers[n]) };
    let index = value(i.memory_index())?.wrapping_mul(i.memory_index_scale().into());
    Some(value(i.memory_base())?.wrapping_add(index).wrapping_add(i.memory_displacement64()))
}

fn allocates_by_register(i: &Instruction) -> bool {
    i.mnemonic() == Mnemonic::Sub && i.op0_register() == Register::RSP && i.op1_kind() == OpKind::Register
}

fn execute(s: &mut Simulated, i: &Instruction, next: Option<&Instruction>, info: &mut InstructionInfoFactory) -> Outcome {
    // A call of __chkstk preserves RAX.
    if i.mnemonic() == Mnemonic::Call && next.is_some_and(allocates_by_register) {
        return Outcome::Done;
    }
    if i.mnemonic() == Mnemonic::Call {
        for register in [0, 1, 2, 8, 9, 10, 11] {
            s.junk(register);
        }
        return Outcome::Done;
    }
    if i.mnemonic() == Mnemonic::Ret {
        return Outcome::Return;
    }
    if i.flow_control() != FlowControl::Next {
        return Outcome::Unknown;
    }
    let (to, from) = (number(i.op0_register()), number(i.op1_register()));
    let constant = matches!(i.op1_kind(), OpKind::Immediate8to64 | OpKind::Immediate32to64).then(|| i.immediate(1));
    let memory = |kind: OpKind| kind == OpKind::Memory;
    match i.mnemonic() {
        Mnemonic::Push => {
            s.registers[SP] -= 8;
            let value = to.map_or(0, |to| if to == SP { s.registers[SP] + 8 } else { s.registers[to] });
            s.store(s.registers[SP], &value.to_le_bytes());
        }
        Mnemonic::Pop if to.is_some() => {
            let Some(value) = s.load_u64(s.registers[SP]) else { return Outcome::Unknown };
            s.registers[SP] += 8;
            s.registers[to.unwrap()] = value;
        }
        Mnemonic::Sub if to == Some(SP) => match constant.or(from.map(|from| s.registers[from])) {
            Some(size) => s.registers[SP] = s.registers[SP].wrapping_sub(size),
            None => return Outcome::Unknown,
        },
        Mnemonic::Add if to == Some(SP) && constant.is_some() => s.registers[SP] = s.registers[SP].wrapping_add(constant.unwrap()),
        Mnemonic::Lea if to.is_some() && address(s, i).is_some() => s.registers[to.unwrap()] = address(s, i).unwrap(),
        Mnemonic::Mov if to.is_some() && from.is_some() => s.registers[to.unwrap()] = s.registers[from.unwrap()],
        Mnemonic::Mov if i.op0_register() == Register::EAX && i.op1_kind() == OpKind::Immediate32 => {
            s.registers[0] = i.immediate32().into()
        }
        Mnemonic::Mov if to.is_some() && memory(i.op1_kind()) => match address(s, i).and_then(|at| s.load_u64(at)) {
            Some(value) => s.registers[to.unwrap()] = value,
            None => s.junk(to.unwrap()),
        },
        Mnemonic::Mov if memory(i.op0_kind()) && from.is_some() => {
            if let Some(at) = address(s, i) {
                s.store(at, &s.registers[from.unwrap()].to_le_bytes());
            }
        }
        Mnemonic::Movaps | Mnemonic::Movups | Mnemonic::Movdqa | Mnemonic::Movdqu | Mnemonic::Vmovdqa | Mnemonic::Vmovaps
            if i.op0_register().is_xmm() && memory(i.op1_kind()) =>
        {
            match address(s, i).and_then(|at| s.load_u128(at)) {
                Some(value) => s.vectors[i.op0_register().number()] = value,
                None => s.junk_vector(i.op0_register().number()),
            }
        }
        Mnemonic::Movaps | Mnemonic::Movups | Mnemonic::Movdqa | Mnemonic::Movdqu if memory(i.op0_kind()) && i.op1_register().is_xmm() => {
            if let Some(at) = address(s, i) {
                s.store(at, &s.vectors[i.op1_register().number()].to_le_bytes());
            }
        }
        _ => return other(s, i, info),
    }
    Outcome::Done
}

/// Of other instructions only what they write counts.
fn other(s: &mut Simulated, i: &Instruction, info: &mut InstructionInfoFactory) -> Outcome {
    for used in info.info(i).used_registers() {
        let writes = !matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::None | OpAccess::NoMemAccess);
        let register = used.register();
        if !writes {
            continue;
        }
        if register.is_gpr() {
            if register.full_register() == Register::RSP {
                return Outcome::Unknown;
            }
            s.junk(register.full_register().number());
        } else if register.is_vector_register() {
            s.junk_vector(register.number());
        }
    }
    Outcome::Done
}

/// The peer's view of the simulated machine.
struct Peer<'s> {
    s: &'s Simulated,
    registers: Vec<u64>,
    vectors: Vec<u128>,
}

impl UnwindState for Peer<'_> {
    fn read_register(&mut self, register: pe_unwind_info::x86_64::Register) -> u64 {
        self.registers[register as usize]
    }
    fn read_stack(&mut self, address: u64) -> Option<u64> {
        self.s.load_u64(address)
    }
    fn write_register(&mut self, register: pe_unwind_info::x86_64::Register, value: u64) {
        self.registers[register as usize] = value;
    }
    fn write_xmm_register(&mut self, register: pe_unwind_info::x86_64::XmmRegister, value: u128) {
        self.vectors[register as usize] = value;
    }
}

struct Tested {
    file: pe::File<FileBytes>,
    bytes: Vec<u8>,
    table: Vec<u8>,
}

#[derive(Default)]
struct Tally {
    functions: u32,
    chained: u32,
    saved_elsewhere: u32,
    prologue: u32,
    ends: u32,
    epilogue: u32,
    unusual: u32,
    peer_agrees: u32,
    peer_differs: Vec<String>,
    wrong: Vec<String>,
}

impl Tally {
    /// Unwinds at an instruction and compares with the truth.
    fn check(&mut self, tested: &Tested, s: &Simulated, rva: u32, what: &str) -> bool {
        let truth = truth(tested, s, rva);
        if let Err(why) = &truth {
            self.wrong.push(format!("{rva:#x} ({what}): {why}"));
        }
        let mut peer = Peer { s, registers: s.registers.clone(), vectors: s.vectors.clone() };
        let entries = FunctionTableEntries::parse(&tested.table);
        let ip = entries.unwind_frame_with_image(&mut peer, &tested.bytes, rva);
        let agrees = ip == Some(RETURN_ADDRESS)
            && peer.registers[SP] == TOP + 8
            && NONVOLATILE.iter().all(|&register| peer.registers[register] == mark(register, 0))
            && (6..16).all(|register| peer.vectors[register] == mark_vector(register, 0));
        if agrees == truth.is_ok() {
            self.peer_agrees += 1;
        } else {
            self.peer_differs.push(format!("{rva:#x} ({what}) {ip:x?} sp {:x?}", peer.registers[SP]));
        }
        truth.is_ok()
    }
}

fn truth(tested: &Tested, s: &Simulated, rva: u32) -> Result<(), String> {
    let caller = unwind_at(&tested.file, s, rva, SP).map_err(|reason| reason.to_string())?;
    let context = &caller.context;
    if (context.ip(), context.sp()) != (Some(RETURN_ADDRESS), Some(TOP + 8)) {
        return Err(format!("rip {:x?} rsp {:x?}", context.ip(), context.sp()));
    }
    if let Some(register) = NONVOLATILE.iter().find(|&&register| context.get(register) != Some(mark(register, 0))) {
        return Err(format!("register {register} {:x?}", context.get(*register)));
    }
    match (6..16).find(|&register| context.vector(register) != Some(mark_vector(register, 0))) {
        Some(register) => Err(format!("xmm{register} {:x?}", context.vector(register))),
        None => Ok(()),
    }
}

/// True if a part of a function has codes for what happened before it began: another part saved these registers.
fn saves_elsewhere(file: &pe::File<FileBytes>, unwind: u32, depth: u32) -> bool {
    let [header, _, count, _]: [u8; 4] = bytes_at(file, unwind);
    let mut codes = vec![0; 2 * usize::from(count)];
    file.read(unwind + 4, &mut codes);
    if depth < 4 && header >> 3 & 4 != 0 {
        let parent = entry(file, unwind + 4 + 2 * u32::from(count).next_multiple_of(2));
        if saves_elsewhere(file, parent.2, depth + 1) {
            return true;
        }
    } else {
        return false;
    }
    let mut rest = codes.chunks_exact(2);
    while let Some([at, code]) = rest.next() {
        let operands = match code & 15 {
            1 if code >> 4 == 0 => 1,
            1 | 5 | 9 => 2,
            4 | 8 => 1,
            _ => 0,
        };
        if *at == 0 && !(header & 7 == 2 && code & 15 == 6) {
            return true;
        }
        rest.by_ref().take(operands).for_each(drop);
    }
    false
}

/// Runs the prologue of a function, after those of the functions that it is chained to.
fn run_prologue(tested: &Tested, function: (u32, u32, u32), depth: u32, tally: &mut Tally) -> Option<(Simulated, u32)> {
    let (begin, end, unwind) = function;
    let [header, prologue, count, frame]: [u8; 4] = bytes_at(&tested.file, unwind);
    let mut s = if header >> 3 & 4 != 0 && depth < 4 {
        let parent = entry(&tested.file, unwind + 4 + 2 * u32::from(count).next_multiple_of(2));
        run_prologue(tested, parent, depth + 1, tally)?.0
    } else {
        let mut s = Simulated::new(Arch::X64);
        s.registers[SP] = TOP;
        s.store(TOP, &RETURN_ADDRESS.to_le_bytes());
        s
    };
    let mut info = InstructionInfoFactory::new();
    let code = instructions(&tested.file, begin, end.min(begin + 256));
    let mut at = begin;
    for (index, i) in code.iter().enumerate() {
        if at > begin + u32::from(prologue) {
            break;
        }
        if depth == 0 {
            tally.prologue += 1;
            if !tally.check(tested, &s, at, &format!("prologue of {begin:#x}")) {
                return None;
            }
        }
        if at == begin + u32::from(prologue) {
            break;
        }
        let next = code.get(index + 1);
        if i.mnemonic() == Mnemonic::Call && !next.is_some_and(allocates_by_register)
            || execute(&mut s, i, next, &mut info) != Outcome::Done
        {
            return None;
        }
        at = u32::try_from(i.next_ip()).unwrap();
    }
    scramble(&mut s, usize::from(frame & 15));
    Some((s, at))
}

/// Registers that lie on the stack may hold anything in the body, but for the frame pointer.
fn scramble(s: &mut Simulated, frame_register: usize) {
    let words = s.stored.clone();
    for register in NONVOLATILE {
        if register != frame_register && words.contains(&mark(register, 0)) && s.registers[register] == mark(register, 0) {
            s.junk(register);
        }
    }
    for register in 6..16 {
        if words.contains(&(mark_vector(register, 0) as u64)) {
            s.junk_vector(register);
        }
    }
}

/// Runs up to each return, and each jump to another function, from as far before it as the code can be executed in a row.
fn run_epilogues(tested: &Tested, function: (u32, u32, u32), body: &Simulated, from: u32, tally: &mut Tally) {
    let (begin, end, _) = function;
    let code = instructions(&tested.file, begin, end);
    let mut info = InstructionInfoFactory::new();
    let leaves = |i: &Instruction| {
        let jumps_out = i.mnemonic() == Mnemonic::Jmp
            && i.op0_kind() == OpKind::NearBranch64
            && !(begin.into()..end.into()).contains(&i.near_branch_target());
        i.mnemonic() == Mnemonic::Ret || jumps_out
    };
    for (last, _) in code.iter().enumerate().filter(|(_, i)| leaves(i)) {
        let mut scratch = body.clone();
        let runs = |i: &&Instruction| i.ip() >= from.into() && execute(&mut scratch, i, None, &mut info) == Outcome::Done;
        let window = code[..last].iter().rev().take(24).take_while(runs).count();
        let window = &code[last - window..=last];
        let states = run(body, window, &mut info);
        if window[0].ip() < from.into() || !is_as_called(states.last().unwrap()) {
            // The body has branches that this does not follow, or registers were restored before them.
            tally.unusual += 1;
            continue;
        }
        tally.ends += 1;
        for (s, i) in states.iter().zip(window) {
            tally.epilogue += 1;
            if !tally.check(tested, s, u32::try_from(i.ip()).unwrap(), &format!("epilogue of {begin:#x}")) {
                break;
            }
        }
    }
}

/// A function may return only with everything as it was called.
fn is_as_called(s: &Simulated) -> bool {
    s.registers[SP] == TOP
        && s.load_u64(TOP) == Some(RETURN_ADDRESS)
        && NONVOLATILE.iter().all(|&register| s.registers[register] == mark(register, 0))
        && (6..16).all(|register| s.vectors[register] == mark_vector(register, 0))
}

/// The state before each instruction.
fn run(body: &Simulated, window: &[Instruction], info: &mut InstructionInfoFactory) -> Vec<Simulated> {
    let mut s = body.clone();
    let mut states = Vec::new();
    for i in window {
        states.push(s.clone());
        execute(&mut s, i, None, info);
    }
    states
}

fn real_images() -> Vec<PathBuf> {
    let drivers = ["symbols/amdppm.sys/c9c030003b000/amdppm.sys", "symbols/Wdf01000.sys/a9a9d36ed1000/Wdf01000.sys"];
    drivers.iter().filter_map(|driver| common::data(driver)).chain(common::node_pty("x64")).collect()
}

#[test]
fn every_instruction_of_real_prologues_and_epilogues_unwinds_to_the_caller() {
    let mut tally = Tally::default();
    for path in real_images() {
        let file = common::image_file(&path);
        let exceptions = Layout::read(&file).unwrap().exceptions;
        let mut table = vec![0; exceptions.size as usize];
        assert_eq!(file.read(exceptions.rva, &mut table), table.len());
        let tested = Tested { file, bytes: std::fs::read(&path).unwrap(), table };
        let (before, peer_before) = (tally.wrong.len(), tally.peer_differs.len());
        let name = bugcheck_testdata::name(&path);
        for index in 0..exceptions.size / 12 {
            let function = entry(&tested.file, exceptions.rva + 12 * index);
            if function.0 == 0 {
                continue;
            }
            tally.functions += 1;
            let [header, ..]: [u8; 4] = bytes_at(&tested.file, function.2);
            tally.chained += u32::from(header >> 3 & 4 != 0);
            if header >> 3 & 4 != 0 && saves_elsewhere(&tested.file, function.2, 0) {
                // Its registers were saved by another part of the function.
                tally.saved_elsewhere += 1;
                continue;
            }
            if let Some((body, from)) = run_prologue(&tested, function, 0, &mut tally) {
                run_epilogues(&tested, function, &body, from, &mut tally);
            }
        }
        // The peer takes jumps within a function for ends of epilogues, and has trouble with version 2, which the drivers use.
        let differs = tally.peer_differs.len() - peer_before;
        assert!(name.ends_with(".sys") || differs < 10, "the peer differs at {differs} places in {name}");
        tally.wrong.iter_mut().skip(before).for_each(|wrong| wrong.insert_str(0, &format!("{name} ")));
        eprintln!("{}: {} wrong, {} of the peer", path.display(), tally.wrong.len() - before, tally.peer_differs.len() - peer_before);
    }
    eprintln!(
        "{} functions ({} chained, {} of them not run), {} prologue places, {} ends ({} not followed), {} epilogue places; the peer agrees at {}, differs at {}",
        tally.functions,
        tally.chained,
        tally.saved_elsewhere,
        tally.prologue,
        tally.ends,
        tally.unusual,
        tally.epilogue,
        tally.peer_agrees,
        tally.peer_differs.len()
    );
    for wrong in tally.wrong.iter().take(30).chain(tally.peer_differs.iter().rev().take(8)) {
        eprintln!("{wrong}");
    }
    assert!(tally.wrong.is_empty(), "{} wrong", tally.wrong.len());
}
