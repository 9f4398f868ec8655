//! The truth of a story: what its author wrote, with the addresses, names and lines of this run.

use crate::compile::Built;
use crate::image::Prepared;
use crate::kernel::Crash;
use crate::stories::Story;
use crate::symbols::{Place, place};
use bugcheck_synth::{Frame, Injected, Truth};

/// Puts the truth together.
pub(crate) fn of(story: &Story, crash: &Crash, prepared: &Prepared, injected: Option<Injected>, built: &Built) -> Truth {
    let places: Vec<(u64, Option<Place>)> =
        crash.true_stack.iter().enumerate().map(|(index, &ip)| (ip, place(ip, index > 0, prepared, built))).collect();
    let frame = |(ip, place): &(u64, Option<Place>)| {
        let (module, symbol) = place.as_ref().map_or(("", ""), |place| (place.module.as_str(), place.function.as_str()));
        Frame { ip: *ip, module: module.to_owned(), symbol: symbol.to_owned() }
    };
    Truth {
        dump: format!("{}.dmp", story.name),
        code: crash.code,
        parameters: crash.parameters,
        family: Some(story.family.to_owned()),
        part: story.part.map(str::to_owned),
        subject: Some(story.subject.to_owned()),
        function: story.function.map(str::to_owned),
        source: story.mistake.map(|mistake| source_line(story, mistake, built)),
        victim: story.victim.map(str::to_owned),
        injected,
        stack: places.iter().map(frame).collect(),
        expected_kind: story.kind.to_owned(),
        note: Some(story.what.to_owned()),
        arch: Some(bugcheck_synth::Arch::X64),
        machine: Some("lab".to_owned()),
    }
}

/// `file.c:LINE` of the one line that is the mistake.
fn source_line(story: &Story, mistake: &str, built: &Built) -> String {
    let file = story.subject.replace(".sys", ".c");
    let text = std::fs::read_to_string(built.sources.join("drivers").join(&file)).unwrap();
    let lines: Vec<usize> =
        text.lines().enumerate().filter(|(_, line)| line.trim().starts_with(mistake)).map(|(index, _)| index + 1).collect();
    assert_eq!(lines.len(), 1, "{file}: {mistake:?} is on lines {lines:?}");
    format!("{file}:{}", lines[0])
}
