//! WinDbg's view of a crash made on purpose with NotMyFault: `lm`, `kv`, `!analyze -v`.

use crate::{analysis, has_frame, hex, in_a_module, parameters, stack, text};
use bugcheck_testdata::shared_path;
use std::path::PathBuf;

const DUMP: &str = "data/dumps/eolaruhagen_minidump-diagnostics-tool__083125-14875-01.dmp";

fn answers(file: &str) -> Option<(PathBuf, String)> {
    let answers = shared_path("data/expected/eolaruhagen_083125-14875-01")?.join(file);
    Some((shared_path(DUMP)?, text(&answers)))
}

/// True for `fffff807`5c01faa9`.
fn is_address(word: &str) -> bool {
    word.len() == 17 && word.as_bytes()[8] == b'`' && word.bytes().all(|byte| byte == b'`' || byte.is_ascii_hexdigit())
}

#[test]
fn lm_lists_the_same_modules() {
    let Some((path, lm)) = answers("lm_t_n.txt") else { return };
    let analysis = analysis(&path);
    let (loaded, unloaded) = lm.split_once("Unloaded modules:").unwrap();
    let mut seen = 0;
    for line in loaded.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [start, end, name, image, rest @ ..] = words.as_slice() else { continue };
        if !is_address(start) {
            continue;
        }
        let ours = analysis.modules.iter().find(|module| module.base.0 == hex(start));
        let ours = ours.unwrap_or_else(|| panic!("no module at {start} ({image})"));
        assert_eq!(u64::from(ours.size), hex(end) - hex(start), "{image}: size");
        assert_eq!(ours.name, *name, "{image}: name");
        // WinDbg shows the name that the image was built with.
        let image = if *image == "ntkrnlmp.exe" { "ntoskrnl.exe" } else { image };
        assert!(ours.image.eq_ignore_ascii_case(image), "{} is not {image}", ours.image);
        // `F71F414A (This is a reproducible build file hash…)`, `***** Invalid (9FB1DE46)`; a date carries the number in brackets.
        let number = rest.iter().find_map(|word| {
            let word = word.trim_matches(['(', ')']);
            (word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| hex(word))
        });
        assert_eq!(Some(ours.timestamp.0), number, "{image}: time stamp in {line:?}");
        seen += 1;
    }
    assert_eq!((seen, analysis.modules.len()), (156, 156));

    let ours: Vec<(u64, u64)> = analysis.unloaded_modules.iter().map(|module| (module.start.0, module.end.0)).collect();
    let mut seen = 0;
    for line in unloaded.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [start, end, name] = words.as_slice() else { continue };
        if !is_address(start) {
            continue;
        }
        assert!(ours.contains(&(hex(start), hex(end))), "unloaded {name} {start}");
        assert!(analysis.unloaded_modules.iter().any(|module| module.image == *name), "unloaded {name}");
        seen += 1;
    }
    assert_eq!(seen, analysis.unloaded_modules.len());
    assert!(seen > 5);
}

#[test]
fn kv_returns_to_the_same_addresses() {
    let Some((path, kv)) = answers("kv.txt") else { return };
    let analysis = analysis(&path);
    let frames = &stack(&analysis, "bugcheck").frames;
    let mut seen = 0;
    for line in kv.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, returns, ..] = words.as_slice() else { continue };
        // Two lines return to user mode and to nothing: no module has those.
        if is_address(returns) && in_a_module(&analysis, hex(returns)) {
            assert!(has_frame(frames, hex(returns)), "{returns} is no frame");
            seen += 1;
        }
    }
    assert_eq!(seen, 2);
    let registers = &stack(&analysis, "bugcheck").context.registers;
    let child_sp = kv.lines().nth(1).unwrap().split_whitespace().nth(1).unwrap();
    assert!(registers.contains(&("rsp", bugcheck_analysis::model::Hex(hex(child_sp)))));
}

#[test]
fn a_crash_made_for_a_test_is_called_one() {
    let Some((path, windbg)) = answers("analyze_v.txt") else { return };
    let analysis = analysis(&path);
    let arguments: Vec<u64> = windbg.lines().filter_map(|line| line.strip_prefix("Arg")?.split([' ', ',']).nth(1).map(hex)).collect();
    assert_eq!(parameters(&analysis), arguments);
    assert!(windbg.starts_with(&format!("{} ({:x})", analysis.bugcheck.name.as_deref().unwrap(), analysis.bugcheck.code.0)));
    assert_eq!(analysis.verdict.kind, "test");
    assert!(analysis.suspects.is_empty(), "{}", crate::ranking(&analysis));
    // WinDbg's bucket ends in a function of nt, whose name needs symbols.
    assert!(windbg.contains("nt!KiSystemServiceExitPico"));
    assert_eq!((analysis.windbg.failure_bucket_id, analysis.windbg.failure_id_hash), (None, None));
}
