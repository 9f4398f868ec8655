//! A stack and registers for a function that a test executes instruction by instruction.

use bugcheck_dump::{Arch, FileBytes};
use bugcheck_unwind::{Break, Caller, Context, Image, Images, Position, Stack, pe, step};

pub const STACK: u64 = 0xffff_9000_0000_0000;
const STACK_SIZE: usize = 0xc000;
/// The stack pointer before the function was called.
pub const TOP: u64 = STACK + 0xb000;
pub const BASE: u64 = 0xffff_f801_2300_0000;
pub const RETURN_ADDRESS: u64 = 0xffff_f800_dead_0010;

/// A value that tells which register it was put into, and when.
pub fn mark(register: usize, generation: u64) -> u64 {
    0x5a5a_0000_0000_0000 | generation << 16 | register as u64
}

/// A vector value that tells the same.
pub fn mark_vector(register: usize, generation: u64) -> u128 {
    u128::from(mark(register, generation) ^ 0xff << 32) | 0x7777_u128 << 64
}

#[derive(Clone)]
pub struct Simulated {
    pub memory: Vec<u8>,
    pub registers: Vec<u64>,
    pub vectors: Vec<u128>,
    pub arch: Arch,
    /// The first eight bytes of everything that was stored.
    pub stored: Vec<u64>,
    generation: u64,
}

impl Simulated {
    pub fn new(arch: Arch) -> Self {
        Self {
            memory: vec![0xcc; STACK_SIZE],
            registers: (0..33).map(|register| mark(register, 0)).collect(),
            vectors: (0..32).map(|register| mark_vector(register, 0)).collect(),
            arch,
            stored: Vec::new(),
            generation: 0,
        }
    }

    pub fn load(&self, address: u64, buffer: &mut [u8]) -> bool {
        let at = usize::try_from(address.wrapping_sub(STACK)).unwrap_or(usize::MAX);
        let Some(bytes) = at.checked_add(buffer.len()).and_then(|end| self.memory.get(at..end)) else { return false };
        buffer.copy_from_slice(bytes);
        true
    }

    pub fn load_u64(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.load(address, &mut bytes).then(|| u64::from_le_bytes(bytes))
    }

    pub fn load_u128(&self, address: u64) -> Option<u128> {
        let mut bytes = [0; 16];
        self.load(address, &mut bytes).then(|| u128::from_le_bytes(bytes))
    }

    /// False if the address is not on the stack.
    pub fn store(&mut self, address: u64, bytes: &[u8]) -> bool {
        let at = usize::try_from(address.wrapping_sub(STACK)).unwrap_or(usize::MAX);
        let Some(slot) = at.checked_add(bytes.len()).and_then(|end| self.memory.get_mut(at..end)) else { return false };
        slot.copy_from_slice(bytes);
        self.stored.extend(bytes.first_chunk().map(|first| u64::from_le_bytes(*first)));
        true
    }

    /// The function has put something of its own into a register.
    pub fn junk(&mut self, register: usize) {
        self.generation += 1;
        self.registers[register] = mark(register, self.generation);
    }

    pub fn junk_vector(&mut self, register: usize) {
        self.generation += 1;
        self.vectors[register] = mark_vector(register, self.generation);
    }

    pub fn context(&self, ip: u64, sp: usize) -> Context {
        let mut context = Context::new(self.arch);
        for register in 0..sp.max(16) {
            context.set(register, self.registers[register]);
        }
        context.set_ip(ip);
        context.set_sp(self.registers[sp]);
        for (register, &value) in self.vectors.iter().enumerate() {
            context.set_vector(register, value);
        }
        context
    }
}

impl Stack for Simulated {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        if self.load(address, buffer) { buffer.len() } else { 0 }
    }

    fn may_be_code(&self, address: u64) -> bool {
        address == RETURN_ADDRESS
    }
}

/// One image at [`BASE`].
pub struct One<'f>(pub &'f pe::File<FileBytes>);

impl Images for One<'_> {
    fn image_at(&self, address: u64) -> Option<Image<'_>> {
        Image::read(BASE, self.0).filter(|image| image.rva(address).is_some())
    }
}

/// Unwinds at an instruction of the image.
pub fn unwind_at(file: &pe::File<FileBytes>, simulated: &Simulated, rva: u32, sp: usize) -> Result<Caller, Break> {
    let context = simulated.context(BASE + u64::from(rva), sp);
    step(simulated, &One(file), &context, Position::Exact)
}
