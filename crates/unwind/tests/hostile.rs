//! Whatever comes in, nothing but a result comes out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use bugcheck_dump::Arch;
use bugcheck_unwind::fuzz;

/// A small generator of numbers that are the same on every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 24) as u8).collect()
    }
}

#[test]
fn any_bytes_as_stack_code_and_unwind_data() {
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    for round in 0..80_usize {
        let length = (numbers.next() % 4096) as usize;
        let mut data = numbers.bytes(length);
        // Much is small numbers in real data.
        for byte in &mut data {
            if round % 2 == 0 && !numbers.next().is_multiple_of(3) {
                *byte &= 0x13;
            }
        }
        for arch in [Arch::X64, Arch::Arm64, Arch::X86] {
            fuzz::walk(arch, &data);
        }
        fuzz::pe(&data);
    }
    fuzz::walk(Arch::X86, b"$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =");
    fuzz::walk(Arch::X64, &[]);
}

#[test]
fn damaged_images() {
    let files = common::node_pty("x64").into_iter().chain(common::node_pty("arm64"));
    let mut numbers = Numbers(0xfeed_5678_9abc_def1);
    for path in files.filter(|path| path.ends_with("winpty.dll") || path.ends_with("conpty_console_list.node")) {
        let bytes = std::fs::read(&path).unwrap();
        for _ in 0..200 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + numbers.next() % 16 {
                // Most of the damage hits the headers.
                let reach = if !numbers.next().is_multiple_of(4) { 0x400 } else { damaged.len() as u64 };
                let at = (numbers.next() % reach) as usize;
                damaged[at] = numbers.next() as u8;
            }
            damaged.truncate(if numbers.next().is_multiple_of(4) { (numbers.next() % bytes.len() as u64) as usize } else { bytes.len() });
            fuzz::pe(&damaged);
        }
    }
}
