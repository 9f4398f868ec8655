//! A block of bytes written field by field.

/// Little-endian bytes with fields put at chosen offsets. Writing past the end grows the block with zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(Vec<u8>);

impl Blob {
    /// `len` zero bytes.
    pub fn new(len: usize) -> Self {
        Blob(vec![0; len])
    }

    /// `len` bytes filled with the repeated four bytes, as Windows fills unset dump header fields with `PAGE`.
    pub fn filled(len: usize, pattern: [u8; 4]) -> Self {
        Blob(pattern.iter().copied().cycle().take(len).collect())
    }

    /// Puts raw bytes at `at`.
    pub fn bytes(&mut self, at: usize, data: &[u8]) -> &mut Self {
        let end = at + data.len();
        if self.0.len() < end {
            self.0.resize(end, 0);
        }
        self.0[at..end].copy_from_slice(data);
        self
    }

    /// Puts one byte at `at`.
    pub fn u8(&mut self, at: usize, value: u8) -> &mut Self {
        self.bytes(at, &[value])
    }

    /// Puts two bytes at `at`.
    pub fn u16(&mut self, at: usize, value: u16) -> &mut Self {
        self.bytes(at, &value.to_le_bytes())
    }

    /// Puts four bytes at `at`.
    pub fn u32(&mut self, at: usize, value: u32) -> &mut Self {
        self.bytes(at, &value.to_le_bytes())
    }

    /// Puts eight bytes at `at`.
    pub fn u64(&mut self, at: usize, value: u64) -> &mut Self {
        self.bytes(at, &value.to_le_bytes())
    }

    /// Puts UTF-16 text without a terminator at `at`.
    pub fn utf16(&mut self, at: usize, text: &str) -> &mut Self {
        self.bytes(at, &utf16(text))
    }

    /// The present length.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The finished bytes.
    pub fn done(&self) -> Vec<u8> {
        self.0.clone()
    }
}

/// UTF-16 little-endian bytes of `text`, without a terminator.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// `value` rounded up to a multiple of `step`.
pub(crate) fn align(value: usize, step: usize) -> usize {
    value.div_ceil(step) * step
}
