//! `bugcheck score`: verdicts beside the truth.

use crate::json::to_string;
use crate::style::{Ink, Style, percent, plain};
use crate::text::file_name;
use bugcheck_analysis::score::{Outcome, Score};
use serde::Serialize;
use std::fmt::Write as _;

/// The misses and the numbers, for a person.
#[must_use]
pub fn text(outcomes: &[Outcome], score: &Score, style: Style) -> String {
    let mut out = String::new();
    let shown = |outcome: &&Outcome| style.verbosity > 0 || !outcome.right || !outcome.right_kind;
    let lines: Vec<&Outcome> = outcomes.iter().filter(shown).collect();
    if !lines.is_empty() {
        let _ = writeln!(out, "{}", style.paint(Ink::Heading, if style.verbosity > 0 { "VERDICTS" } else { "MISSES" }));
        for outcome in lines {
            let mark = if outcome.right { "✓" } else { "✗" };
            let kind = if outcome.right_kind { "" } else { "; wrong kind" };
            let text = format!(
                "{}: said {} ({}), truth {}{kind}",
                file_name(&outcome.dump),
                outcome.said,
                percent(outcome.confidence),
                outcome.truth
            );
            style.paragraph(&mut out, &format!("  {mark} "), &plain(&text));
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{} of {} verdicts right, {} of the right kind", score.right, score.count, score.right_kind);
    let _ = writeln!(out, "Brier score {:.3} (0 is perfect, 0.25 is a coin)", score.brier);
    for band in score.bands.iter().filter(|band| band.count > 0) {
        let range = format!("{} to {}", percent(band.from), percent(band.from + 0.2));
        let _ = writeln!(out, "  sure {range:<13} {:>3} verdicts, {:>3} right, {} expected", band.count, band.right, percent(band.mean));
    }
    out
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    score: &'a Score,
    outcomes: &'a [Outcome],
}

/// The same as `bugcheck.score/1`.
#[must_use]
pub fn json(outcomes: &[Outcome], score: &Score) -> String {
    to_string(serde_json::to_string_pretty(&Document { schema: "bugcheck.score/1", score, outcomes }))
}
