//! Small crash stories with known causes.
//!
//! Each is written as code through [`Story`]: the calls that led there, the registers, the objects the kernel would
//! have saved. Return addresses stand behind genuine call instructions; parameters, trap frames, exception records
//! and contexts agree with each other, except where a story is about their disagreement. Module names of drivers
//! at fault are invented.

mod arm64;
mod faults;
mod hangs;
mod hardware;
mod physical;
mod requested;
mod story;
mod x86;

pub use physical::physical_form;
pub use story::{Place, Story};

use crate::{Arch, CpuidBlob, Smbios, TriageDump, Truth, cpu_registry, filetime, process_path};

/// A dump and its cause.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Scenario {
    pub name: String,
    pub dump: TriageDump,
    pub truth: Truth,
}

/// Every scenario, in a fixed order, with its crash time set (two days apart, 2026).
pub fn all() -> Vec<Scenario> {
    let mut list = vec![
        faults::null_write(),
        faults::null_write_dispatch(),
        hardware::inconsistent_address(),
        hangs::power_irp(),
        hangs::display_timeout(),
        hardware::machine_check(),
        hangs::live_display_timeout(),
        requested::manual(),
        faults::list_corruption(),
        hangs::dpc_watchdog(),
        x86::null_read(),
        x86::dispatch_level(),
        arm64::dispatch_level(),
        faults::unloaded_driver(),
        hardware::one_bit_pte(),
        faults::missing_instruction(),
        requested::verifier(),
        hangs::clock_watchdog(),
        faults::stack_overflow(),
        faults::execute_data(),
        hardware::cookie_bit(),
        faults::system_service(),
        faults::trap_frame_only(),
    ];
    for (i, s) in list.iter_mut().enumerate() {
        s.dump.header.system_time = filetime(1_773_480_413 + i as u64 * 172_800);
        s.dump.header.system_up_time = 36_610_000_000 + i as u64 * 9_870_000_000;
    }
    list
}

/// The scenario of that name.
///
/// # Panics
/// When there is none.
pub fn by_name(name: &str) -> Scenario {
    all().into_iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no scenario {name}"))
}

/// Feature bits of leaf 1 ecx: everything a present processor has, POPCNT (bit 23) among them.
pub(crate) const LEAF1_ECX: u32 = 0x7ffa_fbbf;

/// Firmware, processor and process in secondary data.
pub(crate) fn machine(story: &mut Story, process: &str) {
    let (name, signature) = ("Example Core(TM) 8-Core CPU @ 3.60GHz", 0x000a_0655);
    story.dump.secondary(Smbios { cpu: name.into(), ..Smbios::default() }.blob());
    let id = "Intel64 Family 6 Model 165 Stepping 5";
    story.dump.secondary(cpu_registry(3600, name, "GenuineIntel", id, 0xe2));
    story.dump.secondary(CpuidBlob::intel(signature, LEAF1_ECX, 0xbfeb_fbff, 0x029c_67af, name).blob());
    story.dump.secondary(process_path(process));
    story.process(process);
}

/// Path of the process a system thread runs in is empty in real dumps; user threads name theirs.
pub(crate) const NO_PROCESS: &str = "";

/// A system worker thread: KiStartSystemThread, PspSystemThreadStartup, ExpWorkerThread.
pub(crate) fn system_worker(arch: Arch) -> Story {
    let mut s = Story::new(arch);
    s.enter("nt", "KiStartSystemThread", 0x3f_7f40, 0x20);
    s.call("nt", "PspSystemThreadStartup", 0x2a_6040, 0x30);
    s.call("nt", "ExpWorkerThread", 0x2a_6090, 0x90);
    // ETHREAD.StartAddress.
    let start = s.base("nt") + 0x2a_6090;
    s.dump.thread[0x450..0x458].copy_from_slice(&start.to_le_bytes());
    s
}

/// A user thread inside a device control request: the dispatcher, NtDeviceIoControlFile, IofCallDriver.
pub(crate) fn device_control(arch: Arch) -> Story {
    let mut s = Story::new(arch);
    s.enter("nt", "KiSystemServiceCopyEnd", 0x3f_7f00, 0x28);
    s.call("nt", "NtDeviceIoControlFile", 0x2a_6700, 0x68);
    s.call("nt", "IopXxxControlFile", 0x2a_6740, 0x108);
    s.call("nt", "IopSynchronousServiceTail", 0x2a_6780, 0x68);
    s.call("nt", "IofCallDriver", 0x2a_67c0, 0x38);
    s
}

/// The idle loop running deferred procedure calls on the DPC stack.
pub(crate) fn deferred_calls(arch: Arch) -> Story {
    let mut s = Story::new(arch);
    s.enter("nt", "KiIdleLoop", 0x3f_7fa0, 0x28);
    s.call("nt", "KiRetireDpcList", 0x2a_6800, 0x1b8);
    s
}
