use crate::{Common, input, output};
use bugcheck_report::{json, table};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Show many dumps at a glance: a line for each, and which crashes are the same
#[derive(clap::Args)]
pub(crate) struct Triage {
    /// Folders of dumps, or dumps
    #[arg(required = true, value_name = "DIR")]
    paths: Vec<PathBuf>,
    /// Sort the table
    #[arg(long, value_enum, default_value = "time", value_name = "COLUMN")]
    sort: Sort,
    /// Write a JSON document a line (schema bugcheck.report/1), in input order
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Write the table as CSV
    #[arg(long)]
    csv: bool,
}

/// Columns to sort by.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Sort {
    Time,
    File,
    Code,
    Verdict,
    Suspect,
    Confidence,
}

impl From<Sort> for table::SortBy {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Time => Self::Time,
            Sort::File => Self::File,
            Sort::Code => Self::Code,
            Sort::Verdict => Self::Verdict,
            Sort::Suspect => Self::Suspect,
            Sort::Confidence => Self::Confidence,
        }
    }
}

impl Triage {
    pub(crate) fn run(&self, common: &Common) -> io::Result<ExitCode> {
        let inputs = input::expand(&self.paths);
        let mut out = io::stdout().lock();
        let mut failures = inputs.failures.clone();
        let mut rows = Vec::new();
        let bar = progress(inputs.files.len());
        let sources = super::sources(common);
        input::analyze_all(&inputs.files, super::options(common, sources.as_ref()), &|done| bar.inc(done as u64), |result| {
            match result {
                Ok(analysis) if self.json => writeln!(out, "{}", json::line(&analysis))?,
                Ok(analysis) => rows.push(table::Row::new(&analysis)),
                Err(reason) => failures.push(reason),
            }
            io::Result::Ok(())
        })?;
        bar.finish_and_clear();
        if !self.json {
            table::sort(&mut rows, self.sort.into());
            if self.csv {
                write!(out, "{}", table::csv(&rows))?;
            } else if !rows.is_empty() {
                let style = output::style(common, true);
                write!(out, "{}{}", table::render(&rows, style), table::groups(&rows, style))?;
            }
        }
        out.flush()?;
        for failure in &failures {
            eprintln!("bugcheck: {failure}");
        }
        Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A bar on standard error, where somebody watches it.
fn progress(files: usize) -> indicatif::ProgressBar {
    if files < 2 || !io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let bar = indicatif::ProgressBar::new(files as u64);
    if let Ok(style) = indicatif::ProgressStyle::with_template("{bar:30} {pos}/{len} dumps, {per_sec}") {
        bar.set_style(style);
    }
    bar
}
