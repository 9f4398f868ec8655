//! The kernel's names, types and identity, on real dumps.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is wrong")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bugcheck_dump::Dump;
use bugcheck_symbols::index::SymbolIndex;
use bugcheck_symbols::isf::IsfFile;
use bugcheck_symbols::isf::proof::{Choice, Claim, Contradiction, ENOUGH, Evidence, choose, debugger_data, prove};
use bugcheck_symbols::{Bits, Fit, ModuleSymbols, PdbId, TypeRef};
use bugcheck_testdata::shared_path;

const RIZIN: &str = "5278AFF86C341677D7D7835C85B7B844-1.json.xz";
const APPOSTARSI: &str = "89284D0CA6ACC8274B9A44BD5AF9290B-1.json.xz";

fn isf(name: &str) -> Option<PathBuf> {
    shared_path(&format!("data/isf/ntkrnlmp.pdb/{name}"))
}

/// What a minidump says about its kernel.
fn evidence(path: &Path) -> Evidence {
    let dump = Dump::open(path).unwrap();
    let triage = dump.triage().unwrap();
    let kernel = &triage.drivers[0];
    let block = triage.debugger_data.as_ref().unwrap();
    let mut claims: Vec<Claim> = debugger_data(block.fields()).collect();
    let header = dump.header();
    claims.push(Claim::new("KdDebuggerDataBlock", header.kd_debugger_data_block.0));
    // The exception record in the header is the breakpoint at the bug check.
    let at = dump.header_exception().filter(|record| record.code == 0x8000_0003).map(|record| record.address);
    claims.extend(at.map(|at| Claim::new("KeBugCheckEx", at)));
    Evidence { base: kernel.base.0, size_of_image: Some(kernel.size), claims, return_addresses: Vec::new() }
}

/// The frames that rizin printed for triage_x64.dmp: address, module, function, offset.
fn rizin_frames() -> Option<Vec<(u64, String, String, u32)>> {
    let text = std::fs::read_to_string(shared_path("data/expected/rizin_test_db_formats_dmp.txt")?).unwrap();
    let start = text.find("0  0xfffff8047bdf5a80").unwrap();
    let frame = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let address = u64::from_str_radix(words[1].strip_prefix("0x")?, 16).ok()?;
        let (module, name) = words.get(6)?.strip_prefix("pdb.")?.split_once('.')?;
        let (name, offset) = name.split_once('+').unwrap_or((name, "0"));
        Some((address, module.to_owned(), name.to_owned(), offset.parse().ok()?))
    };
    Some(text[start..].lines().map_while(frame).collect())
}

#[test]
fn each_dump_proves_its_own_kernel_and_rejects_the_other() {
    let (Some(rizin), Some(appostarsi)) = (isf(RIZIN), isf(APPOSTARSI)) else { return };
    let files: Vec<ModuleSymbols> = [rizin, appostarsi].iter().map(|path| ModuleSymbols::from_isf(path, None, None).unwrap()).collect();
    let indexes: Vec<&SymbolIndex> = files.iter().map(ModuleSymbols::index).collect();
    let dumps: Vec<PathBuf> = bugcheck_testdata::real_dumps();
    let mut proved = 0;
    for path in dumps
        .iter()
        .filter(|path| path.to_string_lossy().contains("Appostarsi") || path.ends_with("rizinorg_rizin-testbins__triage_x64.dmp"))
    {
        let own = usize::from(path.to_string_lossy().contains("Appostarsi"));
        let evidence = evidence(path);
        let matches: Vec<_> = indexes.iter().map(|index| prove(index, &evidence)).collect();
        eprintln!(
            "{}: own {} agree, {} unknown; other {} agree, {:?}",
            path.display(),
            matches[own].score,
            matches[own].unknown,
            matches[1 - own].score,
            matches[1 - own].contradictions.first()
        );
        assert_eq!(matches[own].contradictions, [], "{}", path.display());
        assert!(matches[own].score >= 30, "{matches:?}");
        assert!(!matches[1 - own].contradictions.is_empty());
        assert_eq!(choose(&indexes, &evidence, &[]), Choice::Found(own), "{}", path.display());
        proved += 1;
    }
    assert_eq!(proved, 6);
    // No other dump has one of these kernels.
    for path in dumps
        .iter()
        .filter(|path| !path.to_string_lossy().contains("Appostarsi") && !path.ends_with("rizinorg_rizin-testbins__triage_x64.dmp"))
    {
        let Ok(dump) = Dump::open(path) else { continue };
        if dump.triage().is_some_and(|triage| triage.debugger_data.is_some() && !triage.drivers.is_empty()) {
            assert_eq!(choose(&indexes, &evidence(path), &[]), Choice::None, "{}", path.display());
        }
    }
}

#[test]
fn one_contradiction_or_too_little_evidence_rejects() {
    let (Some(rizin), Some(dump)) = (isf(RIZIN), shared_path("data/dumps/rizinorg_rizin-testbins__triage_x64.dmp")) else { return };
    let symbols = ModuleSymbols::from_isf(&rizin, None, None).unwrap();
    let good = evidence(&dump);
    let index = symbols.index();

    // Return addresses that rizin found fit.
    let Some(frames) = rizin_frames() else { return };
    let returns = frames.iter().filter(|frame| frame.1 == "ntkrnlmp").skip(1).map(|frame| frame.0).collect();
    let with_returns = Evidence { return_addresses: returns, ..good.clone() };
    assert!(prove(index, &with_returns).holds(), "{:?}", prove(index, &with_returns));

    let beginning = Evidence { return_addresses: vec![good.base + 0x3f_5a80], ..good.clone() };
    assert_eq!(
        prove(index, &beginning).contradictions,
        [Contradiction::ReturnsToBeginning { name: "KeBugCheckEx".to_owned(), rva: 0x3f_5a80 }]
    );
    let moved =
        Evidence { claims: [good.claims.clone(), vec![Claim::new("KeBugCheckEx", good.base + 0x3f_5a81)]].concat(), ..good.clone() };
    assert_eq!(
        prove(index, &moved).contradictions,
        [Contradiction::Elsewhere { name: "KeBugCheckEx".to_owned(), dump: 0x3f_5a81, file: 0x3f_5a80 }]
    );
    let small = Evidence { size_of_image: Some(0xc1_0000), ..good.clone() };
    assert!(prove(index, &small).contradictions.iter().any(|why| matches!(why, Contradiction::BehindImage { .. })));
    let few = Evidence { claims: good.claims.iter().filter(|claim| claim.names[0].starts_with("Ps")).cloned().collect(), ..good.clone() };
    assert!(prove(index, &few).score < ENOUGH && !prove(index, &few).holds());

    // Two files that fit and name something differently: neither may be used.
    let mut json = unpack(&rizin);
    json = json
        .replace("5278AFF86C341677D7D7835C85B7B844", "00000000000000000000000000000001")
        .replace("\"IofCallDriver\"", "\"IofCallDrivel\"");
    let (_, other) = IsfFile::from_bytes(json.into_bytes()).unwrap();
    let call = good.base + u64::from(index.rva_of("IofCallDriver").unwrap()) + 0x55;
    assert_eq!(choose(&[index, &other], &good, &[call]), Choice::Ambiguous(vec![0, 1]));
    assert_eq!(choose(&[index, &other], &good, &[good.base + 0x3f_5a90]), Choice::Found(0));
}

fn unpack(path: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    std::io::Read::read_to_string(&mut lzma_rust2::XzReader::new(file, false), &mut text).unwrap();
    text
}

#[test]
fn rizin_s_frames_have_rizin_s_names() {
    let (Some(frames), Some(nt)) = (rizin_frames(), isf(RIZIN)) else { return };
    let Some(amdppm) = shared_path("data/symbols/amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb") else { return };
    let nt = ModuleSymbols::from_isf(&nt, None, None).unwrap();
    let amdppm = ModuleSymbols::from_pdb(&amdppm, None, PdbId::from_key("1C19FDDB27BB3399D9B45973EFEAFCF31")).unwrap();
    assert_eq!(frames.len(), 36);
    let mut named = HashMap::new();
    for (address, module, name, offset) in &frames {
        let (base, symbols) = match module.as_str() {
            "ntkrnlmp" => (0xffff_f804_7ba0_0000, &nt),
            "amdppm" => (0xffff_f804_8b58_0000, &amdppm),
            _ => continue,
        };
        let rva = u32::try_from(address - base).unwrap();
        let at = symbols.function_at(rva).unwrap();
        eprintln!("{module} {name}+{offset:#x}: {}+{:#x} {:?}", at.symbol.name(), at.offset, at.fit);
        if name.starts_with("string_") {
            // Rizin printed the name of a string 0x1611 bytes below. It is not the name of code.
            assert!(!at.symbol.raw.starts_with("??_C@"));
            assert_eq!(at.fit, Fit::Doubtful);
            continue;
        }
        // Rizin prints one of several names of an address, or that of a label before a nearer one.
        let same = at.symbol.raw == name && at.offset == *offset;
        let beginning = rva - offset;
        let alias = symbols.index().names_at(beginning).any(|symbol| symbol.raw == name);
        assert!(same || alias, "{name}+{offset} is {at:?}");
        assert_ne!(at.fit, Fit::Doubtful, "{name}");
        *named.entry(module.clone()).or_insert(0) += 1;
    }
    assert_eq!((named["ntkrnlmp"], named["amdppm"]), (19, 6));
}

#[test]
fn types_of_the_kernel_are_those_of_the_file() {
    let Some(path) = isf(RIZIN) else { return };
    let symbols = ModuleSymbols::from_isf(&path, None, None).unwrap();
    let types = symbols.types().unwrap();
    // Offsets of Windows 10 2004 x64 (Vergilius, 10.0.19041).
    let process = types.locate("_KTHREAD", "ApcState.Process").unwrap();
    assert_eq!((process.offset, process.size), (0xb8, Some(8)));
    assert_eq!(process.holds, TypeRef::Pointer { to: Box::new(TypeRef::Struct("_KPROCESS".to_owned())), size: 8 });
    assert_eq!(types.locate("_EPROCESS", "ImageFileName").unwrap().offset, 0x5a8);
    let letters = types.locate("_EPROCESS", "ImageFileName[3]").unwrap();
    assert_eq!((letters.offset, letters.size), (0x5ab, Some(1)));
    assert_eq!(types.locate("_EPROCESS", "ImageFileName[15]"), None);
    let write = types.locate("_MMPTE_HARDWARE", "Write").unwrap();
    assert_eq!(write.bits, Some(Bits { position: 11, length: 1 }));
    assert_eq!(types.enumeration("_POOL_TYPE").unwrap().name_of(1), Some("PagedPool"));
    assert_eq!(types.layout("_LIST_ENTRY").unwrap().size, 16);
    assert!(types.layout("_NO_SUCH_TYPE").is_none());

    let kernel = symbols.index();
    assert_eq!(kernel.rva_of("KeBugCheckEx"), Some(0x3f_5a80));
    assert_eq!(kernel.rva_of("_CmAddDeviceToContainer"), Some(7_609_380));
}

#[test]
fn an_isf_index_is_kept_and_read_again() {
    let Some(path) = isf(RIZIN) else { return };
    let folder = tempfile::tempdir().unwrap();
    let first = ModuleSymbols::from_isf(&path, Some(folder.path()), None).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let again = ModuleSymbols::from_isf(&path, Some(folder.path()), None).unwrap();
    assert_eq!(first.index().as_bytes(), again.index().as_bytes());
    assert_eq!(again.types().unwrap().layout("_LIST_ENTRY").unwrap().size, 16);
    let wrong = ModuleSymbols::from_isf(&path, Some(folder.path()), PdbId::new("89284D0CA6ACC8274B9A44BD5AF9290B", 1));
    assert!(wrong.unwrap_err().to_string().contains("wanted are 89284D0C"));
}

/// No panic and no great allocation, whatever the bytes; errors say what is wrong and where.
#[test]
fn damaged_isf_files_are_survived() {
    let small = r#"{"metadata": {"windows": {"pdb": {"GUID": "5278AFF86C341677D7D7835C85B7B844", "age": 1, "machine_type": 34404}}},
        "base_types": {"int": {"size": 4, "signed": true}, "pointer": {"size": 8}},
        "symbols": {"f": {"address": 16, "linkage_name": "?f@@YAXXZ"}, "g": {"address": 4294967296}},
        "enums": {"E": {"size": 4, "constants": {"a": -1}}},
        "user_types": {"S": {"kind": "struct", "size": 8, "fields": {
            "b": {"offset": 4, "type": {"kind": "bitfield", "bit_position": 3, "bit_length": 5, "type": {"kind": "base", "name": "int"}}},
            "a": {"offset": 0, "type": {"kind": "array", "count": 4294967295, "subtype": {"kind": "struct", "name": "S"}}}}}}}"#;
    let (file, index) = IsfFile::from_bytes(small.as_bytes().to_vec()).unwrap();
    assert_eq!(index.find("?f@@YAXXZ").unwrap().name(), "f");
    assert_eq!(index.len(), 1, "an address that is no RVA is passed over");
    let layout = bugcheck_symbols::TypeSource::layout(&**file.types().unwrap(), "S").unwrap();
    assert_eq!(layout.fields[1].bits, Some(Bits { position: 3, length: 5 }));
    for at in 0..small.len() {
        let mut bad = small.as_bytes().to_vec();
        bad[at] ^= 1;
        bugcheck_symbols::isf::fuzz(&bad);
        bugcheck_symbols::isf::fuzz(&bad[..at]);
    }
    let deep = format!(
        r#"{{"user_types": {{"S": {{"size": 1, "fields": {{"a": {{"offset": 0, "type": {}"#,
        r#"{"kind": "pointer", "subtype": "#.repeat(100_000)
    );
    bugcheck_symbols::isf::fuzz(deep.as_bytes());
    assert_eq!(
        IsfFile::from_bytes(b"{\"symbols\": 1}".to_vec()).unwrap_err().to_string(),
        "ISF: invalid type: integer `1`, expected an object at line 1 column 13 at offset 0xd: the file is damaged or of another kind, fetch it again"
    );

    // Packed: every byte of the beginning and the end, some between.
    let Some(path) = isf(RIZIN) else { return };
    let packed = std::fs::read(path).unwrap();
    for at in
        (0..40).step_by(3).chain((40..packed.len() - 40).step_by(packed.len() / 4)).chain((packed.len() - 40..packed.len()).step_by(7))
    {
        let mut bad = packed[..packed.len().min(60_000.max(at + 1))].to_vec();
        bad[at] ^= 0x41;
        bugcheck_symbols::isf::fuzz(&bad);
    }
}
