//! Crashes that somebody asked for, and tests.

use crate::case::Case;

/// Recognises a crash on demand; such a crash has no suspects.
pub(super) fn is_test_or_requested(case: &mut Case<'_>) -> bool {
    // Sysinternals' NotMyFault crashes the machine through its driver.
    let tool = case.process.as_deref().is_some_and(|name| name.to_ascii_lowercase().starts_with("notmyfault"));
    let driver = case.kernel.modules.by_image("myfault.sys").is_some();
    let on_stack = case.modules_on_stack().iter().any(|seen| seen.module.image.eq_ignore_ascii_case("myfault.sys"));
    if (tool && driver) || on_stack || (tool && case.kernel.modules.loaded.is_empty()) {
        let sentence = "A test: NotMyFault, a tool made to crash Windows on purpose, was running and its driver myfault.sys is loaded. Nothing is wrong with this machine.";
        case.verdict = Some(("test", sentence.into()));
        return true;
    }
    let sentence = match case.code {
        0xe2 => {
            "Somebody asked for this crash: it was started by hand from the keyboard (Ctrl + Scroll Lock), by a debugger, or by a tool."
        }
        0xdead_dead => "Somebody asked for this crash: a debugger or a test tool started it by hand.",
        0x161 => "No crash: somebody asked Windows for a live dump while the machine went on running.",
        0x1c8 => {
            "Somebody held the power button down until Windows stopped: this dump shows what the machine was doing then. If it seemed frozen, look at what the processors and threads were waiting for; the dump itself accuses nobody."
        }
        0x21c8 => "No crash: somebody pressed the key combination that makes Windows record a black screen.",
        0x5454_414d => "No crash: a memory-imaging tool (DumpIt and its kin write this mark) saved the memory of a running machine.",
        0 => "No crash: the header names no bug check, so the dump was taken of a running machine.",
        _ => return false,
    };
    let kind = if matches!(case.code, 0x161 | 0x21c8 | 0x5454_414d | 0) { "live" } else { "requested" };
    case.verdict = Some((kind, sentence.into()));
    true
}
