//! From addresses in a module to names, source lines and types; and the way to the files that know them.
//!
//! Names come from a PDB ([`pdb`]), a Volatility ISF file ([`isf`]) or the export table of an image ([`image`]). All three
//! become one compact [`index`], which answers by binary search and is cached on disk. [`ModuleSymbols`] joins an index with
//! what its source knows beyond names: source lines, inlined functions, types.
//!
//! Addresses are RVAs, that is offsets from the base of the image. This crate knows nothing of dumps.
#![forbid(unsafe_code)]

mod demangle;
mod error;
pub mod image;
pub mod index;
pub mod isf;
mod layout;
mod module;
pub mod pdb;
mod source;

pub use demangle::{demangle, demangle_name};
pub use error::SymbolError;
pub use layout::{Bits, EnumLayout, Field, Located, TypeKind, TypeLayout, TypeRef, TypeSource};
pub use module::ModuleSymbols;
pub use source::{Fit, PdbId, SourceFrame, SourceLine, Symbol, SymbolAt, SymbolKind};
