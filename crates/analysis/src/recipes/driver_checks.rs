//! Checks on drivers that name the driver: Driver Verifier (0xC4, 0xC9, 0xE6), WDF (0x10D), locked pages (0xCB, 0x76).

use crate::case::{Case, described, forwards, is_windows};
use crate::suspects::Subject;
use bugcheck_dump::VirtAddr;
use bugcheck_kernel::{DeviceObject, DriverObject};

pub(super) fn run(case: &mut Case<'_>) {
    let named = named_by_address(case).or_else(|| named_by_object(case));
    if let Some((module, at)) = named {
        let weight = if is_windows(module) { 0.3 } else { 0.75 };
        let text = format!("{} names {}: the check caught it in the act", at, described(module));
        case.accuse_module(module, "named-by-check", weight, text, at);
    }
    if let Some(name) = blamed(case) {
        let text = format!("Windows itself blames {name}");
        case.suspects.accuse(Subject::driver(name), "blamed-by-windows", 0.75, text, "dump");
    }
    super::memory_access::blame_stack(case, if case.suspects.is_empty() { 0.5 } else { 0.2 });
}

/// A parameter that is an address in a driver's code.
fn named_by_address<'a>(case: &Case<'a>) -> Option<(&'a bugcheck_kernel::Module, &'static str)> {
    [(2, "P2"), (3, "P3"), (4, "P4")].into_iter().find_map(|(number, at)| {
        let module = case.module_at(case.parameter(number)).filter(|module| !forwards(module) && module.name != "nt")?;
        Some((module, at))
    })
}

/// A parameter that is a driver or device object.
fn named_by_object<'a>(case: &Case<'a>) -> Option<(&'a bugcheck_kernel::Module, &'static str)> {
    let (memory, width) = (case.kernel.memory(), case.kernel.width());
    [(2, "P2"), (3, "P3"), (4, "P4")].into_iter().find_map(|(number, at)| {
        let address = VirtAddr(case.parameter(number));
        let driver = if DriverObject::looks_like_one(memory, address) {
            DriverObject::read(memory, width, address).ok()?
        } else {
            // IO_TYPE_DEVICE is 3.
            (memory.u16(address) == Ok(3)).then_some(())?;
            DriverObject::read(memory, width, DeviceObject::read(memory, width, address).ok()?.driver).ok()?
        };
        Some((case.module_at(driver.start.0)?, at))
    })
}

/// The driver that Windows noted down: in the triage block or in a blob.
pub(super) fn blamed(case: &Case<'_>) -> Option<String> {
    let dump = case.kernel.dump;
    let noted = dump.triage().and_then(|triage| triage.broken_driver.clone());
    noted.or_else(|| dump.blob(bugcheck_dump::secondary::BLAMED_DRIVER).and_then(bugcheck_dump::secondary::blamed_driver))
}
