//! An ARM64 story.

use super::{NO_PROCESS, Scenario, Story};
use crate::{Arch, TrapFrameArm64};

/// 0xD1: a read through a null structure pointer at DISPATCH_LEVEL.
pub(super) fn dispatch_level() -> Scenario {
    let mut s = Story::new(Arch::Arm64);
    let base = s.base("nt") + 0x380_0000 + 0x80_0000;
    s.driver("armnic.sys", base, 0x1c000);
    s.enter("nt", "KiIdleLoop", 0x3f_7f80, 0x20);
    s.call("nt", "KiRetireDpcList", 0x2a_6800, 0x100);
    s.call("nt", "KiExecuteAllDpcs", 0x2a_6840, 0x90);
    s.call("armnic", "ArmnicDpc", 0x1010, 0x40);
    s.call("armnic", "ArmnicReadRing", 0x1100, 0x30);
    let ip = s.faults_at(&0xf940_0d28_u32.to_le_bytes()); // ldr x8,[x9,#0x18]
    let mut x = [0; 19];
    // x9 is the null pointer; x18 is the processor block.
    (x[8], x[10], x[18]) = (0x40, 0xffff_d50a_1b20_3040, 0xffff_f802_2d8f_d000);
    let frame = TrapFrameArm64 {
        x,
        lr: s.truth.stack[1].ip,
        fp: s.fp,
        sp: s.sp,
        pc: ip,
        spsr: 0x8000_0144,
        esr: 0x9600_0004,
        fault_status: 0x9600_0004,
        fault_address: 0x18,
        previous_irql: 2,
    };
    s.sp -= 0x150;
    let at = s.sp;
    s.put(at, &frame.bytes());
    let lr_fp = s.fp;
    s.enter_handler("KiKernelExceptionHandler", 0x3f_7d80, lr_fp);
    let parameters = [0x18, 2, 0, ip];
    s.call("nt", "KiBugCheckDispatch", 0x3f_7c40, 0x120);
    s.bug_check_call(0xa, parameters);
    s.dump.bug_check(0xd1, parameters);
    s.dump.secondary(crate::Smbios { cpu: "Example ARM64 CPU @ 3.00GHz".into(), ..Default::default() }.blob());
    s.dump.secondary(crate::process_path(NO_PROCESS));
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("armnic.sys".into());
    s.truth.source = Some("armnic.c:120".into());
    s.end("null-read-d1-arm64")
}
