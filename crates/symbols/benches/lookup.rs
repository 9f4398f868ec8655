//! How fast names are found, and how fast an index is built and opened.
//!
//! `cargo bench -p bugcheck-symbols -- PDB…` measures these files; nothing is asserted. "Full read" is what `ms-pdb` takes to
//! read all publics, procedures and types: the measure for building an index.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a bench stops where something is wrong")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bugcheck_symbols::ModuleSymbols;
use bugcheck_symbols::pdb::PdbFile;
use ms_pdb::syms::{SymData, SymIter};

fn main() {
    let files: Vec<PathBuf> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).map(PathBuf::from).collect();
    if files.is_empty() {
        eprintln!("SKIPPED: name PDBs or ISF files to measure, after `--`");
    }
    for file in files {
        println!("{}", file.file_name().unwrap().to_string_lossy());
        measure(&file);
    }
}

/// The best of several runs.
fn best<T>(what: &str, runs: u32, mut run: impl FnMut() -> T) -> Duration {
    let mut times = (0..runs).map(|_| {
        let start = Instant::now();
        black_box(run());
        start.elapsed()
    });
    let first = times.next().unwrap();
    let best = times.fold(first, Duration::min);
    println!("  {what:44} {best:>12.3?}");
    best
}

fn measure(path: &Path) {
    let cache = tempfile::tempdir().unwrap();
    let isf = path.to_string_lossy().contains(".json");
    let open = |cache| if isf { ModuleSymbols::from_isf(path, cache, None) } else { ModuleSymbols::from_pdb(path, cache, None) }.unwrap();
    let symbols = open(Some(cache.path()));
    let index = symbols.index();
    println!("  {} names, index of {} bytes", index.len(), index.as_bytes().len());
    if !isf {
        let full = best("ms-pdb: full read", 20, || full_read(path));
        let build = best("index: build", 20, || PdbFile::open(path).unwrap().index().unwrap());
        println!("  {:44} {:>12.2}", "  ratio", build.as_secs_f64() / full.as_secs_f64());
    } else {
        best("index: build", 5, || open(None));
    }
    let name = index.iter().nth(index.len() / 2).unwrap().raw.to_owned();
    best("open with a cached index, one name", 50, || open(Some(cache.path())).rva_of(&name));

    let code: Vec<u32> = index.iter().filter(|symbol| symbol.kind.is_code()).map(|symbol| symbol.rva).collect();
    let (low, high) = (*code.iter().min().unwrap(), *code.iter().max().unwrap());
    let mut seed = 0x9e37_79b9_u32;
    let addresses: Vec<u32> = (0..1_000_000)
        .map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            low + seed % (high - low + 1)
        })
        .collect();
    let time = best("1,000,000 random addresses → names", 5, || {
        addresses.iter().filter_map(|&rva| index.function_at(rva)).map(|at| at.offset as usize + at.symbol.raw.len()).sum::<usize>()
    });
    println!("  {:44} {:>10.1} M/s", "  that is", 1.0 / time.as_secs_f64());
    let names: Vec<String> = index.iter().step_by(7).map(|symbol| symbol.raw.to_owned()).collect();
    let time = best("names → addresses, each seventh", 5, || names.iter().filter_map(|name| index.rva_of(name)).count());
    println!("  {:44} {:>10.1} M/s", "  that is", names.len() as f64 / 1e6 / time.as_secs_f64());
    if !isf {
        let some: Vec<u32> = addresses.iter().copied().step_by(50).collect();
        let time =
            best("20,000 random addresses → source lines", 3, || some.iter().map(|&rva| symbols.source_at(rva).len()).sum::<usize>());
        println!("  {:44} {:>10.2} M/s", "  that is", some.len() as f64 / 1e6 / time.as_secs_f64());
    }
}

fn full_read(path: &Path) -> usize {
    let pdb = ms_pdb::Pdb::open(path).unwrap();
    let mut count = pdb.gss().unwrap().iter_syms().filter(|symbol| matches!(symbol.parse(), Ok(SymData::Pub(_)))).count();
    for module in pdb.modules().unwrap().iter() {
        if let Some(stream) = pdb.read_module_stream(&module).unwrap() {
            count += stream.iter_syms().filter(|symbol| matches!(symbol.parse(), Ok(SymData::Proc(_)))).count();
        }
    }
    let types = pdb.read_type_stream().unwrap();
    count + SymIter::new(&[]).count() + types.iter_type_records().filter(|record| record.parse().is_ok()).count()
}
