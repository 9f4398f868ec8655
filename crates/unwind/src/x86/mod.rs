//! x86: images carry no unwind data, but PDBs do: FPO_DATA, and FRAME_DATA with its programs.
//!
//! The tables come from whoever reads PDBs, through [`Images::frame_data`]. Where there are none, or they do not lead to a
//! return address, the walk follows EBP. Sources: `winnt.h` (FPO_DATA), the public `cvinfo.h` and `dia2.h`
//! (FRAMEDATA), and the description of "STACK WIN" records in the documentation of Breakpad's symbol files.

mod program;

use crate::scan::word;
use crate::{Break, CallBefore, Caller, Context, Images, MachineFrame, Position, Stack, call_before};
use bugcheck_dump::Arch;

/// EBX, ESP, EBP, ESI, EDI: a call preserves them.
const NONVOLATILE: u64 = 0xf8;
const EBP: usize = 5;
/// A return address is looked for this many words further up than the tables say: pushed arguments lie below it.
const FARTHEST: u64 = 64;

/// What a PDB says about the frame of a function, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameData<'a> {
    /// Bytes of local variables.
    pub locals: u32,
    /// Bytes of parameters on the stack.
    pub parameters: u32,
    /// Bytes of saved registers.
    pub saved_registers: u32,
    /// How to find the caller.
    pub kind: FrameKind<'a>,
}

/// The kinds of frame data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind<'a> {
    /// FRAME_DATA: a program in postfix notation that computes the caller's registers.
    Program(&'a str),
    /// FPO_DATA of a frame without frame pointer.
    Omitted {
        /// The function saved EBP and uses it for something else.
        uses_ebp: bool,
    },
    /// FPO_DATA of a frame with EBP as its frame pointer.
    Standard,
    /// FPO_DATA of a trap handler: EBP points to the trap frame, and [`Images::interrupted`] must read it.
    Trap,
}

pub(crate) fn unwind(stack: &dyn Stack, images: &dyn Images, callee: &Context, position: Position) -> Result<Caller, Break> {
    let ip = callee.ip().ok_or(Break::UnknownRegister("eip"))?;
    let looked_up = if position == Position::AfterCall { ip.wrapping_sub(1) } else { ip };
    let data = images.frame_data(looked_up).ok_or(Break::NoUnwindData)?;
    let frame = Frame { stack, callee, data };
    let mut context = match data.kind {
        FrameKind::Program(text) => program::run(&frame, text)?,
        FrameKind::Omitted { uses_ebp } => frame.omitted(uses_ebp)?,
        FrameKind::Standard => frame.standard()?,
        FrameKind::Trap => return frame.trap(),
    };
    // The arguments lie above the return address until the caller or the callee removes them.
    let sp = context.sp().ok_or(Break::UnknownRegister("esp"))?;
    context.set_sp((sp + u64::from(data.parameters)) & 0xffff_ffff);
    Ok(Caller { context, position: Position::AfterCall, machine_frame: None, guessed: false })
}

/// The frame to unwind.
struct Frame<'a> {
    stack: &'a dyn Stack,
    callee: &'a Context,
    data: FrameData<'a>,
}

impl Frame<'_> {
    fn sp(&self) -> Result<u64, Break> {
        self.callee.sp().ok_or(Break::UnknownRegister("esp"))
    }

    fn word(&self, address: u64) -> Result<u64, Break> {
        let address = address & 0xffff_ffff;
        word(self.stack, Arch::X86, address).ok_or(Break::StackHole(address))
    }

    /// What a call preserves.
    fn preserved(&self) -> Context {
        let mut context = *self.callee;
        context.keep(NONVOLATILE, 0);
        context
    }

    /// Where the return address lies: at or above the place that the tables tell, the first value that follows a call.
    fn return_slot(&self) -> Result<u64, Break> {
        let start = self.sp()? + u64::from(self.data.locals) + u64::from(self.data.saved_registers);
        let follows_call = |slot: &u64| {
            let value = word(self.stack, Arch::X86, slot & 0xffff_ffff);
            value.is_some_and(|ip| self.stack.may_be_code(ip) && call_before(self.stack, Arch::X86, ip) != CallBefore::Absent)
        };
        (0..FARTHEST).map(|index| start + 4 * index).find(follows_call).ok_or(Break::StackHole(start & 0xffff_ffff))
    }

    fn omitted(&self, uses_ebp: bool) -> Result<Context, Break> {
        let slot = self.return_slot()?;
        let mut context = self.preserved();
        if uses_ebp {
            // EBP is the last of the saved registers but one.
            let saved = self.sp()?.wrapping_add(u64::from(self.data.saved_registers)).wrapping_sub(8);
            context.set(EBP, self.word(saved)?);
        }
        context.set_ip(self.word(slot)?);
        context.set_sp(slot + 4);
        Ok(context)
    }

    fn standard(&self) -> Result<Context, Break> {
        let ebp = self.callee.fp().ok_or(Break::UnknownRegister("ebp"))?;
        let mut context = self.preserved();
        context.set(EBP, self.word(ebp)?);
        context.set_ip(self.word(ebp.wrapping_add(4))?);
        context.set_sp(ebp.wrapping_add(8) & 0xffff_ffff);
        Ok(context)
    }

    fn trap(&self) -> Result<Caller, Break> {
        let address = self.callee.fp().ok_or(Break::UnknownRegister("ebp"))?;
        let frame = MachineFrame { address, body: self.sp()? };
        Ok(Caller { context: Context::new(Arch::X86), position: Position::Exact, machine_frame: Some(frame), guessed: false })
    }
}

#[cfg(test)]
mod tests {
    use super::{FrameData, FrameKind};
    use crate::testing::Machine;
    use crate::{Break, Caller, Context};
    use bugcheck_dump::Arch;

    const CODE: u64 = 0x8100_0000;
    const STACK: u64 = 0x9000_0000;
    const EBX: usize = 3;
    const EBP: usize = 5;

    fn data(kind: FrameKind<'static>) -> FrameData<'static> {
        FrameData { locals: 8, parameters: 4, saved_registers: 8, kind }
    }

    /// EBP lies 0x20 above ESP; the words of the stack are 0x100, 0x101, … but for return addresses at +0x10 and +0x24.
    fn unwound(data: FrameData<'static>) -> Result<Caller, Break> {
        let mut machine = Machine::new(Arch::X86);
        machine.code = CODE..CODE + 0x1000;
        machine.words(STACK, &(0x100..0x140).collect::<Vec<_>>());
        machine.words(STACK + 0x10, &[CODE + 0x10]);
        machine.words(STACK + 0x20, &[STACK + 0x80, CODE + 0x20]);
        machine.frame_data = Some(data);
        let mut context = Context::new(Arch::X86);
        context.set_ip(CODE + 0x500);
        context.set_sp(STACK);
        context.set_fp(STACK + 0x20);
        context.set(EBX, 7);
        machine.step(&context)
    }

    fn registers(caller: &Caller) -> (u64, u64, u64) {
        let context = &caller.context;
        (context.ip().unwrap() - CODE, context.sp().unwrap() - STACK, context.fp().unwrap())
    }

    #[test]
    fn frames_without_frame_pointer() {
        assert_eq!(registers(&unwound(data(FrameKind::Omitted { uses_ebp: false })).unwrap()), (0x10, 0x18, STACK + 0x20));
        assert_eq!(registers(&unwound(data(FrameKind::Omitted { uses_ebp: true })).unwrap()), (0x10, 0x18, 0x100));
        // The tables may say too little: the search goes on to the next return address.
        let more = FrameData { locals: 16, ..data(FrameKind::Omitted { uses_ebp: false }) };
        assert_eq!(registers(&unwound(more).unwrap()), (0x20, 0x2c, STACK + 0x20));
    }

    #[test]
    fn standard_frames_and_traps() {
        let caller = unwound(data(FrameKind::Standard)).unwrap();
        assert_eq!((registers(&caller), caller.context.get(EBX)), ((0x20, 0x2c, STACK + 0x80), Some(7)));
        let caller = unwound(data(FrameKind::Trap)).unwrap();
        assert_eq!(caller.machine_frame.unwrap().address, STACK + 0x20);
        assert_eq!(caller.context.ip().map(|ip| ip & 0xff), Some(0x77), "the hook read the trap frame");
    }

    #[test]
    fn programs() {
        let run = |text| unwound(data(FrameKind::Program(text)));
        let caller = run("$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + = $ebx $T0 4 - ^ =").unwrap();
        assert_eq!((registers(&caller), caller.context.get(EBX)), ((0x10, 0x18, STACK + 0x20), Some(0x103)));
        let caller = run("$T1 $ebp = $eip $T1 4 + ^ = $ebp $T1 ^ = $esp $T1 8 + =").unwrap();
        assert_eq!(registers(&caller), (0x20, 0x2c, STACK + 0x80));
        let caller =
            run("$T2 $esp .cbLocals + .cbSavedRegs + = $T0 $T2 3 - 8 @ 16 + 1 * 1 / 8 - = $eip $T0 ^ = $esp $T0 .cbParams + =").unwrap();
        assert_eq!(registers(&caller), (0x10, 0x18, STACK + 0x20));
        assert_eq!(caller.context.get(EBP), Some(STACK + 0x20));
    }

    #[test]
    fn programs_that_make_no_sense_are_refused() {
        let endless = "1 ".repeat(300);
        for text in [
            "",
            "$eip",
            "= =",
            "1 2 =",
            "$eip 1 0 / =",
            "$eip 1 0 @ =",
            "$eip 7 0 % =",
            "$T0 $T9 =",
            "$eip x =",
            ".cbLocals 1 =",
            "$eip 1 = 2",
            Box::leak(endless.into_boxed_str()),
        ] {
            assert!(matches!(unwound(data(FrameKind::Program(text))), Err(Break::BadProgram)), "{text:.20}");
        }
        assert!(matches!(unwound(data(FrameKind::Program("$eip 0 ^ ="))), Err(Break::StackHole(0))));
        assert!(matches!(unwound(data(FrameKind::Program("$eip $ecx ="))), Err(Break::UnknownRegister("ecx"))));
    }
}
