//! Little-endian fields out of bytes that nobody vouches for: every read is checked.

/// A view of bytes with checked little-endian reads at byte offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// `length` bytes at `offset`, if all of them are there.
    #[must_use]
    pub fn bytes(self, offset: usize, length: usize) -> Option<&'a [u8]> {
        self.0.get(offset..offset.checked_add(length)?)
    }

    /// What lies at `offset` and beyond.
    #[must_use]
    pub fn from(self, offset: usize) -> Option<Fields<'a>> {
        self.0.get(offset..).map(Fields)
    }

    fn array<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        self.bytes(offset, N)?.try_into().ok()
    }

    /// The byte at `offset`.
    #[must_use]
    pub fn u8(self, offset: usize) -> Option<u8> {
        self.0.get(offset).copied()
    }

    /// The 16-bit value at `offset`.
    #[must_use]
    pub fn u16(self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    /// The 32-bit value at `offset`.
    #[must_use]
    pub fn u32(self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    /// The 64-bit value at `offset`.
    #[must_use]
    pub fn u64(self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// A pointer of `width` bytes (4 or 8) at `offset`, zero-extended.
    #[must_use]
    pub fn pointer(self, offset: usize, width: usize) -> Option<u64> {
        if width == 4 { self.u32(offset).map(u64::from) } else { self.u64(offset) }
    }

    /// The 32-bit value at `offset` as a `usize`: most offsets and sizes in dumps are such.
    #[must_use]
    pub fn size(self, offset: usize) -> Option<usize> {
        self.u32(offset).and_then(|value| usize::try_from(value).ok())
    }

    /// ASCII text at `offset`, at most `length` bytes, ended by a NUL; control characters are replaced.
    #[must_use]
    pub fn ascii(self, offset: usize, length: usize) -> Option<String> {
        let bytes = self.bytes(offset, length)?;
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        bytes.get(..end).map(|text| clean(&String::from_utf8_lossy(text)))
    }

    /// UTF-16 text of `units` code units at `offset`, ended early by a NUL; control characters are replaced.
    #[must_use]
    pub fn utf16(self, offset: usize, units: usize) -> Option<String> {
        let bytes = self.bytes(offset, units.checked_mul(2)?)?;
        let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
        let text: String =
            char::decode_utf16(units.take_while(|&unit| unit != 0)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        Some(clean(&text))
    }
}

/// Text from a dump is hostile: control and formatting characters never reach a terminal or a report.
fn clean(text: &str) -> String {
    let invisible =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    text.chars().map(|c| if invisible(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_past_the_end_are_absent_not_panics() {
        let fields = Fields(&[1, 2, 3]);
        assert_eq!(fields.u16(1), Some(0x0302));
        assert_eq!(fields.u16(2), None);
        assert_eq!(fields.u64(usize::MAX), None);
        assert_eq!(fields.utf16(0, usize::MAX), None);
    }

    #[test]
    fn text_is_cut_at_nul_and_cannot_steer_a_terminal() {
        assert_eq!(Fields(b"ab\x1b[2Jc\0rest").ascii(0, 12).as_deref(), Some("ab\u{fffd}[2Jc"));
        let right_to_left = "a\u{202e}b".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        assert_eq!(Fields(&right_to_left).utf16(0, 3).as_deref(), Some("a\u{fffd}b"));
    }
}
