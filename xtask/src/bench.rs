//! `cargo xtask bench`: the benchmarks of the libraries, then the program itself as its user meets it.

use crate::run::{Failure, cargo, root, step};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs of the program on each dump; the median counts.
const RUNS: usize = 11;
/// How many dumps a folder of a fleet has.
const MANY: usize = 3000;

/// Runs the benchmarks; the arguments go to the first part.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    step(cargo().args(["bench", "--locked", "--package", "bugcheck-analysis", "--bench", "open_analyze", "--"]).args(arguments))?;
    let build = ["run", "--quiet", "--release", "--locked", "--package", "bugcheck", "--", "--version"];
    step(cargo().args(build))?;
    program(&release("bugcheck")).map_err(|error| Failure::new("bugcheck", &format!("could not be measured: {error}")))
}

/// Times the whole process: `analyze` on each dump, `triage` on a folder of thousands.
fn program(bugcheck: &Path) -> std::io::Result<()> {
    let dumps = dumps();
    let mut medians = Vec::new();
    for dump in &dumps {
        let mut times = (0..RUNS).map(|_| timed(Command::new(bugcheck).arg("analyze").arg(dump))).collect::<Result<Vec<_>, _>>()?;
        times.sort();
        medians.extend(times.get(RUNS / 2).copied());
    }
    medians.sort();
    let at = |part: usize| medians.get(part).copied().unwrap_or_default().as_secs_f64() * 1000.0;
    println!("analyze, whole process, {} dumps: median {:.1} ms, slowest {:.1} ms", dumps.len(), at(dumps.len() / 2), at(dumps.len() - 1));

    let folder = std::env::temp_dir().join(format!("bugcheck-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    for (number, dump) in dumps.iter().cycle().take(MANY).enumerate() {
        std::fs::copy(dump, folder.join(format!("{number:05}.dmp")))?;
    }
    let took = timed(Command::new(bugcheck).arg("triage").arg(&folder));
    std::fs::remove_dir_all(&folder)?;
    let took = took?.as_secs_f64();
    println!("triage, {MANY} dumps: {took:.2} s, {:.0} dumps/s", MANY as f64 / took);
    Ok(())
}

fn timed(command: &mut Command) -> std::io::Result<Duration> {
    let start = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    Ok(start.elapsed())
}

/// A program of the release build.
fn release(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("release").join(name).with_extension(std::env::consts::EXE_EXTENSION)
}

/// The real dumps, or the samples where they are not at hand.
fn dumps() -> Vec<PathBuf> {
    let dumps = bugcheck_testdata::real_dumps();
    if dumps.is_empty() { bugcheck_testdata::samples() } else { dumps }
}
