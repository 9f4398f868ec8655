//! PDBs of Microsoft's linker against another reader of them, and damaged ones.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use bugcheck_symbols::pdb::PdbFile;
use bugcheck_symbols::{Fit, ModuleSymbols, PdbId, SymbolKind, TypeRef, TypeSource, image};
use bugcheck_testdata::{shared_path, skipped};

const NODE_PTY: &str = "node-pty-1.1.0.tgz";

/// PDBs with their images, both of x64 and ARM64, from the npm package node-pty (MIT), which is fetched when first asked for.
fn node_pty() -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let fetch = || {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("node-pty");
        std::fs::create_dir_all(&folder).ok()?;
        let prebuilds = folder.join("package/prebuilds");
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).current_dir(&folder).output();
            output.is_ok_and(|output| output.status.success())
        };
        let there = prebuilds.is_dir() || (run("npm", &["pack", "node-pty@1.1.0"]) && run("tar", &["xzf", NODE_PTY]));
        there.then_some(prebuilds)
    };
    let found = FOLDER.get_or_init(fetch).clone();
    if found.is_none() {
        skipped("the npm package node-pty 1.1.0 cannot be fetched");
    }
    found
}

fn amdppm() -> Option<PathBuf> {
    shared_path("data/symbols/amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb")
}

#[test]
fn amdppm_s_identity_and_names() {
    let Some(path) = amdppm() else { return };
    let id = PdbId::from_key("1C19FDDB27BB3399D9B45973EFEAFCF31");
    let symbols = ModuleSymbols::from_pdb(&path, None, id).unwrap();
    assert_eq!(symbols.id(), id);
    assert_eq!(symbols.index().machine(), 0x8664);
    let wrong = ModuleSymbols::from_pdb(&path, None, PdbId::from_key("1C19FDDB27BB3399D9B45973EFEAFCF32")).unwrap_err().to_string();
    assert!(wrong.contains("amdppm.pdb") && wrong.contains("wanted are 1C19FDDB27BB3399D9B45973EFEAFCF32"), "{wrong}");
    // The age of the PDB itself, which a tool raised.
    assert!(ModuleSymbols::from_pdb(&path, None, PdbId::from_key("1C19FDDB27BB3399D9B45973EFEAFCF33")).is_ok());

    let write = symbols.index().find("WriteIoMemRawEx").unwrap();
    assert_eq!((write.rva, write.kind), (0x334c - 0x70, SymbolKind::Function));
    // The image names the same PDB.
    let Some(image) = shared_path("data/symbols/amdppm.sys/c9c030003b000/amdppm.sys") else { return };
    let exports = image::exports(&std::fs::read(image).unwrap()).unwrap();
    assert_eq!(exports.id(), id);
    assert_eq!(exports.machine(), 0x8664);
}

#[test]
fn functions_lines_and_inlined_functions_agree_with_pdb_addr2line() {
    use pdb_addr2line::{ContextPdbData, TypeFormatterFlags};
    let Some(folder) = node_pty() else { return };
    for name in ["win32-x64/conpty.pdb", "win32-arm64/conpty.pdb", "win32-x64/winpty-agent.pdb", "win32-arm64/pty.pdb"] {
        let path = folder.join(name);
        let symbols = ModuleSymbols::from_pdb(&path, None, None).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let data = ContextPdbData::try_from_pdb(pdb_addr2line::pdb::PDB::open(file).unwrap()).unwrap();
        let oracle = data.make_context_with_formatter_flags(TypeFormatterFlags::NAME_ONLY).unwrap();
        let (mut asked, mut inlined, mut folded, mut stricter, mut renamed) = (0, 0, 0, 0, 0);
        for function in oracle.functions() {
            let end = function.end_rva.unwrap_or(function.start_rva + 1);
            for rva in (function.start_rva..end).step_by(5) {
                let Ok(Some(expected)) = oracle.find_frames(rva) else { continue };
                asked += 1;
                let at = symbols.function_at(rva).unwrap();
                if expected.frames[0].function.is_none() {
                    // Code without a name.
                    assert_eq!(at.fit, Fit::Doubtful, "{name}: {rva:#x}: {at:?}");
                    continue;
                }
                assert_eq!(at.symbol.rva, expected.start_rva, "{name}: {rva:#x}: {at:?}");
                if symbols.index().names_at(expected.start_rva).filter(|symbol| symbol.size.is_some()).count() > 1 {
                    // Which of the functions that the linker folded into one is shown, is a matter of taste.
                    folded += 1;
                    continue;
                }
                let frames = symbols.source_at(rva);
                inlined += u32::from(frames.len() > 1);
                if frames.is_empty() && expected.frames.len() == 1 {
                    // A public or a thunk: neither has lines, the other takes the last line before, however far.
                    stricter += 1;
                    continue;
                }
                assert_eq!(frames.len(), expected.frames.len(), "{name}: {rva:#x}: {frames:?}");
                for (ours, theirs) in frames.iter().zip(&expected.frames) {
                    let names = (ours.function.as_deref().unwrap_or_default(), theirs.function.as_deref().unwrap_or_default());
                    renamed += u32::from(!names.1.contains(names.0));
                    if !names.1.contains(names.0) {
                        eprintln!("{names:?}");
                    }
                    let Some(line) = &ours.line else {
                        // No line covers the address.
                        stricter += 1;
                        continue;
                    };
                    assert_eq!((Some(&*line.file), Some(line.line)), (theirs.file.as_deref(), theirs.line), "{name}: {rva:#x}");
                }
            }
        }
        eprintln!(
            "{name}: {asked} addresses: {inlined} with inlined functions, {folded} folded, {stricter} without a line, {renamed} named otherwise"
        );
        assert!(asked > 10_000, "{name}: {asked}");
    }
}
