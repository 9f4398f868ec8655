//! Real Microsoft drivers and a real minidump: the frames that rizin shows for it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use bugcheck_dump::Arch;
use bugcheck_unwind::{Context, NoImages, Trust, unwind};
use common::{Machine, data};

/// (instruction pointer, stack pointer) of rizin's backtrace.
fn expected(test: &str) -> Vec<(u64, u64)> {
    let text = std::fs::read_to_string(data("expected/rizin_test_db_formats_dmp.txt").unwrap()).unwrap();
    let part = text.split("NAME=: ").find(|part| part.starts_with(test)).unwrap();
    let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap();
    let frame = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        (words.len() > 4 && words[2] == "sp:").then(|| (hex(words[1]), hex(words[3])))
    };
    part.lines().filter_map(frame).collect()
}

/// The x64 dump with the images of the two drivers on its stack.
fn x64_machine() -> Option<Machine> {
    let mut machine = Machine::open(&data("dumps/rizinorg_rizin-testbins__triage_x64.dmp")?);
    machine.add(&data("symbols/amdppm.sys/c9c030003b000/amdppm.sys").unwrap());
    machine.add(&data("symbols/Wdf01000.sys/a9a9d36ed1000/Wdf01000.sys").unwrap());
    Some(machine)
}

#[test]
fn frames_of_drivers_whose_images_are_there_are_truly_unwound() {
    let Some(machine) = x64_machine() else { return };
    let expected = expected("Triage Dump Debug x64");
    assert_eq!(expected.len(), 37);

    // The fourth parameter of 0x7E is the CONTEXT of the exception.
    let registers = machine.context(machine.dump.header().bug_check.parameters[3]);
    let walk = unwind(&machine, &machine, &Context::from_registers(&registers));
    for frame in &walk.frames {
        eprintln!("{:x?} {:?} {:?}", frame.frame, frame.broken, frame.position);
    }
    eprintln!("{:?}", walk.end);
    // From the faulting instruction through amdppm and Wdf01000 up to the return address in nt.
    let found: Vec<_> = walk.frames.iter().map(|frame| (frame.frame.ip, frame.frame.sp)).collect();
    let first = expected.iter().position(|&(ip, _)| ip == registers.ip().unwrap()).unwrap();
    let truly = 1 + walk.frames.iter().skip(1).take_while(|frame| frame.frame.trust == Trust::Unwind).count();
    assert_eq!(truly, 25 - first);
    assert_eq!(found[..truly], expected[first..first + truly]);
}

#[test]
fn arm64_frames_without_images_are_those_of_the_frame_pointers() {
    let Some(dump) = data("dumps/rizinorg_rizin-testbins__triage_arm64.dmp") else { return };
    let machine = Machine::open(&dump);
    let expected = expected("Triage Dump Debug arm64");
    let registers = machine.dump.header_context().unwrap();
    let walk = unwind(&machine, &NoImages, &Context::from_registers(&registers));
    let found: Vec<_> = walk.frames.iter().map(|frame| (frame.frame.ip, frame.frame.sp)).collect();
    assert_eq!(found[..expected.len()], expected);
    assert!(walk.frames[1..expected.len()].iter().all(|frame| frame.frame.trust == Trust::FramePointer));
}

/// From the bug check on: the exception's dispatcher in nt, the trap, and the drivers above it. A stale return address lies
/// right below the trap, and would hide a frame if it were believed. The faulting instruction itself is no return address.
#[test]
fn a_walk_from_the_bug_check_misses_no_return_address() {
    let Some(machine) = x64_machine() else { return };
    let expected = expected("Triage Dump Debug x64");
    let mut start = Context::new(Arch::X64);
    start.set_ip(expected[0].0);
    start.set_sp(machine.dump.triage().unwrap().header.top_of_stack);
    let walk = unwind(&machine, &machine, &start);
    let found: Vec<_> = walk.frames.iter().map(|frame| frame.frame.ip).collect();
    let fault = machine.dump.header_context().unwrap().ip().unwrap();
    let expected = expected.into_iter().map(|(ip, _)| ip).filter(|&ip| ip != 0 && ip != fault);
    let missing: Vec<_> = expected.filter(|ip| !found.contains(ip)).collect();
    assert!(missing.is_empty(), "{missing:x?}");
}
