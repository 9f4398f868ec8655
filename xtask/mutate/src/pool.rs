//! Workers on every processor, and a watch over them.

use crate::arguments::Arguments;
use crate::files::Dump;
use crate::trial::{self, Fault, Outcome};
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A case that is at work longer than this is taken for an endless loop.
const PATIENCE: Duration = Duration::from_secs(5);
/// Failures told in full; the rest is only counted.
const TOLD: u64 = 40;
/// Room for a case in the journal.
const LINE: usize = 512;

/// What came of all cases.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    cases: u64,
    panics: u64,
    over: u64,
    hangs: u64,
    most_memory: usize,
    slowest: Duration,
    slowest_case: String,
}

impl Totals {
    /// True if anything went wrong.
    pub(crate) fn failed(&self) -> bool {
        self.panics + self.over + self.hangs > 0
    }

    fn failures(&self) -> u64 {
        self.panics + self.over + self.hangs
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "slowest: {}; most memory: {} KiB", self.slowest_case, self.most_memory >> 10)?;
        write!(f, "{} cases, {} panics, {} over the limit, ", self.cases, self.panics, self.over)?;
        if self.hangs > 0 {
            write!(f, "{} hangs, ", self.hangs)?;
        }
        write!(f, "slowest {:.1} ms", self.slowest.as_secs_f64() * 1000.0)
    }
}

/// The work and how far it is.
struct Work {
    dumps: Vec<Dump>,
    arguments: Arguments,
    next: AtomicU64,
    totals: Mutex<Totals>,
    journal: Option<File>,
}

/// What a worker is busy with.
type Desk = Arc<Mutex<Option<(u64, Instant)>>>;

/// Runs all cases.
pub(crate) fn run(dumps: Vec<Dump>, arguments: &Arguments, journal: &Path) -> Totals {
    trial::catch_messages();
    let journal = File::create(journal).ok();
    let work = Arc::new(Work { dumps, arguments: arguments.clone(), next: AtomicU64::new(0), totals: Mutex::default(), journal });
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let mut desks: Vec<Desk> = (0..workers).map(|place| hire(&work, place)).collect();
    // A desk that is given up belongs to a thread that never comes back; another worker takes over.
    while !desks.is_empty() {
        std::thread::sleep(Duration::from_millis(20));
        for place in 0..desks.len() {
            let Some(desk) = desks.get_mut(place) else { continue };
            let busy = *lock(desk);
            if let Some((number, since)) = busy
                && since.elapsed() > PATIENCE
            {
                work.hangs(number);
                *desk = hire(&work, place);
            }
        }
        // A worker that has gone home dropped its half of the desk.
        desks.retain(|desk| Arc::strong_count(desk) > 1);
    }
    lock(&work.totals).clone()
}

/// Starts a worker.
fn hire(work: &Arc<Work>, place: usize) -> Desk {
    let desk = Desk::default();
    let (work, own) = (Arc::clone(work), Arc::clone(&desk));
    std::thread::spawn(move || {
        loop {
            let number = work.next.fetch_add(1, Ordering::Relaxed);
            let Some((dump, case)) = work.case(number) else { break };
            work.write_down(place, dump, case);
            *lock(&own) = Some((number, Instant::now()));
            let outcome = trial::run(dump, work.arguments.seed, case);
            *lock(&own) = None;
            if outcome.took <= PATIENCE {
                work.record(dump, case, &outcome);
            }
        }
    });
    desk
}

impl Work {
    fn case(&self, number: u64) -> Option<(&Dump, u64)> {
        let cases = self.arguments.cases.end - self.arguments.cases.start;
        let dump = self.dumps.get(usize::try_from(number.checked_div(cases)?).ok()?)?;
        Some((dump, self.arguments.cases.start + number % cases))
    }

    /// How to see a case again.
    fn again(&self, dump: &Dump, case: u64) -> String {
        format!("cargo xtask mutate --seed {} --case {case} '{}'", self.arguments.seed, dump.path)
    }

    /// Notes the case that a worker begins, for the parent process to read should this one die.
    #[cfg(unix)]
    fn write_down(&self, place: usize, dump: &Dump, case: u64) {
        use std::os::unix::fs::FileExt as _;
        let line = format!("{:<width$.width$}\n", self.again(dump, case), width = LINE - 1);
        if let Some(journal) = &self.journal {
            let _ = journal.write_at(line.as_bytes(), (place * LINE) as u64);
        }
    }

    #[cfg(not(unix))]
    fn write_down(&self, _: usize, _: &Dump, _: u64) {
        let _ = (LINE, &self.journal);
    }

    fn record(&self, dump: &Dump, case: u64, outcome: &Outcome) {
        let mut totals = lock(&self.totals);
        totals.cases += 1;
        totals.most_memory = totals.most_memory.max(outcome.memory);
        if outcome.took > totals.slowest {
            totals.slowest = outcome.took;
            totals.slowest_case = format!("case {case} of {} ({})", dump.name, outcome.damage);
        }
        let what = match &outcome.fault {
            None => return,
            Some(Fault::Panic(message)) => {
                totals.panics += 1;
                format!("PANIC: {message}")
            }
            Some(Fault::Memory(most, allowed)) => {
                totals.over += 1;
                format!("MEMORY: {most} bytes at once, {allowed} are allowed")
            }
        };
        if totals.failures() <= TOLD {
            println!("{what}\n  {}\n  {}", outcome.damage, self.again(dump, case));
            self.keep(dump, case);
        }
    }

    fn hangs(&self, number: u64) {
        let Some((dump, case)) = self.case(number) else { return };
        let mut totals = lock(&self.totals);
        totals.cases += 1;
        totals.hangs += 1;
        println!("HANG: still at work after {} s\n  {}", PATIENCE.as_secs(), self.again(dump, case));
        self.keep(dump, case);
    }

    /// Keeps the damaged file, to be looked at with the program itself.
    fn keep(&self, dump: &Dump, case: u64) {
        let folder = bugcheck_testdata::root().join("target/damaged");
        let file = folder.join(format!("{}-{}-{}", self.arguments.seed, case, dump.name));
        let (bytes, _) = trial::bytes(dump, self.arguments.seed, case);
        if std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, bytes)).is_ok() {
            println!("  kept as {}", file.display());
        }
    }
}

/// A worker's panic is caught before it can poison anything.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
