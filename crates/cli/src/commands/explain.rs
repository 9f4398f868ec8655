use crate::{Common, output};
use bugcheck_report::explain;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Explain a stop code, a name, a status or a line from a blue screen, without a dump
#[derive(clap::Args)]
pub(crate) struct Explain {
    /// A code (0x50), a name (PAGE_FAULT), an NTSTATUS, or any text; up to four parameters may follow the code
    #[arg(required = true, value_name = "CODE|NAME|TEXT")]
    text: Vec<String>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(crate) fn run(&self, common: &Common) -> io::Result<ExitCode> {
        let lookup = bugcheck_knowledge::search(&self.text.join(" "));
        let found = !(lookup.hits.is_empty() && lookup.statuses.is_empty() && lookup.modules.is_empty());
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", explain::json(&lookup))?;
        } else {
            write!(out, "{}", explain::text(&lookup, output::style(common, false)))?;
        }
        out.flush()?;
        Ok(if found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
