//! What makes two crashes the same: a short text that does not depend on where modules were loaded.

use crate::case::{Case, forwards};

/// The stop code, its sub-code where it has one, and the place: module and offset of the fault, or of the first frame that
/// does more than forward.
pub(crate) fn signature(case: &Case<'_>) -> String {
    let mut text = format!("{:#x}", case.code);
    let known = bugcheck_knowledge::bug_check(case.code);
    let selects = known.is_some_and(|known| known.parameters.first().is_some_and(|first| first.format == bugcheck_knowledge::Format::Case));
    if selects || matches!(case.code, 0x139) {
        text.push_str(&format!("/{:#x}", case.parameter(1)));
    }
    if let Some(exception) = case.fault.as_ref().and_then(|fault| fault.exception) {
        text.push_str(&format!(" {exception:#x}"));
    }
    if let Some(place) = place(case) {
        text.push_str(&format!(" {place}"));
    }
    text
}

fn place(case: &Case<'_>) -> Option<String> {
    let describe = |address: u64| case.kernel.modules.describe(address);
    if let Some(ip) = case.fault.as_ref().and_then(|fault| fault.ip) {
        // Code outside every module has no name; the first frame inside one stands for it.
        let caller = || case.frames.iter().find_map(|frame| describe(frame.ip)).map(|caller| format!("called by {caller}"));
        return describe(ip).or_else(caller);
    }
    // A code that names its driver by a parameter is the same crash wherever the stack was.
    if matches!(case.code, 0x116 | 0x117 | 0x141)
        && let Some(place) = describe(case.parameter(2))
    {
        return Some(place);
    }
    let seen = case.modules_on_stack();
    let first = seen.iter().find(|seen| seen.sure && !forwards(seen.module)).or_else(|| seen.iter().find(|seen| !forwards(seen.module)));
    // Without any, the caller of KeBugCheckEx.
    describe(case.frames.get(first.map_or(1, |first| first.frame))?.ip)
}
