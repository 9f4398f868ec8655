//! What really happened: the `truth.json` beside each sample.

use crate::Arch;
use std::fmt::Write as _;

/// One frame of the true stack.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Frame {
    pub ip: u64,
    pub module: String,
    pub symbol: String,
}

/// A hardware error that the story put in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Injected {
    pub what: String,
    pub bit: Option<u32>,
    pub at: Option<u64>,
}

/// The cause of a crash, as the author of the story knows it. Absent facts are absent keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Truth {
    pub dump: String,
    pub code: u32,
    pub parameters: [u64; 4],
    /// `driver`, `hardware`, `os`, `third-party-conflict` or `corrupted-files`.
    pub family: Option<String>,
    /// `memory`, `cpu`, `storage`, `gpu`, `board-firmware`, `power-thermal`.
    pub part: Option<String>,
    pub subject: Option<String>,
    pub function: Option<String>,
    pub source: Option<String>,
    pub victim: Option<String>,
    pub injected: Option<Injected>,
    /// The faulting stack, innermost frame first.
    pub stack: Vec<Frame>,
    pub expected_kind: String,
    pub note: Option<String>,
    pub arch: Option<Arch>,
    /// Which machine; `synthetic` if it is none.
    pub machine: Option<String>,
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl Truth {
    /// The JSON text, schema `bugcheck.truth/1`.
    pub fn json(&self) -> String {
        let mut members = vec![("schema", quoted("bugcheck.truth/1")), ("dump", quoted(&self.dump))];
        let parameters: Vec<String> = self.parameters.iter().map(|p| format!("\"{p:#x}\"")).collect();
        let bug_check = format!("{{\"code\": \"{:#x}\", \"parameters\": [{}]}}", self.code, parameters.join(", "));
        members.push(("bugcheck", bug_check));
        let texts = [
            ("family", &self.family),
            ("part", &self.part),
            ("subject", &self.subject),
            ("function", &self.function),
            ("source", &self.source),
            ("victim", &self.victim),
        ];
        for (key, value) in texts {
            if let Some(v) = value {
                members.push((key, quoted(v)));
            }
        }
        if let Some(i) = &self.injected {
            let mut inner = vec![format!("\"what\": {}", quoted(&i.what))];
            inner.extend(i.bit.map(|b| format!("\"bit\": {b}")));
            inner.extend(i.at.map(|a| format!("\"at\": \"{a:#x}\"")));
            members.push(("injected", format!("{{{}}}", inner.join(", "))));
        }
        if !self.stack.is_empty() {
            let frames: Vec<String> = self
                .stack
                .iter()
                .map(|f| format!("    {{\"ip\": \"{:#x}\", \"module\": {}, \"symbol\": {}}}", f.ip, quoted(&f.module), quoted(&f.symbol)))
                .collect();
            members.push(("stack", format!("[\n{}\n  ]", frames.join(",\n"))));
        }
        members.push(("machine", quoted(self.machine.as_deref().unwrap_or("synthetic"))));
        members.push(("expected_kind", quoted(&self.expected_kind)));
        if let Some(note) = &self.note {
            members.push(("note", quoted(note)));
        }
        let lines: Vec<String> = members.iter().map(|(k, v)| format!("  {}: {v}", quoted(k))).collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }
}
