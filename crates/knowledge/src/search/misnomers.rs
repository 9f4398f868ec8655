//! Corrects wrong names and codes in circulation.

use super::names::{Named, starts_word};
use super::tokens::{Token, normalised};
use super::{How, Lookup};

include!(concat!(env!("OUT_DIR"), "/misnomers.rs"));

/// A wrong name or code, and the sentence that corrects it.
struct Misnomer {
    names: &'static [&'static str],
    codes: &'static [u32],
    means: &'static [u32],
    text: &'static str,
}

/// Adds the corrections that the text calls for, and what its wrong names stand for.
pub(super) fn correct(tokens: &[Token<'_>], codes: &[u32], named: &[Named], lookup: &mut Lookup) {
    let phrase = normalised(tokens.iter().map(|token| token.text));
    // A wrong name counts from the start of a word on, unless it is only a piece of a right one.
    let called = |name: &&str| {
        phrase.match_indices(*name).any(|(at, _)| starts_word(&phrase, at))
            && !named.iter().any(|(known, _)| known.name != *name && known.name.contains(*name))
    };
    for wrong in MISNOMERS {
        if wrong.codes.iter().any(|code| codes.contains(code)) || wrong.names.iter().any(called) {
            lookup.corrections.push(wrong.text);
            for &code in wrong.means {
                lookup.add(code, How::Meant);
            }
        }
    }
}

/// Whether a word starts with a known wrong name.
pub(super) fn is_misnomer(word: &str) -> bool {
    let word = normalised([word]);
    MISNOMERS.iter().flat_map(|wrong| wrong.names).any(|name| word.starts_with(name))
}
