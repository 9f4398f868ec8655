//! Packed symbol files.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = bugcheck_symbols::store::fuzz::cabinet(bytes);
});
