//! The registers of one frame, as far as they are known.

use bugcheck_dump::{Arch, Registers};

/// General registers that a [`Context`] holds: as many as the longest list of [`Registers::names`].
const GENERAL: usize = 36;
/// Vector registers: XMM0 to XMM15, or V0 to V31.
const VECTORS: usize = 32;

/// Integer and vector registers of one frame. A register that nothing saved is unknown, not zero.
///
/// Registers are numbered by their place in [`Registers::names`], which for the integer registers of all three architectures
/// is the number that instructions and unwind codes use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Context {
    arch: Arch,
    general: [u64; GENERAL],
    general_known: u64,
    vectors: [u128; VECTORS],
    vectors_known: u32,
}

impl Context {
    /// No register known.
    #[must_use]
    pub fn new(arch: Arch) -> Self {
        Self { arch, general: [0; GENERAL], general_known: 0, vectors: [0; VECTORS], vectors_known: 0 }
    }

    /// The registers of a CONTEXT or trap frame.
    #[must_use]
    pub fn from_registers(registers: &Registers) -> Self {
        let mut context = Self::new(registers.arch());
        for (number, name) in Registers::names(registers.arch()).iter().enumerate() {
            if let Some(value) = registers.get(name) {
                context.set(number, value);
            }
        }
        context
    }

    /// The same as named registers; vector registers have no place there.
    #[must_use]
    pub fn registers(&self) -> Registers {
        let mut registers = Registers::empty(self.arch);
        for (number, name) in Registers::names(self.arch).iter().enumerate() {
            if let Some(value) = self.get(number) {
                registers.set(name, value);
            }
        }
        registers
    }

    /// The architecture.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The value of an integer register.
    #[must_use]
    pub fn get(&self, register: usize) -> Option<u64> {
        let known = register < GENERAL && self.general_known >> register & 1 != 0;
        known.then(|| self.general.get(register).copied()).flatten()
    }

    /// Sets an integer register; a number that does not exist is ignored.
    pub fn set(&mut self, register: usize, value: u64) {
        if let Some(slot) = self.general.get_mut(register) {
            *slot = value;
            self.general_known |= 1 << register;
        }
    }

    /// An integer register is not known any more.
    pub fn forget(&mut self, register: usize) {
        if register < GENERAL {
            self.general_known &= !(1 << register);
        }
    }

    /// The value of a vector register; of those that are saved in half, the upper half is zero.
    #[must_use]
    pub fn vector(&self, register: usize) -> Option<u128> {
        let known = register < VECTORS && self.vectors_known >> register & 1 != 0;
        known.then(|| self.vectors.get(register).copied()).flatten()
    }

    /// Sets a vector register; a number that does not exist is ignored.
    pub fn set_vector(&mut self, register: usize, value: u128) {
        if let Some(slot) = self.vectors.get_mut(register) {
            *slot = value;
            self.vectors_known |= 1 << register;
        }
    }

    /// A vector register is not known any more.
    pub fn forget_vector(&mut self, register: usize) {
        if register < VECTORS {
            self.vectors_known &= !(1 << register);
        }
    }

    /// Keeps only the registers of the two masks: what a call preserves.
    pub(crate) fn keep(&mut self, general: u64, vectors: u32) {
        self.general_known &= general;
        self.vectors_known &= vectors;
    }

    fn ip_number(&self) -> usize {
        match self.arch {
            Arch::X64 => 16,
            Arch::X86 => 8,
            Arch::Arm64 => 32,
        }
    }

    fn sp_number(&self) -> usize {
        match self.arch {
            Arch::X64 | Arch::X86 => 4,
            Arch::Arm64 => 31,
        }
    }

    /// The frame pointer's number: RBP, EBP or X29.
    fn fp_number(&self) -> usize {
        match self.arch {
            Arch::X64 | Arch::X86 => 5,
            Arch::Arm64 => 29,
        }
    }

    /// The instruction pointer.
    #[must_use]
    pub fn ip(&self) -> Option<u64> {
        self.get(self.ip_number())
    }

    /// The stack pointer.
    #[must_use]
    pub fn sp(&self) -> Option<u64> {
        self.get(self.sp_number())
    }

    /// The frame pointer (a plain register where the code does not keep one).
    #[must_use]
    pub fn fp(&self) -> Option<u64> {
        self.get(self.fp_number())
    }

    /// Sets the instruction pointer.
    pub fn set_ip(&mut self, value: u64) {
        self.set(self.ip_number(), value);
    }

    /// Sets the stack pointer.
    pub fn set_sp(&mut self, value: u64) {
        self.set(self.sp_number(), value);
    }

    /// Sets the frame pointer.
    pub fn set_fp(&mut self, value: u64) {
        self.set(self.fp_number(), value);
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut map = formatter.debug_map();
        for (number, name) in Registers::names(self.arch).iter().enumerate() {
            if let Some(value) = self.get(number) {
                map.entry(name, &format_args!("{value:#x}"));
            }
        }
        for number in 0..VECTORS {
            if let Some(value) = self.vector(number) {
                map.entry(&format_args!("v{number}"), &format_args!("{value:#x}"));
            }
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_processors_and_name_the_special_registers() {
        for (arch, ip, sp, fp) in [(Arch::X64, "rip", "rsp", "rbp"), (Arch::X86, "eip", "esp", "ebp"), (Arch::Arm64, "pc", "sp", "fp")] {
            let mut context = Context::new(arch);
            assert!(Registers::names(arch).len() <= GENERAL);
            context.set_ip(1);
            context.set_sp(2);
            context.set_fp(3);
            let registers = context.registers();
            assert_eq!((registers.get(ip), registers.get(sp), registers.get(fp)), (Some(1), Some(2), Some(3)));
            assert_eq!(Context::from_registers(&registers), context);
        }
    }

    #[test]
    fn what_was_forgotten_or_never_existed_is_unknown() {
        let mut context = Context::new(Arch::X64);
        context.set(99, 1);
        context.set_vector(99, 1);
        context.set(3, 7);
        context.set_vector(6, 8);
        assert_eq!((context.get(3), context.vector(6), context.get(99), context.vector(99)), (Some(7), Some(8), None, None));
        context.keep(0, 0);
        assert_eq!((context.get(3), context.vector(6)), (None, None));
    }
}
