//! What this crate concludes: a part, a confidence, and the reason in words.

use std::fmt;

use crate::words::Severity;

/// The part of the machine an error points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The processor: cores, caches, and the fabric inside the package.
    Cpu,
    /// Memory modules, their slots, and the path to the memory controller.
    Memory,
    /// A bus or link, PCI Express above all, or whatever sits on it.
    Bus,
    /// A graphics adapter.
    Gpu,
    /// A disk or its controller.
    Storage,
    /// The board and its firmware.
    BoardFirmware,
    /// The record does not say.
    Unknown,
}

impl Part {
    /// The identifier used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Bus => "bus",
            Self::Gpu => "gpu",
            Self::Storage => "storage",
            Self::BoardFirmware => "board-firmware",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One conclusion from an error record.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The part it points to.
    pub part: Part,
    /// How surely the error points there, 0 to 1. It is not the chance that the part must be replaced.
    pub confidence: f64,
    /// How bad the error was, as its reporter says.
    pub severity: Severity,
    /// The error in one plain sentence.
    pub sentence: String,
    /// Why this part and this confidence.
    pub why: String,
    /// The decoded fields, for whoever wants to check.
    pub details: Vec<Detail>,
}

/// A label and a value, both for people.
pub type Detail = (&'static str, String);

/// A part with a confidence and its reason: a finding before it has its sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Blame {
    /// The part.
    pub part: Part,
    /// How surely, 0 to 1.
    pub confidence: f64,
    /// Why.
    pub why: String,
}

impl Blame {
    pub(crate) fn new(part: Part, confidence: f64, why: impl Into<String>) -> Self {
        Self { part, confidence, why: why.into() }
    }

    /// The same part with less confidence and a further reason.
    pub(crate) fn weaken(mut self, factor: f64, why: &str) -> Self {
        self.confidence = (self.confidence * factor * 100.0).round() / 100.0;
        self.why = format!("{}; {why}", self.why);
        self
    }

    pub(crate) fn finding(self, severity: Severity, sentence: String, details: Vec<Detail>) -> Finding {
        Finding { part: self.part, confidence: self.confidence, severity, sentence, why: self.why, details }
    }
}

/// Collects details, leaving absent ones out.
#[derive(Debug, Default)]
pub(crate) struct Details(pub Vec<Detail>);

impl Details {
    pub fn add(&mut self, label: &'static str, value: Option<impl fmt::Display>) -> &mut Self {
        if let Some(value) = value {
            self.0.push((label, value.to_string()));
        }
        self
    }

    pub fn hex(&mut self, label: &'static str, value: Option<impl Into<u64>>) -> &mut Self {
        self.add(label, value.map(|v| format!("{:#x}", v.into())))
    }

    pub fn yes(&mut self, label: &'static str, value: Option<bool>) -> &mut Self {
        self.add(label, value.map(|v| if v { "yes" } else { "no" }))
    }

    pub fn list(&mut self, label: &'static str, values: &[String]) -> &mut Self {
        self.add(label, (!values.is_empty()).then(|| values.join(", ")))
    }
}
