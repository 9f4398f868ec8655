//! Which files are read, what is said of those that cannot be, and how the program ends.

use crate::{Ran, folder, program, run, samples};
use serde_json::Value;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

const GOOD: &str = "samples/null-write-d1.dmp";
const OTHER: &str = "samples/power-irp-9f.dmp";

/// The one line of standard error that names `file`.
fn reason<'a>(ran: &'a Ran, file: &str) -> &'a str {
    let lines: Vec<&str> = ran.err.lines().filter(|line| line.contains(file)).collect();
    assert_eq!(lines.len(), 1, "lines that name {file}:\n{}", ran.err);
    let reason = lines[0].strip_prefix("bugcheck: ").unwrap_or_else(|| panic!("{}", lines[0]));
    let (_, reason) = reason.split_once(file).unwrap();
    reason.strip_prefix(": ").unwrap_or_else(|| panic!("no reason: {}", lines[0]))
}

fn write(path: &Path, bytes: &[u8]) -> String {
    std::fs::write(path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn documents(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:.80}"))).collect()
}

fn paths(documents: &[Value]) -> Vec<&str> {
    documents.iter().map(|document| document["dump"]["path"].as_str().unwrap()).collect()
}

#[test]
fn files_that_hold_no_dump_are_named_with_the_reason() {
    let folder = folder("no-dumps");
    let cases: [(&str, &[u8], &str); 8] = [
        ("empty.dmp", b"", "empty"),
        ("zeros.dmp", &[0; 70_000], "zero"),
        ("user.dmp", &[&b"MDMP"[..], &[0; 0x2000]].concat(), "user-mode"),
        ("cut.dmp", &std::fs::read(bugcheck_testdata::root().join(GOOD)).unwrap()[..0x800], "cut"),
        ("packed.dmp", &[&b"PK\x03\x04"[..], &[0; 100]].concat(), "unpack"),
        ("cabinet.dmp", &[&b"MSCF"[..], &[0; 100]].concat(), "unpack"),
        ("image.dmp", &[&b"MZ\x90\0"[..], &[0; 100]].concat(), "not a"),
        ("text.dmp", b"Microsoft (R) Windows Debugger", "not a"),
    ];
    for (name, bytes, word) in cases {
        let path = write(&folder.join(name), bytes);
        for command in ["analyze", "triage"] {
            let alone = run([command, &path]);
            assert_eq!((alone.code, alone.out.as_str(), alone.err.lines().count()), (1, "", 1), "{command} {name}: {}", alone.err);
            assert!(reason(&alone, name).to_lowercase().contains(word), "{}", alone.err);
        }
    }
    let missing = run(["analyze", "samples/nowhere.dmp"]);
    assert_eq!((missing.code, missing.out.as_str(), missing.err.lines().count()), (1, "", 1));
    assert!(missing.err.contains("nowhere.dmp"), "{}", missing.err);
}

#[test]
fn good_dumps_are_printed_beside_broken_ones() {
    let folder = folder("broken-and-good");
    let broken = write(&folder.join("broken.dmp"), &[0; 0x3000]);
    let text = run(["analyze", &broken, GOOD]);
    assert_eq!(text.code, 1);
    assert!(text.out.contains("DRIVER_IRQL_NOT_LESS_OR_EQUAL") && text.out.contains("faulty.sys"), "{}", text.out);
    reason(&text, "broken.dmp");
    for command in [&["analyze", "--json"][..], &["triage", "--json"]] {
        let json = run(command.iter().copied().chain([GOOD, &broken, OTHER]));
        assert_eq!(json.code, 1);
        reason(&json, "broken.dmp");
        assert_eq!(paths(&documents(&json.out)), [GOOD, OTHER]);
    }
    let table = run(["triage", GOOD, &broken]);
    assert_eq!(table.code, 1);
    assert!(table.out.contains("null-write-d1.dmp") && !table.out.contains("broken.dmp"), "{}", table.out);
    reason(&table, "broken.dmp");
}

/// Three empty ones and three full of zeros, as real machines left them.
#[test]
fn real_broken_dumps_are_named_with_the_reason() {
    let Some(malformed) = bugcheck_testdata::shared_path("data/dumps/malformed") else { return };
    let mut files: Vec<_> = std::fs::read_dir(&malformed).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 6);
    let arguments = files.iter().map(|file| file.to_str().unwrap()).chain([GOOD]);
    let ran = run(["analyze"].into_iter().chain(arguments));
    assert_eq!((ran.code, ran.err.lines().count()), (1, 6), "{}", ran.err);
    assert!(ran.out.contains("faulty.sys"), "{}", ran.out);
    for file in &files {
        let word = if std::fs::metadata(file).unwrap().len() == 0 { "empty" } else { "zero" };
        assert!(reason(&ran, &bugcheck_testdata::name(file)).contains(word), "{}", ran.err);
        let alone = run(["analyze".as_ref(), file.as_os_str()]);
        assert_eq!((alone.code, alone.out.as_str(), alone.err.lines().count()), (1, "", 1));
    }
    let whole_folder = run(["triage".as_ref(), malformed.as_os_str()]);
    assert_eq!((whole_folder.code, whole_folder.out.as_str(), whole_folder.err.lines().count()), (1, "", 6));
}

#[test]
fn exit_status_tells_success_failure_and_misuse() {
    for good in [&["analyze", GOOD][..], &["analyze", "samples"], &["triage", "samples"], &["explain", "0x50"], &["--version"], &["--help"]]
    {
        let ran = run(good);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{good:?}");
        assert!(!ran.out.is_empty(), "{good:?}");
    }
    let empty = folder("empty-folder");
    let empty = empty.to_str().unwrap();
    for bad in [&["analyze", "nowhere.dmp"][..], &["analyze", "LICENSE-MIT"], &["triage", empty], &["explain", "qqqq", "zzzz"]] {
        assert_eq!(run(bad).code, 1, "{bad:?}");
    }
    assert!(run(["analyze", empty]).err.contains("empty-folder"));
    let misuses = [
        &[][..],
        &["analyze"],
        &["triage"],
        &["explain"],
        &["analyse", GOOD],
        &["analyze", "--jsn", GOOD],
        &["triage", "--sort", "colour", "samples"],
        &["triage", "--json", "--csv", "samples"],
        &["analyze", "-q", "-v", GOOD],
    ];
    for misuse in misuses {
        let ran = run(misuse);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{misuse:?}");
        assert!(ran.err.contains("Usage:") || ran.err.contains("--help"), "{misuse:?}: {}", ran.err);
    }
}

#[test]
fn one_dump_makes_one_document_and_many_make_lines_in_input_order() {
    let one = run(["analyze", "--json", GOOD]);
    let document: Value = serde_json::from_str(&one.out).unwrap();
    assert_eq!(document["dump"]["path"], GOOD);
    assert!(one.out.lines().count() > 100 && one.out.starts_with("{\n") && one.out.ends_with("}\n"));

    let mut backwards = samples();
    backwards.reverse();
    for command in ["analyze", "triage"] {
        let many = run([command, "--json"].into_iter().chain(backwards.iter().map(String::as_str)));
        assert_eq!(paths(&documents(&many.out)), backwards, "{command}");
        let ordered = run([command, "--json", "samples"]);
        let documents = documents(&ordered.out);
        let found: Vec<String> = paths(&documents).iter().map(|path| path.replace('\\', "/")).collect();
        // Folders within are walked in their place.
        let (below, direct): (Vec<String>, Vec<String>) = found.into_iter().partition(|path| path.starts_with("samples/lab/"));
        assert_eq!(direct, samples(), "{command}: a folder in the order of its names");
        assert!(!below.is_empty() && below.is_sorted(), "{command}: and the folder within");
    }
    // The same dump gives the same document, whichever way it is asked for.
    let lines = run(["analyze", "--json", GOOD, OTHER]);
    assert_eq!(documents(&lines.out)[0], document);
    // A folder with one dump is still a list.
    let folder = folder("one-dump");
    std::fs::copy(bugcheck_testdata::root().join(GOOD), folder.join("one.dmp")).unwrap();
    let listed = run(["analyze".as_ref(), "--json".as_ref(), folder.as_os_str()]);
    assert_eq!(listed.out.lines().count(), 1);
    // Triage always makes lines.
    assert_eq!(run(["triage", "--json", GOOD]).out.lines().count(), 1);
}

#[test]
fn folders_are_searched_for_dumps_by_name_and_by_content() {
    let folder = folder("folders");
    let good = std::fs::read(bugcheck_testdata::root().join(GOOD)).unwrap();
    std::fs::create_dir(folder.join("below")).unwrap();
    for name in ["a.DMP", "below/b.dmp", "c.bin"] {
        std::fs::write(folder.join(name), &good).unwrap();
    }
    std::fs::write(folder.join("notes.txt"), "no dump").unwrap();
    std::fs::write(folder.join("d.exe"), b"MZ").unwrap();
    let ran = run(["triage".as_ref(), "--json".as_ref(), folder.as_os_str()]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let documents = documents(&ran.out);
    let names: Vec<_> = paths(&documents).iter().map(|path| path.rsplit(['/', '\\']).next().unwrap().to_owned()).collect();
    assert_eq!(names, ["a.DMP", "b.dmp", "c.bin"]);
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    for arguments in [&["analyze", "-v", "samples"][..], &["analyze", "--json", "samples"], &["triage", "--json", "samples"]] {
        let mut child = program().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0; 16]).unwrap();
        drop(out);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(ended.stderr).unwrap(), "", "{arguments:?}");
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn colours_only_when_asked_for() {
    for command in [&["analyze", GOOD][..], &["triage", "samples"], &["explain", "0x50"]] {
        assert!(!run(command).out.contains('\u{1b}'), "{command:?}");
        let coloured = run(["--color", "always"].iter().chain(command));
        assert!(coloured.out.contains('\u{1b}'), "{command:?}");
    }
}

#[test]
fn options_may_follow_what_is_explained() {
    assert!(run(["explain", "0x50", "--json"]).out.starts_with('{'));
    assert!(run(["explain", "0x50", "--color", "always"]).out.contains('\u{1b}'));
    assert_eq!(run(["explain", "0x50", "--jsn"]).code, 2);
}

#[test]
fn quiet_says_less_and_verbose_more() {
    let lines = |option: &[&str]| run(["analyze", GOOD].iter().chain(option)).out.lines().count();
    let (quiet, plain, verbose) = (lines(&["-q"]), lines(&[]), lines(&["-v"]));
    assert!(quiet < plain && plain < verbose, "{quiet} {plain} {verbose}");
}

/// Names come from the file: what they hold must not reach a terminal, nor break a table.
#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let mut bytes = std::fs::read(bugcheck_testdata::root().join(GOOD)).unwrap();
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let (name, hostile) = (wide("faulty.sys"), wide("\u{1b}[2J\u{202e}\n\"=+"));
    assert!(hostile.len() <= name.len());
    let places: Vec<usize> = (0..bytes.len() - name.len()).filter(|&at| bytes[at..].starts_with(&name)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + hostile.len()].copy_from_slice(&hostile);
    }
    let path = write(&folder("hostile").join("hostile.dmp"), &bytes);
    let bad = |text: &str| text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
    for command in [&["analyze"][..], &["analyze", "-v"], &["triage"], &["analyze", "--json"]] {
        let ran = run(command.iter().copied().chain([path.as_str()]));
        assert_eq!(ran.code, 0, "{command:?}");
        assert!(!ran.out.is_empty() && !ran.out.contains('\u{1b}'), "{command:?}");
        if command.last() != Some(&"--json") {
            assert!(!bad(&ran.out), "{command:?}: {}", ran.out);
        }
    }
    // CSV keeps one record a line.
    assert_eq!(run(["triage", "--csv", path.as_str()]).out.lines().count(), 2);
}
