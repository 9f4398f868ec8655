//! C and assembly → PE images with PDBs, the same bytes on every machine.

use crate::tools::Tools;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What was built.
#[derive(Debug)]
pub(crate) struct Built {
    /// Images and PDBs.
    pub bin: PathBuf,
    /// `lab/`.
    pub sources: PathBuf,
}

impl Built {
    /// The path of an image.
    pub(crate) fn image(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

const FLAGS: &[&str] = &[
    "--target=x86_64-pc-windows-msvc",
    "-O1",
    "-g",
    "-gcodeview",
    "-gno-codeview-command-line",
    "-fdebug-compilation-dir=.",
    "-ffreestanding",
    "-mno-stack-arg-probe",
    "-mno-red-zone",
    "-fms-extensions",
    // Without it -ffreestanding leaves out the unwind data.
    "-funwind-tables",
    // A store through a null pointer is what these drivers are about.
    "-fno-delete-null-pointer-checks",
    "-fno-optimize-sibling-calls",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Werror",
    // Pool tags are written as 'gaT '; members of the AT() structures lie where they lie.
    "-Wno-multichar",
    "-Wno-address-of-packed-member",
];

const LINK: &[&str] =
    &["/nologo", "/subsystem:native", "/debug", "/nodefaultlib", "/base:0x140000000", "/dynamicbase", "/brepro", "/pdbsourcepath:c:\\lab"];

/// Builds the kernel, then every driver against it.
pub(crate) fn everything(sources: &Path, bin: &Path) -> Built {
    let _ = std::fs::remove_dir_all(bin);
    std::fs::create_dir_all(bin).unwrap();
    let built = Built { bin: bin.to_owned(), sources: sources.to_owned() };
    boot_loader(&built);
    kernel(&built);
    let support = compile(&built, &sources.join("drivers/support/gs.c"), &[]);
    for driver in files(&sources.join("drivers"), "c") {
        image_of(&built, &driver, &support);
    }
    built
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?} failed");
}

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == end));
    files.sort();
    files
}

/// Compiles one file; paths inside the object begin at `lab/`.
fn compile(built: &Built, source: &Path, more: &[&str]) -> PathBuf {
    let relative = source.strip_prefix(&built.sources).unwrap();
    let name = relative.to_string_lossy().replace(['/', '.'], "-");
    let object = built.bin.join(format!("{name}.obj"));
    // The object's name is part of the debug data; its folder must not be.
    let recorded = format!("-object-file-name={name}.obj");
    let mut clang = Tools::llvm("clang");
    clang.current_dir(&built.sources).args(FLAGS).args(more).args(["-Xclang", &recorded, "-I", "kernel", "-c"]);
    run(clang.arg(relative).arg("-o").arg(&object));
    object
}

/// The 32-bit part, as bytes to be loaded at its address.
fn boot_loader(built: &Built) {
    let object = built.bin.join("boot.o");
    run(Tools::llvm("clang").args(["--target=i386-none-elf", "-c"]).arg(built.sources.join("kernel/boot.s")).arg("-o").arg(&object));
    run(Tools::llvm("llvm-objcopy").args(["-O", "binary", "--only-section=.text"]).arg(&object).arg(built.image("boot.bin")));
}

fn kernel(built: &Built) {
    let folder = built.sources.join("kernel");
    let c = files(&folder, "c").into_iter().map(|file| compile(built, &file, &["-DLAB_KERNEL"]));
    let assembly = ["trap.s", "context.s"].map(|file| folder.join(file));
    let s = assembly.iter().map(|file| {
        let object = built.bin.join(file.file_name().unwrap()).with_extension("s.obj");
        run(Tools::llvm("clang").arg(FLAGS[0]).arg("-c").arg(file).arg("-o").arg(&object));
        object
    });
    let objects: Vec<PathBuf> = c.chain(s).collect();
    let mut link = Tools::llvm("lld-link");
    link.current_dir(&built.bin).args(LINK).args([
        "/pdb:ntkrnlmp.pdb",
        "/pdbaltpath:ntkrnlmp.pdb",
        "/entry:KiSystemStartup",
        "/export:KeBugCheckEx",
    ]);
    link.args(["/out:ntoskrnl.exe", "/implib:ntoskrnl.lib"]).args(objects.iter().map(|object| object.file_name().unwrap()));
    run(&mut link);
}

fn image_of(built: &Built, source: &Path, support: &Path) {
    let name = source.file_stem().unwrap().to_string_lossy().into_owned();
    let object = compile(built, source, &["-fstack-protector"]);
    let mut link = Tools::llvm("lld-link");
    link.current_dir(&built.bin).args(LINK).args(["/driver", "/entry:GsDriverEntry"]);
    link.args([format!("/pdb:{name}.pdb"), format!("/pdbaltpath:{name}.pdb"), format!("/out:{name}.sys")]);
    run(link.args([&object, support].map(|object| object.file_name().unwrap())).arg("ntoskrnl.lib"));
}
