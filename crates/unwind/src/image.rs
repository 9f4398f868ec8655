//! Images as the unwinder sees them: bytes by relative virtual address, and where the unwind data lies.

use crate::Context;
use bugcheck_dump::{Arch, Fields};

/// Bytes of a loaded image by relative virtual address. There may be holes: a minidump holds a few pages, a file all but what
/// the loader zeroes.
pub trait ReadRva {
    /// Copies bytes at `rva` into `buffer`; returns how many were there.
    fn read(&self, rva: u32, buffer: &mut [u8]) -> usize;
}

/// Where images come from.
pub trait Images {
    /// The image that an address lies in.
    fn image_at(&self, address: u64) -> Option<Image<'_>>;

    /// What the PDB of an x86 image says about the frame of the function at an address.
    fn frame_data(&self, _address: u64) -> Option<crate::x86::FrameData<'_>> {
        None
    }

    /// Fills in registers that the code behind an interrupt or fault saved and unwind data does not tell of: `context` has
    /// been unwound through the machine frame. Whoever knows KTRAP_FRAME knows them.
    fn interrupted(&self, _frame: MachineFrame, _context: &mut Context) {}
}

/// No images: every walk is one by frame pointers and scan.
pub struct NoImages;

impl Images for NoImages {
    fn image_at(&self, _address: u64) -> Option<Image<'_>> {
        None
    }
}

/// What the processor pushed on an interrupt or fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineFrame {
    /// Where it lies: the saved instruction pointer (x64), or the saved stack pointer (ARM64).
    pub address: u64,
    /// The stack pointer in the body of the handler: on x64 nt's handlers keep their trap frame from here on.
    pub body: u64,
}

/// A part of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// Relative address of its first byte.
    pub rva: u32,
    /// Bytes.
    pub size: u32,
}

/// What unwinding needs of the headers; small, so that whoever has an image keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The processor that the code is for.
    pub arch: Arch,
    /// Bytes in memory.
    pub size: u32,
    /// The exception directory; x86 images have none.
    pub exceptions: Directory,
}

impl Layout {
    /// Reads the headers (Microsoft's PE format specification).
    #[must_use]
    pub fn read(source: &dyn ReadRva) -> Option<Self> {
        const EXCEPTIONS: usize = 3;
        let headers = Headers::read(source)?;
        let size = headers.optional().u32(56)?;
        Some(Self { arch: headers.arch()?, size, exceptions: headers.directory(EXCEPTIONS) })
    }
}

/// An image in its place.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    /// The address it is loaded at.
    pub base: u64,
    /// Its layout.
    pub layout: Layout,
    /// Its bytes.
    pub source: &'a dyn ReadRva,
}

impl<'a> Image<'a> {
    /// An image whose headers are still to be read.
    #[must_use]
    pub fn read(base: u64, source: &'a dyn ReadRva) -> Option<Self> {
        Some(Self { base, layout: Layout::read(source)?, source })
    }

    /// The relative address of an address within the image.
    #[must_use]
    pub fn rva(&self, address: u64) -> Option<u32> {
        u32::try_from(address.checked_sub(self.base)?).ok().filter(|&rva| rva < self.layout.size)
    }

    /// `N` bytes at `rva`, if all of them are there.
    #[must_use]
    pub fn array<const N: usize>(&self, rva: u32) -> Option<[u8; N]> {
        array(self.source, rva)
    }

    /// The 32-bit value at `rva`.
    #[must_use]
    pub fn u32(&self, rva: u32) -> Option<u32> {
        self.array(rva).map(u32::from_le_bytes)
    }
}

pub(crate) fn array<const N: usize>(source: &dyn ReadRva, rva: u32) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    (source.read(rva, &mut bytes) == N).then_some(bytes)
}

/// The first bytes of an image that hold all its headers but the section table of extreme ones.
pub(crate) struct Headers {
    bytes: [u8; 0x400],
    length: usize,
    /// Where the PE signature is.
    pub pe: usize,
}

impl Headers {
    pub fn read(source: &dyn ReadRva) -> Option<Self> {
        let mut bytes = [0; 0x400];
        let length = source.read(0, &mut bytes);
        let mut headers = Self { bytes, length, pe: 0 };
        headers.pe = headers.fields().size(0x3c)?;
        let known = headers.fields().bytes(0, 2) == Some(b"MZ") && headers.fields().from(headers.pe)?.bytes(0, 4) == Some(b"PE\0\0");
        known.then_some(headers)
    }

    fn fields(&self) -> Fields<'_> {
        Fields(self.bytes.get(..self.length).unwrap_or_default())
    }

    /// The COFF header, behind the signature.
    pub fn coff(&self) -> Fields<'_> {
        self.fields().from(self.pe.saturating_add(4)).unwrap_or(Fields(&[]))
    }

    /// The optional header.
    pub fn optional(&self) -> Fields<'_> {
        self.coff().from(20).unwrap_or(Fields(&[]))
    }

    pub fn arch(&self) -> Option<Arch> {
        match (self.coff().u16(0)?, self.optional().u16(0)?) {
            (0x8664, 0x20b) => Some(Arch::X64),
            (0xaa64, 0x20b) => Some(Arch::Arm64),
            (0x014c, 0x10b) => Some(Arch::X86),
            _ => None,
        }
    }

    /// A data directory; empty where the image has none.
    pub fn directory(&self, index: usize) -> Directory {
        let (count_at, first) = if self.optional().u16(0) == Some(0x10b) { (92, 96) } else { (108, 112) };
        let directory = || {
            let at = first + 8 * index;
            let there = index < self.optional().size(count_at)?;
            there.then_some(Directory { rva: self.optional().u32(at)?, size: self.optional().u32(at + 4)? })
        };
        directory().unwrap_or_default()
    }

    /// Relative address of the section table, and how many sections there are.
    pub fn sections(&self) -> Option<(u32, u16)> {
        let size = usize::from(self.coff().u16(16)?);
        Some((u32::try_from(self.pe + 24 + size).ok()?, self.coff().u16(2)?))
    }
}
