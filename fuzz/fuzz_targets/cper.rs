//! Hardware error records and machine-check banks.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = bugcheck_whea::fuzz::everything(bytes);
});
