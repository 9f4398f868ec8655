//! Packed unwind data: a word that says which of the standard prologues a function has.
//!
//! Source: Microsoft's "ARM64 exception handling", section "Packed unwind data".

use super::codes::{Bank, Code, Place};

/// More than the longest standard prologue has codes.
const MOST: usize = 32;
/// The most that one instruction of a prologue takes off the stack pointer.
const LARGEST_STEP: u32 = 4080;

/// The codes of a standard prologue, innermost first, as full unwind data would list them.
pub struct Packed {
    codes: [Code; MOST],
    count: usize,
    /// Bytes of the function.
    pub instructions: u32,
    /// The function has no prologue or epilogue: it is a part of another one.
    pub fragment: bool,
}

struct Fields {
    saved_doubles: u8,
    saved_integers: u8,
    homes: bool,
    chain: u32,
    frame: u32,
}

/// What CR says of the return address.
const LR_SAVED: u32 = 1;
const CHAINED_AND_SIGNED: u32 = 2;
const CHAINED: u32 = 3;

impl Packed {
    pub fn expand(word: u32) -> Option<Self> {
        let bits = |shift: u32, count: u32| word >> shift & ((1 << count) - 1);
        let doubles = u8::try_from(bits(13, 3)).ok()?;
        let fields = Fields {
            saved_doubles: if doubles == 0 { 0 } else { doubles + 1 },
            saved_integers: u8::try_from(bits(16, 4)).ok()?,
            homes: bits(20, 1) != 0,
            chain: bits(21, 2),
            frame: 16 * bits(23, 9),
        };
        let mut packed = Self { codes: [Code::End; MOST], count: 0, instructions: bits(2, 11), fragment: bits(0, 2) == 2 };
        packed.prologue(&fields)?;
        packed.codes.get_mut(..packed.count)?.reverse();
        // The array is filled with `End` behind the last code.
        Some(packed)
    }

    /// The codes, innermost first.
    pub fn codes(&self) -> impl Iterator<Item = Code> {
        self.codes.iter().copied()
    }

    fn add(&mut self, code: Code) -> Option<()> {
        *self.codes.get_mut(self.count).filter(|_| self.count + 1 < MOST)? = code;
        self.count += 1;
        Some(())
    }

    /// In the order of the instructions.
    fn prologue(&mut self, fields: &Fields) -> Option<()> {
        let lr = u32::from(fields.chain == LR_SAVED);
        let integers = u32::from(fields.saved_integers) + lr;
        let saved = 8 * (integers + u32::from(fields.saved_doubles));
        // Parameters are stored beside saved registers; where there are none, storing them is a matter of the body.
        let homes = fields.homes && saved > 0;
        let saved = (saved + if homes { 64 } else { 0 }).next_multiple_of(16);
        let locals = fields.frame.checked_sub(saved)?;
        if fields.chain == CHAINED_AND_SIGNED {
            self.add(Code::SignLr)?;
        }
        self.save_registers(fields, saved)?;
        if homes {
            for _ in 0..4 {
                self.add(Code::Nothing)?;
            }
        }
        if matches!(fields.chain, CHAINED | CHAINED_AND_SIGNED) { self.chain(locals) } else { self.allocate(locals) }
    }

    fn save_registers(&mut self, fields: &Fields, saved: u32) -> Option<()> {
        let lr = fields.chain == LR_SAVED;
        let mut slots = Slots { saved, next: 0 };
        if fields.saved_integers == 1 && lr {
            // There is no instruction that pushes X19 with LR.
            self.add(Code::Allocate(saved))?;
            slots.saved = 0;
        }
        let pairs = fields.saved_integers / 2;
        for pair in 0..pairs {
            self.add(Code::save(Bank::General, 19 + 2 * pair, 2, slots.take(2)))?;
        }
        let last = 19 + 2 * pairs;
        match (fields.saved_integers % 2 == 1, lr) {
            (true, true) => {
                let Place::At(offset) = slots.take(2) else { return None };
                self.add(Code::SaveWithLr { register: last, offset })?;
            }
            (true, false) => self.add(Code::save(Bank::General, last, 1, slots.take(1)))?,
            (false, true) => self.add(Code::save(Bank::General, 30, 1, slots.take(1)))?,
            (false, false) => {}
        }
        for pair in 0..fields.saved_doubles / 2 {
            self.add(Code::save(Bank::Double, 8 + 2 * pair, 2, slots.take(2)))?;
        }
        if fields.saved_doubles % 2 == 1 {
            self.add(Code::save(Bank::Double, 7 + fields.saved_doubles, 1, slots.take(1)))?;
        }
        Some(())
    }

    fn chain(&mut self, locals: u32) -> Option<()> {
        if locals == 0 {
            return Some(());
        }
        if locals <= 512 {
            self.add(Code::save(Bank::General, 29, 2, Place::Pushed(locals)))?;
        } else {
            self.allocate(locals)?;
            self.add(Code::save(Bank::General, 29, 2, Place::At(0)))?;
        }
        self.add(Code::SetFrame(0))
    }

    fn allocate(&mut self, size: u32) -> Option<()> {
        let first = size.min(LARGEST_STEP);
        for step in [first, size - first] {
            if step > 0 {
                self.add(Code::Allocate(step))?;
            }
        }
        Some(())
    }
}

/// Epilogues leave out what need not be undone.
pub fn is_in_epilogue(code: Code) -> bool {
    !matches!(code, Code::Nothing | Code::SetFrame(_))
}

/// The places of saved registers: the first save moves the stack pointer.
struct Slots {
    saved: u32,
    next: u32,
}

impl Slots {
    fn take(&mut self, count: u32) -> Place {
        let at = self.next;
        self.next += 8 * count;
        if at == 0 && self.saved > 0 { Place::Pushed(self.saved) } else { Place::At(at) }
    }
}
