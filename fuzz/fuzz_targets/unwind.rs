//! Stack, code and unwind data are all the same bytes. The first byte chooses the processor.
#![no_main]

use bugcheck_dump::Arch;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let arch = match choice % 3 {
        0 => Arch::X64,
        1 => Arch::X86,
        _ => Arch::Arm64,
    };
    bugcheck_unwind::fuzz::walk(arch, rest);
});
