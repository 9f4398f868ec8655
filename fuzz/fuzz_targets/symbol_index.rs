//! A symbol index from a cache.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bugcheck_symbols::index::fuzz(bytes);
});
