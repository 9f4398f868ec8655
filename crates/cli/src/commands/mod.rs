//! One module per command: its options, its help and what it does.

pub(crate) mod analyze;
pub(crate) mod explain;
pub(crate) mod score;
pub(crate) mod triage;

use crate::Common;
use bugcheck_analysis::{Options, Sources};
use std::path::PathBuf;

/// The images and symbols that the command line or WinDbg's variables name; none if neither does.
fn sources(common: &Common) -> Option<Sources> {
    let path = |option: &Option<String>, variable: &str| option.clone().or_else(|| std::env::var(variable).ok()).unwrap_or_default();
    let symbols = path(&common.symbol_path, "_NT_SYMBOL_PATH");
    let images = path(&common.image_path, "_NT_EXECUTABLE_IMAGE_PATH");
    (!symbols.trim().is_empty() || !images.trim().is_empty()).then(|| Sources::new(&symbols, &images, cache()))
}

/// The folder of this user's caches, where indexes of symbols are kept.
fn cache() -> Option<PathBuf> {
    let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else {
        folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))
    };
    caches.map(|caches| caches.join("bugcheck").join("symbols"))
}

fn options<'a>(common: &Common, sources: Option<&'a Sources>) -> Options<'a> {
    Options { redact: !common.no_redact, sources }
}
