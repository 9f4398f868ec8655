//! What the tests on real data share.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use bugcheck_dump::{Driver, Dump, FileBytes, Registers, VirtAddr};
use bugcheck_unwind::{Image, Images, Stack, pe};
use std::path::{Path, PathBuf};

/// A file of the real data.
pub fn data(path: &str) -> Option<PathBuf> {
    bugcheck_testdata::shared_path(&format!("data/{path}"))
}

pub fn image_file(path: &Path) -> pe::File<FileBytes> {
    pe::File::parse(FileBytes::open(path).unwrap()).unwrap()
}

/// A dump with image files from disk.
pub struct Machine {
    pub dump: Dump,
    pub files: Vec<(u64, pe::File<FileBytes>)>,
}

impl Machine {
    pub fn open(path: &Path) -> Self {
        Self { dump: Dump::open(path).unwrap(), files: Vec::new() }
    }

    /// Takes a file as the image of the module with its name.
    pub fn add(&mut self, path: &Path) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let driver = self.dump.triage().unwrap().drivers.iter().find(|driver| driver.path.ends_with(name)).unwrap();
        let file = image_file(path);
        let identity = pe::Identity::read(&file).unwrap();
        assert_eq!((identity.timestamp, identity.size), (driver.timestamp, driver.size), "{name} is the image of the dump");
        let base = driver.base.0;
        self.files.push((base, file));
    }

    fn driver_at(&self, address: u64) -> Option<&Driver> {
        let drivers = &self.dump.triage().unwrap().drivers;
        drivers.iter().find(|driver| address.checked_sub(driver.base.0).is_some_and(|rva| rva < driver.size.into()))
    }

    pub fn context(&self, address: u64) -> Registers {
        let arch = self.dump.header().arch;
        let mut bytes = vec![0; arch.context_size()];
        self.dump.memory().try_read_exact(VirtAddr(address), &mut bytes).unwrap();
        Registers::from_context(arch, bugcheck_dump::Fields(&bytes)).unwrap()
    }
}

impl Stack for Machine {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        self.dump.memory().read(VirtAddr(address), buffer).unwrap_or(0)
    }

    fn may_be_code(&self, address: u64) -> bool {
        self.driver_at(address).is_some_and(|driver| address - driver.base.0 >= 0x1000)
    }

    /// Stubs for retpolines lie behind images.
    fn may_be_called(&self, from: u64, target: u64) -> bool {
        let end = self.driver_at(from).map_or(0, |driver| driver.base.0 + u64::from(driver.size));
        self.may_be_code(target) || (end..end + 0x2000).contains(&target)
    }
}

impl Images for Machine {
    fn image_at(&self, address: u64) -> Option<Image<'_>> {
        self.files.iter().filter_map(|(base, file)| Image::read(*base, file)).find(|image| image.rva(address).is_some())
    }
}
