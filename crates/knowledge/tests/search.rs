//! What people type, and what they get.

use bugcheck_knowledge::{How, Lookup, bug_checks, search};
use proptest::prelude::*;

/// The codes found, best first.
fn codes(text: &str) -> Vec<u32> {
    search(text).hits.iter().map(|hit| hit.code).collect()
}

fn says(lookup: &Lookup, words: &str) -> bool {
    lookup.notes.iter().map(String::as_str).chain(lookup.corrections.iter().copied()).any(|text| text.contains(words))
}

#[test]
fn a_code_in_any_spelling() {
    for text in ["0x50", "50", "0X50", "0x00000050", "00000050", "STOP 0x50", "Stop: 0x00000050", "BugCheck 50, {0,0,0,0}"] {
        assert_eq!(codes(text), [0x50], "{text}");
    }
    for text in ["0xd1", "d1", "D1", "DRIVER_IRQL_NOT_LESS_OR_EQUAL (d1)", "driver irql not less or equal"] {
        assert_eq!(codes(text), [0xd1], "{text}");
    }
    assert_eq!(codes("BugCheck A, {0, 2, 0, 0}"), [0xa]);
    assert_eq!(codes("0x1000007e"), [0x1000_007e]);
    assert_eq!(codes("1000007E"), [0x1000_007e]);
    assert!(says(&search("0x1000000a"), "0x1000000a is 0xa with the flag that small dumps add"));
}

#[test]
fn bare_digits_are_hexadecimal_if_that_is_a_code_and_else_decimal() {
    let lookup = search("307");
    assert_eq!(lookup.hits[0].code, 0x133);
    assert!(says(&lookup, "read as decimal") && says(&lookup, "0x307 is no known code"));
    let lookup = search("101");
    assert_eq!(lookup.hits[0].code, 0x101);
    assert!(says(&lookup, "read as hexadecimal") && says(&lookup, "0x65 MEMORY1_INITIALIZATION_FAILED"));
    assert!(search("0x101").notes.is_empty());
}

#[test]
fn the_fields_of_event_41_are_decimal() {
    let lookup = search("<Data Name=\"BugcheckCode\">80</Data><Data Name=\"BugcheckParameter1\">0x7fe</Data>");
    assert_eq!(lookup.hits[0].code, 0x50);
    assert_eq!(lookup.parameters, [0x7fe]);
    assert!(says(&lookup, "read as decimal"));
    assert!(says(&search("BugcheckCode 0"), "without a recorded crash"));
}

#[test]
fn a_name_helps_to_read_the_number() {
    assert_eq!(codes("VIDEO_TDR_FAILURE 278"), [0x116]);
    let lookup = search("PAGE_FAULT_IN_NONPAGED_AREA (50)");
    assert_eq!(lookup.hits.len(), 1);
    assert!(lookup.notes.is_empty());
}

#[test]
fn parameters_are_found() {
    for text in [
        "0x1A 0x41792 0xfffff6fb40000abc 0x2000 0",
        "STOP: 0x0000001A (0x00041792, 0xFFFFF6FB40000ABC, 0x2000, 0x0)",
        "BugCheck 1A, {41792, fffff6fb`40000abc, 2000, 0}",
        "Code 1A P1: 41792 P2: fffff6fb40000abc P3: 2000 P4: 0",
    ] {
        let lookup = search(text);
        assert_eq!(lookup.hits[0].code, 0x1a, "{text}");
        assert_eq!(lookup.parameters, [0x41792, 0xffff_f6fb_4000_0abc, 0x2000, 0], "{text}");
        let explained = lookup.hits[0].bug_check.explain_known(lookup.known_parameters(), &|_| None);
        assert!(explained.parameters[2].contains("(bit 13)"), "{explained:?}");
    }
    let lookup = search("0x7E (0xc0000005)");
    assert_eq!(lookup.known_parameters(), [Some(0xc000_0005), None, None, None]);
    assert!(search("0x50 is not 0x3B").parameters.is_empty());
}

#[test]
fn parts_of_names_list_the_common_ones_first() {
    let lookup = search("PAGE_FAULT");
    assert_eq!(lookup.hits[0].code, 0x50);
    assert!(lookup.hits.iter().all(|hit| hit.how == How::Part && hit.bug_check.name.contains("PAGE_FAULT")));
    assert!(codes("page fault").contains(&0xcc));
    assert_eq!(codes("irql not less")[0], 0xa);
    assert_eq!(codes("machine check")[0], 0x9c);
}

#[test]
fn misspelt_names_are_found() {
    for (text, code) in [
        ("PAGE_FALT_IN_NON_PAGED_AREA", 0x50),
        ("critical proces died", 0xef),
        ("DPC_WATCHDOG_VIOLATON", 0x133),
        ("kernal security check failure", 0x139),
        ("WHEA_UNCORECTABLE_ERROR", 0x124),
    ] {
        assert_eq!(codes(text).first(), Some(&code), "{text}: {:?}", search(text));
    }
}

#[test]
fn every_name_finds_its_code() {
    for known in bug_checks() {
        let found = codes(known.name);
        assert_eq!(found.first(), Some(&known.code), "{}", known.name);
        assert_eq!(codes(&known.name.to_lowercase().replace('_', " ")).first(), Some(&known.code), "{}", known.name);
    }
}

#[test]
fn every_code_finds_itself() {
    for known in bug_checks() {
        assert_eq!(codes(&format!("{:#010x}", known.code)), [known.code]);
    }
}

#[test]
fn a_name_and_a_code_that_contradict_each_other_are_both_shown() {
    let lookup = search("KERNEL_MODE_EXCEPTION_NOT_HANDLED 0x0000005C");
    assert_eq!(lookup.hits.iter().map(|hit| hit.code).collect::<Vec<_>>(), [0x5c, 0x8e]);
    assert!(says(&lookup, "contradict each other: 0x5c is HAL_INITIALIZATION_FAILED"));
    assert_eq!(codes("BAD_POOL_HEADER 0xC2"), [0xc2, 0x19]);
    assert!(!says(&search("BAD_POOL_HEADER 0x19"), "contradict"));
}

#[test]
fn the_claims_of_the_web_article_are_corrected() {
    assert!(says(&search("0x5C"), "0x5C is HAL_INITIALIZATION_FAILED"));
    let name = "CRITICAL_PROCESS_DID_NOT_PROVIDE_A_VALID_THREAD_FUNCTION";
    let lookup = search(name);
    assert!(says(&lookup, "There is no bug check named"));
    assert!(lookup.hits[0].code == 0x50 && lookup.hits.iter().any(|hit| hit.code == 0xef));
    let lookup = search("Kernel-Mode Page Fault");
    assert!(says(&lookup, "a family"));
    assert_eq!(lookup.hits[0].code, 0x50);
    assert_eq!(lookup.hits.len(), 19);
    assert!(lookup.hits.iter().all(|hit| hit.code != 0x5c));
    assert!(says(&search("nt!KiBugCheckExceptio..."), "KeBugCheckEx"));
    let sentence = format!("A Kernel-Mode Page Fault ({name}) manifests as a Blue Screen with the error code 0x0000005C.");
    assert_eq!(search(&sentence).corrections.len(), 3);
}

#[test]
fn statuses_are_no_bug_checks_unless_they_are() {
    for text in ["0xc0000005", "0xffffffffc0000005", "STATUS_ACCESS_VIOLATION", "status_access_violation"] {
        let lookup = search(text);
        assert!(lookup.hits.is_empty(), "{text}");
        assert_eq!(lookup.statuses[0].name, "STATUS_ACCESS_VIOLATION", "{text}");
    }
    assert!(says(&search("0xc0000005"), "is a status, not a bug check"));
    let lookup = search("0xC000021A");
    assert_eq!((lookup.hits[0].code, lookup.statuses[0].code), (0xc000_021a, 0xc000_021a));
}

#[test]
fn modules_are_recognised() {
    assert_eq!(search("what is nvlddmkm.sys?").modules[0].vendor, "NVIDIA");
    assert!(says(&search("ntoskrnl.exe+3f5780"), "Windows kernel itself"));
}

#[test]
fn what_is_unknown_is_said_to_be_unknown() {
    for (text, words) in [
        ("0xdeadbeef", "0xdeadbeef is no known bug check code"),
        ("0x41792", "a parameter value of 0x1a MEMORY_MANAGEMENT"),
        ("fffff80012345678", "too large for a bug check code"),
        ("hello world", "no bug check code, name or status was recognised"),
        ("", "no bug check code, name or status was recognised"),
    ] {
        let lookup = search(text);
        assert!(lookup.hits.is_empty() && says(&lookup, words), "{text}: {lookup:?}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_search_panic(text in "\\PC{0,300}") {
        let _ = search(&text);
    }

    #[test]
    fn no_text_like_a_real_one_makes_it_panic(
        text in "(0x|[0-9a-f]{1,17}|[({})]|[A-Z]{1,9}_|IRQL_NOT_|BugCheck |STOP: |, |`|é|\u{1F600}|PAGE_FAULT|\\.sys){0,40}"
    ) {
        let _ = search(&text);
    }

    #[test]
    fn no_parameters_make_the_explanation_panic(at in 0_usize..2000, parameters: [u64; 4], small: [u8; 4]) {
        let all = bug_checks();
        if let Some(known) = all.get(at % all.len().max(1)) {
            for parameters in [parameters, small.map(u64::from)] {
                let explained = known.explain(parameters, &|address| Some(format!("{address:x}")));
                prop_assert!(explained.parameters.iter().all(|words| !words.is_empty()));
            }
        }
    }
}
