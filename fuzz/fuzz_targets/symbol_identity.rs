//! Files that are to prove that they are the one asked for: PDBs in both containers, and images.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = bugcheck_symbols::store::fuzz::identity(bytes);
});
