//! The search for one file through a symbol path.

use super::layout::{Candidate, Folder};
use super::pointer::{MAX_POINTER, Pointer};
use super::{Container, Entry, Settings, StoreError, check, expand};
use crate::path::{Element, MICROSOFT, ServerUrl, Store, SymbolPath, is_foreign, share_host};
use crate::request::Request;
use crate::server::{Failure, Policy, Progress};
use bugcheck_dump::Note;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file that was found, checked to be the one asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What was asked for.
    pub request: Request,
    /// Where the file is now.
    pub path: PathBuf,
    /// What it is wrapped in.
    pub container: Container,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a file came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A folder or store on disk.
    Disk(PathBuf),
    /// A server, now; its address without credentials.
    Server(String),
}

/// A file that was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What was asked for.
    pub request: Request,
    /// What each place of the path had to say. A folder that simply does not hold the file says nothing.
    pub reasons: Vec<Reason>,
}

/// Why one place did not give the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The place: a file, a folder, or a server without credentials.
    pub place: String,
    /// What was wrong.
    pub why: Why,
}

/// What was wrong with a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is on the network, which may not be used; it might have the file.
    Offline,
    /// There is a file, but not the right one, or it cannot be used.
    Wrong(String),
    /// The place says itself why the file is absent, or points to a place that is not followed.
    Says(String),
    /// There is no folder to keep a file in.
    NoCache,
    /// The server failed just now.
    Failed(Failure),
    /// The server failed earlier, which is remembered for a while.
    Remembered(Failure),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        match &self.why {
            Why::Offline => write!(f, "{place} was not asked: the network is off"),
            Why::Wrong(what) => write!(f, "{place}: {what}"),
            Why::Says(what) => write!(f, "{place} says: {what}"),
            Why::NoCache => {
                write!(f, "{place}: there is no folder to keep the file in; name one, as in 'srv*FOLDER*…' or 'cache*FOLDER;…'")
            }
            Why::Failed(failure) => write!(f, "{place}: {failure}"),
            Why::Remembered(failure) => write!(f, "{place} was not asked again: {failure}"),
        }
    }
}

impl Missing {
    /// The servers and shares that were not asked because the network is off.
    pub fn would_help(&self) -> impl Iterator<Item = &str> {
        self.reasons.iter().filter(|reason| reason.why == Why::Offline).map(|reason| reason.place.as_str())
    }
}

/// What a search says about one request.
pub type Lookup = Result<Found, Missing>;

/// Called with the progress of downloads; `Break` stops one, which can be resumed later.
pub type OnProgress<'a> = &'a (dyn Fn(&Progress) -> ControlFlow<()> + Sync);

/// One place to search.
#[derive(Debug)]
enum Place {
    /// A folder that may hold anything.
    Folder(Folder),
    /// A folder in a store's layout.
    Store(Folder),
    Server(ServerUrl),
}

#[derive(Debug)]
struct Step {
    place: Place,
    /// Where what is found here is kept, the nearest first.
    keep: Vec<PathBuf>,
}

/// Searches symbol and image paths.
///
/// Every file it returns has been checked: GUID and age of a PDB, time stamp and size of an image.
#[derive(Debug)]
pub struct Finder {
    symbols: Vec<Step>,
    images: Vec<Step>,
    symbol_path: SymbolPath,
    settings: Settings,
    notes: Vec<Note>,
    #[cfg(feature = "network")]
    client: OnceLock<crate::server::Client>,
}

impl Finder {
    /// A search along these paths. Images are looked for along the image path first, then along the symbol path.
    #[must_use]
    pub fn new(symbol_path: &SymbolPath, image_path: &SymbolPath, settings: Settings) -> Self {
        let mut notes = Vec::new();
        let (symbols, images) = (steps(symbol_path, &settings, &mut notes), steps(image_path, &settings, &mut notes));
        Self {
            symbols,
            images,
            symbol_path: symbol_path.clone(),
            notes,
            settings,
            #[cfg(feature = "network")]
            client: OnceLock::new(),
        }
    }

    /// What of the paths cannot be used on this system.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Looks for one file; with the network on, also at servers.
    ///
    /// # Errors
    /// The reasons why it was not found.
    pub fn find(&self, request: &Request) -> Lookup {
        self.search(request, self.settings.policy, &|_| ControlFlow::Continue(()))
    }

    /// What is there already: the same search for each, without any network. Packed files that are found are unpacked into the
    /// cache.
    #[must_use]
    pub fn check(&self, requests: &[Request]) -> Vec<Lookup> {
        requests.iter().map(|request| self.search(request, Policy { online: false }, &|_| ControlFlow::Continue(()))).collect()
    }

    /// Looks for many files, several at a time. The answers come in the order of the requests.
    #[must_use]
    pub fn fetch_all(&self, requests: &[Request], progress: OnProgress) -> Vec<Lookup> {
        let next = AtomicUsize::new(0);
        let answers: Vec<OnceLock<Lookup>> = requests.iter().map(|_| OnceLock::new()).collect();
        let work = || {
            while let Some((request, answer)) = take(&next, requests, &answers) {
                let _ = answer.set(self.search(request, self.settings.policy, progress));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.settings.transfer.workers.clamp(1, 64).min(requests.len()) {
                scope.spawn(work);
            }
            work();
        });
        let missing = |request: &Request| Err(Missing { request: request.clone(), reasons: Vec::new() });
        answers.into_iter().zip(requests).map(|(answer, request)| answer.into_inner().unwrap_or_else(|| missing(request))).collect()
    }

    /// The command that fetches the files listed in `list` (a manifest, or a dump), on a machine that may use the network. A path
    /// without a server gets Microsoft's.
    #[must_use]
    pub fn fetch_command(&self, list: &str) -> String {
        let has_server = self.symbols.iter().any(|step| matches!(step.place, Place::Server(_)));
        let path = if has_server { self.symbol_path.shown() } else { format!("srv*{MICROSOFT}") };
        format!("bugcheck symbols fetch \"{list}\" -y \"{path}\"")
    }

    fn search(&self, request: &Request, policy: Policy, progress: OnProgress) -> Lookup {
        let images: &[Step] = if matches!(request, Request::Image { .. }) { &self.images } else { &[] };
        let mut search = Search { request, policy, settings: &self.settings, reasons: Vec::new() };
        for step in images.iter().chain(&self.symbols) {
            let found = match &step.place {
                Place::Folder(folder) => search.on_disk(folder, folder.anywhere(request), step, share_host(folder.root()).is_some()),
                Place::Store(folder) => search.on_disk(folder, folder.stored(request), step, true),
                Place::Server(server) => self.at_server(&mut search, server, step, progress),
            };
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Err(Missing { request: request.clone(), reasons: search.reasons })
    }

    #[cfg(not(feature = "network"))]
    fn at_server(&self, search: &mut Search, server: &ServerUrl, _: &Step, _: OnProgress) -> Option<Found> {
        let why = if search.policy.online { Why::Wrong("this build has no network code".to_owned()) } else { Why::Offline };
        search.reason(server.shown(), why)
    }

    #[cfg(feature = "network")]
    fn at_server(&self, search: &mut Search, server: &ServerUrl, step: &Step, progress: OnProgress) -> Option<Found> {
        let shown = server.shown();
        if !search.policy.online {
            return search.reason(shown, Why::Offline);
        }
        let Some(root) = search.root(&step.keep) else { return search.reason(shown, Why::NoCache) };
        let client = self.client.get_or_init(|| crate::server::Client::new(&self.settings.transfer));
        match download(search, client, server, &root, progress) {
            Ok((path, container)) => {
                let path = search.keep(path, step.keep.split_last().map_or(&[], |(_, nearer)| nearer));
                Some(Found { request: search.request.clone(), path, container, origin: Origin::Server(shown) })
            }
            Err(why) => search.reason(shown, why),
        }
    }
}

fn take<'a>(next: &AtomicUsize, requests: &'a [Request], answers: &'a [OnceLock<Lookup>]) -> Option<(&'a Request, &'a OnceLock<Lookup>)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    requests.get(index).zip(answers.get(index))
}

/// Fetches a file into the store at `root`, unless someone else just did, or the server lately failed to give it.
#[cfg(feature = "network")]
fn download(
    search: &Search,
    client: &crate::server::Client,
    server: &ServerUrl,
    root: &Path,
    progress: OnProgress,
) -> Result<(PathBuf, Container), Why> {
    use crate::server::{FailureClass, Memory, Obtained};
    let wrong = |error: StoreError| Why::Wrong(error.to_string());
    let transfer = &search.settings.transfer;
    let entry = Entry::open(root, search.request, transfer.patience).map_err(wrong)?;
    if let Some(found) = entry.existing() {
        return Ok(found);
    }
    let memory = Memory::new(entry.work_file(&Memory::file_name(server)));
    if let Some(failure) = memory.recall(&transfer.lifetimes) {
        return Err(Why::Remembered(failure));
    }
    let outcome = client.obtain(server, search.request, &entry, &search.settings.limits, progress).and_then(|obtained| {
        let part = obtained.part();
        let published = match obtained {
            Obtained::File(_) => entry.publish(part),
            Obtained::Compressed(_) => {
                entry.write(|file| expand(part, search.request.name().as_str(), search.settings.limits.file, file).map(drop))
            }
        };
        published
            .map_err(|error| {
                let _ = std::fs::remove_file(part);
                match error {
                    StoreError::Content(what) => Err(Failure::new(FailureClass::Unusable, what)),
                    other => Ok(other),
                }
            })
            .map_err(|error| error.map_or_else(|failure| failure, |other| Failure::new(FailureClass::Stopped, other.to_string())))
    });
    outcome.map_err(|failure| {
        memory.keep(&failure);
        entry.tidy();
        Why::Failed(failure)
    })
}

/// The search for one file.
struct Search<'a> {
    request: &'a Request,
    policy: Policy,
    settings: &'a Settings,
    reasons: Vec<Reason>,
}

impl Search<'_> {
    /// Notes why a place did not help.
    fn reason(&mut self, place: impl Into<String>, why: Why) -> Option<Found> {
        self.reasons.push(Reason { place: place.into(), why });
        None
    }

    fn on_disk(&mut self, folder: &Folder, candidates: Vec<Candidate>, step: &Step, copy: bool) -> Option<Found> {
        let keep: &[PathBuf] = if copy { &step.keep } else { &[] };
        if self.is_off(folder.root()) {
            let mount = "a share of Windows can be searched on Windows, or where it is mounted; name that folder";
            let why = if self.policy.online { Why::Says(mount.to_owned()) } else { Why::Offline };
            return self.reason(folder.root().display().to_string(), why);
        }
        candidates.into_iter().find_map(|candidate| {
            let (path, container) = match candidate {
                Candidate::Pointer(path) => self.follow(&path).and_then(|candidate| self.usable(candidate, step))?,
                other => self.usable(other, step)?,
            };
            let origin = Origin::Disk(path.clone());
            Some(Found { request: self.request.clone(), path: self.keep(path, keep), container, origin })
        })
    }

    /// A candidate as a file that can be read, if it is the right one.
    fn usable(&mut self, candidate: Candidate, step: &Step) -> Option<(PathBuf, Container)> {
        let (place, outcome) = match candidate {
            Candidate::Pointer(_) => return None,
            Candidate::File(path) => match check(&path, self.request) {
                Ok(container) => return Some((path, container)),
                Err(what) => (path, Why::Wrong(what)),
            },
            Candidate::Compressed(path) => match self.root(&step.keep).map(|root| self.expanded(&path, &root)) {
                Some(Ok(found)) => return Some(found),
                Some(Err(error)) => (path, Why::Wrong(error.to_string())),
                None => (path, Why::NoCache),
            },
        };
        self.reasons.push(Reason { place: place.display().to_string(), why: outcome });
        None
    }

    fn expanded(&self, cabinet: &Path, root: &Path) -> Result<(PathBuf, Container), StoreError> {
        let entry = Entry::open(root, self.request, self.settings.transfer.patience)?;
        if let Some(found) = entry.existing() {
            return Ok(found);
        }
        entry.write(|file| expand(cabinet, self.request.name().as_str(), self.settings.limits.file, file).map(drop))
    }

    /// Where a `file.ptr` leads: only to an absolute path whose last component is the file asked for.
    fn follow(&mut self, pointer: &Path) -> Option<Candidate> {
        let mut bytes = Vec::new();
        let read = File::open(pointer).and_then(|file| file.take(MAX_POINTER + 1).read_to_end(&mut bytes));
        let place = || pointer.display().to_string();
        let target = match read.map(|_| Pointer::parse(&bytes)) {
            Ok(Some(Pointer::Path(target))) => target,
            Ok(Some(Pointer::Message(message))) => {
                self.reason(place(), Why::Says(message));
                return None;
            }
            Ok(None) => {
                self.reason(place(), Why::Wrong("it is no pointer file".to_owned()));
                return None;
            }
            Err(error) => {
                self.reason(place(), Why::Wrong(error.to_string()));
                return None;
            }
        };
        let path = PathBuf::from(&target);
        let last = target.rsplit(['\\', '/']).next().unwrap_or_default();
        let plain = last.eq_ignore_ascii_case(self.request.name().as_str());
        let packed = self.request.name().compressed().is_some_and(|name| last.eq_ignore_ascii_case(&name));
        let climbs = path.components().any(|component| component == Component::ParentDir);
        if self.is_off(&path) {
            self.reason(target, Why::Offline);
        } else if !path.is_absolute() || climbs || !(plain || packed) {
            self.reason(place(), Why::Says(format!("the file is at {target}, which is not followed; add that folder to the path")));
        } else if !path.is_file() {
            self.reason(place(), Why::Says(format!("the file is at {target}, where there is none")));
        } else {
            return Some(if packed { Candidate::Compressed(path) } else { Candidate::File(path) });
        }
        None
    }

    /// Copies a file from store to nearer store; a store that cannot be written is passed over. The nearest copy is the result.
    fn keep(&mut self, mut path: PathBuf, nearer: &[PathBuf]) -> PathBuf {
        for root in nearer.iter().rev() {
            if path.starts_with(root) || self.is_off(root) {
                continue;
            }
            let copied = Entry::open(root, self.request, self.settings.transfer.patience)
                .and_then(|entry| entry.existing().map_or_else(|| entry.copy(&path), Ok));
            match copied {
                Ok((copy, _)) => path = copy,
                Err(error) => self.reasons.push(Reason { place: root.display().to_string(), why: Why::Wrong(error.to_string()) }),
            }
        }
        path
    }

    /// The store that a new file goes to: the farthest of those that keep it; nearer ones get copies.
    fn root(&self, keep: &[PathBuf]) -> Option<PathBuf> {
        keep.iter().rev().find(|root| !self.is_off(root)).or(self.settings.default_cache.as_ref()).cloned()
    }

    /// Whether a path is a share that may not be used, or that only Windows could reach.
    fn is_off(&self, path: &Path) -> bool {
        share_host(path).is_some() && !(self.policy.online && cfg!(windows))
    }
}

/// Unrolls a path: which places are searched, and where what they give is kept. Folders with drive letters are left out where
/// there are none; the default cache stands in for those that keep files.
fn steps(path: &SymbolPath, settings: &Settings, notes: &mut Vec<Note>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut caches: Vec<PathBuf> = Vec::new();
    let mut usable = |folder: &PathBuf| {
        let foreign = is_foreign(folder);
        if foreign {
            notes.push(Note::warning(format!("'{}' is a folder of Windows and is not searched here", folder.display()), None));
        }
        (!foreign).then(|| folder.clone())
    };
    let default_cache = || settings.default_cache.clone();
    for element in path.elements() {
        match element {
            Element::Folder(folder) => {
                let folder = usable(folder).map(|folder| Place::Folder(Folder::new(folder)));
                steps.extend(folder.map(|place| Step { place, keep: caches.clone() }));
            }
            Element::Cache(folder) => {
                if let Some(root) = folder.as_ref().and_then(&mut usable).or_else(default_cache) {
                    add_store(root, &mut caches, &mut steps);
                }
            }
            Element::Server(stores) => {
                let mut keep = caches.clone();
                for store in stores {
                    let root = match store {
                        Store::Default => default_cache(),
                        Store::Folder(folder) => usable(folder).or_else(default_cache),
                        Store::Http(_) if keep.is_empty() => default_cache(),
                        Store::Http(_) => None,
                    };
                    if let Some(root) = root {
                        add_store(root, &mut keep, &mut steps);
                    }
                    if let Store::Http(server) = store {
                        steps.push(Step { place: Place::Server(server.clone()), keep: keep.clone() });
                    }
                }
            }
        }
    }
    steps
}

/// Searches a store, and keeps there what is found further on; once.
fn add_store(root: PathBuf, keep: &mut Vec<PathBuf>, steps: &mut Vec<Step>) {
    if !keep.contains(&root) {
        steps.push(Step { place: Place::Store(Folder::new(root.clone())), keep: keep.clone() });
        keep.push(root);
    }
}
