//! All that is known of one module's symbols.

use std::path::Path;

use crate::error::SymbolError;
use crate::image;
use crate::index::{Origin, SymbolIndex};
use crate::isf::IsfFile;
use crate::layout::TypeSource;
use crate::pdb::PdbFile;
use crate::source::{PdbId, SourceFrame, SymbolAt};

/// The symbols of one module: its index of names, and what the source of the names knows beyond.
#[derive(Debug)]
pub struct ModuleSymbols {
    index: SymbolIndex,
    detail: Detail,
}

#[derive(Debug)]
enum Detail {
    Pdb(Box<PdbFile>),
    Isf(IsfFile),
    Exports,
}

impl ModuleSymbols {
    /// Opens a PDB. With `cache` the index is kept in that folder; with `expected` a PDB of another build is refused.
    ///
    /// # Errors
    /// Why it gives no symbols.
    pub fn from_pdb(path: &Path, cache: Option<&Path>, expected: Option<PdbId>) -> Result<Self, SymbolError> {
        let (pdb, index) = PdbFile::open_indexed(path, cache, expected)?;
        Ok(Self { index, detail: Detail::Pdb(Box::new(pdb)) })
    }

    /// Opens a Volatility ISF file. With `cache` the index is kept in that folder; with `expected` a file of another build is
    /// refused.
    ///
    /// # Errors
    /// Why it gives no symbols.
    pub fn from_isf(path: &Path, cache: Option<&Path>, expected: Option<PdbId>) -> Result<Self, SymbolError> {
        let (isf, index) = IsfFile::open(path, cache, expected)?;
        Ok(Self { index, detail: Detail::Isf(isf) })
    }

    /// Takes the exports of a PE image, as it lies in its file.
    ///
    /// # Errors
    /// Why it gives no symbols.
    pub fn from_image(path: &Path) -> Result<Self, SymbolError> {
        let bytes = bugcheck_dump::FileBytes::open(path).map_err(|source| SymbolError::Read { path: path.to_owned(), source })?;
        let index = image::exports(&bytes).map_err(|error| error.in_file(path))?;
        Ok(Self { index, detail: Detail::Exports })
    }

    /// The names.
    #[must_use]
    pub fn index(&self) -> &SymbolIndex {
        &self.index
    }

    /// Where they come from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.index.origin()
    }

    /// The identity of the image that the symbols are for, if the source says it.
    #[must_use]
    pub fn id(&self) -> Option<PdbId> {
        self.index.id()
    }

    /// The function at an address of code, see [`SymbolIndex::function_at`].
    #[must_use]
    pub fn function_at(&self, rva: u32) -> Option<SymbolAt<'_>> {
        self.index.function_at(rva)
    }

    /// The nearest name of any kind, see [`SymbolIndex::symbol_at`].
    #[must_use]
    pub fn symbol_at(&self, rva: u32) -> Option<SymbolAt<'_>> {
        self.index.symbol_at(rva)
    }

    /// The address of a name, see [`SymbolIndex::find`].
    #[must_use]
    pub fn rva_of(&self, name: &str) -> Option<u32> {
        self.index.rva_of(name)
    }

    /// The functions of the source text at an address, the innermost first: those inlined there, then the one that has them.
    /// For an address that a call returns to, ask for the one before it. Empty where the source knows no lines.
    #[must_use]
    pub fn source_at(&self, rva: u32) -> Vec<SourceFrame> {
        match &self.detail {
            Detail::Pdb(pdb) => pdb.source_at(rva, self.index.function_at(rva).map(|at| at.symbol.raw)),
            Detail::Isf(_) | Detail::Exports => Vec::new(),
        }
    }

    /// The types, if the source knows any.
    #[must_use]
    pub fn types(&self) -> Option<&dyn TypeSource> {
        match &self.detail {
            Detail::Pdb(pdb) => pdb.types().map(|types| types as &dyn TypeSource),
            Detail::Isf(isf) => isf.types().map(|types| &**types as &dyn TypeSource),
            Detail::Exports => None,
        }
    }
}
