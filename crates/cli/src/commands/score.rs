use crate::{Common, input, output};
use bugcheck_analysis::score::{Truth, compare, score};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compare verdicts with known causes (NAME.truth.json beside NAME.dmp): misses, Brier score, calibration
#[derive(clap::Args)]
pub(crate) struct Score {
    /// Folders of dumps with truth files, or dumps
    #[arg(required = true, value_name = "DIR")]
    paths: Vec<PathBuf>,
    /// Write JSON (schema bugcheck.score/1)
    #[arg(long)]
    json: bool,
}

impl Score {
    pub(crate) fn run(&self, common: &Common) -> io::Result<ExitCode> {
        let inputs = input::expand(&self.paths);
        let mut failures = inputs.failures.clone();
        // Whoever keeps dumps without a known cause beside the others wants the others scored.
        let (known, unknown): (Vec<PathBuf>, Vec<PathBuf>) = inputs.files.into_iter().partition(|file| truth_file(file).is_file());
        let mut outcomes = Vec::new();
        let mut files = known.iter();
        let sources = super::sources(common);
        input::analyze_all(&known, super::options(common, sources.as_ref()), &|_| {}, |result| {
            let truth = files.next().map(|file| truth_file(file));
            match result.and_then(|analysis| Ok(compare(&analysis, &read(&truth.unwrap_or_default())?))) {
                Ok(outcome) => outcomes.push(outcome),
                Err(reason) => failures.push(reason),
            }
            io::Result::Ok(())
        })?;
        if outcomes.is_empty() {
            failures
                .push(format!("no dump with a truth file (NAME.truth.json beside NAME.dmp) among {} dumps", unknown.len() + known.len()));
        }
        let mut out = io::stdout().lock();
        if !outcomes.is_empty() {
            let total = score(&outcomes);
            if self.json {
                writeln!(out, "{}", bugcheck_report::score::json(&outcomes, &total))?;
            } else {
                write!(out, "{}", bugcheck_report::score::text(&outcomes, &total, output::style(common, false)))?;
            }
        }
        out.flush()?;
        for failure in &failures {
            eprintln!("bugcheck: {failure}");
        }
        Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn truth_file(dump: &Path) -> PathBuf {
    dump.with_extension("truth.json")
}

fn read(path: &Path) -> Result<Truth, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Truth::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}
