//! Finds names of bug checks in a text.

use super::guesses::nearest;
use super::misnomers::is_misnomer;
use super::tokens::normalised;
use super::{How, Lookup};
use crate::bugchecks::{BugCheck, base_code, bug_checks};

/// A bug check named by the text, and how.
pub(super) type Named = (&'static BugCheck, How);

/// The bug checks whose whole names the text holds, and those that a single word with `_` all but spells.
pub(super) fn named(phrase: &str, words: &[&str]) -> Vec<Named> {
    let mut whole: Vec<&'static BugCheck> = bug_checks().iter().filter(|known| holds(phrase, known.name)).collect();
    let longest = whole.clone();
    whole.retain(|known| {
        !longest.iter().any(|other| {
            other.name.len() > known.name.len()
                && holds(other.name, known.name)
                && occurrences(phrase, known.name) <= occurrences(phrase, other.name)
        })
    });
    let whole = whole.into_iter().map(|known| (known, How::Name));
    let near = words
        .iter()
        .filter(|word| word.contains('_') && !names_bug_check(word) && !is_misnomer(word))
        .filter_map(|word| {
            let word = normalised([*word]);
            let exact = bug_checks().iter().any(|known| holds(&word, known.name));
            (!exact).then(|| nearest(&word, 2)).flatten()
        })
        .map(|known| (known, How::Spelling));
    whole.chain(near).collect()
}

/// How often a name stands in a phrase, as whole words.
fn occurrences(phrase: &str, name: &str) -> usize {
    phrase
        .match_indices(name)
        .filter(|(at, found)| {
            let after = phrase.get(at + found.len()..).unwrap_or_default();
            starts_word(phrase, *at) && (after.is_empty() || after.starts_with('_'))
        })
        .count()
}

/// Whether a word of the phrase starts here.
pub(super) fn starts_word(phrase: &str, at: usize) -> bool {
    phrase.get(..at).is_some_and(|before| before.is_empty() || before.ends_with('_'))
}

pub(super) fn holds(phrase: &str, name: &str) -> bool {
    occurrences(phrase, name) > 0
}

/// Says where a code and a name in the text do not belong together.
pub(super) fn contradictions(named: &[Named], lookup: &mut Lookup) {
    for hit in &lookup.hits {
        if named.iter().any(|(other, _)| base_code(other.code) == base_code(hit.code)) {
            continue;
        }
        lookup.notes.extend(named.iter().map(|(other, _)| {
            format!(
                "the code and the name contradict each other: {:#x} is {}, while {} is {:#x}",
                hit.code, hit.bug_check.name, other.name, other.code
            )
        }));
    }
}

/// Whether the text is the whole name of a bug check.
pub(super) fn names_bug_check(text: &str) -> bool {
    bug_checks().iter().any(|known| known.name.eq_ignore_ascii_case(text))
}
