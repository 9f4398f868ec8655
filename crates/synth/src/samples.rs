//! The committed `samples/` folder.

use std::io;
use std::path::Path;

/// Writes `NAME.dmp` and `NAME.truth.json` of every scenario into `dir`; the bytes are the same every time.
/// Returns the names.
///
/// # Errors
/// When a file cannot be written.
pub fn write_samples(dir: &Path) -> io::Result<Vec<String>> {
    std::fs::create_dir_all(dir)?;
    let mut names = Vec::new();
    for scenario in crate::scenario::all() {
        std::fs::write(dir.join(format!("{}.dmp", scenario.name)), scenario.dump.bytes())?;
        std::fs::write(dir.join(format!("{}.truth.json", scenario.name)), scenario.truth.json())?;
        names.push(scenario.name);
    }
    Ok(names)
}
