//! Crashes that no software explains.

use super::{NO_PROCESS, Scenario, device_control, machine};
use crate::{Arch, CperSection, Injected, TrapFrameX64, cper_record, mci_status, xpf_mca_section};

/// The instruction's address, computed from the saved registers, cannot give the reported fault address: rcx is a
/// good pointer, yet the processor reported an access as if it were zero.
pub(super) fn inconsistent_address() -> Scenario {
    let mut s = device_control(Arch::X64);
    let base = s.base("nt") + 0xd00_0000;
    s.driver("innocent.sys", base, 0x14000);
    s.call("innocent", "InnocentDispatch", 0x1010, 0x58);
    s.call("innocent", "InnocentReadState", 0x1100, 0x38);
    let ip = s.faults_at(&[0x8b, 0x41, 0x38]); // mov eax,dword ptr [rcx+38h]
    let state = 0xffff_9c8b_e5d2_1a30;
    let frame = TrapFrameX64 {
        rax: 1,
        rcx: state,
        rdx: 0x22_2004,
        rip: ip,
        fault_address: 0x38,
        error_code: 0,
        previous_irql: 2,
        ..Default::default()
    };
    s.trap_x64(frame, "KiPageFault", 0x3f_7d80);
    let parameters = [0x38, 2, 0, ip];
    s.bug_check_dispatch([state, 0, 0, 0, 0, 0, 0], 0xa, parameters);
    s.dump.bug_check(0xd1, parameters);
    // The structure rcx points to is in the dump: readable memory.
    let mut object = crate::Blob::new(0x80);
    object.bytes(0, b"Inno").u32(0x38, 7);
    s.dump.block(state, &object.done());
    machine(&mut s, r"\Device\HarddiskVolume3\Program Files\Innocent\innocent.exe");
    s.truth.family = Some("hardware".into());
    s.truth.expected_kind = "hardware".into();
    s.truth.part = Some("cpu".into());
    s.truth.subject = Some("cpu".into());
    s.truth.function = None;
    s.truth.victim = Some("innocent.sys".into());
    s.truth.injected = Some(Injected { what: "effective-address".into(), bit: None, at: Some(ip) });
    s.end("inconsistent-address-d1")
}

/// A fatal machine check: second-level cache data read error on processor 3.
pub(super) fn machine_check() -> Scenario {
    let mut s = super::deferred_calls(Arch::X64);
    let rip = s.ip();
    s.does(&[0xf4]); // hlt
    let interrupted = TrapFrameX64 { rip, eflags: 0x246, ..Default::default() };
    s.trap_x64(interrupted, "KiMcheckAbort", 0x3f_7d00);
    s.call("nt", "HalpMcaReportError", 0x2a_6a00, 0x78);
    s.call("nt", "WheaReportHwError", 0x2a_6a40, 0x88);
    s.call("nt", "HalBugCheckSystem", 0x2a_6a80, 0x38);
    let status = mci_status(0x0136, 0, true, false);
    let record_at = 0xffff_9c8b_e201_4028;
    let sections = [
        CperSection::processor_generic(1, 1, 6),
        CperSection::x64_processor(6, [0x000a_0655, 0x0610_0800, super::LEAF1_ECX, 0xbfeb_fbff]),
        xpf_mca_section(1, 3, 2, status, 0x2_3f41_8040, 0),
    ];
    let record = cper_record(&sections, 0x01dc_b3a0_0000_0007, 0x2026_0314_0009_2653);
    let parameters = [0, record_at, status >> 32, status & 0xffff_ffff];
    s.bug_check_call(0x124, parameters);
    s.dump.bug_check(0x124, parameters);
    s.dump.block(record_at, &record);
    machine(&mut s, NO_PROCESS);
    s.truth.expected_kind = "hardware".into();
    s.truth.family = Some("hardware".into());
    s.truth.expected_kind = "hardware".into();
    s.truth.part = Some("cpu".into());
    s.truth.subject = Some("cpu".into());
    s.truth.note = Some("bank 2: cache hierarchy, data read, level 2".into());
    s.end("machine-check-124")
}

/// A page table entry that should be zero has one bit set.
pub(super) fn one_bit_pte() -> Scenario {
    let mut s = super::system_worker(Arch::X64);
    let pte = 0xffff_f700_2a41_8ff8;
    let value = 1u64 << 33;
    s.call("nt", "PspProcessDelete", 0x2a_6900, 0x78);
    s.call("nt", "MmCleanProcessAddressSpace", 0x2a_6940, 0x58);
    s.call("nt", "MiDeleteVad", 0x2a_6980, 0x118);
    s.call("nt", "MiDeletePagablePteRange", 0x2a_69c0, 0x228);
    let parameters = [0x41792, pte, value, 0];
    s.bug_check_call(0x1a, parameters);
    s.dump.bug_check(0x1a, parameters);
    s.dump.block(pte, &value.to_le_bytes());
    machine(&mut s, r"\Device\HarddiskVolume3\Windows\System32\backgroundTask.exe");
    s.truth.family = Some("hardware".into());
    s.truth.expected_kind = "hardware".into();
    s.truth.part = Some("memory".into());
    s.truth.subject = Some("memory".into());
    s.truth.injected = Some(Injected { what: "pte-bit".into(), bit: Some(33), at: Some(pte) });
    s.end("one-bit-pte-1a")
}

/// A stack cookie differs from its expected value in one bit.
pub(super) fn cookie_bit() -> Scenario {
    let mut s = device_control(Arch::X64);
    let base = s.base("nt") + 0xd00_0000;
    s.driver("innocent.sys", base, 0x14000);
    s.call("innocent", "InnocentDispatch", 0x1010, 0x58);
    s.call("innocent", "InnocentCopyName", 0x1200, 0xa8);
    let expected = 0x0000_7a31_94c5_d20b_u64;
    let actual = expected ^ (1 << 21);
    s.local(0x90, actual ^ s.sp);
    s.does(&[0x48, 0x33, 0xcc]); // xor rcx,rsp
    s.call("innocent", "__security_check_cookie", 0x1300, 0x28);
    s.call("innocent", "__report_gsfailure", 0x1340, 0x38);
    let ip = s.ip();
    let parameters = [actual, expected, !expected, 0];
    s.bug_check_call(0xf7, parameters);
    s.true_stack(ip + 6, "innocent", "__report_gsfailure");
    s.dump.bug_check(0xf7, parameters);
    // The image's cookie and its complement, side by side in the data section.
    let mut data = crate::Blob::new(0x40);
    data.u64(0x10, expected).u64(0x18, !expected);
    s.dump.block(base + 0x8000, &data.done());
    machine(&mut s, r"\Device\HarddiskVolume3\Program Files\Innocent\innocent.exe");
    s.truth.family = Some("hardware".into());
    s.truth.expected_kind = "hardware".into();
    s.truth.part = Some("memory".into());
    s.truth.subject = Some("memory".into());
    s.truth.function = None;
    s.truth.victim = Some("innocent.sys".into());
    s.truth.injected = Some(Injected { what: "cookie-bit".into(), bit: Some(21), at: None });
    s.end("cookie-bit-f7")
}
