//! The export table of a PE image: the lowest source of names.

use bugcheck_dump::Fields;
use object::read::pe::{ExportTarget, ImageNtHeaders, PeFile};
use object::{LittleEndian, pe};

use crate::error::SymbolError;
use crate::index::{IndexBuilder, Origin, Section, SymbolIndex, checksum};
use crate::source::{PdbId, SymbolKind};

/// Most exports; the export table of a PE image numbers them with 16 bits.
const MOST_EXPORTS: usize = 0x10000;

/// The exported names of an image, as it lies in its file.
///
/// # Errors
/// Why the bytes are no PE image.
pub fn exports(bytes: &[u8]) -> Result<SymbolIndex, SymbolError> {
    match Fields(bytes).size(0x3c).and_then(|at| Fields(bytes).u16(at.checked_add(0x18)?)) {
        Some(0x20b) => read::<pe::ImageNtHeaders64>(bytes),
        Some(0x10b) => read::<pe::ImageNtHeaders32>(bytes),
        _ => Err(SymbolError::damaged("no PE image", 0x3c)),
    }
}

fn read<Pe: ImageNtHeaders>(bytes: &[u8]) -> Result<SymbolIndex, SymbolError> {
    let damaged = |error: object::Error| SymbolError::damaged(format!("PE image: {error}"), 0);
    let file = PeFile::<Pe>::parse(bytes).map_err(damaged)?;
    let sections: Vec<Section> = file
        .section_table()
        .iter()
        .map(|section| Section {
            rva: section.virtual_address.get(LittleEndian),
            size: section.virtual_size.get(LittleEndian).max(section.size_of_raw_data.get(LittleEndian)),
            executable: section.characteristics.get(LittleEndian) & pe::IMAGE_SCN_MEM_EXECUTE != pe::SectionFlags(0),
        })
        .collect();
    let is_code = |rva: u32| sections.iter().any(|section| section.executable && rva.wrapping_sub(section.rva) < section.size);
    let mut builder = IndexBuilder::new(&sections);
    if let Some(table) = file.export_table().map_err(damaged)? {
        for export in table.exports().map_err(damaged)?.into_iter().take(MOST_EXPORTS) {
            if let (Some(name), ExportTarget::Address(rva)) = (export.name, export.target) {
                builder.add(name, rva, 0, if is_code(rva) { SymbolKind::Export } else { SymbolKind::Data });
            }
        }
    }
    let machine = file.nt_headers().file_header().machine.get(LittleEndian);
    builder.finish(Origin::Exports, identity(&file), machine.0.into(), checksum(bytes))
}

/// The identity of the PDB in the debug directory.
fn identity<Pe: ImageNtHeaders>(file: &PeFile<'_, Pe>) -> Option<PdbId> {
    use object::Object;
    let info = file.pdb_info().ok()??;
    Some(PdbId { guid: info.guid(), age: info.age() })
}
