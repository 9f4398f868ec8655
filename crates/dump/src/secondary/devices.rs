//! Devices and the drivers that serve them.

use crate::{Fields, VirtAddr};

/// One PCI function with the start of its configuration space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciFunction {
    /// PCI vendor id.
    pub vendor: u16,
    /// PCI device id.
    pub device: u16,
    /// Base class, sub-class, programming interface.
    pub class: [u8; 3],
    /// Silicon revision.
    pub revision: u8,
}

/// Decodes the PCI blob: records that begin with `PCfg`, their size, then 0x34 bytes of bookkeeping and the configuration space
/// (verified on AMD and Intel machines).
#[must_use]
pub fn pci_functions(blob: Fields<'_>) -> Vec<PciFunction> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(record) = blob.from(at).filter(|record| record.bytes(0, 4) == Some(b"PCfg") && found.len() < 1024) {
        let Some(size) = record.size(4).filter(|&size| size >= 0x4c) else { break };
        if let (Some(vendor), Some(device), Some(revision), Some(class)) =
            (record.u16(0x3c), record.u16(0x3e), record.u8(0x44), record.bytes(0x45, 3))
            && let &[interface, sub, base] = class
        {
            found.push(PciFunction { vendor, device, class: [base, sub, interface], revision });
        }
        at += size;
    }
    found
}

/// A driver that uses the kernel-mode driver framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WdfClient {
    /// Its service name.
    pub name: String,
    /// The framework version it was built for.
    pub version: (u32, u32),
    /// The framework's globals for it.
    pub globals: VirtAddr,
}

/// Decodes the WDF blob: 0x38-byte records of {pointer, u32 major, u32 minor, u32 build, 32 characters of name}; 64-bit only.
#[must_use]
pub fn wdf_clients(blob: Fields<'_>) -> Vec<WdfClient> {
    let records = blob.0.chunks_exact(0x38).take(512).map(Fields);
    records
        .filter_map(|record| {
            let name = record.ascii(0x14, 32).filter(|name| !name.is_empty())?;
            Some(WdfClient { name, version: (record.u32(8)?, record.u32(12)?), globals: VirtAddr(record.u64(0)?) })
        })
        .collect()
}

/// The signatures of the ACPI tables in the blob, with the firmware's maker as the table names it.
#[must_use]
pub fn acpi_tables(blob: Fields<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(table) = blob.from(at).filter(|_| found.len() < 256) {
        let Some(size) = table.size(4).filter(|&size| size >= 36) else { break };
        let (Some(signature), Some(maker)) = (table.ascii(0, 4), table.ascii(10, 6)) else { break };
        found.push((signature, maker.trim().to_owned()));
        at += size;
    }
    found
}
