//! The program as its users meet it: arguments in, text and exit status out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod contract;
mod inputs;
mod snapshots;
mod symbols;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run left behind.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// The program, run from the repository's root, with nothing of the surroundings that could change what it prints.
fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_bugcheck"));
    program.current_dir(bugcheck_testdata::root()).stdin(Stdio::null());
    for name in ["COLUMNS", "LINES", "NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "TERM", "_NT_SYMBOL_PATH", "_NT_EXECUTABLE_IMAGE_PATH"] {
        program.env_remove(name);
    }
    // No store of the user's: what was once fetched there would change the reports.
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-cache");
    program.env("XDG_CACHE_HOME", &nowhere).env("LOCALAPPDATA", &nowhere);
    program
}

fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    let output = program().args(arguments).output().unwrap();
    let ran = Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran
}

/// The committed samples as the program is given them: relative to the repository's root.
fn samples() -> Vec<String> {
    bugcheck_testdata::samples().iter().map(|path| format!("samples/{}", bugcheck_testdata::name(path))).collect()
}

/// A folder for one test's files, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
