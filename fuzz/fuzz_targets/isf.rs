//! Volatility symbol files, plain and packed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bugcheck_symbols::isf::fuzz(bytes);
});
