//! Remarks about a file that do not stop its reading.

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something is damaged or missing.
    Warning,
}

/// One remark: what is odd, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub severity: Severity,
    /// What was found, in words.
    pub text: String,
    /// Offset in the file, where there is one.
    pub offset: Option<u64>,
}

impl Note {
    /// A remark that something is good to know.
    pub fn info(text: impl Into<String>, offset: Option<u64>) -> Self {
        Self { severity: Severity::Info, text: text.into(), offset }
    }

    /// A remark that something is damaged or missing.
    pub fn warning(text: impl Into<String>, offset: Option<u64>) -> Self {
        Self { severity: Severity::Warning, text: text.into(), offset }
    }
}
