//! Faults in driver code.

use super::{NO_PROCESS, Scenario, Story, device_control, machine, system_worker};
use crate::{Arch, ContextX64, ExceptionRecord, TrapFrameX64};

const FILTER: [(&str, u64, u64); 3] = [
    ("_C_specific_handler", 0x2a_6500, 0x58),
    ("PspSystemThreadStartup$filt$0", 0x2a_6540, 0x28),
    ("PspUnhandledExceptionInSystemThread", 0x2a_6580, 0x38),
];

/// The thread of a system process loads faulty.sys and is inside its DriverEntry.
fn loading_faulty() -> Story {
    let mut s = system_worker(Arch::X64);
    let base = s.base("nt") + 0xce9_0000;
    s.driver("faulty.sys", base, 0x7000);
    s.call("nt", "IopLoadUnloadDriver", 0x2a_6200, 0x58);
    s.call("nt", "IopLoadDriver", 0x2a_6240, 0x138);
    s.local(0x40, base + 0x5010); // The image's entry point, a stale argument.
    s.call("nt", "PnpCallDriverEntry", 0x2a_6280, 0x48);
    s.call("faulty", "GsDriverEntry", 0x1100, 0x28);
    s.call("faulty", "DriverEntry", 0x1010, 0x38);
    machine(&mut s, NO_PROCESS);
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("faulty.sys".into());
    s.truth.source = Some("faulty.c:16".into());
    s
}

/// `DriverEntry` writes 0x1234 through a null pointer at passive level.
pub(super) fn null_write() -> Scenario {
    let mut s = loading_faulty();
    s.does(&[0x33, 0xc0]); // xor eax,eax
    let ip = s.faults_at(&[0xc7, 0x00, 0x34, 0x12, 0, 0]); // mov dword ptr [rax],1234h
    let context = ContextX64 {
        flags: 0x10_001f,
        rip: ip,
        rsp: s.sp,
        rcx: 0xffff_9c8b_e5a1_2e30,
        rdx: 0xffff_9c8b_e4f0_a000,
        rbx: 0xffff_9c8b_e5a1_2e30,
        rsi: 0xffff_9c8b_e4f0_a000,
        r9: 0x7f,
        r12: 0x4,
        ..Default::default()
    };
    let frame = TrapFrameX64 { rcx: context.rcx, rdx: context.rdx, r9: context.r9, rip: ip, error_code: 2, ..Default::default() };
    s.trap_x64(frame, "KiPageFault", 0x3f_7d80);
    let record = ExceptionRecord::access_violation(ip, 1, 0);
    let (record_at, context_at) = s.exception_dispatch(&record, &context, &FILTER);
    let parameters = [0xffff_ffff_c000_0005, ip, record_at, context_at];
    s.bug_check_call(0x7e, parameters);
    s.dump.bug_check(0x1000_007e, parameters);
    s.dump.header.context = Some(context.bytes());
    s.end("null-write-7e")
}

/// The same instruction at DISPATCH_LEVEL.
pub(super) fn null_write_dispatch() -> Scenario {
    let mut s = loading_faulty();
    s.does(&[0x33, 0xc0]); // xor eax,eax
    let ip = s.faults_at(&[0xc7, 0x00, 0x34, 0x12, 0, 0]); // mov dword ptr [rax],1234h
    let frame =
        TrapFrameX64 { rcx: 0xffff_9c8b_e5a1_2e30, rdx: 2, r8: 0x1, rip: ip, error_code: 2, previous_irql: 2, ..Default::default() };
    s.trap_x64(frame, "KiPageFault", 0x3f_7d80);
    let parameters = [0, 2, 1, ip];
    let saved = [0xffff_9c8b_e5a1_2e30, 0, 0xffff_9c8b_e4f0_a000, 4, 0, 0, 0];
    // The page fault handler reports 0xA; KeBugCheck2 turns it into 0xD1 when the address lies in a driver.
    s.bug_check_dispatch(saved, 0xa, parameters);
    s.dump.bug_check(0xd1, parameters);
    s.end("null-write-d1")
}

/// A driver removes a list entry twice; the kernel's check stops it with `int 29h`, code 3.
pub(super) fn list_corruption() -> Scenario {
    let mut s = device_control(Arch::X64);
    let base = s.base("nt") + 0xd10_0000;
    s.driver("listbug.sys", base, 0x9000);
    s.call("listbug", "ListbugDeviceControl", 0x1010, 0x58);
    s.call("listbug", "ListbugRemove", 0x1100, 0x38);
    s.does(&[0xb9, 3, 0, 0, 0]); // mov ecx,3
    let ip = s.faults_at(&[0xcd, 0x29]); // int 29h
    let entry = 0xffff_9c8b_e61f_44d0;
    let frame = TrapFrameX64 { rax: entry + 0x20, rcx: 3, rdx: entry, r8: entry + 0x20, rip: ip, ..Default::default() };
    let trap_at = s.trap_x64(frame, "KiRaiseSecurityCheckFailure", 0x3f_7d00);
    s.call("nt", "KiFastFailDispatch", 0x3f_7e00, 0x1d8);
    let record = ExceptionRecord { code: 0xc000_0409, flags: 1, address: ip, information: vec![3], ..Default::default() };
    let record_at = s.sp + 0x138;
    s.put(record_at, &record.bytes64());
    let parameters = [3, trap_at, record_at, 0];
    s.bug_check_dispatch([entry, 0, 0, 0, 0, 0, 0], 0x139, parameters);
    s.dump.bug_check(0x139, parameters);
    // The entry: removed before, so that both links point to itself while its old neighbour still names it.
    let mut list = crate::Blob::new(0x40);
    list.u64(0, entry).u64(8, entry).u64(0x20, entry).u64(0x28, entry);
    s.dump.block(entry, &list.done());
    machine(&mut s, r"\Device\HarddiskVolume3\Tools\listtool.exe");
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("listbug.sys".into());
    s.truth.source = Some("listbug.c:58".into());
    s.end("list-corruption-139")
}

/// A driver was unloaded with a timer still queued; the timer's routine is no longer there.
pub(super) fn unloaded_driver() -> Scenario {
    let mut s = super::deferred_calls(Arch::X64);
    let start = s.base("nt") + 0xd40_0000;
    s.dump.unloaded_driver("dump_storport.sys", start - 0x2_0000, start - 0x1_0000);
    s.dump.unloaded_driver("gone.sys", start, start + 0x8000);
    s.dump.unloaded_driver("WdFilter.sys", start + 0x9000, start + 0x6_4000);
    let routine = start + 0x1480;
    s.call("nt", "KiProcessExpiredTimerList", 0x2a_6840, 0x88);
    // call rax: the deferred routine. The return address stays; there is no code to enter.
    let back = s.ip() + 2;
    s.does(&[0xff, 0xd0, 0x90, 0x48, 0x83, 0xc4, 0x68, 0xc3]);
    s.sp -= 8;
    s.put_pointer(s.sp, back);
    s.true_stack(back, "nt", "KiProcessExpiredTimerList");
    s.truth.stack.insert(0, crate::Frame { ip: routine, module: "gone".into(), symbol: String::new() });
    s.truth.function = None;
    let frame = TrapFrameX64 {
        rax: routine,
        rcx: 0xffff_9c8b_e6d0_3120,
        rdx: 0xffff_9c8b_e6d0_3000,
        rip: routine,
        fault_address: routine,
        error_code: 0x10,
        previous_irql: 2,
        ..Default::default()
    };
    s.trap_x64(frame, "KiPageFault", 0x3f_7d80);
    let parameters = [routine, 0x10, routine, 0];
    s.bug_check_dispatch([0xffff_9c8b_e6d0_3120, 0, 0, 0, 0, 0, 0], 0x50, parameters);
    s.dump.bug_check(0xce, parameters);
    machine(&mut s, NO_PROCESS);
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("gone.sys".into());
    s.truth.note = Some("gone.sys was unloaded with its timer still pending".into());
    s.end("unloaded-driver-ce")
}

/// A driver built for newer processors uses POPCNT; this processor lacks it.
pub(super) fn missing_instruction() -> Scenario {
    let mut s = system_worker(Arch::X64);
    let base = s.base("nt") + 0xd70_0000;
    s.driver("newdsp.sys", base, 0x42000);
    s.call("newdsp", "NewdspWorker", 0x1010, 0x48);
    s.call("newdsp", "NewdspCountChannels", 0x1200, 0x28);
    let ip = s.faults_at(&[0xf3, 0x48, 0x0f, 0xb8, 0xc1]); // popcnt rax,rcx
    let context = ContextX64 { flags: 0x10_001f, rip: ip, rsp: s.sp, rcx: 0xff, rbx: 0xffff_9c8b_e700_1010, ..Default::default() };
    s.trap_x64(TrapFrameX64 { rcx: 0xff, rip: ip, ..Default::default() }, "KiInvalidOpcodeFault", 0x3f_7d00);
    let record = ExceptionRecord { code: 0xc000_001d, address: ip, ..Default::default() };
    let (record_at, context_at) = s.exception_dispatch(&record, &context, &FILTER);
    let parameters = [0xffff_ffff_c000_001d, ip, record_at, context_at];
    s.bug_check_call(0x7e, parameters);
    s.dump.bug_check(0x1000_007e, parameters);
    s.dump.header.context = Some(context.bytes());
    let name = "Example Quad CPU    Q9000  @ 2.66GHz";
    let bios = crate::Smbios { cpu: name.into(), cpu_socket: "LGA775".into(), bios_date: "08/02/2012".into(), ..Default::default() };
    s.dump.secondary(bios.blob());
    let id = "Intel64 Family 6 Model 23 Stepping 10";
    s.dump.secondary(crate::cpu_registry(2667, name, "GenuineIntel", id, 0xa0c));
    let ecx = 0x0c08_e3bd; // Without POPCNT, bit 23, and SSE4.2, bit 20.
    s.dump.secondary(crate::CpuidBlob::intel(0x1067a, ecx, 0xbfeb_fbff, 0, name).blob());
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("newdsp.sys".into());
    s.truth.source = Some("newdsp.c:140".into());
    s.truth.note = Some("the driver needs POPCNT, which this processor lacks".into());
    s.end("missing-popcnt-7e")
}

/// Endless recursion in a driver runs through the kernel stack into its guard page: a double fault.
pub(super) fn stack_overflow() -> Scenario {
    let mut s = system_worker(Arch::X64);
    let base = s.base("nt") + 0xda0_0000;
    s.driver("recurse.sys", base, 0x6000);
    s.call("recurse", "RecurseWorker", 0x1010, 0x48);
    s.call("recurse", "RecurseWalk", 0x1100, 0x478);
    // The first call of RecurseWalk from itself; all later ones return to the same place.
    s.call("recurse", "RecurseWalk", 0x1100, 0x478);
    let ip = base + 0x1107;
    let limit = s.sp.div_ceil(0x1000) * 0x1000 - 0x4000;
    while s.sp >= limit {
        s.call_again(0x478);
    }
    // The frame now reaches into the guard page: the push of the next call cannot be done.
    let fault_sp = s.sp;
    s.true_stack(ip, "recurse", "RecurseWalk");
    let overflowed = s.stack_bytes(limit);
    s.switch_stack(0xffff_f806_1f27_f000);
    let frame = TrapFrameX64 { rcx: 0xffff_9c8b_e6f0_2000, rdx: 0x1b, rip: ip, ..Default::default() };
    let trap_at = s.sp - 0x190;
    s.trap_x64(frame, "KiDoubleFaultAbort", 0x3f_7d00);
    s.put_pointer(trap_at + 0x180, fault_sp);
    let parameters = [8, trap_at, fault_sp, ip];
    s.bug_check_dispatch([0; 7], 0x7f, parameters);
    s.dump.bug_check(0x7f, parameters);
    s.dump.block(limit, &overflowed);
    s.stack_limit = Some(limit);
    machine(&mut s, NO_PROCESS);
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("recurse.sys".into());
    s.truth.source = Some("recurse.c:21".into());
    s.end("stack-overflow-7f")
}

/// A corrupted function pointer leads into the driver's data section, which may not be executed.
pub(super) fn execute_data() -> Scenario {
    let mut s = device_control(Arch::X64);
    let base = s.base("nt") + 0xdd0_0000;
    s.driver("jumpdata.sys", base, 0xb000);
    s.call("jumpdata", "JumpdataDispatch", 0x1010, 0x58);
    s.call("jumpdata", "JumpdataNotify", 0x1100, 0x38);
    let target = base + 0x4080;
    let back = s.ip() + 2;
    s.does(&[0xff, 0xd0, 0x90, 0x48, 0x83, 0xc4, 0x38, 0xc3]); // call rax
    s.sp -= 8;
    s.put_pointer(s.sp, back);
    s.true_stack(back, "jumpdata", "JumpdataNotify");
    s.truth.stack.insert(0, crate::Frame { ip: target, module: "jumpdata".into(), symbol: String::new() });
    let frame = TrapFrameX64 {
        rax: target,
        rcx: 0xffff_9c8b_e5d2_1a30,
        rip: target,
        fault_address: target,
        error_code: 0x11,
        ..Default::default()
    };
    let trap_at = s.trap_x64(frame, "KiPageFault", 0x3f_7d80);
    let parameters = [target, 0x8a00_0001_2345_e863, trap_at, 0x8000_0005];
    s.call("nt", "MmAccessFault", 0x2a_6880, 0x1a8);
    s.bug_check_call(0xfc, parameters);
    s.dump.bug_check(0xfc, parameters);
    // The data page: a table of names, not code.
    let mut data = vec![0; 0x100];
    data[..32].copy_from_slice(b"JumpdataDeviceName\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    data[0x80..0x88].copy_from_slice(&(base + 0x4010).to_le_bytes());
    s.dump.block(base + 0x4000, &data);
    machine(&mut s, r"\Device\HarddiskVolume3\Tools\jumptool.exe");
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("jumpdata.sys".into());
    s.truth.source = Some("jumpdata.c:77".into());
    s.end("execute-data-fc")
}

/// A third-party filter crashes in a system call; the context is at parameter 3.
pub(super) fn system_service() -> Scenario {
    let mut s = device_control(Arch::X64);
    let base = s.base("nt") + 0xe00_0000;
    s.driver("thirdav.sys", base, 0x31000);
    s.call("thirdav", "ThirdavDispatch", 0x1010, 0x58);
    s.call("thirdav", "ThirdavScanName", 0x1100, 0x68);
    s.does(&[0x48, 0x8b, 0x51, 0x10]); // mov rdx,[rcx+10h]
    let ip = s.faults_at(&[0x0f, 0xb7, 0x42, 0x02]); // movzx eax,word ptr [rdx+2]
    let context = ContextX64 {
        rip: ip,
        rsp: s.sp,
        rcx: 0xffff_9c8b_e5d2_2a30,
        rdx: 0x18,
        rbx: 0xffff_9c8b_e5d2_2a00,
        rdi: 0x3a,
        r8: 2,
        ..Default::default()
    };
    let frame = TrapFrameX64 { rcx: context.rcx, rdx: context.rdx, r8: 2, rip: ip, fault_address: 0x1a, ..Default::default() };
    s.trap_x64(frame, "KiPageFault", 0x3f_7d80);
    let record = ExceptionRecord::access_violation(ip, 0, 0x1a);
    let (_, context_at) = s.exception_dispatch(&record, &context, &[("KiSystemServiceHandler", 0x3f_7a00, 0x38)]);
    let parameters = [0xc000_0005, ip, context_at, 0];
    s.bug_check_dispatch([0; 7], 0x3b, parameters);
    s.dump.bug_check(0x3b, parameters);
    // What rcx points to: the name pointer at +0x10 is already bad.
    let mut object = crate::Blob::new(0x40);
    object.u32(0, 0x76_0041).u64(8, 1).u64(0x10, 0x18).u64(0x18, 0xffff_9c8b_e5d2_2a48);
    s.dump.block(context.rcx, &object.done());
    machine(&mut s, r"\Device\HarddiskVolume3\Program Files\Thirdav\scan.exe");
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("thirdav.sys".into());
    s.truth.source = Some("scan.c:233".into());
    s.end("filter-3b")
}

/// 0x1E with nothing but a trap frame to start from.
pub(super) fn trap_frame_only() -> Scenario {
    let mut s = super::deferred_calls(Arch::X64);
    let base = s.base("nt") + 0xe30_0000;
    s.driver("wildptr.sys", base, 0xd000);
    s.call("nt", "KiExecuteAllDpcs", 0x2a_6840, 0x88);
    s.call("wildptr", "WildptrDpc", 0x1010, 0x48);
    s.does(&[0x48, 0x8b, 0x42, 0x08]); // mov rax,[rdx+8]
    let ip = s.faults_at(&[0x48, 0x89, 0x08]); // mov [rax],rcx
    let wild = 0xffff_a000_dead_0000;
    let frame = TrapFrameX64 {
        rax: wild,
        rcx: 0x41,
        rdx: 0xffff_9c8b_e5d2_3330,
        rip: ip,
        fault_address: wild,
        error_code: 2,
        previous_irql: 2,
        ..Default::default()
    };
    s.trap_x64(frame, "KiPageFault", 0x3f_7d80);
    s.call("nt", "KiExceptionDispatch", 0x3f_7e80, 0x1d8);
    s.call("nt", "KiDispatchException", 0x2a_6100, 0x248);
    let parameters = [0xffff_ffff_c000_0005, ip, 1, wild];
    s.bug_check_call(0x1e, parameters);
    s.dump.bug_check(0x1e, parameters);
    machine(&mut s, NO_PROCESS);
    s.truth.family = Some("driver".into());
    s.truth.subject = Some("wildptr.sys".into());
    s.truth.source = Some("wildptr.c:92".into());
    s.end("wild-write-1e")
}
