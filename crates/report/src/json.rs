//! JSON: one pretty document, or one document a line.

use bugcheck_analysis::Analysis;

/// The report as one pretty document.
#[must_use]
pub fn pretty(analysis: &Analysis) -> String {
    to_string(serde_json::to_string_pretty(analysis))
}

/// The report on one line.
#[must_use]
pub fn line(analysis: &Analysis) -> String {
    to_string(serde_json::to_string(analysis))
}

/// Plain data with string keys always serialises; if that ever changes, the reader must see an error and not half a document.
pub(crate) fn to_string(result: serde_json::Result<String>) -> String {
    result.unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
}
