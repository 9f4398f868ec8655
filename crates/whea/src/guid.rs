//! GUIDs, held as the number one reads when they are printed.

use std::fmt;

/// A GUID as the 128-bit number its text shows: `Guid(0x9876ccad_47b4_4bdb_b65e_16f193c4f3db)` prints as
/// `9876ccad-47b4-4bdb-b65e-16f193c4f3db`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Guid(pub u128);

impl Guid {
    /// The sixteen bytes of memory: three little-endian fields, then eight bytes as they stand.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let [a0, a1, a2, a3, b0, b1, c0, c1, tail @ ..] = bytes;
        let a = u128::from(u32::from_le_bytes([a0, a1, a2, a3]));
        let b = u128::from(u16::from_le_bytes([b0, b1]));
        let c = u128::from(u16::from_le_bytes([c0, c1]));
        Self(a << 96 | b << 80 | c << 64 | u128::from(u64::from_be_bytes(tail)))
    }

    /// Whether all bits are zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        let (a, b, c) = (n >> 96, n >> 80 & 0xffff, n >> 64 & 0xffff);
        let (d, e) = (n >> 48 & 0xffff, n & 0xffff_ffff_ffff);
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_text_agree() {
        let bytes = [0xad, 0xcc, 0x76, 0x98, 0xb4, 0x47, 0xdb, 0x4b, 0xb6, 0x5e, 0x16, 0xf1, 0x93, 0xc4, 0xf3, 0xdb];
        let guid = Guid::from_bytes(bytes);
        assert_eq!(guid, Guid(0x9876ccad_47b4_4bdb_b65e_16f193c4f3db));
        assert_eq!(guid.to_string(), "9876ccad-47b4-4bdb-b65e-16f193c4f3db");
    }
}
