//! PE files: headers, sections, exports, and the way to the PDB.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bugcheck_unwind::fuzz::pe(bytes));
