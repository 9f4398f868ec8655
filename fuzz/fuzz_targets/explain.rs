//! Whatever people type after `bugcheck explain`.
#![no_main]

use bugcheck_report::{Style, explain};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let lookup = bugcheck_knowledge::search(text);
    drop(explain::text(&lookup, Style::default()));
    drop(explain::json(&lookup));
});
