//! Breaking the hardware: QEMU's debugger stub stops the machine at an instruction, and a bit of memory or of a register is
//! flipped behind the software's back.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait for the machine to get there.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to the stub. The protocol is GDB's remote serial protocol: `$packet#checksum`, each acknowledged with `+`.
pub(crate) struct Gdb(UnixStream);

impl Gdb {
    /// Connects; the machine must have been started to wait for it.
    pub(crate) fn connect(path: &Path) -> Self {
        let start = Instant::now();
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if start.elapsed() > PATIENCE => panic!("{}: {error}", path.display()),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut gdb = Gdb(stream);
        // Single registers can be written only by whoever has asked for their description.
        gdb.ask("qSupported:xmlRegisters=i386");
        gdb.ask("qXfer:features:read:target.xml:0,ffb");
        gdb
    }

    fn send(&mut self, packet: &str) {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        write!(self.0, "${packet}#{sum:02x}").unwrap();
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.0.read_exact(&mut byte).unwrap_or_else(|error| panic!("the debugger stub says nothing more: {error}"));
        byte[0]
    }

    fn answer(&mut self) -> String {
        while self.byte() != b'$' {}
        let mut packet = String::new();
        loop {
            match self.byte() {
                b'#' => break,
                byte => packet.push(char::from(byte)),
            }
        }
        let _ = (self.byte(), self.byte());
        self.0.write_all(b"+").unwrap();
        packet
    }

    fn ask(&mut self, packet: &str) -> String {
        self.send(packet);
        self.answer()
    }

    fn ask_for_ok(&mut self, packet: &str) {
        let answer = self.ask(packet);
        assert_eq!(answer, "OK", "{packet}");
    }

    /// Lets the machine run until an instruction is about to be executed for the `times`th time.
    pub(crate) fn run_to(&mut self, address: u64, times: u32) {
        self.ask_for_ok(&format!("Z1,{address:x},1"));
        for time in 0..times {
            if time > 0 {
                // Over the breakpoint's own instruction first.
                self.ask_for_ok(&format!("z1,{address:x},1"));
                self.ask("s");
                self.ask_for_ok(&format!("Z1,{address:x},1"));
            }
            let stop = self.ask("c");
            assert!(stop.starts_with("T05"), "the machine stopped for another reason: {stop}");
        }
        self.ask_for_ok(&format!("z1,{address:x},1"));
    }

    /// A general register by GDB's number: rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8 to r15.
    pub(crate) fn register(&mut self, number: usize) -> u64 {
        let all = self.ask("g");
        u64::from_le_bytes(bytes(&all[16 * number..16 * number + 16]).try_into().unwrap())
    }

    pub(crate) fn set_register(&mut self, number: usize, value: u64) {
        self.ask_for_ok(&format!("P{number:x}={}", hex(&value.to_le_bytes())));
    }

    /// Reads memory.
    pub(crate) fn memory(&mut self, address: u64, length: usize) -> Vec<u8> {
        bytes(&self.ask(&format!("m{address:x},{length:x}")))
    }

    pub(crate) fn u64(&mut self, address: u64) -> u64 {
        u64::from_le_bytes(self.memory(address, 8).try_into().unwrap())
    }

    /// Empties the processor's translation buffer, by writing CR3 with its own value.
    pub(crate) fn flush(&mut self) {
        const CR3: usize = 29;
        let all = self.ask(&format!("p{CR3:x}"));
        self.ask_for_ok(&format!("P{CR3:x}={all}"));
    }

    /// Flips a bit of the byte, word or entry at a virtual address.
    pub(crate) fn flip(&mut self, address: u64, bit: u32) {
        let at = address + u64::from(bit / 8);
        let old = self.memory(at, 1);
        self.ask_for_ok(&format!("M{at:x},1:{:02x}", old[0] ^ 1 << (bit % 8)));
    }

    /// Lets go of the machine, which runs on.
    pub(crate) fn detach(mut self) {
        self.ask_for_ok("D");
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
