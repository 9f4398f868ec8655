//! Cabinets (`.pd_`, `.dl_`, `.sy_`, `.ex_`) with one file in them, read block by block.
//!
//! The layout is that of "Microsoft Cabinet Format" and \[MS-MCI\] (MSZIP). A cabinet here comes from a server or a folder that
//! nobody vouches for, so every offset is checked, the declared size is held against a limit before anything is unpacked, and
//! what comes out must have exactly that size. Multi-part cabinets and Quantum are refused by name.

use super::StoreError;
use bugcheck_dump::{Fields, FileBytes};
use lzxd::{Lzxd, WindowSize};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF};
use std::io::Write;
use std::path::Path;

/// Most bytes that one block unpacks to.
const BLOCK: usize = 32 * 1024;

/// Unpacks the file `name` of the cabinet `source` into `target`, and says how many bytes it has.
pub(crate) fn expand(source: &Path, name: &str, limit: u64, target: &mut impl Write) -> Result<u64, StoreError> {
    let bytes = FileBytes::open(source).map_err(StoreError::io(source))?;
    let damaged = |why: Fault| StoreError::Content(format!("the packed file {} cannot be used: {}", source.display(), why.text()));
    let member = Member::find(Fields(&bytes), name).map_err(damaged)?;
    if member.size > limit {
        return Err(damaged(Fault::TooLarge(member.size)));
    }
    member.unpack(|part| target.write_all(part)).map_err(|fault| match fault {
        Fault::Write(error) => StoreError::io(source)(error),
        other => damaged(other),
    })?;
    Ok(member.size)
}

/// Why a cabinet cannot be unpacked.
#[derive(Debug)]
pub(crate) enum Fault {
    NoCabinet,
    Damaged(&'static str),
    Unsupported(&'static str),
    NotInside,
    TooLarge(u64),
    Write(std::io::Error),
}

impl Fault {
    fn text(&self) -> String {
        match self {
            Self::NoCabinet => "it is no cabinet".to_owned(),
            Self::Damaged(what) => format!("its {what} is damaged or cut"),
            Self::Unsupported(what) => format!("{what} is not supported; unpack it with 'expand' on Windows"),
            Self::NotInside => "it does not hold the file it is named after".to_owned(),
            Self::TooLarge(size) => format!("it says that it unpacks to {size} bytes, which is over the limit"),
            Self::Write(error) => error.to_string(),
        }
    }
}

/// One file in a cabinet, and the folder (in the sense of cabinets: a compressed run of blocks) that holds it.
pub(crate) struct Member<'a> {
    cabinet: Fields<'a>,
    first_block: usize,
    blocks: usize,
    /// Bytes that stand between a block's header and its data.
    reserved: usize,
    method: u16,
    /// Where the file begins in the unpacked folder.
    offset: u64,
    pub(crate) size: u64,
}

impl<'a> Member<'a> {
    /// The file called `name`, or the only file there is.
    pub(crate) fn find(cabinet: Fields<'a>, name: &str) -> Result<Self, Fault> {
        if cabinet.0.starts_with(b"SZDD") || cabinet.0.starts_with(b"KWAJ") {
            return Err(Fault::Unsupported("the format of compress.exe before cabinets"));
        }
        if !cabinet.0.starts_with(b"MSCF") {
            return Err(Fault::NoCabinet);
        }
        let header = || {
            let flags = cabinet.u16(30)?;
            let counts = (usize::from(cabinet.u16(26)?), usize::from(cabinet.u16(28)?));
            let reserve = if flags & 4 == 0 {
                (36, 0, 0)
            } else {
                (40 + usize::from(cabinet.u16(36)?), usize::from(cabinet.u8(38)?), usize::from(cabinet.u8(39)?))
            };
            Some((flags, counts, reserve, cabinet.size(16)?))
        };
        let (flags, (folders, files), (folders_at, folder_reserve, reserved), files_at) = header().ok_or(Fault::Damaged("header"))?;
        if flags & 3 != 0 {
            return Err(Fault::Unsupported("a cabinet in several parts"));
        }
        let (size, offset, folder) = entry(cabinet, files_at, files, name)?;
        let folder_entry = || {
            let at = folders_at.checked_add(folder.checked_mul(8 + folder_reserve)?)?;
            Some((cabinet.size(at)?, usize::from(cabinet.u16(at.checked_add(4)?)?), cabinet.u16(at.checked_add(6)?)?))
        };
        let (first_block, blocks, method) = (folder < folders).then(folder_entry).flatten().ok_or(Fault::Damaged("folder table"))?;
        Ok(Self { cabinet, first_block, blocks, reserved, method, offset, size })
    }

    /// Unpacks the file piece by piece.
    pub(crate) fn unpack(&self, mut write: impl FnMut(&[u8]) -> std::io::Result<()>) -> Result<(), Fault> {
        let mut unpacker = Unpacker::new(self.method)?;
        let mut at = self.first_block;
        let (mut skip, mut left) = (self.offset, self.size);
        for _ in 0..self.blocks {
            if left == 0 {
                break;
            }
            let (data, unpacked_size, next) = self.block(at).ok_or(Fault::Damaged("block table"))?;
            at = next;
            let unpacked = unpacker.block(data, unpacked_size)?;
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(unpacked.len());
            skip -= skipped as u64;
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(unpacked.len() - skipped);
            write(unpacked.get(skipped..skipped + taken).unwrap_or_default()).map_err(Fault::Write)?;
            left -= taken as u64;
        }
        if left == 0 { Ok(()) } else { Err(Fault::Damaged("declared size")) }
    }

    /// A block's data, the size it unpacks to, and where the next block stands. A wrong checksum makes it absent.
    fn block(&self, at: usize) -> Option<(&'a [u8], usize, usize)> {
        let header = self.cabinet.from(at)?;
        let (checksum, length) = (header.u32(0)?, usize::from(header.u16(4)?));
        let rest = header.bytes(8, self.reserved.checked_add(length)?)?;
        let (reserve, data) = rest.split_at_checked(self.reserved)?;
        let sizes = header.u32(4)?;
        let unpacked = usize::from(header.u16(6)?);
        let intact = checksum == 0 || checksum == sum(data) ^ sum(reserve) ^ sizes;
        (intact && (1..=BLOCK).contains(&unpacked)).then(|| Some((data, unpacked, at.checked_add(8)?.checked_add(rest.len())?)))?
    }
}

/// Size, offset in the folder and folder number of the wanted file.
fn entry(cabinet: Fields, files_at: usize, files: usize, name: &str) -> Result<(u64, u64, usize), Fault> {
    let mut at = files_at;
    let mut only = None;
    for _ in 0..files {
        let read = || {
            let file = cabinet.from(at)?;
            let text = file.from(16)?.0;
            let length = text.iter().take(256).position(|&byte| byte == 0)?;
            let found = (u64::from(file.u32(0)?), u64::from(file.u32(4)?), usize::from(file.u16(8)?));
            Some((found, text.get(..length)?, at.checked_add(17)?.checked_add(length)?))
        };
        let (found, text, next) = read().ok_or(Fault::Damaged("file table"))?;
        if text.eq_ignore_ascii_case(name.as_bytes()) {
            return Ok(found);
        }
        only = Some(found);
        at = next;
    }
    only.filter(|_| files == 1).ok_or(Fault::NotInside)
}

/// The cabinet checksum: 32-bit words XORed together, the rest of one to three bytes counted from its high end.
fn sum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let words = words.iter().fold(0, |sum, word| sum ^ u32::from_le_bytes(*word));
    words ^ rest.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

/// The state that goes from block to block.
enum Unpacker {
    Stored,
    MsZip {
        /// The last block's output, then this block's.
        window: Vec<u8>,
        history: usize,
    },
    Lzx(Box<Lzxd>),
}

impl Unpacker {
    fn new(method: u16) -> Result<Self, Fault> {
        let window = match (method & 0xf, method >> 8) {
            (0, _) => return Ok(Self::Stored),
            (1, _) => return Ok(Self::MsZip { window: vec![0; 2 * BLOCK], history: 0 }),
            (2, _) => return Err(Fault::Unsupported("Quantum compression")),
            (3, 15) => WindowSize::KB32,
            (3, 16) => WindowSize::KB64,
            (3, 17) => WindowSize::KB128,
            (3, 18) => WindowSize::KB256,
            (3, 19) => WindowSize::KB512,
            (3, 20) => WindowSize::MB1,
            (3, 21) => WindowSize::MB2,
            _ => return Err(Fault::Damaged("compression method")),
        };
        Ok(Self::Lzx(Box::new(Lzxd::new(window))))
    }

    fn block<'s>(&'s mut self, data: &'s [u8], size: usize) -> Result<&'s [u8], Fault> {
        const DAMAGED: Fault = Fault::Damaged("compressed data");
        let unpacked = match self {
            Self::Stored => data,
            Self::MsZip { window, history } => inflate(window, history, data, size).ok_or(DAMAGED)?,
            Self::Lzx(state) => state.decompress_next(data, size).map_err(|_| DAMAGED)?,
        };
        if unpacked.len() == size { Ok(unpacked) } else { Err(DAMAGED) }
    }
}

/// One MSZIP block: `CK`, then a deflate stream that may refer to the output of the block before it.
fn inflate<'w>(window: &'w mut [u8], history: &mut usize, data: &[u8], size: usize) -> Option<&'w [u8]> {
    let data = data.strip_prefix(b"CK")?;
    let start = *history;
    let end = start.checked_add(size)?;
    let space = window.get_mut(..end)?;
    let (status, _, written) = decompress(&mut DecompressorOxide::new(), data, space, start, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF);
    if status != TINFLStatus::Done || written != size {
        return None;
    }
    let kept = end.min(BLOCK);
    window.copy_within(end - kept..end, 0);
    *history = kept;
    window.get(kept - size..kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cab::{CabinetBuilder, CompressionType};
    use std::io::Cursor;

    /// A cabinet made by the crate `cab`, which shares nothing with the reader here.
    fn cabinet(method: CompressionType, files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = CabinetBuilder::new();
        let folder = builder.add_folder(method);
        for (name, _) in files {
            folder.add_file(*name);
        }
        let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
        while let Some(mut file) = writer.next_file().unwrap() {
            let contents = files.iter().find(|(name, _)| *name == file.file_name()).unwrap().1;
            file.write_all(contents).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn unpack(cabinet: &[u8], name: &str) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        Member::find(Fields(cabinet), name)?.unpack(|part| {
            out.extend_from_slice(part);
            Ok(())
        })?;
        Ok(out)
    }

    fn text(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        (0..length)
            .map(|at| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if at % 7 == 0 { (state >> 24) as u8 } else { (at / 100) as u8 }
            })
            .collect()
    }

    #[test]
    fn unpacks_what_another_program_packed() {
        for length in [0, 1, 3, 32_767, 32_768, 32_769, 200_001] {
            let contents = text(length);
            for method in [CompressionType::None, CompressionType::MsZip] {
                let packed = cabinet(method, &[("x.pdb", &contents)]);
                assert!(unpack(&packed, "X.PDB").unwrap() == contents, "{length} {method:?}");
                assert!(unpack(&packed, "renamed.pdb").unwrap() == contents, "{length} {method:?}");
            }
        }
        let (one, two) = (text(70_000), text(50_000));
        let packed = cabinet(CompressionType::MsZip, &[("one", &one), ("two", &two)]);
        assert!(unpack(&packed, "two").unwrap() == two);
        assert!(matches!(unpack(&packed, "three"), Err(Fault::NotInside)));
    }

    /// A cabinet with one LZX block of these bytes, without a checksum.
    fn lzx_cabinet(data: &[u8], unpacked: usize) -> Vec<u8> {
        const FOLDER: usize = 36;
        let mut packed = cabinet(CompressionType::None, &[("x", &vec![0; unpacked])]);
        let block = Fields(&packed).size(FOLDER).unwrap();
        packed[FOLDER + 6..FOLDER + 8].copy_from_slice(&(3u16 | 15 << 8).to_le_bytes());
        packed.truncate(block);
        packed.extend(0u32.to_le_bytes());
        packed.extend((data.len() as u16).to_le_bytes());
        packed.extend((unpacked as u16).to_le_bytes());
        packed.extend(data);
        packed
    }

    /// One uncompressed LZX block, written by hand from the format's documents.
    fn lzx_block(contents: &[u8]) -> Vec<u8> {
        // The bits "no E8 translation", type 3, 24 bits of length, then padding to 16 bits: 16-bit units, high bit first.
        let bits = (0b0_011u32 << 28 | (contents.len() as u32) << 4).to_be_bytes();
        let mut data = vec![bits[1], bits[0], bits[3], bits[2]];
        data.extend([1u32, 1, 1].into_iter().flat_map(u32::to_le_bytes));
        data.extend_from_slice(contents);
        data
    }

    #[test]
    fn unpacks_lzx() {
        let contents = b"Hello, world!\r\nSee you later!\r\n";
        assert_eq!(unpack(&lzx_cabinet(&lzx_block(contents), contents.len()), "x").unwrap(), contents);
    }

    #[test]
    fn random_lzx_data_never_panics() {
        let mut state = 5u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for round in 0..ROUNDS {
            let mut data: Vec<u8> = (0..40 + random() % 400).map(|_| random() as u8).collect();
            // Block types 1 to 3, so that most of it is not refused at once.
            data[1] = (data[1] & 0x0f) | ((1 + round % 3) << 4) as u8;
            let _ = unpack(&lzx_cabinet(&data, 1 + random() % 32_768), "x");
        }
    }

    const ROUNDS: usize = 300;

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let contents = text(100_000);
        let packed = cabinet(CompressionType::MsZip, &[("x.pdb", &contents)]);
        let mut flipped = packed.clone();
        *flipped.last_mut().unwrap() ^= 0xff;
        assert!(unpack(&flipped, "x.pdb").is_err(), "the checksum is not looked at");
        for cut in (0..packed.len()).step_by(97).chain(0..80) {
            assert!(unpack(&packed[..cut], "x.pdb").is_err(), "cut at {cut}");
        }
        let mut state = 7u64;
        for _ in 0..3000 {
            let mut bytes = packed[..4000].to_vec();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = if state & 1 == 0 { (state >> 33) as usize % 100 } else { (state >> 33) as usize % bytes.len() };
                bytes[at] = (state >> 20) as u8;
            }
            let _ = unpack(&bytes, "x.pdb");
        }
    }

    #[test]
    fn old_and_split_formats_are_refused_by_name() {
        let refused = |bytes: &[u8]| Member::find(Fields(bytes), "x").err().unwrap().text();
        assert!(refused(b"SZDD\x88\xf0\x27\x33").contains("compress.exe"));
        assert!(refused(b"<html>").contains("no cabinet"));
        let mut packed = cabinet(CompressionType::None, &[("x", b"1")]);
        packed[30] |= 1;
        assert!(refused(&packed).contains("several parts"));
    }
}
