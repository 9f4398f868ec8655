//! The first bytes of a stream in an MSFZ file, the compressed container of PDBs.
//!
//! Layout: microsoft/pdb-rs, `docs/pdb/msfz.md`. Whole PDBs are read elsewhere; this only has to tell whose PDB a freshly
//! received file is, before anything else trusts it, so every table is measured first and nothing large is allocated.

use bugcheck_dump::Fields;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

pub(super) const SIGNATURE: &[u8] = b"Microsoft MSFZ Container\r\n\x1aALD\0\0";

/// Unpacked, a stream directory or a chunk of an honest PDB is far smaller.
const MAX_UNPACKED: usize = 64 << 20;
const CHUNK_ENTRY: usize = 20;
const NIL: u32 = u32::MAX;

/// An MSFZ file whose tables all lie inside the file.
pub(super) struct Msfz<'a> {
    file: Fields<'a>,
    directory: Vec<u8>,
    streams: usize,
    chunks: Fields<'a>,
}

impl<'a> Msfz<'a> {
    pub(super) fn open(file: Fields<'a>) -> Option<Self> {
        file.0.strip_prefix(SIGNATURE)?;
        let place = |at: usize| file.u64(at).and_then(|offset| usize::try_from(offset).ok());
        if file.u64(32)? != 0 {
            return None;
        }
        let packed = file.bytes(place(40)?, file.size(64)?)?;
        let directory = unpack(packed, file.u32(60)?, file.size(68)?)?;
        let chunks = Fields(file.bytes(place(48)?, file.size(72)?.checked_mul(CHUNK_ENTRY)?)?);
        let opened = Self { file, directory, streams: file.size(56)?, chunks };
        let count = chunks.0.len() / CHUNK_ENTRY;
        (0..count).all(|chunk| opened.packed_chunk(chunk).is_some()).then_some(opened)
    }

    /// The first `length` bytes of a stream.
    pub(super) fn start(&self, stream: usize, length: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut at = self.directory_of(stream)?;
        while bytes.len() < length {
            let (size, location) = self.fragment(at)?;
            let wanted = size.min(length - bytes.len());
            let part = self.read(location, wanted)?;
            bytes.extend_from_slice(part.get(..wanted)?);
            at = at.checked_add(12)?;
        }
        Some(bytes)
    }

    /// Where the fragments of a stream begin in the directory. Absent for a nil stream.
    fn directory_of(&self, stream: usize) -> Option<usize> {
        if stream >= self.streams {
            return None;
        }
        let directory = Fields(&self.directory);
        let mut at: usize = 0;
        for _ in 0..stream {
            if directory.u32(at)? != NIL {
                while self.fragment(at).is_some() {
                    at = at.checked_add(12)?;
                }
            }
            at = at.checked_add(4)?;
        }
        (directory.u32(at)? != NIL).then_some(at)
    }

    /// Size and location of the fragment described at `at`; absent at the end of a stream's list.
    fn fragment(&self, at: usize) -> Option<(usize, u64)> {
        let directory = Fields(&self.directory);
        let size = directory.size(at).filter(|&size| size != 0)?;
        Some((size, directory.u64(at.checked_add(4)?)?))
    }

    /// `length` bytes at a fragment's location: of the file, or of the unpacked chunks put end to end.
    fn read(&self, location: u64, length: usize) -> Option<Vec<u8>> {
        const COMPRESSED: u64 = 1 << 63;
        if location & COMPRESSED == 0 {
            return self.file.bytes(usize::try_from(location).ok()?, length).map(<[u8]>::to_vec);
        }
        let mut chunk = usize::try_from((location & !COMPRESSED) >> 32).ok()?;
        let mut skip = usize::try_from(location & u64::from(u32::MAX)).ok()?;
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let (packed, method, size) = self.packed_chunk(chunk)?;
            if let Some(inside) = size.checked_sub(skip).filter(|&inside| inside > 0) {
                let unpacked = unpack(packed, method, size)?;
                let taken = inside.min(length - bytes.len());
                bytes.extend_from_slice(unpacked.get(skip..skip.checked_add(taken)?)?);
                skip = 0;
            } else {
                skip -= size;
            }
            chunk = chunk.checked_add(1)?;
        }
        Some(bytes)
    }

    /// A chunk as it lies in the file, its compression method and its unpacked size.
    fn packed_chunk(&self, chunk: usize) -> Option<(&'a [u8], u32, usize)> {
        let entry = Fields(self.chunks.bytes(chunk.checked_mul(CHUNK_ENTRY)?, CHUNK_ENTRY)?);
        let packed = self.file.bytes(usize::try_from(entry.u64(0)?).ok()?, entry.size(12)?)?;
        Some((packed, entry.u32(8)?, entry.size(16).filter(|&size| size <= MAX_UNPACKED)?))
    }
}

fn unpack(packed: &[u8], method: u32, size: usize) -> Option<Vec<u8>> {
    if size > MAX_UNPACKED {
        return None;
    }
    let unpacked = match method {
        0 => packed.to_vec(),
        1 => zstd::bulk::decompress(packed, size).ok()?,
        2 => decompress_to_vec_with_limit(packed, size).ok()?,
        _ => return None,
    };
    (unpacked.len() == size).then_some(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ms_pdb_msfz::{Compression, MsfzFinishOptions, MsfzWriter};
    use std::io::{Cursor, Write};

    fn streams() -> Vec<Option<Vec<u8>>> {
        let long: Vec<u8> = (0..300_000u32).map(|at| (at / 7) as u8).collect();
        vec![Some(Vec::new()), Some(b"information".repeat(5)), None, Some(long), Some(b"last".to_vec())]
    }

    /// A file made by the library of the format's authors.
    fn made(directory: Option<Compression>, chunk: u32, plain: Option<u32>) -> Vec<u8> {
        let mut writer = MsfzWriter::new(Cursor::new(Vec::new())).unwrap();
        writer.set_uncompressed_chunk_size_threshold(chunk);
        writer.reserve_num_streams(5);
        for (number, contents) in (0..).zip(streams()) {
            if let Some(contents) = contents {
                let mut stream = writer.stream_writer(number).unwrap();
                stream.set_compression_enabled(plain != Some(number));
                stream.write_all(&contents).unwrap();
            }
        }
        let (_, file) = writer.finish_with_options(MsfzFinishOptions { stream_dir_compression: directory, ..Default::default() }).unwrap();
        file.into_inner()
    }

    #[test]
    fn reads_what_its_authors_library_wrote() {
        for directory in [None, Some(Compression::Zstd), Some(Compression::Deflate)] {
            for (chunk, plain) in [(4096, None), (1 << 20, None), (4096, Some(1)), (4096, Some(3))] {
                let file = made(directory, chunk, plain);
                let opened = Msfz::open(Fields(&file)).unwrap();
                for (number, contents) in streams().into_iter().enumerate() {
                    let Some(contents) = contents else {
                        assert_eq!(opened.start(number, 1), None);
                        continue;
                    };
                    for length in [0, 1, 4, 28, contents.len()].into_iter().filter(|&length| length <= contents.len()) {
                        assert!(opened.start(number, length).unwrap() == contents[..length], "{number} {length}");
                    }
                    assert_eq!(opened.start(number, contents.len() + 1), None);
                }
                assert_eq!(opened.start(5, 1), None);
            }
        }
    }

    #[test]
    fn damage_makes_it_unreadable_and_never_panics() {
        let file = made(None, 4096, Some(1));
        for cut in 0..file.len() {
            assert!(Msfz::open(Fields(&file[..cut])).is_none(), "cut at {cut}");
        }
        let mut state = 3u64;
        for _ in 0..4000 {
            let mut bytes = file.clone();
            for _ in 0..2 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let place = (state >> 33) as usize;
                let at = if state & 1 == 0 { place % 80 } else { bytes.len() - 1 - place % 400 };
                bytes[at] = (state >> 20) as u8;
            }
            if let Some(opened) = Msfz::open(Fields(&bytes)) {
                let _ = (opened.start(1, 28), opened.start(3, 12));
            }
        }
    }
}
