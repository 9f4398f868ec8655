//! Texts about symbols: paths, configuration, manifests, pointers, and names that come out of dumps.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = bugcheck_symbols::store::fuzz::path(bytes);
    let _ = bugcheck_symbols::store::fuzz::manifest(bytes);
    let _ = bugcheck_symbols::store::fuzz::pointer(bytes);
    let _ = bugcheck_symbols::store::fuzz::name(bytes);
});
