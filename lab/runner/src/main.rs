//! The crash laboratory: `cargo xtask lab [NAME]...` builds the toy kernel and the drivers of `lab/`, lets each story happen in
//! an emulated machine, and writes what remains to `samples/lab/`. See `lab/README.md`.
#![forbid(unsafe_code)]
// Development tooling: a broken tool or image should stop the run at the place of the mistake.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod collect;
mod compile;
mod gdb;
mod guest;
mod image;
mod injection;
mod kernel;
mod machine;
mod stories;
mod symbols;
mod tools;
mod truth;
mod write;

use std::path::{Path, PathBuf};

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let work = root.join("target/lab");
    let tools = tools::find_or_install(&work);
    let built = compile::everything(&root.join("lab"), &work.join("bin"));
    let out = root.join("samples/lab");
    std::fs::create_dir_all(out.join("symbols")).unwrap();
    for story in stories::ALL.iter().filter(|story| wanted.is_empty() || wanted.iter().any(|name| name == story.name)) {
        run(story, &tools, &built, &work, &out);
    }
    write::symbols(&built, &out.join("symbols"));
}

/// One story from the empty machine to its files.
fn run(story: &stories::Story, tools: &tools::Tools, built: &compile::Built, work: &Path, out: &Path) {
    let folder: PathBuf = work.join("run").join(story.name);
    std::fs::create_dir_all(&folder).unwrap();
    let start = std::time::Instant::now();
    let mut prepared = image::prepare(built, story.drivers);
    let (log, injected) = machine::run(tools, &mut prepared, story.injection, &folder);
    let crash = kernel::Crash::read(&prepared);
    let truth = truth::of(story, &crash, &prepared, injected, built);
    println!(
        "{:<24} {:#x} {:x?} {:.1} s, log: {}",
        story.name,
        crash.code,
        crash.parameters,
        start.elapsed().as_secs_f32(),
        log.trim().replace('\n', ", ")
    );
    for frame in &truth.stack {
        println!("    {:#x} {}!{}", frame.ip, frame.module, frame.symbol);
    }
    assert_eq!(crash.code, story.code, "{}: another bug check than the story's", story.name);
    write::dump(story, &crash, &prepared, truth, out);
    if story.physical {
        write::full(&crash, &prepared, &folder.join("full.dmp"));
    }
}
