//! Section and offset, as a PDB writes addresses → RVA.
//!
//! An image that was rearranged after linking carries two lists of sections and a map between them (OMAP): pairs of an old and
//! a new RVA, each good up to the next; 0 as the new one means that the bytes are gone. Layout: `OMAP` in `pdb.h` and `dbghelp.h`.

use bugcheck_dump::Fields;
use ms_pdb::dbi::optional_dbg::OptionalDebugStream;

use super::streams::Streams;
use crate::error::SymbolError;
use crate::index::Section;

const SECTION_HEADER: usize = 40;
const EXECUTABLE: u32 = 0x2000_0000;
const CODE: u32 = 0x20;

/// Sections and the map from addresses before a rearrangement.
#[derive(Debug, Default)]
pub(super) struct AddressMap {
    /// The image's sections.
    pub sections: Vec<Section>,
    /// The sections that addresses in the PDB refer to.
    linked: Vec<Section>,
    /// Old RVA, new RVA; ascending.
    moved: Vec<(u32, u32)>,
}

impl AddressMap {
    /// Reads the streams that `streams_of` (the numbers of the optional debug streams) names.
    pub(super) fn read(streams: &Streams, numbers: &[u8]) -> Result<Self, SymbolError> {
        let stream = |which: OptionalDebugStream| {
            let number = Fields(numbers).u16(which.0 as usize * 2).filter(|&number| number != u16::MAX)?;
            streams.read(number.into()).ok()
        };
        let sections = stream(OptionalDebugStream::SECTION_HEADER_DATA).map(|bytes| sections(&bytes)).unwrap_or_default();
        if sections.is_empty() {
            return Err(SymbolError::damaged("PDB: it has no section headers, so that its addresses cannot be read", 0));
        }
        let mut map = Self { linked: sections.clone(), sections, moved: Vec::new() };
        let rearranged = stream(OptionalDebugStream::OMAP_FROM_SRC_DATA).zip(stream(OptionalDebugStream::ORIGINAL_SECTION_HEADER_DATA));
        if let Some((moved, original)) = rearranged {
            map.linked = self::sections(&original);
            let pairs = moved.as_chunks::<8>().0.iter().filter_map(|pair| Some((Fields(pair).u32(0)?, Fields(pair).u32(4)?)));
            map.moved = pairs.collect();
            map.moved.sort_unstable();
        }
        Ok(map)
    }

    /// The RVA of an offset in a section, which are numbered from 1.
    pub(super) fn rva(&self, section: u16, offset: u32) -> Option<u32> {
        let section = self.linked.get(usize::from(section).checked_sub(1)?)?;
        if offset > section.size {
            return None;
        }
        let old = section.rva.checked_add(offset)?;
        if self.moved.is_empty() {
            return Some(old);
        }
        let number = self.moved.partition_point(|&(from, _)| from <= old).checked_sub(1)?;
        let &(from, to) = self.moved.get(number)?;
        if to == 0 { None } else { to.checked_add(old - from) }
    }

    /// Whether a section (numbered from 1) holds code.
    pub(super) fn is_code(&self, section: u16) -> bool {
        usize::from(section).checked_sub(1).and_then(|number| self.linked.get(number)).is_some_and(|section| section.executable)
    }
}

fn sections(bytes: &[u8]) -> Vec<Section> {
    let section = |header: &[u8; SECTION_HEADER]| {
        let header = Fields(header);
        let size = header.u32(8)?.max(header.u32(16)?);
        Some(Section { rva: header.u32(12)?, size, executable: header.u32(36)? & (EXECUTABLE | CODE) != 0 })
    };
    bytes.as_chunks::<SECTION_HEADER>().0.iter().take(0xffff).filter_map(section).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rearranged_image_is_followed_through_its_map() {
        let section = Section { rva: 0x1000, size: 0x1000, executable: true };
        let map =
            AddressMap { sections: vec![section], linked: vec![section], moved: vec![(0x1000, 0x3000), (0x1100, 0), (0x1200, 0x1050)] };
        assert_eq!(map.rva(1, 0x10), Some(0x3010));
        assert_eq!(map.rva(1, 0x180), None);
        assert_eq!(map.rva(1, 0x204), Some(0x1054));
        assert_eq!(map.rva(0, 0), None);
        assert_eq!(map.rva(2, 0), None);
        assert_eq!(map.rva(1, 0x1001), None);
    }
}
