//! What every source of symbols answers with.

use std::borrow::Cow;
use std::fmt;

use crate::demangle::demangle_name;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SymbolKind {
    /// A variable, a string, a table: never the name of code.
    Data = 0,
    /// A public name of which its source does not say whether it is code; nothing about the name speaks against it.
    Public = 1,
    /// An exported name of an image that lies in code.
    Export = 2,
    /// A function.
    Function = 3,
}

impl SymbolKind {
    /// Whether the name can be that of code.
    #[must_use]
    pub fn is_code(self) -> bool {
        self != Self::Data
    }

    pub(crate) fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Public,
            2 => Self::Export,
            3 => Self::Function,
            _ => Self::Data,
        }
    }
}

/// A named address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// The name as its source has it: C++ names of publics are decorated.
    pub raw: &'a str,
    /// Where it begins, from the base of the image.
    pub rva: u32,
    /// How many bytes it takes, where the source says so.
    pub size: Option<u32>,
    /// What it stands for.
    pub kind: SymbolKind,
}

impl<'a> Symbol<'a> {
    /// The name as debuggers print it: without parameters and return type, undecorated where possible.
    #[must_use]
    pub fn name(&self) -> Cow<'a, str> {
        demangle_name(self.raw)
    }
}

/// How well a name fits an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// The source says where the function ends, and the address lies before its end.
    Inside,
    /// The name is the nearest below the address; nothing says where it ends.
    Nearest,
    /// The address lies behind the function's end, or behind data that follows it: the function that is really there has no
    /// name. Better shown as module+offset.
    Doubtful,
}

/// The name that an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolAt<'a> {
    /// The name.
    pub symbol: Symbol<'a>,
    /// Bytes from its beginning to the address.
    pub offset: u32,
    /// How well it fits.
    pub fit: Fit,
}

/// A place in source text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceLine {
    /// The file as the compiler saw it. It is text from outside: never open it as a path.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// One function of the source text at an address; inlining puts several of them at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFrame {
    /// The function, if known.
    pub function: Option<String>,
    /// Where in the source text, if known.
    pub line: Option<SourceLine>,
    /// Whether it was inlined into the frame that follows it.
    pub inlined: bool,
}

/// The identity that an image and its PDB share.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PdbId {
    /// The GUID, as its 16 bytes lie in a file.
    pub guid: [u8; 16],
    /// The age.
    pub age: u32,
}

impl PdbId {
    /// From the text of a symbol store: 32 hexadecimal digits of the GUID, then the age in hexadecimal. A hyphen before the
    /// age, and those of a written GUID, may be there.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        let digits: Vec<u8> = key.bytes().filter(|&byte| byte != b'-' && byte != b'{' && byte != b'}').take(41).collect();
        let digits = std::str::from_utf8(&digits).ok()?;
        let age = digits.get(32..)?;
        if age.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        Some(Self { guid: guid_bytes(digits.get(..32)?)?, age: u32::from_str_radix(age, 16).ok()? })
    }

    /// The GUID alone, as 32 hexadecimal digits, with an age.
    #[must_use]
    pub fn new(guid: &str, age: u32) -> Option<Self> {
        let digits: String = guid.chars().filter(|&c| c != '-' && c != '{' && c != '}').take(33).collect();
        Some(Self { guid: guid_bytes(&digits)?, age })
    }
}

/// The first three parts of a written GUID are numbers, which lie little-endian in a file.
fn guid_bytes(digits: &str) -> Option<[u8; 16]> {
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = u128::from_str_radix(digits, 16).ok()?.to_be_bytes();
    swap_numbers(&mut bytes);
    Some(bytes)
}

fn swap_numbers(bytes: &mut [u8; 16]) {
    bytes.swap(0, 3);
    bytes.swap(1, 2);
    bytes.swap(4, 5);
    bytes.swap(6, 7);
}

/// The key of a symbol store: GUID without hyphens, then the age, both in upper-case hexadecimal.
impl fmt::Display for PdbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.guid;
        swap_numbers(&mut bytes);
        write!(f, "{:032X}{:X}", u128::from_be_bytes(bytes), self.age)
    }
}

impl fmt::Debug for PdbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_store_are_read_and_written() {
        let id = PdbId::from_key("1C19FDDB27BB3399D9B45973EFEAFCF31").unwrap();
        assert_eq!(id.guid, [0xdb, 0xfd, 0x19, 0x1c, 0xbb, 0x27, 0x99, 0x33, 0xd9, 0xb4, 0x59, 0x73, 0xef, 0xea, 0xfc, 0xf3]);
        assert_eq!(id.to_string(), "1C19FDDB27BB3399D9B45973EFEAFCF31");
        assert_eq!(PdbId::from_key("{1c19fddb-27bb-3399-d9b4-5973efeafcf3}-1"), Some(id));
        assert_eq!(PdbId::new("1C19FDDB27BB3399D9B45973EFEAFCF3", 1), Some(id));
        assert_eq!(PdbId::from_key("1C19FDDB27BB3399D9B45973EFEAFCF3"), None);
        assert_eq!(PdbId::from_key("+C19FDDB27BB3399D9B45973EFEAFCF31"), None);
        assert_eq!(PdbId::from_key("é"), None);
    }
}
