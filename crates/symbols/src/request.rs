//! What is wanted: one file, under the key that symbol stores use for it.
//!
//! Keys follow the conventions of symsrv and symstore ("SymStore" and "Using SymSrv" in Microsoft's debugger documents;
//! dotnet/diagnostics, `SSQP_Key_Conventions.md`).

use std::fmt;
use std::str::FromStr;

/// Longest file name that is accepted.
const MAX_NAME: usize = 120;

/// A file name that is safe to join to a folder on any operating system: printable ASCII, no separators, no device names.
///
/// Names come out of dumps, so this is the wall between a dump and the analyst's disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName(String);

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file name {} is refused: {why}", .name.escape_debug())]
pub struct NameError {
    /// The name, shortened.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl FileName {
    /// Accepts a bare file name.
    ///
    /// # Errors
    /// What makes the name unsafe.
    pub fn new(name: &str) -> Result<Self, NameError> {
        match refusal(name) {
            Some(why) => Err(NameError { name: name.chars().take(MAX_NAME).collect(), why }),
            None => Ok(Self(name.to_owned())),
        }
    }

    /// Accepts the last component of a path as a linker or Windows wrote it (`d:\build\x.pdb`, `\SystemRoot\…\x.sys`). Everything
    /// before it is thrown away.
    ///
    /// # Errors
    /// What makes that component unsafe.
    pub fn last_of(path: &str) -> Result<Self, NameError> {
        Self::new(path.rsplit(['\\', '/']).next().unwrap_or(path))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name under which `compress.exe` and symstore keep the file packed: the last character becomes `_`.
    #[must_use]
    pub fn compressed(&self) -> Option<String> {
        let mut name = self.0.clone();
        let last = name.pop()?;
        name.push('_');
        (last != '_').then_some(name)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn refusal(name: &str) -> Option<&'static str> {
    const SPECIAL: &[u8] = b"._-+()[]{}~!@#$&',=^` ";
    const STORE_FILES: [&str; 5] = ["file.ptr", "refs.ptr", "index2.txt", "pingme.txt", "000admin"];
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > MAX_NAME {
        return Some("it is too long");
    }
    if name.bytes().any(|byte| matches!(byte, b'/' | b'\\' | b':')) {
        return Some("it holds a path separator or a colon");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || SPECIAL.contains(&byte)) {
        return Some("it holds characters other than plain printable ASCII");
    }
    if name.starts_with(['.', ' ']) || name.ends_with(['.', ' ']) {
        return Some("it begins or ends with a dot or a space");
    }
    if is_device(name) {
        return Some("it is a device name of Windows");
    }
    STORE_FILES.iter().any(|own| name.eq_ignore_ascii_case(own)).then_some("symbol stores use that name for themselves")
}

/// Device names are reserved with any extension, and spaces before the extension do not count ("Naming Files, Paths, and
/// Namespaces", Microsoft Learn).
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_lowercase();
    let numbered = |prefix: &str| stem.strip_prefix(prefix).is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit()));
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" | "clock$") || numbered("com") || numbered("lpt")
}

/// A GUID; the number reads like its text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub u128);

impl Guid {
    /// The GUID stored in 16 bytes as Windows lays it out: three little-endian fields, then eight bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
        let [i, j, k, l, m, n, o, p] = rest;
        Self(u128::from_be_bytes([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]))
    }
}

/// 32 upper-case hexadecimal digits, as in store keys.
impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032X}", self.0)
    }
}

/// A text that is no GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a GUID has 32 hexadecimal digits")]
pub struct GuidError;

/// Reads 32 digits, with or without dashes and braces.
impl FromStr for Guid {
    type Err = GuidError;

    fn from_str(text: &str) -> Result<Self, GuidError> {
        let text = text.trim().trim_start_matches('{').trim_end_matches('}');
        if text.len() > 64 {
            return Err(GuidError);
        }
        let digits: String = text.chars().filter(|&c| c != '-').collect();
        if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(GuidError);
        }
        u128::from_str_radix(&digits, 16).map(Self).map_err(|_| GuidError)
    }
}

/// One file wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// A program database.
    Pdb {
        /// File name.
        name: FileName,
        /// The GUID in the image's CodeView record.
        guid: Guid,
        /// The age beside it.
        age: u32,
    },
    /// An executable image.
    Image {
        /// File name.
        name: FileName,
        /// TimeDateStamp of its PE header.
        timestamp: u32,
        /// SizeOfImage of its PE header.
        size_of_image: u32,
    },
}

impl Request {
    /// A PDB; `path` may be the full path that the linker wrote, of which only the last component counts.
    ///
    /// # Errors
    /// Why that component is no safe name.
    pub fn pdb(path: &str, guid: Guid, age: u32) -> Result<Self, NameError> {
        FileName::last_of(path).map(|name| Self::Pdb { name, guid, age })
    }

    /// An image; `path` may be a full path, of which only the last component counts.
    ///
    /// # Errors
    /// Why that component is no safe name.
    pub fn image(path: &str, timestamp: u32, size_of_image: u32) -> Result<Self, NameError> {
        FileName::last_of(path).map(|name| Self::Image { name, timestamp, size_of_image })
    }

    /// The file's name.
    #[must_use]
    pub fn name(&self) -> &FileName {
        match self {
            Self::Pdb { name, .. } | Self::Image { name, .. } => name,
        }
    }

    /// The middle part of the place in a store.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Pdb { guid, age, .. } => format!("{guid}{age:X}"),
            Self::Image { timestamp, size_of_image, .. } => format!("{timestamp:08X}{size_of_image:x}"),
        }
    }

    /// The request that a name and a key stand for: 33 to 40 digits make a PDB, 9 to 16 an image.
    #[must_use]
    pub fn from_key(name: FileName, key: &str) -> Option<Self> {
        if !key.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        match key.len() {
            33..=40 => Some(Self::Pdb { name, guid: key.get(..32)?.parse().ok()?, age: number(key.get(32..)?)? }),
            9..=16 => Some(Self::Image { name, timestamp: number(key.get(..8)?)?, size_of_image: number(key.get(8..)?)? }),
            _ => None,
        }
    }
}

/// `NAME/KEY`, as in a store.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name(), self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_symsrv_s() {
        let guid: Guid = "{1c19fddb-27bb-3399-d9b4-5973efeafcf3}".parse().unwrap();
        let pdb = Request::pdb("amdppm.pdb", guid, 1).unwrap();
        assert_eq!(pdb.to_string(), "amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31");
        let old = Request::pdb("x.pdb", guid, 0x1a).unwrap();
        assert_eq!(old.key(), "1C19FDDB27BB3399D9B45973EFEAFCF31A");
        let image = Request::image(r"\SystemRoot\system32\drivers\amdppm.sys", 0xc9c0_3000, 0x3b000).unwrap();
        assert_eq!(image.to_string(), "amdppm.sys/C9C030003b000");
        assert_eq!(Request::image("a.sys", 0x12, 0x1000).unwrap().key(), "000000121000");
        for request in [pdb, old, image] {
            assert_eq!(Request::from_key(request.name().clone(), &request.key()), Some(request));
        }
    }

    #[test]
    fn guid_bytes_are_mixed_endian() {
        let bytes = [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        assert_eq!(Guid::from_bytes(bytes).to_string(), "00112233445566778899AABBCCDDEEFF");
        for text in ["", "123", "0011223344556677-8899AABBCCDDEEF", "0011223344556677é8899AABBCCDDEEF", "+0112233445566778899AABBCCDDEEFF"]
        {
            assert_eq!(text.parse::<Guid>(), Err(GuidError), "{text}");
        }
    }

    #[test]
    fn names_that_could_lead_astray_are_refused() {
        let long = "x".repeat(200);
        for name in [
            "",
            ".",
            "..",
            r"..\..\x",
            "../x",
            "/etc/passwd",
            r"C:\x",
            "C:x",
            "a:b",
            "a:$DATA",
            r"\\host\share\x",
            "x\0.pdb",
            "x\n.pdb",
            "x\u{1b}[2J",
            "con",
            "CON",
            "con.pdb",
            "Con .pdb",
            "aux.",
            "nul.sys",
            "COM1",
            "com9.pdb",
            "lpt0.x",
            "conin$",
            "clock$.sys",
            "x.",
            "x ",
            " x",
            ".bugcheck",
            ".part",
            "file.ptr",
            "INDEX2.TXT",
            "pingme.txt",
            "000Admin",
            "a*b",
            "a?b",
            "a|b",
            "a<b",
            "a\"b",
            "a%2fb",
            "a;b",
            "\u{202e}bdp.x",
            "ｘ．ｐｄｂ",
            "x\u{ff0f}y",
            "x\u{2215}y",
            "\u{ff0e}\u{ff0e}",
            "com\u{b9}",
            "n\u{fc}l",
            "K\u{212a}.pdb",
            long.as_str(),
        ] {
            assert!(FileName::new(name).is_err(), "{name:?} was accepted");
        }
        for name in [
            "ntkrnlmp.pdb",
            "a b.pdb",
            "Wdf01000.sys",
            "x",
            "com10.pdb",
            "console.pdb",
            "nt(1)+x,y.pdb",
            "..".repeat(2).replace('.', "a").as_str(),
            "a..b",
        ] {
            assert!(FileName::new(name).is_ok(), "{name:?} was refused");
        }
    }

    #[test]
    fn only_the_last_component_of_a_path_counts() {
        for path in [r"..\..\x.pdb", r"C:\x.pdb", "/a/x.pdb", r"\\host\share\x.pdb", r"a/b\x.pdb"] {
            assert_eq!(FileName::last_of(path).unwrap().as_str(), "x.pdb", "{path}");
        }
        for path in [r"a\..", r"a\", "c:", r"a\con", r"a\x:y"] {
            assert!(FileName::last_of(path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_packed_name_ends_in_an_underscore() {
        assert_eq!(FileName::new("x.pdb").unwrap().compressed().as_deref(), Some("x.pd_"));
        assert_eq!(FileName::new("x.pd_").unwrap().compressed(), None);
    }
}
