//! The report for a person: verdict first, then why, then details, and at the end a block to paste into a ticket.

use crate::style::{Ink, Style, percent, plain, sentence};
use bugcheck_analysis::Analysis;
use bugcheck_analysis::model::{Object, StackFrame, Suspect, System};
use std::fmt::Write as _;

/// Frames shown of a stack unless everything is asked for.
const FRAMES: usize = 14;

/// The whole report.
#[must_use]
pub fn render(analysis: &Analysis, style: Style) -> String {
    let mut out = String::new();
    verdict(&mut out, analysis, style);
    if style.verbosity < 0 {
        return out;
    }
    suspects(&mut out, &analysis.suspects, style);
    happened(&mut out, analysis, style);
    plan(&mut out, analysis, style);
    objects(&mut out, &analysis.objects, style);
    stacks(&mut out, analysis, style);
    machine(&mut out, analysis, style);
    drivers(&mut out, analysis, style);
    missing(&mut out, analysis, style);
    out.push('\n');
    out.push_str(&summary(analysis, style));
    out
}

fn verdict(out: &mut String, analysis: &Analysis, style: Style) {
    let verdict = &analysis.verdict;
    let file = file_name(&analysis.dump.path);
    let _ = writeln!(out, "{}", style.paint(Ink::Faint, &format!("{file} · {}", stop_code(analysis))));
    let ink = if matches!(verdict.kind.as_str(), "requested" | "test" | "live") { Ink::Calm } else { Ink::Alarm };
    let title = match verdict.kind.as_str() {
        "fault" => "SOFTWARE FAULT",
        "hardware" => "HARDWARE",
        "hang" => "SOMETHING DID NOT ANSWER",
        "power" => "POWER STATE",
        "resource" => "OUT OF RESOURCES",
        "security" => "PROTECTION STRUCK",
        "requested" => "CRASH ON REQUEST",
        "test" => "TEST CRASH",
        "live" => "NO CRASH (live dump)",
        _ => "UNKNOWN",
    };
    let sure = analysis.suspects.first().map(|first| format!("  (first suspect: {})", percent(first.confidence))).unwrap_or_default();
    let _ = writeln!(out, "\n{}{sure}", style.paint(ink, title));
    style.paragraph(out, "  ", &plain(&verdict.sentence));
}

fn suspects(out: &mut String, suspects: &[Suspect], style: Style) {
    if suspects.is_empty() {
        return;
    }
    style.heading(out, "SUSPECTS");
    let shown = if style.verbosity > 0 { suspects.len() } else { 4 };
    for suspect in suspects.iter().take(shown) {
        let what = suspect.part.map_or_else(|| suspect.family.to_owned(), |_| "hardware".into());
        let _ = writeln!(out, "  {}. {} ({what}), {}", suspect.rank, plain(&suspect.subject), percent(suspect.confidence));
        let pieces = if style.verbosity > 0 { suspect.evidence.len() } else { 3 };
        for piece in suspect.evidence.iter().take(pieces) {
            let sign = if piece.direction == "for" { "     + " } else { "     − " };
            style.paragraph(out, sign, &plain(&format!("{} [{}]", piece.text, piece.source.at)));
        }
        // Evidence against must never be cut away silently.
        for piece in suspect.evidence.iter().skip(pieces).filter(|piece| piece.direction == "against") {
            style.paragraph(out, "     − ", &plain(&format!("{} [{}]", piece.text, piece.source.at)));
        }
    }
    if suspects.len() > shown {
        let _ = writeln!(out, "  … and {} less likely", suspects.len() - shown);
    }
    let rest = 1.0 - suspects.iter().map(|suspect| suspect.confidence).sum::<f64>();
    if rest >= 0.05 {
        let _ = writeln!(out, "     {} for something else", percent(rest));
    }
}

fn happened(out: &mut String, analysis: &Analysis, style: Style) {
    style.heading(out, "WHAT HAPPENED");
    style.field(out, "Stop code", &stop_code(analysis));
    style.field(out, "Meaning", &sentence(&analysis.bugcheck.about));
    for (index, (value, words)) in analysis.bugcheck.parameters.iter().zip(&analysis.bugcheck.parameters_explained).enumerate() {
        let unused = ["reserved", "not used", "not documented"].iter().any(|word| words.starts_with(word));
        if value.0 != 0 || !unused {
            style.field(out, &format!("P{}", index + 1), &plain(words));
        }
    }
    let dump = &analysis.dump;
    let mut when = dump.crash_time.clone().unwrap_or_else(|| "time not recorded".into());
    if let Some(uptime) = dump.uptime_seconds {
        let _ = write!(when, ", {} after start", duration(uptime));
    }
    style.field(out, "When", &when);
    if let Some(process) = &analysis.process {
        let name = process.path.as_ref().or(process.image.as_ref());
        if let Some(name) = name {
            style.field(out, "Process", &format!("{} (what was running; rarely what is at fault)", plain(name)));
        }
    }
    let Some(fault) = &analysis.fault else { return };
    style.field(out, "Fault", &plain(&fault.explanation));
    if let Some(instruction) = &fault.instruction {
        let place = fault
            .symbol
            .clone()
            .or_else(|| fault.location.clone())
            .or(fault.instruction_pointer.map(|ip| ip.to_string()))
            .unwrap_or_default();
        style.field(out, "Instruction", &plain(&format!("{}   ({place}: {})", instruction.text, instruction.bytes)));
    }
    style.field(out, "Check", &plain(&format!("{}: {}", fault.consistency.verdict, fault.consistency.why)));
    let registers = &analysis.context.registers;
    if !registers.is_empty() && style.verbosity > 0 {
        let all: Vec<String> = registers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        style.field(out, "Registers", &format!("{} (from: {})", all.join(" "), analysis.context.source));
    }
}

fn plan(out: &mut String, analysis: &Analysis, style: Style) {
    if analysis.plan.is_empty() {
        return;
    }
    style.heading(out, "WHAT TO DO NEXT");
    for (index, step) in analysis.plan.iter().enumerate() {
        style.paragraph(out, &format!("  {}. ", index + 1), &plain(&step.title));
        for command in &step.commands {
            let prompt = match command.shell {
                "bios" => "     BIOS: ",
                "powershell" => "     PS> ",
                _ => "     > ",
            };
            style.verbatim(out, prompt, &plain(&command.run));
        }
        if let Some(look_for) = &step.look_for {
            style.paragraph(out, "     Look for: ", &plain(&sentence(look_for)));
        }
        if let Some(undo) = step.undo.as_ref().filter(|_| style.verbosity > 0) {
            style.paragraph(out, "     To undo: ", &plain(&sentence(undo)));
        }
    }
}

fn objects(out: &mut String, objects: &[Object], style: Style) {
    if objects.is_empty() {
        return;
    }
    style.heading(out, "OBJECTS");
    for object in objects {
        let at = object.address.map(|address| format!(" {address}")).unwrap_or_default();
        style.paragraph(out, "  ", &plain(&format!("{}{at}: {}", object.kind, object.text)));
    }
}

fn stacks(out: &mut String, analysis: &Analysis, style: Style) {
    for stack in &analysis.stacks {
        if stack.frames.is_empty() || (stack.kind == "bugcheck" && analysis.stacks.len() > 1 && style.verbosity <= 0) {
            continue;
        }
        let title = match (stack.kind, &stack.id) {
            ("fault", _) => "STACK (of the fault)".to_owned(),
            ("bugcheck", _) => "STACK (of the bug check)".to_owned(),
            ("cpu", Some(id)) => format!("STACK (of processor {id})"),
            (kind, id) => format!("STACK ({kind} {})", id.clone().unwrap_or_default()),
        };
        style.heading(out, &title);
        let shown = if style.verbosity > 0 { stack.frames.len() } else { FRAMES };
        for frame in stack.frames.iter().take(shown) {
            style.verbatim(out, "  ", &frame_line(frame));
        }
        if stack.frames.len() > shown {
            let _ = writeln!(out, "  … {} more candidates (-v shows all)", stack.frames.len() - shown);
        }
        if stack.frames.iter().any(|frame| frame.trust == "scan") {
            let legend = "Found by scanning the stack: call ✓ means a call instruction stands before that address, ? that the code there is not in the dump. Some may be left over from earlier calls.";
            style.paragraph(out, "  ", legend);
        }
    }
}

fn frame_line(frame: &StackFrame) -> String {
    let trust = match (frame.trust, frame.call_seen) {
        ("scan", Some(true)) => "call ✓",
        ("scan", _) => "?",
        (trust, _) => trust,
    };
    let source = frame.source.as_ref().map(|source| format!("  [{source}]")).unwrap_or_default();
    format!("{:02}  {:<34} {trust}{}", frame.index, plain(&place(frame)), plain(&source))
}

fn machine(out: &mut String, analysis: &Analysis, style: Style) {
    style.heading(out, "MACHINE");
    let dump = &analysis.dump;
    let os = dump.os.name.clone().unwrap_or_else(|| "Windows".into());
    style.field(out, "Windows", &format!("{os}, build {}, {}, {} processors", dump.os.build, dump.arch, dump.processors));
    let system = &analysis.system;
    for (label, text) in machine_fields(system) {
        style.field(out, label, &plain(&text));
    }
    style.field(
        out,
        "Dump",
        &format!("{} dump, {} modules, {} unloaded", dump.kind, analysis.modules.len(), analysis.unloaded_modules.len()),
    );
}

fn machine_fields(system: &System) -> Vec<(&'static str, String)> {
    let join = |parts: [Option<&String>; 3]| parts.into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    let model = join([system.manufacturer.as_ref(), system.product.as_ref(), None]);
    let bios = join([system.bios_vendor.as_ref(), system.bios_version.as_ref(), system.bios_date.as_ref()]);
    let microcode = system.microcode.map(|revision| format!(", microcode {revision}")).unwrap_or_default();
    let cpu = system.cpu.as_ref().map(|cpu| format!("{cpu}{microcode}")).unwrap_or_default();
    let memory: Vec<String> = system
        .memory
        .iter()
        .map(|module| {
            let speed = match (module.configured_speed, module.speed) {
                (Some(set), Some(rated)) if set != rated => format!(" at {set} of {rated} MT/s"),
                (Some(speed), _) | (None, Some(speed)) => format!(" at {speed} MT/s"),
                (None, None) => String::new(),
            };
            format!("{} {} MiB{speed} {}", module.slot, module.size_mib, module.part_number.as_deref().unwrap_or(""))
        })
        .collect();
    [
        ("Model", model),
        ("Board", system.board.clone().unwrap_or_default()),
        ("BIOS", bios),
        ("Processor", cpu),
        ("Memory", memory.join("; ")),
        ("Virtual", system.hypervisor.clone().unwrap_or_default()),
        ("NVIDIA", system.nvidia_driver.as_ref().map(|version| format!("driver {version}")).unwrap_or_default()),
    ]
    .into_iter()
    .filter(|(_, text)| !text.trim().is_empty())
    .collect()
}

fn drivers(out: &mut String, analysis: &Analysis, style: Style) {
    if style.verbosity > 0 {
        style.heading(out, "MODULES");
        for module in &analysis.modules {
            let company = module.company.unwrap_or("?");
            let line =
                format!("{:<18} {:>9}  {:<24} {company}", module.base.to_string(), format!("{:#x}", module.size), plain(&module.image));
            style.verbatim(out, "  ", &line);
        }
        if !analysis.secondary_data.is_empty() {
            style.heading(out, "SECONDARY DATA");
            for blob in &analysis.secondary_data {
                let text = blob.text.as_ref().map(|text| format!(": {}", plain(text))).unwrap_or_default();
                style.paragraph(
                    out,
                    "  ",
                    &format!("{} {:>8} bytes  {}{text}", blob.tag, blob.size, blob.meaning.unwrap_or("meaning not known")),
                );
            }
        }
        return;
    }
    let third_party: Vec<&str> = analysis
        .modules
        .iter()
        .filter(|module| module.microsoft != Some(true) && !module.image.starts_with("dump_"))
        .map(|module| module.image.as_str())
        .collect();
    if !third_party.is_empty() {
        style.field(out, "Drivers", &plain(&format!("{} not from Microsoft: {}", third_party.len(), third_party.join(" "))));
    }
}

fn missing(out: &mut String, analysis: &Analysis, style: Style) {
    if !analysis.missing.is_empty() {
        style.heading(out, "WHAT WOULD MAKE THIS SURER");
        for missing in &analysis.missing {
            style.paragraph(out, "  • ", &plain(&format!("{}: {} {}", missing.what, sentence(&missing.why), sentence(&missing.how))));
        }
    }
    // Remarks that only experts miss are shown to those who ask for everything.
    let notes: Vec<_> = analysis.notes.iter().filter(|note| note.severity == "warning" || style.verbosity > 0).collect();
    if !notes.is_empty() {
        style.heading(out, "NOTES");
        for note in notes {
            let at = note.at.as_ref().map(|at| format!(" [{at}]")).unwrap_or_default();
            style.paragraph(out, "  • ", &plain(&format!("{}{at}", sentence(&note.text))));
        }
    }
}

/// The block to paste into a ticket or a forum post: every fact an expert asks for first.
#[must_use]
pub fn summary(analysis: &Analysis, style: Style) -> String {
    let mut out = String::new();
    let rule = "─".repeat(style.width.clamp(30, 72));
    let _ = writeln!(out, "{rule}");
    let dump = &analysis.dump;
    let parameters = analysis.bugcheck.parameters.map(|parameter| parameter.to_string()).join(", ");
    style.paragraph(&mut out, "", &format!("{} ({parameters})", stop_code(analysis)));
    style.paragraph(
        &mut out,
        "",
        &plain(&format!("Verdict: {} ({}). {}", analysis.verdict.kind, percent(analysis.verdict.confidence), suspect_line(analysis))),
    );
    if let Some(fault) = &analysis.fault {
        let place = fault.symbol.clone().or_else(|| fault.location.clone()).unwrap_or_else(|| "unknown place".into());
        let text = fault.instruction.as_ref().map(|instruction| format!(": {}", instruction.text)).unwrap_or_default();
        style.paragraph(&mut out, "", &plain(&format!("At: {place}{text} ({})", fault.consistency.verdict)));
    }
    let stack = summary_stack(&analysis.stack);
    if !stack.is_empty() {
        style.paragraph(&mut out, "", &plain(&format!("Stack: {}", stack.join(" < "))));
    }
    if let (Some(bucket), Some(hash)) = (&analysis.windbg.failure_bucket_id, &analysis.windbg.failure_id_hash) {
        style.paragraph(&mut out, "", &format!("WinDbg: {bucket} {{{hash}}}"));
    }
    let os = dump.os.name.clone().unwrap_or_else(|| "Windows".into());
    let cpu = analysis.system.cpu.as_ref().map(|cpu| format!(" · {cpu}")).unwrap_or_default();
    let board = analysis.system.board.as_ref().map(|board| format!(" · {board}")).unwrap_or_default();
    let bios = analysis.system.bios_version.as_ref().map(|bios| format!(" · BIOS {bios}")).unwrap_or_default();
    style.paragraph(&mut out, "", &plain(&format!("{os} {} {}{cpu}{board}{bios}", dump.os.build, dump.arch)));
    let when = dump.crash_time.clone().unwrap_or_else(|| "unknown time".into());
    style.paragraph(&mut out, "", &plain(&format!("{} · {when} · bugcheck {}", file_name(&dump.path), analysis.tool.version)));
    let _ = writeln!(out, "{rule}");
    out
}

/// The first frames, those that a call vouches for where there are enough of them.
fn summary_stack(frames: &[StackFrame]) -> Vec<String> {
    let sure = |frame: &&StackFrame| frame.trust != "scan" || frame.call_seen == Some(true);
    let enough = frames.iter().filter(sure).count() >= 3;
    let chosen = frames.iter().filter(|frame| !enough || sure(frame)).take(6);
    chosen.map(|frame| format!("{}{}", place(frame), if sure(&frame) { "" } else { "?" })).collect()
}

/// Where a frame is: module and offset, or the bare address.
fn place(frame: &StackFrame) -> String {
    match (&frame.module, frame.module_offset) {
        (Some(module), Some(_)) if frame.symbol.is_some() => {
            let (symbol, offset) = (frame.symbol.as_deref().unwrap_or_default(), frame.symbol_offset.map_or(0, |offset| offset.0));
            format!("{module}!{symbol}+{offset:#x}")
        }
        (Some(module), Some(offset)) => format!("{module}+{offset}"),
        _ => frame.ip.to_string(),
    }
}

fn suspect_line(analysis: &Analysis) -> String {
    match analysis.suspects.split_first() {
        None => "No suspect.".into(),
        Some((first, rest)) => {
            let others: Vec<String> =
                rest.iter().take(2).map(|suspect| format!("{} {}", suspect.subject, percent(suspect.confidence))).collect();
            let others = if others.is_empty() { String::new() } else { format!("; then {}", others.join(", ")) };
            format!("Suspect: {} {}{others}.", first.subject, percent(first.confidence))
        }
    }
}

pub(crate) fn stop_code(analysis: &Analysis) -> String {
    let unnamed = if analysis.bugcheck.code.0 == 0 { "(no bug check)" } else { "(undocumented code)" };
    let name = analysis.bugcheck.name.as_deref().unwrap_or(unnamed);
    format!("{} {name}", analysis.bugcheck.code)
}

pub(crate) fn file_name(path: &str) -> String {
    plain(path.rsplit(['/', '\\']).next().unwrap_or(path))
}

fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
