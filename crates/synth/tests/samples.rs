//! The committed samples, and the promises every story keeps.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use bugcheck_synth::{Arch, scenario, write_samples};
use common::Triage;
use std::path::Path;

#[test]
fn samples_are_what_the_stories_write() {
    let committed = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples"));
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("samples");
    let _ = std::fs::remove_dir_all(&fresh);
    let names = write_samples(&fresh).unwrap();
    let mut total = 0;
    for name in &names {
        for file in [format!("{name}.dmp"), format!("{name}.truth.json")] {
            let new = std::fs::read(fresh.join(&file)).unwrap();
            total += new.len();
            assert!(
                std::fs::read(committed.join(&file)).is_ok_and(|old| old == new),
                "samples/{file} is out of date: run `cargo run -p bugcheck-synth --example write_samples -- samples`"
            );
        }
    }
    for entry in std::fs::read_dir(committed).unwrap() {
        let entry = entry.unwrap();
        // Folders hold what others wrote, the crash laboratory for one.
        if entry.path().is_dir() {
            continue;
        }
        let file = entry.file_name().into_string().unwrap();
        assert!(file == "README.md" || fresh.join(&file).exists(), "samples/{file} is written by no story any more: delete it");
    }
    assert!(total < 1_500_000, "samples take {total} bytes");
}

#[test]
fn stories_are_small_and_distinct() {
    let all = scenario::all();
    let mut names: Vec<_> = all.iter().map(|s| s.name.clone()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all.len());
    for s in &all {
        let size = s.dump.bytes().len();
        assert!(size < 64 * 1024, "{}: {size} bytes", s.name);
    }
}

/// Return addresses of the true stack lie in the dump's memory, each behind a call instruction; modules do not
/// overlap; the innermost frame of a fault is what the parameters say.
#[test]
fn true_stacks_are_in_the_dumps() {
    for s in scenario::all() {
        let bytes = s.dump.bytes();
        let t = Triage::new(&bytes);
        let mut modules: Vec<(u64, u64)> = t.modules().iter().map(|m| (m.base, u64::from(m.size))).collect();
        modules.sort_unstable();
        assert!(modules.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0), "{}: modules overlap", s.name);
        let width = if t.wide { 8 } else { 4 };
        let words: Vec<u64> = t
            .memory()
            .iter()
            .filter(|(_, b)| b.len() != 0x1000)
            .flat_map(|(_, b)| b.chunks_exact(width))
            .map(|w| w.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)))
            .collect();
        for frame in s.truth.stack.iter().skip(1) {
            assert!(words.contains(&frame.ip), "{}: {:#x} is on no stack", s.name, frame.ip);
            let before = t.read(frame.ip - 6, 6).unwrap_or_else(|| panic!("{}: no code at {:#x}", s.name, frame.ip));
            let call = match s.dump.header.arch {
                Arch::Arm64 => before[5] >> 2 == 0x25 || before[2..6] == [0x00, 0x01, 0x3f, 0xd6],
                _ => before[1] == 0xe8 || before[..2] == [0xff, 0x15] || before[4..] == [0xff, 0xd0],
            };
            assert!(call, "{}: no call before {:#x}: {before:x?}", s.name, frame.ip);
        }
        if s.truth.expected_kind == "fault" && s.truth.family.as_deref() == Some("driver") {
            let subject = s.truth.subject.as_deref().unwrap();
            let known = s.dump.drivers.iter().any(|d| d.path.ends_with(subject)) || s.dump.unloaded.iter().any(|d| d.name == subject);
            assert!(known, "{}: {subject} is not loaded", s.name);
        }
    }
}

#[test]
fn truth_is_json() {
    for s in scenario::all() {
        let json = s.truth.json();
        let quotes = json.matches('"').count() - json.matches("\\\"").count();
        assert!(json.starts_with("{\n  \"schema\": \"bugcheck.truth/1\"") && quotes % 2 == 0, "{json}");
        assert_eq!(json.matches('{').count(), json.matches('}').count());
        assert!(json.contains("\"expected_kind\""));
    }
}
