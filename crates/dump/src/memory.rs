//! The virtual memory of a minidump: every byte it brings, at its address, and a reason where it brings none.

use crate::VirtAddr;
use std::fmt;

/// Why memory cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The minidump did not bring this address along.
    NotInDump(VirtAddr),
    /// The dump has the address, but the file ends before its bytes.
    Cut(VirtAddr),
    /// The read would wrap around the end of the address space.
    Wraps(VirtAddr),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInDump(at) => write!(f, "{at} is not in this dump: a minidump brings only a few pages along"),
            Self::Cut(at) => write!(f, "{at} should be in this dump, but the file is cut before its bytes"),
            Self::Wraps(at) => write!(f, "{at} is at the end of the address space"),
        }
    }
}

/// A run of memory: `length` bytes at `address`, found at `offset` of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where the bytes were in the machine.
    pub address: VirtAddr,
    /// Where they are in the file.
    pub offset: usize,
    /// How many there are.
    pub length: usize,
}

impl Range {
    /// The first address behind the run.
    fn end(&self) -> u64 {
        self.address.0.saturating_add(self.length as u64)
    }
}

/// Reads by virtual address over the ranges of a minidump.
#[derive(Clone, Copy)]
pub struct Memory<'a> {
    file: &'a [u8],
    ranges: &'a [Range],
}

impl<'a> Memory<'a> {
    /// Memory over `ranges`, which [`arrange`] has put in order.
    #[must_use]
    pub fn new(file: &'a [u8], ranges: &'a [Range]) -> Self {
        Self { file, ranges }
    }

    /// The ranges, ascending and without overlap.
    #[must_use]
    pub fn ranges(&self) -> &'a [Range] {
        self.ranges
    }

    /// The bytes of a range.
    #[must_use]
    pub fn bytes_of(&self, range: &Range) -> &'a [u8] {
        let file = self.file.get(range.offset..).unwrap_or_default();
        file.get(..range.length).unwrap_or(file)
    }

    /// The longest run of bytes at `address`, without a copy: up to the end of its range.
    ///
    /// # Errors
    /// Why there is none.
    pub fn run(&self, address: VirtAddr) -> Result<&'a [u8], Missing> {
        let behind = self.ranges.partition_point(|range| range.address <= address);
        let range = behind.checked_sub(1).and_then(|index| self.ranges.get(index)).filter(|range| address.0 < range.end());
        let Some(range) = range else { return Err(Missing::NotInDump(address)) };
        let skip = usize::try_from(address.0 - range.address.0).unwrap_or(usize::MAX);
        match self.bytes_of(range).get(skip..) {
            Some(bytes) if !bytes.is_empty() => Ok(bytes),
            _ => Err(Missing::Cut(address)),
        }
    }

    /// Reads as much as there is, up to the buffer's length, across adjoining ranges; a short read is fine.
    ///
    /// # Errors
    /// Why not even the first byte is there.
    pub fn read(&self, address: VirtAddr, buffer: &mut [u8]) -> Result<usize, Missing> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = address.0.checked_add(done as u64).ok_or(Missing::Wraps(address)).map(VirtAddr);
            match at.and_then(|at| self.run(at)) {
                Ok(bytes) => {
                    let length = bytes.len().min(rest.len());
                    for (to, from) in rest.iter_mut().zip(bytes) {
                        *to = *from;
                    }
                    done += length;
                }
                Err(missing) if done == 0 => return Err(missing),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Fills the whole buffer.
    ///
    /// # Errors
    /// The first address that is missing, and why.
    pub fn read_exact(&self, address: VirtAddr, buffer: &mut [u8]) -> Result<(), Missing> {
        let done = self.read(address, buffer)?;
        if done == buffer.len() {
            return Ok(());
        }
        Err(self.run(address.offset(done as u64)).err().unwrap_or(Missing::Wraps(address)))
    }

    /// Fills the whole buffer, or says that it cannot.
    pub fn try_read_exact(&self, address: VirtAddr, buffer: &mut [u8]) -> Option<()> {
        self.read_exact(address, buffer).ok()
    }

    /// `N` bytes at `address`.
    ///
    /// # Errors
    /// The first address that is missing, and why.
    pub fn array<const N: usize>(&self, address: VirtAddr) -> Result<[u8; N], Missing> {
        let mut buffer = [0; N];
        self.read_exact(address, &mut buffer)?;
        Ok(buffer)
    }

    /// The 16-bit value at `address`.
    ///
    /// # Errors
    /// The first address that is missing, and why.
    pub fn u16(&self, address: VirtAddr) -> Result<u16, Missing> {
        self.array(address).map(u16::from_le_bytes)
    }

    /// The 32-bit value at `address`.
    ///
    /// # Errors
    /// The first address that is missing, and why.
    pub fn u32(&self, address: VirtAddr) -> Result<u32, Missing> {
        self.array(address).map(u32::from_le_bytes)
    }

    /// The 64-bit value at `address`.
    ///
    /// # Errors
    /// The first address that is missing, and why.
    pub fn u64(&self, address: VirtAddr) -> Result<u64, Missing> {
        self.array(address).map(u64::from_le_bytes)
    }

    /// A pointer of `width` bytes (4 or 8) at `address`.
    ///
    /// # Errors
    /// The first address that is missing, and why.
    pub fn pointer(&self, address: VirtAddr, width: usize) -> Result<VirtAddr, Missing> {
        if width == 4 { self.u32(address).map(|value| VirtAddr(value.into())) } else { self.u64(address).map(VirtAddr) }
    }
}

/// Sorts ranges by address and cuts overlaps: of two ranges that bring the same byte, the one that begins first keeps it.
/// Ranges that would wrap around the address space or lie outside the file are shortened.
#[must_use]
pub fn arrange(mut ranges: Vec<Range>, file_size: usize) -> Vec<Range> {
    ranges.sort_by_key(|range| (range.address, std::cmp::Reverse(range.length)));
    let mut end = 0_u64;
    ranges.retain_mut(|range| {
        let room = usize::try_from(u64::MAX - range.address.0).unwrap_or(usize::MAX);
        range.length = range.length.min(room);
        let covered = usize::try_from(end.saturating_sub(range.address.0)).unwrap_or(usize::MAX).min(range.length);
        range.address = range.address.offset(covered as u64);
        range.offset = range.offset.saturating_add(covered);
        range.length -= covered;
        // A range that lies wholly behind the end of a cut file stays, so that reads say "cut", but it cannot grow the sum.
        range.length = range.length.min(file_size.max(0x1000));
        end = end.max(range.end());
        range.length > 0
    });
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(address: u64, offset: usize, length: usize) -> Range {
        Range { address: VirtAddr(address), offset, length }
    }

    #[test]
    fn overlaps_are_cut_and_reads_cross_adjoining_ranges() {
        let file: Vec<u8> = (0..100).collect();
        let ranges = arrange(vec![range(0x1008, 50, 8), range(0x1000, 0, 12), range(0x1002, 90, 2)], file.len());
        let memory = Memory::new(&file, &ranges);
        let mut buffer = [0; 20];
        assert_eq!(memory.read(VirtAddr(0x1000), &mut buffer), Ok(16));
        assert_eq!(buffer[..16], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 54, 55, 56, 57]);
        assert_eq!(memory.read_exact(VirtAddr(0x1000), &mut buffer), Err(Missing::NotInDump(VirtAddr(0x1010))));
        assert_eq!(memory.u16(VirtAddr(0xfff)), Err(Missing::NotInDump(VirtAddr(0xfff))));
    }

    #[test]
    fn a_cut_file_and_the_end_of_the_address_space_are_told_apart() {
        let file = [1, 2, 3, 4];
        let ranges = arrange(vec![range(0x1000, 2, 8), range(u64::MAX - 1, 0, 4)], file.len());
        let memory = Memory::new(&file, &ranges);
        assert_eq!(memory.u16(VirtAddr(0x1000)), Ok(0x0403));
        assert_eq!(memory.u32(VirtAddr(0x1000)), Err(Missing::Cut(VirtAddr(0x1002))));
        assert!(memory.u32(VirtAddr(u64::MAX)).is_err());
    }
}
