//! Real records and events, read whole. Expected values were read by hand from the bytes.
//!
//! The files are not part of the repository: `BUGCHECK_SHARED` names the folder that has them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use bugcheck_whea::mca::{Code, CpuModel, CpuVendor, VendorBits, amd, intel};
use bugcheck_whea::section::memory;
use bugcheck_whea::words::{Participation, Request, Severity, Target, Transaction};
use bugcheck_whea::{Body, Event, EventKind, Guid, Part, Record};

fn bytes(name: &str) -> Option<Vec<u8>> {
    let path = bugcheck_testdata::shared_path(&format!("data/evidence/whea/records/{name}"))?;
    Some(std::fs::read(path).unwrap())
}

/// Reads a record that is whole: no note at all.
fn record(name: &str) -> Option<Record> {
    let parsed = Record::parse(&bytes(name)?).unwrap();
    assert_eq!(parsed.notes, [], "{name}");
    Some(parsed.value)
}

fn kinds(record: &Record) -> Vec<&'static str> {
    let name = |s: &bugcheck_whea::Section| s.descriptor.kind_name().unwrap_or("unnamed");
    record.sections.iter().map(name).collect()
}

fn machine_check(record: &Record) -> &bugcheck_whea::section::machine_check::MachineCheck {
    let body = |s: &'_ bugcheck_whea::Section| matches!(s.body, Body::MachineCheck(_));
    let section = record.sections.iter().find(|s| body(s)).unwrap();
    let Body::MachineCheck(check) = &section.body else { unreachable!() };
    check
}

#[test]
fn memory_1() {
    let Some(r) = record("ErrorMemory1.bin") else {
        return;
    };
    assert_eq!(r.header.severity, Severity::Corrected);
    assert_eq!(r.header.revision, 0x210);
    assert_eq!(r.header.timestamp.unwrap().to_string(), "2025-09-03 10:34:15");
    assert_eq!(r.header.creator_name(), Some("Windows"));
    assert_eq!(r.header.notify_name(), Some("generic error source"));
    assert_eq!(kinds(&r), ["memory error"]);
    let section = &r.sections[0];
    assert_eq!((section.descriptor.offset, section.descriptor.length), (200, 77));
    assert_eq!(section.descriptor.fru_text.as_deref(), Some("Slot 0="));
    let Body::Memory(m) = &section.body else { panic!() };
    // Valid bits 0x4019: status, node, card, error type.
    assert_eq!(m.status, Some(memory::ErrorStatus(0x400)));
    assert_eq!(m.status.unwrap().kind(), memory::StatusKind::Memory);
    assert_eq!(m.kind, Some(memory::ErrorKind::SingleBit));
    assert_eq!((m.node, m.card, m.module, m.device), (Some(0), Some(0), None, None));
    let findings = r.findings();
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].part, findings[0].severity), (Part::Memory, Severity::Corrected));
    assert!(findings[0].sentence.contains("single-bit ECC error in \"Slot 0=\""));
}

#[test]
fn memory_2() {
    let Some(r) = record("ErrorMemory2.bin") else {
        return;
    };
    assert_eq!(kinds(&r), ["memory error", "memory error"]);
    assert_eq!(r.header.timestamp.unwrap().to_string(), "2025-09-04 09:51:55");
    assert_eq!(r.sections[1].descriptor.offset, 0x15d);
    // Two sections that say the same make one finding.
    assert_eq!(r.findings().len(), 1);
}

#[test]
fn amd_fabric_link() {
    let Some(r) = record("ErrorMultiple2.bin") else {
        return;
    };
    assert_eq!(kinds(&r), ["generic processor error", "x86/x64 processor error", "machine check"]);
    assert_eq!(r.header.notify_name(), Some("corrected machine check interrupt"));
    let m = machine_check(&r);
    assert_eq!((m.version, m.vendor, m.processor, m.apic_id), (2, CpuVendor::Amd, 0, Some(0)));
    // 00A20F10: extended family 0xa, model 0x21.
    let zen3 = CpuModel { family: 0x19, model: 0x21, stepping: 0 };
    assert_eq!(m.bank.model, Some(zen3));
    assert_eq!(m.bank.registers.bank, Some(27));
    assert_eq!(m.bank.registers.status, 0x9820_0000_0002_080b);
    assert_eq!(m.bank.registers.misc, 0xd01a_0ffe_0000_0000);
    assert_eq!(m.bank.registers.ipid, Some(0x0001_002e_0000_0500));
    assert_eq!(m.bank.registers.syndrome, Some(0x5a02_0001));
    let VendorBits::Amd(b) = &m.bank.vendor_bits else { panic!() };
    assert_eq!((b.scalable, b.extended_code, b.unit.unwrap().short), (Some(true), 2, "PIE"));
    assert!(b.syndrome_valid && !b.deferred && !b.poison);
    // Windows' own reading of the same error, in the x86 section, must be ours.
    let Body::X86Processor(x86) = &r.sections[1].body else { panic!() };
    let check = &x86.checks[0];
    assert_eq!(check.raw, Some(0x4_00c0_079e));
    assert_eq!(
        m.bank.code,
        Code::Bus {
            participation: check.participation.unwrap(),
            timeout: check.timeout.unwrap(),
            request: check.request.unwrap(),
            target: check.target.unwrap(),
            level: check.level.unwrap(),
        }
    );
    assert_eq!(check.participation, Some(Participation::Requester));
    assert_eq!(check.target, Some(Target::Io));
    let findings = r.findings();
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].part, findings[0].severity), (Part::Cpu, Severity::Corrected));
    assert!(findings[0].sentence.contains("a link error in the data fabric"));
}

/// FILETIME is UTC. The header's time equals it, so Windows writes UTC, in binary.
#[test]
fn header_time_is_utc() {
    for (name, seconds_of_day) in [
        ("ErrorMultiple2.bin", (9 * 60 + 55) * 60 + 33),
        ("ErrorMultiple3.bin", (23 * 60 + 19) * 60 + 28),
        ("ErrorMultiple4.bin", (2 * 60 + 1) * 60 + 34),
    ] {
        let Some(r) = record(name) else { return };
        let t = r.header.timestamp.unwrap();
        let from_header = (u64::from(t.hour) * 60 + u64::from(t.minute)) * 60 + u64::from(t.second);
        assert!(t.binary);
        assert_eq!(from_header, seconds_of_day);
        assert_eq!(machine_check(&r).filetime / 10_000_000 % 86_400, seconds_of_day);
    }
}

#[test]
fn amd_micro_op_cache() {
    let Some(r) = record("ErrorMultiple3.bin") else {
        return;
    };
    assert_eq!(kinds(&r), ["generic processor error", "x86/x64 processor error", "machine check", "recovery information"]);
    let m = machine_check(&r);
    assert_eq!((m.version, m.processor, m.apic_id, m.recovered), (4, 13, Some(13), None));
    assert_eq!(m.bank.registers.bank, Some(3));
    assert_eq!(m.bank.registers.status, 0x9820_0000_0001_0150);
    assert_eq!(m.bank.registers.ipid, Some(0x0003_00b0_200c_9700));
    let model = m.bank.model.unwrap();
    assert_eq!((model.family, model.model, model.stepping), (0x19, 0x61, 2));
    let instruction_fetch = Code::Cache { request: Request::InstructionFetch, transaction: Transaction::Instruction, level: 0 };
    assert_eq!(m.bank.code, instruction_fetch);
    assert_eq!(amd::unit(m.bank.registers.ipid.unwrap()).unwrap().short, "DE");
    let Body::X86Processor(x86) = &r.sections[1].body else { panic!() };
    assert_eq!((x86.check_count, x86.context_count, x86.contexts.len()), (1, 1, 1));
    assert_eq!(x86.checks[0].request, Some(Request::InstructionFetch));
    assert_eq!(x86.checks[0].transaction, Some(Transaction::Instruction));
    assert_eq!(x86.model(), m.bank.model);
    let Body::Recovery(recovery) = &r.sections[3].body else { panic!() };
    assert_eq!(recovery.action_names(), ["none attempted"]);
    assert_eq!((recovery.irql, recovery.succeeded), (0xff, false));
    let findings = r.findings();
    assert_eq!((findings.len(), findings[0].part), (1, Part::Cpu));
    assert!(findings[0].sentence.contains("micro-op cache data parity error in the decode unit"));
}

/// The primary section is of the memory kind but empty; the machine check tells what it was.
#[test]
fn intel_instruction_cache_behind_an_empty_memory_section() {
    let Some(r) = record("ErrorMultiple4.bin") else {
        return;
    };
    assert_eq!(
        kinds(&r),
        ["memory error", "generic processor error", "machine check", "recovery information", "memory error, Intel extension"]
    );
    assert_eq!(r.header.flag_names(), ["bad page number kept"]);
    let Body::Memory(memory) = &r.sections[0].body else { panic!() };
    assert!(!memory.says_something());
    let m = machine_check(&r);
    assert_eq!((m.version, m.vendor, m.processor), (4, CpuVendor::Intel, 3));
    let model = m.bank.model.unwrap();
    assert_eq!((model.family, model.model, model.stepping), (6, 0xa5, 5));
    assert_eq!(m.bank.registers.bank, Some(0));
    assert_eq!(m.bank.registers.status, 0x9400_0040_0004_0150);
    assert_eq!(m.bank.address(), Some(0x0001_f807_b7ef_8a18));
    let VendorBits::Intel(b) = &m.bank.vendor_bits else { panic!() };
    assert_eq!((b.model_code, b.corrected_count, b.recovery), (4, Some(1), None::<intel::Recovery>));
    let findings = r.findings();
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].part, findings[0].severity), (Part::Cpu, Severity::Corrected));
    assert!(findings[0].sentence.contains("level 0 instruction cache during an instruction fetch"));
}

#[test]
fn crash_log_of_the_previous_boot() {
    let Some(r) = record("ErrorFirmware1.bin") else {
        return;
    };
    assert_eq!(r.header.severity, Severity::Fatal);
    assert_eq!(r.header.timestamp.unwrap().to_string(), "2025-01-08 23:24:15");
    assert_eq!(r.header.notify_name(), Some("error of the previous boot"));
    assert_eq!(r.header.flag_names(), ["from a previous session"]);
    assert_eq!(kinds(&r), ["firmware error record"; 3]);
    let sizes: Vec<usize> = r
        .sections
        .iter()
        .map(|s| {
            let Body::Firmware(f) = &s.body else { panic!() };
            assert!(f.is_crash_log());
            assert_eq!((f.kind.code(), f.revision, f.record_id), (2, 2, 0));
            f.data.len()
        })
        .collect();
    assert_eq!(sizes, [0xa20 - 32, 0x220 - 32, 0x48 - 32]);
    assert!(r.findings().iter().all(|f| f.part == Part::Unknown && f.confidence < 0.3));
}

#[test]
fn a_storage_driver_reports_its_disk() {
    let Some(r) = record("ErrorUnsupportedSection1.bin") else {
        return;
    };
    assert_eq!(r.header.severity, Severity::Fatal);
    assert_eq!(r.header.platform, Some(Guid(0x83c1603c_1552_48a7_87d1_14d9467d7765)));
    assert_eq!(r.header.notify_name(), Some("device driver"));
    assert!(r.from_device_driver());
    assert!(r.sections[0].descriptor.kind.is_zero());
    let Body::StorPort(s) = &r.sections[0].body else { panic!() };
    assert_eq!((s.miniport.as_str(), s.vendor.as_str(), s.product.as_str()), ("stornvme", "NVMe", "KINGSTON SFYRD20"));
    assert_eq!(s.id, Guid(0x1f282e46_903f_11ee_b577_806e6f6e6963));
    let findings = r.findings();
    assert_eq!((findings.len(), findings[0].part, findings[0].severity), (1, Part::Storage, Severity::Fatal));
}

#[test]
fn an_unknown_section_of_firmware() {
    let Some(r) = record("ErrorUnsupportedSection2.bin") else {
        return;
    };
    assert_eq!((r.header.revision, r.header.severity), (0x101, Severity::Informational));
    assert_eq!(r.header.timestamp, None, "only the platform is marked valid");
    assert_eq!(r.sections[0].descriptor.kind, Guid(0x93a41c2f_a09f_e7c2_ac1f_f2488f03eec3));
    let Body::Opaque(o) = &r.sections[0].body else { panic!() };
    assert_eq!((o.name, o.data.len()), (None, 116));
    assert_eq!(r.findings()[0].part, Part::Unknown);
}

/// Every event sample: name, who logged it, payload length.
#[test]
fn events() {
    let expected = [
        ("EventAddRemoveErrorSource.bin", 0x8000_000c, "AddRemoveErrorSource", "KRNL", 977),
        ("EventCmciRestart.bin", 0x8000_001b, "CmciRestart", "HAL", 16),
        ("EventEDpcEnabled.bin", 0x8000_0031, "eDpcEnabled", "PCI", 2),
        ("EventGenericErrMemMap.bin", 0x8000_0021, "GenericErrMemMap", "KRNL", 48),
        ("EventProcessEINJ.bin", 0x8000_0013, "ProcessEINJ", "PSHD", 73),
        ("EventProcessHEST.bin", 0x8000_0014, "ProcessHEST", "PSHD", 101),
        ("EventWheaInit1.bin", 0x8000_0002, "WheaInit", "KRNL", 5360),
    ];
    for (file, id, name, owner, payload) in expected {
        let Some(bytes) = bytes(file) else { return };
        let parsed = Event::parse(&bytes).unwrap();
        let event = parsed.value;
        assert_eq!(parsed.notes, [], "{file}");
        assert_eq!((event.id, event.name(), event.owner.as_str()), (id, Some(name), owner));
        assert_eq!((event.kind, event.version), (EventKind::Informational, 1));
        assert_eq!(event.payload.len(), payload);
        assert_eq!(event.flag_names(), ["log to event tracing"]);
    }
}

/// Cutting a real record anywhere gives notes or an error, and the rest stays readable.
#[test]
fn every_cut_of_a_real_record() {
    let Some(whole) = bytes("ErrorMultiple3.bin") else {
        return;
    };
    for end in 0..whole.len() {
        match Record::parse(&whole[..end]) {
            Ok(parsed) => {
                assert!(!parsed.notes.is_empty(), "cut at {end}");
                assert!(!parsed.value.findings().is_empty());
            }
            Err(_) => assert!(end < 128),
        }
    }
    // The arrays of further banks may be gone; the first bank still tells the story.
    let cut = Record::parse(&whole[..0x500]).unwrap().value;
    assert_eq!(machine_check(&cut).bank.registers.bank, Some(3));
}
