//! Things that took too long: power requests, graphics engines, deferred calls, a silent processor.

use super::{NO_PROCESS, Scenario, Story, machine};
use crate::{Arch, Blob, DeviceObject, DriverObject, Irp, StackLocation, TrapFrameX64, Triage9fPower};

/// A driver keeps a power request forever: the IRP's current location names its device.
pub(super) fn power_irp() -> Scenario {
    let mut s = super::deferred_calls(Arch::X64);
    let nt = s.base("nt");
    let (pci, sleepy, acpi) = (s.base("pci"), nt + 0xd20_0000, s.base("ACPI"));
    s.driver("sleepy.sys", sleepy, 0x1b000);
    s.call("nt", "KiProcessExpiredTimerList", 0x2a_6840, 0x88);
    s.call("nt", "PopIrpWatchdog", 0x2a_6b00, 0x38);
    s.call("nt", "PopIrpWatchdogBugcheck", 0x2a_6b40, 0x58);
    let pool = 0xffff_9c8b_e300_0000_u64;
    let (pdo, filter, fdo, irp_at) = (pool + 0x1060, pool + 0x2080, pool + 0x3040, pool + 0x4aa0);
    let (pci_driver, acpi_driver, sleepy_driver) = (pool + 0x5010, pool + 0x6020, pool + 0x7030);
    let triage_at = nt + 0xc2_4f00;
    let drivers = [
        (pci_driver, pdo, pci, 0x77000, r"\Driver\pci"),
        (acpi_driver, filter, acpi, 0xcc000, r"\Driver\ACPI"),
        (sleepy_driver, fdo, sleepy, 0x1b000, r"\Driver\sleepy"),
    ];
    for (address, device_object, driver_start, driver_size, name) in drivers {
        let object = DriverObject { address, device_object, driver_start, driver_size, name: name.into() };
        s.dump.block(address, &object.bytes());
    }
    let stack = [(pdo, pci_driver, filter, 1), (filter, acpi_driver, fdo, 2), (fdo, sleepy_driver, 0, 3)];
    for (address, driver_object, attached_device, stack_size) in stack {
        let object = DeviceObject {
            driver_object,
            attached_device,
            device_extension: address + 0x150,
            device_type: 0x22,
            stack_size,
            ..Default::default()
        };
        s.dump.block(address, &object.bytes());
    }
    let set_power = |device_object, completion_routine, context| StackLocation {
        major: 0x16,
        minor: 2,
        control: 0xe1,
        parameters: [0, 1, 4, 3],
        device_object,
        completion_routine,
        context,
    };
    let irp = Irp {
        address: irp_at,
        status: 0xc000_00bb,
        thread: 0,
        // Lowest device first; the request stands at the function driver and was not passed down.
        stack: vec![
            StackLocation::default(),
            StackLocation::default(),
            set_power(fdo, nt + 0x2a_6b90, pool + 0x4f80),
            set_power(0, 0, pool + 0x4f80),
        ],
        current_location: 3,
    };
    s.dump.block(irp_at, &irp.bytes());
    let triage = Triage9fPower {
        irp_list: nt + 0xc2_37e0,
        thread_list: nt + 0xc2_0b40,
        delayed_work_queue: pool + 0x8c10,
        delayed_io_work_queue: pool + 0x9010,
    };
    s.dump.block(triage_at, &triage.bytes());
    let parameters = [3, pdo, triage_at, irp_at];
    s.bug_check_call(0x9f, parameters);
    s.dump.bug_check(0x9f, parameters);
    machine(&mut s, NO_PROCESS);
    s.truth.expected_kind = "power".into();
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("sleepy.sys".into());
    s.truth.source = Some("power.c:310".into());
    s.end("power-irp-9f")
}

/// The path of a graphics time-out, the same for the fatal and the live form.
fn display(s: &mut Story, base: u64) -> u64 {
    s.driver("gpudrv.sys", base, 0x264_0000);
    s.call("dxgmms2", "VidSchiWorkerThread", 0x1010, 0x58);
    s.call("dxgmms2", "VidSchiReportHwHang", 0x1060, 0x68);
    s.call("dxgkrnl", "TdrResetFromTimeout", 0x1010, 0x48);
    s.call("dxgkrnl", "TdrIsRecoveryRequired", 0x1060, 0x68);
    s.call("dxgkrnl", "TdrBugcheckOnTimeout", 0x10b0, 0x38);
    // The routine parameter 2 names: its code page is in the dump.
    let routine = base + 0x170_0a40;
    s.code.put(routine, &[0x48, 0x89, 0x5c, 0x24, 8, 0x57, 0x48, 0x83, 0xec, 0x20, 0x48, 0x8b, 0xd9, 0x33, 0xff]);
    routine
}

/// The graphics processor did not answer and could not be reset.
pub(super) fn display_timeout() -> Scenario {
    let mut s = super::system_worker(Arch::X64);
    let base = s.base("nt") + 0xd90_0000;
    let routine = display(&mut s, base);
    let parameters = [0xffff_9c8b_e4c2_0010, routine, 0xffff_ffff_c000_0001, 4];
    s.truth.expected_kind = "hang".into();
    s.bug_check_call(0x116, parameters);
    s.dump.bug_check(0x116, parameters);
    machine(&mut s, NO_PROCESS);
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("gpudrv.sys".into());
    s.end("display-timeout-116")
}

/// The same recovered: Windows wrote a live dump and went on.
pub(super) fn live_display_timeout() -> Scenario {
    let mut s = super::system_worker(Arch::X64);
    let base = s.base("nt") + 0xd90_0000;
    let routine = display(&mut s, base);
    let parameters = [0xffff_9c8b_e4c2_5010, routine, 0, 0x1a5c];
    s.bug_check_call(0x141, parameters);
    s.dump.bug_check(0x141, parameters);
    // LiveDumpGeneratedDump and KernelGeneratedTriageDump.
    s.dump.header.attributes = Some(0x18);
    s.dump.kernel_generated = true;
    machine(&mut s, NO_PROCESS);
    s.truth.expected_kind = "live".into();
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("gpudrv.sys".into());
    s.end("live-display-141")
}

/// A deferred procedure spins at DISPATCH_LEVEL until the watchdog's total is used up.
pub(super) fn dpc_watchdog() -> Scenario {
    let mut s = super::deferred_calls(Arch::X64);
    let nt = s.base("nt");
    s.driver("netslow.sys", nt + 0xda0_0000, 0x3c000);
    s.call("nt", "KiExecuteAllDpcs", 0x2a_6840, 0x88);
    s.call("netslow", "NetslowReceiveDpc", 0x1010, 0x68);
    s.call("netslow", "NetslowDrainRing", 0x1100, 0x48);
    // top: cmp dword ptr [rcx+4],edx; jne top
    let ip = s.faults_at(&[0x39, 0x51, 0x04]);
    s.does(&[0x75, 0xfb]);
    let frame = TrapFrameX64 {
        rcx: 0xffff_9c8b_e620_0100,
        rdx: 0x40,
        rip: ip,
        eflags: 0x246,
        previous_irql: 2,
        error_code: 0xd1,
        ..Default::default()
    };
    s.trap_x64(frame, "KiInterruptDispatchNoLockNoEtw", 0x3f_7d00);
    s.call("nt", "KiInterruptSubDispatchNoLockNoEtw", 0x3f_7e00, 0x28);
    s.call("nt", "KiCallInterruptServiceRoutine", 0x2a_6c00, 0x48);
    s.call("nt", "HalpTimerClockInterrupt", 0x2a_6c40, 0x28);
    s.call("nt", "KeClockInterruptNotify", 0x2a_6c80, 0x158);
    s.call("nt", "KeAccumulateTicks", 0x2a_6cc0, 0x68);
    let block_at = nt + 0xcf_b320;
    let parameters = [1, 0x1e00, block_at, 0];
    s.bug_check_call(0x133, parameters);
    s.dump.bug_check(0x133, parameters);
    // DPC_WATCHDOG_GLOBAL_TRIAGE_BLOCK: signature, revision 1, size 0x10, two numbers as in a real 19041 dump.
    let mut block = Blob::new(0x10);
    block.u32(0, 0xaebe_cede).u16(4, 1).u16(6, 0x10).u32(8, 0x84a8).u32(0xc, 0x82);
    s.dump.block(block_at, &block.done());
    machine(&mut s, NO_PROCESS);
    s.truth.expected_kind = "hang".into();
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("netslow.sys".into());
    s.truth.source = Some("ring.c:88".into());
    s.end("dpc-watchdog-133")
}

/// Processor 2 has its interrupts off inside a driver; the others notice.
pub(super) fn clock_watchdog() -> Scenario {
    let mut s = super::deferred_calls(Arch::X64);
    let nt = s.base("nt");
    let hog = nt + 0xdb0_0000;
    s.driver("cpuhog.sys", hog, 0x7000);
    // The silent processor's thread, on its own stack.
    let silent_base = 0xffff_8601_3b00_0000;
    let reporter_sp = s.sp;
    let reporter_stack = s.stack_bytes(reporter_sp);
    let mut silent = super::system_worker(Arch::X64);
    silent.driver("cpuhog.sys", hog, 0x7000);
    let shift = silent_base - (silent.dump.top_of_stack + 0x100);
    silent.call("cpuhog", "CpuhogWorker", 0x1010, 0x48);
    silent.does(&[0xfa]); // cli
    silent.call("cpuhog", "CpuhogWaitDevice", 0x1100, 0x38);
    let ip = silent.faults_at(&[0xf3, 0x90]); // pause
    silent.does(&[0xeb, 0xfc]); // jmp back
    let fragment = silent.stack_bytes(silent.sp);
    let fragment_at = silent.sp + shift;
    s.truth.stack = silent.truth.stack;
    s.truth.function = silent.truth.function;
    for block in silent.code.blocks() {
        for (i, byte) in block.data.iter().enumerate().filter(|(_, b)| **b != 0xcc) {
            s.code.put(block.address + i as u64, &[*byte]);
        }
    }
    assert_eq!(reporter_stack, s.stack_bytes(reporter_sp));
    s.call("nt", "KeClockInterruptNotify", 0x2a_6c80, 0x158);
    s.call("nt", "KeAccumulateTicks", 0x2a_6cc0, 0x68);
    let (prcb_at, thread_at, process_at) = (0xffff_d480_1a2e_0180_u64, 0xffff_9c8b_e7a0_3080_u64, 0xffff_9c8b_de09_5080_u64);
    let parameters = [0x18, 0, prcb_at, 2];
    s.bug_check_call(0x101, parameters);
    s.dump.bug_check(0x101, parameters);
    let mut prcb = Blob::new(0x400);
    prcb.u32(0, 0x1f80).u64(8, thread_at).u64(0x18, 0xffff_d480_1a2f_0200).u32(0x24, 2).u32(0x44, 3600);
    s.dump.block(prcb_at, &prcb.done());
    let mut thread = Blob::new(0x500);
    thread.u16(0, 6).u64(0x28, silent_base - 0x3b0).u64(0x30, silent_base - 0x6000).u64(0x38, silent_base);
    thread.u64(0x58, fragment_at).u8(0x184, 2).u64(0x220, process_at).u64(0x450, nt + 0x2a_6090);
    thread.u64(0x478, 4).u64(0x480, 0x2b4);
    s.dump.block(thread_at, &thread.done());
    s.dump.block(process_at, &s.dump.process.clone());
    s.dump.block(fragment_at, &fragment);
    machine(&mut s, NO_PROCESS);
    s.truth.expected_kind = "hang".into();
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("cpuhog.sys".into());
    s.truth.source = Some("hog.c:44".into());
    s.truth.note = Some(format!("processor 2 spins at {ip:#x} with interrupts off"));
    s.end("clock-watchdog-101")
}
