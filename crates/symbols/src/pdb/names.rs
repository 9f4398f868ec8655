//! Publics, procedures, thunks and global data → an index.

use ms_pdb::syms::{Data, OffsetSegment, Proc, Pub, Sym, SymIter, SymKind, Thunk};

use super::modules::Debug;
use super::streams::Streams;
use crate::error::SymbolError;
use crate::index::{IndexBuilder, Origin, SymbolIndex};
use crate::source::{PdbId, SymbolKind};

/// Flags of a public: it names code; it names a function.
const PUBLIC_CODE: u32 = 1;
const PUBLIC_FUNCTION: u32 = 2;

pub(super) fn index(streams: &Streams, debug: &Debug, id: Option<PdbId>, machine: u32) -> Result<SymbolIndex, SymbolError> {
    let mut names = Names { builder: IndexBuilder::new(&debug.addresses.sections), debug };
    if let Some(stream) = debug.symbols {
        for symbol in SymIter::new(&streams.read(stream)?) {
            names.add(&symbol);
        }
    }
    for module in &debug.modules {
        let Some(stream) = module.stream else { continue };
        // A module that cannot be read costs its own names only.
        let Ok(bytes) = streams.read_start(stream, module.symbols as u64) else { continue };
        for symbol in SymIter::for_module_syms(&bytes) {
            names.add(&symbol);
        }
    }
    names.builder.finish(Origin::Pdb, id, machine, streams.file_length())
}

struct Names<'a> {
    builder: IndexBuilder,
    debug: &'a Debug,
}

impl Names<'_> {
    fn add(&mut self, symbol: &Sym<'_>) {
        match symbol.kind {
            SymKind::S_PUB32 => {
                let Ok(public) = symbol.parse_as::<Pub<'_>>() else { return };
                let place = public.offset_segment();
                let flags = public.fixed.flags.get();
                let kind = match () {
                    () if !self.debug.addresses.is_code(place.segment()) => SymbolKind::Data,
                    () if flags & PUBLIC_FUNCTION != 0 => SymbolKind::Function,
                    () if flags & PUBLIC_CODE != 0 => SymbolKind::Public,
                    // Neither: a label, or data among code.
                    () => SymbolKind::Public,
                };
                self.put(public.name, place, 0, kind);
            }
            SymKind::S_GPROC32
            | SymKind::S_LPROC32
            | SymKind::S_GPROC32_ID
            | SymKind::S_LPROC32_ID
            | SymKind::S_LPROC32_DPC
            | SymKind::S_LPROC32_DPC_ID => {
                if let Ok(function) = symbol.parse_as::<Proc<'_>>() {
                    self.put(function.name, function.fixed.offset_segment, function.fixed.proc_len.get(), SymbolKind::Function);
                }
            }
            SymKind::S_THUNK32 => {
                if let Ok(thunk) = symbol.parse_as::<Thunk<'_>>() {
                    self.put(thunk.name, thunk.fixed.offset_segment, thunk.fixed.length.get().into(), SymbolKind::Function);
                }
            }
            SymKind::S_GDATA32 | SymKind::S_LDATA32 => {
                if let Ok(data) = symbol.parse_as::<Data<'_>>() {
                    self.put(data.name, data.header.offset_segment, 0, SymbolKind::Data);
                }
            }
            _ => {}
        }
    }

    fn put(&mut self, name: &[u8], place: OffsetSegment, size: u32, kind: SymbolKind) {
        if let Some(rva) = self.debug.addresses.rva(place.segment(), place.offset()) {
            self.builder.add(name, rva, size, kind);
        }
    }
}
