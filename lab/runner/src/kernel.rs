//! The crashed kernel as its memory shows it.

use crate::guest::Guest;
use crate::image::Prepared;

/// Offsets in the KPRCB and its neighbours; the same as in `ke.h`.
const PRCB_IN_PCR: u64 = 0x180;
const PRCB_SIZE: usize = 0xaf00;
const CONTEXT_IN_PRCB: u64 = 0x1f0;
const CONTEXT_SIZE: usize = 0x4d0;
const EPROCESS_SIZE: usize = 0xa40;
const ETHREAD_SIZE: usize = 0x898;

/// A module or an unloaded one.
#[derive(Clone, Debug)]
pub(crate) struct ListedModule {
    pub path: String,
    pub base: u64,
    pub size: u32,
    pub entry: u64,
    pub check_sum: u32,
    pub time_date_stamp: u32,
}

/// What a dump is made of.
#[derive(Clone, Debug)]
pub(crate) struct Crash {
    pub code: u32,
    pub parameters: [u64; 4],
    pub prcb: Vec<u8>,
    pub context: Vec<u8>,
    pub process: (u64, Vec<u8>),
    pub thread: (u64, Vec<u8>),
    pub stack_base: u64,
    pub stack_limit: u64,
    pub modules: Vec<ListedModule>,
    /// Name, start, end.
    pub unloaded: Vec<(String, u64, u64)>,
    /// KeBugCheckEx and the return addresses from there outwards to the end of the kernel's part, walked by the kernel itself.
    pub true_stack: Vec<u64>,
    /// The trap frame of the trap that was taken last, if any was.
    pub trap_frame: Option<u64>,
}

impl Crash {
    /// Reads the kernel's own records.
    pub(crate) fn read(prepared: &Prepared) -> Self {
        let guest = &prepared.guest;
        let data = prepared.symbol("KiBugCheckData");
        let prcb_at = prepared.symbol("KiInitialPCR") + PRCB_IN_PCR;
        let thread = guest.u64(prcb_at + 8);
        let process = guest.u64(thread + 0x220);
        let true_stack = prepared.symbol("LabTrueStack");
        let trap_frame = guest.u64(prepared.symbol("LabTrapFrame"));
        Crash {
            code: guest.u32(data),
            parameters: [1, 2, 3, 4].map(|index| guest.u64(data + 8 * index)),
            prcb: guest.exact(prcb_at, PRCB_SIZE),
            context: guest.exact(prcb_at + CONTEXT_IN_PRCB, CONTEXT_SIZE),
            process: (process, guest.exact(process, EPROCESS_SIZE)),
            thread: (thread, guest.exact(thread, ETHREAD_SIZE)),
            stack_base: guest.u64(thread + 0x38),
            stack_limit: guest.u64(thread + 0x30),
            modules: modules(guest, prepared.symbol("PsLoadedModuleList")),
            unloaded: unloaded(guest, prepared),
            true_stack: (0..64).map(|index| guest.u64(true_stack + 8 * index)).take_while(|&address| address >> 47 == 0x1_ffff).collect(),
            trap_frame: Some(trap_frame).filter(|&at| at != 0),
        }
    }

    /// A 64-bit register of the saved context by its offset.
    pub(crate) fn register(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.context[offset..offset + 8].try_into().unwrap())
    }
}

fn modules(guest: &Guest, head: u64) -> Vec<ListedModule> {
    let mut modules = Vec::new();
    let mut entry = guest.u64(head);
    while entry != head && modules.len() < 64 {
        modules.push(ListedModule {
            path: guest.unicode_string(entry + 0x48),
            base: guest.u64(entry + 0x30),
            size: guest.u32(entry + 0x40),
            entry: guest.u64(entry + 0x38),
            check_sum: guest.u32(entry + 0x78),
            time_date_stamp: guest.u32(entry + 0x9c),
        });
        entry = guest.u64(entry);
    }
    modules
}

fn unloaded(guest: &Guest, prepared: &Prepared) -> Vec<(String, u64, u64)> {
    let array = guest.u64(prepared.symbol("MmUnloadedDrivers"));
    let count = guest.u32(prepared.symbol("MmLastUnloadedDriver"));
    let at = |index: u32| array + 0x28 * u64::from(index);
    (0..count).map(|index| (guest.unicode_string(at(index)), guest.u64(at(index) + 0x10), guest.u64(at(index) + 0x18))).collect()
}
