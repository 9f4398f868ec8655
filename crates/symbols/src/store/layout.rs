//! Where a file may lie in one folder: symstore's layouts, and folders that somebody simply filled.

use crate::request::Request;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Entries of a folder beyond which names in another case are no longer looked for.
const MAX_LISTED: usize = 500_000;

/// One place to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// The file itself.
    File(PathBuf),
    /// The file in a cabinet.
    Compressed(PathBuf),
    /// A `file.ptr`.
    Pointer(PathBuf),
}

/// A folder to search. Names are matched without regard to case, as Windows wrote them, on any file system.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    listing: OnceLock<HashMap<String, OsString>>,
}

impl Folder {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, listing: OnceLock::new() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What exists for this request in symstore's layout.
    pub(crate) fn stored(&self, request: &Request) -> Vec<Candidate> {
        let name = request.name().as_str();
        let upper = match two_tier_folder(&self.root, name) {
            Some(letters) => child(&self.root, &letters).and_then(|folder| child(&folder, name)),
            None => self.top(name),
        };
        let Some(entry) = upper.and_then(|folder| child(&folder, &request.key())) else { return Vec::new() };
        let file = |folder: &Path, name: &str| child(folder, name).filter(|path| path.is_file());
        let compressed = request.name().compressed();
        [
            file(&entry, name).map(Candidate::File),
            child(&entry, "msfz0").and_then(|folder| file(&folder, name)).map(Candidate::File),
            compressed.and_then(|name| file(&entry, &name)).map(Candidate::Compressed),
            file(&entry, "file.ptr").map(Candidate::Pointer),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What exists for this request in a folder that need not be a store: the file itself, below a folder of its name, below the
    /// folders named after image kinds that symbol packages made, and then symstore's layout.
    pub(crate) fn anywhere(&self, request: &Request) -> Vec<Candidate> {
        let name = request.name().as_str();
        let file = |folder: Option<PathBuf>| folder.and_then(|folder| child(&folder, name)).filter(|path| path.is_file());
        let symbols = self.top("symbols");
        let mut found: Vec<PathBuf> = Vec::new();
        found.extend(self.top(name).filter(|path| path.is_file()));
        found.extend(file(self.top(name).filter(|path| path.is_dir())));
        for kind in ["sys", "exe", "dll"] {
            found.extend(file(self.top(kind)));
            found.extend(file(symbols.as_deref().and_then(|symbols| child(symbols, kind))));
        }
        found.into_iter().map(Candidate::File).chain(self.stored(request)).collect()
    }

    /// A child of the root. The root may have very many, so its listing is read once.
    fn top(&self, name: &str) -> Option<PathBuf> {
        let exact = self.root.join(name);
        if exact.exists() {
            return Some(exact);
        }
        if cfg!(windows) {
            return None;
        }
        let listing = self.listing.get_or_init(|| names_of(&self.root).collect());
        listing.get(&name.to_ascii_lowercase()).map(|name| self.root.join(name))
    }
}

/// The folder of `name` in a two-tier store: its first two letters, where `index2.txt` stands in the root.
pub(crate) fn two_tier_folder(root: &Path, name: &str) -> Option<String> {
    root.join("index2.txt").is_file().then(|| two_letters(name))
}

/// The first two characters; a name of one character keeps that.
pub(crate) fn two_letters(name: &str) -> String {
    name.chars().take(2).collect()
}

fn child(folder: &Path, name: &str) -> Option<PathBuf> {
    let exact = folder.join(name);
    if exact.exists() {
        return Some(exact);
    }
    if cfg!(windows) {
        return None;
    }
    let wanted = name.to_ascii_lowercase();
    names_of(folder).find(|(key, _)| *key == wanted).map(|(_, name)| folder.join(name))
}

fn names_of(folder: &Path) -> impl Iterator<Item = (String, OsString)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().take(MAX_LISTED);
    entries.filter_map(Result::ok).filter_map(|entry| {
        let name = entry.file_name();
        Some((name.to_str()?.to_ascii_lowercase(), name))
    })
}
