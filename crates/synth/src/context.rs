//! Processor contexts, trap frames and exception records.
//!
//! CONTEXT and EXCEPTION_RECORD64 are public (`winnt.h`); x64 and ARM64 offsets were compared with the header
//! CONTEXT of real dumps. KTRAP_FRAME is in the public nt type information (Vergilius 10.0.19041 x64 and
//! 6.1.7601 x86); the x64 offsets were compared with trap frames found on the stacks of real dumps, the x86 ones
//! with the type information only. The ARM64 trap frame is the one of the .NET runtime's ARM64 unwinder (MIT); no
//! real one was at hand.

use crate::Blob;

/// EXCEPTION_RECORD: code, flags, nested record, address and up to 15 numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExceptionRecord {
    /// NTSTATUS, `0xc0000005` for an access violation.
    pub code: u32,
    /// 1 = not continuable.
    pub flags: u32,
    /// The next record, normally 0.
    pub nested: u64,
    /// Where it happened.
    pub address: u64,
    /// For an access violation: 0 read, 1 write, 8 execute; then the address touched.
    pub information: Vec<u64>,
}

impl ExceptionRecord {
    /// What every kernel-generated triage dump has in its header: a breakpoint in KeBugCheckEx.
    pub fn header_default(ke_bug_check_ex: u64) -> Self {
        ExceptionRecord { code: 0x8000_0003, flags: 1, address: ke_bug_check_ex, ..Default::default() }
    }

    /// An access violation at `address`; `access` is 0 (read), 1 (write) or 8 (execute).
    pub fn access_violation(address: u64, access: u64, target: u64) -> Self {
        ExceptionRecord { code: 0xc000_0005, address, information: vec![access, target], ..Default::default() }
    }

    /// EXCEPTION_RECORD64: 0x98 bytes, parameters at +0x20.
    pub fn bytes64(&self) -> Vec<u8> {
        let mut b = Blob::new(0x98);
        b.u32(0, self.code).u32(4, self.flags).u64(8, self.nested).u64(0x10, self.address);
        b.u32(0x18, u32::try_from(self.information.len()).unwrap());
        assert!(self.information.len() <= 15, "at most 15 exception parameters");
        for (i, v) in self.information.iter().enumerate() {
            b.u64(0x20 + 8 * i, *v);
        }
        b.done()
    }

    /// EXCEPTION_RECORD32: 0x50 bytes, parameters at +0x14.
    pub fn bytes32(&self) -> Vec<u8> {
        let mut b = Blob::new(0x50);
        b.u32(0, self.code).u32(4, self.flags).u32(8, self.nested as u32).u32(0xc, self.address as u32);
        b.u32(0x10, u32::try_from(self.information.len()).unwrap());
        for (i, v) in self.information.iter().enumerate() {
            b.u32(0x14 + 4 * i, *v as u32);
        }
        b.done()
    }
}

/// x64 CONTEXT, 0x4d0 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ContextX64 {
    pub flags: u32,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub rsp: u64,
    pub rbp: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub eflags: u32,
}

impl Default for ContextX64 {
    fn default() -> Self {
        ContextX64 {
            flags: 0x10_000f,
            rax: 0,
            rcx: 0,
            rdx: 0,
            rbx: 0,
            rsp: 0,
            rbp: 0,
            rsi: 0,
            rdi: 0,
            r8: 0,
            r9: 0,
            r10: 0,
            r11: 0,
            r12: 0,
            r13: 0,
            r14: 0,
            r15: 0,
            rip: 0,
            eflags: 0x1_0246,
        }
    }
}

impl ContextX64 {
    /// MxCsr is written twice (+0x34 and in the legacy save area +0x118): kdmp-parser refuses a context where the
    /// two differ.
    pub fn bytes(&self) -> Vec<u8> {
        let mut b = Blob::new(0x4d0);
        b.u32(0x30, self.flags).u32(0x34, 0x1f80);
        for (i, selector) in [0x10u16, 0x2b, 0x2b, 0x53, 0x2b, 0x18].into_iter().enumerate() {
            b.u16(0x38 + 2 * i, selector);
        }
        b.u32(0x44, self.eflags);
        let registers = [
            self.rax, self.rcx, self.rdx, self.rbx, self.rsp, self.rbp, self.rsi, self.rdi, self.r8, self.r9, self.r10, self.r11, self.r12,
            self.r13, self.r14, self.r15, self.rip,
        ];
        for (i, r) in registers.into_iter().enumerate() {
            b.u64(0x78 + 8 * i, r);
        }
        b.u16(0x100, 0x27f).u32(0x118, 0x1f80).u32(0x11c, 0xffff);
        b.done()
    }
}

/// x86 CONTEXT, 0x2cc bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ContextX86 {
    pub eax: u32,
    pub ecx: u32,
    pub edx: u32,
    pub ebx: u32,
    pub esp: u32,
    pub ebp: u32,
    pub esi: u32,
    pub edi: u32,
    pub eip: u32,
}

impl ContextX86 {
    /// The bytes, with kernel selectors.
    pub fn bytes(&self) -> Vec<u8> {
        let mut b = Blob::new(0x2cc);
        b.u32(0, 0x1_0017);
        b.u32(0x8c, 0).u32(0x90, 0x30).u32(0x94, 0x23).u32(0x98, 0x23);
        b.u32(0x9c, self.edi).u32(0xa0, self.esi).u32(0xa4, self.ebx).u32(0xa8, self.edx);
        b.u32(0xac, self.ecx).u32(0xb0, self.eax).u32(0xb4, self.ebp).u32(0xb8, self.eip);
        b.u32(0xbc, 8).u32(0xc0, 0x1_0246).u32(0xc4, self.esp).u32(0xc8, 0x10);
        b.done()
    }
}

/// ARM64 CONTEXT, 0x390 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ContextArm64 {
    pub x: [u64; 29],
    pub fp: u64,
    pub lr: u64,
    pub sp: u64,
    pub pc: u64,
    pub cpsr: u32,
}

impl ContextArm64 {
    /// The bytes: flags +0, Cpsr +4, X0 +8, Fp +0xf0, Lr +0xf8, Sp +0x100, Pc +0x108, V0 +0x110.
    pub fn bytes(&self) -> Vec<u8> {
        let mut b = Blob::new(0x390);
        b.u32(0, 0x40_0007).u32(4, self.cpsr);
        for (i, x) in self.x.iter().enumerate() {
            b.u64(8 + 8 * i, *x);
        }
        b.u64(0xf0, self.fp).u64(0xf8, self.lr).u64(0x100, self.sp).u64(0x108, self.pc);
        b.done()
    }
}

/// x64 KTRAP_FRAME, 0x190 bytes, as a page fault fills it: the volatile registers and rbp, nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TrapFrameX64 {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub rbp: u64,
    pub rip: u64,
    pub rsp: u64,
    pub eflags: u32,
    /// CR2 of a page fault, at +0xd0.
    pub fault_address: u64,
    /// The processor's error code: 1 present, 2 write, 4 user, 0x10 instruction fetch.
    pub error_code: u64,
    pub previous_irql: u8,
    pub cs: u16,
}

impl Default for TrapFrameX64 {
    fn default() -> Self {
        TrapFrameX64 {
            rax: 0,
            rcx: 0,
            rdx: 0,
            r8: 0,
            r9: 0,
            r10: 0,
            r11: 0,
            rbp: 0,
            rip: 0,
            rsp: 0,
            eflags: 0x1_0246,
            fault_address: 0,
            error_code: 0,
            previous_irql: 0,
            cs: 0x10,
        }
    }
}

impl TrapFrameX64 {
    /// The bytes. Rbx/Rdi/Rsi (+0x140..) stay zero: only a system call fills them.
    pub fn bytes(&self) -> Vec<u8> {
        let mut b = Blob::new(0x190);
        b.u8(0x29, self.previous_irql).u8(0x2b, 1).u32(0x2c, 0x1f80);
        b.u64(0x30, self.rax).u64(0x38, self.rcx).u64(0x40, self.rdx).u64(0x48, self.r8);
        b.u64(0x50, self.r9).u64(0x58, self.r10).u64(0x60, self.r11);
        b.u64(0xd0, self.fault_address);
        b.u64(0x158, self.rbp).u64(0x160, self.error_code);
        b.u64(0x168, self.rip).u16(0x170, self.cs).u32(0x178, self.eflags).u64(0x180, self.rsp);
        b.u16(0x188, if self.cs == 0x10 { 0x18 } else { 0x2b });
        b.done()
    }
}

/// x86 KTRAP_FRAME, 0x8c bytes. A fault inside the kernel does not push esp and ss: +0x74 is then what the stack
/// held before the fault, so the faulting esp is the frame's own address + 0x74.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TrapFrameX86 {
    pub eax: u32,
    pub ecx: u32,
    pub edx: u32,
    pub ebx: u32,
    pub esi: u32,
    pub edi: u32,
    pub ebp: u32,
    pub eip: u32,
    pub error_code: u32,
}

impl TrapFrameX86 {
    /// The first 0x74 bytes, all that a fault in kernel mode writes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut b = Blob::new(0x74);
        // DbgEbp and DbgEip repeat ebp and eip; DbgArgMark is a constant of the trap macros.
        b.u32(0, self.ebp).u32(4, self.eip).u32(8, 0xbadb_0d00);
        b.u32(0x34, 0x23).u32(0x38, 0x23).u32(0x3c, self.edx).u32(0x40, self.ecx).u32(0x44, self.eax);
        b.u32(0x4c, 0xffff_ffff).u32(0x50, 0x30);
        b.u32(0x54, self.edi).u32(0x58, self.esi).u32(0x5c, self.ebx).u32(0x60, self.ebp);
        b.u32(0x64, self.error_code).u32(0x68, self.eip).u32(0x6c, 8).u32(0x70, 0x1_0246);
        b.done()
    }
}

/// ARM64 KTRAP_FRAME, 0x150 bytes: x0 to x18, lr, fp, sp, pc and what the fault was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TrapFrameArm64 {
    pub x: [u64; 19],
    pub lr: u64,
    pub fp: u64,
    pub sp: u64,
    pub pc: u64,
    pub spsr: u32,
    /// Exception syndrome: `0x96000004` is a translation fault of a data read in the kernel.
    pub esr: u32,
    pub fault_status: u32,
    pub fault_address: u64,
    pub previous_irql: u8,
}

impl TrapFrameArm64 {
    /// The bytes: fault address +8, Spsr +0x90, Esr +0x94, Sp +0x98, X0 +0xa0, Lr +0x138, Fp +0x140, Pc +0x148.
    pub fn bytes(&self) -> Vec<u8> {
        let mut b = Blob::new(0x150);
        b.u8(0, 1).u8(3, self.previous_irql);
        b.u32(4, self.fault_status).u64(8, self.fault_address);
        b.u32(0x90, self.spsr).u32(0x94, self.esr).u64(0x98, self.sp);
        for (i, x) in self.x.iter().enumerate() {
            b.u64(0xa0 + 8 * i, *x);
        }
        b.u64(0x138, self.lr).u64(0x140, self.fp).u64(0x148, self.pc);
        b.done()
    }
}
