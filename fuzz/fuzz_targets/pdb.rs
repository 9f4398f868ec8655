//! PDBs, plain and compressed: names, lines, types.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bugcheck_symbols::pdb::fuzz(bytes);
});
