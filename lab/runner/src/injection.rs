//! Flipping the one bit that a story wants flipped.

use crate::gdb::Gdb;
use crate::image::Prepared;
use crate::stories::Injection;
use bugcheck_synth::Injected;
use std::path::Path;

/// GDB's number of rcx, which holds the first argument.
const RCX: usize = 2;
/// Where the page tables are seen through the self-map.
const PTE_BASE: u64 = 0xffff_f680_0000_0000;

/// Waits for `LedgerSum`, flips, and lets the machine go on.
pub(crate) fn inject(injection: Injection, prepared: &Prepared, stub: &Path) -> Injected {
    let function = prepared.modules.iter().find_map(|module| module.export("LedgerSum")).expect("ledger.sys is loaded");
    let mut gdb = Gdb::connect(stub);
    gdb.run_to(function, 1);
    let first = gdb.register(RCX);
    let injected = match injection {
        Injection::PageTableEntry(bit) => {
            let entry = PTE_BASE + (first >> 9 & 0x7f_ffff_fff8);
            gdb.flip(entry, bit);
            // The entry may be in the processor's buffer; reloading CR3 as a task switch would do it.
            gdb.flush();
            Injected { what: "pte-bit".to_owned(), bit: Some(bit), at: Some(entry) }
        }
        Injection::Pointer(bit) => {
            let third = (0..2).fold(first, |account, _| gdb.u64(account));
            gdb.flip(third, bit);
            Injected { what: "pointer-bit".to_owned(), bit: Some(bit), at: Some(third) }
        }
        Injection::Code(offset, byte, bit) => {
            assert_eq!(gdb.memory(function + offset, 1), [byte], "the compiler made other code of LedgerSum");
            gdb.flip(function + offset, bit);
            Injected { what: "code-bit".to_owned(), bit: Some(bit), at: Some(function + offset) }
        }
        Injection::Register(bit) => {
            gdb.set_register(RCX, first ^ 1 << bit);
            Injected { what: "register-bit".to_owned(), bit: Some(bit), at: Some(function) }
        }
    };
    gdb.detach();
    injected
}
