//! Loaded and unloaded modules, and what lies where in them.

use bugcheck_dump::{Driver, Fields, Memory, UnloadedDriver, VirtAddr};

/// A loaded kernel module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The name WinDbg uses: the file name without its extension, `nt` for the kernel.
    pub name: String,
    /// The file name.
    pub image: String,
    /// The path as the dump has it, if it has more than the file name.
    pub path: Option<String>,
    /// First address.
    pub base: VirtAddr,
    /// Bytes in memory.
    pub size: u32,
    /// Time stamp of the PE header.
    pub timestamp: u32,
    /// Checksum of the PE header.
    pub checksum: u32,
    /// Ranges of the image that hold no code, if its section table is in the dump.
    data: Vec<(u32, u32)>,
}

impl Module {
    /// First address behind the module.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.base.0.saturating_add(self.size.into())
    }

    /// When the image was linked, in seconds since 1970, if its time stamp can be a date: images built reproducibly carry a
    /// hash there. `crash` is the time of the crash, which nothing was linked after.
    #[must_use]
    pub fn link_time(&self, crash: i64) -> Option<i64> {
        let time = i64::from(self.timestamp);
        // 1996-07-01: Windows NT 4.
        (836_179_200..=crash).contains(&time).then_some(time)
    }
}

/// Where an address lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'m> {
    /// The module.
    pub module: &'m Module,
    /// Bytes from its base.
    pub offset: u64,
}

/// The modules of a dump.
#[derive(Clone, Debug, Default)]
pub struct Modules {
    /// In the order of the dump's list: the kernel first.
    pub loaded: Vec<Module>,
    /// Those that were gone at the crash.
    pub unloaded: Vec<UnloadedDriver>,
    /// Indices into `loaded`, by base address.
    by_base: Vec<usize>,
}

impl Modules {
    /// Takes the lists of a dump; section tables are read where the memory has them.
    #[must_use]
    pub fn new(drivers: &[Driver], unloaded: &[UnloadedDriver], memory: Memory<'_>) -> Self {
        let loaded: Vec<Module> = drivers.iter().enumerate().map(|(index, driver)| module(index, driver, memory)).collect();
        let mut by_base: Vec<usize> = (0..loaded.len()).collect();
        by_base.sort_by_key(|&index| loaded.get(index).map(|module| module.base));
        Self { loaded, unloaded: unloaded.to_vec(), by_base }
    }

    /// The kernel itself.
    #[must_use]
    pub fn kernel(&self) -> Option<&Module> {
        self.loaded.iter().find(|module| module.name == "nt")
    }

    /// The module that an address lies in.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<Place<'_>> {
        let behind = self.by_base.partition_point(|&index| self.loaded.get(index).is_some_and(|module| module.base.0 <= address));
        let module = self.loaded.get(*self.by_base.get(behind.checked_sub(1)?)?)?;
        (address < module.end()).then(|| Place { module, offset: address - module.base.0 })
    }

    /// A module by its file name, ignoring case.
    #[must_use]
    pub fn by_image(&self, image: &str) -> Option<&Module> {
        self.loaded.iter().find(|module| module.image.eq_ignore_ascii_case(image))
    }

    /// The unloaded module whose range an address lies in, unless a loaded one has taken its place.
    #[must_use]
    pub fn find_unloaded(&self, address: u64) -> Option<&UnloadedDriver> {
        if self.find(address).is_some() {
            return None;
        }
        // The list is a ring; the newest entry for a range is the one that matters and any will name the driver.
        self.unloaded.iter().find(|driver| (driver.start.0..driver.end.0).contains(&address))
    }

    /// `module+0x123`, or `<Unloaded_x.sys>+0x123` as WinDbg writes it.
    #[must_use]
    pub fn describe(&self, address: u64) -> Option<String> {
        if let Some(place) = self.find(address) {
            return Some(format!("{}+{:#x}", place.module.name, place.offset));
        }
        let unloaded = self.find_unloaded(address)?;
        Some(format!("<Unloaded_{}>+{:#x}", unloaded.image, address - unloaded.start.0))
    }

    /// True if an address lies in a module, behind its headers, and not in a section that cannot hold code.
    #[must_use]
    pub fn may_be_code(&self, address: u64) -> bool {
        self.find(address).is_some_and(|Place { module, offset }| {
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            offset >= 0x1000 && !module.data.iter().any(|&(start, end)| (start..end).contains(&offset))
        })
    }
}

fn module(index: usize, driver: &Driver, memory: Memory<'_>) -> Module {
    let image = driver.path.rsplit(['\\', '/']).next().unwrap_or(&driver.path).to_owned();
    // The list is in load order: the kernel is always its first entry, whatever its file is called.
    let name = if index == 0 { "nt".to_owned() } else { module_name(&image) };
    Module {
        path: (image != driver.path).then(|| driver.path.clone()),
        base: driver.base,
        size: driver.size,
        timestamp: driver.timestamp,
        checksum: driver.checksum,
        data: memory.run(driver.base).map_or_else(|_| Vec::new(), |header| data_sections(Fields(header))),
        name,
        image,
    }
}

/// The module name a debugger derives from a file name.
fn module_name(image: &str) -> String {
    let stem = image.rsplit_once('.').map_or(image, |(stem, _)| stem);
    stem.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// Sections without the execute flag, from the PE headers (Microsoft's PE format specification).
fn data_sections(image: Fields<'_>) -> Vec<(u32, u32)> {
    const EXECUTE: u32 = 0x2000_0000;
    (|| {
        let pe = image.from(image.size(0x3c)?)?;
        if image.bytes(0, 2) != Some(b"MZ") || pe.bytes(0, 4) != Some(b"PE\0\0") {
            return None;
        }
        let sections = usize::from(pe.u16(6)?);
        let table = 24 + usize::from(pe.u16(20)?);
        let section = |index: usize| {
            let entry = pe.from(table + index * 40)?;
            let (size, start, flags) = (entry.u32(8)?, entry.u32(12)?, entry.u32(36)?);
            Some((flags & EXECUTE == 0).then_some((start, start.saturating_add(size))))
        };
        Some((0..sections.min(96)).map_while(section).flatten().collect())
    })()
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver(path: &str, base: u64, size: u32) -> Driver {
        Driver { path: path.into(), base: VirtAddr(base), size, entry_point: VirtAddr(base), checksum: 0, timestamp: 0x5000_0000 }
    }

    #[test]
    fn addresses_find_their_module_and_unloaded_ranges_yield_to_loaded_ones() {
        let drivers = [
            driver("\\SystemRoot\\system32\\ntkrnlmp.exe", 0xffff_f800_0000_0000, 0x10_0000),
            driver("a-b.sys", 0xffff_f800_0020_0000, 0x1000),
        ];
        let gone =
            UnloadedDriver { image: "gone.sys".into(), start: VirtAddr(0xffff_f800_001f_0000), end: VirtAddr(0xffff_f800_0021_0000) };
        let modules = Modules::new(&drivers, &[gone], Memory::new(&[], &[]));
        assert_eq!(modules.describe(0xffff_f800_0000_1234).as_deref(), Some("nt+0x1234"));
        assert_eq!(modules.describe(0xffff_f800_0020_0010).as_deref(), Some("a_b+0x10"));
        assert_eq!(modules.describe(0xffff_f800_0020_1000).as_deref(), Some("<Unloaded_gone.sys>+0x11000"));
        assert_eq!(modules.describe(0xffff_f800_0030_0000), None);
        assert!(!modules.may_be_code(0xffff_f800_0000_0100), "headers hold no code");
    }
}
