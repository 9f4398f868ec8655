//! 32-bit stories. Frames are chained through ebp.

use super::{Scenario, Story};
use crate::{Arch, TrapFrameX86};

/// A worker thread of 32-bit Windows 7.
fn worker() -> Story {
    let mut s = Story::new(Arch::X86);
    s.enter("nt", "PspSystemThreadStartup", 0x7_a040, 0x60);
    s.call("nt", "ExpWorkerThread", 0x7_a080, 0x40);
    s
}

/// 0x8E (recorded as 0x1000008E): parameter 3 is the trap frame.
pub(super) fn null_read() -> Scenario {
    let mut s = worker();
    s.driver("oldfault.sys", 0x9251_0000, 0x6000);
    s.call("nt", "IopProcessWorkItem", 0x7_a0c0, 0x18);
    s.call("oldfault", "OldfaultWorkItem", 0x1010, 0x10);
    s.call("oldfault", "OldfaultReadName", 0x1100, 0x0c);
    s.does(&[0x33, 0xf6]); // xor esi,esi
    let ip = s.faults_at(&[0x8b, 0x46, 0x0c]); // mov eax,dword ptr [esi+0Ch]
    let frame =
        TrapFrameX86 { eax: 0x8572_9d48, ecx: 0x8651_2030, edx: 0x10, ebx: 0x8651_2000, edi: 2, eip: ip as u32, ..Default::default() };
    let trap_at = s.trap_x86(frame, "KiTrap0E", 0x7_b200);
    s.call("nt", "CommonDispatchException", 0x7_b240, 0x20);
    s.call("nt", "KiDispatchException", 0x7_a200, 0x348);
    let parameters = [0xc000_0005, ip, trap_at, 0];
    s.bug_check_call(0x8e, parameters);
    s.dump.bug_check(0x1000_008e, parameters);
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("oldfault.sys".into());
    s.truth.source = Some("oldfault.c:40".into());
    s.end("null-read-8e-x86")
}

/// 0xD1: a write through a freed object's pointer at DISPATCH_LEVEL.
pub(super) fn dispatch_level() -> Scenario {
    let mut s = Story::new(Arch::X86);
    s.driver("oldnic.sys", 0x9261_0000, 0x1a000);
    s.enter("nt", "KiIdleLoop", 0x7_b300, 0x10);
    s.call("nt", "KiRetireDpcList", 0x7_a300, 0x78);
    s.call("oldnic", "OldnicDpc", 0x1010, 0x20);
    s.call("oldnic", "OldnicComplete", 0x1100, 0x10);
    s.does(&[0x8b, 0x47, 0x10]); // mov eax,dword ptr [edi+10h]
    let ip = s.faults_at(&[0x89, 0x48, 0x04]); // mov dword ptr [eax+4],ecx
    let frame = TrapFrameX86 {
        eax: 0xa0de_0000,
        ecx: 0x55,
        ebx: 0x8712_3000,
        edi: 0x8712_3440,
        error_code: 2,
        eip: ip as u32,
        ..Default::default()
    };
    s.trap_x86(frame, "KiTrap0E", 0x7_b200);
    let parameters = [0xa0de_0004, 2, 1, ip];
    s.bug_check_call(0xa, parameters);
    s.dump.bug_check(0xd1, parameters);
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("oldnic.sys".into());
    s.truth.source = Some("oldnic.c:212".into());
    s.end("freed-write-d1-x86")
}
