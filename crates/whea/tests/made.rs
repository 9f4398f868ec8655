//! Records made here, for the layouts that no real sample shows, and for damage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use bugcheck_whea::section::{arm, memory, pcie};
use bugcheck_whea::words::Severity;
use bugcheck_whea::{Body, Error, Guid, Item, Part, Record, fuzz, parse};
use proptest::prelude::*;

const KINDS: &[u128] = &[
    0x9876ccad_47b4_4bdb_b65e_16f193c4f3db,
    0xdc3ea0b0_a144_4797_b95b_53fa242b6e1d,
    0xe19e3d16_bc11_11e4_9caa_c2051d5d46b0,
    0xa5bc1114_6f64_4ede_b863_3e83ed7c83b1,
    0x61ec04fc_48e6_d813_25c9_8daa44750b12,
    PCIE,
    0xc5753963_3b84_4095_bf78_eddad3f9c9dd,
    0xeb5e4685_ca66_4769_b6a2_26068b001326,
    0x81212a96_09ed_4996_9471_8d729c8e69ed,
    0x8a1e1d01_42f9_4557_9c33_565e5cc3f7e8,
    0xe71254e7_c1b9_4940_ab76_909703a4320f,
    0xc34832a1_02c3_4c52_a9f1_9f1d5d7723fc,
    0xdd060800_f6e1_4204_ac27_c4bca9568402,
    0x85183a8b_9c41_429c_939c_5c3c087ca280,
    0,
];
const PCIE: u128 = 0xd995e954_bbc1_430f_ad91_b44dcb3c6f35;

fn guid_bytes(guid: u128) -> [u8; 16] {
    let mut bytes = guid.to_be_bytes();
    bytes[0..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

/// A fatal record with these sections.
fn record(sections: &[(u128, Vec<u8>)]) -> Vec<u8> {
    let bodies_at = 128 + 72 * sections.len();
    let total = bodies_at + sections.iter().map(|(_, b)| b.len()).sum::<usize>();
    let mut out = vec![0; bodies_at];
    out[0..4].copy_from_slice(b"CPER");
    out[4..6].copy_from_slice(&0x210u16.to_le_bytes());
    out[6..10].copy_from_slice(&[0xff; 4]);
    out[10..12].copy_from_slice(&u16::try_from(sections.len()).unwrap().to_le_bytes());
    out[12..16].copy_from_slice(&1u32.to_le_bytes());
    out[20..24].copy_from_slice(&u32::try_from(total).unwrap().to_le_bytes());
    for (i, (kind, body)) in sections.iter().enumerate() {
        let d = 128 + 72 * i;
        let offset = u32::try_from(out.len()).unwrap();
        out[d..d + 4].copy_from_slice(&offset.to_le_bytes());
        out[d + 4..d + 8].copy_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
        out[d + 16..d + 32].copy_from_slice(&guid_bytes(*kind));
        out[d + 48..d + 52].copy_from_slice(&1u32.to_le_bytes());
        out.extend_from_slice(body);
    }
    out
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Parses a record of one section without notes.
fn body(kind: u128, bytes: Vec<u8>) -> (Body, Record) {
    let parsed = Record::parse(&record(&[(kind, bytes)])).unwrap();
    assert_eq!(parsed.notes, []);
    (parsed.value.sections[0].body.clone(), parsed.value)
}

/// A graphics adapter at 0000:01:00.0 whose link lost a completion.
fn pcie_body(port: u32, class: u32) -> Vec<u8> {
    let mut b = vec![0; 208];
    put(&mut b, 0, &0b1100_1101u64.to_le_bytes()); // port, command/status, id, capability, AER
    put(&mut b, 8, &port.to_le_bytes());
    put(&mut b, 18, &0x4010u16.to_le_bytes()); // system error signalled
    put(&mut b, 24, &0x10deu16.to_le_bytes());
    put(&mut b, 26, &0x2484u16.to_le_bytes());
    put(&mut b, 28, &class.to_le_bytes()); // top byte: function 0
    b[32] = 0; // device
    b[35] = 1; // bus
    put(&mut b, 37, &(7u16 << 3).to_le_bytes()); // slot
    b[52] = 0x10; // PCI Express capability
    put(&mut b, 52 + 0x0a, &0b100u16.to_le_bytes()); // fatal error detected
    put(&mut b, 52 + 0x12, &0x1103u16.to_le_bytes()); // generation 3, 16 lanes
    put(&mut b, 112 + 0x04, &(1u32 << 14 | 1 << 20).to_le_bytes());
    put(&mut b, 112 + 0x0c, &(1u32 << 14).to_le_bytes());
    put(&mut b, 112 + 0x10, &(1u32 | 1 << 12).to_le_bytes());
    put(&mut b, 112 + 0x18, &14u32.to_le_bytes());
    put(&mut b, 112 + 0x1c, &0x0400_0001u32.to_le_bytes());
    b
}

#[test]
fn pcie_endpoint_bit_by_bit() {
    let (body, record) = body(PCIE, pcie_body(0, 0x0003_0000));
    let Body::Pcie(p) = body else { panic!() };
    let id = p.id.unwrap();
    assert_eq!((id.to_string().as_str(), id.vendor, id.device, id.slot), ("0000:01:00.0", 0x10de, 0x2484, 7));
    assert_eq!((p.port, id.class_name()), (Some(pcie::PortKind::Endpoint), Some("graphics adapter")));
    let link = p.link.unwrap();
    assert_eq!((link.generation, link.lanes), (3, 16));
    let aer = p.aer.as_ref().unwrap();
    assert_eq!(aer.uncorrectable_names(), ["completion timeout", "unsupported request"]);
    assert_eq!(aer.correctable_names(), ["receiver error", "replay timer timeout"]);
    assert_eq!(aer.first_error().as_deref(), Some("completion timeout"));
    let findings = record.findings();
    assert_eq!((findings[0].part, findings[0].severity), (Part::Gpu, Severity::Fatal));
    assert_eq!(
        findings[0].sentence,
        "The PCI Express endpoint 0000:01:00.0 (graphics adapter, vendor 10de, device 2484, slot 7) reported \
         completion timeout, unsupported request (fatal)."
    );
    let detail = |label| findings[0].details.iter().find(|(l, _)| *l == label).map(|(_, v)| v.as_str());
    assert_eq!(detail("of these fatal"), Some("completion timeout"));
}

#[test]
fn pcie_parts_by_class_and_port() {
    let part = |port, class| body(PCIE, pcie_body(port, class)).1.findings()[0].part;
    assert_eq!(part(0, 0x0001_0802), Part::Storage);
    assert_eq!(part(0, 0x0002_0000), Part::Bus);
    assert_eq!(part(4, 0x0006_0400), Part::Bus, "a port also reports for the device below it");
}

#[test]
fn memory_of_both_versions() {
    let mut one = vec![0; 80];
    put(&mut one, 0, &(1u64 << 1 | 1 << 5 | 1 << 8 | 1 << 14 | 1 << 15 | 1 << 17 | 1 << 18).to_le_bytes());
    put(&mut one, 16, &0x1_2345_6000u64.to_le_bytes());
    put(&mut one, 36, &2u16.to_le_bytes());
    put(&mut one, 42, &0x1234u16.to_le_bytes());
    one[72] = 3;
    one[73] = 0b10; // row bits 16 and 17
    put(&mut one, 74, &1u16.to_le_bytes());
    put(&mut one, 78, &0x44u16.to_le_bytes());
    let (Body::Memory(m), record) = body(KINDS[3], one) else { panic!() };
    assert_eq!((m.version, m.address, m.module), (1, Some(0x1_2345_6000), Some(2)));
    assert_eq!((m.row, m.rank, m.module_handle), (Some(0x2_1234), Some(1), Some(0x44)));
    assert_eq!(m.kind, Some(memory::ErrorKind::MultiBit));
    assert_eq!(record.findings()[0].part, Part::Memory);

    let mut two = vec![0; 96];
    put(&mut two, 0, &(1u64 << 5 | 1 << 8 | 1 << 13 | 1 << 19).to_le_bytes());
    put(&mut two, 36, &2u16.to_le_bytes());
    put(&mut two, 44, &0x2_1234u32.to_le_bytes());
    two[61] = 14;
    put(&mut two, 92, &0x44u32.to_le_bytes());
    let (Body::Memory(m), _) = body(KINDS[4], two) else { panic!() };
    assert_eq!((m.version, m.module, m.row, m.module_handle), (2, Some(2), Some(0x2_1234), Some(0x44)));
    assert_eq!(m.kind, Some(memory::ErrorKind::ScrubUncorrected));
}

#[test]
fn arm_cache_error_of_either_numbering() {
    let section = |code: u8| {
        let mut b = vec![0; 40 + 32];
        put(&mut b, 0, &1u32.to_le_bytes());
        put(&mut b, 4, &1u16.to_le_bytes());
        put(&mut b, 16, &0x8000_0001u64.to_le_bytes());
        b[44] = code;
        put(&mut b, 42, &0b1_0100u16.to_le_bytes()); // information and physical address
        let info = 0b111u64 | 1 << 16 | 3 << 18 | 2 << 22; // data, data read, level 2
        put(&mut b, 48, &info.to_le_bytes());
        put(&mut b, 64, &0xdead_0000u64.to_le_bytes());
        b
    };
    let (Body::ArmProcessor(p), record) = body(KINDS[2], section(0)) else { panic!() };
    let error = &p.errors[0];
    assert_eq!((p.mpidr, error.kind, error.level), (Some(0x8000_0001), arm::ErrorKind::Cache, Some(2)));
    assert_eq!((error.physical_address, error.virtual_address), (Some(0xdead_0000), None));
    assert_eq!(record.findings()[0].part, Part::Cpu);
    let (Body::ArmProcessor(p), _) = body(KINDS[2], section(2)) else { panic!() };
    assert_eq!(p.errors[0].kind, arm::ErrorKind::CacheOrBus);
}

/// Version 4 and 5 keep further banks, at places that depend on the version.
#[test]
fn further_machine_check_banks() {
    for (version, room) in [(4u32, 32usize), (5, 64)] {
        let mut b = vec![0; 296 + room * 28];
        put(&mut b, 0, &version.to_le_bytes());
        put(&mut b, 4, &1u32.to_le_bytes());
        put(&mut b, 36, &5u32.to_le_bytes());
        put(&mut b, 40, &0xb200_0000_0007_0005u64.to_le_bytes());
        put(&mut b, 292, &2u32.to_le_bytes());
        put(&mut b, 296, &5u32.to_le_bytes()); // the same bank again
        put(&mut b, 300, &9u32.to_le_bytes());
        let status = 296 + room * 4;
        put(&mut b, status, &0xb200_0000_0007_0005u64.to_le_bytes());
        put(&mut b, status + 8, &0xbe00_0000_0000_0091u64.to_le_bytes());
        put(&mut b, status + room * 8 + 8, &0x1000u64.to_le_bytes());
        let (Body::MachineCheck(m), record) = body(KINDS[9], b) else { panic!() };
        assert_eq!(m.more_banks.len(), 1, "version {version}");
        assert_eq!(m.more_banks[0].registers.bank, Some(9));
        assert_eq!(m.more_banks[0].address(), Some(0x1000));
        let parts: Vec<Part> = record.findings().iter().map(|f| f.part).collect();
        assert_eq!(parts, [Part::Cpu, Part::Memory]);
    }
}

#[test]
fn the_finest_section_speaks() {
    let mut generic = vec![0; 192];
    put(&mut generic, 0, &(1u64 << 2).to_le_bytes());
    generic[10] = 1;
    let alone = Record::parse(&record(&[(KINDS[0], generic.clone())])).unwrap().value;
    assert_eq!(alone.findings()[0].sentence, "The processor reported a cache error (fatal).");
    let mut check = vec![0; 264];
    put(&mut check, 0, &1u32.to_le_bytes());
    put(&mut check, 40, &0xb200_0000_0000_0135u64.to_le_bytes());
    let both = Record::parse(&record(&[(KINDS[0], generic), (KINDS[9], check)])).unwrap().value;
    assert_eq!(both.findings().len(), 1);
    assert!(both.findings()[0].sentence.contains("level 1 data cache"));
}

#[test]
fn not_a_record() {
    assert!(matches!(parse(b"MZ\x90\0rest"), Err(Error::WrongSignature { .. })));
    assert!(matches!(parse(b"CPER"), Err(Error::TooShort { need: 128, .. })));
    assert!(matches!(parse(b"WhLg"), Err(Error::TooShort { need: 32, .. })));
    assert!(matches!(parse(b""), Err(Error::TooShort { have: 0, .. })));
}

#[test]
fn damage_is_noted() {
    let good = record(&[(PCIE, pcie_body(0, 0))]);
    let notes = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let parsed = Record::parse(&bytes).unwrap();
        parsed.notes.into_iter().map(|n| n.text).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(notes(&|_| ()), "");
    assert!(notes(&|b| b[6] = 0).contains("signature's end"));
    assert!(notes(&|b| b.truncate(250)).contains("only 250 are here"));
    assert!(notes(&|b| b.truncate(250)).contains("\"PCI Express error\" claims 208 bytes"));
    assert!(notes(&|b| b.push(0)).contains("1 bytes after the record"));
    assert!(notes(&|b| put(b, 10, &[0xff, 0xff])).contains("only 256 are read"));
    assert!(notes(&|b| put(b, 10, &[9, 0])).contains("ends before descriptor"));
    assert!(notes(&|b| put(b, 20, &[0; 4])).contains("less than its header"));
    assert!(notes(&|b| put(b, 132, &[10, 0])).contains("too short for its layout"));
    assert!(notes(&|b| b[16] = 2).contains("is no time"));
    assert!(notes(&|b| put(b, 128, &[0xff; 4])).contains("of which 0 were read"));
}

#[test]
fn a_time_in_the_specification_s_own_form() {
    let mut bytes = record(&[]);
    bytes[16] = 2;
    put(&mut bytes, 24, &[0x59, 0x34, 0x23, 1, 0x31, 0x12, 0x25, 0x20]);
    let t = Record::parse(&bytes).unwrap().value.header.timestamp.unwrap();
    assert_eq!(t.to_string(), "2025-12-31 23:34:59");
    assert!(t.precise && !t.binary);
}

#[test]
fn guid_helper_is_right() {
    assert_eq!(Guid::from_bytes(guid_bytes(PCIE)), Guid(PCIE));
}

fn sane(bytes: &[u8]) {
    for finding in fuzz::everything(bytes) {
        assert!((0.0..=1.0).contains(&finding.confidence), "{finding:?}");
        assert!(!finding.sentence.is_empty() && !finding.why.is_empty());
    }
    if let Ok(parsed) = parse(bytes)
        && let Item::Record(record) = parsed.value
    {
        assert!(!record.findings().is_empty());
    }
}

fn any_record() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(0u8), 1 => Just(0xffu8)], 0..400);
    // A version number or a small count in front lets more bodies through.
    let body = (0u8..6, body).prop_map(|(first, mut body)| {
        if let [a, b, c, d, ..] = body.as_mut_slice() {
            (*a, *b, *c, *d) = (first, 0, 0, 0);
        }
        body
    });
    let section = (prop::sample::select(KINDS), body);
    prop::collection::vec(section, 0..6).prop_map(|sections| record(&sections))
}

proptest! {
    #[test]
    fn never_panics_on_arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        sane(&bytes);
    }

    #[test]
    fn never_panics_behind_a_signature(tail in prop::collection::vec(any::<u8>(), 0..600), event: bool) {
        let mut bytes = if event { b"WhLg".to_vec() } else { b"CPER".to_vec() };
        bytes.extend(tail);
        sane(&bytes);
    }

    #[test]
    fn never_panics_on_records(bytes in any_record()) {
        sane(&bytes);
    }

    #[test]
    fn never_panics_on_mutated_records(
        bytes in any_record(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = bytes;
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        sane(&bytes);
        sane(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn every_status_has_a_meaning(status: u64, ipid: Option<u64>, vendor in 0u64..4) {
        use bugcheck_whea::mca::{Bank, CpuVendor, Registers};
        let registers = Registers { ipid, ..Registers::new(None, status, 0, 0) };
        let finding = Bank::decode(CpuVendor::from_code(vendor), None, registers).finding();
        prop_assert!((0.0..=1.0).contains(&finding.confidence));
        prop_assert!(finding.sentence.ends_with('.'));
    }
}
