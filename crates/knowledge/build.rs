//! Checks the data files of the `knowledge` folder and turns them into static tables.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Deserialize;
use serde::de::DeserializeOwned;

#[allow(dead_code, reason = "the build script needs only a part of the vocabulary")]
#[path = "src/vocabulary.rs"]
mod vocabulary;

use vocabulary::{Cause, Format, Kind, Role};

/// What is wrong, with the file and the row.
type Outcome<T> = Result<T, String>;

fn main() {
    if let Err(problem) = generate() {
        // A build script reports by failing.
        eprintln!("error: {problem}");
        std::process::exit(1);
    }
}

fn generate() -> Outcome<()> {
    let knowledge = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../knowledge");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/vocabulary.rs");
    println!("cargo::rerun-if-changed={}", knowledge.display());
    let bug_checks = bug_checks(&knowledge.join("bugchecks"))?;
    write("bugchecks.rs", &bug_checks_table(&bug_checks))?;
    write("status.rs", &statuses(&knowledge.join("status.csv"))?)?;
    write("modules.rs", &modules(&knowledge.join("modules.csv"))?)?;
    write("windows.rs", &releases(&knowledge.join("windows.csv"))?)?;
    write("misnomers.rs", &misnomers(&knowledge.join("misnomers.toml"), &bug_checks)?)
}

fn write(name: &str, text: &str) -> Outcome<()> {
    let folder = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    let path = Path::new(&folder).join(name);
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A number as the data files write it: `"0x1a"` or `"26"`.
fn number(text: &str) -> Outcome<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    }
    .map_err(|error| format!("`{text}` is no number: {error}"))
}

fn code(text: &str) -> Outcome<u32> {
    u32::try_from(number(text)?).map_err(|_| format!("`{text}` is no 32-bit code"))
}

fn word<T>(text: &str, from_word: fn(&str) -> Option<T>) -> Outcome<T> {
    from_word(text).ok_or_else(|| format!("`{text}` is no known word here"))
}

/// Rust source of a slice.
fn slice(items: impl IntoIterator<Item = String>) -> String {
    format!("&[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

/// Names the place of a problem.
trait At<T> {
    fn at(self, place: impl Display) -> Outcome<T>;
}

impl<T, E: Display> At<T> for Result<T, E> {
    fn at(self, place: impl Display) -> Outcome<T> {
        self.map_err(|problem| format!("{place}: {problem}"))
    }
}

// ---- bug checks ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BugCheckFile {
    #[serde(default)]
    bugcheck: Vec<BugCheckRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BugCheckRow {
    code: String,
    name: String,
    kind: String,
    about: String,
    likely: Vec<String>,
    parameters: [String; 4],
    corrects: Option<String>,
    source: String,
    #[serde(default)]
    case: Vec<CaseRow>,
    #[serde(default)]
    value: Vec<ValueRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseRow {
    value: Option<String>,
    #[serde(default)]
    values: Vec<String>,
    about: String,
    parameters: [String; 4],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueRow {
    parameter: u8,
    case: Option<String>,
    value: String,
    text: String,
}

/// A parameter's format and words.
type Parameter = (Format, String);

struct BugCheck {
    code: u32,
    kind: Kind,
    likely: Vec<Cause>,
    parameters: [Parameter; 4],
    cases: Vec<Case>,
    values: Vec<Value>,
    row: BugCheckRow,
}

struct Case {
    values: Vec<u64>,
    about: String,
    parameters: [Option<Parameter>; 4],
}

struct Value {
    parameter: u8,
    case: Option<u64>,
    value: u64,
    text: String,
}

fn bug_checks(folder: &Path) -> Outcome<Vec<BugCheck>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .at(folder.display())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    let mut all: Vec<BugCheck> = Vec::new();
    let mut problems = Vec::new();
    for path in files {
        let file: BugCheckFile = toml::from_str(&read(&path)?).at(path.display())?;
        let range = range(&path).at(path.display())?;
        let mut previous = None;
        for row in file.bugcheck {
            let place = format!("{}: {} {}", path.display(), row.code, row.name);
            match bug_check(row) {
                Err(problem) => problems.push(format!("{place}: {problem}")),
                Ok(known) => {
                    if !range.contains(&known.code) {
                        problems.push(format!("{place}: outside the range of the file's name"));
                    }
                    if previous >= Some(known.code) {
                        problems.push(format!("{place}: repeated or not in ascending order"));
                    }
                    previous = Some(known.code);
                    all.push(known);
                }
            }
        }
    }
    all.sort_by_key(|known| known.code);
    for pair in all.windows(2) {
        if let [one, two] = pair
            && one.code == two.code
        {
            problems.push(format!("{}: {:#x} appears twice", folder.display(), one.code));
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(problems.join("\n")) }
}

/// The codes that a file named `000-080.toml` or `142-up.toml` may hold.
fn range(path: &Path) -> Outcome<std::ops::RangeInclusive<u32>> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem.split_once('-')
        .and_then(|(first, last)| {
            let last = if last == "up" { u32::MAX } else { u32::from_str_radix(last, 16).ok()? };
            Some(u32::from_str_radix(first, 16).ok()?..=last)
        })
        .ok_or_else(|| "the file's name is no range of codes such as 000-080".to_owned())
}

fn bug_check(row: BugCheckRow) -> Outcome<BugCheck> {
    filled("name", &row.name)?;
    filled("about", &row.about)?;
    if !row.name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
        return Err("the name has other characters than capitals, digits and `_`".to_owned());
    }
    for source in row.source.split(", ") {
        if !["docs", "sdk", "dumps", "field"].contains(&source) {
            return Err(format!("unknown source `{source}`"));
        }
    }
    let code = code(&row.code)?;
    let kind = word(&row.kind, Kind::from_word).at("kind")?;
    let likely: Vec<Cause> = row.likely.iter().map(|cause| word(cause, Cause::from_word).at("likely")).collect::<Outcome<_>>()?;
    if likely.iter().collect::<BTreeSet<_>>().len() != likely.len() {
        return Err("likely names a cause twice".to_owned());
    }
    let parameters = four(&row.parameters, parameter)?;
    let cases: Vec<Case> = row.case.iter().map(|case| self::case(case).at("case")).collect::<Outcome<_>>()?;
    let values: Vec<Value> = row.value.iter().map(|value| self::value(value).at("value")).collect::<Outcome<_>>()?;
    let known = BugCheck { code, kind, likely, parameters, cases, values, row };
    check_cases(&known)?;
    check_values(&known)?;
    Ok(known)
}

fn case(row: &CaseRow) -> Outcome<Case> {
    let values: Vec<u64> = row.value.iter().chain(&row.values).map(|text| number(text)).collect::<Outcome<_>>()?;
    if values.is_empty() || (row.value.is_some() && !row.values.is_empty()) {
        return Err("wants either `value` or `values`".to_owned());
    }
    let place = format!("{:#x?}", values.first());
    filled("about", &row.about).at(&place)?;
    let parameters = four(&row.parameters, |text| if text.is_empty() { Ok(None) } else { parameter(text).map(Some) }).at(&place)?;
    Ok(Case { values, about: row.about.clone(), parameters })
}

fn value(row: &ValueRow) -> Outcome<Value> {
    filled("text", &row.text)?;
    if !(1..=4).contains(&row.parameter) {
        return Err(format!("there is no parameter {}", row.parameter));
    }
    Ok(Value {
        parameter: row.parameter,
        case: row.case.as_deref().map(number).transpose()?,
        value: number(&row.value)?,
        text: row.text.clone(),
    })
}

/// At most one parameter selects a case, only in the general row, and each case has its own values.
fn check_cases(known: &BugCheck) -> Outcome<()> {
    let selectors = known.parameters.iter().filter(|(format, _)| *format == Format::Case).count();
    if selectors > 1 {
        return Err("more than one parameter is `case`".to_owned());
    }
    if (selectors == 0) != known.cases.is_empty() {
        return Err("a parameter marked `case` and rows of cases belong together".to_owned());
    }
    let mut seen = BTreeSet::new();
    for case in &known.cases {
        for value in &case.values {
            if !seen.insert(value) {
                return Err(format!("case {value:#x} appears twice"));
            }
        }
        if case.parameters.iter().flatten().any(|(format, _)| *format == Format::Case) {
            return Err("a case cannot select a further case".to_owned());
        }
    }
    Ok(())
}

/// Every row of a value belongs to a parameter marked `value` in its case, or in the general row, or in some case.
fn check_values(known: &BugCheck) -> Outcome<()> {
    let mut seen = BTreeSet::new();
    for row in &known.values {
        let place = format!("value {:#x} of parameter {}", row.value, row.parameter);
        if !seen.insert((row.parameter, row.case, row.value)) {
            return Err(format!("{place} appears twice"));
        }
        let at = usize::from(row.parameter - 1);
        let general = is_value(known.parameters.get(at));
        let cases = known.cases.iter().filter(|case| row.case.is_none_or(|one| case.values.contains(&one)));
        let mut cases = cases.map(|case| match case.parameters.get(at).and_then(Option::as_ref) {
            Some(own) => is_value(Some(own)),
            None => general,
        });
        let marked = if row.case.is_some() { cases.any(|own| own) } else { general || cases.any(|own| own) };
        if !marked {
            return Err(format!("{place}: the parameter is not marked `value` there"));
        }
    }
    Ok(())
}

fn is_value(parameter: Option<&Parameter>) -> bool {
    parameter.is_some_and(|(format, _)| *format == Format::Value)
}

/// `kind: words`; `reserved` may stand alone.
fn parameter(text: &str) -> Outcome<Parameter> {
    let (format, words) = match text.split_once(": ") {
        Some(parts) => parts,
        None if text == Format::Reserved.word() => (text, text),
        None => {
            return Err(format!("parameter `{text}` is not of the form `kind: words`"));
        }
    };
    filled("words", words).at(text)?;
    Ok((word(format, Format::from_word).at(text)?, words.to_owned()))
}

fn four<T>(texts: &[String; 4], one: impl Fn(&str) -> Outcome<T>) -> Outcome<[T; 4]> {
    let [p1, p2, p3, p4] = texts;
    Ok([one(p1)?, one(p2)?, one(p3)?, one(p4)?])
}

fn filled(what: &str, text: &str) -> Outcome<()> {
    if text.trim().is_empty() || text.trim() != text {
        return Err(format!("{what} is empty or has blanks around it"));
    }
    Ok(())
}

fn bug_checks_table(all: &[BugCheck]) -> String {
    let rows = all.iter().map(|known| {
        format!(
            "\nBugCheck {{ code: {:#x}, name: {:?}, kind: Kind::{:?}, about: {:?}, likely: {}, parameters: {}, cases: {}, values: {}, \
             corrects: {:?}, source: {:?} }}",
            known.code,
            known.row.name,
            known.kind,
            known.row.about,
            slice(known.likely.iter().map(|cause| format!("Cause::{cause:?}"))),
            array(&known.parameters, parameter_source),
            slice(known.cases.iter().map(case_source)),
            slice(known.values.iter().map(value_source)),
            known.row.corrects,
            known.row.source,
        )
    });
    table("BUG_CHECKS", "BugCheck", rows)
}

fn parameter_source((format, words): &Parameter) -> String {
    format!("Parameter {{ format: Format::{format:?}, words: {words:?} }}")
}

fn case_source(case: &Case) -> String {
    let parameters = array(&case.parameters, |own| match own {
        Some(own) => format!("Some({})", parameter_source(own)),
        None => "None".to_owned(),
    });
    let values = slice(case.values.iter().map(|value| format!("{value:#x}")));
    format!("Case {{ values: {values}, about: {:?}, parameters: {parameters} }}", case.about)
}

fn value_source(row: &Value) -> String {
    format!("Value {{ parameter: {}, case: {:?}, value: {:#x}, text: {:?} }}", row.parameter, row.case, row.value, row.text)
}

fn array<T>(items: &[T; 4], source: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(source).collect::<Vec<_>>().join(", "))
}

/// Rust source of a static table.
fn table(name: &str, of: &str, rows: impl IntoIterator<Item = String>) -> String {
    let mut source = format!("static {name}: &[{of}] = ");
    let _ = writeln!(source, "{};", slice(rows));
    source
}

// ---- tables in CSV ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusRow {
    code: String,
    name: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModuleRow {
    image: String,
    vendor: String,
    product: String,
    role: String,
    forwards: String,
    remarks: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseRow {
    build: u32,
    product: String,
    name: String,
    version: String,
}

/// Reads a CSV file, makes a key and the source of each row, and sorts by the key.
fn csv_table<R: DeserializeOwned, K: Ord + Debug>(
    path: &Path,
    name: &str,
    of: &str,
    convert: impl Fn(&R) -> Outcome<(K, String)>,
) -> Outcome<String> {
    let mut reader = csv::Reader::from_path(path).at(path.display())?;
    let mut rows = Vec::new();
    for (at, row) in reader.deserialize().enumerate() {
        let row = row.at(path.display())?;
        rows.push(convert(&row).at(format_args!("{}: row {}", path.display(), at + 1))?);
    }
    rows.sort();
    for pair in rows.windows(2) {
        if let [one, two] = pair
            && one.0 == two.0
        {
            return Err(format!("{}: {:x?} appears twice", path.display(), one.0));
        }
    }
    Ok(table(name, of, rows.into_iter().map(|(_, source)| format!("\n{of} {{ {source} }}"))))
}

fn statuses(path: &Path) -> Outcome<String> {
    csv_table(path, "STATUSES", "Status", |row: &StatusRow| {
        let code = code(&row.code)?;
        filled("name", &row.name)?;
        Ok((code, format!("code: {code:#x}, name: {:?}, text: {:?}", row.name, row.text)))
    })
}

fn modules(path: &Path) -> Outcome<String> {
    csv_table(path, "MODULES", "Module", |row: &ModuleRow| {
        for (what, text) in [("image", &row.image), ("vendor", &row.vendor), ("product", &row.product)] {
            filled(what, text)?;
        }
        if row.image != row.image.to_ascii_lowercase() {
            return Err(format!("`{}` is not in lower case", row.image));
        }
        let forwards = match row.forwards.as_str() {
            "yes" => true,
            "" => false,
            other => return Err(format!("forwards is `{other}`, not `yes` or empty")),
        };
        let role = word(&row.role, Role::from_word).at(&row.image)?;
        let source = format!(
            "image: {:?}, vendor: {:?}, product: {:?}, role: Role::{role:?}, forwards: {forwards}, remarks: {:?}",
            row.image, row.vendor, row.product, row.remarks
        );
        Ok((row.image.clone(), source))
    })
}

fn releases(path: &Path) -> Outcome<String> {
    csv_table(path, "RELEASES", "Release", |row: &ReleaseRow| {
        let server = match row.product.as_str() {
            "workstation" => false,
            "server" => true,
            other => {
                return Err(format!("product `{other}` is neither workstation nor server"));
            }
        };
        filled("name", &row.name)?;
        let source = format!("build: {}, server: {server}, name: {:?}, version: {:?}", row.build, row.name, row.version);
        Ok(((row.build, server), source))
    })
}

// ---- misnomers ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MisnomerFile {
    misnomer: Vec<MisnomerRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MisnomerRow {
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    codes: Vec<String>,
    #[serde(default)]
    means: Vec<String>,
    text: String,
}

fn misnomers(path: &Path, bug_checks: &[BugCheck]) -> Outcome<String> {
    let file: MisnomerFile = toml::from_str(&read(path)?).at(path.display())?;
    let mut rows = Vec::new();
    for row in &file.misnomer {
        let place = format!("{}: {}", path.display(), row.names.join(", "));
        rows.push(misnomer(row).at(&place)?);
        for text in &row.means {
            let meant = code(text).at(&place)?;
            if !bug_checks.iter().any(|known| known.code == meant) {
                return Err(format!("{place}: it means {meant:#x}, which is no known bug check"));
            }
        }
    }
    Ok(table("MISNOMERS", "Misnomer", rows))
}

fn misnomer(row: &MisnomerRow) -> Outcome<String> {
    filled("text", &row.text)?;
    if row.names.is_empty() && row.codes.is_empty() {
        return Err("neither names nor codes".to_owned());
    }
    for name in &row.names {
        let plain = name.split('_').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
        if !plain {
            return Err(format!("name `{name}` is not of the form A_WRONG_NAME"));
        }
    }
    let codes = |texts: &[String]| -> Outcome<String> {
        let codes: Vec<u32> = texts.iter().map(|text| code(text)).collect::<Outcome<_>>()?;
        Ok(slice(codes.iter().map(|code| format!("{code:#x}"))))
    };
    let names = slice(row.names.iter().map(|name| format!("{name:?}")));
    let (asked, means) = (codes(&row.codes)?, codes(&row.means)?);
    Ok(format!("\nMisnomer {{ names: {names}, codes: {asked}, means: {means}, text: {:?} }}", row.text))
}
