//! Checked little-endian reads at fixed offsets: what is not there is `None`.

use crate::Guid;

/// A borrowed run of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// `len` bytes at `offset`, if all of them are there.
    pub fn at(self, offset: usize, len: usize) -> Option<&'a [u8]> {
        self.0.get(offset..offset.checked_add(len)?)
    }

    /// Everything from `offset` on, which may be nothing.
    pub fn rest(self, offset: usize) -> Bytes<'a> {
        Bytes(self.0.get(offset..).unwrap_or_default())
    }

    pub fn array<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        self.at(offset, N)?.try_into().ok()
    }

    pub fn u8(self, offset: usize) -> Option<u8> {
        self.0.get(offset).copied()
    }

    pub fn u16(self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    pub fn u32(self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    pub fn u64(self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    pub fn guid(self, offset: usize) -> Option<Guid> {
        self.array(offset).map(Guid::from_bytes)
    }

    /// Single-byte text up to the first NUL, without surrounding blanks; `None` if the field is not all there.
    pub fn text(self, offset: usize, len: usize) -> Option<String> {
        let field = self.at(offset, len)?;
        Some(clean(field.iter().map(|&b| char::from(b))))
    }

    /// UTF-16 text of `len` bytes, as [`text`](Self::text).
    pub fn wide_text(self, offset: usize, len: usize) -> Option<String> {
        let units = self.at(offset, len)?.chunks_exact(2).filter_map(|pair| pair.try_into().ok()).map(u16::from_le_bytes);
        let chars = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        Some(clean(chars))
    }
}

/// Text of a record is hostile: it ends at NUL, and what would steer a terminal becomes a replacement character.
fn clean(chars: impl Iterator<Item = char>) -> String {
    let text: String = chars
        .take_while(|&c| c != '\0')
        .map(|c| {
            let unprintable = c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if unprintable { char::REPLACEMENT_CHARACTER } else { c }
        })
        .collect();
    text.trim().to_owned()
}

/// Bits `first..=last` of a register, as a number.
pub(crate) fn bits(value: u64, first: u32, last: u32) -> u64 {
    let width = last.saturating_sub(first).saturating_add(1).min(64);
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    value.checked_shr(first).unwrap_or(0) & mask
}

/// Whether bit `n` of a register is set.
pub(crate) fn bit(value: u64, n: u32) -> bool {
    bits(value, n, n) == 1
}

/// A field that counts only when its validity bit is set.
pub(crate) fn when<T>(valid: u64, n: u32, field: Option<T>) -> Option<T> {
    field.filter(|_| bit(valid, n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_the_end() {
        let b = Bytes(&[1, 2, 3, 4, 5]);
        assert_eq!(b.u32(1), Some(0x0504_0302));
        assert_eq!(b.u32(2), None);
        assert_eq!(b.u8(usize::MAX), None);
        assert_eq!(b.at(usize::MAX, 2), None);
        assert_eq!(b.rest(9).len(), 0);
    }

    #[test]
    fn bit_fields() {
        assert_eq!(bits(0xabcd, 4, 11), 0xbc);
        assert_eq!(bits(u64::MAX, 0, 63), u64::MAX);
        assert!(bit(1 << 63, 63));
    }

    #[test]
    fn hostile_text_is_tamed() {
        assert_eq!(Bytes(b" a\x1b[2J\0zz").text(0, 9).unwrap(), "a\u{fffd}[2J");
        assert_eq!(Bytes(b"s\0t\0\0\0").wide_text(0, 6).unwrap(), "st");
    }
}
