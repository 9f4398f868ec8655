//! How good verdicts are, measured against crashes whose cause is known.
//!
//! A `truth.json` (schema `bugcheck.truth/1`) beside a dump says what really happened. A verdict is right when its first suspect's
//! family and subject (or part) are the truth's; where the truth accuses nobody, when the verdict accuses nobody either.

use crate::Analysis;
use serde::{Deserialize, Serialize};

/// What really happened, as far as scoring needs it.
#[derive(Clone, Debug, Deserialize)]
pub struct Truth {
    /// `bugcheck.truth/1`.
    pub schema: String,
    /// The family of the cause; absent where nothing is at fault.
    pub family: Option<String>,
    /// The part of the hardware, for that family.
    pub part: Option<String>,
    /// The image at fault, or the part.
    pub subject: Option<String>,
    /// The kind of verdict that fits.
    pub expected_kind: Option<String>,
}

/// A truth file that cannot be used.
#[derive(Debug)]
pub struct NotATruth(String);

impl std::fmt::Display for NotATruth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not a truth file (schema bugcheck.truth/1): {}", self.0)
    }
}

impl std::error::Error for NotATruth {}

impl Truth {
    /// Reads a truth file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NotATruth> {
        let truth: Self = serde_json::from_str(text).map_err(|error| NotATruth(error.to_string()))?;
        if truth.schema == "bugcheck.truth/1" { Ok(truth) } else { Err(NotATruth(format!("its schema is {:?}", truth.schema))) }
    }

    /// The cause in a few words.
    #[must_use]
    pub fn cause(&self) -> String {
        match (&self.family, self.part.as_ref().or(self.subject.as_ref())) {
            (Some(family), Some(what)) => format!("{family}: {what}"),
            (Some(family), None) => family.clone(),
            (None, _) => "nobody".into(),
        }
    }
}

/// One verdict beside its truth.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The dump.
    pub dump: String,
    /// True if the first suspect is the cause.
    pub right: bool,
    /// True if the verdict's kind is the expected one.
    pub right_kind: bool,
    /// The verdict's kind.
    pub kind: String,
    /// The first suspect in a few words.
    pub said: String,
    /// The true cause in a few words.
    pub truth: String,
    /// The confidence of the first suspect; the verdict's own where it accuses nobody.
    pub confidence: f64,
}

/// Compares a verdict with the truth.
#[must_use]
pub fn compare(analysis: &Analysis, truth: &Truth) -> Outcome {
    let first = analysis.suspects.first();
    let same = |a: &str, b: &Option<String>| b.as_ref().is_some_and(|b| a.eq_ignore_ascii_case(b));
    let right = match (first, &truth.family) {
        (None, None) => true,
        (Some(first), Some(family)) if first.family == family => {
            same(&first.subject, &truth.subject) || first.part.is_some_and(|part| same(part, &truth.part))
        }
        _ => false,
    };
    Outcome {
        dump: analysis.dump.path.clone(),
        right,
        right_kind: truth.expected_kind.as_ref().is_none_or(|expected| *expected == analysis.verdict.kind),
        kind: analysis.verdict.kind.clone(),
        said: first.map_or_else(|| "nobody".into(), |first| format!("{}: {}", first.family, first.subject)),
        truth: truth.cause(),
        confidence: first.map_or(analysis.verdict.confidence, |first| first.confidence),
    }
}

/// How often verdicts of about the same confidence were right.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Band {
    /// Lowest confidence of the band.
    pub from: f64,
    /// Verdicts in it.
    pub count: usize,
    /// How many of them were right.
    pub right: usize,
    /// Their mean confidence: what the share of right ones should be.
    pub mean: f64,
}

/// The sum of many outcomes.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// Verdicts compared.
    pub count: usize,
    /// How many were right.
    pub right: usize,
    /// How many had the expected kind.
    pub right_kind: usize,
    /// Mean squared distance between confidence and outcome: 0 is perfect, 0.25 is a coin.
    pub brier: f64,
    /// Calibration, in steps of 0.2.
    pub bands: Vec<Band>,
}

/// Sums up outcomes.
#[must_use]
pub fn score(outcomes: &[Outcome]) -> Score {
    let count = outcomes.len();
    let mean = |values: Vec<f64>| if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 };
    let distance = |outcome: &Outcome| (outcome.confidence - f64::from(u8::from(outcome.right))).powi(2);
    let band = |step: u8| {
        let from = f64::from(step) / 5.0;
        let last = step == 4;
        let inside = |outcome: &&Outcome| outcome.confidence >= from && (last || outcome.confidence < from + 0.2);
        let members: Vec<&Outcome> = outcomes.iter().filter(inside).collect();
        Band {
            from,
            count: members.len(),
            right: members.iter().filter(|outcome| outcome.right).count(),
            mean: mean(members.iter().map(|outcome| outcome.confidence).collect()),
        }
    };
    Score {
        count,
        right: outcomes.iter().filter(|outcome| outcome.right).count(),
        right_kind: outcomes.iter().filter(|outcome| outcome.right_kind).count(),
        brier: mean(outcomes.iter().map(distance).collect()),
        bands: (0..5).map(band).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(right: bool, confidence: f64) -> Outcome {
        Outcome {
            dump: String::new(),
            right,
            right_kind: right,
            kind: String::new(),
            said: String::new(),
            truth: String::new(),
            confidence,
        }
    }

    #[test]
    fn confident_and_right_is_good_and_confident_and_wrong_is_bad() {
        let good = score(&[outcome(true, 1.0), outcome(true, 0.9)]);
        let bad = score(&[outcome(false, 1.0), outcome(false, 0.9)]);
        assert!(good.brier < 0.01 && bad.brier > 0.9);
        assert_eq!(good.bands[4].count, 2, "1.0 belongs to the last band");
        assert_eq!((bad.right, bad.bands[4].right), (0, 0));
        assert_eq!(score(&[]).brier, 0.0);
    }

    #[test]
    fn only_truth_files_are_truths() {
        assert!(Truth::parse(r#"{"schema": "bugcheck.truth/1", "family": "driver", "subject": "x.sys", "unknown": [1]}"#).is_ok());
        assert!(Truth::parse(r#"{"schema": "bugcheck.report/1"}"#).is_err());
        assert!(Truth::parse("{").is_err());
    }
}
