//! Bug checks: what a code means and what its parameters hold.

use crate::vocabulary::{Cause, Format, Kind};

include!(concat!(env!("OUT_DIR"), "/bugchecks.rs"));

/// The bit that a small dump adds to some codes: `0x1000007e` is `0x7e`.
const MINIDUMP_FLAG: u32 = 0x1000_0000;

/// One bug check code and everything known about it.
#[derive(Debug, PartialEq, Eq)]
pub struct BugCheck {
    /// The code.
    pub code: u32,
    /// Its symbolic name.
    pub name: &'static str,
    /// The verdict that the code alone allows.
    pub kind: Kind,
    /// What it means, in plain words.
    pub about: &'static str,
    /// The usual causes, most usual first; empty when nothing can be said.
    pub likely: &'static [Cause],
    /// What the four parameters hold.
    pub parameters: [Parameter; 4],
    /// Other meanings of the parameters, selected by the one whose format is [`Format::Case`].
    pub cases: &'static [Case],
    /// What single values of parameters mean.
    pub values: &'static [Value],
    /// Where this differs from the published reference, and why.
    pub corrects: Option<&'static str>,
    /// Where the facts come from: `docs`, `sdk`, `dumps`, `field`, separated by commas.
    pub source: &'static str,
}

/// What one parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// How its value is written.
    pub format: Format,
    /// What it is, in words.
    pub words: &'static str,
}

/// A sub-table: what the parameters mean when the selecting one has a certain value.
#[derive(Debug, PartialEq, Eq)]
pub struct Case {
    /// The selecting values.
    pub values: &'static [u64],
    /// What this case means.
    pub about: &'static str,
    /// What the parameters hold; `None` where the general meaning stands.
    pub parameters: [Option<Parameter>; 4],
}

/// What one value of one parameter means.
#[derive(Debug, PartialEq, Eq)]
pub struct Value {
    /// The parameter, 1 to 4.
    pub parameter: u8,
    /// The case it is limited to.
    pub case: Option<u64>,
    /// The value.
    pub value: u64,
    /// Its meaning.
    pub text: &'static str,
}

/// Every known bug check, by ascending code.
#[must_use]
pub fn bug_checks() -> &'static [BugCheck] {
    BUG_CHECKS
}

/// The bug check with this code, or else the one that [`base_code`] leads to.
#[must_use]
pub fn bug_check(code: u32) -> Option<&'static BugCheck> {
    exact(code).or_else(|| exact(base_code(code)))
}

/// The code without the flag that small dumps add (`0x1000007e` → `0x7e`); any other code as it is.
#[must_use]
pub fn base_code(code: u32) -> u32 {
    if code & 0xf000_0000 == MINIDUMP_FLAG { code & !MINIDUMP_FLAG } else { code }
}

/// The symbolic name of a code, `None` when it has none in public use.
#[must_use]
pub fn name(code: u32) -> Option<&'static str> {
    bug_check(code).map(|known| known.name)
}

fn exact(code: u32) -> Option<&'static BugCheck> {
    BUG_CHECKS.binary_search_by_key(&code, |known| known.code).ok().and_then(|at| BUG_CHECKS.get(at))
}
