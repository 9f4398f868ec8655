//! What the tests on real data share.
#![allow(dead_code, reason = "each test uses its part")]

use bugcheck_dump::{Dump, FileBytes, Registers, VirtAddr};
use bugcheck_unwind::{Image, Images, Stack, pe};
use std::path::{Path, PathBuf};

/// The folder of real data, if it is there.
pub fn shared() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("BUGCHECK_SHARED").map_or_else(beside, PathBuf::from);
    let found = folder.join("data").is_dir();
    if !found {
        eprintln!("SKIPPED: no real data at {}; set BUGCHECK_SHARED", folder.display());
    }
    found.then_some(folder)
}

/// A file of the real data.
pub fn data(path: &str) -> Option<PathBuf> {
    Some(shared()?.join("data").join(path))
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
        let within = |driver: &bugcheck_dump::Driver| {
            address.checked_sub(driver.base.0).is_some_and(|rva| rva >= 0x1000 && rva < driver.size.into())
        };
        self.dump.triage().unwrap().drivers.iter().any(within)
    }
}

impl Images for Machine {
    fn image_at(&self, address: u64) -> Option<Image<'_>> {
        self.files.iter().filter_map(|(base, file)| Image::read(*base, file)).find(|image| image.rva(address).is_some())
    }
}
