//! Holds what ARCHITECTURE.md promises about the shape of the repository.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is wrong")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Which crates of `crates/` a crate may depend on. Data flows one way; this table is the architecture.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("dump", &[]),
    ("symbols", &["dump"]),
    ("unwind", &["dump"]),
    ("kernel", &["dump", "unwind"]),
    ("knowledge", &[]),
    ("whea", &[]),
    ("analysis", &["dump", "symbols", "unwind", "kernel", "knowledge", "whea"]),
    ("report", &["analysis", "knowledge"]),
    ("cli", &["analysis", "dump", "symbols", "knowledge", "report"]),
    ("synth", &[]),
    ("testdata", &[]),
];

/// Crates that exist for tests: others may have them as dev-dependencies only.
const FOR_TESTS: &[&str] = &["synth", "testdata"];

/// The fuzz targets of each crate that reads what others wrote.
const FUZZED: &[(&str, &[&str])] = &[
    ("dump", &["dump", "context", "secondary"]),
    ("whea", &["cper"]),
    ("knowledge", &["explain"]),
    ("symbols", &["symbol_index", "isf", "pdb", "symbol_path", "cabinet", "symbol_identity"]),
    ("unwind", &["unwind", "image"]),
];

/// The only file with `unsafe` in it.
const UNSAFE: &str = "crates/dump/src/map.rs";

/// The only folder that may open connections, and the feature of its crate without which it is not compiled.
const NETWORK: (&str, &str) = ("crates/symbols/src/server/", "network");

/// Files longer than this hold more than one thing.
const LONGEST: usize = 700;

#[test]
fn dependencies_flow_one_way() {
    let mut wrong = String::new();
    for (name, manifest) in crates() {
        let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(known, _)| *known == name) else {
            writeln!(wrong, "crates/{name} is not in the table of xtask/tests/tidy.rs").unwrap();
            continue;
        };
        for dependency in ours(&manifest) {
            if !allowed.contains(&dependency.as_str()) {
                writeln!(wrong, "crates/{name} must not depend on {dependency}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_table_itself_flows_one_way() {
    for (place, (name, allowed)) in MAY_DEPEND_ON.iter().enumerate() {
        for dependency in *allowed {
            assert!(MAY_DEPEND_ON[..place].iter().any(|(above, _)| above == dependency), "{name} stands above {dependency}");
            assert!(!FOR_TESTS.contains(dependency), "{name} must not be built on {dependency}");
        }
    }
}

#[test]
fn every_crate_has_a_description_the_lints_and_a_line_on_the_map() {
    let map = read("ARCHITECTURE.md");
    for (name, manifest) in crates() {
        let package = manifest["package"].as_table().unwrap();
        assert!(package.get("description").and_then(toml::Value::as_str).is_some_and(|text| text.len() > 20), "crates/{name}: description");
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "crates/{name}: the lints of the workspace");
        assert!(map.contains(&format!("`crates/{name}`")), "crates/{name} is missing in ARCHITECTURE.md");
    }
}

#[test]
fn unsafe_code_is_in_one_file() {
    let mut wrong = String::new();
    for (name, _) in crates() {
        let folder = root().join("crates").join(&name).join("src");
        let entry = if folder.join("lib.rs").exists() { "lib.rs" } else { "main.rs" };
        let level = if UNSAFE.starts_with(&format!("crates/{name}/")) { "deny" } else { "forbid" };
        let attribute = format!("#![{level}(unsafe_code)]");
        if !read(&format!("crates/{name}/src/{entry}")).lines().any(|line| line == attribute) {
            writeln!(wrong, "crates/{name}/src/{entry} lacks {attribute}").unwrap();
        }
    }
    for file in sources().filter(|file| file != UNSAFE) {
        for (number, line) in read(&file).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe_code"].iter().any(|word| code.contains(word)) {
                writeln!(wrong, "{file}:{}: {}", number + 1, line.trim()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn network_code_is_in_one_folder_and_a_choice() {
    let (folder, feature) = NETWORK;
    let manifest: toml::Table = read("crates/symbols/Cargo.toml").parse().unwrap();
    assert!(manifest["features"].get("default").is_none(), "nothing turns the network on by itself");
    assert!(manifest["dependencies"]["ureq"]["optional"].as_bool().unwrap());
    assert!(read(&format!("{folder}mod.rs")).contains(&format!("#[cfg(feature = \"{feature}\")]\nmod client;")));
    let mut wrong = String::new();
    for file in sources().filter(|file| !file.starts_with(folder)) {
        for word in ["std::net", "TcpStream", "UdpSocket", "ureq::", "reqwest"] {
            if read(&file).contains(word) {
                writeln!(wrong, "{file}: {word}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "network code outside {folder}:\n{wrong}");
}

#[test]
fn no_source_file_is_too_long() {
    let long: Vec<String> = sources()
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(n, file)| format!("{file}: {n}"))
        .collect();
    assert!(long.is_empty(), "more than {LONGEST} lines: {long:?}");
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    // Put together here, so that this file does not hold them.
    let places = [["/wo", "rk/"], ["/ro", "ot/"], ["artif", "actory"]].map(|parts| parts.concat());
    let mut wrong = String::new();
    for file in files() {
        let bytes = std::fs::read(root().join(&file)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for place in places.iter().filter(|place| text.contains(place.as_str())) {
            writeln!(wrong, "{file} mentions {place}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut wrong = String::new();
    for file in files().into_iter().filter(|file| file.ends_with(".md")) {
        let folder = root().join(&file).parent().unwrap().to_owned();
        for link in links(&read(&file)) {
            let path = link.split('#').next().unwrap_or_default();
            if !path.is_empty() && !folder.join(path).exists() {
                writeln!(wrong, "{file}: {link}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "dead links:\n{wrong}");
}

#[test]
fn knowledge_is_finished() {
    for file in files().into_iter().filter(|file| file.starts_with("knowledge/")) {
        for word in ["TODO", "FIXME", "XXX"] {
            assert!(!read(&file).contains(word), "{file} holds a {word}");
        }
    }
}

#[test]
fn every_parser_is_fuzzed() {
    let manifest: toml::Table = read("fuzz/Cargo.toml").parse().unwrap();
    let built: BTreeMap<&str, &str> =
        manifest["bin"].as_array().unwrap().iter().map(|bin| (bin["name"].as_str().unwrap(), bin["path"].as_str().unwrap())).collect();
    for (name, targets) in FUZZED {
        assert!(root().join("crates").join(name).is_dir(), "{name} is not a crate");
        for target in *targets {
            let path = built.get(target).unwrap_or_else(|| panic!("fuzz/Cargo.toml does not build {target}, which covers crates/{name}"));
            assert!(root().join("fuzz").join(path).exists(), "fuzz/{path} is missing");
        }
    }
    let written = files().into_iter().filter(|file| file.starts_with("fuzz/fuzz_targets/")).count();
    assert_eq!(written, built.len(), "fuzz/fuzz_targets and fuzz/Cargo.toml differ");
}

#[test]
fn there_is_one_test_command() {
    for file in ["README.md", "CONTRIBUTING.md", ".ci/run", ".github/workflows/ci.yml"] {
        assert!(read(file).contains("cargo xtask test"), "{file} does not use `cargo xtask test`");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The crates with their manifests.
fn crates() -> Vec<(String, toml::Table)> {
    let mut crates: Vec<_> = std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .map(|name| (name.clone(), read(&format!("crates/{name}/Cargo.toml")).parse().unwrap()))
        .collect();
    assert!(crates.len() >= 9, "{crates:?}");
    crates.sort_by(|(a, _), (b, _)| a.cmp(b));
    crates
}

/// The crates of this project that a crate needs outside its tests, also those for one platform only.
fn ours(manifest: &toml::Table) -> Vec<String> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(|targets| targets.values());
    let tables = platforms.filter_map(toml::Value::as_table).chain([manifest]);
    tables
        .flat_map(|table| ["dependencies", "build-dependencies"].map(|kind| table.get(kind)))
        .flatten()
        .filter_map(toml::Value::as_table)
        .flat_map(|dependencies| dependencies.keys())
        .filter_map(|name| name.strip_prefix("bugcheck-"))
        .map(str::to_owned)
        .collect()
}

/// Source files of the crates, without their tests, examples and benches.
fn sources() -> impl Iterator<Item = String> {
    files().into_iter().filter(|file| {
        let parts: Vec<_> = file.split('/').collect();
        matches!(parts.as_slice(), ["crates", _, "src", ..]) && file.ends_with(".rs")
    })
}

/// Every file of the repository by its path with `/`; what is built or found by fuzzing is left out.
fn files() -> Vec<String> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default();
            if !path.is_dir() {
                // In a linked work tree `.git` is a file.
                if name != ".git" {
                    files.push(path);
                }
            } else if ![".git", "target", "corpus", "artifacts", "coverage"].iter().any(|skipped| name == *skipped) {
                walk(&path, files);
            }
        }
    }
    let mut files = Vec::new();
    walk(root(), &mut files);
    let mut files: Vec<String> = files
        .iter()
        .map(|file| file.strip_prefix(root()).unwrap().iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("/"))
        .collect();
    files.sort();
    files
}

/// The relative links of a Markdown text, outside code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        if code || line.starts_with("    ") {
            continue;
        }
        // Every second piece between backquotes is code.
        let prose = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        links.extend(prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned));
    }
    links.retain(|link| !link.contains("://") && !link.starts_with("mailto:"));
    links
}

#[test]
fn links_are_found() {
    let text = "[a](b.md) and `[no](c)` and [d](e/f.md#g), [h](https://i)\n```\n[no](j)\n```\n[k](#l)";
    assert_eq!(links(text), ["b.md", "e/f.md#g", "#l"]);
}
