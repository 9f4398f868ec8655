//! Power and Plug and Play that did not finish: 0x9F, 0x1D5.

use crate::case::{Case, described, is_windows, known};
use crate::model::Missing;
use crate::suspects::Subject;
use bugcheck_dump::VirtAddr;
use bugcheck_kernel::{DeviceObject, DriverObject, Irp, Module, attached_devices, power_triage};
use bugcheck_knowledge::Role;

pub(super) fn run(case: &mut Case<'_>) {
    match (case.code, case.parameter(1)) {
        (0x9f, 3) => blocked_irp(case),
        (0x9f, 4) => {
            triage_block(case, 4);
            named_threads(case);
        }
        (0x9f, 1 | 5) => device(case, 2),
        (0x9f, 2 | 0x500) => driver_object(case, 4),
        (0x1d5, _) => named_threads(case),
        _ => super::memory_access::stack_only(case),
    }
    if case.suspects.is_empty() {
        super::memory_access::stack_only(case);
    }
}

/// 0x9F with 3: a power IRP that a driver has held for too long. The IRP says which.
fn blocked_irp(case: &mut Case<'_>) {
    let (pdo, irp_address) = (VirtAddr(case.parameter(2)), VirtAddr(case.parameter(4)));
    let (memory, width) = (case.kernel.memory(), case.kernel.width());
    triage_block(case, 3);
    let stack = attached_devices(memory, width, pdo);
    for (device, driver) in &stack {
        let text = match driver.as_ref().and_then(|driver| driver_module(case, driver)) {
            Some(module) => format!("device of {}", described(module)),
            None => format!(
                "device of {}",
                driver.as_ref().and_then(|driver| driver.name.clone()).unwrap_or_else(|| "an unknown driver".into())
            ),
        };
        case.object("device", device.address.0, text);
    }
    let irp = match Irp::read(memory, width, irp_address) {
        Ok(irp) => irp,
        Err(missing) => {
            case.missing.push(Missing {
                what: "the blocked power request".into(),
                why: format!("the IRP names the driver that holds it, but {missing}"),
                how: "set Windows to write a kernel dump (System properties → Startup and Recovery) and bring C:\\Windows\\MEMORY.DMP"
                    .into(),
            });
            for module in stack.iter().filter_map(|(_, driver)| driver_module(case, driver.as_ref()?)).collect::<Vec<_>>() {
                let weight = if is_windows(module) { 0.08 } else { 0.3 };
                case.accuse_module(
                    module,
                    "device-stack",
                    weight,
                    format!("{} is in the device stack that did not finish", described(module)),
                    "P2",
                );
            }
            return;
        }
    };
    let holder = irp.current.and_then(|location| Some((location, DeviceObject::read(memory, width, location.device).ok()?)));
    let driver = holder.as_ref().and_then(|(_, device)| DriverObject::read(memory, width, device.driver).ok());
    let request = irp.current.map_or("a request", |location| power_request(location.major, location.minor));
    let minutes = "Windows waited for minutes, then stopped";
    let Some(driver) = driver else {
        case.object("irp", irp_address.0, format!("{request}; the driver that holds it cannot be read"));
        return;
    };
    let module = driver_module(case, &driver);
    let name = module.map_or_else(|| driver.name.clone().unwrap_or_else(|| format!("the driver object at {}", driver.address)), described);
    case.object(
        "irp",
        irp_address.0,
        format!("{request}, held by {name} at stack location {} of {}", irp.current_location, irp.stack_count),
    );
    let Some(module) = module else { return };
    let rivals = rivals_below(case, &stack, module);
    let holder_forwards = known(module).is_some_and(|known| known.is_microsoft());
    let weight = match (holder_forwards, rivals.is_empty()) {
        (true, false) => 0.3,
        (true, true) => 0.35,
        (false, _) => 0.65,
    };
    let text = format!("{} holds the power request ({request}) that did not finish", described(module));
    case.accuse_module(module, "holds-power-irp", weight, text, "IRP at P4");
    for rival in &rivals {
        let text = if holder_forwards {
            format!(
                "{} lies below {} in the device stack: {} passes the request on in a form of its own and waits for it",
                described(rival),
                module.image,
                module.image
            )
        } else {
            format!("{} lies below {} in the device stack", described(rival), module.image)
        };
        let weight = match (is_windows(rival), holder_forwards) {
            (true, _) => 0.08,
            (false, true) => 0.45,
            (false, false) => 0.12,
        };
        case.accuse_module(rival, "below-the-holder", weight, text, "device stack at P2");
    }
    let is_storage = |module: &&Module| known(module).is_some_and(|known| known.role == Role::Storage);
    if std::iter::once(&module).chain(&rivals).any(is_storage) {
        let text = "a drive that does not answer holds its power request just so";
        case.suspects.accuse(Subject::hardware("storage"), "drive-does-not-answer", 0.2, text, "device stack at P2");
    }
    let rival = rivals.iter().find(|rival| !is_windows(rival)).filter(|_| holder_forwards);
    let also = rival.map(|rival| format!(" Below it lies {}, which may be what it waits for.", described(rival))).unwrap_or_default();
    case.verdict =
        Some(("power", format!("A driver did not finish a power request: {} held it ({request}). {minutes}.{also}", described(module))));
}

/// The modules below the holder in the device stack, nearest first.
fn rivals_below<'a>(case: &Case<'a>, stack: &[(DeviceObject, Option<DriverObject>)], holder: &Module) -> Vec<&'a Module> {
    let modules: Vec<&Module> = stack.iter().filter_map(|(_, driver)| driver_module(case, driver.as_ref()?)).collect();
    let position = modules.iter().rposition(|module| std::ptr::eq(*module, holder)).unwrap_or(0);
    let mut below: Vec<&Module> = Vec::new();
    for module in modules.into_iter().take(position).rev() {
        let new = !std::ptr::eq(module, holder) && below.iter().all(|known| !std::ptr::eq(*known, module));
        if new && !module.image.eq_ignore_ascii_case("acpi.sys") && !module.image.eq_ignore_ascii_case("pci.sys") {
            below.push(module);
        }
    }
    below
}

fn driver_module<'a>(case: &Case<'a>, driver: &DriverObject) -> Option<&'a Module> {
    case.module_at(driver.start.0)
}

/// IRP_MJ_POWER's minor codes (public `wdm.h`).
fn power_request(major: u8, minor: u8) -> &'static str {
    match (major, minor) {
        (0x16, 0) => "wait for wake-up",
        (0x16, 1) => "power sequence",
        (0x16, 2) => "set power state",
        (0x16, 3) => "ask whether the power state may change",
        (0x1b, _) => "a Plug and Play request",
        _ => "a request",
    }
}

fn triage_block(case: &mut Case<'_>, parameter: usize) {
    let address = VirtAddr(case.parameter(parameter));
    if let Ok(Some(block)) = power_triage(case.kernel.memory(), case.kernel.width(), address) {
        let what = if block.signature == 0x8000 { "power requests" } else { "Plug and Play work" };
        case.object("power-triage", address.0, format!("list of {what} in flight, revision {}", block.revision));
    }
}

/// Threads that hold everything up: their start address and their stack name the driver.
fn named_threads(case: &mut Case<'_>) {
    for &parameter in crate::roles::threads(case.code, &case.parameters) {
        let address = VirtAddr(case.parameter(parameter));
        let modules =
            crate::thread_at(case.kernel, address).map_or_else(Vec::new, |thread| super::threads::modules_of_thread(case, &thread));
        if let Some(module) = modules.iter().find(|module| !is_windows(module)) {
            let text = format!("the thread that holds everything up runs {}", described(module));
            case.accuse_module(module, "blocking-thread", 0.5, text, format!("P{parameter}"));
        }
    }
}

fn device(case: &mut Case<'_>, parameter: usize) {
    let (memory, width) = (case.kernel.memory(), case.kernel.width());
    let driver = DeviceObject::read(memory, width, VirtAddr(case.parameter(parameter)))
        .and_then(|device| DriverObject::read(memory, width, device.driver));
    if let Some(module) = driver.ok().and_then(|driver| driver_module(case, &driver)) {
        let weight = if is_windows(module) { 0.3 } else { 0.6 };
        case.accuse_module(module, "device-of", weight, format!("the device belongs to {}", described(module)), format!("P{parameter}"));
    }
}

fn driver_object(case: &mut Case<'_>, parameter: usize) {
    let driver = DriverObject::read(case.kernel.memory(), case.kernel.width(), VirtAddr(case.parameter(parameter)));
    if let Some(module) = driver.ok().and_then(|driver| driver_module(case, &driver)) {
        let weight = if is_windows(module) { 0.3 } else { 0.65 };
        case.accuse_module(module, "driver-named", weight, format!("Windows names {}", described(module)), format!("P{parameter}"));
    }
}
