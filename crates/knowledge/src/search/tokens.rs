//! Splits a text into words and numbers.

use super::names::names_bug_check;

/// A piece of the text.
pub(super) struct Token<'t> {
    pub(super) text: &'t str,
    /// The value in hexadecimal, if it can be read as such.
    pub(super) hex: Option<u64>,
    /// The value in decimal, if it has decimal digits only and no prefix.
    pub(super) decimal: Option<u64>,
    /// Whether it is certainly a number: prefixed with 0x, or eight and more digits.
    pub(super) certain: bool,
    /// Whether brackets of any kind are open around it.
    pub(super) bracketed: bool,
}

impl Token<'_> {
    /// Whether it holds a digit and can be read as a number.
    pub(super) fn is_number(&self) -> bool {
        self.hex.is_some() && (self.certain || self.text.bytes().any(|byte| byte.is_ascii_digit()))
    }

    pub(super) fn is_word(&self) -> bool {
        !self.is_number()
    }

    /// Words that announce a code.
    pub(super) fn announces_code(&self) -> bool {
        ["BUGCHECK", "CHECK", "STOP", "CODE", "ERROR", "BUGCHECKCODE", "LIVEKERNELEVENT"]
            .iter()
            .any(|word| self.text.eq_ignore_ascii_case(word))
            || names_bug_check(self.text)
    }

    /// Labels such as `P1`, `Arg2` or `BugcheckParameter3`, and the words of an event's XML, which may stand between parameters.
    pub(super) fn is_parameter_label(&self) -> bool {
        let lower = self.text.to_ascii_lowercase();
        matches!(lower.as_str(), "data" | "name")
            || ["p", "arg", "param", "parameter", "bugcheckparameter"]
                .iter()
                .any(|label| lower.strip_prefix(label).is_some_and(|number| matches!(number, "1" | "2" | "3" | "4")))
    }
}

/// Splits a text into names and numbers.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
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
        let (piece, after) = rest.split_at_checked(end.max(first.len_utf8())).unwrap_or((rest, ""));
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
    let prefixed = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X"));
    let digits = prefixed.unwrap_or(&plain);
    let hex = (!digits.starts_with('+')).then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    let has_digit = digits.bytes().any(|byte| byte.is_ascii_digit());
    let decimal = match prefixed {
        None if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    };
    let certain = hex.is_some() && (prefixed.is_some() || (digits.len() >= 8 && has_digit));
    Token { text, hex, decimal, certain, bracketed }
}

/// Words as capitals joined by `_`.
pub(super) fn normalised<'t>(words: impl IntoIterator<Item = &'t str>) -> String {
    let parts = words.into_iter().flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric())).filter(|part| !part.is_empty());
    let mut phrase = String::new();
    for part in parts {
        if !phrase.is_empty() {
            phrase.push('_');
        }
        phrase.push_str(&part.to_ascii_uppercase());
    }
    phrase
}
