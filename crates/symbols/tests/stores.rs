//! Folders and stores on disk, packs, and files that are not what they say. No network, and no server either.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is wrong")]

mod common;

use bugcheck_symbols::pack::{self, PackError};
use bugcheck_symbols::store::{Limits, Origin, Why, fuzz};
use bugcheck_symbols::{Container, Finder, Found, Guid, Missing, Policy, Request, Settings, SymbolPath};
use common::*;
use std::io::Write;
use std::path::Path;
use tempfile::tempdir;

const PLACE: &str = "driver.pdb/112233445566778899AABBCCDDEEFF001/driver.pdb";

fn find(path: &str) -> Result<Found, Missing> {
    finder(path, Settings::default()).find(&wanted_pdb())
}

fn why(outcome: Result<Found, Missing>) -> Vec<Why> {
    outcome.unwrap_err().reasons.into_iter().map(|reason| reason.why).collect()
}

#[test]
fn every_layout_of_a_folder_is_searched() {
    let contents = pdb(GUID, 1, 10);
    for place in [
        "driver.pdb",
        "DRIVER.PDB",
        "driver.pdb/driver.pdb",
        "sys/driver.pdb",
        "symbols/dll/driver.pdb",
        "Symbols/EXE/Driver.pdb",
        PLACE,
        "Driver.pdb/112233445566778899aabbccddeeff001/driver.PDB",
    ] {
        let root = tempdir().unwrap();
        let path = put(root.path(), place, &contents);
        let found = find(root.path().to_str().unwrap()).unwrap();
        assert_eq!((&found.path, found.container, found.origin), (&path, Container::Plain, Origin::Disk(path.clone())), "{place}");
    }
    for place in ["driver.pdb", "symbols/sys/driver.pdb"] {
        let root = tempdir().unwrap();
        put(root.path(), place, &contents);
        assert!(find(&format!("srv*{}", root.path().display())).is_err(), "{place} is no place in a store");
    }
}

#[test]
fn a_two_tier_store_is_searched_by_first_letters() {
    let root = tempdir().unwrap();
    let path = put(root.path(), &format!("dr/{PLACE}"), &pdb(GUID, 1, 10));
    assert!(find(&format!("srv*{}", root.path().display())).is_err());
    put(root.path(), "index2.txt", b"");
    for text in [format!("srv*{}", root.path().display()), root.path().display().to_string()] {
        assert_eq!(find(&text).unwrap().path, path);
    }
}

#[test]
fn msfz_beside_is_found() {
    let root = tempdir().unwrap();
    let path = put(root.path(), &PLACE.replace("/driver.pdb", "/msfz0/driver.pdb"), &msfz(GUID, 1));
    let found = find(root.path().to_str().unwrap()).unwrap();
    assert_eq!((found.path, found.container), (path, Container::Msfz));
}

#[test]
fn images_are_searched_along_both_paths() {
    let (symbols, images) = (tempdir().unwrap(), tempdir().unwrap());
    let path = |root: &Path| SymbolPath::parse(root.to_str().unwrap());
    let finder = Finder::new(&path(symbols.path()), &path(images.path()), Settings::default());
    let in_symbols = put(symbols.path(), "driver.sys", &image(TIMESTAMP, SIZE_OF_IMAGE));
    assert_eq!(finder.find(&wanted_image()).unwrap().path, in_symbols);
    let in_images = put(images.path(), "driver.sys/5f0012345000/driver.sys", &image(TIMESTAMP, SIZE_OF_IMAGE));
    assert_eq!(finder.find(&wanted_image()).unwrap().path, in_images);
    put(images.path(), "driver.pdb", &pdb(GUID, 1, 10));
    assert!(finder.find(&wanted_pdb()).is_err(), "PDBs are not looked for along the image path");
}

#[test]
fn a_wrong_file_is_named_and_the_search_goes_on() {
    let (wrong, right) = (tempdir().unwrap(), tempdir().unwrap());
    put(wrong.path(), "driver.pdb", &pdb(Guid(7), 1, 10));
    put(wrong.path(), "driver.sys", &image(TIMESTAMP, 0x6000));
    put(wrong.path(), "sys/driver.pdb", b"");
    put(right.path(), "driver.pdb", &pdb(GUID, 1, 10));
    let path = format!("{};{}", wrong.path().display(), right.path().display());
    assert_eq!(find(&path).unwrap().path, right.path().join("driver.pdb"));
    let reasons = why(find(wrong.path().to_str().unwrap()));
    assert!(
        matches!(&reasons[..], [Why::Wrong(guid), Why::Wrong(empty)] if guid.contains("another build") && empty.contains("empty")),
        "{reasons:?}"
    );
    let image = finder(wrong.path().to_str().unwrap(), Settings::default()).find(&wanted_image());
    assert!(image.unwrap_err().reasons[0].to_string().contains("0x6000"));
    assert!(why(find("/nowhere;srv*/nowhere/else")).is_empty());
}

#[test]
fn a_packed_file_is_unpacked_into_the_cache() {
    let (store, cache) = (tempdir().unwrap(), tempdir().unwrap());
    let contents = pdb(GUID, 1, 200);
    put(store.path(), &PLACE.replace("/driver.pdb", "/driver.pd_"), &cabinet("driver.pdb", &contents));
    assert_eq!(why(find(store.path().to_str().unwrap())), [Why::NoCache]);
    let expected = cache.path().join(PLACE);
    let path = format!("cache*{};{}", cache.path().display(), store.path().display());
    assert_eq!(find(&path).unwrap().path, expected);
    assert!(std::fs::read(&expected).unwrap() == contents);
    assert_eq!(visible(cache.path()), [PLACE]);
    assert_eq!(visible(store.path()).len(), 1, "the store itself is left alone");

    std::fs::remove_dir_all(cache.path()).unwrap();
    let settings = Settings { default_cache: Some(cache.path().to_owned()), ..Settings::default() };
    assert_eq!(finder(store.path().to_str().unwrap(), settings).find(&wanted_pdb()).unwrap().path, expected);
}

#[test]
fn a_packed_file_that_is_wrong_or_too_large_leaves_nothing_behind() {
    for (contents, limit, word) in [
        (pdb(Guid(7), 1, 100), u64::MAX, "another build"),
        (pdb(GUID, 1, 100), 50_000, "over the limit"),
        (vec![0; 50], u64::MAX, "no PDB"),
    ] {
        let (store, cache) = (tempdir().unwrap(), tempdir().unwrap());
        put(store.path(), &PLACE.replace("/driver.pdb", "/driver.pd_"), &cabinet("driver.pdb", &contents));
        let limits = Limits { file: limit, ..Limits::default() };
        let path = format!("srv*{}*{}", cache.path().display(), store.path().display());
        let reasons = why(finder(&path, Settings { limits, ..Settings::default() }).find(&wanted_pdb()));
        assert!(matches!(&reasons[..], [Why::Wrong(text)] if text.contains(word)), "{reasons:?}");
        assert!(visible(cache.path()).is_empty());
    }
}

#[test]
fn upstream_stores_are_copied_to_the_nearer_one() {
    let (near, far) = (tempdir().unwrap(), tempdir().unwrap());
    put(far.path(), PLACE, &pdb(GUID, 1, 10));
    let found = find(&format!("srv*{}*{}", near.path().display(), far.path().display())).unwrap();
    assert_eq!((found.path, found.origin), (near.path().join(PLACE), Origin::Disk(far.path().join(PLACE))));
    // A nearer store that cannot be written is passed over.
    let blocked = put(near.path(), "blocked", b"a file, not a folder");
    let found = find(&format!("srv*{}*{}", blocked.display(), far.path().display())).unwrap();
    assert_eq!(found.path, far.path().join(PLACE));
}

#[test]
fn a_pointer_leads_to_the_file_it_is_for_and_nowhere_else() {
    let (store, target) = (tempdir().unwrap(), tempdir().unwrap());
    let at = |name: &str| target.path().join(name).display().to_string();
    put(target.path(), "driver.pdb", &pdb(GUID, 1, 10));
    put(target.path(), "secret.txt", b"secret");
    put(target.path(), "wrong/driver.pdb", &pdb(Guid(7), 1, 10));
    let follow = |text: String| {
        put(store.path(), &PLACE.replace("/driver.pdb", "/file.ptr"), text.as_bytes());
        find(&format!("srv*{}", store.path().display()))
    };
    assert_eq!(follow(format!("PATH:{}", at("driver.pdb"))).unwrap().path, target.path().join("driver.pdb"));
    for (text, word) in [
        (format!("PATH:{}", at("secret.txt")), "not followed"),
        ("PATH:driver.pdb".to_owned(), "not followed"),
        (format!("PATH:{}", at("wrong/../driver.pdb")), "not followed"),
        (format!("PATH:{}", at("absent/driver.pdb")), "where there is none"),
        (format!("PATH:{}", at("wrong/driver.pdb")), "another build"),
        ("MSG:archived in 2019".to_owned(), "archived in 2019"),
        (String::new(), "no pointer"),
    ] {
        let missing = follow(text).unwrap_err();
        assert!(missing.reasons[0].to_string().contains(word), "{missing:?}");
    }
    assert_eq!(why(follow(r"PATH:\\host\share\driver.pdb".to_owned())), [Why::Offline]);
}

#[test]
fn shares_count_as_network() {
    let missing = find(r"\\host\share;srv*C:\a*\\other\share;\\?\UNC\third\x").unwrap_err();
    assert_eq!(missing.would_help().collect::<Vec<_>>(), [r"\\host\share", r"\\other\share", r"\\?\UNC\third\x"]);
}

#[test]
#[cfg(not(windows))]
fn folders_of_windows_are_not_made_up_on_other_systems() {
    let (far, cache) = (tempdir().unwrap(), tempdir().unwrap());
    put(far.path(), PLACE, &pdb(GUID, 1, 10));
    let settings = Settings { default_cache: Some(cache.path().to_owned()), policy: Policy { online: true }, ..Settings::default() };
    let path = format!(r"C:\symbols;srv*D:\sym*\\host\share*{}", far.path().display());
    let finder = finder(&path, settings);
    let notes: Vec<_> = finder.notes().iter().map(|note| note.text.split('\'').nth(1).unwrap().to_owned()).collect();
    assert_eq!(notes, [r"C:\symbols", r"D:\sym"]);
    assert_eq!(finder.find(&wanted_pdb()).unwrap().path, cache.path().join(PLACE));
    let missing = finder.find(&wanted_image()).unwrap_err();
    assert!(missing.reasons[0].to_string().contains("mounted"), "{missing:?}");
    assert!(!Path::new(r"D:\sym").exists() && !Path::new(r"\\host\share").exists());
}

#[test]
fn what_is_there_is_told_for_each_file() {
    let root = tempdir().unwrap();
    put(root.path(), "driver.pdb", &pdb(GUID, 1, 10));
    let server = Server::of_files(Vec::new());
    let path = format!("{};srv*{}*{}", root.path().display(), root.path().join("c").display(), server.url());
    let settings = Settings { policy: Policy { online: true }, ..online() };
    let answers = finder(&path, settings).check(&[wanted_pdb(), wanted_image()]);
    assert_eq!(answers[0].as_ref().unwrap().path, root.path().join("driver.pdb"));
    assert_eq!(answers[1].as_ref().unwrap_err().would_help().collect::<Vec<_>>(), [server.url()]);
    assert!(server.seen().is_empty(), "a check uses no network");
}

#[test]
fn real_files_prove_their_identity() {
    let Some(store) = bugcheck_testdata::shared_path("data/symbols") else { return };
    let guid: Guid = "1C19FDDB27BB3399D9B45973EFEAFCF3".parse().unwrap();
    let requests = [
        Request::pdb("amdppm.pdb", guid, 1).unwrap(),
        Request::image("amdppm.sys", 0xc9c0_3000, 0x3b000).unwrap(),
        Request::image("Wdf01000.sys", 0xa9a9_d36e, 0xd1000).unwrap(),
        Request::image("WDF01000.SYS", 0xa9a9_d36e, 0xd1000).unwrap(),
    ];
    let path = format!("srv*{}", store.display());
    for request in &requests {
        assert!(finder(&path, Settings::default()).find(request).is_ok(), "{request}");
    }
    let other_age = Request::pdb("amdppm.pdb", guid, 2).unwrap();
    assert!(finder(&path, Settings::default()).find(&other_age).is_err());
    // A folder filled by hand, with the right file and with a cut one.
    let (right, cut) = (tempdir().unwrap(), tempdir().unwrap());
    for (request, file) in requests.iter().zip(["amdppm.pdb", "amdppm.sys", "Wdf01000.sys"]) {
        let bytes = std::fs::read(store.join(file).join(request.key().to_ascii_lowercase()).join(file))
            .or_else(|_| std::fs::read(store.join(file).join(request.key()).join(file)))
            .unwrap();
        put(right.path(), file, &bytes);
        put(cut.path(), file, &bytes[..bytes.len() / 2]);
        assert!(finder(right.path().to_str().unwrap(), Settings::default()).find(request).is_ok(), "{request}");
        let refused = finder(cut.path().to_str().unwrap(), Settings::default()).find(request).unwrap_err();
        let said = refused.reasons[0].to_string();
        assert!(said.contains("cut"), "{request}: {said}");
    }
}

#[test]
fn a_pack_carries_files_to_another_store() {
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    put(from.path(), PLACE, &pdb(GUID, 1, 100));
    put(from.path(), "driver.sys", &image(TIMESTAMP, SIZE_OF_IMAGE));
    let compressed = Request::pdb("packed.pdb", GUID, 1).unwrap();
    put(from.path(), &format!("packed.pdb/{}/msfz0/packed.pdb", compressed.key()), &msfz(GUID, 1));
    let requests = [wanted_pdb(), wanted_image(), compressed, wanted_pdb()];
    let path = from.path().display().to_string();
    let found: Vec<Found> = finder(&path, Settings::default()).check(&requests).into_iter().map(Result::unwrap).collect();
    let pack = to.path().join("symbols.zip");
    assert_eq!(pack::pack(&found, &pack).unwrap(), std::fs::metadata(&pack).unwrap().len());
    assert_eq!(visible(to.path()), ["symbols.zip"]);

    let store = to.path().join("store");
    let done = pack::unpack(&pack, &store, &Limits::default()).unwrap();
    assert_eq!((done.files.len(), done.refused.len()), (3, 0));
    let there = finder(&format!("srv*{}", store.display()), Settings::default());
    assert!(there.check(&requests).iter().all(Result::is_ok));
    assert_eq!(visible(&store).len(), 3);
    // Once more changes nothing.
    assert_eq!(pack::unpack(&pack, &store, &Limits::default()).unwrap(), done);
}

#[test]
fn a_hostile_pack_cannot_write_outside_or_bring_wrong_files() {
    let folder = tempdir().unwrap();
    let pack = folder.path().join("evil.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&pack).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    let good = pdb(GUID, 1, 10);
    let names = [
        PLACE.to_owned(),
        format!("../{PLACE}"),
        format!("/{PLACE}"),
        PLACE.replace("/driver.pdb", "/../../../driver.pdb"),
        PLACE.replace('/', "\\"),
        PLACE.replace("driver", "con"),
        PLACE.replace("/driver.pdb", "/file.ptr"),
        "index2.txt".to_owned(),
        "driver.sys/5F0012345000/driver.sys".to_owned(),
        PLACE.replace("driver", "huge"),
        PLACE.replace("EEFF001", "EEFF002"),
    ];
    for name in &names {
        zip.start_file(name.as_str(), options).unwrap();
        let contents = if name.contains("huge") { pdb(GUID, 1, 4000) } else { good.clone() };
        zip.write_all(&contents).unwrap();
    }
    zip.finish().unwrap();
    let store = folder.path().join("store");
    let limits = Limits { file: 1_000_000, ..Limits::default() };
    let done = pack::unpack(&pack, &store, &limits).unwrap();
    assert_eq!(done.files.iter().map(|(request, _)| request.clone()).collect::<Vec<_>>(), [wanted_pdb()]);
    assert_eq!(done.refused.len(), names.len() - 1, "{:?}", done.refused);
    assert!(done.refused.iter().any(|(name, why)| name.contains("huge") && why.contains("more than the 1000000 bytes")));
    assert_eq!(visible(folder.path()), ["evil.zip".to_owned(), format!("store/{PLACE}")]);

    let limits = Limits { pack: 1000, ..Limits::default() };
    assert!(pack::unpack(&pack, &folder.path().join("small"), &limits).unwrap().files.is_empty());
    put(folder.path(), "text.zip", b"no zip");
    assert!(matches!(pack::unpack(&folder.path().join("text.zip"), &store, &limits), Err(PackError::Damaged { .. })));
    assert!(matches!(pack::unpack(&folder.path().join("absent.zip"), &store, &limits), Err(PackError::Io { .. })));
}

#[test]
fn a_pack_that_cannot_be_finished_does_not_appear() {
    let folder = tempdir().unwrap();
    put(folder.path(), "driver.pdb", &pdb(GUID, 1, 10));
    let mut found = find(folder.path().to_str().unwrap()).unwrap();
    found.path = folder.path().join("gone.pdb");
    assert!(pack::pack(&[found], &folder.path().join("symbols.zip")).is_err());
    assert_eq!(visible(folder.path()), ["driver.pdb"]);
}

/// A parser, and honest input for it.
type Seed = (fn(&[u8]) -> bool, Vec<u8>);

/// A cheap fuzzer for the ordinary tests: bytes of honest files changed at random.
#[test]
fn damaged_input_never_panics() {
    let seeds: [Seed; 8] = [
        (|bytes| fuzz::identity(bytes), pdb(Guid(1), 1, 8)),
        (|bytes| fuzz::identity(bytes), msfz(Guid(1), 1)),
        (|bytes| fuzz::identity(bytes), image(1, 1)),
        (|bytes| fuzz::cabinet(bytes) > 0, cabinet("x.pdb", &pdb(GUID, 1, 8))),
        (|bytes| fuzz::path(bytes) > 0, br"cache*;srv*C:\x*\\h\s*https://u@h:1/x;symsrv*symsrv.dll*a".to_vec()),
        (|bytes| fuzz::pointer(bytes).is_some(), br"PATH:\\server\share\x.pdb".to_vec()),
        (|bytes| fuzz::name(bytes).is_some(), br"C:\build\driver.pdb".to_vec()),
        (|bytes| fuzz::manifest(bytes) > 0, bugcheck_symbols::Manifest::new([wanted_pdb(), wanted_image()]).to_string().into_bytes()),
    ];
    assert!(fuzz::identity(&seeds[0].1) && fuzz::identity(&seeds[1].1) && fuzz::identity(&seeds[2].1));
    let mut state = 11u64;
    for (parse, seed) in seeds {
        for round in 0..4000 {
            let mut bytes = seed.clone();
            for _ in 0..=round % 4 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let place = (state >> 33) as usize % bytes.len();
                bytes[place] = match state & 7 {
                    0 => 0xff,
                    1 => 0,
                    _ => (state >> 20) as u8,
                };
            }
            if round % 5 == 0 {
                bytes.truncate((state >> 40) as usize % (bytes.len() + 1));
            }
            let _ = parse(&bytes);
        }
    }
}
