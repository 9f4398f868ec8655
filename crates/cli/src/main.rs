//! The program: reads the command line, calls the libraries, prints. It knows nothing of its own.
#![forbid(unsafe_code)]

mod commands;
mod input;
mod output;

use clap::{Args, Parser, Subcommand};
use std::process::ExitCode;

/// What crashed this Windows machine, how we know, and what to do next.
///
/// Reads kernel crash dumps offline, on any operating system.
#[derive(Parser)]
#[command(name = "bugcheck", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// Options of every command.
#[derive(Args)]
pub(crate) struct Common {
    /// Show everything: all frames, modules, registers, secondary data
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Show only the verdict
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Colours
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: output::Color,
    /// Where symbols are: folders, symbol stores, Volatility ISF folders, joined by `;` as WinDbg writes them [env: _NT_SYMBOL_PATH]
    #[arg(short = 'y', long, global = true, value_name = "SYMPATH")]
    symbol_path: Option<String>,
    /// Where images are, in the same form [env: _NT_EXECUTABLE_IMAGE_PATH]
    #[arg(short = 'i', long, global = true, value_name = "IMAGEPATH")]
    image_path: Option<String>,
    /// Fetch missing symbols and images from servers (without one in the symbol path: Microsoft's)
    #[arg(long, global = true)]
    symbols_online: bool,
    /// Keep user names in paths and device serial numbers
    #[arg(long, global = true)]
    no_redact: bool,
}

#[derive(Subcommand)]
enum Command {
    Analyze(commands::analyze::Analyze),
    Triage(commands::triage::Triage),
    Explain(commands::explain::Explain),
    Score(commands::score::Score),
    Symbols(commands::symbols::Symbols),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Analyze(analyze) => analyze.run(&cli.common),
        Command::Triage(triage) => triage.run(&cli.common),
        Command::Explain(explain) => explain.run(&cli.common),
        Command::Score(score) => score.run(&cli.common),
        Command::Symbols(symbols) => symbols.run(&cli.common),
    };
    match result {
        Ok(code) => code,
        // Whoever reads the output has seen enough (`| head`).
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bugcheck: {error}");
            ExitCode::FAILURE
        }
    }
}
