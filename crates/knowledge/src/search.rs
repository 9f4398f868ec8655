//! Finds the bug checks that a text speaks of: a code, a name, or a line copied from anywhere.

use std::collections::BTreeSet;

use crate::bugchecks::{BugCheck, base_code, bug_check, bug_checks};
use crate::modules::{Module, module};
use crate::render::narrow;
use crate::status::{Status, status, status_named};

include!(concat!(env!("OUT_DIR"), "/misnomers.rs"));

/// Text beyond this many characters is not looked at.
const LONGEST: usize = 4096;
/// No more bug checks than this are returned for a part of a name.
const MOST: usize = 12;
/// The bug checks that people meet most often, first among equals.
const COMMON: &[u32] = &[
    0x50, 0xa, 0xd1, 0x1e, 0x3b, 0x7e, 0x1a, 0x133, 0x139, 0x124, 0x116, 0xef, 0x9f, 0xc2, 0x19,
    0xc5, 0x7f, 0x101, 0x154, 0x13a, 0x109, 0x4e, 0x7a, 0x7b, 0xf4, 0x24, 0xfc, 0xbe, 0xc4, 0x117,
    0x141, 0xea, 0xe2,
];

/// A wrong name or code, and the sentence that corrects it.
struct Misnomer {
    names: &'static [&'static str],
    codes: &'static [u32],
    means: &'static [u32],
    text: &'static str,
}

/// What a text turned out to speak of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lookup {
    /// How the text was read and what is odd about it, one sentence each.
    pub notes: Vec<String>,
    /// The bug checks, best first.
    pub hits: Vec<Hit>,
    /// Sentences that correct wrong names and codes.
    pub corrections: Vec<&'static str>,
    /// Status codes that the text names, other than as parameters.
    pub statuses: Vec<&'static Status>,
    /// Kernel modules that the text names.
    pub modules: Vec<&'static Module>,
    /// The bug check parameters found in the text, at most four, first one first.
    pub parameters: Vec<u64>,
}

/// A bug check that a text speaks of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The code as the text has it, `0x1000007e` for instance.
    pub code: u32,
    /// The bug check.
    pub bug_check: &'static BugCheck,
    /// How it was found.
    pub how: How,
}

/// How a bug check was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// By its code.
    Code,
    /// By its name.
    Name,
    /// It is what a wrong name stands for.
    Meant,
    /// By a part of its name.
    Part,
    /// By a name that is spelt much like it.
    Spelling,
}

impl Lookup {
    /// The four parameters for [`BugCheck::explain_known`]; those not in the text are `None`.
    #[must_use]
    pub fn known_parameters(&self) -> [Option<u64>; 4] {
        [0, 1, 2, 3].map(|at| self.parameters.get(at).copied())
    }

    fn add(&mut self, code: u32, how: How) {
        if let Some(bug_check) = bug_check(code)
            && !self
                .hits
                .iter()
                .any(|hit| base_code(hit.code) == base_code(code))
        {
            self.hits.push(Hit {
                code,
                bug_check,
                how,
            });
        }
    }

    fn add_status(&mut self, found: &'static Status) {
        if !self.statuses.contains(&found) {
            self.statuses.push(found);
        }
    }
}

/// Finds what a text speaks of: a code in hexadecimal or decimal, a name or a part of one (misspelt too), a line such as
/// `STOP: 0x0000000A (0x0, 0x2, 0x0, 0x80550cd2)`, a status, a module, or a sentence that holds any of these.
#[must_use]
pub fn search(text: &str) -> Lookup {
    let text: String = text.chars().take(LONGEST).collect();
    let tokens = tokens(&text);
    let words: Vec<&str> = tokens
        .iter()
        .filter(|token| token.is_word())
        .map(|token| token.text)
        .collect();
    let phrase = normalised(words.iter().copied());
    let named = named(&phrase, &words);

    let mut lookup = Lookup::default();
    let codes = read_codes(&tokens, &named, &mut lookup);
    contradictions(&named, &mut lookup);
    for &(found, how) in &named {
        lookup.add(found.code, how);
    }
    for &word in &words {
        if let Some(found) = status_named(word) {
            lookup.add_status(found);
        }
        if let Some(found) = module(word) {
            lookup.modules.push(found);
        }
    }

    correct(&tokens, &codes, &named, &mut lookup);
    if lookup.hits.is_empty() && lookup.corrections.is_empty() && lookup.statuses.is_empty() {
        guess(&phrase, &words, &mut lookup);
    }
    if lookup == Lookup::default() {
        lookup
            .notes
            .push("no bug check code, name or status was recognised in the text".to_owned());
    }
    lookup
}

// ---- tokens ----

/// A piece of the text.
struct Token<'t> {
    text: &'t str,
    /// The value in hexadecimal, if it can be read as such.
    hex: Option<u64>,
    /// The value in decimal, if it has decimal digits only and no prefix.
    decimal: Option<u64>,
    /// Whether it is certainly a number: prefixed with 0x, or eight and more digits.
    certain: bool,
    /// Whether brackets of any kind are open around it.
    bracketed: bool,
}

impl Token<'_> {
    /// Whether it holds a digit and can be read as a number.
    fn is_number(&self) -> bool {
        self.hex.is_some() && (self.certain || self.text.bytes().any(|byte| byte.is_ascii_digit()))
    }

    fn is_word(&self) -> bool {
        !self.is_number()
    }

    /// Words that announce a code.
    fn announces_code(&self) -> bool {
        [
            "BUGCHECK",
            "CHECK",
            "STOP",
            "CODE",
            "ERROR",
            "BUGCHECKCODE",
            "LIVEKERNELEVENT",
        ]
        .iter()
        .any(|word| self.text.eq_ignore_ascii_case(word))
            || names_bug_check(self.text)
    }

    /// Labels such as `P1`, `Arg2` or `BugcheckParameter3`, and the words of an event's XML, which may stand between parameters.
    fn is_parameter_label(&self) -> bool {
        let lower = self.text.to_ascii_lowercase();
        matches!(lower.as_str(), "data" | "name")
            || ["p", "arg", "param", "parameter", "bugcheckparameter"]
                .iter()
                .any(|label| {
                    lower
                        .strip_prefix(label)
                        .is_some_and(|number| matches!(number, "1" | "2" | "3" | "4"))
                })
    }
}

/// Splits a text into names and numbers.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut open = 0_usize;
    let mut found = Vec::new();
    let part_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '`' | '!');
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            '(' | '{' | '[' => open += 1,
            ')' | '}' | ']' => open = open.saturating_sub(1),
            _ => {}
        }
        let end = rest.find(|c| !part_of_token(c)).unwrap_or(rest.len());
        let (piece, after) = rest
            .split_at_checked(end.max(first.len_utf8()))
            .unwrap_or((rest, ""));
        let trimmed = piece.trim_matches(['.', '!', '`']);
        if end > 0 && !trimmed.is_empty() {
            found.push(token(trimmed, open > 0));
        }
        rest = after;
    }
    found
}

fn token(text: &str, bracketed: bool) -> Token<'_> {
    let plain: String = text.chars().filter(|&c| c != '`').collect();
    let prefixed = plain
        .strip_prefix("0x")
        .or_else(|| plain.strip_prefix("0X"));
    let digits = prefixed.unwrap_or(&plain);
    let hex = (!digits.starts_with('+'))
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten();
    let has_digit = digits.bytes().any(|byte| byte.is_ascii_digit());
    let decimal = match prefixed {
        None if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    };
    let certain = hex.is_some() && (prefixed.is_some() || (digits.len() >= 8 && has_digit));
    Token {
        text,
        hex,
        decimal,
        certain,
        bracketed,
    }
}

/// Words as capitals joined by `_`.
fn normalised<'t>(words: impl IntoIterator<Item = &'t str>) -> String {
    let parts = words
        .into_iter()
        .flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric()))
        .filter(|part| !part.is_empty());
    let mut phrase = String::new();
    for part in parts {
        if !phrase.is_empty() {
            phrase.push('_');
        }
        phrase.push_str(&part.to_ascii_uppercase());
    }
    phrase
}

// ---- codes ----

/// Reads the codes and parameters; returns every number that was taken for a code.
fn read_codes(tokens: &[Token<'_>], named: &[Named], lookup: &mut Lookup) -> Vec<u32> {
    let mut codes = Vec::new();
    let certain = tokens.iter().any(|token| token.certain && !token.bracketed);
    let mut before: Option<&Token<'_>> = None;
    let mut rest = tokens;
    while let Some((token, after)) = rest.split_first() {
        let announced = before.is_some_and(Token::announces_code);
        let decimal_first =
            before.is_some_and(|before| before.text.eq_ignore_ascii_case("BugcheckCode"));
        let is_code = if token.bracketed && !codes.is_empty() {
            false
        } else if token.is_number() {
            token.certain || announced || !certain && (before.is_none() || token.bracketed)
        } else {
            // Letters only, such as the `A` of `BugCheck A, {…}`.
            let ends = after.first().is_none_or(|next| next.bracketed);
            let known = token
                .hex
                .and_then(|value| u32::try_from(value).ok())
                .and_then(bug_check);
            known.is_some() && ends && (announced || before.is_none() || token.bracketed)
        };
        before = Some(token);
        rest = after;
        if !is_code {
            continue;
        }
        let Some(code) = read_code(token, decimal_first, named, codes.is_empty(), lookup) else {
            continue;
        };
        codes.push(code);
        if lookup.parameters.is_empty() {
            (lookup.parameters, rest) = read_parameters(rest);
        }
    }
    codes
}

/// Reads one number as a code, says how, and adds what it stands for.
fn read_code(
    token: &Token<'_>,
    decimal_first: bool,
    named: &[Named],
    first: bool,
    lookup: &mut Lookup,
) -> Option<u32> {
    let shown = token.text;
    let Ok(hex) = u32::try_from(narrow(token.hex?)) else {
        if first && lookup.notes.is_empty() {
            lookup.notes.push(format!(
                "{shown} is too large for a bug check code; it looks like an address"
            ));
        }
        return None;
    };
    let is_named = |code: u32| {
        named
            .iter()
            .any(|(known, _)| base_code(known.code) == base_code(code))
    };
    let by_hex = bug_check(hex);
    let by_decimal = token
        .decimal
        .and_then(|value| u32::try_from(value).ok())
        .filter(|&code| code != hex && !token.certain)
        .and_then(|code| Some((code, bug_check(code)?)));
    match (by_hex, by_decimal) {
        (None, Some((code, known))) => {
            lookup.notes.push(format!(
                "{shown} was read as decimal, the way event 41 writes it: {code:#x} {}, since {hex:#x} is no known code",
                known.name
            ));
            lookup.add(code, How::Code);
            return Some(code);
        }
        (Some(other), Some((code, known))) if decimal_first || is_named(code) && !is_named(hex) => {
            lookup.notes.push(format!(
                "{shown} was read as decimal, the way event 41 writes it: {code:#x} {}; in hexadecimal it would be {}",
                known.name, other.name
            ));
            lookup.add(code, How::Code);
            return Some(code);
        }
        (Some(known), Some((code, other))) if !is_named(hex) => lookup.notes.push(format!(
            "{shown} was read as hexadecimal: {hex:#x} {}; in decimal, the way event 41 writes it, it would be {code:#x} {}",
            known.name, other.name
        )),
        (Some(known), None) if known.code != hex => lookup.notes.push(format!(
            "{hex:#x} is {:#x} with the flag that small dumps add",
            known.code
        )),
        _ => {}
    }
    // Statuses below this look like bug check codes.
    if let Some(found) = status(hex).filter(|found| found.code > 0xffff) {
        lookup.add_status(found);
        if by_hex.is_none() && first {
            lookup.notes.push(format!(
                "{hex:#010x} is a status, not a bug check: {}",
                found.name
            ));
        }
    } else if by_hex.is_none() && first {
        lookup.notes.push(unknown_code(hex));
    }
    lookup.add(hex, How::Code);
    Some(hex)
}

/// Whether the text is the whole name of a bug check.
fn names_bug_check(text: &str) -> bool {
    bug_checks()
        .iter()
        .any(|known| known.name.eq_ignore_ascii_case(text))
}

/// What to say of a number that is no bug check code: perhaps it is a first parameter.
fn unknown_code(code: u32) -> String {
    let owners: Vec<String> = bug_checks()
        .iter()
        .filter(|known| code > 0xff && known.case(u64::from(code)).is_some())
        .map(|known| format!("{:#x} {}", known.code, known.name))
        .take(3)
        .collect();
    if owners.is_empty() {
        format!("{code:#x} is no known bug check code")
    } else {
        format!(
            "{code:#x} is no bug check code but a parameter value of {}",
            owners.join(" and ")
        )
    }
}

/// Takes up to four numbers that follow a code: all in brackets, or all outside.
fn read_parameters<'s, 't>(tokens: &'s [Token<'t>]) -> (Vec<u64>, &'s [Token<'t>]) {
    let bracketed = tokens
        .iter()
        .find(|token| !token.is_parameter_label())
        .is_some_and(|token| token.bracketed);
    let mut parameters = Vec::new();
    let mut rest = tokens;
    while let Some((token, after)) = rest.split_first() {
        if !token.is_parameter_label() {
            match token.hex {
                Some(value) if token.bracketed == bracketed && parameters.len() < 4 => {
                    parameters.push(value)
                }
                _ => break,
            }
        }
        rest = after;
    }
    (parameters, rest)
}

// ---- names ----

/// A bug check named by the text, and how.
type Named = (&'static BugCheck, How);

/// The bug checks whose whole names the text holds, and those that a single word with `_` all but spells.
fn named(phrase: &str, words: &[&str]) -> Vec<Named> {
    let mut whole: Vec<&'static BugCheck> = bug_checks()
        .iter()
        .filter(|known| holds(phrase, known.name))
        .collect();
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

fn is_misnomer(word: &str) -> bool {
    let word = normalised([word]);
    MISNOMERS
        .iter()
        .flat_map(|wrong| wrong.names)
        .any(|name| word.starts_with(name))
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
fn starts_word(phrase: &str, at: usize) -> bool {
    phrase
        .get(..at)
        .is_some_and(|before| before.is_empty() || before.ends_with('_'))
}

fn holds(phrase: &str, name: &str) -> bool {
    occurrences(phrase, name) > 0
}

/// Says where a code and a name in the text do not belong together.
fn contradictions(named: &[Named], lookup: &mut Lookup) {
    for hit in &lookup.hits {
        if named
            .iter()
            .any(|(other, _)| base_code(other.code) == base_code(hit.code))
        {
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

/// Adds the corrections that the text calls for, and what its wrong names stand for.
fn correct(tokens: &[Token<'_>], codes: &[u32], named: &[Named], lookup: &mut Lookup) {
    let phrase = normalised(tokens.iter().map(|token| token.text));
    // A wrong name counts from the start of a word on, unless it is only a piece of a right one.
    let called = |name: &&str| {
        phrase
            .match_indices(*name)
            .any(|(at, _)| starts_word(&phrase, at))
            && !named
                .iter()
                .any(|(known, _)| known.name != *name && known.name.contains(*name))
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

// ---- guesses ----

/// Words that say nothing about which bug check is meant.
const FILLERS: &[&str] = &[
    "A", "AN", "THE", "MY", "PC", "BSOD", "STOP", "CODE", "BLUE", "SCREEN", "CRASH", "BUGCHECK",
    "BUG", "CHECK", "WINDOWS", "WITH", "GETTING", "GOT", "I", "AND", "OF", "DEATH", "MESSAGE",
];

/// Looks for parts of names and misspelt names.
fn guess(phrase: &str, words: &[&str], lookup: &mut Lookup) {
    let kept: Vec<&str> = phrase
        .split('_')
        .filter(|word| !FILLERS.contains(word))
        .collect();
    let parts = words
        .iter()
        .filter(|word| word.contains('_'))
        .map(|word| normalised([*word]));
    let tries: BTreeSet<String> = [phrase.to_owned(), kept.join("_")]
        .into_iter()
        .chain(parts)
        .filter(|part| part.len() > 1)
        .collect();
    let mut found: Vec<(usize, &'static BugCheck)> = bug_checks()
        .iter()
        .filter(|known| {
            bug_check(base_code(known.code)).is_some_and(|base| base.code == known.code)
        })
        .filter_map(|known| {
            Some((
                tries
                    .iter()
                    .filter_map(|part| likeness(part, known.name))
                    .min()?,
                known,
            ))
        })
        .collect();
    // Where the text is a piece of some names, names that merely share words are beside the point.
    if found.iter().any(|(rank, _)| *rank <= 1) {
        found.retain(|(rank, _)| *rank <= 1);
    }
    found.sort_by_key(|(rank, known)| {
        let common = COMMON
            .iter()
            .position(|&code| code == known.code)
            .unwrap_or(COMMON.len());
        (*rank, common, known.code)
    });
    let total = found.len();
    for (_, known) in found.into_iter().take(MOST) {
        lookup.add(known.code, How::Part);
    }
    if total > 1 {
        let shown = lookup.hits.len();
        let which = if shown < total {
            format!("; the first {shown} are listed")
        } else {
            String::new()
        };
        lookup.notes.push(format!(
            "{total} bug checks have this in their names{which}"
        ));
    }
    if total == 0
        && let Some(known) = tries.iter().find_map(|part| nearest(part, part.len() / 4))
    {
        lookup.notes.push(format!(
            "no bug check has this name; the nearest is {}",
            known.name
        ));
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
    let every_word = part
        .split('_')
        .all(|word| name.split('_').any(|known| known == word));
    if every_word {
        return Some(2);
    }
    let every_start = part.split('_').all(|word| {
        name.split('_')
            .any(|known| word.len() > 2 && known.starts_with(word))
    });
    every_start.then_some(3)
}

/// The bug check whose name differs least from this one, within a number of edits.
fn nearest(name: &str, edits: usize) -> Option<&'static BugCheck> {
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
            let cost = (diagonal + usize::from(a != b))
                .min(beside + 1)
                .min(*cell + 1);
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
