//! Laying the images out in memory, as a boot loader does.

use crate::compile::Built;
use crate::guest::{Access, Guest};
use object::LittleEndian as LE;
use object::read::pe::{ImageThunkData, PeFile64};
use std::collections::BTreeMap;

/// Where the kernel lies; drivers follow at [`DRIVERS`], 2 MiB apart.
const KERNEL: u64 = 0xffff_f804_1260_0000;
const DRIVERS: u64 = 0xffff_f804_5678_0000;
const SHARED_DATA: u64 = 0xffff_f780_0000_0000;
const STACK: u64 = 0xffff_fe0a_d4c4_1000;
const STACK_SIZE: u64 = 0x6000;
const POOL: (u64, u64) = (0xffff_a50d_1c20_0000, 0x4_0000);
const LARGE_POOL: u64 = 0xffff_a50d_1c40_0000;
const STACKS: u64 = 0xffff_fe0a_d4a0_0000;
const USER_CODE: u64 = 0x7ff7_a000_1000;
const USER_STACK: u64 = 0x7a_0010_0000;

/// A loaded image.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub name: String,
    pub base: u64,
    pub size: u64,
    entry: u64,
    time_date_stamp: u32,
    check_sum: u32,
    exports: BTreeMap<String, u64>,
}

impl Module {
    /// The address of something that it exports.
    pub(crate) fn export(&self, name: &str) -> Option<u64> {
        self.exports.get(name).copied()
    }
}

/// Memory with everything in it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub guest: Guest,
    /// The kernel first.
    pub modules: Vec<Module>,
    /// The file for the boot loader: from 2 MiB to the last page used.
    pub boot_file: Vec<u8>,
}

impl Prepared {
    /// The address of something that the kernel exports.
    pub(crate) fn symbol(&self, name: &str) -> u64 {
        *self.modules[0].exports.get(name).unwrap_or_else(|| panic!("the kernel does not export {name}"))
    }

    /// The module at an address.
    pub(crate) fn module(&self, address: u64) -> Option<&Module> {
        self.modules.iter().find(|module| address >= module.base && address - module.base < module.size)
    }
}

/// Loads the kernel and the drivers.
pub(crate) fn prepare(built: &Built, drivers: &[&str]) -> Prepared {
    let mut guest = Guest::new();
    let mut modules = vec![load(&mut guest, built, "ntoskrnl.exe", KERNEL, &BTreeMap::new())];
    let exports = modules[0].exports.clone();
    for (index, driver) in drivers.iter().enumerate() {
        let base = DRIVERS + 0x20_0000 * index as u64;
        modules.push(load(&mut guest, built, &format!("{driver}.sys"), base, &exports));
    }
    guest.map(STACK, STACK_SIZE, Access::DATA);
    guest.map(POOL.0, POOL.1, Access::DATA);
    guest.map(USER_CODE, 0x1000, Access::USER);
    guest.map(USER_STACK, 0x1000, Access::USER);
    for address in [LARGE_POOL, STACKS] {
        guest.table(address);
    }
    shared_data(&mut guest);
    // The boot loader runs from its own address until the kernel takes over.
    guest.map_to(0x20_0000, 0x20_0000, Access { write: true, execute: true, user: false });
    let mut prepared = Prepared { guest, modules, boot_file: Vec::new() };
    boot_block(&mut prepared);
    boot_loader(&mut prepared, built);
    prepared
}

/// KUSER_SHARED_DATA: the version, the time, the system's folder.
fn shared_data(guest: &mut Guest) {
    guest.map(SHARED_DATA, 0x1000, Access::DATA);
    let physical = guest.physical(SHARED_DATA).unwrap();
    guest.map_to(0x7ffe_0000, physical, Access { write: false, execute: false, user: true });
    let folder: Vec<u8> = "C:\\Windows".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (low, high) = ((crate::write::CRASH_TIME & 0xffff_ffff) as u32, (crate::write::CRASH_TIME >> 32) as u32);
    let numbers: [(u64, u32); 8] =
        [(0x14, low), (0x18, high), (0x1c, high), (0x260, 19041), (0x264, 1), (0x268, 0x0101), (0x26c, 10), (0x270, 0)];
    guest.write(SHARED_DATA + 0x30, &folder);
    for (offset, number) in numbers {
        guest.write(SHARED_DATA + offset, &number.to_le_bytes());
    }
}

/// Tells the kernel what lies where: LAB_BOOT_BLOCK of `ke.h`.
fn boot_block(prepared: &mut Prepared) {
    let at = prepared.symbol("KiBootBlock");
    let guest = &mut prepared.guest;
    let free = guest.next;
    let words = [
        guest.root,
        free,
        (crate::guest::RAM as u64 >> 12) - free,
        STACK + STACK_SIZE,
        STACK,
        USER_CODE,
        USER_STACK + 0xff8,
        prepared.modules.len() as u64,
    ];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    for module in &prepared.modules {
        for word in [module.base, module.size, module.entry] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(module.time_date_stamp.to_le_bytes());
        bytes.extend(module.check_sum.to_le_bytes());
        let mut name: Vec<u8> = module.name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        name.resize(64, 0);
        bytes.extend(name);
    }
    guest.write(at + 8, &bytes);
}

/// Puts the boot loader with its values in front: see `boot.s`.
fn boot_loader(prepared: &mut Prepared, built: &Built) {
    let mut code = std::fs::read(built.image("boot.bin")).unwrap();
    for (index, value) in [prepared.guest.root, prepared.modules[0].entry, STACK + 0x3000 - 0x28].into_iter().enumerate() {
        code[0x40 + 8 * index..0x48 + 8 * index].copy_from_slice(&value.to_le_bytes());
    }
    let guest = &mut prepared.guest;
    guest.ram[0x20_0000..0x20_0000 + code.len()].copy_from_slice(&code);
    prepared.boot_file = guest.ram[0x20_0000..usize::try_from(guest.next << 12).unwrap()].to_vec();
}

/// Maps one image: sections by their protection, relocated, with its imports bound to the kernel's exports.
fn load(guest: &mut Guest, built: &Built, name: &str, base: u64, kernel: &BTreeMap<String, u64>) -> Module {
    let file = std::fs::read(built.image(name)).unwrap();
    let pe = PeFile64::parse(&*file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let optional = &pe.nt_headers().optional_header;
    let size = u64::from(optional.size_of_image.get(LE));
    let mut memory = vec![0; usize::try_from(size).unwrap()];
    let headers = optional.size_of_headers.get(LE) as usize;
    memory[..headers].copy_from_slice(&file[..headers]);
    let header_at = u32::from_le_bytes(file[0x3c..0x40].try_into().unwrap()) as usize;
    memory[header_at + 0x30..header_at + 0x38].copy_from_slice(&base.to_le_bytes());
    let mut access = vec![Access { write: false, execute: false, user: false }; memory.len().div_ceil(0x1000)];
    for section in pe.section_table().iter() {
        let (address, data) = (section.virtual_address.get(LE) as usize, section.pe_data(&*file).unwrap());
        let length = data.len().min(section.virtual_size.get(LE) as usize);
        memory[address..address + length].copy_from_slice(&data[..length]);
        let flags = section.characteristics.get(LE);
        let pages = address / 0x1000..(address + section.virtual_size.get(LE) as usize).div_ceil(0x1000);
        access[pages].fill(Access {
            write: flags.contains(object::pe::IMAGE_SCN_MEM_WRITE),
            execute: flags.contains(object::pe::IMAGE_SCN_MEM_EXECUTE),
            user: false,
        });
    }
    relocate(&pe, &mut memory, base.wrapping_sub(optional.image_base.get(LE)));
    bind(&pe, &mut memory, kernel);
    for (index, access) in access.iter().enumerate() {
        guest.map(base + 0x1000 * index as u64, 0x1000, *access);
    }
    for (index, page) in memory.chunks(0x1000).enumerate() {
        guest.write(base + 0x1000 * index as u64, page);
    }
    let table = pe.export_table().unwrap();
    let mut exports = BTreeMap::new();
    for export in table.iter().flat_map(|table| table.exports().unwrap()) {
        if let (Some(name), object::read::pe::ExportTarget::Address(address)) = (export.name, export.target) {
            exports.insert(String::from_utf8_lossy(name).into_owned(), base + u64::from(address));
        }
    }
    Module {
        name: name.to_owned(),
        base,
        size,
        entry: base + u64::from(optional.address_of_entry_point.get(LE)),
        time_date_stamp: pe.nt_headers().file_header.time_date_stamp.get(LE),
        check_sum: optional.check_sum.get(LE),
        exports,
    }
}

fn relocate(pe: &PeFile64<'_>, memory: &mut [u8], delta: u64) {
    let Some(mut blocks) = pe.data_directories().relocation_blocks(pe.data(), &pe.section_table()).unwrap() else { return };
    while let Some(block) = blocks.next().unwrap() {
        for relocation in block {
            assert_eq!(relocation.typ, object::pe::IMAGE_REL_BASED_DIR64);
            let at = relocation.virtual_address as usize;
            let value = u64::from_le_bytes(memory[at..at + 8].try_into().unwrap()).wrapping_add(delta);
            memory[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
    }
}

fn bind(pe: &PeFile64<'_>, memory: &mut [u8], kernel: &BTreeMap<String, u64>) {
    let Some(table) = pe.import_table().unwrap() else { return };
    let mut descriptors = table.descriptors().unwrap();
    while let Some(descriptor) = descriptors.next().unwrap() {
        let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE)).unwrap();
        let mut at = descriptor.first_thunk.get(LE) as usize;
        while let Some(thunk) = thunks.next::<object::pe::ImageNtHeaders64>().unwrap() {
            let (_, name) = table.hint_name(thunk.address()).unwrap();
            let name = String::from_utf8_lossy(name);
            let target = kernel.get(&*name).unwrap_or_else(|| panic!("the kernel does not export {name}"));
            memory[at..at + 8].copy_from_slice(&target.to_le_bytes());
            at += 8;
        }
    }
}
