//! One damaged dump, opened, analysed and reported.

use crate::damage;
use crate::files::Dump;
use crate::memory;
use crate::random::Random;
use bugcheck_analysis::{Options, analyze};
use bugcheck_report::{Style, json, table, text};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// What a case did wrong.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It panicked: message and place.
    Panic(String),
    /// It held this many bytes, and this many are allowed.
    Memory(usize, usize),
}

/// How a case went.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What was done to the dump.
    pub damage: String,
    /// How long opening, analysing and reporting took.
    pub took: Duration,
    /// The most bytes held at once.
    pub memory: usize,
    /// What went wrong.
    pub fault: Option<Fault>,
}

thread_local! {
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the words of a panic for the report instead of printing them.
pub(crate) fn catch_messages() {
    std::panic::set_hook(Box::new(|info| MESSAGE.with_borrow_mut(|message| *message = info.to_string().replace('\n', " "))));
}

/// The bytes of a case, and what was done to them.
pub(crate) fn bytes(dump: &Dump, seed: u64, case: u64) -> (Vec<u8>, String) {
    damage::damaged(&dump.bytes, &dump.regions, &mut Random::new(seed, &dump.name, case))
}

/// Runs a case.
pub(crate) fn run(dump: &Dump, seed: u64, case: u64) -> Outcome {
    let (bytes, damage) = bytes(dump, seed, case);
    let size = bytes.len();
    let start = Instant::now();
    memory::reset();
    let result = std::panic::catch_unwind(|| everything(bytes, &dump.name));
    // The file's bytes were there before the count began.
    let most = memory::most() + size;
    let allowed = (16 << 20).max(3 * size);
    let fault = match result {
        Err(_) => Some(Fault::Panic(MESSAGE.take())),
        Ok(()) if most > allowed => Some(Fault::Memory(most, allowed)),
        Ok(()) => None,
    };
    Outcome { damage, took: start.elapsed(), memory: most, fault }
}

/// All that the program does with a dump.
fn everything(bytes: Vec<u8>, name: &str) {
    // That a file is refused is an answer too, and its words must come out.
    match bugcheck_dump::Dump::from_bytes(bytes) {
        Err(error) => drop(error.to_string()),
        Ok(dump) => {
            let analysis = analyze(&dump, name, Options::default());
            drop(json::line(&analysis));
            drop(text::render(&analysis, Style { verbosity: 1, ..Style::default() }));
            drop(text::summary(&analysis, Style::default()));
            drop(table::Row::new(&analysis));
        }
    }
}
