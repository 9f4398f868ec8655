//! Remembering that a server failed to give a file, in a marker beside the place for it.

use super::{Failure, FailureClass, Lifetimes};
use crate::path::ServerUrl;
use crate::store::fnv;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MAX_MARKER: u64 = 4096;

#[derive(Debug)]
pub(crate) struct Memory {
    path: PathBuf,
}

impl Memory {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The marker's name; each server has its own.
    pub(crate) fn file_name(server: &ServerUrl) -> String {
        format!("failed-{:016x}", fnv(&server.shown()))
    }

    /// The failure, if it is recent enough.
    pub(crate) fn recall(&self, lifetimes: &Lifetimes) -> Option<Failure> {
        let mut marker = String::new();
        File::open(&self.path).ok()?.take(MAX_MARKER).read_to_string(&mut marker).ok()?;
        let (head, text) = marker.split_once('\n')?;
        let (class, time) = head.split_once(' ')?;
        let class = CLASSES.into_iter().find(|known| known.name() == class)?;
        let age = now().checked_sub(Duration::from_millis(time.parse().ok()?))?;
        (age < lifetimes.of(class)).then(|| Failure::new(class, format!("{text} ({} ago)", rounded(age))))
    }

    /// Remembers a failure. One that cannot be written down is simply asked for again.
    pub(crate) fn keep(&self, failure: &Failure) {
        if failure.class == FailureClass::Stopped {
            return;
        }
        let text: String = failure.text.chars().take(1000).collect();
        let marker = format!("{} {}\n{text}", failure.class.name(), now().as_millis());
        let part = self.path.with_extension("part");
        let _ = fs::write(&part, marker).and_then(|()| fs::rename(&part, &self.path));
    }
}

/// What can be remembered.
const CLASSES: [FailureClass; 5] =
    [FailureClass::NotFound, FailureClass::Forbidden, FailureClass::ServerError, FailureClass::Unreachable, FailureClass::Unusable];

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn rounded(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_recalled_for_as_long_as_their_class_lives() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(folder.path().join("failed-1"));
        let day = Duration::from_secs(86_400);
        let lifetimes = Lifetimes { not_found: day, ..Lifetimes::NONE };
        assert_eq!(memory.recall(&lifetimes), None);
        memory.keep(&Failure::new(FailureClass::NotFound, "not\n there"));
        assert_eq!(memory.recall(&lifetimes).unwrap().text, "not there (0 s ago)");
        assert_eq!(memory.recall(&Lifetimes::NONE), None);
        memory.keep(&Failure::new(FailureClass::Forbidden, "no"));
        assert_eq!(memory.recall(&lifetimes), None);
        let write = |text: &str| fs::write(folder.path().join("failed-1"), text).unwrap();
        write(&format!("not-found {}\nlong ago", (now() - 2 * day).as_millis()));
        assert_eq!(memory.recall(&lifetimes), None);
        write(&format!("not-found {}\nclock was set back", (now() + day).as_millis()));
        assert_eq!(memory.recall(&lifetimes), None);
        for damaged in ["", "x", "not-found\n", "not-found x\n", "odd 1\n", "not-found 99999999999999999999999\n"] {
            write(damaged);
            assert_eq!(memory.recall(&lifetimes), None, "{damaged}");
        }
    }
}
