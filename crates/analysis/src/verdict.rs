//! The verdict in words, what WinDbg would say, and what is missing.

use crate::bucket::{Bucket, Owner, Reason, failure_id_hash};
use crate::case::Case;
use crate::fault::Consistency;
use crate::model::{Missing, Note, Suspect, Verdict, WinDbg};
use bugcheck_dump::DumpKind;
use bugcheck_knowledge::BugCheck;

/// Words the verdict: what a recipe was sure of, or what the suspects allow.
pub(crate) fn verdict(case: &Case<'_>, known: Option<&BugCheck>, live: bool, suspects: &[Suspect]) -> Verdict {
    let by_code = known.map_or("unknown", |known| known.kind.word());
    let first = suspects.first();
    let confidence = first.map_or(0.0, |first| first.confidence);
    if let Some((kind, sentence)) = &case.verdict {
        let certain = matches!(*kind, "requested" | "test") || (*kind == "live" && suspects.is_empty());
        let kind = if live { "live" } else { kind };
        return Verdict { kind: kind.into(), sentence: sentence.clone(), confidence: if certain { 0.97 } else { confidence } };
    }
    let hardware = first.is_some_and(|first| first.family == "hardware" && first.confidence >= 0.4);
    let kind = if live {
        "live"
    } else if hardware {
        "hardware"
    } else {
        by_code
    };
    let happened = case.fault.as_ref().map_or_else(
        || known.map_or("Windows stopped with a code that is not documented.", |known| known.about),
        |fault| &fault.explanation,
    );
    let happened =
        if live { format!("No crash: Windows noticed a problem, saved this dump and went on. {happened}") } else { happened.to_owned() };
    let who = match first {
        None => "There is not enough evidence in this dump to suspect anybody.".to_owned(),
        Some(first) if first.confidence >= 0.45 => format!("First suspect: {} — {}.", name(first), first.summary),
        Some(first) => format!("Not enough evidence for a firm answer; first among the suspects is {}: {}.", name(first), first.summary),
    };
    Verdict { kind: kind.into(), sentence: format!("{happened} {who}"), confidence }
}

/// A suspect as a person would say it.
fn name(suspect: &Suspect) -> String {
    match suspect.part {
        Some("memory") => "the memory (RAM)".into(),
        Some("cpu") => "the processor".into(),
        Some("storage") => "the drive".into(),
        Some("gpu") => "the graphics card".into(),
        Some("board-firmware") => "the board or its firmware".into(),
        Some("power-thermal") => "power supply or cooling".into(),
        _ => suspect.subject.clone(),
    }
}

/// The bucket, where every part of it is certain without function names.
pub(crate) fn windbg(case: &Case<'_>, live: bool) -> WinDbg {
    let Some(image) = &case.bucket_image else { return WinDbg::default() };
    let plain = |reason, owner| Bucket { live, reason, verifier: false, owner };
    let code = |code| Reason::Code { code, details: Vec::new() };
    let (bucket, image) = match case.code {
        0x116 => (plain(code(0x116), Some(Owner::Image(image.clone()))), Some(image.clone())),
        0x117 => (plain(code(0x117), Some(Owner::Image(image.clone()))), Some(image.clone())),
        0x1a => (plain(Reason::Named(image.clone()), None), None),
        // 0x141: current engines add a number that only their extension knows.
        _ => return WinDbg::default(),
    };
    let text = bucket.to_string();
    let module = image.as_ref().and_then(|image| case.kernel.modules.by_image(image)).map(|module| module.name.clone());
    WinDbg {
        failure_id_hash: Some(failure_id_hash(&text)),
        failure_bucket_id: Some(text),
        module_name: module,
        image_name: image,
        symbol_name: None,
    }
}

pub(crate) fn notes(case: &Case<'_>, has_bucket: bool) -> Vec<Note> {
    let mut notes = Vec::new();
    let info = |text: String| Note { severity: "info", text, at: None };
    let header = case.kernel.dump.header();
    if !has_bucket && case.verdict.as_ref().is_none_or(|(kind, _)| *kind != "live") {
        notes.push(info(
            "WinDbg's FAILURE_BUCKET_ID for this code contains a function name, which needs symbols; none is given rather than a wrong one"
                .into(),
        ));
    }
    if header.kind != DumpKind::Triage {
        let text = format!(
            "this is a {} dump: header, registers and bug check are read; reading its memory is not supported yet, its minidump says more (C:\\Windows\\Minidump)",
            header.kind.name()
        );
        notes.push(Note { severity: "warning", text, at: None });
    } else if !crate::has_memory(case.kernel) {
        notes.push(Note {
            severity: "warning",
            text: "this minidump brings no usable memory or module list: only its header speaks".into(),
            at: None,
        });
    }
    if let Some(driver) = case.kernel.dump.triage().and_then(|triage| triage.broken_driver.clone()) {
        notes.push(info(format!("Windows noted {driver} as the driver that broke a rule")));
    }
    if let Some(known) = bugcheck_knowledge::bug_check(header.bug_check.code).and_then(|known| known.corrects) {
        notes.push(info(format!("Microsoft's reference differs here: {known}")));
    }
    notes
}

/// What would make the answer better.
pub(crate) fn missing(case: &Case<'_>, suspects: &[Suspect], lacking: Option<&[String]>) -> Vec<Missing> {
    let mut missing = case.missing.clone();
    if suspects.is_empty() && matches!(case.verdict.as_ref().map(|(kind, _)| *kind), Some("requested" | "test" | "live")) {
        return missing;
    }
    if let Some(fault) = &case.fault
        && let Consistency::Unknown { why } = &fault.consistency
        && fault.address.is_some()
    {
        missing.push(Missing {
            what: "the proof that the instruction can have caused this fault".into(),
            why: why.clone(),
            how: "a kernel or full dump of the next crash holds all code and registers".into(),
        });
    }
    if case.frames.iter().any(|frame| frame.trust == bugcheck_unwind::Trust::Scan) {
        let how = match lacking {
            Some(lacking) if !lacking.is_empty() => format!("images and symbols of this build for {}", lacking.join(", ")),
            _ => "symbols and images of this build, given with -y and -i (a symbol store, or the machine's own System32)".into(),
        };
        missing.push(Missing {
            what: "function names and a proven stack".into(),
            why: "without Windows' images and symbols the stack is found by scanning: each frame is a candidate, some are left over from earlier calls".into(),
            how,
        });
    }
    missing
}
