//! Which dumps to damage.

use crate::damage::{Region, regions};
use std::path::{Path, PathBuf};

/// A dump and where its tables are.
#[derive(Debug)]
pub(crate) struct Dump {
    /// Its path, as one can type it.
    pub path: String,
    /// Its file name, which seeds its cases.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The parts worth aiming at.
    pub regions: Vec<Region>,
}

/// Loads the dumps under these paths, or the default ones.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Vec<Dump>, String> {
    let default = if paths.is_empty() { default() } else { Vec::new() };
    let mut files = Vec::new();
    for path in paths.iter().chain(&default) {
        if path.is_dir() { collect(path, &mut files)? } else { files.push(path.clone()) }
    }
    if files.is_empty() {
        return Err("no dumps to damage".to_owned());
    }
    files.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Result<Dump, String> {
    let path = path.canonicalize().unwrap_or(path);
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let name = path.file_name().map_or_else(String::new, |name| name.display().to_string());
    Ok(Dump { path: path.display().to_string(), name, regions: regions(&bytes), bytes })
}

/// `samples/`, and the real dumps where they are at hand, with the damaged ones and the headers beside them.
fn default() -> Vec<PathBuf> {
    let mut paths = bugcheck_testdata::samples();
    paths.extend(bugcheck_testdata::shared_path("data/dumps"));
    paths
}

/// Every file of a folder that begins like a dump.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut entries = std::fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for path in entries.into_iter().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, files)?;
        } else if begins_like_a_dump(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn begins_like_a_dump(path: &Path) -> bool {
    use std::io::Read as _;
    let mut magic = [0; 4];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"PAGE"
}
