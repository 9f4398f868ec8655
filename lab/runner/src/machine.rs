//! The emulated machine: starts it, waits for the panic device, and takes its memory.

use crate::guest::RAM;
use crate::image::Prepared;
use crate::injection;
use crate::stories::Injection;
use crate::tools::Tools;
use bugcheck_synth::Injected;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// One processor whose time is its instruction count, and a clock that always starts at the same moment.
const MACHINE: &[&str] = &[
    "-nodefaults",
    "-display",
    "none",
    "-accel",
    "tcg,thread=single",
    "-icount",
    "shift=3,sleep=off",
    "-cpu",
    "qemu64",
    "-rtc",
    "base=2026-03-14T09:26:53,clock=vm",
    "-no-reboot",
    "-action",
    "panic=pause,shutdown=pause",
    "-device",
    "pvpanic",
    "-debugcon",
    "file:log",
    "-qmp",
    "unix:qmp,server=on,wait=off",
];

/// Longest wait for a crash.
const PATIENCE: Duration = Duration::from_secs(60);

/// The emulator's process; it ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the machine until it panics; its memory replaces what was prepared. Returns the kernel's log, and what was broken.
pub(crate) fn run(tools: &Tools, prepared: &mut Prepared, injection: Option<Injection>, folder: &Path) -> (String, Option<Injected>) {
    for file in ["qmp", "gdb", "log", "memory"] {
        let _ = std::fs::remove_file(folder.join(file));
    }
    std::fs::write(folder.join("boot"), &prepared.boot_file).unwrap();
    let mut command = tools.qemu();
    command.current_dir(folder).args(MACHINE).args(["-m", &format!("{}", RAM >> 20), "-kernel", "boot"]).stdin(Stdio::null());
    if injection.is_some() {
        command.args(["-S", "-gdb", "unix:gdb,server=on,wait=off"]);
    }
    let _running = Running(command.spawn().unwrap());
    let mut monitor = Monitor::connect(&folder.join("qmp"));
    let injected = injection.map(|injection| injection::inject(injection, prepared, &folder.join("gdb")));
    monitor.wait_for_stop();
    monitor.command("pmemsave", &json!({"val": 0, "size": RAM, "filename": "memory"}));
    prepared.guest.ram = std::fs::read(folder.join("memory")).unwrap();
    (std::fs::read_to_string(folder.join("log")).unwrap_or_default(), injected)
}

/// The machine protocol: one JSON object a line.
struct Monitor {
    input: BufReader<UnixStream>,
    output: UnixStream,
}

impl Monitor {
    fn connect(path: &Path) -> Self {
        let start = Instant::now();
        let output = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if start.elapsed() > PATIENCE => panic!("{}: {error}", path.display()),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        output.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut monitor = Monitor { input: BufReader::new(output.try_clone().unwrap()), output };
        monitor.line();
        monitor.command("qmp_capabilities", &json!({}));
        monitor
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.input.read_line(&mut line).unwrap_or_else(|error| panic!("the machine says nothing more: {error}"));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    fn send(&mut self, name: &str, arguments: &Value) {
        writeln!(self.output, "{}", json!({"execute": name, "arguments": arguments})).unwrap();
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Value {
        self.send(name, arguments);
        loop {
            let answer = self.line();
            assert!(answer.get("error").is_none(), "{name}: {answer}");
            if let Some(value) = answer.get("return") {
                return value.clone();
            }
        }
    }

    /// Waits until the machine stands still, whether by the panic device or by a triple fault.
    fn wait_for_stop(&mut self) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let status = self.command("query-status", &json!({}));
            if status["running"] == json!(false) {
                assert_eq!(status["status"], json!("guest-panicked"), "the machine stopped without a bug check");
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("no bug check");
    }
}
