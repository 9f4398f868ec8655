//! Many dumps at a glance: a table, CSV, and groups of equal crashes.

use crate::style::{Ink, Style, percent, plain};
use crate::text::file_name;
use bugcheck_analysis::Analysis;
use serde::Serialize;
use std::fmt::Write as _;

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// When it crashed, RFC 3339.
    pub time: String,
    /// The file, as given.
    pub file: String,
    /// The stop code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// The verdict's kind.
    pub verdict: String,
    /// The first suspect.
    pub suspect: String,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// What makes two crashes the same.
    pub signature: String,
}

/// What the table is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// The time of the crash.
    Time,
    /// The file's name.
    File,
    /// The stop code.
    Code,
    /// The verdict's kind.
    Verdict,
    /// The first suspect.
    Suspect,
    /// How sure, surest first.
    Confidence,
}

impl Row {
    /// The line for a report.
    #[must_use]
    pub fn new(analysis: &Analysis) -> Self {
        let first = analysis.suspects.first();
        Self {
            time: analysis.dump.crash_time.clone().unwrap_or_default(),
            file: analysis.dump.path.clone(),
            code: analysis.bugcheck.code.to_string(),
            name: analysis.bugcheck.name.clone().unwrap_or_default(),
            verdict: analysis.verdict.kind.clone(),
            suspect: first.map(|first| first.subject.clone()).unwrap_or_default(),
            confidence: analysis.verdict.confidence,
            signature: analysis.signature.clone(),
        }
    }
}

/// Sorts lines; equal ones by time.
pub fn sort(rows: &mut [Row], by: SortBy) {
    let code = |row: &Row| u64::from_str_radix(row.code.trim_start_matches("0x"), 16).unwrap_or(u64::MAX);
    rows.sort_by(|a, b| {
        let order = match by {
            SortBy::Time => std::cmp::Ordering::Equal,
            SortBy::File => a.file.cmp(&b.file),
            SortBy::Code => code(a).cmp(&code(b)),
            SortBy::Verdict => a.verdict.cmp(&b.verdict),
            SortBy::Suspect => a.suspect.to_lowercase().cmp(&b.suspect.to_lowercase()),
            SortBy::Confidence => b.confidence.total_cmp(&a.confidence),
        };
        order.then_with(|| a.time.cmp(&b.time))
    });
}

/// The table for a person, a line a dump.
#[must_use]
pub fn render(rows: &[Row], style: Style) -> String {
    let mut out = String::new();
    let cells = |row: &Row| {
        let time = row.time.get(..16).unwrap_or(&row.time).replace('T', " ");
        let code = format!("{} {}", row.code, row.name);
        let suspect = if row.suspect.is_empty() { "–".to_owned() } else { row.suspect.clone() };
        [time, file_name(&row.file), code, row.verdict.clone(), plain(&suspect), percent(row.confidence)]
    };
    let titles = ["TIME (UTC)", "FILE", "STOP CODE", "VERDICT", "SUSPECT", "SURE"].map(str::to_owned);
    let lines: Vec<[String; 6]> = rows.iter().map(cells).collect();
    let mut widths: [usize; 6] = std::array::from_fn(|column| {
        std::iter::once(&titles)
            .chain(&lines)
            .filter_map(|line| line.get(column))
            .map(|cell| textwrap::core::display_width(cell))
            .max()
            .unwrap_or(0)
    });
    // What does not fit is taken from the file name and the code, which stay recognisable when cut.
    let total: usize = widths.iter().sum::<usize>() + 2 * 5;
    let mut excess = total.saturating_sub(style.width.max(60));
    for (column, least) in [(2, 14), (1, 12), (4, 10)] {
        if let Some(width) = widths.get_mut(column) {
            let cut = excess.min(width.saturating_sub(least));
            *width -= cut;
            excess -= cut;
        }
    }
    let line = |cells: &[String; 6]| {
        let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| fit(cell, width)).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let _ = writeln!(out, "{}", style.paint(Ink::Heading, &line(&titles)));
    for cells in &lines {
        let _ = writeln!(out, "{}", line(cells));
    }
    out
}

/// Cuts or pads to a width; a file name keeps its end, which tells more than its beginning.
fn fit(cell: &str, width: usize) -> String {
    let have = textwrap::core::display_width(cell);
    if have <= width {
        return format!("{cell}{}", " ".repeat(width - have));
    }
    let kept: String = cell.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Crashes that are the same, most frequent first; those that happened once are left out.
#[must_use]
pub fn groups(rows: &[Row], style: Style) -> String {
    let mut groups: Vec<(&str, Vec<&Row>)> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for row in rows {
        let at = *index.entry(row.signature.as_str()).or_insert_with(|| {
            groups.push((&row.signature, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, members)) = groups.get_mut(at) {
            members.push(row);
        }
    }
    // A signature that is a bare code names no place: such crashes share nothing else.
    groups.retain(|(signature, members)| members.len() > 1 && signature.contains(' '));
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    let mut out = String::new();
    if groups.is_empty() {
        return out;
    }
    style.heading(&mut out, "EQUAL CRASHES");
    for (signature, members) in groups {
        let suspect = members.first().map(|row| row.suspect.as_str()).filter(|suspect| !suspect.is_empty()).unwrap_or("no suspect");
        let files: Vec<String> = members.iter().take(4).map(|row| file_name(&row.file)).collect();
        let more = if members.len() > 4 { ", …" } else { "" };
        style.paragraph(
            &mut out,
            &format!("  {:>3} × ", members.len()),
            &plain(&format!("{signature} — {suspect}: {}{more}", files.join(", "))),
        );
    }
    out
}

/// The table as CSV with a header line.
#[must_use]
pub fn csv(rows: &[Row]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        // A spreadsheet runs what begins like a formula: file names and module names are hostile text.
        let safe = Row { file: harmless(&row.file), suspect: harmless(&row.suspect), signature: harmless(&row.signature), ..row.clone() };
        if writer.serialize(safe).is_err() {
            break;
        }
    }
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

fn harmless(cell: &str) -> String {
    let cell = plain(cell);
    if cell.starts_with(['=', '+', '-', '@']) { format!("'{cell}") } else { cell }
}
