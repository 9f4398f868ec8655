//! What PE files say about themselves, against what their names in symbol stores and other tools say.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use bugcheck_dump::Arch;
use bugcheck_unwind::{Image, ReadRva, pe};

#[test]
fn symbol_stores_know_images_by_what_their_headers_say() {
    for name in ["amdppm.sys", "Wdf01000.sys"] {
        let Some(folder) = common::data(&format!("symbols/{name}")) else { return };
        let identifier = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
        let file = common::image_file(&identifier.path().join(name));
        let identity = pe::Identity::read(&file).unwrap();
        let store_name = format!("{:X}{:x}", identity.timestamp, identity.size);
        assert_eq!(store_name.to_lowercase(), identifier.file_name().to_str().unwrap());
        assert_eq!(identity.arch, Some(Arch::X64));
        let sections = file.sections();
        assert!(sections.iter().any(|section| section.name == ".text" && section.is_code()), "{sections:?}");
        assert!(sections.iter().any(|section| section.name == ".pdata" && !section.is_code()), "{sections:?}");
    }
}

#[test]
fn an_image_leads_to_its_pdb() {
    let Some(image) = common::data("symbols/amdppm.sys/c9c030003b000/amdppm.sys") else { return };
    let record = pe::CodeView::read(&common::image_file(&image)).unwrap();
    assert_eq!((record.identifier().as_str(), record.path.as_str()), ("1C19FDDB27BB3399D9B45973EFEAFCF31", "amdppm.pdb"));
}

#[test]
fn exports_by_name_and_address() {
    for path in common::node_pty("x64").iter().filter(|path| path.ends_with("winpty.dll")) {
        let file = common::image_file(path);
        let exports = pe::Exports::read(&file);
        let names: Vec<&str> = exports.all().iter().map(|export| export.name.as_str()).collect();
        assert!(names.contains(&"winpty_open") && names.contains(&"winpty_config_new"), "{names:?}");
        let open = exports.all().iter().find(|export| export.name == "winpty_open").unwrap();
        assert_eq!(exports.nearest(open.rva + 5).map(|(export, distance)| (export.name.as_str(), distance)), Some(("winpty_open", 5)));
        assert!(exports.all().iter().all(|export| export.forwarder.is_none()));
        assert_eq!(exports.nearest(0), None);
    }
}

/// A file of one page of headers and one section, with an export directory of two names.
fn small() -> Vec<u8> {
    let mut file = vec![0; 0x400];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &[0x40]);
    put(0x40, b"PE\0\0\x64\x86\x01\0");
    put(0x48, &0x5000_0001_u32.to_le_bytes());
    put(0x54, &[0xf0, 0]);
    put(0x58, &[0x0b, 0x02]);
    put(0x58 + 56, &0x3000_u32.to_le_bytes());
    put(0x58 + 64, &7_u32.to_le_bytes());
    put(0x58 + 108, &[16]);
    put(0x58 + 112, &[0x00, 0x10, 0, 0, 0xa0, 0, 0, 0]);
    let section = 0x58 + 0xf0;
    put(section, b".rdata");
    put(section + 8, &[0x00, 0x08, 0, 0, 0x00, 0x10, 0, 0, 0x00, 0x02, 0, 0, 0x00, 0x02, 0, 0]);
    // Ordinal base 5; one address is code, the other lies in the directory and forwards.
    put(0x200 + 16, &[5, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0x28, 0x10, 0, 0, 0x30, 0x10, 0, 0, 0x38, 0x10, 0, 0]);
    put(0x228, &[0x50, 0x10, 0, 0, 0x00, 0x20, 0, 0, 0x60, 0x10, 0, 0, 0x66, 0x10, 0, 0, 1, 0, 0, 0]);
    put(0x250, b"other.Name\0");
    put(0x260, b"First\0Second\0");
    file
}

#[test]
fn forwarders_ordinals_and_holes() {
    let bytes = small();
    let file = pe::File::parse(&bytes[..]).unwrap();
    let exports = pe::Exports::read(&file);
    let seen: Vec<_> =
        exports.all().iter().map(|export| (export.rva, export.name.as_str(), export.ordinal, export.forwarder.as_deref())).collect();
    assert_eq!(seen, [(0x1050, "Second", 5, Some("other.Name")), (0x2000, "First", 6, None)]);
    assert_eq!(exports.nearest(0x1fff), None, "a forwarder is no code");
    let image = Image::read(0x10_0000, &file).unwrap();
    assert_eq!((image.rva(0x10_2fff), image.rva(0x10_3000), image.rva(0xf_ffff)), (Some(0x2fff), None, None));
    // Behind what the file holds of the section, and between sections.
    let mut buffer = [0; 8];
    assert_eq!([0x11fc, 0x1200, 0x2000, u32::MAX].map(|rva| file.read(rva, &mut buffer)), [4, 0, 0, 0]);
    assert_eq!(pe::CodeView::read(&file), None);
}

#[test]
fn what_is_no_image_is_refused() {
    let bytes = small();
    assert_eq!(pe::File::parse(&bytes[..0x50]).unwrap_err(), pe::NotAnImage::NoHeaders);
    assert_eq!(pe::File::parse(&bytes[..0x150]).unwrap_err(), pe::NotAnImage::NoSections(0x148));
    assert_eq!(pe::File::parse(&b"MZ"[..]).unwrap_err(), pe::NotAnImage::NoHeaders);
}
