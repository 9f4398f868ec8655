//! A tiny simulator that a scenario is told through: every call writes a genuine call instruction into the caller's
//! code page, pushes its return address and the callee's frame, and the stack, the pages and the true stack come out
//! consistent.

use crate::{Arch, Code, ContextArm64, ContextX64, ContextX86, ExceptionRecord, Frame, TrapFrameX64, TrapFrameX86, TriageDump, Truth};

/// Where a function lies.
#[derive(Clone, Debug)]
pub struct Place {
    /// Short module name, as a debugger says it.
    pub module: String,
    /// Function name.
    pub name: String,
    /// First byte.
    pub start: u64,
    /// Where the next instruction goes.
    pub cursor: u64,
    import_slot: u64,
    locals: u64,
}

/// A story in progress.
pub struct Story {
    /// The dump being filled.
    pub dump: TriageDump,
    /// Its code pages.
    pub code: Code,
    /// The truth being filled.
    pub truth: Truth,
    /// Stack pointer.
    pub sp: u64,
    /// Frame pointer (x86 ebp, ARM64 fp).
    pub fp: u64,
    thread_stack_base: u64,
    /// KTHREAD.StackLimit, when it is not the usual 0x6000 (0x3000) below the base.
    pub stack_limit: Option<u64>,
    stack_base: u64,
    stack: Vec<u8>,
    here: Option<Place>,
    frames: Vec<Frame>,
    arch: Arch,
}

/// The room a story's stack has.
const STACK_ROOM: u64 = 0x5000;

impl Story {
    /// Starts a story with the usual Windows drivers loaded.
    pub fn new(arch: Arch) -> Self {
        let mut dump = TriageDump::new(arch);
        let n = dump.drivers[0].base;
        match arch {
            Arch::X64 => {
                dump.driver("CLFS.SYS", n + 0x2a0_0000, 0x6a000).driver("FLTMGR.SYS", n + 0x2b0_0000, 0x72000);
                dump.driver("Wdf01000.sys", n + 0x320_0000, 0xd1000).driver("ACPI.sys", n + 0x330_0000, 0xcc000);
                dump.driver("pci.sys", n + 0x340_0000, 0x77000).driver("storport.sys", n + 0x350_0000, 0xb0000);
                dump.driver("ndis.sys", n + 0x360_0000, 0x16f000).driver("Ntfs.sys", n + 0x380_0000, 0x2d9000);
                dump.driver("tcpip.sys", n + 0x3c0_0000, 0x2ec000).driver("dxgkrnl.sys", n + 0x420_0000, 0x3a4000);
                dump.driver("dxgmms2.sys", n + 0x460_0000, 0xe1000).driver("kbdclass.sys", n + 0x480_0000, 0x14000);
            }
            Arch::Arm64 => {
                dump.driver("FLTMGR.SYS", n + 0x2b0_0000, 0x81000).driver("Wdf01000.sys", n + 0x320_0000, 0xe2000);
                dump.driver("ndis.sys", n + 0x360_0000, 0x187000).driver("Ntfs.sys", n + 0x380_0000, 0x301000);
            }
            Arch::X86 => {
                dump.driver("fltmgr.sys", 0x8b03_1000, 0x34000).driver("Ntfs.sys", 0x8b21_6000, 0x12f000);
                dump.driver("ndis.sys", 0x8b38_8000, 0xb7000).driver("tcpip.sys", 0x8b44_a000, 0x149000);
            }
        }
        let stack_base = dump.top_of_stack + 0x100;
        let sp = stack_base - if arch.is_32() { 0x10 } else { 0x70 };
        let truth = Truth { expected_kind: "fault".into(), arch: Some(arch), ..Truth::default() };
        Story {
            dump,
            code: Code::new(if arch == Arch::Arm64 { 0 } else { 0xcc }),
            truth,
            sp,
            fp: 0,
            thread_stack_base: stack_base,
            stack_limit: None,
            stack_base,
            stack: vec![0; STACK_ROOM as usize],
            here: None,
            frames: Vec::new(),
            arch,
        }
    }

    /// The base of a loaded module by its short name (`nt`, `faulty`).
    pub fn base(&self, module: &str) -> u64 {
        if module == "nt" {
            return self.dump.drivers[0].base;
        }
        let found = self.dump.drivers.iter().find(|d| {
            let file = d.path.rsplit('\\').next().unwrap().to_lowercase();
            file.split('.').next().unwrap() == module.to_lowercase()
        });
        found.unwrap_or_else(|| panic!("no module {module}")).base
    }

    /// Loads a driver.
    pub fn driver(&mut self, file: &str, base: u64, size: u32) -> &mut Self {
        self.dump.driver(file, base, size);
        self
    }

    /// Names the current x64 process after the file of `path`; an empty path leaves the System process.
    pub fn process(&mut self, path: &str) -> &mut Self {
        if let Some(file) = path.rsplit('\\').next().filter(|f| !f.is_empty()) {
            // EPROCESS.ImageFileName keeps 14 characters; UniqueProcessId and the thread's Cid agree.
            let mut name: Vec<u8> = file.bytes().take(14).collect();
            name.resize(15, 0);
            self.dump.process[0x5a8..0x5b7].copy_from_slice(&name);
            let id = 0x1a3c_u64.to_le_bytes();
            self.dump.process[0x440..0x448].copy_from_slice(&id);
            self.dump.thread[0x478..0x480].copy_from_slice(&id);
            self.dump.thread[0x480..0x488].copy_from_slice(&0x22e8_u64.to_le_bytes());
        }
        self
    }

    /// Writes to the stack by address.
    pub fn put(&mut self, address: u64, bytes: &[u8]) {
        let low = self.stack_base - STACK_ROOM;
        let at = usize::try_from(address.checked_sub(low).expect("below the stack")).unwrap();
        self.stack[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes a pointer to the stack.
    pub fn put_pointer(&mut self, address: u64, value: u64) {
        if self.arch.is_32() {
            self.put(address, &(value as u32).to_le_bytes());
        } else {
            self.put(address, &value.to_le_bytes());
        }
    }

    /// Writes a pointer into the present function's frame, `offset` bytes above the stack pointer.
    pub fn local(&mut self, offset: u64, value: u64) -> &mut Self {
        self.put_pointer(self.sp + offset, value);
        self
    }

    /// Moves the story to another stack (a DPC, interrupt or double-fault stack) that ends at `base`.
    pub fn switch_stack(&mut self, base: u64) -> &mut Self {
        self.stack_base = base;
        self.stack = vec![0; STACK_ROOM as usize];
        self.sp = base;
        self
    }

    /// The stack's bytes from `from` to its base.
    pub fn stack_bytes(&self, from: u64) -> Vec<u8> {
        let low = self.stack_base - STACK_ROOM;
        self.stack[usize::try_from(from - low).unwrap()..].to_vec()
    }

    /// The x64 function that called itself last does so again.
    pub fn call_again(&mut self, locals: u64) -> &mut Self {
        let frame = self.frames[0].clone();
        self.sp -= 8;
        self.put_pointer(self.sp, frame.ip);
        self.sp -= locals;
        self.frames.insert(0, frame);
        self
    }

    fn prologue(&mut self, place: &mut Place, locals: u64) {
        place.locals = locals;
        match self.arch {
            Arch::X64 => {
                // sub rsp, locals
                let size = u32::try_from(locals).unwrap();
                place.cursor = if size < 0x80 {
                    self.code.put(place.cursor, &[0x48, 0x83, 0xec, size as u8])
                } else {
                    let at = self.code.put(place.cursor, &[0x48, 0x81, 0xec]);
                    self.code.put(at, &size.to_le_bytes())
                };
                self.sp -= locals;
            }
            Arch::X86 => {
                // push ebp; mov ebp,esp; sub esp, locals
                self.sp -= 4;
                self.put_pointer(self.sp, self.fp);
                self.fp = self.sp;
                let size = u32::try_from(locals).unwrap();
                let at = self.code.put(place.cursor, &[0x55, 0x8b, 0xec, 0x81, 0xec]);
                place.cursor = self.code.put(at, &size.to_le_bytes());
                self.sp -= locals;
            }
            Arch::Arm64 => {
                // stp fp, lr, [sp, #-locals]!; mov fp, sp. The caller put lr in its argument.
                assert!(locals.is_multiple_of(16) && locals < 0x200);
                let imm = (((-(locals as i64)) / 8) as u32) & 0x7f;
                let at = self.code.put(place.cursor, &(0xa980_7bfd_u32 | imm << 15).to_le_bytes());
                place.cursor = self.code.put(at, &0x9100_03fd_u32.to_le_bytes());
            }
        }
    }

    fn place(&self, module: &str, name: &str, rva: u64) -> Place {
        let start = self.base(module) + rva;
        Place { module: module.to_owned(), name: name.to_owned(), start, cursor: start, import_slot: (start & !0xfff) + 0xfc0, locals: 0 }
    }

    /// The first function of the thread (or of an interrupt): nobody's return address is pushed.
    pub fn enter(&mut self, module: &str, name: &str, rva: u64, locals: u64) -> &mut Self {
        let mut place = self.place(module, name, rva);
        if self.arch == Arch::Arm64 {
            self.prologue(&mut place, locals);
            self.sp -= locals;
            self.put_pointer(self.sp, 0);
            self.put_pointer(self.sp + 8, 0);
            self.fp = self.sp;
        } else {
            self.prologue(&mut place, locals);
        }
        self.here = Some(place);
        self
    }

    /// The present function continues with these instruction bytes.
    pub fn does(&mut self, bytes: &[u8]) -> &mut Self {
        let cursor = self.here.as_ref().expect("no function yet").cursor;
        let end = self.code.put(cursor, bytes);
        self.here.as_mut().unwrap().cursor = end;
        self
    }

    /// Where the next instruction of the present function will be.
    pub fn ip(&self) -> u64 {
        self.here.as_ref().expect("no function yet").cursor
    }

    /// Writes the present function's call instruction and what follows it; returns the return address.
    fn write_call(&mut self, target: &Place) -> u64 {
        let here = self.here.clone().expect("no function yet");
        let same = here.module == target.module;
        let indirect_from_nt = !same && here.module == "nt";
        let (at, goal, slot) = (here.cursor, target.start, here.import_slot);
        let back = match self.arch {
            Arch::X64 if same => self.code.call_near(at, goal),
            Arch::X64 if !indirect_from_nt => self.code.call_import(at, slot, goal),
            Arch::X86 if same => self.code.call_near_x86(at, goal),
            Arch::X86 if !indirect_from_nt => self.code.call_import_x86(at, slot, goal),
            Arch::X64 | Arch::X86 => self.code.call_register(at),
            Arch::Arm64 if same => self.code.branch_link_arm64(at, goal),
            Arch::Arm64 => self.code.branch_register_arm64(at),
        };
        self.here.as_mut().unwrap().import_slot += 8;
        // What runs after the call: nop and the epilogue.
        let size = here.locals as u32;
        let epilogue = match self.arch {
            // nop; add rsp, size; ret
            Arch::X64 => [&[0x90, 0x48, 0x81, 0xc4][..], &size.to_le_bytes(), &[0xc3]].concat(),
            // mov esp,ebp; pop ebp; ret
            Arch::X86 => vec![0x8b, 0xe5, 0x5d, 0xc3],
            // ldp fp, lr, [sp], #size; ret
            Arch::Arm64 => {
                let restore = 0xa8c0_7bfd_u32 | (size / 8) << 15;
                [restore.to_le_bytes(), 0xd65f_03c0_u32.to_le_bytes()].concat()
            }
        };
        self.code.put(back, &epilogue);
        back
    }

    /// Calls a function: writes the call, pushes the return address, enters the callee's frame of `locals` bytes.
    pub fn call(&mut self, module: &str, name: &str, rva: u64, locals: u64) -> &mut Self {
        let mut place = self.place(module, name, rva);
        let back = self.write_call(&place);
        let here = self.here.as_ref().unwrap();
        self.frames.insert(0, Frame { ip: back, module: here.module.clone(), symbol: here.name.clone() });
        match self.arch {
            Arch::X64 | Arch::X86 => {
                self.sp -= self.arch.pointer() as u64;
                self.put_pointer(self.sp, back);
                self.prologue(&mut place, locals);
            }
            Arch::Arm64 => {
                self.prologue(&mut place, locals);
                let caller_fp = self.fp;
                self.sp -= locals;
                self.put_pointer(self.sp, caller_fp);
                self.put_pointer(self.sp + 8, back);
                self.fp = self.sp;
            }
        }
        if self.arch == Arch::X64 && locals >= 0x80 {
            // What real frames are full of: a pointer to data, and one to code that no call returns to.
            let caller = self.here.as_ref().unwrap().start;
            let data = self.base("nt") + 0xc4_efc0;
            self.local(0x30, data).local(0x48, caller);
        }
        self.here = Some(place);
        self
    }

    /// The faulting instruction: writes its bytes, remembers the true stack, returns its address.
    pub fn faults_at(&mut self, instruction: &[u8]) -> u64 {
        let here = self.here.clone().expect("no function yet");
        let ip = here.cursor;
        self.does(instruction);
        self.true_stack(ip, &here.module, &here.name);
        ip
    }

    /// Takes the stack as it is for the truth, with `ip` as the innermost frame, and starts afresh.
    pub fn true_stack(&mut self, ip: u64, module: &str, name: &str) {
        self.frames.insert(0, Frame { ip, module: module.into(), symbol: name.into() });
        self.truth.stack = std::mem::take(&mut self.frames);
        if self.truth.function.is_none() {
            self.truth.function = Some(name.into());
        }
    }

    /// Pushes an x64 trap frame for a fault in the present function and enters the handler; returns its address.
    pub fn trap_x64(&mut self, mut frame: TrapFrameX64, handler: &str, handler_rva: u64) -> u64 {
        frame.rsp = self.sp;
        self.sp = (self.sp & !0xf) - 0x190;
        let at = self.sp;
        self.put(at, &frame.bytes());
        let mut place = self.place("nt", handler, handler_rva);
        // Entry code of a page fault handler: push rbp; sub rsp,158h; lea rbp,[rsp+80h].
        place.cursor = self.code.put(place.cursor, &[0x55, 0x48, 0x81, 0xec, 0x58, 0x01, 0, 0, 0x48, 0x8d, 0xac, 0x24, 0x80, 0, 0, 0]);
        self.here = Some(place);
        at
    }

    /// Pushes an x86 trap frame for a fault in the present function and enters the handler; returns its address.
    pub fn trap_x86(&mut self, mut frame: TrapFrameX86, handler: &str, handler_rva: u64) -> u64 {
        frame.ebp = self.fp as u32;
        // eflags, cs, eip, error code are pushed where the faulting code stood: +0x74 of the frame.
        self.sp -= 0x74;
        let at = self.sp;
        self.put(at, &frame.bytes());
        let mut place = self.place("nt", handler, handler_rva);
        // mov ebp,esp: the handler's ebp is the trap frame, whose first two words continue the chain.
        place.cursor = self.code.put(place.cursor, &[0x8b, 0xec]);
        self.fp = at;
        self.here = Some(place);
        at
    }

    /// ARM64: enters a trap handler below a trap frame that was just written; its frame record repeats the faulting
    /// function's frame pointer.
    pub fn enter_handler(&mut self, name: &str, rva: u64, fp: u64) -> &mut Self {
        let lr = self.truth.stack[0].ip;
        self.enter("nt", name, rva, 0x10);
        self.put_pointer(self.sp, fp);
        self.put_pointer(self.sp + 8, lr);
        self
    }

    /// The return address the last call pushed.
    pub fn truth_ip(&self) -> u64 {
        self.frames[0].ip
    }

    /// The x64 way from a trap handler to KeBugCheckEx in real dumps: KiBugCheckDispatch keeps the non-volatile
    /// registers (KEXCEPTION_FRAME, 0x138 bytes; rbx +0x100, rdi +0x108, rsi +0x110, r12 +0x118 .. r15 +0x130).
    pub fn bug_check_dispatch(&mut self, saved: [u64; 7], code: u64, parameters: [u64; 4]) -> &mut Self {
        self.call("nt", "KiBugCheckDispatch", 0x3f_7c40, 0x138);
        for (i, value) in saved.into_iter().enumerate() {
            self.local(0x100 + 8 * i as u64, value);
        }
        self.bug_check_call(code, parameters)
    }

    /// Calls KeBugCheckEx from the present x64 function: its home space holds the code and first three parameters,
    /// the fourth is on the stack. The story ends at its first instruction.
    pub fn bug_check_call(&mut self, code: u64, parameters: [u64; 4]) -> &mut Self {
        let values = [code, parameters[0], parameters[1], parameters[2], parameters[3]];
        let rva = if self.arch.is_32() { 0x7_b100 } else { 0x3f_7b00 };
        let place = self.place("nt", "KeBugCheckEx", rva);
        match self.arch {
            Arch::X64 => {
                let back = self.write_call(&place);
                for (i, v) in values.into_iter().enumerate() {
                    self.local(8 * i as u64, v);
                }
                self.sp -= 8;
                self.put_pointer(self.sp, back);
                // mov [rsp+8],rcx; mov [rsp+10h],rdx; mov [rsp+18h],r8; mov [rsp+20h],r9
                let body =
                    [0x48, 0x89, 0x4c, 0x24, 8, 0x48, 0x89, 0x54, 0x24, 0x10, 0x4c, 0x89, 0x44, 0x24, 0x18, 0x4c, 0x89, 0x4c, 0x24, 0x20];
                self.code.put(place.start, &body);
            }
            Arch::X86 => {
                for v in values.into_iter().rev() {
                    self.sp -= 4;
                    self.put_pointer(self.sp, v);
                }
                let back = self.write_call(&place);
                self.sp -= 4;
                self.put_pointer(self.sp, back);
                self.code.put(place.start, &[0x8b, 0xff, 0x55, 0x8b, 0xec]);
            }
            Arch::Arm64 => {
                let back = self.write_call(&place);
                self.code.put(place.start, &0xd503_233f_u32.to_le_bytes());
                self.dump.header.context = Some(
                    ContextArm64 {
                        x: std::array::from_fn(|i| values.get(i).copied().unwrap_or(0)),
                        fp: self.fp,
                        lr: back,
                        sp: self.sp,
                        pc: place.start,
                        cpsr: 0x8000_0144,
                    }
                    .bytes(),
                );
            }
        }
        self
    }

    /// The x64 way of an exception nobody handled in a system thread: KiExceptionDispatch keeps the exception
    /// record, KiDispatchException the context; the filter of PspSystemThreadStartup calls KeBugCheckEx.
    /// Returns {exception record, context} addresses. `filter` names the last three callers, innermost last.
    pub fn exception_dispatch(&mut self, record: &ExceptionRecord, context: &ContextX64, filter: &[(&str, u64, u64)]) -> (u64, u64) {
        self.call("nt", "KiExceptionDispatch", 0x3f_7e80, 0x1d8);
        let record_at = self.sp + 0x138;
        self.put(record_at, &record.bytes64());
        self.call("nt", "KiDispatchException", 0x2a_6100, 0x6a8);
        // CONTEXT must lie on a 16-byte boundary.
        let context_at = (self.sp + 0x80) & !0xf;
        self.put(context_at, &context.bytes());
        self.call("nt", "RtlDispatchException", 0x2a_6400, 0x178);
        self.call("nt", "RtlpExecuteHandlerForException", 0x3f_7a80, 0x28);
        for (name, rva, locals) in filter {
            self.call("nt", name, *rva, *locals);
        }
        (record_at, context_at)
    }

    /// Puts the finished stack, pages and truth together.
    pub fn end(mut self, name: &str) -> super::Scenario {
        let stack = self.stack_bytes(self.sp);
        self.dump.call_stack(self.sp, &stack);
        let base = self.thread_stack_base;
        let usual = base - if self.arch.is_32() { 0x3000 } else { 0x6000 };
        let limit = self.stack_limit.unwrap_or(usual);
        let mut thread = std::mem::take(&mut self.dump.thread);
        if self.arch.is_32() {
            thread[0x2c..0x30].copy_from_slice(&(limit as u32).to_le_bytes());
        } else {
            thread[0x30..0x38].copy_from_slice(&limit.to_le_bytes());
            thread[0x38..0x40].copy_from_slice(&base.to_le_bytes());
        }
        self.dump.thread = thread;
        if self.dump.header.context.is_none() && self.arch == Arch::X86 {
            let context =
                ContextX86 { eip: (self.base("nt") + 0x7_b100) as u32, esp: self.sp as u32, ebp: self.fp as u32, ..Default::default() };
            self.dump.header.context = Some(context.bytes());
        }
        self.dump.blocks.extend(self.code.blocks());
        self.truth.dump = format!("{name}.dmp");
        self.truth.code = self.dump.header.code;
        self.truth.parameters = self.dump.header.parameters;
        super::Scenario { name: name.to_owned(), dump: self.dump, truth: self.truth }
    }
}
