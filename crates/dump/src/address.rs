//! Addresses as types, so that a physical address can never be taken for a virtual one.

use std::fmt;

/// A virtual address of the crashed machine. 32-bit addresses are zero-extended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VirtAddr(pub u64);

impl VirtAddr {
    /// The address `offset` bytes further on, wrapping like the CPU does.
    #[must_use]
    pub fn offset(self, offset: u64) -> Self {
        Self(self.0.wrapping_add(offset))
    }

    /// True for an address that x64 and ARM64 hardware accepts: bits 63..47 all equal.
    #[must_use]
    pub fn is_canonical(self) -> bool {
        let top = self.0 >> 47;
        top == 0 || top == 0x1_ffff
    }
}

impl fmt::Debug for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A physical address of the crashed machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PhysAddr(pub u64);

impl fmt::Debug for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
