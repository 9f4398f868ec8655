//! The machine, from the secondary data of the dump.

use crate::model::{Hex, MemoryModule, SecondaryData, System};
use crate::redact::{device_instance, path};
use bugcheck_dump::secondary::{self, CpuKey, Cpuid, Smbios};
use bugcheck_dump::{BlobTag, Dump};

pub(crate) fn system(dump: &Dump) -> System {
    let smbios = dump.blob(secondary::SMBIOS).map(Smbios::parse).unwrap_or_default();
    let key = dump.blob(secondary::CPU_KEY).map(CpuKey::parse).unwrap_or_default();
    let cpuid = dump.blob(secondary::CPUID).map(Cpuid::parse).unwrap_or_default();
    let signature = || cpuid.signature().map(|(family, model, stepping)| format!("family {family} model {model} stepping {stepping}"));
    let board = [smbios.board_manufacturer, smbios.board_product].into_iter().flatten().collect::<Vec<_>>().join(" ");
    System {
        hypervisor: hypervisor(dump, smbios.manufacturer.as_deref(), smbios.product.as_deref()),
        manufacturer: smbios.manufacturer,
        product: smbios.product,
        board: Some(board).filter(|board| !board.is_empty()),
        bios_vendor: smbios.bios_vendor,
        bios_version: smbios.bios_version,
        bios_date: smbios.bios_date.map(|date| iso_date(&date).unwrap_or(date)),
        cpu: key.name.or_else(|| cpuid.brand()).or(smbios.processor).map(|name| name.split_whitespace().collect::<Vec<_>>().join(" ")),
        cpu_identifier: key.identifier.or_else(signature),
        microcode: cpuid.microcode.or(key.microcode).map(|revision| Hex(revision.into())),
        memory: smbios
            .memory
            .into_iter()
            .map(|module| MemoryModule {
                slot: module.slot,
                size_mib: module.size_mib,
                speed: module.speed,
                configured_speed: module.configured_speed,
                manufacturer: module.manufacturer,
                part_number: module.part_number,
            })
            .collect(),
        nvidia_driver: dump.blob(secondary::NVIDIA).and_then(secondary::nvidia_version),
        pci: dump.blob(secondary::PCI).map_or_else(Vec::new, |blob| {
            let function = |pci: &secondary::PciFunction| {
                let [base, sub, interface] = pci.class;
                format!("{:04x}:{:04x} class {base:02x}{sub:02x}{interface:02x}", pci.vendor, pci.device)
            };
            secondary::pci_functions(blob).iter().map(function).collect()
        }),
    }
}

/// SMBIOS writes mm/dd/yyyy, in some firmware with blanks.
fn iso_date(date: &str) -> Option<String> {
    let mut parts = date.split('/').map(|part| part.trim().parse::<u32>());
    let (month, day, year) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let year = if year < 100 { year + if year < 80 { 2000 } else { 1900 } } else { year };
    ((1..=12).contains(&month) && (1..=31).contains(&day)).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// The hypervisor, as its own blob or the machine's maker tells.
fn hypervisor(dump: &Dump, manufacturer: Option<&str>, product: Option<&str>) -> Option<String> {
    if let Some(blob) = dump.blob(secondary::HYPERVISOR) {
        let vendors = [
            ("VBoxVBoxVBox", "VirtualBox"),
            ("VMwareVMware", "VMware"),
            ("KVMKVMKVM", "KVM"),
            ("Microsoft Hv", "Hyper-V"),
            ("TCGTCGTCGTCG", "QEMU"),
        ];
        let text = secondary::ascii_strings(blob, 8).next()?.to_owned();
        return Some(vendors.iter().find(|(mark, _)| text.contains(mark)).map_or(text, |(_, name)| (*name).to_owned()));
    }
    match (manufacturer?, product?) {
        (_, "VirtualBox") => Some("VirtualBox".into()),
        (maker, _) if maker.starts_with("VMware") => Some("VMware".into()),
        (maker, _) if maker.starts_with("QEMU") => Some("QEMU".into()),
        (maker, _) if maker.starts_with("Xen") => Some("Xen".into()),
        ("Microsoft Corporation", "Virtual Machine") => Some("Hyper-V".into()),
        _ => None,
    }
}

/// The blobs of the dump, with their content where it is a name.
pub(crate) fn secondary_data(dump: &Dump, redact: bool) -> Vec<SecondaryData> {
    let text = |tag: BlobTag| {
        let blob = dump.blob(tag)?;
        Some(match tag {
            secondary::PROCESS_PATH => path(&secondary::process_path(blob)?, redact),
            secondary::BLACKBOX_PNP => device_instance(&secondary::blackbox_pnp(blob)?, redact),
            secondary::BLACKBOX_WINLOGON => secondary::blackbox_winlogon(blob)?,
            secondary::BLAMED_DRIVER => secondary::blamed_driver(blob)?,
            secondary::NVIDIA => secondary::nvidia_version(blob)?,
            secondary::WDF => secondary::wdf_clients(blob).into_iter().map(|client| client.name).collect::<Vec<_>>().join(" "),
            secondary::ACPI => secondary::acpi_tables(blob).into_iter().map(|(signature, _)| signature).collect::<Vec<_>>().join(" "),
            _ => return None,
        })
    };
    let describe = |blob: &bugcheck_dump::Blob| SecondaryData {
        tag: blob.tag.to_string(),
        size: blob.length as u64,
        meaning: blob.tag.meaning(),
        text: text(blob.tag).filter(|text| !text.is_empty()),
    };
    dump.blobs().iter().map(describe).collect()
}
