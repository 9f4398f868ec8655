//! Analyses against answers that somebody else gave: Windows' own records, WinDbg, rizin, and the causes of the samples and of the
//! laboratory's crashes.
//!
//! Where an answer is in a file, the test reads it from there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod buckets;
mod lab;
mod rizin;
mod samples;
mod symbols;
mod training;
mod windbg;
mod windows;

use bugcheck_analysis::model::{Stack, StackFrame, Suspect};
use bugcheck_analysis::{Analysis, Options, analyze};
use bugcheck_dump::Dump;
use serde_json::Value;
use std::path::Path;

/// Opens and analyses, as the program does.
fn analysis(path: &Path) -> Analysis {
    let dump = Dump::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    analyze(&dump, &path.to_string_lossy(), Options::default())
}

/// The analysis of a real dump, if real dumps are at hand.
fn real(name: &str) -> Option<Analysis> {
    Some(analysis(&bugcheck_testdata::shared_path("data/dumps")?.join(name)))
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&text(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A number in hexadecimal as debuggers print it: with or without `0x`, with WinDbg's backtick.
fn hex(text: &str) -> u64 {
    let digits = text.trim().trim_start_matches("0x").replace('`', "");
    u64::from_str_radix(&digits, 16).unwrap_or_else(|_| panic!("not a hexadecimal number: {text:?}"))
}

/// The elements of a JSON list of hexadecimal strings; `null` where the truth says nothing.
fn hexes(list: &Value) -> Vec<Option<u64>> {
    list.as_array().unwrap().iter().map(|value| value.as_str().map(hex)).collect()
}

fn parameters(analysis: &Analysis) -> Vec<u64> {
    analysis.bugcheck.parameters.iter().map(|parameter| parameter.0).collect()
}

fn in_a_module(analysis: &Analysis, address: u64) -> bool {
    analysis.modules.iter().any(|module| address >= module.base.0 && address - module.base.0 < u64::from(module.size))
}

fn stack<'a>(analysis: &'a Analysis, kind: &str) -> &'a Stack {
    analysis.stacks.iter().find(|stack| stack.kind == kind).unwrap_or_else(|| panic!("{}: no {kind} stack", analysis.dump.path))
}

fn has_frame(frames: &[StackFrame], ip: u64) -> bool {
    frames.iter().any(|frame| frame.ip.0 == ip)
}

fn suspect<'a>(analysis: &'a Analysis, subject: &str) -> &'a Suspect {
    let found = analysis.suspects.iter().find(|suspect| suspect.subject == subject);
    found.unwrap_or_else(|| panic!("{}: {subject} is no suspect: {}", analysis.dump.path, ranking(analysis)))
}

/// The suspects in a line, for messages.
fn ranking(analysis: &Analysis) -> String {
    let line = |suspect: &Suspect| format!("{} ({}) {:.2}", suspect.subject, suspect.family, suspect.confidence);
    analysis.suspects.iter().map(line).collect::<Vec<_>>().join(", ")
}
