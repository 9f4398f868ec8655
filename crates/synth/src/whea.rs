//! A hardware error record as 0x124 points to: CPER header, section descriptors, sections (UEFI specification,
//! appendix N; Microsoft's machine check section from `whea.h`). No real record was at hand to compare with.

use crate::{Blob, Guid};

/// One section of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CperSection {
    pub kind: Guid,
    /// 0 recoverable, 1 fatal, 2 corrected, 3 informational.
    pub severity: u32,
    pub body: Vec<u8>,
}

impl CperSection {
    /// Processor generic: type x86/x64, error kind bits (1 cache, 2 TLB, 4 bus, 8 micro-architecture).
    pub fn processor_generic(error_type: u8, level: u8, processor_id: u64) -> Self {
        let mut b = Blob::new(0xc0);
        // Valid: type, set, error type, level, processor id.
        b.u64(0, 0x1 | 0x2 | 0x4 | 0x20 | 0x100).u8(8, 0).u8(9, 2).u8(0xa, error_type).u8(0xd, level);
        b.u64(0x98, processor_id);
        let kind = Guid(0x9876ccad, 0x47b4, 0x4bdb, [0xb6, 0x5e, 0x16, 0xf1, 0x93, 0xc4, 0xf3, 0xdb]);
        CperSection { kind, severity: 1, body: b.done() }
    }

    /// IA32/X64 processor: local APIC id and CPUID leaf 1, no error structures.
    pub fn x64_processor(apic_id: u64, leaf1: [u32; 4]) -> Self {
        let mut b = Blob::new(0x40);
        // Valid: APIC id, CPUID.
        b.u64(0, 3).u64(8, apic_id);
        for (i, register) in leaf1.into_iter().enumerate() {
            b.u64(0x10 + 8 * i, register.into());
        }
        let kind = Guid(0xdc3ea0b0, 0xa144, 0x4797, [0xb9, 0x5b, 0x53, 0xfa, 0x24, 0x2b, 0x6e, 0x1d]);
        CperSection { kind, severity: 1, body: b.done() }
    }
}

/// MCi_STATUS with VAL, UC, EN, PCC set and the given machine check code; MISCV and ADDRV as asked.
pub fn mci_status(code: u16, model_code: u16, address_valid: bool, misc_valid: bool) -> u64 {
    let mut v = 1 << 63 | 1 << 61 | 1 << 60 | 1 << 57 | u64::from(model_code) << 16 | u64::from(code);
    if misc_valid {
        v |= 1 << 59;
    }
    if address_valid {
        v |= 1 << 58;
    }
    v
}

/// WHEA_XPF_MCA_SECTION, version 2, 0x118 bytes; `vendor` is 1 (Intel) or 2 (AMD). The structure is packed, as all of a CPER are.
pub fn xpf_mca_section(vendor: u32, processor: u32, bank: u32, status: u64, address: u64, misc: u64) -> CperSection {
    let mut b = Blob::new(0x118);
    b.u32(0, 2).u32(4, vendor).u32(0x10, processor).u64(0x14, 4);
    b.u32(0x24, bank).u64(0x28, status).u64(0x30, address).u64(0x38, misc).u32(0x44, processor * 2);
    let kind = Guid(0x8a1e1d01, 0x42f9, 0x4557, [0x9c, 0x33, 0x56, 0x5e, 0x5c, 0xc3, 0xf7, 0xe8]);
    CperSection { kind, severity: 1, body: b.done() }
}

/// A fatal machine check record with these sections; `time` is the packed BCD timestamp.
pub fn cper_record(sections: &[CperSection], record_id: u64, time: u64) -> Vec<u8> {
    let creator = Guid(0xcf07c4bd, 0xb789, 0x4e18, [0xb3, 0xc4, 0x1f, 0x73, 0x2c, 0xb5, 0x71, 0x31]);
    let notify = Guid(0xe8f56ffe, 0x919c, 0x4cc5, [0xba, 0x88, 0x65, 0xab, 0xe1, 0x49, 0x13, 0xbb]);
    let mut b = Blob::new(0x80 + 72 * sections.len());
    b.bytes(0, b"CPER").u16(4, 0x210).u32(6, 0xffff_ffff).u16(0xa, u16::try_from(sections.len()).unwrap());
    b.u32(0xc, 1).u32(0x10, 2).u64(0x18, time).bytes(0x40, &creator.bytes()).bytes(0x50, &notify.bytes());
    b.u64(0x60, record_id);
    for (i, s) in sections.iter().enumerate() {
        let (at, body_at) = (0x80 + 72 * i, b.len());
        b.u32(at, u32::try_from(body_at).unwrap()).u32(at + 4, u32::try_from(s.body.len()).unwrap());
        b.u16(at + 8, 0x300).u32(at + 0xc, u32::from(i == 0)).bytes(at + 0x10, &s.kind.bytes());
        b.u32(at + 0x30, s.severity).bytes(body_at, &s.body);
    }
    let length = u32::try_from(b.len()).unwrap();
    b.u32(0x14, length);
    b.done()
}
