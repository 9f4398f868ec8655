//! Secondary data: tagged blobs after the end of a small dump (at TRIAGE_DUMP64.SizeOfDump).
//!
//! The area starts with `DumpBlob`, u32 16, u32 `0xf0000000 | build`; each blob is u32 0x20, GUID, u32 size,
//! u32 padding before, u32 padding after. Compared with the areas of real 9600, 19041, 22000 and 26100 dumps; the
//! meaning of the tags and the shape of the SMBIOS, CPUID and registry blobs were read off real dumps (none is
//! documented).

use crate::Blob;
use crate::blob::{align, utf16};

/// A GUID in the usual text order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guid(pub u32, pub u16, pub u16, pub [u8; 8]);

impl Guid {
    /// The 16 bytes as stored: the first three numbers little-endian.
    pub fn bytes(self) -> [u8; 16] {
        let mut b = Blob::new(16);
        b.u32(0, self.0).u16(4, self.1).u16(6, self.2).bytes(8, &self.3);
        b.done().try_into().unwrap()
    }
}

/// Tags seen in real dumps.
pub mod tags {
    use super::Guid;
    /// Raw SMBIOS table.
    pub const SMBIOS: Guid = Guid(0xbc5c008f, 0x1e3a, 0x44d7, [0x98, 0x8d, 0x86, 0xf6, 0x88, 0x4c, 0x67, 0x58]);
    /// The values of `HARDWARE\DESCRIPTION\System\CentralProcessor\0`.
    pub const CPU_REGISTRY: Guid = Guid(0x6c7ac389, 0x4313, 0x47dc, [0x9f, 0x34, 0xa8, 0x80, 0x0a, 0x0f, 0xb5, 0x6c]);
    /// CPUID leaves and model-specific registers.
    pub const CPUID: Guid = Guid(0xd03dc06f, 0xd88e, 0x44c5, [0xba, 0x2a, 0xfa, 0xe0, 0x35, 0x17, 0x2d, 0x19]);
    /// Path of the current process' image.
    pub const PROCESS_PATH: Guid = Guid(0xbe84d651, 0xa550, 0x4367, [0x8e, 0x63, 0xab, 0x79, 0x2b, 0x63, 0x1f, 0x94]);
    /// UTF-16 name of the driver Windows blames.
    pub const BUGCHECK_DRIVER: Guid = Guid(0xfe96ddbf, 0x850d, 0x4c4a, [0xa7, 0xbf, 0xc6, 0x86, 0xbe, 0x52, 0x60, 0x47]);
    /// Device instance a plug and play operation is busy with.
    pub const BLACKBOX_PNP: Guid = Guid(0xb7631941, 0x532a, 0x4cd6, [0xb1, 0xb1, 0xed, 0xb5, 0x91, 0x7d, 0x45, 0x57]);
}

/// One blob.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SecondaryBlob {
    pub tag: Guid,
    pub data: Vec<u8>,
    pub pre_pad: u32,
    pub post_pad: u32,
}

impl SecondaryBlob {
    /// Padded to a multiple of 8 like real ones.
    pub fn new(tag: Guid, data: Vec<u8>) -> Self {
        let post_pad = u32::try_from(align(data.len(), 8) - data.len()).unwrap();
        SecondaryBlob { tag, data, pre_pad: 0, post_pad }
    }
}

/// The whole area.
pub(crate) fn area(build: u32, blobs: &[SecondaryBlob]) -> Vec<u8> {
    let mut out = Blob::new(0);
    out.bytes(0, b"DumpBlob").u32(8, 16).u32(12, 0xf000_0000 | build);
    for blob in blobs {
        let at = out.len();
        out.u32(at, 0x20).bytes(at + 4, &blob.tag.bytes());
        out.u32(at + 0x14, u32::try_from(blob.data.len()).unwrap());
        out.u32(at + 0x18, blob.pre_pad).u32(at + 0x1c, blob.post_pad);
        out.bytes(out.len(), &vec![0; blob.pre_pad as usize]);
        out.bytes(out.len(), &blob.data);
        out.bytes(out.len(), &vec![0; blob.post_pad as usize]);
    }
    out.done()
}

/// A small SMBIOS table: BIOS, system, board, processor and memory modules (DMTF DSP0134 types 0, 1, 2, 4, 17).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Smbios {
    pub bios_vendor: String,
    pub bios_version: String,
    /// `MM/DD/YYYY`.
    pub bios_date: String,
    pub manufacturer: String,
    pub product: String,
    pub serial: String,
    pub board: String,
    pub cpu: String,
    pub cpu_socket: String,
    /// {locator, part number, megabytes, MT/s, configured MT/s}
    pub memory: Vec<(String, String, u16, u16, u16)>,
}

impl Default for Smbios {
    fn default() -> Self {
        Smbios {
            bios_vendor: "Example Firmware".into(),
            bios_version: "F.12".into(),
            bios_date: "05/17/2021".into(),
            manufacturer: "Example Computers".into(),
            product: "Workstation 9".into(),
            serial: "SN-0000001".into(),
            board: "EX-B550".into(),
            cpu: "Example CPU 8-Core @ 3.60GHz".into(),
            cpu_socket: "AM4".into(),
            memory: vec![
                ("DIMM_A1".into(), "EXM-16G-3600".into(), 16384, 3200, 3600),
                ("DIMM_B1".into(), "EXM-16G-3600".into(), 16384, 3200, 3600),
            ],
        }
    }
}

impl Smbios {
    /// The blob: RawSMBIOSData {calling method, major, minor, revision, u32 length} and the structures.
    pub fn blob(&self) -> SecondaryBlob {
        let mut handle = 0u16;
        let mut table = Vec::new();
        let mut add = |kind: u8, body: &[u8], strings: &[&str]| {
            table.push(kind);
            table.push(u8::try_from(4 + body.len()).unwrap());
            table.extend(handle.to_le_bytes());
            table.extend(body);
            for s in strings {
                table.extend(s.as_bytes());
                table.push(0);
            }
            if strings.is_empty() {
                table.push(0);
            }
            table.push(0);
            handle += 1;
        };
        // Offsets below count from the start of the body, 4 less than in the specification.
        let mut bios = Blob::new(0x14);
        bios.u8(0, 1).u8(1, 2).u16(2, 0xf000).u8(4, 3).u8(5, 0xff).u32(6, 0x0b);
        bios.bytes(0x0e, &[3, 0x0d, 5, 17, 0xff, 0xff]);
        add(0, &bios.done(), &[&self.bios_vendor, &self.bios_version, &self.bios_date]);
        let mut system = Blob::new(0x17);
        system.u8(0, 1).u8(1, 2).u8(2, 3).u8(3, 4).u8(0x14, 6).u8(0x15, 5).u8(0x16, 6);
        add(1, &system.done(), &[&self.manufacturer, &self.product, "1.0", &self.serial, "SKU-1", "Example family"]);
        let mut board = Blob::new(0x0b);
        board.u8(0, 1).u8(1, 2).u8(2, 3).u8(9, 0x0a);
        add(2, &board.done(), &[&self.manufacturer, &self.board, "rev 1"]);
        let mut cpu = Blob::new(0x26);
        cpu.u8(0, 1).u8(1, 3).u8(2, 0x6b).u8(3, 2).u8(0x0c, 3).u16(0x10, 4400).u16(0x12, 3600).u8(0x14, 0x41);
        cpu.u8(0x1f, 8).u8(0x20, 8).u8(0x21, 16);
        add(4, &cpu.done(), &[&self.cpu_socket, "Example", &self.cpu]);
        for (locator, part, megabytes, speed, configured) in &self.memory {
            let mut module = Blob::new(0x24);
            module.u16(4, 64).u16(6, 64).u16(8, *megabytes).u8(0x0a, 9).u8(0x0c, 1).u8(0x0d, 2).u8(0x0e, 0x1a);
            module.u16(0x11, *speed).u8(0x13, 3).u8(0x14, 4).u8(0x16, 5).u16(0x1c, *configured);
            add(17, &module.done(), &[locator, "BANK 0", "Example Memory", "00000001", part]);
        }
        add(127, &[], &[]);
        let mut b = Blob::new(8);
        b.bytes(0, &[0, 3, 3, 0]).u32(4, u32::try_from(table.len()).unwrap()).bytes(8, &table);
        SecondaryBlob::new(tags::SMBIOS, b.done())
    }
}

/// CPUID leaves: 0x28-byte records {u32 0, u32 leaf, eax, ebx, ecx, edx, and the four again}.
/// Model-specific registers have the same record with 1 first, the number, and the 64-bit value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuidBlob(Vec<u8>);

impl CpuidBlob {
    /// No records yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a leaf with eax, ebx, ecx, edx.
    pub fn leaf(mut self, leaf: u32, values: [u32; 4]) -> Self {
        let mut b = Blob::new(0x28);
        b.u32(4, leaf);
        for (i, v) in values.into_iter().enumerate() {
            b.u32(8 + 4 * i, v).u32(0x18 + 4 * i, v);
        }
        self.0.extend(b.done());
        self
    }

    /// Adds a model-specific register.
    pub fn msr(mut self, number: u32, value: u64) -> Self {
        let mut b = Blob::new(0x28);
        b.u32(0, 1).u32(4, number).u64(8, value).u64(0x18, value);
        self.0.extend(b.done());
        self
    }

    /// A small Intel-like table: vendor, `signature` in leaf 1 eax, feature bits, and the brand string.
    pub fn intel(signature: u32, leaf1_ecx: u32, leaf1_edx: u32, leaf7_ebx: u32, brand: &str) -> Self {
        let mut text = brand.as_bytes().to_vec();
        assert!(text.len() < 48, "a brand string has at most 47 characters");
        text.resize(48, 0);
        let word = |i: usize| u32::from_le_bytes(text[4 * i..4 * i + 4].try_into().unwrap());
        let mut blob = CpuidBlob::new()
            .leaf(0, [if leaf7_ebx == 0 { 6 } else { 7 }, 0x756e_6547, 0x6c65_746e, 0x4965_6e69])
            .leaf(1, [signature, 0x0004_0800, leaf1_ecx, leaf1_edx]);
        if leaf7_ebx != 0 {
            blob = blob.leaf(7, [0, leaf7_ebx, 0, 0]);
        }
        blob = blob.msr(0x17, 0x0810_0000_0000_0000).leaf(0x8000_0000, [0x8000_0008, 0, 0, 0]);
        for i in 0..3 {
            let leaf = 0x8000_0002 + u32::try_from(i).unwrap();
            blob = blob.leaf(leaf, [word(4 * i), word(4 * i + 1), word(4 * i + 2), word(4 * i + 3)]);
        }
        blob
    }

    /// The blob.
    pub fn blob(self) -> SecondaryBlob {
        SecondaryBlob::new(tags::CPUID, self.0)
    }
}

/// The processor's registry key: {u32 name bytes, name with NUL, u32 type, u32 data bytes, data}, nothing aligned.
pub fn cpu_registry(mhz: u32, name: &str, vendor: &str, identifier: &str, microcode: u32) -> SecondaryBlob {
    fn zero_terminated(text: &str) -> Vec<u8> {
        utf16(&format!("{text}\0"))
    }
    let mut out = Vec::new();
    let mut value = |key: &str, kind: u32, data: &[u8]| {
        let key = zero_terminated(key);
        out.extend(u32::try_from(key.len()).unwrap().to_le_bytes());
        out.extend(key);
        out.extend(kind.to_le_bytes());
        out.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        out.extend(data);
    };
    value("~MHz", 4, &mhz.to_le_bytes());
    value("Component Information", 3, &[0; 16]);
    value("Identifier", 1, &zero_terminated(identifier));
    value("ProcessorNameString", 1, &zero_terminated(name));
    value("Update Status", 4, &0u32.to_le_bytes());
    value("VendorIdentifier", 1, &zero_terminated(vendor));
    let mut revision = [0; 8];
    revision[4..].copy_from_slice(&microcode.to_le_bytes());
    value("Update Revision", 3, &revision);
    SecondaryBlob::new(tags::CPU_REGISTRY, out)
}

/// The current process' image path: {u32 1, u32 total size, UTF-16 path}.
pub fn process_path(path: &str) -> SecondaryBlob {
    let text = utf16(path);
    let mut b = Blob::new(8);
    b.u32(0, 1).u32(4, u32::try_from(8 + text.len()).unwrap()).bytes(8, &text);
    SecondaryBlob::new(tags::PROCESS_PATH, b.done())
}
