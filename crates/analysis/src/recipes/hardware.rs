//! Errors that the hardware itself reported: 0x124, 0x9C, 0x80; and 0x5C, 0x65.

use crate::case::Case;
use crate::suspects::Subject;
use bugcheck_dump::VirtAddr;
use bugcheck_dump::secondary::{CPU_KEY, CPUID, CpuKey, Cpuid};
use bugcheck_whea::mca::{CpuModel, CpuVendor};
use bugcheck_whea::{Finding, Part, Record};

pub(super) fn run(case: &mut Case<'_>) {
    match case.code {
        0x124 => whea(case),
        0x9c => machine_check(case),
        0x5c => {
            let sentence = "Windows could not start its hardware layer: firmware, ACPI tables or interrupt controllers are not as it needs them. This is no page fault and no driver's fault; look at firmware settings and updates.";
            case.suspects.accuse(
                Subject::hardware("board-firmware"),
                "hal-initialization",
                0.5,
                "the hardware abstraction layer failed while starting",
                "code",
            );
            case.verdict = Some(("hardware", sentence.into()));
        }
        0x80 => {
            let text = "the board raised a non-maskable interrupt: a memory or bus error that it could not hide";
            case.suspects.accuse(Subject::hardware("memory"), "nmi", 0.35, text, "code");
            case.suspects.accuse(Subject::hardware("board-firmware"), "nmi", 0.3, text, "code");
        }
        _ => {
            let text = "Windows could not set up its memory management while starting: bad or wrongly described memory is the usual reason";
            case.suspects.accuse(Subject::hardware("memory"), "memory-setup", 0.3, text, "code");
            case.suspects.accuse(Subject::hardware("board-firmware"), "memory-setup", 0.2, text, "code");
            super::memory_access::blame_stack(case, 0.2);
        }
    }
}

/// The processor's name as the registry or CPUID has it.
pub(super) fn cpu_name(case: &Case<'_>) -> Option<String> {
    let key = case.kernel.dump.blob(CPU_KEY).and_then(|blob| CpuKey::parse(blob).name);
    let name = key.or_else(|| case.kernel.dump.blob(CPUID).and_then(|blob| Cpuid::parse(blob).brand()))?;
    Some(name.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn processor(case: &Case<'_>) -> (CpuVendor, Option<CpuModel>) {
    let Some(cpuid) = case.kernel.dump.blob(CPUID).map(Cpuid::parse) else { return (CpuVendor::Unknown, None) };
    let vendor = match cpuid.vendor().as_deref() {
        Some("GenuineIntel") => CpuVendor::Intel,
        Some("AuthenticAMD" | "HygonGenuine") => CpuVendor::Amd,
        _ => CpuVendor::Unknown,
    };
    (vendor, cpuid.leaf(1).map(|[signature, ..]| CpuModel::from_signature(signature)))
}

fn whea(case: &mut Case<'_>) {
    let (vendor, model) = processor(case);
    let status = bugcheck_whea::mci_status(case.parameter(3), case.parameter(4));
    let by_parameters = bugcheck_whea::bug_check_124_on(vendor, model, case.parameter(1), status).finding;
    let address = VirtAddr(case.parameter(2));
    let record = case.kernel.memory().run(address).ok().map(Record::parse);
    let findings = match &record {
        Some(Ok(parsed)) => parsed.value.findings(),
        _ => Vec::new(),
    };
    match record {
        Some(Ok(_)) => {}
        Some(Err(error)) => missing_record(case, format!("what lies at {address} is no error record ({error})")),
        None => missing_record(case, format!("the error record at {address} is not in this dump")),
    }
    // A record that accuses nobody says less than the parameters may.
    let (findings, at) = if findings.iter().all(|finding| finding.part == Part::Unknown) {
        (vec![by_parameters], "parameters")
    } else {
        (findings, "error record at P2")
    };
    accuse(case, &findings, at);
}

fn missing_record(case: &mut Case<'_>, why: String) {
    case.missing.push(crate::model::Missing {
        what: "the hardware error record".into(),
        why,
        how: "the System event log keeps it too: look for WHEA-Logger events at the time of the crash, or bring MEMORY.DMP".into(),
    });
}

fn machine_check(case: &mut Case<'_>) {
    let (vendor, model) = processor(case);
    let status = bugcheck_whea::mci_status(case.parameter(3), case.parameter(4));
    let finding = bugcheck_whea::bug_check_9c(vendor, model, case.parameter(1), status).finding;
    accuse(case, &[finding], "parameters");
}

fn accuse(case: &mut Case<'_>, findings: &[Finding], at: &str) {
    for finding in findings {
        let details: Vec<String> = finding.details.iter().map(|(label, value)| format!("{label}: {value}")).collect();
        case.object("whea", case.parameter(2), format!("{} {}", finding.sentence, details.join("; ")));
        let part = match finding.part {
            Part::Cpu => "cpu",
            Part::Memory => "memory",
            Part::Gpu => "gpu",
            Part::Storage => "storage",
            Part::Bus | Part::BoardFirmware => "board-firmware",
            // Not known to the record, or a part that a later version names.
            _ => continue,
        };
        let text = format!("{} {}", finding.sentence, finding.why);
        case.suspects.accuse(Subject::hardware(part), "hardware-error-record", finding.confidence.min(0.9), text, at);
    }
    let first = findings.first().map(|finding| finding.sentence.clone()).unwrap_or_default();
    case.verdict = Some(("hardware", format!("The hardware reported an error that Windows could not survive. {first}")));
}
