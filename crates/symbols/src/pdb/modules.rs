//! The debug stream: the modules (object files) that were linked, which parts of the image are whose, where sections lie.
//!
//! <https://llvm.org/docs/PDB/DbiStream.html>

use bugcheck_dump::Fields;
use ms_pdb::dbi::DbiStream;

use super::address::AddressMap;
use super::streams::{DEBUG, Streams, damaged};
use crate::error::SymbolError;

/// Section contributions of version 1 and 2: the latter have a field more.
const VERSION_1: u32 = 0xeffe_0000 + 19_970_605;
const VERSION_2: u32 = 0xeffe_0000 + 20_140_516;

/// A module of the link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Module {
    /// Its stream, if it has one.
    pub stream: Option<u32>,
    /// Bytes of symbols at the stream's beginning.
    pub symbols: usize,
    /// Bytes of line numbers of the old kind, which lie between and are not read.
    pub old_lines: usize,
    /// Bytes of line numbers.
    pub lines: usize,
}

/// A part of the image that came from one module.
#[derive(Clone, Copy, Debug)]
struct Contribution {
    rva: u32,
    size: u32,
    module: u16,
}

/// What the debug stream says.
#[derive(Debug)]
pub(super) struct Debug {
    pub addresses: AddressMap,
    pub modules: Vec<Module>,
    /// Stream of public and global symbols.
    pub symbols: Option<u32>,
    /// By address.
    contributions: Vec<Contribution>,
}

impl Debug {
    pub(super) fn read(streams: &Streams) -> Result<Self, SymbolError> {
        let debug = DbiStream::parse(streams.read(DEBUG)?).map_err(damaged)?;
        let addresses = AddressMap::read(streams, debug.optional_debug_header_bytes())?;
        let modules = debug.iter_modules().map(|module| Module {
            stream: module.stream(),
            symbols: module.sym_size() as usize,
            old_lines: module.c11_size() as usize,
            lines: module.c13_size() as usize,
        });
        let modules = modules.take(0xffff).collect();
        let symbols = debug.header().map_err(damaged)?.sym_record_stream().ok();
        let contributions = contributions(debug.section_contributions_bytes(), &addresses);
        Ok(Self { addresses, modules, symbols, contributions })
    }

    /// The number of the module that an address came from.
    pub(super) fn module_at(&self, rva: u32) -> Option<u16> {
        let number = self.contributions.partition_point(|part| part.rva <= rva).checked_sub(1)?;
        self.contributions.get(number).filter(|part| rva - part.rva < part.size).map(|part| part.module)
    }
}

fn contributions(bytes: &[u8], addresses: &AddressMap) -> Vec<Contribution> {
    let size = match Fields(bytes).u32(0) {
        Some(VERSION_1) => 28,
        Some(VERSION_2) => 32,
        _ => return Vec::new(),
    };
    let entries = bytes.get(4..).unwrap_or_default().chunks_exact(size);
    let contribution = |entry| {
        let entry = Fields(entry);
        let rva = addresses.rva(entry.u16(0)?, entry.u32(4)?)?;
        Some(Contribution { rva, size: entry.u32(8)?, module: entry.u16(16)? })
    };
    let mut parts: Vec<Contribution> = entries.filter_map(contribution).collect();
    parts.sort_unstable_by_key(|part| part.rva);
    parts
}
