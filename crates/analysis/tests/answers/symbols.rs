//! With symbols and images: stacks that are unwound and named as others unwind and name them.

use super::{has_frame, hex, text};
use bugcheck_analysis::{Analysis, Options, Sources, analyze};
use bugcheck_dump::Dump;
use bugcheck_symbols::{Settings, SymbolPath};
use bugcheck_testdata::shared_path;
use std::path::{Path, PathBuf};

fn with_sources(dump: &Path, symbols: &[PathBuf], images: &[PathBuf]) -> Analysis {
    let path = |folders: &[PathBuf]| folders.iter().map(|folder| folder.to_string_lossy().into_owned()).collect::<Vec<_>>().join(";");
    let path = |folders: &[PathBuf]| SymbolPath::parse(&path(folders));
    let sources = Sources::new(&path(symbols), &path(images), None, Settings::default());
    let options = Options { sources: Some(&sources), ..Options::default() };
    analyze(&Dump::open(dump).unwrap(), &dump.to_string_lossy(), options)
}

/// rizin's backtrace: program counter, and the name with its decimal offset as far as it was printed.
fn rizin() -> Option<Vec<(u64, String)>> {
    let tests = text(&shared_path("data/expected/rizin_test_db_formats_dmp.txt")?);
    let test = tests.split("NAME=").find(|test| test.contains("/triage_x64.dmp") && test.contains("dbt")).unwrap();
    let frame = |line: &str| match *line.split_whitespace().collect::<Vec<_>>() {
        [_, pc, "sp:", _, _, "[??]", name] => Some((hex(pc), name.trim_start_matches("pdb.").to_owned())),
        _ => None,
    };
    Some(test.lines().filter_map(frame).collect())
}

/// The ISF's names of what rizin names otherwise: an alias at the same address, and a data symbol that is no function.
const ALIASES: &[&str] = &["KiStartSystemThread", "string_", "__C_specific_handler", "KiSegmentNotPresentFault"];

#[test]
fn a_driver_is_unwound_and_named_as_rizin_does() {
    let (Some(expected), Some(data)) = (rizin(), shared_path("data")) else { return };
    let symbols = [data.join("isf"), data.join("symbols")];
    let analysis = with_sources(&data.join("dumps/rizinorg_rizin-testbins__triage_x64.dmp"), &symbols, &symbols[1..]);
    let from_fault: Vec<_> = expected.iter().skip_while(|(pc, _)| *pc != hex("fffff8048b58334c")).collect();

    // From the fault up to where Windows' own image would be needed: six frames of amdppm, ten of Wdf01000, one of nt.
    for (frame, (pc, name)) in analysis.stack.iter().zip(&from_fault).take(17) {
        assert_eq!(frame.ip.0, *pc, "frame {}", frame.index);
        assert!(frame.trust == "unwind" || frame.index == 0, "frame {} is {}", frame.index, frame.trust);
        assert_eq!(frame.module.as_deref() == Some("amdppm"), name.starts_with("amdppm."), "{name}");
    }
    let mut compared = 0;
    let stacks = analysis.stacks.iter().flat_map(|stack| &stack.frames);
    for frame in stacks {
        let Some((_, name)) = expected.iter().find(|(pc, _)| *pc == frame.ip.0) else { continue };
        if name.starts_with("Wdf01000") || ALIASES.iter().any(|alias| name.contains(alias)) {
            continue;
        }
        let (function, offset) = name.split_once('.').unwrap().1.rsplit_once('+').unwrap_or((name.split_once('.').unwrap().1, "0"));
        assert_eq!(frame.symbol.as_deref(), Some(function), "{:#x}", frame.ip.0);
        assert_eq!(frame.symbol_offset.unwrap().0, offset.parse::<u64>().unwrap(), "{function}");
        compared += 1;
    }
    assert!(compared >= 22, "only {compared} names compared");
    // Wdf01000's PDB is not there: module and offset, and no export taken for a function that it is not.
    let wdf: Vec<_> = analysis.stack.iter().filter(|frame| frame.module.as_deref() == Some("Wdf01000")).collect();
    assert!(wdf.len() >= 10 && wdf.iter().all(|frame| frame.symbol.is_none()));
    assert!(expected.iter().all(|(pc, _)| *pc == 0 || analysis.stacks.iter().any(|stack| has_frame(&stack.frames, *pc))));
}

#[test]
fn the_kernels_symbols_are_chosen_by_proof() {
    let (Some(data), Some(dumps)) = (shared_path("data/isf"), shared_path("data/dumps")) else { return };
    for name in ["052223-4671-01", "052223-4781-01", "052223-7734-01", "052323-19218-01", "052323-8093-01"] {
        let dump = dumps.join(format!("Appostarsi_WinErros__{name}.dmp"));
        let analysis = with_sources(&dump, std::slice::from_ref(&data), &[]);
        let bug_check = analysis.stacks.iter().find(|stack| stack.kind == "bugcheck").unwrap();
        assert_eq!(bug_check.frames[0].symbol.as_deref(), Some("KeBugCheckEx"), "{name}");
        assert_eq!(bug_check.frames[0].symbol_offset.unwrap().0, 0, "{name}");
    }
    // Neither file belongs to this build: no name is better than a wrong one.
    let other = with_sources(&dumps.join("r-Techsupport_training_bsods__d1.dmp"), &[data], &[]);
    assert!(other.stack.iter().all(|frame| frame.symbol.is_none()));
}

/// The driver of the article that the project began with, crashed for real in the laboratory: the stack ends in its source line.
#[test]
fn the_articles_driver_leads_to_its_source_line() {
    let lab = bugcheck_testdata::root().join("samples/lab");
    let symbols = [lab.join("symbols")];
    let analysis = with_sources(&lab.join("article-7e.dmp"), &symbols, &symbols);
    let top = &analysis.stack[0];
    assert_eq!((top.module.as_deref(), top.symbol.as_deref()), (Some("article"), Some("DriverEntry")));
    assert!(top.source.as_deref().is_some_and(|source| source.ends_with("article.c:12")), "{:?}", top.source);
    let names: Vec<_> = analysis.stack.iter().filter_map(|frame| frame.symbol.as_deref()).collect();
    assert_eq!(names.last(), Some(&"KiStartSystemThread"), "{names:?}");
    assert!(analysis.stack.iter().skip(1).all(|frame| frame.trust == "unwind"));
}

#[test]
fn a_flipped_bit_in_code_is_found_in_the_image() {
    let lab = bugcheck_testdata::root().join("samples/lab");
    let symbols = [lab.join("symbols")];
    let analysis = with_sources(&lab.join("code-bit-3b.dmp"), &symbols, &symbols);
    assert_eq!(analysis.suspects[0].subject, "memory");
    assert_eq!(analysis.verdict.kind, "hardware");
    assert!(analysis.suspects[0].evidence.iter().any(|piece| piece.id == "code-bit" && piece.text.contains("bit 3")));
}
