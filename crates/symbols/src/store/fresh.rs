//! Putting a file into a store so that nobody ever sees half of it.
//!
//! Everything unfinished lives below `.bugcheck` in the store's root, on the same volume as its destination: parts of
//! downloads, remembered failures, and locks that keep two processes (or threads) from fetching the same file at once. A
//! finished file is flushed to disk, checked, and renamed into place. File names may not begin with a dot, so no request can
//! reach this folder.

use super::layout::{two_letters, two_tier_folder};
use super::{Container, StoreError, check};
use crate::request::Request;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The folder for everything unfinished.
const WORK: &str = ".bugcheck";

/// One file's place in a store, held for writing.
#[derive(Debug)]
pub(crate) struct Entry<'r> {
    request: &'r Request,
    root: PathBuf,
    work: PathBuf,
    /// Released when dropped. Without one (a file system that knows no locks) the work folder belongs to this process.
    _lock: Option<File>,
}

impl<'r> Entry<'r> {
    /// Takes hold of the entry; waits while another process or thread has it.
    pub(crate) fn open(root: &Path, request: &'r Request, patience: Duration) -> Result<Self, StoreError> {
        let hash = fnv(&request.to_string().to_ascii_lowercase());
        let locks = root.join(WORK).join("locks");
        fs::create_dir_all(&locks).map_err(StoreError::io(&locks))?;
        // Locks are never deleted, or two processes could each hold "the" lock; hence a bounded number of them.
        let lock = lock(&locks.join(format!("{:03x}", hash & 0x3ff)), patience)?;
        let own = if lock.is_some() { String::new() } else { format!("-{}", std::process::id()) };
        let work = root.join(WORK).join(format!("{}-{}{own}", request.name(), request.key()));
        fs::create_dir_all(&work).map_err(StoreError::io(&work))?;
        Ok(Self { request, root: root.to_owned(), work, _lock: lock })
    }

    /// A file in the entry's work folder.
    pub(crate) fn work_file(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// The file, if it already is in the store and is the right one.
    pub(crate) fn existing(&self) -> Option<(PathBuf, Container)> {
        [Container::Plain, Container::Msfz].into_iter().find_map(|container| {
            let path = self.destination(container);
            (path.is_file() && check(&path, self.request) == Ok(container)).then_some((path, container))
        })
    }

    /// Writes a new file by way of a temporary one.
    pub(crate) fn write(&self, fill: impl FnOnce(&mut File) -> Result<(), StoreError>) -> Result<(PathBuf, Container), StoreError> {
        let part = self.work_file("copy.part");
        let written = File::create(&part).map_err(StoreError::io(&part)).and_then(|mut file| fill(&mut file));
        match written.and_then(|()| self.publish(&part)) {
            Ok(found) => Ok(found),
            Err(error) => {
                let _ = fs::remove_file(&part);
                self.tidy();
                Err(error)
            }
        }
    }

    /// Copies a finished file from elsewhere.
    pub(crate) fn copy(&self, from: &Path) -> Result<(PathBuf, Container), StoreError> {
        let mut source = File::open(from).map_err(StoreError::io(from))?;
        self.write(|target| io::copy(&mut source, target).map(drop).map_err(StoreError::io(from)))
    }

    /// Checks a complete file of the work folder and moves it to its place.
    pub(crate) fn publish(&self, part: &Path) -> Result<(PathBuf, Container), StoreError> {
        let container = check(part, self.request).map_err(StoreError::Content)?;
        File::options().write(true).open(part).and_then(|file| file.sync_all()).map_err(StoreError::io(part))?;
        let destination = self.destination(container);
        if let Some(folder) = destination.parent() {
            fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
        }
        fs::rename(part, &destination).map_err(StoreError::io(&destination))?;
        let _ = fs::remove_dir_all(&self.work);
        Ok((destination, container))
    }

    /// Removes the work folder where nothing is left in it.
    pub(crate) fn tidy(&self) {
        let _ = fs::remove_dir(&self.work);
    }

    fn destination(&self, container: Container) -> PathBuf {
        let name = self.request.name().as_str();
        let upper = two_tier_folder(&self.root, name).map_or_else(|| self.root.clone(), |_| self.root.join(two_letters(name)));
        let entry = upper.join(name).join(self.request.key());
        match container {
            Container::Plain => entry.join(name),
            Container::Msfz => entry.join("msfz0").join(name),
        }
    }
}

fn lock(path: &Path, patience: Duration) -> Result<Option<File>, StoreError> {
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(StoreError::io(path))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if start.elapsed() >= patience => return Err(StoreError::Busy(path.to_owned())),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// The hash FNV-1a: names of locks and markers must be the same in every version of this program.
pub(crate) fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
