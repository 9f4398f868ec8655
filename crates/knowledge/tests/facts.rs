//! The facts that ship, asked through the public functions.

use bugcheck_knowledge::{Cause, Kind, base_code, bug_check, bug_checks, module, modules, name, status, status_named, windows_release};

/// Every code that Microsoft's reference documents.
fn documented() -> impl Iterator<Item = u32> {
    include_str!("documented_codes.txt").lines().filter_map(|line| u32::from_str_radix(line.trim_start_matches("0x"), 16).ok())
}

#[test]
fn every_documented_code_is_known() {
    let missing: Vec<String> = documented().filter(|&code| bug_check(code).is_none()).map(|code| format!("{code:#x}")).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
    assert!(documented().count() >= 425);
}

#[test]
fn the_flag_of_small_dumps_is_taken_off() {
    for (code, base) in [
        (0x1000_007e, 0x7e),
        (0x1000_007f, 0x7f),
        (0x1000_008e, 0x8e),
        (0x1000_00ea, 0xea),
        (0x7e, 0x7e),
        (0xc000_0218, 0xc000_0218),
        (0xa000_0001, 0xa000_0001),
        (0x4000_008a, 0x4000_008a),
        (0xdead_dead, 0xdead_dead),
    ] {
        assert_eq!(base_code(code), base, "{code:#x}");
    }
    assert_eq!(name(0x1000_000a), Some("IRQL_NOT_LESS_OR_EQUAL"));
    assert_eq!(name(0x1000_007e), Some("SYSTEM_THREAD_EXCEPTION_NOT_HANDLED_M"));
    assert_eq!(name(0x00ab_cdef), None);
}

#[test]
fn codes_rise_and_every_bug_check_says_something() {
    assert!(bug_checks().windows(2).all(|pair| pair[0].code < pair[1].code));
    assert!(bug_checks().iter().all(|known| !known.about.is_empty()));
}

#[test]
fn the_code_of_the_web_article_is_no_page_fault() {
    let known = bug_check(0x5c).unwrap();
    assert_eq!(known.name, "HAL_INITIALIZATION_FAILED");
    assert!(!known.likely.contains(&Cause::HardwareMemory));
}

#[test]
fn a_single_flipped_bit_is_named() {
    let explained = bug_check(0x1a).unwrap().explain([0x41792, 0xffff_f6fb_4000_0abc, 0x2000, 0], &|_| None);
    assert!(explained.case.is_some());
    assert!(
        explained.parameters[2].contains("exactly one bit set (bit 13) in an entry that should be empty: a RAM bit flip"),
        "{explained:?}"
    );
}

#[test]
fn every_bug_check_can_be_explained() {
    for known in bug_checks() {
        let selectors = known.cases.iter().flat_map(|case| case.values).copied();
        for selector in selectors.chain([0, 1, u64::MAX]) {
            for at in 0..4 {
                let mut parameters = [2; 4];
                parameters[at] = selector;
                let explained = known.explain(parameters, &|_| None);
                assert!(!explained.about.is_empty());
                assert!(explained.parameters.iter().all(|words| !words.is_empty()));
            }
        }
    }
}

#[test]
fn words_are_those_of_the_reports() {
    let words = "fault hardware hang power resource security requested test live unknown";
    let kinds: Vec<String> = Kind::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(kinds.join(" "), words);
    let memory = Cause::from_word("hardware/memory").unwrap();
    assert_eq!((memory.family(), memory.part()), ("hardware", Some("memory")));
    assert_eq!((Cause::Driver.family(), Cause::Driver.part()), ("driver", None));
}

#[test]
fn statuses_have_names_and_the_important_ones_words() {
    for (code, name) in [
        (0, "STATUS_SUCCESS"),
        (0x103, "STATUS_PENDING"),
        (0x8000_0003, "STATUS_BREAKPOINT"),
        (0xc000_0005, "STATUS_ACCESS_VIOLATION"),
        (0xc000_0006, "STATUS_IN_PAGE_ERROR"),
        (0xc000_000e, "STATUS_NO_SUCH_DEVICE"),
        (0xc000_001d, "STATUS_ILLEGAL_INSTRUCTION"),
        (0xc000_003f, "STATUS_CRC_ERROR"),
        (0xc000_0094, "STATUS_INTEGER_DIVIDE_BY_ZERO"),
        (0xc000_0096, "STATUS_PRIVILEGED_INSTRUCTION"),
        (0xc000_009a, "STATUS_INSUFFICIENT_RESOURCES"),
        (0xc000_009c, "STATUS_DEVICE_DATA_ERROR"),
        (0xc000_009d, "STATUS_DEVICE_NOT_CONNECTED"),
        (0xc000_00b5, "STATUS_IO_TIMEOUT"),
        (0xc000_014c, "STATUS_REGISTRY_CORRUPT"),
        (0xc000_016a, "STATUS_DISK_OPERATION_FAILED"),
        (0xc000_0185, "STATUS_IO_DEVICE_ERROR"),
        (0xc000_021a, "STATUS_SYSTEM_PROCESS_TERMINATED"),
        (0xc000_0221, "STATUS_IMAGE_CHECKSUM_MISMATCH"),
        (0xc000_0409, "STATUS_STACK_BUFFER_OVERRUN"),
        (0xc000_0420, "STATUS_ASSERTION_FAILURE"),
        (0xc01c_0001, "STATUS_FLT_NO_HANDLER_DEFINED"),
        (0xc01e_0100, "STATUS_GRAPHICS_NO_VIDEO_MEMORY"),
        (0x887a_0005, "DXGI_ERROR_DEVICE_REMOVED"),
    ] {
        let known = status(code).unwrap();
        assert_eq!(known.name, name);
        assert!(!known.text.is_empty(), "{name} has no words");
    }
    assert_eq!(status_named("status_access_violation").unwrap().code, 0xc000_0005);
    assert_eq!(status(0xc0ff_eeee), None);
}

#[test]
fn modules_are_found_in_any_case() {
    assert!(module("NTOSKRNL.exe").unwrap().forwards);
    assert_eq!(module("nvlddmkm.SYS").unwrap().vendor, "NVIDIA");
    assert!(!module("nvlddmkm.sys").unwrap().forwards);
    assert!(module("Ntfs.sys").unwrap().is_microsoft());
    assert_eq!(module("no such driver.sys"), None);
    assert_eq!(module(""), None);
    let (microsoft, others): (Vec<_>, Vec<_>) = modules().iter().partition(|known| known.is_microsoft());
    assert!(microsoft.len() >= 300 && others.len() >= 250, "{} and {}", microsoft.len(), others.len());
    assert!(others.iter().all(|known| !known.forwards));
}

#[test]
fn modules_that_only_report_or_forward_are_marked() {
    for image in [
        "ntoskrnl.exe",
        "hal.dll",
        "ntfs.sys",
        "fltmgr.sys",
        "ndis.sys",
        "wdf01000.sys",
        "pshed.dll",
        "verifierext.sys",
        "watchdog.sys",
        "ks.sys",
        "classpnp.sys",
        "usbport.sys",
        "portcls.sys",
        "storport.sys",
    ] {
        assert!(module(image).unwrap().forwards, "{image}");
    }
    for image in ["tcpip.sys", "netio.sys", "srvnet.sys", "dxgkrnl.sys", "win32kfull.sys", "fileinfo.sys"] {
        assert!(!module(image).unwrap().forwards, "{image}");
    }
}

#[test]
fn builds_that_share_a_kernel_say_so() {
    for (build, product_type, name) in [
        (2600, 1, "Windows XP"),
        (7601, 1, "Windows 7 SP1"),
        (7601, 3, "Windows Server 2008 R2 SP1"),
        (9600, 2, "Windows Server 2012 R2"),
        (17763, 3, "Windows Server 2019"),
        (19041, 1, "Windows 10 (2004 to 22H2)"),
        (19045, 1, "Windows 10 (22H2)"),
        (20348, 3, "Windows Server 2022"),
        (22621, 1, "Windows 11 (22H2 or 23H2)"),
        (26100, 1, "Windows 11 (24H2 or 25H2)"),
        (26100, 2, "Windows Server 2025"),
        (26200, 1, "Windows 11 (25H2)"),
    ] {
        assert_eq!(windows_release(build, product_type).unwrap().name, name);
    }
    assert_eq!(windows_release(12345, 1), None);
}
