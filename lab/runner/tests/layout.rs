//! The kernel's structures against Windows' public types, as Vergilius publishes them; skipped where those are not at hand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

/// Types by name: size, and members with their offsets.
type Types = BTreeMap<String, (u64, BTreeMap<String, u64>)>;

/// Reads the published list. Only three levels of it matter: a type's name and size, and its members' names and offsets.
fn published(text: &str) -> Types {
    let mut types = Types::new();
    let (mut name, mut size, mut members, mut member) = (String::new(), 0, BTreeMap::new(), String::new());
    for line in text.lines().chain(["  -"]) {
        let field = |indent: &str, key: &str| line.strip_prefix(indent)?.strip_prefix(key).map(str::trim);
        if line == "  -" {
            let known = types.entry(std::mem::take(&mut name)).or_default();
            // Forward declarations have no members.
            if known.1.len() <= members.len() {
                *known = (size, std::mem::take(&mut members));
            }
            members.clear();
            size = 0;
        } else if let Some(found) = field("    ", "name: ") {
            found.clone_into(&mut name);
        } else if let Some(found) = field("    ", "sizeof: ") {
            size = found.parse().unwrap();
        } else if let Some(found) = field("        ", "name: ") {
            found.clone_into(&mut member);
        } else if let Some(found) = field("        ", "offset: ") {
            // Values of enumerations look the same, and may be negative.
            if let Ok(offset) = found.parse() {
                members.entry(member.clone()).or_insert(offset);
            }
        }
    }
    types
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// What the kernel's sources assert: type, member (none for the size), value.
fn asserted() -> Vec<(String, Option<String>, u64)> {
    let folder = bugcheck_testdata::root().join("lab/kernel");
    let mut all = Vec::new();
    for line in std::fs::read_to_string(folder.join("layout.c")).unwrap().lines() {
        let inside = |macro_name: &str| {
            line.strip_prefix(macro_name)?.split_once(')').map(|(inside, _)| inside.split(',').map(str::trim).collect::<Vec<_>>())
        };
        if let Some(parts) = inside("SIZE(") {
            if let Some(size) = number(parts[1]) {
                all.push((parts[0].to_owned(), None, size));
            }
        } else if let Some(parts) = inside("OFFSET(") {
            all.push((parts[0].to_owned(), Some(parts[1].to_owned()), number(parts[2]).unwrap()));
        }
    }
    for line in std::fs::read_to_string(folder.join("public.c")).unwrap().lines() {
        let inside = line.trim().strip_prefix("X(_").and_then(|rest| rest.split_once(')'));
        if let Some((name, size)) = inside.and_then(|(inside, _)| inside.split_once(',')) {
            all.push((format!("_{name}"), None, number(size).unwrap()));
        }
    }
    let mut current = String::new();
    for line in std::fs::read_to_string(folder.join("ke.h")).unwrap().lines() {
        if let Some(name) = line.strip_prefix("typedef struct ").and_then(|rest| rest.strip_suffix(" {")) {
            name.clone_into(&mut current);
        } else if let Some(inside) = line.trim().strip_prefix("AT(0x").and_then(|rest| rest.strip_suffix(");")) {
            let (offset, declaration) = inside.split_once(',').unwrap();
            let member = declaration.split(['*', ' ']).next_back().unwrap().split('[').next().unwrap();
            all.push((current.clone(), Some(member.to_owned()), u64::from_str_radix(offset, 16).unwrap()));
        } else if let Some(size) = line.trim().strip_prefix("AT_SIZE(").and_then(|rest| rest.strip_suffix(");")) {
            all.push((current.clone(), None, number(size).unwrap()));
        }
    }
    all
}

#[test]
fn structures_are_laid_out_as_the_public_types_of_19041() {
    let Some(path) = bugcheck_testdata::shared_path("data/vergilius/10.0.19041.264-x64.yml") else { return };
    let types = published(&std::fs::read_to_string(path).unwrap());
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (name, member, value) in asserted() {
        // The debugger's block is in the SDK and not among the public types.
        let Some((size, members)) = types.get(&name) else {
            assert_eq!(name, "_KDDEBUGGER_DATA64");
            continue;
        };
        let expected = member.as_ref().map_or(Some(*size), |member| members.get(member).copied());
        compared += 1;
        if expected != Some(value) {
            wrong.push(format!("{name}.{}: {value:#x}, published {expected:x?}", member.unwrap_or_default()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 120, "only {compared} facts compared");
    println!("{compared} sizes and offsets are as published");
}
