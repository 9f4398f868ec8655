//! Reads the numbers of a text as codes and parameters.

use super::names::Named;
use super::tokens::Token;
use super::{How, Lookup};
use crate::bugchecks::{base_code, bug_check, bug_checks};
use crate::render::narrow;
use crate::status::status;

/// Reads the codes and parameters; returns every number that was taken for a code.
pub(super) fn read_codes(tokens: &[Token<'_>], named: &[Named], lookup: &mut Lookup) -> Vec<u32> {
    let mut codes = Vec::new();
    let certain = tokens.iter().any(|token| token.certain && !token.bracketed);
    let mut before: Option<&Token<'_>> = None;
    let mut rest = tokens;
    while let Some((token, after)) = rest.split_first() {
        let announced = before.is_some_and(Token::announces_code);
        let decimal_first = before.is_some_and(|before| before.text.eq_ignore_ascii_case("BugcheckCode"));
        let is_code = if token.bracketed && !codes.is_empty() {
            false
        } else if token.is_number() {
            token.certain || announced || !certain && (before.is_none() || token.bracketed)
        } else {
            // Letters only, such as the `A` of `BugCheck A, {…}`.
            let ends = after.first().is_none_or(|next| next.bracketed);
            let known = token.hex.and_then(|value| u32::try_from(value).ok()).and_then(bug_check);
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
fn read_code(token: &Token<'_>, decimal_first: bool, named: &[Named], first: bool, lookup: &mut Lookup) -> Option<u32> {
    let shown = token.text;
    let Ok(hex) = u32::try_from(narrow(token.hex?)) else {
        if first && lookup.notes.is_empty() {
            lookup.notes.push(format!("{shown} is too large for a bug check code; it looks like an address"));
        }
        return None;
    };
    let is_named = |code: u32| named.iter().any(|(known, _)| base_code(known.code) == base_code(code));
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
        (Some(known), None) if known.code != hex => {
            lookup.notes.push(format!("{hex:#x} is {:#x} with the flag that small dumps add", known.code))
        }
        _ => {}
    }
    // Statuses below this look like bug check codes.
    if let Some(found) = status(hex).filter(|found| found.code > 0xffff) {
        lookup.add_status(found);
        if by_hex.is_none() && first {
            lookup.notes.push(format!("{hex:#010x} is a status, not a bug check: {}", found.name));
        }
    } else if by_hex.is_none() && first {
        lookup.notes.push(unknown_code(hex));
    }
    lookup.add(hex, How::Code);
    Some(hex)
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
        format!("{code:#x} is no bug check code but a parameter value of {}", owners.join(" and "))
    }
}

/// Takes up to four numbers that follow a code: all in brackets, or all outside.
fn read_parameters<'s, 't>(tokens: &'s [Token<'t>]) -> (Vec<u64>, &'s [Token<'t>]) {
    let bracketed = tokens.iter().find(|token| !token.is_parameter_label()).is_some_and(|token| token.bracketed);
    let mut parameters = Vec::new();
    let mut rest = tokens;
    while let Some((token, after)) = rest.split_first() {
        if !token.is_parameter_label() {
            match token.hex {
                Some(value) if token.bracketed == bracketed && parameters.len() < 4 => parameters.push(value),
                _ => break,
            }
        }
        rest = after;
    }
    (parameters, rest)
}
