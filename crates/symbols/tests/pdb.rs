//! PDBs of Microsoft's linker against another reader of them, and damaged ones.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is wrong")]

use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use bugcheck_symbols::index::SymbolIndex;
use bugcheck_symbols::pdb::{self, PdbFile};
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
        assert!(asked > 10_000 && inlined > 10_000, "{name}: {asked}, {inlined}");
        assert!(stricter * 20 < asked && renamed == 0, "{name}: {stricter}, {renamed}");
    }
}

/// What llvm-pdbutil prints of a structure: its size and its fields (name, offset, bits).
type Printed = (u32, Vec<(String, u32, Option<(u8, u8)>)>);

/// A field in a list: its name, the number of its type, its offset.
type PrintedField = (String, u32, u32);

/// The structures that llvm-pdbutil prints, those with base classes or with fields in several lists left out.
fn printed_structures(text: &str) -> HashMap<String, Printed> {
    let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let after = |line: &str, mark: &str, end: char| {
        let rest = line.split_once(mark)?.1;
        Some(rest.split(end).next()?.trim().to_owned())
    };
    let mut lists: HashMap<u32, Option<Vec<PrintedField>>> = HashMap::new();
    let mut bits: HashMap<u32, (u8, u8)> = HashMap::new();
    let mut found = HashMap::new();
    let (mut record, mut kind, mut name, mut list) = (0, String::new(), String::new(), None);
    for line in text.lines() {
        if let Some((left, right)) = line.split_once(" | LF_").filter(|(left, _)| left.trim().starts_with("0x")) {
            record = number(left.trim()).unwrap();
            kind = right.split(' ').next().unwrap().to_owned();
            name = after(right, "`", '\n').unwrap_or_default().trim_end_matches('`').to_owned();
            if kind == "FIELDLIST" {
                lists.insert(record, Some(Vec::new()));
            }
        } else if kind == "FIELDLIST" {
            let member = || {
                let name = line.split_once("name = `")?.1.split('`').next()?.to_owned();
                Some((name, number(after(line, "Type = ", ' ')?.trim_end_matches(','))?, after(line, "offset = ", ',')?.parse().ok()?))
            };
            if line.contains("LF_BCLASS") || line.contains("LF_VBCLASS") || line.contains("LF_INDEX") || line.contains("LF_IVBCLASS") {
                lists.insert(record, None);
            } else if let (true, Some(Some(list))) = (line.contains("- LF_MEMBER"), lists.get_mut(&record)) {
                list.push(member().unwrap());
            }
        } else if kind == "BITFIELD" {
            let part = |mark| after(line, mark, ',')?.parse().ok();
            bits.extend(part("bit offset = ").zip(part("# bits = ")).map(|pair| (record, pair)));
        } else if matches!(kind.as_str(), "STRUCTURE" | "CLASS" | "UNION") {
            list = after(line, "field list: ", '\n').map_or(list, |text| number(&text));
            let size = after(line, "sizeof ", '\n').and_then(|size| size.parse().ok());
            if let Some(size) = size.filter(|_| line.contains("options:") && !line.contains("forward ref"))
                && let Some(Some(fields)) = list.take().and_then(|list| lists.get(&list))
            {
                let fields = fields.iter().map(|(name, holds, offset)| (name.clone(), *offset, bits.get(holds).copied())).collect();
                found.entry(name.clone()).or_insert((size, fields));
            }
        }
    }
    found
}

#[test]
fn types_agree_with_llvm_pdbutil() {
    let Some(folder) = node_pty() else { return };
    for name in ["win32-x64/conpty.pdb", "win32-arm64/winpty.pdb"] {
        let path = folder.join(name);
        let Ok(output) = Command::new("llvm-pdbutil").args(["dump", "-types"]).arg(&path).output() else {
            skipped("llvm-pdbutil is not installed");
            return;
        };
        let printed = printed_structures(&String::from_utf8_lossy(&output.stdout));
        let pdb = PdbFile::open(&path).unwrap();
        let types = pdb.types().unwrap();
        let (mut compared, mut fields, mut with_bits) = (0, 0, 0);
        for (name, (size, wanted)) in printed.iter().filter(|(name, _)| !name.contains("<unnamed-") && !name.contains('#')) {
            let Some(layout) = types.layout(name) else { panic!("{name} is missing") };
            let found: Vec<_> = layout
                .fields
                .iter()
                .map(|field| (field.name.clone(), field.offset, field.bits.map(|bits| (bits.position, bits.length))))
                .collect();
            assert_eq!((layout.size, &found), (*size, wanted), "{name}");
            compared += 1;
            fields += found.len();
            with_bits += found.iter().filter(|field| field.2.is_some()).count();
        }
        eprintln!("{name}: {compared} structures, {fields} fields, {with_bits} of bits");
        assert!(compared > 500 && with_bits > 50, "{name}: {compared}, {with_bits}");
    }
    let pdb = PdbFile::open(&folder.join("win32-x64/conpty.pdb")).unwrap();
    let types = pdb.types().unwrap();
    let links = types.locate("_LIST_ENTRY", "Blink").unwrap();
    assert_eq!((links.offset, links.size), (8, Some(8)));
    assert_eq!(links.holds, TypeRef::Pointer { to: Box::new(TypeRef::Struct("_LIST_ENTRY".to_owned())), size: 8 });
    let e_res2 = types.locate("_IMAGE_DOS_HEADER", "e_res2[9]").unwrap();
    assert_eq!((e_res2.offset, e_res2.size), (58, Some(2)));
    let constant = types.enumeration("JOB_OBJECT_IO_RATE_CONTROL_FLAGS").unwrap();
    assert_eq!(constant.name_of(4), Some("JOB_OBJECT_IO_RATE_CONTROL_FORCE_UNIT_ACCESS_ALL"));
}

#[test]
fn a_compressed_pdb_says_the_same() {
    let Some(path) = amdppm() else { return };
    let plain = PdbFile::open(&path).unwrap();
    let packed = PdbFile::from_bytes(compressed(&path)).unwrap();
    let (plain_index, packed_index) = (plain.index().unwrap(), packed.index().unwrap());
    assert_eq!(packed.id(), plain.id());
    let names = |index: &SymbolIndex| index.iter().map(|symbol| (symbol.raw.to_owned(), symbol.rva, symbol.kind)).collect::<Vec<_>>();
    assert_eq!(names(&plain_index), names(&packed_index));
    assert!(plain_index.len() > 500);
    assert_eq!(plain.types().unwrap().len(), packed.types().unwrap().len());
}

/// The streams of a PDB in an MSFZ container.
fn compressed(path: &Path) -> Vec<u8> {
    let msf = ms_pdb::msf::Msf::open(path).unwrap();
    let mut writer = ms_pdb::msfz::MsfzWriter::new(Cursor::new(Vec::new())).unwrap();
    writer.reserve_num_streams(msf.num_streams() as usize);
    for stream in (1..msf.num_streams()).filter(|&stream| msf.is_stream_valid(stream)) {
        writer.stream_writer(stream).unwrap().write_all(&msf.read_stream_to_vec(stream).unwrap()).unwrap();
    }
    writer.finish().unwrap().1.into_inner()
}

/// No panic, no endless loop and no great allocation, whatever the bytes.
#[test]
fn damaged_pdbs_are_survived() {
    let Some(path) = amdppm() else { return };
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    for good in [std::fs::read(&path).unwrap(), compressed(&path)] {
        for round in 0..120 {
            let mut bad = good.clone();
            match round % 4 {
                // The header, the directory, anywhere; or cut.
                0 => bad[0x20 + random(0x40)] = random(256) as u8,
                1 => {
                    let end = bad.len();
                    bad[end - 1 - random(0x2000)] = random(256) as u8;
                }
                2 => (0..64).for_each(|_| bad[random(good.len())] = random(256) as u8),
                _ => bad.truncate(random(good.len())),
            }
            pdb::fuzz(&bad);
        }
    }
    pdb::fuzz(&[]);
}
