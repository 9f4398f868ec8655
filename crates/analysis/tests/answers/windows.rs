//! What Windows itself recorded about the crashes, and what is known of every real dump.

use crate::{analysis, hex, hexes, json, parameters, text};
use bugcheck_testdata::shared_path;
use serde_json::Value;
use std::collections::BTreeMap;

/// `6 days, 5:27:38` → seconds.
fn seconds(uptime: &str) -> u64 {
    let (days, clock) = uptime.split_once(" days, ").unwrap_or(("0", uptime));
    let fields: Vec<u64> = clock.split(':').map(|field| field.parse().unwrap()).collect();
    days.parse::<u64>().unwrap() * 86_400 + fields[0] * 3_600 + fields[1] * 60 + fields[2]
}

#[test]
fn uptimes_are_read() {
    assert_eq!(seconds("0:01:22"), 82);
    assert_eq!(seconds("6 days, 5:27:38"), 538_058);
}

#[test]
fn every_real_dump_opens_and_says_what_is_known_of_it() {
    let Some(folder) = shared_path("data/dumps") else { return };
    let manifest = json(&folder.join("manifest.json"));
    let mut modules_counted = 0;
    for known in manifest.as_array().unwrap() {
        let name = known["local"].as_str().unwrap();
        let analysis = analysis(&folder.join(name));
        let dump = &analysis.dump;
        assert_eq!(analysis.bugcheck.code.0, hex(known["bug"].as_str().unwrap()), "{name}: code");
        let expected: Vec<u64> = hexes(&known["p"]).into_iter().map(Option::unwrap).collect();
        assert_eq!(parameters(&analysis), expected, "{name}: parameters");
        assert_eq!(Some(u64::from(dump.os.build)), known["build"].as_u64(), "{name}: build");
        assert_eq!(Some(u64::from(dump.processors)), known["ncpu"].as_u64(), "{name}: processors");
        assert_eq!(Some(dump.size), known["size"].as_u64(), "{name}: size");
        let arch = match known["mach"].as_str().unwrap() {
            "0x8664" => "x64",
            "0xaa64" => "arm64",
            "0x14c" => "x86",
            other => panic!("{name}: machine {other}"),
        };
        assert_eq!(dump.arch, arch, "{name}");
        let kinds: &[&str] = if known["type"] == 4 { &["triage"] } else { &["full", "header-only"] };
        assert!(kinds.contains(&dump.kind), "{name}: {}", dump.kind);
        if let Some(time) = known["time"].as_str() {
            assert_eq!(dump.crash_time, Some(format!("{}Z", time.replace(' ', "T"))), "{name}: crash time");
        }
        // A header that never got an uptime has filler there, which the manifest shows as millions of days.
        let uptime = known["uptime"].as_str().map(seconds).filter(|&seconds| seconds < 10 * 365 * 86_400);
        assert_eq!(dump.uptime_seconds, uptime, "{name}: uptime");
        if let Some(count) = known["drivers"].as_u64() {
            assert_eq!(analysis.modules.len() as u64, count, "{name}: modules");
            modules_counted += 1;
        }
        // `fffff80575a00000 ts=f71f414a size=1046000`
        if let Some(nt) = known["nt"].as_str() {
            let fields: Vec<u64> = nt.split(' ').map(|field| hex(field.rsplit('=').next().unwrap())).collect();
            let ours = analysis.modules.iter().find(|module| module.name == "nt").unwrap();
            assert_eq!(vec![ours.base.0, ours.timestamp.0, u64::from(ours.size)], fields, "{name}: nt");
        }
    }
    assert!(manifest.as_array().unwrap().len() >= 38 && modules_counted >= 35);
}

#[test]
fn the_event_log_says_the_same() {
    let Some(folder) = shared_path("data") else { return };
    let events = json(&folder.join("expected/CriticalRocket/event1001_bugchecks.json"));
    let mut seen = 0;
    for event in events.as_array().unwrap() {
        let name = event["dump"].as_str().unwrap();
        let path = folder.join("dumps").join(name);
        if !path.exists() {
            continue;
        }
        let analysis = analysis(&path);
        assert_eq!(analysis.bugcheck.base_code.0, hex(event["code"].as_str().unwrap()), "{name}");
        assert_eq!(parameters(&analysis), hexes(&event["params"]).into_iter().map(Option::unwrap).collect::<Vec<_>>(), "{name}");
        seen += 1;
    }
    assert!(seen >= 8, "{seen} dumps in the event log");
}

#[test]
fn windows_error_reporting_says_the_same() {
    let Some(folder) = shared_path("data") else { return };
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(folder.join("expected/Appostarsi_WinErros/wer")).unwrap() {
        let report = text(&entry.unwrap().path());
        let fields: BTreeMap<&str, &str> = report.lines().filter_map(|line| line.trim().split_once('=')).collect();
        let dump = fields["File[0].Path"];
        let path = folder.join(format!("dumps/Appostarsi_WinErros__{dump}"));
        if !path.exists() {
            continue;
        }
        let analysis = analysis(&path);
        assert_eq!(fields["Sig[0].Name"], "Code");
        assert_eq!(analysis.bugcheck.base_code.0, hex(fields["Sig[0].Value"]), "{dump}");
        let expected: Vec<u64> = (1..=4).map(|n| hex(fields[format!("Sig[{n}].Value").as_str()])).collect();
        assert_eq!(parameters(&analysis), expected, "{dump}");
        // `256_1`: suite mask and product type.
        let product = fields["Sig[7].Value"].rsplit('_').next().unwrap();
        assert_eq!((product, analysis.dump.os.product_type), ("1", Some("workstation")), "{dump}");
        seen.push(dump.to_owned());
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}

/// cdb and WinSleuth's test of the same file agree on this (`misc/winsleuth_triage_x64_assertions.txt`).
#[test]
fn another_reader_says_the_same_of_the_amdppm_crash() {
    let Some(folder) = shared_path("data") else { return };
    let notes = text(&folder.join("expected/misc/winsleuth_triage_x64_assertions.txt"));
    let after = |label: &str| {
        let rest = &notes[notes.find(label).unwrap() + label.len()..];
        let word: String = rest.trim_start_matches([' ', '=']).chars().take_while(char::is_ascii_alphanumeric).collect();
        word.to_lowercase()
    };
    let analysis = analysis(&folder.join("dumps/rizinorg_rizin-testbins__triage_x64.dmp"));
    assert_eq!(analysis.modules.len().to_string(), after("module count"));
    assert_eq!(analysis.bugcheck.code.0, hex(&after("bugcheck_code")));
    let fault = analysis.fault.unwrap();
    assert_eq!(fault.instruction_pointer.unwrap().0, hex(&after("faulting_address")));
    let module = analysis.modules.iter().find(|module| module.image == "amdppm.sys").unwrap();
    assert_eq!((module.base.0, u64::from(module.size)), (hex(&after("base")), hex(&after("size"))));
    assert_eq!(fault.location.unwrap(), format!("amdppm+{:#x}", hex(&after("faulting_address")) - module.base.0));
}

#[test]
fn manifest_names_every_real_dump() {
    let Some(folder) = shared_path("data/dumps") else { return };
    let manifest = json(&folder.join("manifest.json"));
    let known = |name: &str| manifest.as_array().unwrap().iter().any(|entry: &Value| entry["local"] == name);
    for path in bugcheck_testdata::real_dumps() {
        assert!(known(&bugcheck_testdata::name(&path)), "{} is not in manifest.json", path.display());
    }
}
