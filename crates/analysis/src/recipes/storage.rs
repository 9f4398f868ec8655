//! Pages that could not be read back: 0x7A, 0x77, 0x7B, 0xED, and in-page errors.

use crate::case::Case;
use crate::suspects::Subject;

pub(super) fn run(case: &mut Case<'_>) {
    match case.code {
        0x7a => in_page_error(case, Some(case.parameter(2) as u32)),
        // With 0, 1 or 2 in P1 the page came back, but wrong; else P1 and P2 are statuses.
        0x77 if case.parameter(1) <= 2 => {
            let text =
                "a page of kernel stack came back from the page file without the mark that was left in it: bad memory or a bad drive";
            case.suspects.accuse(Subject::hardware("memory"), "stack-page-damaged", 0.45, text, "P1");
            case.suspects.accuse(Subject::hardware("storage"), "stack-page-damaged", 0.35, text, "P1");
        }
        0x77 => in_page_error(case, Some(case.parameter(2) as u32).filter(|&status| status != 0).or(Some(case.parameter(1) as u32))),
        _ => {
            let text = "Windows could not use the volume it starts from: changed storage mode or driver, a failing drive, or a damaged file system";
            case.suspects.accuse(Subject::hardware("storage"), "boot-volume", 0.35, text, "code");
            case.suspects.accuse(Subject::corrupted_files(), "boot-volume", 0.25, text, "code");
            case.suspects.accuse(Subject::os("storage configuration"), "boot-volume", 0.2, text, "code");
        }
    }
}

/// A page of code or data could not be read: what the status says of the reason.
pub(super) fn in_page_error(case: &mut Case<'_>, status: Option<u32>) {
    let name = |status: u32| {
        bugcheck_knowledge::status(status).map_or_else(|| format!("{status:#x}"), |known| format!("{status:#x} {}", known.name))
    };
    let Some(status) = status else {
        case.suspects.accuse(
            Subject::hardware("storage"),
            "in-page-error",
            0.5,
            "a page could not be read back from the disk",
            "exception record",
        );
        return;
    };
    let text = format!("a page could not be read back from the disk: {}", name(status));
    let (storage, memory, files) = match status {
        // Device not ready, I/O device error, bad sectors, CRC, not connected, timeout.
        0xc000_000e | 0xc000_0185 | 0xc000_009c | 0xc000_009d | 0xc000_016a | 0xc000_003f | 0xc000_00b5 | 0xc000_000f => (0.75, 0.05, 0.05),
        // Insufficient resources: not the drive at all.
        0xc000_009a => (0.05, 0.05, 0.02),
        // File or disk corruption.
        0xc000_0032 | 0xc000_0102 => (0.4, 0.15, 0.45),
        _ => (0.5, 0.1, 0.1),
    };
    case.suspects.accuse(Subject::hardware("storage"), "in-page-error", storage, text.clone(), "status");
    case.suspects.accuse(
        Subject::hardware("memory"),
        "in-page-error",
        memory,
        "a failing memory path can corrupt such reads too",
        "status",
    );
    case.suspects.accuse(Subject::corrupted_files(), "in-page-error", files, text.clone(), "status");
    case.verdict.get_or_insert((
        "hardware",
        format!(
            "Windows needed a page from the disk and did not get it ({}). Look at the drive, its cable and its controller first.",
            name(status)
        ),
    ));
}
