//! Crashes that somebody asked for, by keyboard or by Driver Verifier.

use super::{NO_PROCESS, Scenario, device_control, machine};
use crate::{Arch, TrapFrameX64};

/// Right Ctrl held and Scroll Lock pressed twice.
pub(super) fn manual() -> Scenario {
    let mut s = super::deferred_calls(Arch::X64);
    let base = s.base("nt") + 0x482_0000;
    s.driver("i8042prt.sys", base, 0x24000);
    let rip = s.ip();
    s.does(&[0xf4]); // hlt
    let interrupted = TrapFrameX64 { rip, eflags: 0x246, ..Default::default() };
    s.trap_x64(interrupted, "KiInterruptDispatch", 0x3f_7d00);
    s.call("i8042prt", "I8042KeyboardInterruptService", 0x1010, 0xa8);
    s.call("i8042prt", "I8xProcessCrashDump", 0x1100, 0x38);
    let ip = s.ip();
    s.bug_check_call(0xe2, [0; 4]);
    s.true_stack(ip + 6, "i8042prt", "I8xProcessCrashDump");
    s.truth.function = None;
    s.dump.bug_check(0xe2, [0; 4]);
    machine(&mut s, NO_PROCESS);
    s.truth.expected_kind = "requested".into();
    s.end("manual-e2")
}

/// Driver Verifier: a driver asks for executable pool (subcode 0x2000; parameter 2 is the address in its code).
pub(super) fn verifier() -> Scenario {
    let mut s = device_control(Arch::X64);
    let nt = s.base("nt");
    s.driver("oldpool.sys", nt + 0xdc0_0000, 0xe000);
    s.driver("VerifierExt.sys", nt + 0x2c0_0000, 0x35000);
    s.call("oldpool", "OldpoolDispatch", 0x1010, 0x58);
    s.does(&[0x33, 0xc9]); // xor ecx,ecx: NonPagedPool, which is executable
    s.does(&[0x41, 0xb8, b'O', b'l', b'd', b'P']); // mov r8d,'PdlO'
    s.call("nt", "VerifierExAllocatePoolWithTag", 0x2a_6d00, 0x48);
    let detected = s.truth_ip();
    s.call("nt", "VfCheckPoolType", 0x2a_6d40, 0x58);
    s.call("nt", "VfReportIssueWithOptions", 0x2a_6d80, 0x48);
    s.call("nt", "VerifierBugCheckIfAppropriate", 0x2a_6dc0, 0x48);
    let parameters = [0x2000, detected, 0, u64::from(u32::from_le_bytes(*b"OldP"))];
    let ip = s.ip();
    s.bug_check_call(0xc4, parameters);
    s.true_stack(ip + 5, "nt", "VerifierBugCheckIfAppropriate");
    s.truth.function = Some("OldpoolDispatch".into());
    s.dump.bug_check(0xc4, parameters);
    machine(&mut s, r"\Device\HarddiskVolume3\Tools\oldtool.exe");
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("oldpool.sys".into());
    s.truth.source = Some("oldpool.c:31".into());
    s.end("verifier-c4")
}
