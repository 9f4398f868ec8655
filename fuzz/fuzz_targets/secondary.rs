//! Secondary data: the list of blobs, and every decoder on the same bytes.
#![no_main]

use bugcheck_dump::{Fields, secondary};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut notes = Vec::new();
    for blob in secondary::blobs(bytes, 0, &mut notes) {
        let _ = (blob.tag.to_string(), blob.tag.meaning());
        decode(Fields(bytes).bytes(blob.offset, blob.length).unwrap_or_default());
    }
    decode(bytes);
});

fn decode(bytes: &[u8]) {
    let blob = Fields(bytes);
    let cpuid = secondary::Cpuid::parse(blob);
    let _ = (cpuid.vendor(), cpuid.brand(), cpuid.signature());
    let _ = secondary::CpuKey::parse(blob);
    let _ = secondary::Smbios::parse(blob);
    let _ = secondary::pci_functions(blob);
    let _ = secondary::wdf_clients(blob);
    let _ = secondary::acpi_tables(blob);
    let _ = secondary::process_path(blob);
    let _ = secondary::blackbox_pnp(blob);
    let _ = secondary::blackbox_winlogon(blob);
    let _ = secondary::blamed_driver(blob);
    let _ = secondary::nvidia_version(blob);
    let _ = secondary::ascii_strings(blob, 4).count();
}
