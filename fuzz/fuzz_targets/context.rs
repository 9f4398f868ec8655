//! Registers and exception records. The first byte chooses the processor.
#![no_main]

use bugcheck_dump::{Arch, ExceptionRecord, Fields, Registers};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let arch = match choice % 3 {
        0 => Arch::X64,
        1 => Arch::X86,
        _ => Arch::Arm64,
    };
    if let Some(registers) = Registers::from_context(arch, Fields(rest)) {
        for (name, value) in registers.iter() {
            assert_eq!(registers.get(name), Some(value));
        }
        let _ = (registers.ip(), registers.sp(), registers.fp());
    }
    let _ = ExceptionRecord::parse(arch, Fields(rest));
});
