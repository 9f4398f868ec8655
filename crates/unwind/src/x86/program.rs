//! Programs of FRAME_DATA: words in postfix notation over 32-bit numbers.
//!
//! `$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =` says: the return address lies where a search finds it, and so on. `^` reads
//! memory, `@` rounds down to a multiple, `=` assigns.

use super::Frame;
use crate::{Break, Context};
use bugcheck_dump::Registers;

/// Real programs have some thirty words.
const MOST_WORDS: usize = 256;
/// And need four places on the stack.
const DEEPEST: usize = 32;
/// And as many variables beside the registers.
const MOST_VARIABLES: usize = 32;

const BAD: Break = Break::BadProgram;

/// A word whose value may be needed, or that may be assigned to.
#[derive(Clone, Copy)]
enum Item<'p> {
    Number(u32),
    Name(&'p str),
}

/// The caller's registers as a program computes them.
pub fn run(frame: &Frame<'_>, text: &str) -> Result<Context, Break> {
    let mut machine = Machine { frame, context: frame.preserved(), variables: Vec::new(), stack: Vec::new(), assigned_ip: false };
    for (count, word) in text.split_ascii_whitespace().enumerate() {
        if count >= MOST_WORDS {
            return Err(BAD);
        }
        machine.word(word)?;
    }
    if machine.assigned_ip && machine.stack.is_empty() { Ok(machine.context) } else { Err(BAD) }
}

struct Machine<'f, 'p> {
    frame: &'f Frame<'f>,
    context: Context,
    variables: Vec<(&'p str, u32)>,
    stack: Vec<Item<'p>>,
    assigned_ip: bool,
}

impl<'p> Machine<'_, 'p> {
    fn word(&mut self, word: &'p str) -> Result<(), Break> {
        match word {
            "=" => self.assign(),
            "^" => {
                let address = self.number()?;
                let value = self.frame.word(address.into())?;
                self.push(Item::Number(u32::try_from(value).map_err(|_| BAD)?))
            }
            "+" | "-" | "*" | "/" | "%" | "@" => {
                let (right, left) = (self.number()?, self.number()?);
                let value = match word {
                    "+" => Some(left.wrapping_add(right)),
                    "-" => Some(left.wrapping_sub(right)),
                    "*" => Some(left.wrapping_mul(right)),
                    "/" => left.checked_div(right),
                    "%" => left.checked_rem(right),
                    _ => left.checked_rem(right).map(|rest| left - rest),
                };
                self.push(Item::Number(value.ok_or(BAD)?))
            }
            _ if word.starts_with(['$', '.']) => self.push(Item::Name(word)),
            _ => self.push(Item::Number(word.parse().map_err(|_| BAD)?)),
        }
    }

    fn push(&mut self, item: Item<'p>) -> Result<(), Break> {
        if self.stack.len() >= DEEPEST {
            return Err(BAD);
        }
        self.stack.push(item);
        Ok(())
    }

    fn number(&mut self) -> Result<u32, Break> {
        match self.stack.pop().ok_or(BAD)? {
            Item::Number(value) => Ok(value),
            Item::Name(name) => self.value(name),
        }
    }

    fn value(&self, name: &str) -> Result<u32, Break> {
        let data = &self.frame.data;
        match name {
            ".raSearch" | ".raSearchStart" => return u32::try_from(self.frame.return_slot()?).map_err(|_| BAD),
            ".cbLocals" => return Ok(data.locals),
            ".cbParams" => return Ok(data.parameters),
            ".cbSavedRegs" => return Ok(data.saved_registers),
            _ => {}
        }
        if let Some(number) = register(name) {
            // Once assigned, a register has the caller's value.
            let value = self.context.get(number).or_else(|| self.frame.callee.get(number));
            let unknown = || Break::UnknownRegister(Registers::names(self.context.arch()).get(number).copied().unwrap_or("a register"));
            return u32::try_from(value.ok_or_else(unknown)?).map_err(|_| BAD);
        }
        self.variables.iter().find(|(known, _)| *known == name).map(|&(_, value)| value).ok_or(BAD)
    }

    fn assign(&mut self) -> Result<(), Break> {
        let value = self.number()?;
        let Some(Item::Name(name)) = self.stack.pop() else { return Err(BAD) };
        if let Some(number) = register(name) {
            self.context.set(number, value.into());
            self.assigned_ip |= name == "$eip";
            return Ok(());
        }
        let room = self.variables.len() < MOST_VARIABLES && name.starts_with('$');
        match self.variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None if room => self.variables.push((name, value)),
            None => return Err(BAD),
        }
        Ok(())
    }
}

fn register(name: &str) -> Option<usize> {
    let name = name.strip_prefix('$')?;
    Registers::names(bugcheck_dump::Arch::X86).iter().position(|&known| known == name)
}
