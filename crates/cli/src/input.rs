//! From paths to dumps: a folder stands for the dumps in it.

use bugcheck_analysis::{Analysis, Options};
use bugcheck_dump::Dump;
use rayon::prelude::*;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The files that the arguments stand for, in order.
pub(crate) struct Inputs {
    pub files: Vec<PathBuf>,
    /// Paths that could not be looked into, with the reason.
    pub failures: Vec<String>,
    /// True if the answer is a list: several arguments, or a folder.
    pub many: bool,
}

/// Expands folders. A file that is named is always tried; in a folder only what looks like a dump by its name or first bytes.
pub(crate) fn expand(paths: &[PathBuf]) -> Inputs {
    let mut inputs = Inputs { files: Vec::new(), failures: Vec::new(), many: paths.len() > 1 };
    for path in paths {
        if !path.is_dir() {
            inputs.files.push(path.clone());
            continue;
        }
        inputs.many = true;
        let before = inputs.files.len();
        for entry in walkdir::WalkDir::new(path).max_depth(32).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_file() && looks_like_dump(entry.path()) => inputs.files.push(entry.into_path()),
                Ok(_) => {}
                Err(error) => inputs.failures.push(error.to_string()),
            }
        }
        if inputs.files.len() == before {
            inputs
                .failures
                .push(format!("{}: no dump in this folder (looked for *.dmp and for files that begin like one)", path.display()));
        }
    }
    inputs
}

fn looks_like_dump(path: &Path) -> bool {
    let by_name =
        path.extension().is_some_and(|extension| ["dmp", "mdmp", "hdmp"].iter().any(|known| extension.eq_ignore_ascii_case(known)));
    by_name || {
        let mut magic = [0; 6];
        std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"PAGEDU"
    }
}

/// Analyses one file; the error is a line that names it and its reason.
pub(crate) fn analyze(path: &Path, options: Options<'_>) -> Result<Analysis, String> {
    let shown = path.display().to_string();
    match Dump::open(path) {
        Ok(dump) => Ok(bugcheck_analysis::analyze(&dump, &shown, options)),
        // This error names the file itself.
        Err(error @ bugcheck_dump::Error::Open { .. }) => Err(error.to_string()),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// Files analysed at once: enough to keep every processor busy, few enough that finished reports do not pile up.
const BATCH: usize = 256;

/// Analyses many files on all processors and hands the results over in input order.
pub(crate) fn analyze_all<E>(
    files: &[PathBuf],
    options: Options<'_>,
    progress: &dyn Fn(usize),
    mut each: impl FnMut(Result<Analysis, String>) -> Result<(), E>,
) -> Result<(), E> {
    for batch in files.chunks(BATCH) {
        let results: Vec<_> = batch.par_iter().map(|path| analyze(path, options)).collect();
        progress(batch.len());
        results.into_iter().try_for_each(&mut each)?;
    }
    Ok(())
}
