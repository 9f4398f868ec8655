//! `bugcheck explain`: a stop code in words, without a dump.

use crate::json::to_string;
use crate::style::{Ink, Style, plain, sentence};
use bugcheck_knowledge::{BugCheck, Lookup, Status};
use serde::Serialize;
use std::fmt::Write as _;

/// The answer for a person.
#[must_use]
pub fn text(lookup: &Lookup, style: Style) -> String {
    let mut out = String::new();
    for remark in lookup.notes.iter().map(String::as_str).chain(lookup.corrections.iter().copied()) {
        style.paragraph(&mut out, "", &plain(&sentence(remark)));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    if let Some((first, rest)) = lookup.hits.split_first() {
        bug_check(&mut out, first.code, first.bug_check, lookup, style);
        if !rest.is_empty() {
            style.heading(&mut out, "SEE ALSO");
            for hit in rest.iter().take(24) {
                style.paragraph(&mut out, "  ", &format!("{:#x} {}", hit.code, hit.bug_check.name));
            }
        }
    }
    for status in &lookup.statuses {
        let _ = writeln!(out, "{}", style.paint(Ink::Heading, &format!("{:#x} {}", status.code, status.name)));
        if !status.text.is_empty() {
            style.paragraph(&mut out, "  ", status.text);
        }
    }
    for module in &lookup.modules {
        let _ = writeln!(out, "{}", style.paint(Ink::Heading, module.image));
        style.paragraph(&mut out, "  ", &format!("{} — {} ({}). {}", module.vendor, module.product, module.role, module.remarks));
    }
    out
}

fn bug_check(out: &mut String, code: u32, known: &BugCheck, lookup: &Lookup, style: Style) {
    let _ = writeln!(out, "{}", style.paint(Ink::Heading, &format!("{code:#x} {}", known.name)));
    style.paragraph(out, "  ", known.about);
    let explained = known.explain_known(lookup.known_parameters(), &|_| None);
    if explained.about != known.about {
        style.paragraph(out, "  Here: ", explained.about);
    }
    out.push('\n');
    for (index, words) in explained.parameters.iter().enumerate() {
        style.field(out, &format!("P{}", index + 1), words);
    }
    if !known.likely.is_empty() {
        let likely: Vec<&str> = known.likely.iter().map(|cause| cause.word()).collect();
        style.field(out, "Usual causes", &likely.join(", "));
    }
    if matches!(known.kind.word(), "live" | "requested" | "test") {
        let text = match known.kind.word() {
            "live" => "a live dump: the machine did not crash",
            _ => "somebody asked for this crash",
        };
        style.field(out, "Remark", text);
    }
    if let Some(corrects) = known.corrects {
        style.field(out, "Correction", corrects);
    }
    if explained.case.is_none() && !known.cases.is_empty() && style.verbosity > 0 {
        style.heading(out, "CASES");
        for case in known.cases {
            let values: Vec<String> = case.values.iter().map(|value| format!("{value:#x}")).collect();
            style.field(out, &values.join(" "), case.about);
        }
    } else if explained.case.is_none() && !known.cases.is_empty() {
        style.field(out, "Cases", &format!("{} documented (-v lists them)", known.cases.len()));
    }
}

/// The answer for a program.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    notes: &'a [String],
    corrections: &'a [&'static str],
    bugchecks: Vec<Entry>,
    statuses: Vec<StatusEntry>,
}

#[derive(Serialize)]
struct Entry {
    code: String,
    name: &'static str,
    kind: &'static str,
    about: &'static str,
    parameters_explained: [String; 4],
    likely: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    corrects: Option<&'static str>,
    source: &'static str,
}

#[derive(Serialize)]
struct StatusEntry {
    code: String,
    name: &'static str,
    text: &'static str,
}

/// The answer as `bugcheck.explanation/1`.
#[must_use]
pub fn json(lookup: &Lookup) -> String {
    let entry = |(index, hit): (usize, &bugcheck_knowledge::Hit)| {
        // The parameters belong to the first answer only.
        let parameters = if index == 0 { lookup.known_parameters() } else { [None; 4] };
        let explained = hit.bug_check.explain_known(parameters, &|_| None);
        Entry {
            code: format!("{:#x}", hit.code),
            name: hit.bug_check.name,
            kind: hit.bug_check.kind.word(),
            about: explained.about,
            parameters_explained: explained.parameters,
            likely: hit.bug_check.likely.iter().map(|cause| cause.word()).collect(),
            corrects: hit.bug_check.corrects,
            source: hit.bug_check.source,
        }
    };
    let status = |status: &&'static Status| StatusEntry { code: format!("{:#x}", status.code), name: status.name, text: status.text };
    let document = Document {
        schema: "bugcheck.explanation/1",
        notes: &lookup.notes,
        corrections: &lookup.corrections,
        bugchecks: lookup.hits.iter().enumerate().map(entry).collect(),
        statuses: lookup.statuses.iter().map(status).collect(),
    };
    to_string(serde_json::to_string_pretty(&document))
}
