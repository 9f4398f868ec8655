//! Bug checks that a reaper raises over what a thread left behind: its own stack says nothing, the named thread's start does.

use crate::case::{Case, described, is_windows};
use bugcheck_dump::VirtAddr;
use bugcheck_kernel::{Module, Thread};

pub(super) fn run(case: &mut Case<'_>) {
    let threads = crate::roles::threads(case.code, &case.parameters);
    let triage = case.kernel.dump.triage();
    let named = threads.iter().map(|&number| (VirtAddr(case.parameter(number)), format!("P{number}")));
    let current = triage.and_then(|triage| triage.thread).map(|thread| (thread.address, "current thread".to_owned()));
    let candidates: Vec<(VirtAddr, String)> = named.chain(current).collect();
    for (address, at) in candidates {
        let Some(thread) = crate::thread_at(case.kernel, address) else { continue };
        let start = [thread.start_address, thread.win32_start_address].into_iter().flatten().find_map(|address| case.module_at(address));
        if let Some(module) = start.filter(|module| !is_windows(module)) {
            let text = format!("the thread began in {}", described(module));
            case.accuse_module(module, "thread-start", 0.6, text, at);
        }
    }
    super::memory_access::blame_stack(case, 0.35);
}

/// The modules that a thread's start and saved stack show, start first.
pub(super) fn modules_of_thread<'a>(case: &Case<'a>, thread: &Thread) -> Vec<&'a Module> {
    let mut modules: Vec<&Module> = Vec::new();
    let frames =
        thread.kernel_stack.map_or_else(Vec::new, |sp| bugcheck_unwind::scan_from(case.kernel, case.kernel.dump.header().arch, sp));
    let addresses = thread.start_address.into_iter().chain(frames.iter().map(|frame| frame.ip));
    for module in addresses.filter_map(|address| case.module_at(address)) {
        if modules.iter().all(|known| !std::ptr::eq(*known, module)) {
            modules.push(module);
        }
    }
    modules
}
