//! Finds the bug checks that a part of a name or a misspelt name may mean.

use std::collections::BTreeSet;

use super::names::holds;
use super::tokens::normalised;
use super::{How, Lookup};
use crate::bugchecks::{BugCheck, base_code, bug_check, bug_checks};

/// No more bug checks than this are returned for a part of a name.
const MOST: usize = 12;
/// The bug checks that people meet most often, first among equals.
const COMMON: &[u32] = &[
    0x50, 0xa, 0xd1, 0x1e, 0x3b, 0x7e, 0x1a, 0x133, 0x139, 0x124, 0x116, 0xef, 0x9f, 0xc2, 0x19, 0xc5, 0x7f, 0x101, 0x154, 0x13a, 0x109,
    0x4e, 0x7a, 0x7b, 0xf4, 0x24, 0xfc, 0xbe, 0xc4, 0x117, 0x141, 0xea, 0xe2,
];

/// Words that say nothing about which bug check is meant.
const FILLERS: &[&str] = &[
    "A", "AN", "THE", "MY", "PC", "BSOD", "STOP", "CODE", "BLUE", "SCREEN", "CRASH", "BUGCHECK", "BUG", "CHECK", "WINDOWS", "WITH",
    "GETTING", "GOT", "I", "AND", "OF", "DEATH", "MESSAGE",
];

/// Looks for parts of names and misspelt names.
pub(super) fn guess(phrase: &str, words: &[&str], lookup: &mut Lookup) {
    let kept: Vec<&str> = phrase.split('_').filter(|word| !FILLERS.contains(word)).collect();
    let parts = words.iter().filter(|word| word.contains('_')).map(|word| normalised([*word]));
    let tries: BTreeSet<String> = [phrase.to_owned(), kept.join("_")].into_iter().chain(parts).filter(|part| part.len() > 1).collect();
    let mut found: Vec<(usize, &'static BugCheck)> = bug_checks()
        .iter()
        .filter(|known| bug_check(base_code(known.code)).is_some_and(|base| base.code == known.code))
        .filter_map(|known| Some((tries.iter().filter_map(|part| likeness(part, known.name)).min()?, known)))
        .collect();
    // Where the text is a piece of some names, names that merely share words are beside the point.
    if found.iter().any(|(rank, _)| *rank <= 1) {
        found.retain(|(rank, _)| *rank <= 1);
    }
    found.sort_by_key(|(rank, known)| {
        let common = COMMON.iter().position(|&code| code == known.code).unwrap_or(COMMON.len());
        (*rank, common, known.code)
    });
    let total = found.len();
    for (_, known) in found.into_iter().take(MOST) {
        lookup.add(known.code, How::Part);
    }
    if total > 1 {
        let shown = lookup.hits.len();
        let which = if shown < total { format!("; the first {shown} are listed") } else { String::new() };
        lookup.notes.push(format!("{total} bug checks have this in their names{which}"));
    }
    if total == 0
        && let Some(known) = tries.iter().find_map(|part| nearest(part, part.len() / 4))
    {
        lookup.notes.push(format!("no bug check has this name; the nearest is {}", known.name));
        lookup.add(known.code, How::Spelling);
    }
}

/// How well a part of a name fits a name: the smaller the better, `None` when not at all.
fn likeness(part: &str, name: &str) -> Option<usize> {
    if name.starts_with(part) {
        return Some(0);
    }
    if holds(name, part) {
        return Some(1);
    }
    let every_word = part.split('_').all(|word| name.split('_').any(|known| known == word));
    if every_word {
        return Some(2);
    }
    let every_start = part.split('_').all(|word| name.split('_').any(|known| word.len() > 2 && known.starts_with(word)));
    every_start.then_some(3)
}

/// The bug check whose name differs least from this one, within a number of edits.
pub(super) fn nearest(name: &str, edits: usize) -> Option<&'static BugCheck> {
    const LONGEST_NAME: usize = 80;
    if name.len() < 6 || name.len() > LONGEST_NAME {
        return None;
    }
    bug_checks()
        .iter()
        .filter(|known| known.name.len().abs_diff(name.len()) <= edits)
        .map(|known| (distance(name.as_bytes(), known.name.as_bytes()), known))
        .filter(|(distance, _)| *distance <= edits)
        .min_by_key(|(distance, known)| (*distance, known.code))
        .map(|(_, known)| known)
}

/// The Levenshtein distance of two names.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, a) in left.iter().enumerate() {
        let mut diagonal = at;
        let mut beside = at + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right) {
            let cost = (diagonal + usize::from(a != b)).min(beside + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = cost;
            beside = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or(left.len())
}
