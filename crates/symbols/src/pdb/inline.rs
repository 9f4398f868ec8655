//! Inline sites: which parts of a function came from which other function.
//!
//! A site says it in compressed steps over the function's code ("binary annotations"): the coding and the operations are
//! described by `CodeViewBinaryAnnotations` in `cvinfo.h` and by LLVM's `InlineSiteSym`.

use bugcheck_dump::Fields;

/// Most steps of one site.
const MOST_STEPS: usize = 1 << 20;

/// A stretch of a function's code that came from an inlined one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// From the beginning of the function.
    pub start: u32,
    /// Behind its last byte.
    pub end: u32,
    /// The file, as an offset into the module's table of files.
    pub file: u32,
    /// The line.
    pub line: u32,
}

/// Reads the steps. `file` and `line` are where the inlined function begins in the source text.
pub(super) fn stretches(annotations: &[u8], file: u32, line: u32) -> Vec<Stretch> {
    let mut state = State { file, line, base: 0, offset: 0, done: Vec::new(), open: None };
    let mut rest = annotations;
    for _ in 0..MOST_STEPS {
        let Some(operation) = take(&mut rest) else { break };
        if state.step(operation, &mut rest).is_none() {
            break;
        }
    }
    // A last stretch whose length is not said holds at least the byte that it begins with.
    if let Some(open) = state.open.take() {
        state.done.push(Stretch { end: open.start.saturating_add(1), ..open });
    }
    state.done
}

struct State {
    file: u32,
    line: u32,
    base: u32,
    offset: u32,
    done: Vec<Stretch>,
    /// A stretch that ends where the next begins, if nothing else is said.
    open: Option<Stretch>,
}

impl State {
    /// Carries out one operation; nothing at the end or at one that is not known.
    fn step(&mut self, operation: u32, rest: &mut &[u8]) -> Option<()> {
        match operation {
            // The end: the rest is padding.
            0 => return None,
            // Offset of code, absolute.
            1 => self.offset = take(rest)?,
            // Base of the offsets.
            2 => self.base = take(rest)?,
            // Offset of code.
            3 => {
                self.offset = self.offset.wrapping_add(take(rest)?);
                self.begin();
            }
            // Length of the stretch that was begun.
            4 => {
                let length = take(rest)?;
                if let Some(open) = self.open.take() {
                    self.done.push(Stretch { end: open.start.saturating_add(length), ..open });
                }
                self.offset = self.offset.wrapping_add(length);
            }
            5 => self.file = take(rest)?,
            6 => self.line = self.line.wrapping_add_signed(signed(take(rest)?)),
            // Ends of lines, kinds of ranges, columns: not needed.
            7..=10 | 13 => {
                take(rest)?;
            }
            // Offset of code in the low four bits, of the line above them.
            11 => {
                let both = take(rest)?;
                self.line = self.line.wrapping_add_signed(signed(both >> 4));
                self.offset = self.offset.wrapping_add(both & 0xf);
                self.begin();
            }
            // Length, then offset of code.
            12 => {
                let length = take(rest)?;
                self.offset = self.offset.wrapping_add(take(rest)?);
                self.begin();
                if let Some(open) = self.open.take() {
                    self.done.push(Stretch { end: open.start.saturating_add(length), ..open });
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn begin(&mut self) {
        let start = self.base.wrapping_add(self.offset);
        if let Some(open) = self.open.take() {
            self.done.push(Stretch { end: start.max(open.start), ..open });
        }
        self.open = Some(Stretch { start, end: start, file: self.file, line: self.line });
    }
}

/// An unsigned number of one, two or four bytes, its length in its first bits.
fn take(rest: &mut &[u8]) -> Option<u32> {
    let fields = Fields(rest);
    let byte = |at: usize| fields.u8(at).map(u32::from);
    let first = byte(0)?;
    let (value, length) = if first & 0x80 == 0 {
        (first, 1)
    } else if first & 0x40 == 0 {
        ((first & 0x3f) << 8 | byte(1)?, 2)
    } else if first & 0x20 == 0 {
        ((first & 0x1f) << 24 | byte(1)? << 16 | byte(2)? << 8 | byte(3)?, 4)
    } else {
        return None;
    };
    *rest = rest.get(length..)?;
    Some(value)
}

/// The sign is the lowest bit.
fn signed(value: u32) -> i32 {
    let magnitude = (value >> 1).cast_signed();
    if value & 1 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_become_stretches() {
        // Offset +4 and line +2; offset +6; length 3; a further stretch 0x10 later, 5 long.
        let steps = [11, 0x44, 3, 6, 4, 3, 12, 5, 0x10, 0, 0];
        let stretch = |start, end, line| Stretch { start, end, file: 8, line };
        assert_eq!(stretches(&steps, 8, 100), [stretch(4, 10, 102), stretch(10, 13, 102), stretch(29, 34, 102)]);
        assert_eq!(stretches(&[0xff; 40], 8, 100), []);
        assert_eq!(stretches(&[6, 3, 3, 0x80 | 1, 2], 8, 100), [stretch(0x102, 0x103, 99)]);
    }
}
