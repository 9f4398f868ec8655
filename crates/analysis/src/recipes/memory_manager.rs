//! The memory manager found its own tables damaged: 0x1A, 0x4E, 0x109, 0x127, 0x12B, 0x154, 0x1C7.

use crate::case::Case;
use crate::suspects::Subject;

pub(super) fn run(case: &mut Case<'_>) {
    let (p1, p2, p3, p4) = (case.parameter(1), case.parameter(2), case.parameter(3), case.parameter(4));
    match case.code {
        0x1a if p1 == 0x41792 => page_table_entry(case, p2, p3, p4),
        // Both values are given: a difference of one bit is a flipped bit.
        0x1a if matches!(p1, 0x403 | 0x404 | 0x411) && (p3 ^ p4).count_ones() == 1 => {
            one_bit(case, format!("two values that must agree, {p3:#x} and {p4:#x}, differ in exactly one bit"), "P3, P4");
        }
        0x1a if matches!(p1, 0x1233 | 0x1234 | 0x1235 | 0x1236 | 0x61946 | 0x61948 | 0x1244 | 0x6000..=0x6200) => {
            super::memory_access::blame_stack(case, 0.5);
            memory(case, 0.15, "damaged memory tables can also be the memory itself");
        }
        0x1a if p1 == 0x3f => {
            let text = format!("a page read back from the page file has another checksum ({p3:#x}) than when it was written ({p4:#x})");
            case.suspects.accuse(Subject::hardware("memory"), "page-checksum", 0.4, text.clone(), "P3, P4");
            case.suspects.accuse(Subject::hardware("storage"), "page-checksum", 0.4, text, "P3, P4");
        }
        0x12b | 0x127 => {
            let text = "a page that nothing had written to changed its contents: memory does not keep what is put into it";
            case.suspects.accuse(Subject::hardware("memory"), "page-changed", 0.75, text, "code");
            case.verdict =
                Some(("hardware", "Hardware: a page of memory changed by itself while nothing used it. Test the memory modules.".into()));
        }
        0x154 | 0x1c7 => {
            if let Some(fault) = case.fault.as_ref().filter(|fault| fault.exception == Some(crate::fault::IN_PAGE_ERROR)) {
                let status = fault.io_status;
                super::storage::in_page_error(case, status);
            }
            let text = "the store that keeps compressed pages found them damaged: bad memory, or a drive that returned wrong data";
            case.suspects.accuse(Subject::hardware("memory"), "store-damaged", 0.45, text, "code");
            case.suspects.accuse(Subject::hardware("storage"), "store-damaged", 0.25, text, "code");
            super::memory_access::blame_stack(case, 0.1);
        }
        0x109 => integrity(case),
        _ => {
            memory(
                case,
                0.3,
                "the tables that say which page is where are damaged: bad memory does that, and so does a driver that writes where it must not",
            );
            super::memory_access::blame_stack(case, 0.3);
        }
    }
}

/// 0x1A with 0x41792: a page table entry that should be empty is not.
fn page_table_entry(case: &mut Case<'_>, entry: u64, low: u64, high: u64) {
    let bits = low.count_ones() + high.count_ones();
    if bits == 1 {
        let bit = if low == 0 { high.trailing_zeros() } else { low.trailing_zeros() };
        one_bit(case, format!("the page table entry at {entry:#x} should be empty but has exactly one bit set (bit {bit})"), "P3, P4");
    } else {
        memory(case, 0.4, "a page table entry that should be empty is not");
        super::memory_access::blame_stack(case, 0.25);
    }
}

fn one_bit(case: &mut Case<'_>, text: String, at: &str) {
    case.suspects.accuse(Subject::hardware("memory"), "one-bit", 0.9, format!("{text}: a flipped bit in memory"), at);
    case.bucket_image = Some("MEMORY_CORRUPTION_ONE_BIT".into());
    case.verdict = Some((
        "hardware",
        format!("Hardware: {text}. Memory that flips single bits causes this; software all but never does. Test the memory modules."),
    ));
}

fn memory(case: &mut Case<'_>, weight: f64, text: &str) {
    case.suspects.accuse(Subject::hardware("memory"), "tables-damaged", weight, text, "code");
}

/// 0x109: protected code or data of the kernel changed.
fn integrity(case: &mut Case<'_>) {
    let text = "protected code or data of the kernel changed: by software that patches the kernel, or by bad memory";
    case.suspects.accuse(Subject::hardware("memory"), "kernel-patched", 0.35, text, "code");
    let meddlers: Vec<String> = case
        .kernel
        .modules
        .loaded
        .iter()
        .filter(|module| {
            use bugcheck_knowledge::Role;
            crate::case::known(module)
                .is_some_and(|known| !known.is_microsoft() && matches!(known.role, Role::AntiCheat | Role::Tuning | Role::Antivirus))
        })
        .map(crate::case::described)
        .collect();
    if !meddlers.is_empty() {
        let subject = Subject { name: "software that patches the kernel".into(), family: "third-party-conflict", part: None };
        case.suspects.accuse(
            subject,
            "meddlers-loaded",
            0.3,
            format!("loaded software that reaches deep into the kernel: {}", meddlers.join(", ")),
            "module list",
        );
    }
}
