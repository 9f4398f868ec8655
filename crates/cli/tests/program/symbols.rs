//! `bugcheck symbols`: from a list of what a dump needs to a store on a machine without a network.

use super::run;
use bugcheck_testdata::shared_path;
use std::path::Path;

#[test]
fn what_a_dump_needs_is_listed_checked_packed_and_unpacked() {
    let (Some(dump), Some(symbols)) = (shared_path("data/dumps/rizinorg_rizin-testbins__triage_x64.dmp"), shared_path("data/symbols"))
    else {
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("symbols-test");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let (dump, symbols) = (dump.to_str().unwrap(), symbols.to_str().unwrap());
    let (list, pack, store) = (folder.join("needed.jsonl"), folder.join("carry.zip"), folder.join("store"));
    let (list, pack, store) = (list.to_str().unwrap(), pack.to_str().unwrap(), store.to_str().unwrap());

    let listed = run(["symbols", "list", dump]);
    assert_eq!(listed.code, 0, "{}", listed.err);
    assert!(listed.out.contains(r#""image":"amdppm.sys""#) && listed.out.contains(r#""image":"ntoskrnl.exe""#), "{}", listed.out);
    std::fs::write(list, &listed.out).unwrap();

    // The kernel is not there: everything else is done, and the absence is said.
    let packed = run(["symbols", "pack", list, "-i", symbols, "-y", symbols, "-o", pack]);
    assert_eq!(packed.code, 1);
    assert!(packed.err.contains("ntoskrnl.exe") && packed.err.contains("is missing"), "{}", packed.err);
    assert!(packed.out.contains("found    amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31"), "{}", packed.out);

    let unpacked = run(["symbols", "unpack", pack, store]);
    assert_eq!((unpacked.code, unpacked.out.starts_with("3 files put into")), (0, true), "{}{}", unpacked.out, unpacked.err);
    let report = run(["analyze", dump, "-y", &format!("srv*{store}")]);
    assert!(report.out.contains("amdppm!WriteIoMemRawEx+0x70"), "{}", report.out);
    assert!(run(["analyze", dump]).out.contains("amdppm+0x334c"), "no store, no names");
}

#[test]
fn a_file_that_is_no_pack_is_refused() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join("no-pack.zip");
    std::fs::write(&file, "no zip").unwrap();
    let refused = run(["symbols", "unpack", file.to_str().unwrap(), folder.join("no-store").to_str().unwrap()]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("no-pack.zip"), "{}", refused.err);
}
