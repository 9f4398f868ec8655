use crate::{Common, input, output};
use bugcheck_report::{json, text};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Say what crashed: verdict, suspects, evidence and next steps for each dump
#[derive(clap::Args)]
pub(crate) struct Analyze {
    /// Dumps, or folders of dumps
    #[arg(required = true, value_name = "DUMP")]
    dumps: Vec<PathBuf>,
    /// Write JSON (schema bugcheck.report/1): one document for one dump, a document a line for several
    #[arg(long)]
    json: bool,
}

impl Analyze {
    pub(crate) fn run(&self, common: &Common) -> io::Result<ExitCode> {
        let inputs = input::expand(&self.dumps);
        let style = output::style(common, false);
        let mut out = io::stdout().lock();
        let mut failed = !inputs.failures.is_empty();
        for failure in &inputs.failures {
            eprintln!("bugcheck: {failure}");
        }
        let mut first = true;
        let mut print = |result: Result<bugcheck_analysis::Analysis, String>| {
            let analysis = match result {
                Ok(analysis) => analysis,
                Err(reason) => {
                    failed = true;
                    eprintln!("bugcheck: {reason}");
                    return Ok(());
                }
            };
            match (self.json, inputs.many) {
                (true, false) => writeln!(out, "{}", json::pretty(&analysis)),
                (true, true) => writeln!(out, "{}", json::line(&analysis)),
                (false, _) => {
                    let gap = if std::mem::take(&mut first) { "" } else { "\n\n" };
                    write!(out, "{gap}{}", text::render(&analysis, style))
                }
            }
        };
        let sources = super::sources(common);
        let options = super::options(common, sources.as_ref());
        match inputs.files.as_slice() {
            // One dump needs no pool of threads.
            [file] => print(input::analyze(file, options))?,
            files => input::analyze_all(files, options, &|_| {}, &mut print)?,
        }
        out.flush()?;
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
