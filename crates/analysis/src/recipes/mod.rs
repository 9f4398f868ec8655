//! What each bug check tells: one recipe per family of codes.
//!
//! A recipe reads what its code's parameters point to, adds evidence to the suspects and, where it is sure, words the verdict.
//! None of them guesses: what is not in the dump becomes an entry of what is missing.

mod driver_checks;
mod graphics;
mod hang;
mod hardware;
mod memory_access;
mod memory_manager;
mod pool;
mod power;
mod process;
mod requested;
mod storage;
mod threads;

use crate::case::{Case, described, forwards};
use crate::suspects::Subject;

/// Runs the recipe of the case's bug check, and those that apply to all.
pub(crate) fn run(case: &mut Case<'_>) {
    if requested::is_test_or_requested(case) {
        return;
    }
    named_on_screen(case);
    match case.code {
        0xa
        | 0x1e
        | 0x22
        | 0x23
        | 0x24
        | 0x26
        | 0x27
        | 0x3b
        | 0x50
        | 0x7e
        | 0x8e
        | 0x9b
        | 0xbe
        | 0xc5
        | 0xcc..=0xd1
        | 0xd3..=0xd6
        | 0xfc
        | 0x103
        | 0x12c
        | 0x149
        | 0x1aa
        | 0x1ab => memory_access::run(case),
        0x139 | 0xf7 => memory_access::security_check(case),
        0x7f => memory_access::trap(case),
        0x18 | 0x19 | 0xc1 | 0xc2 | 0xc6 | 0x13a | 0x189 => pool::run(case),
        0x1a | 0x4e | 0x109 | 0x127 | 0x12b | 0x154 | 0x1c7 => memory_manager::run(case),
        0x101 | 0x133 | 0x1ca | 0x1db | 0x1cf | 0x1d0 => hang::run(case),
        0x9c | 0x124 | 0x5c | 0x65 | 0x80 => hardware::run(case),
        0xea | 0x10e | 0x113 | 0x116 | 0x117 | 0x119 | 0x141 | 0x142 | 0x193 | 0x1a8 | 0x1b0 | 0x1b8 | 0xa000_0001 => graphics::run(case),
        0x9f | 0x1d5 => power::run(case),
        0x7a | 0x77 | 0x7b | 0xed => storage::run(case),
        0xef | 0xf4 | 0xc000_021a => process::run(case),
        0xc4 | 0xc9 | 0xe6 | 0x10d | 0xcb | 0x76 => driver_checks::run(case),
        0x4a | 0x13c | 0x153 | 0x162 | 0x20 | 0x39 | 0xe3 | 0x1cc => threads::run(case),
        _ => memory_access::stack_only(case),
    }
    if case.suspects.is_empty() {
        usual_causes(case);
    }
}

/// The blue screen's "What failed": Windows writes down the driver in whose range the failing address lies, which is a witness's
/// word and no more.
fn named_on_screen(case: &mut Case<'_>) {
    let Some(name) = driver_checks::blamed(case) else { return };
    let module = case.kernel.modules.by_image(&name).or_else(|| case.kernel.modules.by_image(&format!("{name}.sys")));
    if let Some(module) = module.filter(|module| module.name != "nt") {
        let weight = if forwards(module) { 0.05 } else { 0.15 };
        case.accuse_module(module, "named-on-screen", weight, format!("Windows named {} on the blue screen", described(module)), "dump");
    }
}

/// Where nothing in the dump accuses anybody, and this code usually comes from one part of the hardware or from damaged files,
/// that is at least a place to begin.
fn usual_causes(case: &mut Case<'_>) {
    let first = bugcheck_knowledge::bug_check(case.code).and_then(|known| known.likely.first());
    if let Some(cause) = first.filter(|cause| cause.part().is_some() || cause.family() == "corrupted-files") {
        let subject = cause.part().map_or_else(Subject::corrupted_files, Subject::hardware);
        let text = "this is the usual cause of this code; nothing in this dump speaks for or against it";
        case.suspects.accuse(subject, "usual-cause", 0.15, text, "code");
    }
}
