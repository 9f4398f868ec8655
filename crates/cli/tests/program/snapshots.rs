//! What the program prints, word for word. After a wanted change: `INSTA_UPDATE=always cargo test -p bugcheck --test program`,
//! then read the difference.

use crate::{run, samples};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Samples whose reports are kept in every form: each family, each architecture, an object list, a physical dump.
const CHOSEN: &[&str] = &[
    "null-write-7e",
    "inconsistent-address-d1",
    "power-irp-9f",
    "machine-check-124",
    "missing-popcnt-7e",
    "null-read-d1-arm64",
    "freed-write-d1-x86",
    "null-write-d1-full",
];

/// The output of a successful run, without what changes with every release or system.
fn printed(arguments: &[&str]) -> String {
    let ran = run(arguments);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
    let version = env!("CARGO_PKG_VERSION");
    ran.out
        .replace("bugcheck.exe", "bugcheck")
        .replace(&format!("bugcheck {version}"), "bugcheck [version]")
        .replace(&format!("\"version\": \"{version}\""), "\"version\": \"[version]\"")
}

/// Compares all before it fails, so that one run shows everything that changed.
fn compare(snapshots: impl IntoIterator<Item = (String, Vec<String>)>) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let different: Vec<String> = settings.bind(|| {
        let changed = |(name, arguments): (String, Vec<String>)| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let text = printed(&arguments);
            catch_unwind(AssertUnwindSafe(|| insta::assert_snapshot!(name.as_str(), text))).is_err().then_some(name)
        };
        snapshots.into_iter().filter_map(changed).collect()
    });
    assert!(different.is_empty(), "other than before: {}", different.join(", "));
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn stem(sample: &str) -> String {
    sample.trim_start_matches("samples/").trim_end_matches(".dmp").to_owned()
}

fn chosen() -> Vec<String> {
    let chosen: Vec<String> = samples().into_iter().filter(|sample| CHOSEN.contains(&stem(sample).as_str())).collect();
    assert_eq!(chosen.len(), CHOSEN.len());
    chosen
}

#[test]
fn reports() {
    compare(samples().iter().map(|sample| (format!("report-{}", stem(sample)), words(&["analyze", sample]))));
}

#[test]
fn verbose_reports() {
    compare(chosen().iter().map(|sample| (format!("verbose-{}", stem(sample)), words(&["analyze", "-v", sample]))));
}

#[test]
fn quiet_reports() {
    let mut arguments = words(&["analyze", "-q"]);
    arguments.extend(chosen());
    compare([("quiet".to_owned(), arguments)]);
}

#[test]
fn json_reports() {
    compare(chosen().iter().map(|sample| (format!("json-{}", stem(sample)), words(&["analyze", "--json", sample]))));
}

#[test]
fn tables() {
    // The files one by one: a folder's separator differs between systems.
    let with = |options: &[&str]| {
        let mut arguments = words(&["triage"]);
        arguments.extend(words(options));
        arguments.extend(samples());
        arguments
    };
    // The table is followed by the groups of equal crashes.
    compare([
        ("table".to_owned(), with(&[])),
        ("table-by-code".to_owned(), with(&["--sort", "code"])),
        ("table-by-confidence".to_owned(), with(&["--sort", "confidence"])),
        ("table-csv".to_owned(), with(&["--csv"])),
    ]);
}

#[test]
fn scores() {
    let with = |options: &[&str]| {
        let mut arguments = words(&["score"]);
        arguments.extend(words(options));
        arguments.extend(samples());
        arguments
    };
    compare([("score".to_owned(), with(&[])), ("score-verbose".to_owned(), with(&["-v"])), ("score-json".to_owned(), with(&["--json"]))]);
}

#[test]
fn help() {
    compare([
        ("help".to_owned(), words(&["--help"])),
        ("help-analyze".to_owned(), words(&["analyze", "--help"])),
        ("help-triage".to_owned(), words(&["triage", "--help"])),
        ("help-explain".to_owned(), words(&["explain", "--help"])),
        ("help-score".to_owned(), words(&["score", "--help"])),
        ("help-symbols".to_owned(), words(&["symbols", "--help"])),
        ("help-symbols-fetch".to_owned(), words(&["symbols", "fetch", "--help"])),
    ]);
}

#[test]
fn explanations() {
    let cases: &[(&str, &[&str])] = &[
        ("0x50", &["0x50"]),
        ("page-fault", &["PAGE_FAULT"]),
        ("0x5c", &["0x5C"]),
        ("wrong-name-for-0x5c", &["KERNEL_MODE_EXCEPTION_NOT_HANDLED 0x0000005C"]),
        ("0x1a-with-parameters", &["0x1A", "0x41792", "0xfffff6fb40000abc", "0x2000", "0"]),
        ("307", &["307"]),
        ("no-such-name", &["CRITICAL_PROCESS_DID_NOT_PROVIDE_A_VALID_THREAD_FUNCTION"]),
    ];
    compare(cases.iter().map(|(name, text)| (format!("explain-{name}"), words(&[&["explain"], *text].concat()))));
    compare([("explain-json-0x50".to_owned(), words(&["explain", "--json", "0x50"]))]);
}
