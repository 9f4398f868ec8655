//! What the tests on real data share.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

pub mod simulated;

use bugcheck_dump::{Driver, Dump, FileBytes, Registers, VirtAddr};
use bugcheck_unwind::{Image, Images, Stack, pe};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the real data.
pub fn data(path: &str) -> Option<PathBuf> {
    bugcheck_testdata::shared_path(&format!("data/{path}"))
}

pub fn image_file(path: &Path) -> pe::File<FileBytes> {
    pe::File::parse(FileBytes::open(path).unwrap()).unwrap()
}

/// node-pty's Windows programs for a processor (`x64` or `arm64`), fetched by npm once and kept in the build folder.
pub fn node_pty(arch: &str) -> Vec<PathBuf> {
    const PACKAGE: &str = "node-pty@1.1.0";
    static FOLDER: std::sync::OnceLock<Result<PathBuf, String>> = std::sync::OnceLock::new();
    let fetched = FOLDER.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node-pty-1.1.0");
        if place.is_dir() {
            return Ok(place);
        }
        // Test programs run beside each other: each unpacks for itself, the first one wins.
        let work = place.with_extension(std::process::id().to_string());
        std::fs::create_dir_all(&work).map_err(|error| error.to_string())?;
        run(Command::new("npm").args(["pack", PACKAGE, "--silent"]).current_dir(&work))?;
        run(Command::new("tar").args(["xzf", "node-pty-1.1.0.tgz"]).current_dir(&work))?;
        if std::fs::rename(&work, &place).is_err() && !place.is_dir() {
            return Err("cannot keep the unpacked package".into());
        }
        Ok(place)
    });
    let folder = match fetched {
        Ok(folder) => folder.join("package/prebuilds").join(format!("win32-{arch}")),
        Err(why) => {
            bugcheck_testdata::skipped(&format!("npm pack {PACKAGE}: {why}"));
            return Vec::new();
        }
    };
    let files = [
        "conpty.node",
        "pty.node",
        "conpty_console_list.node",
        "winpty.dll",
        "winpty-agent.exe",
        "conpty/conpty.dll",
        "conpty/OpenConsole.exe",
    ];
    files.iter().map(|file| folder.join(file)).collect()
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
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
