//! Finds the bug checks that a text speaks of: a code, a name, or a line copied from anywhere.

mod codes;
mod guesses;
mod misnomers;
mod names;
mod tokens;

use crate::bugchecks::{BugCheck, base_code, bug_check};
use crate::modules::{Module, module};
use crate::status::{Status, status_named};
use codes::read_codes;
use guesses::guess;
use misnomers::correct;
use names::{contradictions, named};
use tokens::{normalised, tokens};

/// Text beyond this many characters is not looked at.
const LONGEST: usize = 4096;

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
            && !self.hits.iter().any(|hit| base_code(hit.code) == base_code(code))
        {
            self.hits.push(Hit { code, bug_check, how });
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
    let words: Vec<&str> = tokens.iter().filter(|token| token.is_word()).map(|token| token.text).collect();
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
        lookup.notes.push("no bug check code, name or status was recognised in the text".to_owned());
    }
    lookup
}
