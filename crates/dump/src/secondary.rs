//! Secondary data: what drivers and Windows append to a dump through bug check callbacks, as tagged blobs.
//!
//! Container (verified on 32 real minidumps): `DumpBlob`, u32 header size 16, u32 build mark; then for each blob u32 header
//! size 0x20, GUID tag, u32 data size, u32 padding before the data, u32 padding behind it. Meanings of the tags are inferred
//! from contents; few are documented.

mod cpu;
mod devices;
mod smbios;
mod text;

pub use cpu::{CpuKey, Cpuid, CpuidLeaf};
pub use devices::{PciFunction, WdfClient, acpi_tables, pci_functions, wdf_clients};
pub use smbios::{MemoryModule, Smbios};
pub use text::{ascii_strings, blackbox_pnp, blackbox_winlogon, blamed_driver, nvidia_version, process_path};

use crate::{Fields, Note};
use std::fmt;

/// The GUID that tells what a blob holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobTag(pub [u8; 16]);

impl BlobTag {
    /// A tag from the four parts of its usual notation.
    #[must_use]
    pub const fn new(a: u32, b: u16, c: u16, d: u64) -> Self {
        let (a, b, c, d) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes(), d.to_be_bytes());
        Self([a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]])
    }

    /// What a blob with this tag holds, where that is known.
    #[must_use]
    pub fn meaning(self) -> Option<&'static str> {
        KNOWN.iter().find(|(tag, _)| *tag == self).map(|&(_, meaning)| meaning)
    }
}

impl fmt::Display for BlobTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = self.0;
        let (a, b, c) = (u32::from_le_bytes([a0, a1, a2, a3]), u16::from_le_bytes([b0, b1]), u16::from_le_bytes([c0, c1]));
        let d = u64::from_be_bytes(rest);
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", d >> 48, d & 0xffff_ffff_ffff)
    }
}

impl fmt::Debug for BlobTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The raw SMBIOS table.
pub const SMBIOS: BlobTag = BlobTag::new(0xbc5c_008f, 0x1e3a, 0x44d7, 0x988d_86f6_884c_6758);
/// The registry key of processor 0.
pub const CPU_KEY: BlobTag = BlobTag::new(0x6c7a_c389, 0x4313, 0x47dc, 0x9f34_a880_0a0f_b56c);
/// CPUID leaves and a few MSRs.
pub const CPUID: BlobTag = BlobTag::new(0xd03d_c06f, 0xd88e, 0x44c5, 0xba2a_fae0_3517_2d19);
/// ACPI tables.
pub const ACPI: BlobTag = BlobTag::new(0xe83b_40d2, 0xb0a0, 0x4842, 0xabea_71c9_e346_3dd1);
/// PCI configuration space.
pub const PCI: BlobTag = BlobTag::new(0x9276_c055, 0xeb87, 0x425c, 0xb8b5_04e4_d247_f6cd);
/// Drivers that use the kernel-mode driver framework.
pub const WDF: BlobTag = BlobTag::new(0xf87e_4a4c, 0xc5a1, 0x4d2f, 0xbff0_d5de_63a5_e4c3);
/// NVIDIA's display driver.
pub const NVIDIA: BlobTag = BlobTag::new(0xbf22_97dc, 0x34ba, 0x11dc, 0x868a_e191_55d8_9593);
/// Path of the process that was running.
pub const PROCESS_PATH: BlobTag = BlobTag::new(0xbe84_d651, 0xa550, 0x4367, 0x8e63_ab79_2b63_1f94);
/// Name of the driver that Windows blames.
pub const BLAMED_DRIVER: BlobTag = BlobTag::new(0xfe96_ddbf, 0x850d, 0x4c4a, 0xa7bf_c686_be52_6047);
/// The device that Plug and Play was working on.
pub const BLACKBOX_PNP: BlobTag = BlobTag::new(0xb763_1941, 0x532a, 0x4cd6, 0xb1b1_edb5_917d_4557);
/// What the logon process was doing.
pub const BLACKBOX_WINLOGON: BlobTag = BlobTag::new(0x80cc_79cf, 0xa719, 0x4af1, 0xbf97_fe29_ff76_ebc1);
/// Probably boot status data: no public document names the tag or its layout.
pub const BLACKBOX_BSD: BlobTag = BlobTag::new(0x00af_e9c4, 0x940d, 0x4213, 0x8016_cd37_19b5_bc20);
/// Probably NTFS's own record: no public document names the tag or its layout.
pub const BLACKBOX_NTFS: BlobTag = BlobTag::new(0x4ee7_6bd8, 0x3cf4, 0x44a0, 0xa0ac_3937_643e_37a3);
/// The hypervisor's CPUID leaves, in a virtual machine.
pub const HYPERVISOR: BlobTag = BlobTag::new(0x7b58_1fa7, 0x81c2, 0x423f, 0xa65c_1266_fb10_603d);

const KNOWN: &[(BlobTag, &str)] = &[
    (SMBIOS, "SMBIOS table"),
    (CPU_KEY, "processor registry key"),
    (CPUID, "CPUID leaves and processor registers"),
    (ACPI, "ACPI tables"),
    (PCI, "PCI configuration space"),
    (WDF, "WDF client drivers"),
    (NVIDIA, "NVIDIA display driver data"),
    (PROCESS_PATH, "path of the running process"),
    (BLAMED_DRIVER, "driver that Windows blames"),
    (BLACKBOX_PNP, "Plug and Play black box"),
    (BLACKBOX_WINLOGON, "Winlogon black box"),
    (BLACKBOX_BSD, "probably the boot status black box"),
    (BLACKBOX_NTFS, "probably the NTFS black box"),
    (HYPERVISOR, "hypervisor identification"),
    (BlobTag::new(0x270a_33fd, 0x3da6, 0x460d, 0xba89_3c1b_ae21_e39b), "DirectX kernel data"),
    (BlobTag::new(0x2b88_b710, 0xa751, 0x4f7c, 0xb06c_655e_cc50_decc), "event trace buffers"),
    (BlobTag::new(0xda82_441d, 0x7142, 0x4bc1, 0xb844_0807_c5a4_b67f), "storage port driver log"),
    (BlobTag::new(0x54c8_4888, 0x01d1, 0x4c1e, 0xbed6_282c_9824_1303), "USB host controller log"),
    (BlobTag::new(0x21ba_7b61, 0x05f8, 0x41f1, 0x9048_c094_93dc_fe38), "Wi-Fi driver log"),
    (BlobTag::new(0x21ba_7b61, 0x05f9, 0x41f1, 0x9048_c094_93dc_fe38), "Wi-Fi driver log"),
    (BlobTag::new(0x0d91_0545, 0xe694, 0x4b15, 0x870c_0162_5fb3_2a6f), "I/O triage data"),
];

/// One blob: its tag, and where its data lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// What it holds.
    pub tag: BlobTag,
    /// Offset of the data in the file.
    pub offset: usize,
    /// Bytes of data.
    pub length: usize,
}

/// More blobs than any dump has; a damaged chain stops here.
const MOST_BLOBS: usize = 1024;

/// Lists the blobs of the container at `start`, if there is one.
#[must_use]
pub fn blobs(file: &[u8], start: usize, notes: &mut Vec<Note>) -> Vec<Blob> {
    let file = Fields(file);
    if start == 0 || file.bytes(start, 8) != Some(b"DumpBlob") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut at = file.size(start + 8).and_then(|size| start.checked_add(size));
    while let Some(here) = at {
        let next = (|| {
            let header_size = file.size(here)?;
            let tag = BlobTag(file.bytes(here + 4, 16)?.try_into().ok()?);
            let (length, before, behind) = (file.size(here + 20)?, file.size(here + 24)?, file.size(here + 28)?);
            let offset = here.checked_add(header_size)?.checked_add(before)?;
            let next = offset.checked_add(length)?.checked_add(behind)?;
            (header_size >= 0x20).then_some((Blob { tag, offset, length }, next))
        })();
        let Some((blob, next)) = next else { break };
        if blob.offset + blob.length > file.0.len() {
            notes.push(Note::warning(format!("secondary data {} is cut", blob.tag), Some(here as u64)));
            break;
        }
        found.push(blob);
        if found.len() == MOST_BLOBS {
            notes.push(Note::warning(format!("more than {MOST_BLOBS} secondary data blobs: the rest is not read"), Some(next as u64)));
            break;
        }
        at = Some(next);
    }
    found
}
