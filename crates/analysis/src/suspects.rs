//! Accusations and excuses, and how they become a ranking.
//!
//! Every rule adds a piece of evidence with a weight. For one subject the accusations combine as independent chances
//! (1 − Π(1 − w)), then each excuse takes its share away. Between subjects, which exclude each other, strengths are divided by
//! their sum plus the chance that none is right (Π(1 − s)). So confidences sum to at most 1 and a lone weak suspect stays weak.

use crate::model::{Evidence, Source, Suspect};

/// Who or what is accused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub name: String,
    pub family: &'static str,
    pub part: Option<&'static str>,
}

impl Subject {
    pub(crate) fn hardware(part: &'static str) -> Self {
        Self { name: part.to_owned(), family: "hardware", part: Some(part) }
    }

    pub(crate) fn os(name: impl Into<String>) -> Self {
        Self { name: name.into(), family: "os", part: None }
    }

    pub(crate) fn driver(image: impl Into<String>) -> Self {
        Self { name: image.into(), family: "driver", part: None }
    }

    pub(crate) fn corrupted_files() -> Self {
        Self { name: "system files".into(), family: "corrupted-files", part: None }
    }
}

/// The evidence gathered so far.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    file: String,
    list: Vec<(Subject, Vec<Evidence>)>,
}

impl Suspects {
    pub(crate) fn new(file: String) -> Self {
        Self { file, list: Vec::new() }
    }

    /// Adds evidence for a subject.
    pub(crate) fn accuse(&mut self, subject: Subject, id: &'static str, weight: f64, text: impl Into<String>, at: impl Into<String>) {
        let evidence = self.evidence(id, "for", weight, text.into(), at.into());
        self.push(subject, evidence);
    }

    /// Adds evidence against a subject; without effect on one that nobody accuses.
    pub(crate) fn excuse(&mut self, subject: &Subject, id: &'static str, weight: f64, text: impl Into<String>, at: impl Into<String>) {
        let evidence = self.evidence(id, "against", weight, text.into(), at.into());
        if let Some((_, list)) = self.list.iter_mut().find(|(known, _)| same(known, subject)) {
            list.push(evidence);
        }
    }

    /// Every driver accused so far gets the same excuse.
    pub(crate) fn excuse_software(&mut self, id: &'static str, weight: f64, text: &str, at: &str) {
        let software: Vec<Subject> =
            self.list.iter().map(|(subject, _)| subject.clone()).filter(|subject| subject.family != "hardware").collect();
        for subject in software {
            self.excuse(&subject, id, weight, text, at);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// True if this image is accused.
    pub(crate) fn accuses(&self, name: &str) -> bool {
        self.list.iter().any(|(subject, _)| subject.name.eq_ignore_ascii_case(name))
    }

    fn evidence(&self, id: &'static str, direction: &'static str, weight: f64, text: String, at: String) -> Evidence {
        Evidence { id, text, direction, weight, source: Source { file: self.file.clone(), at } }
    }

    fn push(&mut self, subject: Subject, evidence: Evidence) {
        match self.list.iter_mut().find(|(known, _)| same(known, &subject)) {
            // One rule speaks once for a subject, with its strongest voice.
            Some((_, list)) => match list.iter_mut().find(|known| known.id == evidence.id && known.direction == evidence.direction) {
                Some(known) if known.weight >= evidence.weight => {}
                Some(known) => *known = evidence,
                None => list.push(evidence),
            },
            None => self.list.push((subject, vec![evidence])),
        }
    }

    /// Ranks the suspects; those under one in a hundred are dropped.
    pub(crate) fn rank(self) -> Vec<Suspect> {
        let strengths: Vec<f64> = self.list.iter().map(|(_, evidence)| strength(evidence)).collect();
        let none: f64 = strengths.iter().map(|strength| 1.0 - strength).product();
        let total: f64 = strengths.iter().sum::<f64>() + none;
        let mut suspects: Vec<Suspect> = self
            .list
            .into_iter()
            .zip(strengths)
            .map(|((subject, mut evidence), strength)| {
                evidence.sort_by(|a, b| (a.direction == "against").cmp(&(b.direction == "against")).then(b.weight.total_cmp(&a.weight)));
                Suspect {
                    rank: 0,
                    subject: subject.name,
                    family: subject.family,
                    part: subject.part,
                    confidence: round(strength / total),
                    summary: evidence.first().map(|first| first.text.clone()).unwrap_or_default(),
                    evidence,
                }
            })
            .filter(|suspect| suspect.confidence >= 0.01)
            .collect();
        suspects.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        for (index, suspect) in suspects.iter_mut().enumerate() {
            suspect.rank = index + 1;
        }
        suspects
    }
}

fn same(a: &Subject, b: &Subject) -> bool {
    a.name.eq_ignore_ascii_case(&b.name) && a.part == b.part
}

fn strength(evidence: &[Evidence]) -> f64 {
    let product = |direction| evidence.iter().filter(|piece| piece.direction == direction).map(|piece| 1.0 - piece.weight).product::<f64>();
    (1.0 - product("for")) * product("against")
}

/// Two digits are all that such numbers can bear. Rounding down keeps the sum at most 1.
fn round(confidence: f64) -> f64 {
    (confidence * 100.0).floor() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidences_sum_to_at_most_one_and_follow_the_evidence() {
        let mut suspects = Suspects::new("x.dmp".into());
        suspects.accuse(Subject::driver("a.sys"), "one", 0.6, "a", "P1");
        suspects.accuse(Subject::driver("A.SYS"), "two", 0.5, "b", "P2");
        suspects.accuse(Subject::driver("a.sys"), "one", 0.2, "weaker voice of the same rule", "P1");
        suspects.accuse(Subject::hardware("memory"), "three", 0.9, "c", "P3");
        suspects.excuse(&Subject::hardware("memory"), "four", 0.9, "d", "P4");
        let ranked = suspects.rank();
        assert!(ranked.iter().map(|suspect| suspect.confidence).sum::<f64>() <= 1.0);
        assert_eq!(ranked[0].subject, "a.sys");
        assert_eq!(ranked[0].evidence.len(), 2);
        assert_eq!(ranked[1].evidence.last().unwrap().direction, "against");
    }

    #[test]
    fn a_lone_suspect_keeps_its_own_weight() {
        let mut suspects = Suspects::new("x.dmp".into());
        suspects.accuse(Subject::os("ntoskrnl.exe"), "one", 0.25, "a", "P1");
        assert_eq!(suspects.rank()[0].confidence, 0.25);
    }
}
