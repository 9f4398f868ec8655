//! `cargo xtask test`: everything that must hold before a change goes in.

use crate::run::{Failure, cargo, program, step, works};
use std::time::Instant;

/// Runs all checks, the quick ones first, and stops at the first failure.
pub(crate) fn run() -> Result<(), Failure> {
    let start = Instant::now();
    components()?;
    step(cargo().args(["fmt", "--all", "--check"]))?;
    step(cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    step(cargo().env("RUSTDOCFLAGS", "-Dwarnings").args(["doc", "--workspace", "--no-deps", "--locked"]))?;
    step(cargo().args(["test", "--workspace", "--locked"]))?;
    eprintln!("\nxtask test: all of it holds ({} s)", start.elapsed().as_secs());
    Ok(())
}

/// Adds rustfmt and clippy where rustup runs the compiler and they are not there.
fn components() -> Result<(), Failure> {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if works(cargo().args([subcommand, "--version"])) {
            continue;
        }
        eprintln!("cargo {subcommand} does not work here: adding the component {component}");
        step(program("rustup").args(["component", "add", component]))?;
    }
    Ok(())
}
