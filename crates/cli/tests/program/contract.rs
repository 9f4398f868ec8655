//! The JSON contract `bugcheck.report/1`: the keys that are fixed, and what their values look like.

use crate::{run, samples};
use serde_json::Value;

/// What a value must look like.
enum Shape {
    /// Lower-case hexadecimal with `0x`.
    Hex,
    /// RFC 3339 in UTC.
    Time,
    /// A date, at least.
    Date,
    Text,
    Count,
    /// From 0 to 1.
    Share,
    Truth,
    /// One of these words.
    Word(&'static [&'static str]),
    List(&'static Shape),
    /// A list of exactly this many.
    Exactly(usize, &'static Shape),
    /// Names that are not fixed, with values that are.
    Map(&'static Shape),
    /// Keys; a question mark behind a key says that it may be absent.
    Keys(&'static [(&'static str, &'static Shape)]),
}

use Shape::{Count, Date, Exactly, Hex, Keys, List, Map, Share, Text, Time, Truth, Word};

const FAMILIES: &[&str] = &["driver", "hardware", "os", "third-party-conflict", "corrupted-files"];
const PARTS: &[&str] = &["memory", "cpu", "storage", "gpu", "board-firmware", "power-thermal"];
const VERDICTS: &[&str] = &["fault", "hardware", "hang", "power", "resource", "security", "requested", "test", "live", "unknown"];
const KINDS: &[&str] = &[
    "full",
    "kernel",
    "triage",
    "bitmap-full",
    "bitmap-kernel",
    "range-kernel",
    "range-kernel-user",
    "range-complete",
    "elf-core",
    "raw",
    "header-only",
    "windbg-text",
];

static CONTEXT: Shape = Keys(&[
    ("source", &Word(&["parameter", "trap-frame", "exception-record", "prcb", "header", "scan", "none"])),
    ("registers", &Map(&Hex)),
]);
static FRAME: Shape = Keys(&[
    ("index", &Count),
    ("ip", &Hex),
    ("sp", &Hex),
    ("module?", &Text),
    ("module_offset?", &Hex),
    ("symbol?", &Text),
    ("symbol_offset?", &Hex),
    ("source?", &Text),
    ("trust", &Word(&["context", "unwind", "frame-pointer", "scan"])),
]);
static FAULT: Shape = Keys(&[
    ("exception?", &Hex),
    ("access?", &Word(&["read", "write", "execute"])),
    ("address?", &Hex),
    ("instruction_pointer?", &Hex),
    ("location?", &Text),
    ("instruction?", &Keys(&[("bytes", &Text), ("text", &Text)])),
    ("explanation", &Text),
    ("consistency", &Keys(&[("verdict", &Word(&["consistent", "inconsistent", "unknown"])), ("computed_address?", &Hex), ("why", &Text)])),
]);
static SUSPECT: Shape = Keys(&[
    ("rank", &Count),
    ("subject", &Text),
    ("family", &Word(FAMILIES)),
    ("part?", &Word(PARTS)),
    ("confidence", &Share),
    ("summary", &Text),
    (
        "evidence",
        &List(&Keys(&[
            ("id", &Text),
            ("text", &Text),
            ("direction", &Word(&["for", "against"])),
            ("weight", &Share),
            ("source", &Keys(&[("file", &Text), ("at", &Text)])),
        ])),
    ),
]);
static STEP: Shape = Keys(&[
    ("id", &Text),
    ("title", &Text),
    ("why", &Text),
    ("commands?", &List(&Keys(&[("shell", &Word(&["cmd", "powershell", "windbg", "bios", "bugcheck"])), ("run", &Text)]))),
    ("look_for?", &Text),
    ("undo?", &Text),
]);
static MODULE: Shape = Keys(&[
    ("name", &Text),
    ("image", &Text),
    ("path?", &Text),
    ("base", &Hex),
    ("size", &Count),
    ("timestamp", &Hex),
    ("checksum", &Hex),
    ("version?", &Text),
    ("company?", &Text),
    ("microsoft?", &Truth),
    ("role?", &Text),
]);
static REPORT: Shape = Keys(&[
    ("schema", &Word(&["bugcheck.report/1"])),
    ("tool", &Keys(&[("name", &Word(&["bugcheck"])), ("version", &Text)])),
    ("verdict", &Keys(&[("kind", &Word(VERDICTS)), ("sentence", &Text), ("confidence", &Share)])),
    (
        "dump",
        &Keys(&[
            ("path", &Text),
            ("size", &Count),
            ("kind", &Word(KINDS)),
            ("arch", &Word(&["x64", "x86", "arm64"])),
            ("live", &Truth),
            ("crash_time?", &Time),
            ("uptime_seconds?", &Count),
            ("processors", &Count),
            ("os", &Keys(&[("name?", &Text), ("build", &Count), ("build_lab?", &Text), ("product_type?", &Text)])),
        ]),
    ),
    (
        "bugcheck",
        &Keys(&[
            ("code", &Hex),
            ("base_code", &Hex),
            ("name?", &Text),
            ("parameters", &Exactly(4, &Hex)),
            ("parameters_explained", &Exactly(4, &Text)),
        ]),
    ),
    ("fault?", &FAULT),
    ("context", &CONTEXT),
    ("stack", &List(&FRAME)),
    (
        "stacks",
        &List(&Keys(&[
            ("kind", &Word(&["fault", "bugcheck", "cpu", "thread"])),
            ("id?", &Text),
            ("context", &CONTEXT),
            ("frames", &List(&FRAME)),
        ])),
    ),
    ("modules", &List(&MODULE)),
    ("unloaded_modules", &List(&Keys(&[("image", &Text), ("start", &Hex), ("end", &Hex)]))),
    ("system", &Keys(&[("manufacturer?", &Text), ("product?", &Text), ("bios_version?", &Text), ("bios_date?", &Date), ("cpu?", &Text)])),
    (
        "windbg",
        &Keys(&[
            ("failure_bucket_id?", &Text),
            ("failure_id_hash?", &Text),
            ("module_name?", &Text),
            ("image_name?", &Text),
            ("symbol_name?", &Text),
        ]),
    ),
    ("suspects", &List(&SUSPECT)),
    ("missing", &List(&Keys(&[("what", &Text), ("why", &Text), ("how", &Text)]))),
    ("plan", &List(&STEP)),
    ("notes", &List(&Keys(&[("severity", &Word(&["info", "warning"])), ("text", &Text), ("at?", &Text)]))),
]);

/// `9999-99-99` with digits for the nines.
fn fits(text: &str, picture: &str) -> bool {
    text.len() == picture.len() && text.bytes().zip(picture.bytes()).all(|(c, p)| if p == b'9' { c.is_ascii_digit() } else { c == p })
}

fn is_hex(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or("");
    let lower = digits.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    lower && (digits == "0" || (1..=16).contains(&digits.len()) && !digits.starts_with('0'))
}

/// Collects what is not as the contract says.
fn check(value: &Value, shape: &Shape, at: &str, wrong: &mut Vec<String>) {
    let right = match shape {
        Hex => value.as_str().is_some_and(is_hex),
        Time => value.as_str().is_some_and(|text| fits(text, "9999-99-99T99:99:99Z")),
        Date => value.as_str().is_some_and(|text| fits(text, "9999-99-99")),
        Text => value.as_str().is_some_and(|text| !text.is_empty()),
        Count => value.is_u64(),
        Share => value.as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)),
        Truth => value.is_boolean(),
        Word(words) => value.as_str().is_some_and(|text| words.contains(&text)),
        List(_) => value.is_array(),
        Exactly(count, _) => value.as_array().is_some_and(|list| list.len() == *count),
        Map(_) | Keys(_) => value.is_object(),
    };
    if !right {
        wrong.push(format!("{at}: {value:.80}"));
        return;
    }
    match shape {
        List(each) | Exactly(_, each) => {
            value.as_array().unwrap().iter().enumerate().for_each(|(n, value)| check(value, each, &format!("{at}[{n}]"), wrong));
        }
        Map(each) => value.as_object().unwrap().iter().for_each(|(key, value)| check(value, each, &format!("{at}.{key}"), wrong)),
        Keys(keys) => {
            for (key, shape) in *keys {
                let name = key.trim_end_matches('?');
                match value.get(name) {
                    Some(value) => check(value, shape, &format!("{at}.{name}"), wrong),
                    None if *key == name => wrong.push(format!("{at}.{name}: absent")),
                    None => {}
                }
            }
        }
        _ => {}
    }
}

/// An unknown fact is an absent key: no `null` anywhere, not under keys beside the contract either.
fn nulls(value: &Value, at: &str, wrong: &mut Vec<String>) {
    match value {
        Value::Null => wrong.push(format!("{at}: null")),
        Value::Array(list) => list.iter().enumerate().for_each(|(n, value)| nulls(value, &format!("{at}[{n}]"), wrong)),
        Value::Object(map) => map.iter().for_each(|(key, value)| nulls(value, &format!("{at}.{key}"), wrong)),
        _ => {}
    }
}

/// What the contract says about several values together.
fn relations(report: &Value, wrong: &mut Vec<String>) {
    let mut demand = |right: bool, what: &str| {
        if !right {
            wrong.push(what.to_owned());
        }
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let suspects = list(&report["suspects"]);
    demand(suspects.iter().zip(1..).all(|(suspect, rank)| suspect["rank"] == rank), "suspects are not ranked 1, 2, 3, …");
    demand(
        suspects.iter().map(|suspect| suspect["confidence"].as_f64().unwrap_or(9.0)).sum::<f64>() <= 1.0 + 1e-9,
        "suspects sum to more than 1",
    );
    demand(
        suspects.iter().all(|suspect| (suspect["family"] == "hardware") == suspect.get("part").is_some()),
        "part is for hardware, always",
    );
    for frames in std::iter::once(&report["stack"]).chain(list(&report["stacks"]).iter().map(|stack| &stack["frames"])) {
        let frames = list(frames);
        demand(frames.iter().enumerate().all(|(n, frame)| frame["index"] == n), "frames are not numbered 0, 1, 2, …");
        demand(
            frames.iter().all(|frame| frame.get("module").is_some() == frame.get("module_offset").is_some()),
            "module and module_offset come together",
        );
    }
    let windbg = &report["windbg"];
    demand(windbg.get("failure_bucket_id").is_some() == windbg.get("failure_id_hash").is_some(), "a bucket and its hash come together");
    let number = |value: &Value| value.as_str().and_then(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok());
    let (code, base) = (number(&report["bugcheck"]["code"]), number(&report["bugcheck"]["base_code"]));
    demand(code.zip(base).is_some_and(|(code, base)| code == base || code == base | 0x1000_0000), "base_code is the code without its flag");
    let ids: Vec<Value> = list(&report["plan"]).iter().map(|step| step["id"].clone()).collect();
    demand(ids.iter().enumerate().all(|(n, id)| !ids[..n].contains(id)), "a step of the plan comes twice");
    let first = &report["stack"][0];
    if let Some(ip) = report["fault"].get("instruction_pointer")
        && first["trust"] == "context"
        && report["stacks"][0]["kind"] == "fault"
    {
        demand(&first["ip"] == ip, "the faulting stack does not begin at the fault");
    }
}

fn hold(documents: &str, least: usize) {
    let mut all = Vec::new();
    let mut count = 0;
    for line in documents.lines() {
        let report: Value = serde_json::from_str(line).unwrap();
        let mut wrong = Vec::new();
        check(&report, &REPORT, "", &mut wrong);
        nulls(&report, "", &mut wrong);
        relations(&report, &mut wrong);
        all.extend(wrong.into_iter().map(|wrong| format!("{}: {wrong}", report["dump"]["path"])));
        count += 1;
    }
    assert!(count >= least, "{count} reports");
    assert!(all.is_empty(), "{} breaches of the contract:\n{}", all.len(), all.join("\n"));
}

#[test]
fn reports_of_samples_hold_the_contract() {
    let ran = run(["analyze", "--json"].into_iter().map(str::to_owned).chain(samples()));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    hold(&ran.out, samples().len());
    // What triage writes is the same.
    assert_eq!(run(["triage", "--json"].into_iter().map(str::to_owned).chain(samples())).out, ran.out);
}

#[test]
fn reports_of_real_dumps_hold_the_contract() {
    let dumps = bugcheck_testdata::real_dumps();
    if dumps.is_empty() {
        return;
    }
    let ran = run(["analyze".as_ref(), "--json".as_ref()].into_iter().chain(dumps.iter().map(|dump| dump.as_os_str())));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    hold(&ran.out, dumps.len());
}

#[test]
fn the_check_itself_finds_breaches() {
    let ran = run(["analyze", "--json", "samples/null-write-7e.dmp"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let breaches: [fn(&mut Value); 8] = [
        |report| report["dump"]["os"]["build"] = Value::Null,
        |report| report["bugcheck"]["code"] = "0x7E".into(),
        |report| report["bugcheck"]["code"] = 126.into(),
        |report| report["dump"]["crash_time"] = "2026-03-14 09:26:53".into(),
        |report| report["suspects"][0]["rank"] = 2.into(),
        |report| report["suspects"][0]["confidence"] = 1.5.into(),
        |report| _ = report.as_object_mut().unwrap().remove("plan"),
        |report| report["stack"][0]["ip"] = "0x00ff".into(),
    ];
    for (n, breach) in breaches.iter().enumerate() {
        let mut report = report.clone();
        breach(&mut report);
        let line = report.to_string();
        assert!(std::panic::catch_unwind(|| hold(&line, 1)).is_err(), "breach {n} went unnoticed");
    }
}
