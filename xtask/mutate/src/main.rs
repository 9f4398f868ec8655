//! The robustness run: damages dumps in thousands of ways and analyses each one. Whatever the damage, the analysis must not
//! panic, must end soon, and must not ask for much more memory than the file has bytes.
//!
//! The work is done in a child process, so that even an abort (stack overflow, no memory) is reported with its case.
#![deny(unsafe_code)]

mod arguments;
mod damage;
mod files;
mod memory;
mod pool;
mod random;
mod trial;

use arguments::Arguments;
use std::process::{Command, ExitCode};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// Names the file where the child writes what it works on.
const CHILD: &str = "BUGCHECK_MUTATE_JOURNAL";

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(reason) => {
            eprintln!("mutate: {reason}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match std::env::var_os(CHILD) {
        Some(journal) => run(&arguments, std::path::Path::new(&journal)),
        None => guarded(),
    }
}

/// Runs this program again as a child and tells what it worked on should it die.
fn guarded() -> ExitCode {
    let journal = std::env::temp_dir().join(format!("bugcheck-mutate-{}", std::process::id()));
    let child =
        std::env::current_exe().and_then(|program| Command::new(program).args(std::env::args().skip(1)).env(CHILD, &journal).status());
    let last = std::fs::read_to_string(&journal).unwrap_or_default();
    let _ = std::fs::remove_file(&journal);
    match child {
        Ok(status) => match status.code() {
            Some(0) => ExitCode::SUCCESS,
            Some(1) => ExitCode::FAILURE,
            _ => {
                println!("ABORTED ({status}) while at work on:\n{}", last.trim_end_matches([' ', '\n', '\0']));
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("mutate: cannot start itself: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, journal: &std::path::Path) -> ExitCode {
    let dumps = match files::load(&arguments.paths) {
        Ok(dumps) => dumps,
        Err(reason) => {
            eprintln!("mutate: {reason}");
            return ExitCode::FAILURE;
        }
    };
    println!("{} dumps, seed {}", dumps.len(), arguments.seed);
    let totals = pool::run(dumps, arguments, journal);
    println!("{totals}");
    if totals.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
