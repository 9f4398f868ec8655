//! How long it takes to open a dump, to analyse it, and to read what another reader reads.
//!
//! Runs over `samples/` and over the shared dumps where they are at hand (`bugcheck_testdata` says where).
#![allow(clippy::unwrap_used, reason = "a benchmark stops where something is wrong")]

use bugcheck_analysis::{Analysis, Options};
use bugcheck_dump::{Dump, ExceptionRecord, Registers};
use kdmp_parser::map::MappedFileReader;
use kdmp_parser::parse::KernelDumpParser;
use std::fmt;
use std::path::PathBuf;

fn main() {
    divan::main();
}

/// A dump, shown by its file name.
struct Case(PathBuf);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.file_stem().unwrap_or_default().display())
    }
}

/// Opening: the file is mapped, header and tables are read.
#[divan::bench(args = dumps())]
fn open(case: &Case) -> Dump {
    Dump::open(&case.0).unwrap()
}

/// The whole way from the path to the result.
#[divan::bench(args = dumps())]
fn open_analyze(case: &Case) -> Analysis {
    bugcheck_analysis::analyze(&Dump::open(&case.0).unwrap(), "bench.dmp", Options::default())
}

/// Header, context and exception record of dumps that hold physical pages, by this project and by kdmp-parser. The comparison
/// is not quite even: kdmp-parser also lists the physical pages and the modules while it opens, which this project does not.
mod header_and_context {
    use super::{Case, Dump, ExceptionRecord, KernelDumpParser, MappedFileReader, Registers};

    #[divan::bench(args = physical())]
    fn bugcheck(case: &Case) -> (u32, Option<Registers>, Option<ExceptionRecord>) {
        let dump = Dump::open(&case.0).unwrap();
        (dump.header().bug_check.code, dump.header_context(), dump.header_exception())
    }

    #[divan::bench(args = physical())]
    fn kdmp_parser(case: &Case) -> (u32, u64, u32) {
        let dump = KernelDumpParser::with_reader(MappedFileReader::new(&case.0).unwrap()).unwrap();
        (dump.headers().bug_check_code, dump.context_record().rip, dump.exception_record().exception_code)
    }

    fn physical() -> Vec<Case> {
        let is_physical =
            |path: &std::path::PathBuf| ["null-write-d1-full.dmp", "null-write-d1-bitmap.dmp"].iter().any(|name| path.ends_with(name));
        bugcheck_testdata::samples().into_iter().filter(is_physical).map(Case).collect()
    }
}

fn dumps() -> Vec<Case> {
    bugcheck_testdata::samples().into_iter().chain(bugcheck_testdata::real_dumps()).map(Case).collect()
}
