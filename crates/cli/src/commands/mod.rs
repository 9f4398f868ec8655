//! One module per command: its options, its help and what it does.

pub(crate) mod analyze;
pub(crate) mod explain;
pub(crate) mod score;
pub(crate) mod symbols;
pub(crate) mod triage;

use crate::Common;
use bugcheck_analysis::{Options, Sources};
use bugcheck_symbols::{Policy, Proxies, Settings, SymbolPath, Transfer};
use std::path::PathBuf;

/// Where symbols and images are looked for.
struct Places {
    symbols: SymbolPath,
    images: SymbolPath,
    settings: Settings,
}

/// The paths of the command line or of WinDbg's variables. The network is used where a server is named or `online` asks for it;
/// then, without any server, Microsoft's is taken.
fn places(common: &Common, online: bool) -> Places {
    const MICROSOFT: &str = "srv*https://msdl.microsoft.com/download/symbols";
    let variable = |variable: &str| std::env::var(variable).ok();
    let path = |option: &Option<String>, name: &str| SymbolPath::parse(&option.clone().or_else(|| variable(name)).unwrap_or_default());
    let mut symbols = path(&common.symbol_path, "_NT_SYMBOL_PATH");
    let images = path(&common.image_path, "_NT_EXECUTABLE_IMAGE_PATH");
    let named = !symbols.network().is_empty() || !images.network().is_empty();
    if online && !named {
        symbols = symbols.then(SymbolPath::parse(MICROSOFT));
    }
    let settings = Settings {
        policy: Policy { online: online || named },
        default_cache: store(),
        transfer: Transfer { proxies: Proxies::from_variables(variable), ..Transfer::default() },
        ..Settings::default()
    };
    Places { symbols, images, settings }
}

/// The images and symbols of those places, and of the user's own store once something was fetched into it.
fn sources(common: &Common) -> Option<Sources> {
    let mut places = places(common, common.symbols_online);
    if let Some(store) = store().filter(|store| store.is_dir()) {
        places.symbols = places.symbols.then(SymbolPath::parse(&format!("srv*{}", store.display())));
    }
    let any = !places.symbols.is_empty() || !places.images.is_empty();
    any.then(|| Sources::new(&places.symbols, &places.images, indexes(), places.settings))
}

/// The folder of this user's caches.
fn caches() -> Option<PathBuf> {
    let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || folder("HOME").map(|home| home.join(".cache"));
    let caches = if cfg!(windows) { folder("LOCALAPPDATA") } else { folder("XDG_CACHE_HOME").or_else(home) };
    caches.map(|caches| caches.join("bugcheck"))
}

/// Where indexes of symbols are kept.
fn indexes() -> Option<PathBuf> {
    caches().map(|caches| caches.join("indexes"))
}

/// Where fetched files are kept.
fn store() -> Option<PathBuf> {
    caches().map(|caches| caches.join("symbols"))
}

fn options<'a>(common: &Common, sources: Option<&'a Sources>) -> Options<'a> {
    Options { redact: !common.no_redact, sources }
}
