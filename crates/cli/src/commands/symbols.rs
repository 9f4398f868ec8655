use crate::{Common, input};
use bugcheck_analysis::{modules_needed, pdb_of_image};
use bugcheck_dump::Dump;
use bugcheck_symbols::store::Limits;
use bugcheck_symbols::{Finder, Found, Manifest, Missing, Progress, Request, pack};
use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What symbols a dump needs, what is there, and how to bring the rest (also to a machine without a network)
#[derive(clap::Args)]
pub(crate) struct Symbols {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Write a manifest of the files that dumps need
    List(Wanted),
    /// Say which of the needed files are there, and why others are not. Uses no network
    Check(Wanted),
    /// Download what is needed from the servers of the symbol path (without any: Microsoft's)
    Fetch(Wanted),
    /// Put the needed files that are there into one file, to be carried elsewhere
    Pack {
        #[command(flatten)]
        wanted: Wanted,
        /// The file to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Put the files of a pack into a symbol store
    Unpack {
        /// The pack
        pack: PathBuf,
        /// The store, a folder; made if it is not there
        store: PathBuf,
    },
}

/// What is asked about.
#[derive(clap::Args)]
struct Wanted {
    /// Dumps, folders of dumps, or manifests (*.jsonl)
    #[arg(required = true, value_name = "DUMP|MANIFEST")]
    paths: Vec<PathBuf>,
    /// Every module of the dump, not only those on its stacks
    #[arg(long)]
    all: bool,
}

impl Symbols {
    pub(crate) fn run(&self, common: &Common) -> io::Result<ExitCode> {
        let mut out = io::stdout().lock();
        let failures = match &self.action {
            Action::List(wanted) => {
                let (requests, failures) = wanted.requests();
                write!(out, "{}", Manifest::new(requests))?;
                failures
            }
            Action::Check(wanted) => report(&mut out, wanted, &finder(common, false), |finder, requests| finder.check(requests))?.1,
            Action::Fetch(wanted) => {
                let finder = finder(common, true);
                report(&mut out, wanted, &finder, |finder, requests| finder.fetch_all(requests, &progress))?.1
            }
            Action::Pack { wanted, output } => {
                let (found, mut failures) = report(&mut out, wanted, &finder(common, false), |finder, requests| finder.check(requests))?;
                match pack::pack(&found, output) {
                    Ok(size) => writeln!(out, "{}: {} files, {size} bytes", output.display(), found.len())?,
                    Err(error) => failures.push(error.to_string()),
                }
                failures
            }
            Action::Unpack { pack, store } => match pack::unpack(pack, store, &Limits::default()) {
                Ok(unpacked) => {
                    writeln!(out, "{} files put into {}", unpacked.files.len(), store.display())?;
                    unpacked.refused.into_iter().map(|(entry, why)| format!("{entry}: {why}")).collect()
                }
                Err(error) => vec![error.to_string()],
            },
        };
        out.flush()?;
        for failure in &failures {
            eprintln!("bugcheck: {failure}");
        }
        Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Wanted {
    /// The files that the arguments need, and what could not be read.
    fn requests(&self) -> (Vec<Request>, Vec<String>) {
        let (lists, dumps): (Vec<PathBuf>, Vec<PathBuf>) =
            self.paths.iter().cloned().partition(|path| path.extension().is_some_and(|ext| ext == "jsonl"));
        let (mut requests, mut failures) = (Vec::new(), Vec::new());
        for list in lists {
            match std::fs::read_to_string(&list) {
                Ok(text) => {
                    let (manifest, notes) = Manifest::parse(&text);
                    requests.extend(manifest.requests().iter().cloned());
                    failures.extend(notes.into_iter().map(|note| format!("{}: {}", list.display(), note.text)));
                }
                Err(error) => failures.push(format!("{}: {error}", list.display())),
            }
        }
        if !dumps.is_empty() {
            let inputs = input::expand(&dumps);
            failures.extend(inputs.failures);
            for file in inputs.files {
                match Dump::open(&file) {
                    Ok(dump) => requests.extend(modules_needed(&dump, self.all)),
                    Err(error) => failures.push(format!("{}: {error}", file.display())),
                }
            }
        }
        (Manifest::new(requests).requests().to_vec(), failures)
    }
}

/// A search along the paths of the command line.
fn finder(common: &Common, online: bool) -> Finder {
    let places = super::places(common, online);
    Finder::new(&places.symbols, &places.images, places.settings)
}

/// Looks everything up and prints a line for each file; an image that is found leads to its PDB.
fn report(
    out: &mut impl io::Write,
    wanted: &Wanted,
    finder: &Finder,
    look: impl Fn(&Finder, &[Request]) -> Vec<Result<Found, Missing>>,
) -> io::Result<(Vec<Found>, Vec<String>)> {
    let (requests, mut failures) = wanted.requests();
    let mut found: Vec<Found> = Vec::new();
    let mut open = requests;
    // Twice: what was asked for, then the PDBs that the images name.
    for _ in 0..2 {
        let answers = look(finder, &open);
        let mut pdbs = Vec::new();
        for answer in answers {
            match answer {
                Ok(file) => {
                    writeln!(out, "found    {} ({})", file.request, file.path.display())?;
                    pdbs.extend(pdb_of(&file));
                    found.push(file);
                }
                Err(missing) => {
                    let reasons: Vec<String> = missing.reasons.iter().map(ToString::to_string).collect();
                    let why = if reasons.is_empty() { "nowhere on the paths".to_owned() } else { reasons.join("; ") };
                    writeln!(out, "missing  {}: {why}", missing.request)?;
                    failures.push(format!("{} is missing", missing.request));
                }
            }
        }
        open = Manifest::new(pdbs).requests().iter().filter(|pdb| found.iter().all(|file| file.request != **pdb)).cloned().collect();
    }
    Ok((found, failures))
}

fn pdb_of(found: &Found) -> Option<Request> {
    matches!(found.request, Request::Image { .. }).then(|| pdb_of_image(Path::new(&found.path))).flatten()
}

/// A line on standard error that follows the newest download, where somebody watches it.
fn progress(progress: &Progress<'_>) -> ControlFlow<()> {
    if io::stderr().is_terminal() {
        let total = progress.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r\x1b[K{}: {}{total} bytes", progress.request.name().as_str(), progress.bytes);
        if progress.total == Some(progress.bytes) {
            let _ = write!(err, "\r\x1b[K");
        }
    }
    ControlFlow::Continue(())
}
