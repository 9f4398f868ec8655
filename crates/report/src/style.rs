//! How text is set: width, colour, amount.

use std::fmt::Write as _;

/// How text is set.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns to fill.
    pub width: usize,
    /// True to use terminal colours.
    pub color: bool,
    /// How much: negative for the summary only, 0 for the report, positive for everything.
    pub verbosity: i8,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 100, color: false, verbosity: 0 }
    }
}

/// A colour with a meaning.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ink {
    Heading,
    Alarm,
    Calm,
    Faint,
}

impl Style {
    pub(crate) fn paint(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Heading => "1",
            Ink::Alarm => "1;31",
            Ink::Calm => "1;32",
            Ink::Faint => "2",
        };
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A heading on a line of its own, with an empty line above.
    pub(crate) fn heading(self, out: &mut String, text: &str) {
        let _ = writeln!(out, "\n{}", self.paint(Ink::Heading, text));
    }

    /// A paragraph, wrapped and indented: `first` before its first line, as many blanks before the others.
    pub(crate) fn paragraph(self, out: &mut String, first: &str, text: &str) {
        let indent = " ".repeat(textwrap::core::display_width(first));
        let options = textwrap::Options::new(self.width.max(30)).initial_indent(first).subsequent_indent(&indent).break_words(true);
        for line in textwrap::wrap(text, options) {
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }

    /// A line that must stay whole (a command): never wrapped.
    pub(crate) fn verbatim(self, out: &mut String, indent: &str, text: &str) {
        let _ = writeln!(out, "{indent}{text}");
    }

    /// A label and its text, the text in a column of its own.
    pub(crate) fn field(self, out: &mut String, label: &str, text: &str) {
        let column = if self.width < 60 { 2 } else { 15 };
        let label_width = textwrap::core::display_width(label);
        if column <= label_width + 2 {
            let _ = writeln!(out, "  {label}");
            self.paragraph(out, "    ", text);
        } else {
            let first = format!("  {label}{}", " ".repeat(column - label_width));
            self.paragraph(out, &first, text);
        }
    }
}

/// Text from a dump or a path, safe for a terminal: no control or direction characters.
pub(crate) fn plain(text: &str) -> String {
    let hostile =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    text.chars().map(|c| if hostile(c) { '\u{fffd}' } else { c }).collect()
}

/// A sentence with its first letter large and an end: texts are written to stand within others too.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?', ':']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// A confidence as people read it.
pub(crate) fn percent(confidence: f64) -> String {
    format!("{:.0} %", confidence * 100.0)
}
