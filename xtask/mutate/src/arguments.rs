//! The command line.

use std::path::PathBuf;

/// How to call this.
pub(crate) const USAGE: &str = "\
cargo xtask mutate [--count N] [--seed S] [--case N] [DUMP|FOLDER]...

  --count N   cases for each dump (2000)
  --seed S    another seed makes other cases (1)
  --case N    only this case of each dump, to see a failure again";

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    /// The cases of each dump.
    pub cases: std::ops::Range<u64>,
    /// What the random numbers start from.
    pub seed: u64,
    /// Dumps and folders; empty for the default.
    pub paths: Vec<PathBuf>,
}

impl Arguments {
    /// Reads the arguments.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self { cases: 0..2000, seed: 1, paths: Vec::new() };
        while let Some(word) = words.next() {
            let mut number = || {
                let value = words.next().ok_or(format!("{word} needs a number"))?;
                value.parse::<u64>().map_err(|_| format!("{word} needs a number, not '{value}'"))
            };
            match word.as_str() {
                "--count" => arguments.cases = 0..number()?,
                "--seed" => arguments.seed = number()?,
                "--case" => arguments.cases = number().map(|case| case..case.saturating_add(1))?,
                _ if word.starts_with('-') => return Err(format!("no option {word}")),
                _ => arguments.paths.push(word.into()),
            }
        }
        Ok(arguments)
    }
}
