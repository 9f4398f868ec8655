//! The display driver and the graphics card: 0x116, 0x117, 0x141, 0x119, 0x10E, 0x113, 0xEA, and AMD's own 0xA0000001.

use crate::case::{Case, described, is_windows};
use crate::suspects::Subject;
use bugcheck_dump::VirtAddr;
use bugcheck_kernel::Module;

pub(super) fn run(case: &mut Case<'_>) {
    let named = named_driver(case);
    let driver =
        named.or_else(|| on_stack(case).map(|module| (module, "stack"))).or_else(|| only_one(case).map(|module| (module, "module list")));
    let timeout = matches!(case.code, 0xea | 0x116 | 0x117 | 0x141 | 0x142);
    if let Some((module, at)) = driver {
        let text = match at {
            "P2" => format!("P2 points into {}: Windows names it as the driver that did not answer", described(module)),
            "P3" => format!("P3 names {}", described(module)),
            "stack" => format!("{} is on the stack", described(module)),
            _ => format!("{} is the only display driver that is loaded", described(module)),
        };
        let weight = match at {
            // The driver itself called KeBugCheckEx.
            "stack" if case.code == 0xa000_0001 => 0.65,
            "P2" | "P3" => 0.55,
            "stack" => 0.45,
            _ => 0.35,
        };
        case.accuse_module(module, "display-driver", weight, text, at);
        if at == "P2" {
            case.bucket_image = Some(module.image.clone());
        }
        let what = match case.code {
            0x116 => "the graphics card stopped answering and could not be reset",
            0x117 => "the graphics card stopped answering and was reset; Windows went on",
            0x141 | 0x142 => "one engine of the graphics card stopped answering and was reset; Windows went on",
            0xea => "a thread was stuck in the display driver",
            0x119 => "the display driver broke a rule of the video scheduler",
            0xa000_0001 => "AMD's display driver stopped Windows itself, with a code of its own",
            _ => "Windows' graphics kernel found something it could not handle",
        };
        case.verdict = Some((
            kind(case.code),
            format!(
                "{}: {what}. The driver is the first suspect; an unstable card (overclocking, heat, power) does the same.",
                described(module)
            ),
        ));
    }
    let gpu = if timeout { 0.3 } else { 0.2 };
    case.suspects.accuse(
        Subject::hardware("gpu"),
        "graphics-timeout",
        gpu,
        "an overclocked, hot, badly powered or failing graphics card stops answering in just this way",
        "code",
    );
    if case.code == 0x117 || case.code == 0x141 {
        case.suspects.accuse(Subject::hardware("power-thermal"), "graphics-timeout", 0.05, "power or cooling may be at the limit", "code");
    }
}

fn kind(code: u32) -> &'static str {
    match code {
        0x117 | 0x141 | 0x142 | 0x193 | 0x1a8 | 0x1b0 | 0x1b8 => "live",
        0x116 | 0xea => "hang",
        _ => "fault",
    }
}

/// The driver that a parameter names.
fn named_driver<'a>(case: &Case<'a>) -> Option<(&'a Module, &'static str)> {
    match case.code {
        0x116 | 0x117 | 0x141 => case.module_at(case.parameter(2)).filter(|module| module.name != "nt").map(|module| (module, "P2")),
        0xea => {
            let name = bugcheck_kernel::unicode_string(case.kernel.memory(), case.kernel.width(), VirtAddr(case.parameter(3)))?;
            let image = name.rsplit('\\').next().unwrap_or(&name);
            let with_extension = format!("{image}.sys");
            case.kernel.modules.by_image(image).or_else(|| case.kernel.modules.by_image(&with_extension)).map(|module| (module, "P3"))
        }
        _ => None,
    }
}

/// The first display driver on the stack.
fn on_stack<'a>(case: &Case<'a>) -> Option<&'a Module> {
    let drivers = case.display_drivers();
    let seen = case.modules_on_stack();
    let display = seen.iter().find(|seen| drivers.iter().any(|driver| std::ptr::eq(*driver, seen.module)));
    // A driver that is not known by name still counts where it alone is neither Windows' nor a forwarder.
    let unknown = || seen.iter().find(|seen| !is_windows(seen.module) && crate::case::known(seen.module).is_none());
    display.or_else(unknown).map(|seen| seen.module)
}

fn only_one<'a>(case: &Case<'a>) -> Option<&'a Module> {
    match case.display_drivers().as_slice() {
        [one] => Some(one),
        _ => None,
    }
}
