//! What to do next, from who is suspected. Steps have stable names; each says why on this machine.

use crate::case::known;
use crate::model::{Command, Step, Suspect};
use bugcheck_kernel::Kernel;

/// The steps for these suspects, most useful first.
pub(crate) fn plan(kernel: &Kernel<'_>, kind: &str, suspects: &[Suspect], has_virtual_machine: bool) -> Vec<Step> {
    if matches!(kind, "requested" | "test") {
        return Vec::new();
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut add = |step: Step| {
        if steps.len() < 6 && steps.iter().all(|known| known.id != step.id) {
            steps.push(step);
        }
    };
    for suspect in suspects.iter().filter(|suspect| suspect.rank == 1 || suspect.confidence >= 0.1) {
        match (suspect.family, suspect.part) {
            ("hardware", Some("cpu")) if !has_virtual_machine => {
                add(stop_overclocking(suspect));
                add(firmware());
            }
            ("hardware", Some("memory")) if !has_virtual_machine => {
                add(stop_overclocking(suspect));
                add(verify_ram(suspect));
            }
            ("hardware", Some("storage")) => add(check_drive(suspect)),
            ("hardware", Some("gpu")) => add(check_gpu(suspect)),
            ("hardware", Some("board-firmware" | "power-thermal")) => add(firmware()),
            ("driver", _) => add(update_driver(kernel, suspect)),
            ("corrupted-files", _) => add(system_files(suspect)),
            // A piece of Windows further down the list is more often a witness than the cause.
            ("os", _) if suspect.rank == 1 => add(system_files(suspect)),
            ("third-party-conflict", _) => add(clean_boot(suspect)),
            _ => {}
        }
    }
    if suspects.iter().any(|suspect| suspect.family == "driver" && suspect.confidence < 0.6)
        && suspects.first().is_some_and(|first| first.family == "driver")
    {
        let images: Vec<&str> =
            suspects.iter().filter(|suspect| suspect.family == "driver").map(|suspect| suspect.subject.as_str()).collect();
        add(verifier(&images));
    }
    if suspects.first().is_none_or(|first| first.confidence < 0.5) && kind != "live" {
        add(more_dumps());
    }
    steps
}

fn command(shell: &'static str, run: impl Into<String>) -> Command {
    Command { shell, run: run.into() }
}

/// A file name from a dump goes into a command line: only what a driver's name can be.
fn safe_name(image: &str) -> Option<&str> {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (!image.is_empty() && image.len() <= 64 && image.chars().all(safe)).then_some(image)
}

fn update_driver(kernel: &Kernel<'_>, suspect: &Suspect) -> Step {
    let module = kernel.modules.by_image(&suspect.subject);
    let what = module.and_then(known).map(|known| format!(" ({}, {})", known.vendor, known.product)).unwrap_or_default();
    let mut commands = Vec::new();
    if let Some(name) = safe_name(&suspect.subject) {
        commands.push(command(
            "powershell",
            format!(
                "Get-CimInstance Win32_SystemDriver | Where-Object PathName -like '*{name}' | Format-List Name,PathName,State,StartMode"
            ),
        ));
        commands.push(command("cmd", "pnputil /enum-drivers"));
    }
    Step {
        id: "update-driver",
        title: format!("Update or roll back {}{what}", suspect.subject),
        why: suspect.summary.clone(),
        commands,
        look_for: Some("take the driver from the maker of the device or of the machine, not from a driver-updater; if the crashes began after an update, roll it back in Device Manager → Properties → Driver → Roll Back Driver".into()),
        undo: Some("Device Manager keeps the previous version for Roll Back Driver; a restore point made before brings everything back".into()),
    }
}

fn verifier(images: &[&str]) -> Step {
    let names: Vec<&str> = images.iter().filter_map(|image| safe_name(image)).take(4).collect();
    Step {
        id: "verify-driver",
        title: "If it crashes again: let Driver Verifier watch only the suspected drivers".into(),
        why: "the evidence names a driver but does not prove it: the verifier stops a driver at the moment of its mistake".into(),
        commands: vec![command("cmd", format!("verifier /standard /driver {}", names.join(" "))), command("cmd", "verifier /query")],
        look_for: Some("a new minidump with code 0xC4, 0xC9, 0xD5 or 0xD6, which names the driver. Make a restore point first: a machine that cannot start with the verifier on needs safe mode".into()),
        undo: Some("verifier /reset, then restart; if Windows does not start, do that in safe mode".into()),
    }
}

fn verify_ram(suspect: &Suspect) -> Step {
    Step {
        id: "verify-ram",
        title: "Test the memory modules".into(),
        why: suspect.summary.clone(),
        commands: vec![command("cmd", "mdsched.exe")],
        look_for: Some("better than Windows' own test: MemTest86 or memtest86+ from a USB stick, four full passes, overnight. One error is enough: then test each module alone".into()),
        undo: None,
    }
}

fn stop_overclocking(suspect: &Suspect) -> Step {
    Step {
        id: "stop-overclocking",
        title: "Set CPU and memory to their standard speeds".into(),
        why: suspect.summary.clone(),
        commands: vec![command("bios", "load the default settings; turn XMP/EXPO/DOCP, manual voltages and curve optimiser off")],
        look_for: Some(
            "if the crashes stop, the setting was the cause: raise speeds one at a time; if they go on, test the parts one by one".into(),
        ),
        undo: Some("save the settings as a BIOS profile first and load it again".into()),
    }
}

fn firmware() -> Step {
    Step {
        id: "check-firmware",
        title: "Update the BIOS/UEFI firmware, check temperatures and power".into(),
        why: "firmware carries processor microcode and memory and voltage settings: makers fix instability there".into(),
        commands: vec![command("powershell", "Get-CimInstance Win32_BIOS | Format-List SMBIOSBIOSVersion,ReleaseDate")],
        look_for: Some(
            "a newer version on the board maker's page; processor above 90 °C under load; a power supply that is old or too small".into(),
        ),
        undo: None,
    }
}

fn check_drive(suspect: &Suspect) -> Step {
    Step {
        id: "check-drive",
        title: "Check the drive, its cable and its firmware".into(),
        why: suspect.summary.clone(),
        commands: vec![
            command("powershell", "Get-PhysicalDisk | Get-StorageReliabilityCounter | Format-List *"),
            command("cmd", "chkdsk C: /scan"),
            command(
                "powershell",
                "Get-WinEvent -FilterHashtable @{LogName='System'; ProviderName='disk','stornvme','storahci','Ntfs'} -MaxEvents 50",
            ),
        ],
        look_for: Some(
            "events 7, 11, 51, 129, 153, 157; SMART reallocated or uncorrectable counts above 0; back up first if any appear".into(),
        ),
        undo: None,
    }
}

fn check_gpu(suspect: &Suspect) -> Step {
    Step {
        id: "check-gpu",
        title: "Take the graphics card out of suspicion".into(),
        why: suspect.summary.clone(),
        commands: vec![command("powershell", "Get-CimInstance Win32_VideoController | Format-List Name,DriverVersion,DriverDate")],
        look_for: Some("remove any overclock or undervolt, watch its temperature under load, check its power cables, try another slot or card; install the display driver cleanly".into()),
        undo: None,
    }
}

fn system_files(suspect: &Suspect) -> Step {
    Step {
        id: "check-system-files",
        title: "Check Windows' own files".into(),
        why: suspect.summary.clone(),
        commands: vec![command("cmd", "DISM /Online /Cleanup-Image /RestoreHealth"), command("cmd", "sfc /scannow")],
        look_for: Some("DISM first, so that sfc has good copies to repair from; then install pending Windows updates. The same file damaged again and again points to memory or drive".into()),
        undo: None,
    }
}

fn clean_boot(suspect: &Suspect) -> Step {
    Step {
        id: "clean-boot",
        title: "Start Windows without third-party services".into(),
        why: suspect.summary.clone(),
        commands: vec![command("cmd", "msconfig")],
        look_for: Some("Services → Hide all Microsoft services → Disable all; if the crashes stop, turn them on again by halves".into()),
        undo: Some("msconfig → Normal startup".into()),
    }
}

fn more_dumps() -> Step {
    Step {
        id: "more-dumps",
        title: "Bring more: all minidumps, or a kernel dump of the next crash".into(),
        why: "one small dump is weak evidence; what several crashes share names the cause".into(),
        commands: vec![
            command("bugcheck", "bugcheck triage C:\\Windows\\Minidump"),
            command("powershell", "Set-ItemProperty 'HKLM:\\SYSTEM\\CurrentControlSet\\Control\\CrashControl' CrashDumpEnabled 7"),
        ],
        look_for: Some(
            "the second command makes Windows write an automatic kernel dump (C:\\Windows\\MEMORY.DMP) at the next crash".into(),
        ),
        undo: Some("set CrashDumpEnabled back to 3 for small dumps".into()),
    }
}
