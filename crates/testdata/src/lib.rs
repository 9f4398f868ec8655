//! Where tests find their data.
//!
//! The samples are part of the repository. Real dumps, and what other tools say about them, are not: their owners did not
//! publish them for that. A test that wants them asks [`shared`] (or a function built on it) and returns when there are none:
//!
//! ```
//! let Some(shared) = bugcheck_testdata::shared() else { return };
//! ```
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The repository's root.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The folder that holds `data/` with real dumps and records: the environment variable `BUGCHECK_SHARED`, or `shared` beside
/// the repository or beside the folder of its worktrees. Says loudly on standard error when there is none.
#[must_use]
pub fn shared() -> Option<PathBuf> {
    let candidates = match std::env::var_os("BUGCHECK_SHARED") {
        Some(shared) => vec![PathBuf::from(shared)],
        None => vec![root().join("../shared"), root().join("../../shared")],
    };
    let found = candidates.into_iter().find(|folder| folder.join("data").is_dir());
    if found.is_none() {
        skipped("no real dumps at hand; BUGCHECK_SHARED must name the folder that holds data/");
    }
    found
}

/// A path below [`shared`]; where the file or folder is absent this is said like the absence of everything.
#[must_use]
pub fn shared_path(path: &str) -> Option<PathBuf> {
    let full = shared()?.join(path);
    if full.exists() {
        return Some(full);
    }
    skipped(&format!("{} is absent", full.display()));
    None
}

/// Says that a test does nothing. Not with `eprintln`: the test harness would swallow that.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let text = format!("\nSKIPPED: {}: {why}\n", thread.name().unwrap_or("a test"));
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The committed sample dumps, sorted by name. Each has a `NAME.truth.json` beside it.
///
/// # Panics
/// If the folder is gone.
#[must_use]
pub fn samples() -> Vec<PathBuf> {
    let samples = dumps_in(&root().join("samples"));
    assert!(!samples.is_empty(), "no samples in the repository");
    samples
}

/// The committed dumps of the crash laboratory (`lab/`), sorted by name, each with its truth beside it: a real processor's
/// crashes, not written ones.
///
/// # Panics
/// If the folder is gone.
#[must_use]
pub fn lab_samples() -> Vec<PathBuf> {
    let samples = dumps_in(&root().join("samples/lab"));
    assert!(!samples.is_empty(), "no dumps of the laboratory in the repository");
    samples
}

/// The `NAME.truth.json` of the sample `NAME.dmp`.
#[must_use]
pub fn truth_of(sample: &Path) -> PathBuf {
    sample.with_extension("truth.json")
}

/// The real dumps, sorted by name; empty (and said so) where there are none.
#[must_use]
pub fn real_dumps() -> Vec<PathBuf> {
    shared_path("data/dumps").map_or_else(Vec::new, |folder| dumps_in(&folder))
}

/// The name of a file, for messages.
#[must_use]
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn dumps_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut dumps: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "dmp")).collect();
    dumps.sort();
    dumps
}
