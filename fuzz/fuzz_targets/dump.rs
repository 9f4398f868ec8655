//! A whole file: opened, analysed, and reported in every form.
#![no_main]

use bugcheck_analysis::{Options, analyze};
use bugcheck_dump::Dump;
use bugcheck_report::{Style, json, table, text};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match Dump::from_bytes(bytes.to_vec()) {
        Err(error) => drop(error.to_string()),
        Ok(dump) => {
            let analysis = analyze(&dump, "fuzzed.dmp", Options::default());
            drop(json::line(&analysis));
            drop(text::render(&analysis, Style { verbosity: 1, ..Style::default() }));
            drop(text::summary(&analysis, Style::default()));
            drop(table::Row::new(&analysis));
        }
    }
});
