//! A process that Windows cannot live without died: 0xEF, 0xF4, 0xC000021A.

use crate::case::{Case, described, is_windows};
use crate::suspects::Subject;
use bugcheck_dump::VirtAddr;
use bugcheck_kernel::Process;

pub(super) fn run(case: &mut Case<'_>) {
    let header = case.kernel.dump.header();
    let object = match case.code {
        0xef => case.parameter(1),
        0xf4 => case.parameter(2),
        _ => 0,
    };
    let data = case.kernel.dump.triage().and_then(|triage| triage.debugger_data.as_ref());
    let process = data.and_then(|data| Process::read(header.arch, header.build, data, case.kernel.memory(), VirtAddr(object)));
    let name = process.as_ref().map(|process| process.image.clone());
    if let Some(process) = &process {
        let status = process.exit_status.map(|status| match bugcheck_knowledge::status(status) {
            Some(known) => format!(", exit status {status:#x} {}", known.name),
            None => format!(", exit status {status:#x}"),
        });
        case.object("process", object, format!("{}{}", process.image, status.clone().unwrap_or_default()));
        match process.exit_status {
            Some(0xc000_0006) => super::storage::in_page_error(case, None),
            Some(0xc000_0005 | 0xc000_001d | 0xc000_0409 | 0xc000_0374) => {
                let text = format!(
                    "{} crashed{}: damaged files, bad memory or software that injects code into it",
                    process.image,
                    status.unwrap_or_default()
                );
                case.suspects.accuse(Subject::corrupted_files(), "process-crashed", 0.25, text.clone(), "P1");
                case.suspects.accuse(Subject::hardware("memory"), "process-crashed", 0.2, text, "P1");
            }
            _ => {}
        }
    }
    let ender = case.process.clone().filter(|ender| name.as_ref().is_none_or(|name| !ender.eq_ignore_ascii_case(name)));
    if let (Some(ender), Some(name)) = (&ender, &name) {
        case.object("process", 0, format!("{ender} was running when {name} ended: it may be what ended it"));
    }
    for seen in case.modules_on_stack().into_iter().filter(|seen| !is_windows(seen.module) && seen.sure).take(1).collect::<Vec<_>>() {
        case.accuse_module(
            seen.module,
            "on-stack",
            0.2,
            format!("{} is on the stack that ended the process", described(seen.module)),
            format!("stack frame {}", seen.frame),
        );
    }
    case.suspects.accuse(
        Subject::hardware("storage"),
        "critical-process",
        0.2,
        "when the system drive drops out, Windows' own processes fail to read their code and die",
        "code",
    );
    case.suspects.accuse(
        Subject::corrupted_files(),
        "critical-process",
        0.2,
        "a damaged system file or update makes a system process end",
        "code",
    );
    let who = name.unwrap_or_else(|| "a process that Windows cannot live without".into());
    let by = ender.map(|ender| format!(" while {ender} was running on that processor")).unwrap_or_default();
    case.verdict.get_or_insert(("fault", format!("{who} ended{by}, and Windows cannot run without it. The dump does not say why it ended: check the drive, then the system files.")));
}
