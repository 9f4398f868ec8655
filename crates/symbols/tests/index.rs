//! The index of names: what goes in comes out, and nothing damaged is believed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is wrong")]

use bugcheck_dump::FileBytes;
use bugcheck_symbols::index::{IndexBuilder, Origin, Section, SymbolIndex};
use bugcheck_symbols::{Fit, ModuleSymbols, PdbId, SymbolKind};
use bugcheck_testdata::shared_path;
use proptest::prelude::*;

const TEXT: Section = Section { rva: 0x1000, size: 0x1000, executable: true };
const RDATA: Section = Section { rva: 0x3000, size: 0x1000, executable: false };

fn example() -> SymbolIndex {
    let mut builder = IndexBuilder::new(&[RDATA, TEXT]);
    builder.add(b"f", 0x1010, 0x20, SymbolKind::Function);
    builder.add(b"?f@@YAXXZ", 0x1010, 0, SymbolKind::Function);
    builder.add(b"f", 0x1010, 0, SymbolKind::Public);
    builder.add(b"label", 0x1100, 0, SymbolKind::Public);
    builder.add(b"??_C@_0BA@ABCDEFGH@text?$AA@", 0x1200, 0, SymbolKind::Public);
    builder.add(b"table", 0x3010, 0, SymbolKind::Data);
    builder.add(b"bad\x1b[2Jname", 0x1800, 0, SymbolKind::Function);
    builder.finish(Origin::Pdb, PdbId::new("000102030405060708090A0B0C0D0E0F", 1), 0x8664, 4096).unwrap()
}

#[test]
fn addresses_in_code_are_never_named_after_data() {
    let index = example();
    let name = |rva| index.function_at(rva).map(|at| (at.symbol.raw, at.offset, at.fit));
    assert_eq!(name(0xfff), None);
    assert_eq!(name(0x1000), None, "below the first name");
    assert_eq!(name(0x1010), Some(("f", 0, Fit::Inside)));
    assert_eq!(name(0x102f), Some(("f", 0x1f, Fit::Inside)));
    assert_eq!(name(0x1030), Some(("f", 0x20, Fit::Doubtful)), "behind its end");
    assert_eq!(name(0x11ff), Some(("label", 0xff, Fit::Nearest)));
    assert_eq!(name(0x1210), Some(("label", 0x110, Fit::Doubtful)), "a string lies between");
    assert_eq!(name(0x3010), None, "no code");
    assert_eq!(name(0x2800), None, "between the sections");
    assert_eq!(index.symbol_at(0x3018).unwrap().symbol.raw, "table");
    assert_eq!(index.symbol_at(0x3008), None, "names do not reach into another section");
    assert_eq!(index.symbol_at(0x1204).unwrap().symbol.kind, SymbolKind::Data);
    assert_eq!(name(0x1800).unwrap().0, "bad\u{fffd}[2Jname");
}

#[test]
fn names_lead_to_addresses_and_aliases_are_kept() {
    let index = example();
    assert_eq!(index.len(), 6, "the same name at the same address counts once");
    assert_eq!(index.rva_of("f"), Some(0x1010));
    assert_eq!(index.find("f").unwrap().size, Some(0x20));
    assert_eq!(index.rva_of("table"), Some(0x3010));
    assert_eq!(index.rva_of("tabl"), None);
    assert_eq!(index.rva_of("zzz"), None);
    let names: Vec<&str> = index.names_at(0x1010).map(|symbol| symbol.raw).collect();
    assert_eq!(names, ["f", "?f@@YAXXZ"]);
    assert_eq!(index.with_prefix("l").map(|symbol| symbol.rva).collect::<Vec<_>>(), [0x1100]);
    assert_eq!(index.find("?f@@YAXXZ").unwrap().name(), "f");
    assert_eq!(index.id().unwrap().to_string(), "000102030405060708090A0B0C0D0E0F1");
}

#[test]
fn every_damaged_byte_is_noticed() {
    let good = example().as_bytes().to_vec();
    assert!(SymbolIndex::parse(FileBytes::Held(good.clone())).is_ok());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(SymbolIndex::parse(FileBytes::Held(bad)).is_err(), "byte {at:#x}");
        assert!(SymbolIndex::parse(FileBytes::Held(good[..at].to_vec())).is_err(), "cut at {at:#x}");
    }
    bugcheck_symbols::index::fuzz(&good);
}

#[test]
fn a_cached_index_that_is_damaged_or_of_another_version_is_built_again() {
    let Some(pdb) = shared_path("data/symbols/amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb") else { return };
    let folder = tempfile::tempdir().unwrap();
    let open = || ModuleSymbols::from_pdb(&pdb, Some(folder.path()), None).unwrap();
    let first = open().index().as_bytes().to_vec();
    let kept = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    assert_eq!(kept.file_name().unwrap(), "1C19FDDB27BB3399D9B45973EFEAFCF31-pdb-a4c00.v1.symbols");
    assert_eq!(std::fs::read(&kept).unwrap(), first);
    for damage in [0x08, 0x30, 0x80, first.len() - 1] {
        let mut bad = first.clone();
        bad[damage] ^= 1;
        std::fs::write(&kept, bad).unwrap();
        assert_eq!(open().index().as_bytes(), first);
        assert_eq!(std::fs::read(&kept).unwrap(), first, "mended on disk");
    }
    std::fs::write(&kept, b"").unwrap();
    assert_eq!(open().index().as_bytes(), first);

    // A sound index of another module under this name is not believed.
    std::fs::write(&kept, example().as_bytes()).unwrap();
    assert_eq!(open().index().as_bytes(), first);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");

    // A folder that cannot be made costs the cache, not the answer.
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    assert_eq!(ModuleSymbols::from_pdb(&pdb, Some(&file), None).unwrap().index().as_bytes(), first);
}

/// Found by fuzzing: addresses and sections out of order under a checksum that fits.
#[test]
fn an_index_out_of_order_is_survived() {
    let mut bytes = example().as_bytes().to_vec();
    for at in [0x48, 0x54, 0x60, 0x64, 0x68] {
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        bugcheck_symbols::index::fuzz(&bytes);
    }
}

proptest! {
    /// Against the plainest possible search.
    #[test]
    fn lookups_agree_with_a_linear_search(names in proptest::collection::btree_map("[a-zA-Z_?@$]{1,20}", (0u32..0x400, any::<bool>()), 0..60)) {
        let mut builder = IndexBuilder::new(&[]);
        for (name, (rva, code)) in &names {
            builder.add(name.as_bytes(), *rva, 0, if *code { SymbolKind::Function } else { SymbolKind::Data });
        }
        let index = builder.finish(Origin::Isf, None, 0, 0).unwrap();
        prop_assert_eq!(index.len(), names.len());
        for (name, (rva, _)) in &names {
            prop_assert_eq!(index.rva_of(name), Some(*rva));
        }
        for rva in 0..0x400 {
            let nearest = |code: bool| names.values().filter(|(at, kind)| *at <= rva && (*kind || !code)).map(|(at, _)| *at).max();
            prop_assert_eq!(index.function_at(rva).map(|at| at.symbol.rva), nearest(true));
            prop_assert_eq!(index.symbol_at(rva).map(|at| at.symbol.rva), nearest(false));
        }
    }

    #[test]
    fn arbitrary_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0x28usize..0x48, value in any::<u8>()) {
        bugcheck_symbols::index::fuzz(&bytes);
        let mut near = example().as_bytes().to_vec();
        near[at] = value;
        for (to, from) in near[0x48..].iter_mut().zip(&bytes) {
            *to ^= from & 0x11;
        }
        bugcheck_symbols::index::fuzz(&near);
    }
}
