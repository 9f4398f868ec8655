//! The programs that the laboratory needs, installed where they are missing.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Tools {
    /// What to start for QEMU, and the options that tell it where its firmware is.
    pub qemu: PathBuf,
    pub firmware: Vec<PathBuf>,
}

/// The version of clang and its companions; others were not tried.
const LLVM: &str = "19";

impl Tools {
    /// One of the LLVM programs, e.g. `lld-link`.
    pub(crate) fn llvm(name: &str) -> Command {
        Command::new(format!("{name}-{LLVM}"))
    }

    /// The emulator.
    pub(crate) fn qemu(&self) -> Command {
        let mut command = Command::new(&self.qemu);
        for folder in &self.firmware {
            command.arg("-L").arg(folder);
        }
        command
    }
}

/// Finds the programs, or installs Debian's packages. QEMU whose packages cannot be installed, because a part of another version
/// is there already, is unpacked into the work folder instead.
pub(crate) fn find_or_install(work: &Path) -> Tools {
    let works = |command: &mut Command| command.arg("--version").output().is_ok_and(|output| output.status.success());
    if !["clang", "lld-link", "llvm-symbolizer"].iter().all(|name| works(&mut Tools::llvm(name))) {
        let packages = ["clang", "lld", "llvm"].map(|package| format!("{package}-{LLVM}"));
        apt_get(&packages.iter().map(String::as_str).collect::<Vec<_>>());
    }
    if works(&mut Command::new("qemu-system-x86_64")) {
        return Tools { qemu: "qemu-system-x86_64".into(), firmware: Vec::new() };
    }
    let root = std::env::var_os("BUGCHECK_QEMU_ROOT").map_or_else(|| work.join("qemu"), PathBuf::from);
    let unpacked = Tools {
        qemu: root.join("usr/bin/qemu-system-x86_64"),
        firmware: ["usr/share/seabios", "usr/share/qemu", "usr/lib/ipxe/qemu"].map(|folder| root.join(folder)).to_vec(),
    };
    if works(&mut unpacked.qemu()) {
        return unpacked;
    }
    if install(&["qemu-system-x86"]) {
        return Tools { qemu: "qemu-system-x86_64".into(), firmware: Vec::new() };
    }
    unpack(&root);
    assert!(works(&mut unpacked.qemu()), "qemu-system-x86_64 does not run: install it, or name its unpacked root in BUGCHECK_QEMU_ROOT");
    unpacked
}

fn install(packages: &[&str]) -> bool {
    let apt = |arguments: &[&str]| Command::new("apt-get").args(arguments).status().is_ok_and(|status| status.success());
    // Nothing that is there may go: QEMU's packages would throw out tools of another version.
    apt(&["update", "-q"]) && apt(&[&["install", "-q", "-y", "--no-install-recommends", "--no-remove"], packages].concat())
}

fn apt_get(packages: &[&str]) {
    assert!(install(packages), "could not install {packages:?} (needs Debian and root)");
}

/// Downloads QEMU's own packages and unpacks them; its libraries are installed the usual way.
fn unpack(root: &Path) {
    const OWN: [&str; 5] = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios", "ipxe-qemu"];
    std::fs::create_dir_all(root).unwrap();
    let download = Command::new("apt-get").arg("download").args(OWN).current_dir(root).status().unwrap();
    assert!(download.success(), "could not download {OWN:?}");
    let depends = Command::new("apt-cache").args(["depends", "--no-recommends", "--no-suggests", OWN[0]]).output().unwrap();
    let text = String::from_utf8_lossy(&depends.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let libraries: Vec<&str> = names.filter(|name| !OWN.contains(name) && !name.starts_with('<')).collect();
    apt_get(&libraries);
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "deb") {
            let done = Command::new("dpkg").arg("-x").arg(&path).arg(root).status().unwrap();
            assert!(done.success(), "could not unpack {}", path.display());
        }
    }
}
