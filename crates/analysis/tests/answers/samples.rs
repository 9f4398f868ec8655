//! The committed samples against their truth files.

use crate::{analysis, hex, hexes, json, parameters, ranking};
use bugcheck_analysis::Analysis;
use bugcheck_testdata::{name, samples, truth_of};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What is not right yet: the sample, and `suspect`, `kind` or `frames`. Taking a line out is progress.
const KNOWN_MISSES: &[(&str, &str)] = &[
    ("clock-watchdog-101", "frames"),
    ("null-write-d1-bitmap", "frames"),
    ("null-write-d1-bitmap", "suspect"),
    ("null-write-d1-full", "frames"),
    ("null-write-d1-full", "suspect"),
    ("null-write-d1-kernel", "frames"),
    ("null-write-d1-kernel", "suspect"),
    ("null-write-d1-ranges", "frames"),
    ("null-write-d1-ranges", "suspect"),
];

fn cases() -> Vec<(String, Analysis, Value)> {
    let case = |path: &std::path::PathBuf| (name(path), analysis(path), json(&truth_of(path)));
    samples().iter().map(case).collect()
}

#[test]
fn stop_codes_and_parameters_are_true() {
    for (name, analysis, truth) in cases() {
        let code = hex(truth["bugcheck"]["code"].as_str().unwrap());
        let base = analysis.bugcheck.base_code.0;
        assert!(code == analysis.bugcheck.code.0 || code == base, "{name}: {code:#x}");
        let expected = hexes(&truth["bugcheck"]["parameters"]);
        for (n, (expected, ours)) in expected.iter().zip(parameters(&analysis)).enumerate() {
            assert!(expected.is_none_or(|expected| expected == ours), "{name}: P{} is {ours:#x}", n + 1);
        }
        assert_eq!(expected.len(), 4, "{name}");
    }
}

#[test]
fn suspects_exclude_each_other() {
    for (name, analysis, _) in cases() {
        let sum: f64 = analysis.suspects.iter().map(|suspect| suspect.confidence).sum();
        assert!(sum <= 1.0 + 1e-9, "{name}: {sum}: {}", ranking(&analysis));
        let mut subjects: Vec<_> = analysis.suspects.iter().map(|suspect| suspect.subject.to_lowercase()).collect();
        subjects.sort();
        assert!(subjects.windows(2).all(|two| two[0] != two[1]), "{name}: {}", ranking(&analysis));
        assert!(analysis.suspects.is_sorted_by(|a, b| a.confidence >= b.confidence), "{name}: {}", ranking(&analysis));
        for suspect in &analysis.suspects {
            assert_eq!(suspect.family == "hardware", suspect.part.is_some(), "{name}: {}", suspect.subject);
            assert!(suspect.evidence.iter().any(|evidence| evidence.direction == "for"), "{name}: nothing for {}", suspect.subject);
        }
    }
}

/// What a truth file says and the analysis does not.
pub(crate) fn misses(analysis: &Analysis, truth: &Value) -> Vec<(&'static str, String)> {
    let mut misses = Vec::new();
    let first = analysis.suspects.first();
    if let Some(family) = truth["family"].as_str() {
        let same_subject = |subject: &str| truth["subject"].as_str().is_some_and(|wanted| wanted.eq_ignore_ascii_case(subject));
        let right = first.is_some_and(|first| {
            first.family == family && if family == "hardware" { first.part == truth["part"].as_str() } else { same_subject(&first.subject) }
        });
        if !right {
            misses.push(("suspect", format!("{} ({family}), not {}", truth["subject"], ranking(analysis))));
        }
    } else if let Some(first) = first {
        misses.push(("suspect", format!("nobody, not {}", first.subject)));
    }
    let kind = truth["expected_kind"].as_str().unwrap();
    if analysis.verdict.kind != kind {
        misses.push(("kind", format!("{kind}, not {}", analysis.verdict.kind)));
    }
    let frames = analysis.stack.iter().chain(analysis.stacks.iter().flat_map(|stack| &stack.frames));
    let ips: BTreeSet<u64> = frames.map(|frame| frame.ip.0).collect();
    let stack = truth["stack"].as_array().cloned().unwrap_or_default();
    let lost: Vec<_> = stack.iter().filter(|frame| !ips.contains(&hex(frame["ip"].as_str().unwrap()))).collect();
    if !lost.is_empty() {
        let lost = lost.iter().map(|frame| format!("{}!{}", frame["module"].as_str().unwrap(), frame["symbol"].as_str().unwrap()));
        misses.push(("frames", lost.collect::<Vec<_>>().join(", ")));
    }
    misses
}

#[test]
fn verdicts_are_true_but_for_the_known_misses() {
    let mut table = String::new();
    let mut found = BTreeSet::new();
    let mut count = 0;
    for (name, analysis, truth) in cases() {
        let name = name.trim_end_matches(".dmp").to_owned();
        for (what, text) in misses(&analysis, &truth) {
            let _ = writeln!(table, "  {name:<26} {what:<8} {text}");
            found.insert((name.clone(), what));
        }
        count += 1;
    }
    let known: BTreeSet<(String, &str)> = KNOWN_MISSES.iter().map(|&(name, what)| (name.to_owned(), what)).collect();
    let new: Vec<_> = found.difference(&known).collect();
    let fixed: Vec<_> = known.difference(&found).collect();
    println!("{count} samples, {} misses:\n{table}", found.len());
    assert!(new.is_empty() && fixed.is_empty(), "new misses: {new:?}\nno longer missed (take them out of the list): {fixed:?}\n{table}");
    let wrong_suspects = found.iter().filter(|(_, what)| *what == "suspect").count();
    assert!(count >= 27 && wrong_suspects * 3 <= count, "{wrong_suspects} of {count} first suspects are wrong");
}
