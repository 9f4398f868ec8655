//! The chores of this repository, run as `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

mod bench;
mod run;
mod test;

use run::{Failure, cargo};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test      everything that must hold: format, lints, documentation, tests. Stops at the first failure
  mutate    analyse thousands of damaged dumps: no panic, no endless loop, no excess of memory
            [--count N] [--seed S] [DUMP|FOLDER]...   (default: samples/ and the shared dumps, 2000 each)
  bench     measure the libraries [FILTER], then the program
  samples   write samples/ anew
  lab       build the crash laboratory, crash its machines, write samples/lab/ anew [NAME]...
  schema    write docs/schema/ anew
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let outcome = match command.as_str() {
        "test" => test::run(),
        "mutate" => mutate(&rest),
        "bench" => bench::run(&rest),
        "samples" => samples(),
        "lab" => lab(&rest),
        "schema" => schema(),
        "" | "help" | "-h" | "--help" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprint!("xtask: no command '{other}'\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask {command}: FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Damages dumps and analyses them, in an optimised build that checks its arithmetic.
fn mutate(arguments: &[String]) -> Result<(), Failure> {
    run::step(cargo().args(["run", "--quiet", "--profile", "mutate", "--locked", "--package", "bugcheck-mutate", "--"]).args(arguments))
}

/// Writes the JSON schema of the report anew.
fn schema() -> Result<(), Failure> {
    run::step(cargo().args(["test", "--quiet", "--locked", "--package", "bugcheck-analysis", "--test", "schema"]).env("UPDATE_SCHEMA", "1"))
}

/// Lets the laboratory's machines crash again: all of them, or those named.
fn lab(names: &[String]) -> Result<(), Failure> {
    run::step(cargo().args(["run", "--quiet", "--locked", "--package", "bugcheck-lab", "--"]).args(names))
}

/// Writes the sample dumps anew.
fn samples() -> Result<(), Failure> {
    run::step(cargo().args(["run", "--quiet", "--locked", "--package", "bugcheck-synth", "--example", "write_samples", "--", "samples"]))
}
