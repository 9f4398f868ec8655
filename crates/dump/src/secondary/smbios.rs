//! The SMBIOS table: what the machine is.
//!
//! Layout: DMTF DSP0134 (System Management BIOS reference). The blob begins with 8 bytes that Windows puts before the raw
//! table: calling method, major, minor and DMI revision, then a u32 length.

use crate::Fields;

/// One memory module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryModule {
    /// The slot's name on the board.
    pub slot: String,
    /// Size in MiB; 0 for an empty slot.
    pub size_mib: u64,
    /// Speed in MT/s the module is rated for.
    pub speed: Option<u16>,
    /// Speed in MT/s it was set to.
    pub configured_speed: Option<u16>,
    /// Maker.
    pub manufacturer: Option<String>,
    /// Part number.
    pub part_number: Option<String>,
}

/// The facts of the table that a diagnosis uses. Serial numbers are not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Smbios {
    /// BIOS vendor.
    pub bios_vendor: Option<String>,
    /// BIOS version.
    pub bios_version: Option<String>,
    /// BIOS date as written (mm/dd/yyyy).
    pub bios_date: Option<String>,
    /// Maker of the machine.
    pub manufacturer: Option<String>,
    /// Product name of the machine.
    pub product: Option<String>,
    /// Maker of the board.
    pub board_manufacturer: Option<String>,
    /// Product name of the board.
    pub board_product: Option<String>,
    /// Name of the processor in its socket.
    pub processor: Option<String>,
    /// Memory modules, empty slots left out.
    pub memory: Vec<MemoryModule>,
}

impl Smbios {
    /// Walks the table.
    #[must_use]
    pub fn parse(blob: Fields<'_>) -> Self {
        let mut found = Self::default();
        let mut at = 8;
        for _ in 0..1024 {
            let Some(entry) = blob.from(at) else { break };
            let (Some(kind), Some(length)) = (entry.u8(0), entry.u8(1).map(usize::from)) else { break };
            if length < 4 || kind == 127 {
                break;
            }
            let Some((strings, size)) = strings(entry, length) else { break };
            found.take(kind, Fields(entry.bytes(0, length).unwrap_or_default()), &strings);
            at += size;
        }
        found
    }

    fn take(&mut self, kind: u8, entry: Fields<'_>, strings: &[String]) {
        let text = |offset: usize| {
            let index = usize::from(entry.u8(offset)?).checked_sub(1)?;
            strings.get(index).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        match kind {
            0 => {
                self.bios_vendor = text(4);
                self.bios_version = text(5);
                self.bios_date = text(8);
            }
            1 => {
                self.manufacturer = text(4);
                self.product = text(5);
            }
            2 if self.board_product.is_none() => {
                self.board_manufacturer = text(4);
                self.board_product = text(5);
            }
            4 if self.processor.is_none() => self.processor = text(0x10),
            17 => {
                let size = entry.u16(0xc).unwrap_or(0);
                let size_mib = match size {
                    0 | 0xffff => 0,
                    0x7fff => u64::from(entry.u32(0x1c).unwrap_or(0) & 0x7fff_ffff),
                    kib if kib & 0x8000 != 0 => u64::from(kib & 0x7fff) / 1024,
                    mib => mib.into(),
                };
                let speed = |offset| entry.u16(offset).filter(|&speed| speed != 0 && speed != 0xffff);
                if size_mib > 0 && self.memory.len() < 256 {
                    self.memory.push(MemoryModule {
                        slot: text(0x10).unwrap_or_default(),
                        size_mib,
                        speed: speed(0x15),
                        configured_speed: speed(0x20),
                        manufacturer: text(0x17),
                        part_number: text(0x1a),
                    });
                }
            }
            _ => {}
        }
    }
}

/// The strings behind a structure's formatted part, and the size of both.
fn strings(entry: Fields<'_>, length: usize) -> Option<(Vec<String>, usize)> {
    let behind = entry.from(length)?.0;
    let mut strings = Vec::new();
    let mut at = 0;
    loop {
        let rest = behind.get(at..)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        if end == 0 {
            // A structure without strings ends in two NULs, one with strings in one more NUL.
            return Some((strings, length + at + if at == 0 { 2 } else { 1 }));
        }
        strings.push(Fields(rest).ascii(0, end)?);
        at += end + 1;
    }
}
