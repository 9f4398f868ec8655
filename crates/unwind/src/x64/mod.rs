//! x64: RUNTIME_FUNCTION and UNWIND_INFO, versions 1 and 2.
//!
//! Source: Microsoft's "x64 exception handling" and "x64 prolog and epilog"; version 2's epilogue codes as the MIT-licensed
//! .NET runtime reads them, verified on drivers of Windows 11.

mod codes;
mod epilogue;

use crate::step::{entry_before, stack_vector, stack_word};
use crate::{Break, Caller, Context, Image, MachineFrame, Position, Stack};
use bugcheck_dump::Arch;
use codes::{Info, Operation};

/// RBX, RSP, RBP, RSI, RDI, R12 to R15: a call preserves them.
const NONVOLATILE: u64 = 0xf0f8;
/// XMM6 to XMM15.
const NONVOLATILE_VECTORS: u32 = 0xffc0;
/// Unwind data may refer to other unwind data so often: real chains have two or three links.
const LONGEST_CHAIN: usize = 32;
const REGISTERS: [&str; 16] =
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

/// A RUNTIME_FUNCTION entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Function {
    begin: u32,
    end: u32,
    unwind: u32,
}

const ENTRY: u32 = 12;

impl Function {
    fn parse(entry: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = entry;
        Self { begin: u32::from_le_bytes([a, b, c, d]), end: u32::from_le_bytes([e, f, g, h]), unwind: u32::from_le_bytes([i, j, k, l]) }
    }

    fn read(image: &Image<'_>, rva: u32) -> Result<Self, Break> {
        image.array(rva).map(Self::parse).ok_or(Break::ImageHole(rva))
    }

    /// The entry for a relative address; none means a function that neither calls nor touches the stack pointer.
    fn find(image: &Image<'_>, rva: u32) -> Result<Option<Self>, Break> {
        let Some(entry) = entry_before(image, ENTRY, rva)? else { return Ok(None) };
        let entry = Self::read(image, entry)?;
        if rva >= entry.end { Ok(None) } else { entry.direct(image).map(Some) }
    }

    /// An entry may stand for another one: the low bit of its unwind data marks that.
    fn direct(self, image: &Image<'_>) -> Result<Self, Break> {
        let mut entry = self;
        for _ in 0..LONGEST_CHAIN {
            if entry.unwind & 1 == 0 {
                return Ok(entry);
            }
            entry = Self::read(image, entry.unwind - 1)?;
        }
        Err(Break::EndlessChain(self.unwind))
    }

    /// Where the function begins that this one is a part of.
    fn primary(self, image: &Image<'_>) -> Result<u32, Break> {
        let mut entry = self;
        for _ in 0..LONGEST_CHAIN {
            let Some(parent) = Info::read(image, entry.unwind)?.parent() else { return Ok(entry.begin) };
            entry = parent.direct(image)?;
        }
        Err(Break::EndlessChain(self.unwind))
    }
}

/// Where the function begins that a relative address lies in.
pub(crate) fn function_begin(image: &Image<'_>, rva: u32) -> Option<u32> {
    Function::find(image, rva).ok()??.primary(image).ok()
}

pub(crate) fn unwind(stack: &dyn Stack, image: &Image<'_>, callee: &Context, position: Position) -> Result<Caller, Break> {
    let ip = callee.ip().ok_or(Break::UnknownRegister("rip"))?;
    let rva = image.rva(ip).ok_or(Break::NoImage(ip)).or_else(|reason| match position {
        Position::AfterCall => image.rva(ip.wrapping_sub(1)).map(|rva| rva + 1).ok_or(reason),
        Position::Exact => Err(reason),
    })?;
    let looked_up = if position == Position::AfterCall { rva.saturating_sub(1) } else { rva };
    let mut frame = Unwinding::new(stack, callee)?;
    if let Some(function) = Function::find(image, looked_up)? {
        let info = Info::read(image, function.unwind)?;
        let offset = rva.saturating_sub(function.begin);
        // Behind a call, running what is left of an epilogue and undoing the whole prologue come to the same.
        let epilogue = (position == Position::Exact).then(|| epilogue::at(image, function, &info, rva)).flatten();
        match epilogue {
            Some(epilogue) => frame.finish_epilogue(&epilogue)?,
            None => frame.undo_all(image, info, offset)?,
        }
    }
    frame.leave()
}

/// The state of unwinding one frame: the caller's registers come to light one by one.
struct Unwinding<'s> {
    stack: &'s dyn Stack,
    callee: &'s Context,
    context: Context,
    sp: u64,
    machine_frame: Option<MachineFrame>,
    guessed: bool,
}

impl<'s> Unwinding<'s> {
    fn new(stack: &'s dyn Stack, callee: &'s Context) -> Result<Self, Break> {
        let sp = callee.sp().ok_or(Break::UnknownRegister("rsp"))?;
        let mut context = *callee;
        context.keep(NONVOLATILE, NONVOLATILE_VECTORS);
        Ok(Self { stack, callee, context, sp, machine_frame: None, guessed: false })
    }

    /// Undoes the prologue of a function and of those it is chained to, as far as it has run.
    fn undo_all(&mut self, image: &Image<'_>, info: Info, offset: u32) -> Result<(), Break> {
        let (mut info, mut offset) = (info, offset);
        for _ in 0..LONGEST_CHAIN {
            self.undo(&info, offset)?;
            let Some(parent) = info.parent() else { return Ok(()) };
            info = Info::read(image, parent.direct(image)?.unwind)?;
            offset = u32::MAX;
        }
        Err(Break::EndlessChain(info.rva))
    }

    fn undo(&mut self, info: &Info, offset: u32) -> Result<(), Break> {
        let body = self.sp;
        let base = self.base(info, offset)?;
        for code in info.codes() {
            let (at, operation) = code?;
            if u32::from(at) > offset {
                continue;
            }
            match operation {
                Operation::Push(register) => {
                    let value = self.pop()?;
                    self.restore(register, value);
                }
                Operation::Allocate(size) => self.sp = self.sp.wrapping_add(size.into()),
                Operation::SetFrame => self.sp = base,
                Operation::Save(register, offset) => {
                    self.context.set(register.into(), stack_word(self.stack, base.wrapping_add(offset.into()))?);
                }
                Operation::SaveVector(register, offset) => {
                    self.context.set_vector(register.into(), stack_vector(self.stack, base.wrapping_add(offset.into()))?);
                }
                Operation::MachineFrame { error_code } => {
                    let address = self.sp.wrapping_add(if error_code { 8 } else { 0 });
                    self.machine_frame = Some(MachineFrame { address, body });
                }
                Operation::Nothing => {}
            }
        }
        Ok(())
    }

    /// What saved registers are counted from: the stack pointer in the body of the function.
    fn base(&mut self, info: &Info, offset: u32) -> Result<u64, Break> {
        let Some(register) = info.frame_register() else { return Ok(self.sp) };
        if !info.has_set_frame(offset)? {
            return Ok(self.sp);
        }
        let value = self.context.get(register.into()).or_else(|| self.callee.get(register.into()));
        if value.is_none() {
            // Without the frame pointer the stack pointer is right as long as the function did not allocate more.
            self.guessed = true;
        }
        Ok(value.map_or(self.sp, |value| value.wrapping_sub(info.frame_offset().into())))
    }

    fn finish_epilogue(&mut self, epilogue: &epilogue::Epilogue) -> Result<(), Break> {
        match epilogue.adjust {
            epilogue::Adjust::None => {}
            epilogue::Adjust::Add(size) => self.sp = self.sp.wrapping_add_signed(size.into()),
            epilogue::Adjust::Frame(register, offset) => {
                let name = REGISTERS.get(usize::from(register)).copied().unwrap_or("a register");
                let value = self.callee.get(register.into()).ok_or(Break::UnknownRegister(name))?;
                self.sp = value.wrapping_add_signed(offset.into());
            }
        }
        for &register in epilogue.pops() {
            let value = self.pop()?;
            self.restore(register, value);
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<u64, Break> {
        let value = stack_word(self.stack, self.sp)?;
        self.sp = self.sp.wrapping_add(8);
        Ok(value)
    }

    /// RSP is pushed by nobody's prologue; a code that says so must not lead the walk elsewhere.
    fn restore(&mut self, register: u8, value: u64) {
        if register != 4 {
            self.context.set(register.into(), value);
        }
    }

    /// Takes the return address, or what the processor pushed.
    fn leave(mut self) -> Result<Caller, Break> {
        let position = if let Some(frame) = self.machine_frame {
            // RIP, CS, EFLAGS, RSP, SS (Intel SDM volume 3, "Stack frame in 64-bit mode").
            let word = |index: u64| stack_word(self.stack, frame.address.wrapping_add(8 * index));
            self.context.set_ip(word(0)?);
            self.context.set_sp(word(3)?);
            for (register, index, mask) in [(18, 1, 0xffff), (17, 2, 0xffff_ffff), (19, 4, 0xffff)] {
                self.context.set(register, word(index)? & mask);
            }
            Position::Exact
        } else {
            let ip = self.pop()?;
            self.context.set_ip(ip);
            self.context.set_sp(self.sp);
            Position::AfterCall
        };
        debug_assert_eq!(self.context.arch(), Arch::X64);
        Ok(Caller { context: self.context, position, machine_frame: self.machine_frame, guessed: self.guessed })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{INFO, Machine, STACK, TABLE};
    use crate::{Break, Caller, MachineFrame, Position, step};
    use bugcheck_dump::Arch;

    const RBX: usize = 3;
    const RBP: usize = 5;
    const RSI: usize = 6;
    const R12: usize = 12;

    /// A function of 0x100 bytes at 0x1000 with a prologue of 0x20 bytes, unwound `offset` bytes into it with RSP at [`STACK`].
    fn unwound(header: [u8; 4], codes: &[u8], offset: u32, prepare: impl Fn(&mut Machine)) -> Result<Caller, Break> {
        let mut machine = Machine::new(Arch::X64);
        machine.entry(&[0x1000, 0x1100, INFO]);
        machine.image_bytes(INFO, &header);
        machine.image_bytes(INFO + 4, codes);
        prepare(&mut machine);
        let mut context = machine.context(0x1000 + offset, STACK);
        for register in [RBX, RBP, RSI, R12] {
            context.set(register, STACK + 0x1000 * register as u64);
        }
        machine.step(&context)
    }

    /// In the body, with words on the stack.
    fn in_body(header: [u8; 4], codes: &[u8], words: &[u64]) -> Result<Caller, Break> {
        unwound(header, codes, 0x80, |machine| machine.words(STACK, words))
    }

    fn ip_sp(caller: &Caller) -> (u64, u64) {
        (caller.context.ip().unwrap(), caller.context.sp().unwrap() - STACK)
    }

    #[test]
    fn pushes_and_allocations() {
        // push rbx; sub rsp, 10h; and the sizes of the larger forms.
        let caller = in_body([1, 8, 2, 0], &[8, 0x12, 4, 0x30], &[0, 0, 7, 9]).unwrap();
        assert_eq!((caller.context.get(RBX), ip_sp(&caller)), (Some(7), (9, 0x20)));
        assert_eq!(caller.position, Position::AfterCall);
        let large = in_body([1, 8, 2, 0], &[8, 0x01, 2, 0], &[0, 0, 9]).unwrap();
        assert_eq!(ip_sp(&large), (9, 0x18));
        let huge = in_body([1, 8, 3, 0], &[8, 0x11, 0x10, 0, 0, 0, 0, 0], &[0, 0, 9]).unwrap();
        assert_eq!(ip_sp(&huge), (9, 0x18));
    }

    #[test]
    fn saved_registers_near_and_far() {
        let codes = [8, 0x34, 1, 0, 8, 0x65, 0x10, 0, 0, 0, 8, 0x22];
        let caller = in_body([1, 8, 6, 0], &codes, &[0, 3, 6, 9]).unwrap();
        assert_eq!((caller.context.get(RBX), caller.context.get(RSI), ip_sp(&caller)), (Some(3), Some(6), (9, 0x20)));
        let codes = [8, 0x68, 1, 0, 8, 0x79, 0x20, 0, 0, 0, 8, 0x52];
        let caller = in_body([1, 8, 6, 0], &codes, &[0, 0, 1, 2, 3, 4, 9]).unwrap();
        assert_eq!((caller.context.vector(6), caller.context.vector(7)), (Some(2 << 64 | 1), Some(4 << 64 | 3)));
        assert_eq!(caller.context.vector(5), None, "volatile");
    }

    #[test]
    fn frame_pointers() {
        // lea rbp, [rsp+20h] after sub rsp, 30h; the body has allocated more.
        let codes = [12, 0x03, 8, 0x52];
        let words = |machine: &mut Machine| machine.words(STACK + 0x1000 * RBP as u64 - 0x20, &[0, 0, 0, 0, 0, 0, 9]);
        let caller = unwound([1, 12, 2, 0x25], &codes, 0x80, words).unwrap();
        assert_eq!(ip_sp(&caller), (9, 0x5000 - 0x20 + 0x38));
        // Before the frame pointer is set, the stack pointer counts.
        let early = unwound([1, 12, 2, 0x25], &codes, 8, |machine| machine.words(STACK, &[0, 0, 0, 0, 0, 0, 9])).unwrap();
        assert_eq!(ip_sp(&early), (9, 0x38));
        // The large form brings its own offset.
        let codes = [12, 0x0b, 2, 0, 0, 0, 8, 0x52];
        let caller = unwound([1, 12, 4, 0x05], &codes, 0x80, words).unwrap();
        assert_eq!(ip_sp(&caller), (9, 0x5000 - 0x20 + 0x38));
    }

    #[test]
    fn without_the_frame_pointer_its_place_is_guessed_and_said_so() {
        let mut machine = Machine::new(Arch::X64);
        machine.entry(&[0x1000, 0x1100, INFO]);
        machine.image_bytes(INFO, &[1, 12, 2, 0x25, 12, 0x03, 8, 0x52]);
        machine.words(STACK, &[0, 0, 0, 0, 0, 0, 9]);
        let caller = machine.step(&machine.context(0x1080, STACK)).unwrap();
        assert!(caller.guessed);
        assert_eq!(ip_sp(&caller), (9, 0x38));
    }

    #[test]
    fn prologues_are_undone_as_far_as_they_have_run() {
        let at = |offset| unwound([1, 8, 2, 0], &[8, 0x12, 1, 0x30], offset, |machine| machine.words(STACK, &[1, 2, 3, 4]));
        assert_eq!(ip_sp(&at(0).unwrap()), (1, 8));
        assert_eq!(ip_sp(&at(1).unwrap()), (2, 0x10));
        assert_eq!(ip_sp(&at(8).unwrap()), (4, 0x20));
    }

    #[test]
    fn machine_frames_with_and_without_error_code() {
        for (info, error_code) in [(0x0a, 0), (0x1a, 1)] {
            let mut machine = Machine::new(Arch::X64);
            machine.entry(&[0x1000, 0x1100, INFO]);
            machine.image_bytes(INFO, &[1, 8, 2, 0, 8, 0x02, 0, info]);
            let frame = STACK + 8 + 8 * error_code;
            machine.words(frame, &[0xffff_f800_1234_5678, 0x10, 0x4_0286, STACK - 0x5000, 0x18]);
            let caller = machine.step(&machine.context(0x1080, STACK)).unwrap();
            assert_eq!(caller.position, Position::Exact);
            assert_eq!(caller.machine_frame, Some(MachineFrame { address: frame, body: STACK }));
            assert_eq!((caller.context.ip(), caller.context.sp()), (Some(0xffff_f800_1234_5678), Some(STACK - 0x5000)));
            assert_eq!(caller.context.registers().get("cs"), Some(0x10));
            assert_eq!(caller.context.registers().get("eflags"), Some(0x4_0286));
            assert_eq!(caller.context.get(0), Some(0xa11), "the hook filled in RAX");
        }
    }

    #[test]
    fn functions_without_an_entry_are_leaves() {
        let mut machine = Machine::new(Arch::X64);
        machine.entry(&[0x1000, 0x1100, INFO]);
        machine.word(STACK, 9);
        assert_eq!(ip_sp(&machine.step(&machine.context(0x1100, STACK)).unwrap()), (9, 8));
        assert_eq!(ip_sp(&machine.step(&machine.context(0x10, STACK)).unwrap()), (9, 8));
    }

    #[test]
    fn a_call_at_the_very_end_belongs_to_the_function_before_it() {
        let mut machine = Machine::new(Arch::X64);
        machine.entry(&[0x1000, 0x1100, INFO]);
        machine.entry(&[0x1100, 0x1200, INFO + 0x100]);
        machine.image_bytes(INFO, &[1, 8, 1, 0, 8, 0x12, 0, 0]);
        machine.image_bytes(INFO + 0x100, &[1, 0, 0, 0]);
        machine.words(STACK, &[1, 2, 9]);
        let caller = step(&machine, &machine, &machine.context(0x1100, STACK), Position::AfterCall).unwrap();
        assert_eq!(ip_sp(&caller), (9, 0x18));
    }

    #[test]
    fn chained_and_indirect_entries() {
        let mut machine = Machine::new(Arch::X64);
        machine.entry(&[0x1000, 0x1100, INFO]);
        // Two more parts: one chained to the first, one that stands for the second.
        machine.entry(&[0x1100, 0x1200, INFO + 0x100]);
        machine.entry(&[0x1200, 0x1300, TABLE + 12 + 1]);
        machine.image_bytes(INFO, &[1, 8, 2, 0, 8, 0x12, 1, 0x30]);
        // mov [rsp+8], rsi, chained.
        machine.image_bytes(INFO + 0x100, &[1 | 4 << 3, 5, 2, 0, 5, 0x64, 1, 0]);
        let parent: Vec<u8> = [0x1000_u32, 0x1100, INFO].iter().flat_map(|field| field.to_le_bytes()).collect();
        machine.image_bytes(INFO + 0x108, &parent);
        machine.words(STACK, &[0, 6, 3, 9]);
        for rva in [0x1150, 0x1250] {
            let caller = machine.step(&machine.context(rva, STACK)).unwrap();
            assert_eq!((caller.context.get(RSI), caller.context.get(RBX), ip_sp(&caller)), (Some(6), Some(3), (9, 0x20)), "{rva:#x}");
        }
    }

    #[test]
    fn endless_chains_and_indirections_end() {
        let mut machine = Machine::new(Arch::X64);
        machine.entry(&[0x1000, 0x1100, TABLE | 1]);
        machine.entry(&[0x1100, 0x1200, INFO]);
        machine.image_bytes(INFO, &[1 | 4 << 3, 0, 0, 0]);
        let parent: Vec<u8> = [0x1100_u32, 0x1200, INFO].iter().flat_map(|field| field.to_le_bytes()).collect();
        machine.image_bytes(INFO + 4, &parent);
        machine.word(STACK, 9);
        for rva in [0x1000, 0x1180] {
            assert!(matches!(machine.step(&machine.context(rva, STACK)), Err(Break::EndlessChain(_))), "{rva:#x}");
        }
    }

    #[test]
    fn other_versions_and_codes_are_refused_by_name() {
        assert_eq!(in_body([3, 0, 0, 0], &[], &[9]).unwrap_err(), Break::Version(3));
        assert_eq!(in_body([3, 0, 0, 0], &[], &[9]).unwrap_err().to_string(), "unwind data of version 3 is not known");
        assert_eq!(in_body([1, 4, 1, 0], &[4, 0x0c, 0, 0], &[9]).unwrap_err(), Break::BadCode { code: 0x0c, rva: INFO });
        assert_eq!(in_body([1, 4, 1, 0], &[4, 0x06, 0, 0], &[9]).unwrap_err(), Break::BadCode { code: 0x06, rva: INFO });
        assert_eq!(in_body([1, 4, 1, 0], &[4, 0x21, 0, 0], &[9]).unwrap_err(), Break::BadCode { code: 0x21, rva: INFO });
        // The operand of the last code is missing.
        assert_eq!(in_body([1, 4, 1, 0], &[4, 0x01, 2, 0], &[9]).unwrap_err(), Break::BadCode { code: 0x01, rva: INFO });
        assert_eq!(in_body([1, 4, 2, 0], &[4], &[9]).unwrap_err(), Break::ImageHole(INFO));
        assert_eq!(in_body([1, 8, 1, 0], &[8, 0x12, 0, 0], &[0, 0]).unwrap_err(), Break::StackHole(STACK + 0x10));
    }

    /// The rest of an epilogue of a function that pushed RBX and R12 and has RBP as frame pointer.
    fn epilogue(code: &[u8]) -> Caller {
        let prepare = |machine: &mut Machine| {
            machine.image_bytes(0x1080, code);
            machine.words(STACK, &[1, 2, 3, 4, 5, 6, 7, 8]);
            machine.words(STACK + 0x5000, &[11, 12, 13, 14, 15]);
        };
        unwound([1, 8, 4, 0x05], &[8, 0x03, 7, 0x12, 3, 0xc0, 1, 0x30], 0x80, prepare).unwrap()
    }

    #[test]
    fn epilogues_of_version_1_are_recognised_by_their_code() {
        // In the body RBP leads to the pushed registers.
        assert_eq!(ip_sp(&epilogue(&[0x90])), (15, 0x5028));
        assert_eq!(ip_sp(&epilogue(&[0xc3])), (1, 8));
        assert_eq!(ip_sp(&epilogue(&[0xf3, 0xc3])), (1, 8));
        assert_eq!(ip_sp(&epilogue(&[0xc2, 8, 0])), (1, 8));
        let popped = epilogue(&[0x41, 0x5c, 0x5b, 0xc3]);
        assert_eq!((popped.context.get(R12), popped.context.get(RBX), ip_sp(&popped)), (Some(1), Some(2), (3, 0x18)));
        assert_eq!(ip_sp(&epilogue(&[0x48, 0x83, 0xc4, 0x10, 0x5b, 0xc3])), (4, 0x20));
        assert_eq!(ip_sp(&epilogue(&[0x48, 0x81, 0xc4, 0x10, 0, 0, 0, 0xc3])), (3, 0x18));
        // lea rsp, [rbp+8]
        assert_eq!(ip_sp(&epilogue(&[0x48, 0x8d, 0x65, 0x08, 0x5b, 0xc3])), (13, 0x5018));
        assert_eq!(ip_sp(&epilogue(&[0x48, 0x8d, 0xa5, 0x08, 0, 0, 0, 0xc3])), (12, 0x5010));
        // Jumps out of the function, to its beginning, and through memory or a register.
        for code in
            [&[0xe9, 0, 2, 0, 0][..], &[0xeb, 0x7e], &[0xe9, 0x7b, 0xff, 0xff, 0xff], &[0xff, 0x25, 0, 0, 0, 0], &[0x48, 0xff, 0xe0]]
        {
            assert_eq!(ip_sp(&epilogue(code)), (1, 8), "{code:02x?}");
        }
        // A jump within the function, another lea, a jump through a register as of a switch.
        for code in [&[0xeb, 0x10][..], &[0x48, 0x8d, 0x63, 0x08, 0xc3], &[0xff, 0xe0], &[0x5b, 0x90]] {
            assert_eq!(ip_sp(&epilogue(code)), (15, 0x5028), "{code:02x?}");
        }
    }

    #[test]
    fn epilogues_of_version_2_are_listed_and_need_no_code() {
        // Epilogues of 4 bytes at the end and 0x40 bytes before it: pop r12; pop rbx; ret.
        let at = |offset: u32| {
            let codes = [4, 0x16, 0x40, 0x06, 7, 0x12, 3, 0xc0, 1, 0x30, 0, 0];
            ip_sp(&unwound([2, 8, 5, 0], &codes, offset, |machine| machine.words(STACK, &[1, 2, 3, 4, 5])).unwrap())
        };
        assert_eq!(at(0x80), (5, 0x28));
        for epilogue in [0xc0, 0xfc] {
            assert_eq!([at(epilogue), at(epilogue + 2), at(epilogue + 3)], [(3, 0x18), (2, 0x10), (1, 8)]);
        }
        assert_eq!(at(0xbf), (5, 0x28));
    }
}
