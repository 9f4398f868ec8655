//! The committed `samples/` folder.

use crate::PhysicalKind;
use std::io;
use std::path::Path;

/// The containers that are committed; the others are as easily written with
/// [`physical_form`](crate::scenario::physical_form).
const KINDS: [(PhysicalKind, &str); 4] = [
    (PhysicalKind::Full, "null-write-d1-full"),
    (PhysicalKind::Kernel, "null-write-d1-kernel"),
    (PhysicalKind::BitmapKernel, "null-write-d1-bitmap"),
    (PhysicalKind::RangeComplete, "null-write-d1-ranges"),
];

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
    // One story in other containers as well.
    let story = crate::scenario::by_name("null-write-d1");
    for (kind, name) in KINDS {
        let mut truth = story.truth.clone();
        truth.dump = format!("{name}.dmp");
        std::fs::write(dir.join(&truth.dump), crate::scenario::physical_form(&story, kind).bytes())?;
        std::fs::write(dir.join(format!("{name}.truth.json")), truth.json())?;
        names.push(name.to_owned());
    }
    Ok(names)
}
