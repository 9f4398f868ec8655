//! The terminal: its width, its colours.

use crate::Common;
use bugcheck_report::Style;
use std::io::IsTerminal;

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Text that is read at length: wider than this no line is easy to follow.
const WIDEST: usize = 110;

/// How to set text on standard output. `wide` lets a table use the whole terminal.
pub(crate) fn style(common: &Common, wide: bool) -> Style {
    let terminal = std::io::stdout().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let columns = terminal_size::terminal_size().filter(|_| terminal).map(|(width, _)| usize::from(width.0));
    let width = match columns {
        Some(columns) if wide => columns,
        Some(columns) => columns.min(WIDEST),
        None if wide => 160,
        None => 100,
    };
    Style {
        width,
        color: common.color == Color::Always || (common.color == Color::Auto && terminal && !no_color),
        verbosity: if common.quiet { -1 } else { i8::try_from(common.verbose).unwrap_or(i8::MAX) },
    }
}
