//! Running other programs from the root of the repository.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Which command line failed, and how.
#[derive(Debug)]
pub(crate) struct Failure {
    line: String,
    how: String,
}

impl Failure {
    /// A failure of something that is not a command line.
    pub(crate) fn new(line: &str, how: &str) -> Self {
        Self { line: line.to_owned(), how: how.to_owned() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.line, self.how)
    }
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    program(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
}

/// A program, started in the root of the repository.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// Shows the command and runs it.
pub(crate) fn step(command: &mut Command) -> Result<(), Failure> {
    let line = line(command);
    eprintln!("\n=== {line}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure { line, how: format!("ended with {status}") }),
        Err(error) => Err(Failure { line, how: format!("could not be started: {error}") }),
    }
}

/// True if the command can be started and succeeds; its output is thrown away.
pub(crate) fn works(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_stem().unwrap_or(command.get_program());
    let mut line = String::new();
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            line += &format!("{}={} ", key.display(), value.display());
        }
    }
    line += &name.display().to_string();
    for argument in command.get_args() {
        line += &format!(" {}", argument.display());
    }
    line
}
