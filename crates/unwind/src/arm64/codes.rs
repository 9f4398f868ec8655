//! Unwind codes: what each instruction of a prologue or epilogue did.
//!
//! Source: Microsoft's "ARM64 exception handling", section "Unwind codes".

/// Which registers a code saves, and how much of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bank {
    /// X0 to X30.
    General,
    /// The lower halves of V0 to V31.
    Double,
    /// V0 to V31.
    Quad,
}

/// Where registers are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the stack pointer plus this.
    At(u32),
    /// At the stack pointer, after it has been moved down by this.
    Pushed(u32),
}

/// A frame that no compiler makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Custom {
    /// A KTRAP_FRAME lies at the stack pointer.
    TrapFrame,
    /// Stack pointer and program counter lie at the stack pointer.
    MachineFrame,
    /// A CONTEXT lies at the stack pointer.
    Context,
    /// A CONTEXT in the layout of x64 lies at the stack pointer.
    EcContext,
    /// The return address is the very instruction to go on with.
    ClearUnwoundToCall,
}

/// One unwind code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Allocate(u32),
    /// Saved consecutive registers.
    Save {
        bank: Bank,
        first: u8,
        count: u8,
        place: Place,
    },
    /// Saved a register and LR behind it.
    SaveWithLr {
        register: u8,
        offset: u32,
    },
    /// The pair behind the one that the next code names was saved too.
    SaveNext,
    /// X29 was set this far above the stack pointer.
    SetFrame(u32),
    /// An instruction with nothing to undo.
    Nothing,
    SignLr,
    Custom(Custom),
    End,
    /// End of a fragment's own codes; those of the function it belongs to follow.
    EndChained,
}

impl Code {
    pub fn save(bank: Bank, first: u8, count: u8, place: Place) -> Self {
        Self::Save { bank, first, count, place }
    }

    /// The instructions that a code stands for.
    pub fn instructions(self) -> u32 {
        u32::from(!matches!(self, Self::Custom(_) | Self::End | Self::EndChained))
    }

    /// Reads the code at the beginning of `bytes`: with its length, or `None` for one that is not defined.
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let first = *bytes.first()?;
        let second = bytes.get(1).copied();
        match first {
            0xc0..=0xdf => two_bytes(u16::from_be_bytes([first, second?])).map(|code| (code, 2)),
            0xe0 => {
                let size = u32::from_be_bytes([0, second?, *bytes.get(2)?, *bytes.get(3)?]);
                Some((Self::Allocate(16 * size), 4))
            }
            0xe2 => Some((Self::SetFrame(8 * u32::from(second?)), 2)),
            0xe7 => any_register(second?, *bytes.get(2)?).map(|code| (code, 3)),
            // Reserved for instructions that have nothing to undo, with one to four operand bytes.
            0xf8..=0xfb => Some((Self::Nothing, usize::from(first - 0xf8) + 2)),
            _ => one_byte(first).map(|code| (code, 1)),
        }
    }
}

fn one_byte(code: u8) -> Option<Code> {
    use Bank::General;
    let low = u32::from(code & 0x3f);
    Some(match code {
        0x00..=0x1f => Code::Allocate(16 * low),
        0x20..=0x3f => Code::save(General, 19, 2, Place::Pushed(8 * (low & 0x1f))),
        0x40..=0x7f => Code::save(General, 29, 2, Place::At(8 * low)),
        0x80..=0xbf => Code::save(General, 29, 2, Place::Pushed(8 * (low + 1))),
        0xe1 => Code::SetFrame(0),
        0xe3 | 0xfd..=0xff => Code::Nothing,
        0xe4 => Code::End,
        0xe5 => Code::EndChained,
        0xe6 => Code::SaveNext,
        0xe8 => Code::Custom(Custom::TrapFrame),
        0xe9 => Code::Custom(Custom::MachineFrame),
        0xea => Code::Custom(Custom::Context),
        0xeb => Code::Custom(Custom::EcContext),
        0xec => Code::Custom(Custom::ClearUnwoundToCall),
        0xfc => Code::SignLr,
        _ => return None,
    })
}

fn two_bytes(code: u16) -> Option<Code> {
    use Bank::{Double, General};
    let field = |shift: u16, bits: u16| u8::try_from(code >> shift & ((1 << bits) - 1)).unwrap_or(0);
    let at = Place::At(8 * u32::from(field(0, 6)));
    let pushed = Place::Pushed(8 * (u32::from(field(0, 6)) + 1));
    let pushed_near = Place::Pushed(8 * (u32::from(field(0, 5)) + 1));
    Some(match code >> 8 {
        0xc0..=0xc7 => Code::Allocate(16 * u32::from(code & 0x7ff)),
        0xc8..=0xcb => Code::save(General, 19 + field(6, 4), 2, at),
        0xcc..=0xcf => Code::save(General, 19 + field(6, 4), 2, pushed),
        0xd0..=0xd3 => Code::save(General, 19 + field(6, 4), 1, at),
        0xd4..=0xd5 => Code::save(General, 19 + field(5, 4), 1, pushed_near),
        0xd6..=0xd7 => Code::SaveWithLr { register: 19 + 2 * field(6, 3), offset: 8 * u32::from(field(0, 6)) },
        0xd8..=0xd9 => Code::save(Double, 8 + field(6, 3), 2, at),
        0xda..=0xdb => Code::save(Double, 8 + field(6, 3), 2, pushed),
        0xdc..=0xdd => Code::save(Double, 8 + field(6, 3), 1, at),
        0xde => Code::save(Double, 8 + field(5, 3), 1, pushed_near),
        // 0xdf allocates a multiple of the vector length, which Windows does not use yet.
        _ => return None,
    })
}

/// `save_any_reg`: 0pxrrrrr ffoooooo.
fn any_register(second: u8, third: u8) -> Option<Code> {
    let (pair, pushed, first) = (second & 0x40 != 0, second & 0x20 != 0, second & 0x1f);
    let bank = match (second >> 7, third >> 6) {
        (0, 0) => Bank::General,
        (0, 1) => Bank::Double,
        (0, 2) => Bank::Quad,
        _ => return None,
    };
    let offset = u32::from(third & 0x3f);
    let place = match pushed {
        true => Place::Pushed(16 * (offset + 1)),
        false if pair || bank == Bank::Quad => Place::At(16 * offset),
        false => Place::At(8 * offset),
    };
    Some(Code::save(bank, first, if pair { 2 } else { 1 }, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Bank::{Double, General, Quad};

    fn read(bytes: &[u8]) -> Code {
        let (code, length) = Code::read(bytes).unwrap();
        assert_eq!(length, bytes.len(), "{bytes:02x?}");
        code
    }

    #[test]
    fn codes_of_each_form() {
        for (bytes, code) in [
            (&[0x1f][..], Code::Allocate(496)),
            (&[0xc7, 0xff], Code::Allocate(0x7ff0)),
            (&[0xe0, 0x01, 0x02, 0x03], Code::Allocate(0x10_2030)),
            (&[0x23], Code::save(General, 19, 2, Place::Pushed(24))),
            (&[0x42], Code::save(General, 29, 2, Place::At(16))),
            (&[0x83], Code::save(General, 29, 2, Place::Pushed(32))),
            (&[0xc8, 0x82], Code::save(General, 21, 2, Place::At(16))),
            (&[0xcc, 0x19], Code::save(General, 19, 2, Place::Pushed(208))),
            (&[0xd2, 0xc5], Code::save(General, 30, 1, Place::At(40))),
            (&[0xd5, 0x61], Code::save(General, 30, 1, Place::Pushed(16))),
            (&[0xd6, 0x84], Code::SaveWithLr { register: 23, offset: 32 }),
            (&[0xd9, 0x90], Code::save(Double, 14, 2, Place::At(128))),
            (&[0xda, 0x47], Code::save(Double, 9, 2, Place::Pushed(64))),
            (&[0xdc, 0x03], Code::save(Double, 8, 1, Place::At(24))),
            (&[0xde, 0xe0], Code::save(Double, 15, 1, Place::Pushed(8))),
            (&[0xe1], Code::SetFrame(0)),
            (&[0xe2, 0x04], Code::SetFrame(32)),
            (&[0xe6], Code::SaveNext),
            (&[0xe7, 0x05, 0x03], Code::save(General, 5, 1, Place::At(24))),
            (&[0xe7, 0x46, 0x43], Code::save(Double, 6, 2, Place::At(48))),
            (&[0xe7, 0x66, 0x83], Code::save(Quad, 6, 2, Place::Pushed(64))),
            (&[0xe7, 0x06, 0x83], Code::save(Quad, 6, 1, Place::At(48))),
            (&[0xe7, 0x20, 0x00], Code::save(General, 0, 1, Place::Pushed(16))),
            (&[0xf9, 0, 0], Code::Nothing),
            (&[0xfc], Code::SignLr),
        ] {
            assert_eq!(read(bytes), code, "{bytes:02x?}");
        }
    }

    #[test]
    fn undefined_and_cut_codes_are_refused() {
        for bytes in [&[][..], &[0xc8], &[0xdf, 0], &[0xe0, 0, 0], &[0xe7, 0x80, 0], &[0xe7, 0, 0xc0], &[0xe7, 0], &[0xed], &[0xf7]] {
            assert_eq!(Code::read(bytes), None, "{bytes:02x?}");
        }
    }
}
