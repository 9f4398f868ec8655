//! From addresses in a module to names, source lines and types; and the way to the files that know them.
//!
//! Where symbols are searched: a [`SymbolPath`] is what a WinDbg user writes; a [`Request`] names one file wanted; a [`Finder`]
//! brings the two together. Nothing here reads the environment, nothing contacts a network unless [`Policy::online`] says so,
//! and no name that came out of a dump can lead outside a store.
//!
//! What they say: names come from a PDB ([`pdb`]), a Volatility ISF file ([`isf`]) or the export table of an image ([`image`]).
//! All three become one compact [`index`], which answers by binary search and is cached on disk. [`ModuleSymbols`] joins an
//! index with what its source knows beyond names: source lines, inlined functions, types.
//!
//! Addresses are RVAs, that is offsets from the base of the image. This crate knows nothing of dumps.
#![forbid(unsafe_code)]

mod demangle;
mod error;
pub mod image;
pub mod index;
pub mod isf;
mod layout;
pub mod manifest;
mod module;
pub mod pack;
pub mod path;
pub mod pdb;
pub mod request;
pub mod server;
mod source;
pub mod store;

pub use demangle::{demangle, demangle_name};
pub use error::SymbolError;
pub use layout::{Bits, EnumLayout, Field, Located, TypeKind, TypeLayout, TypeRef, TypeSource};
pub use manifest::Manifest;
pub use module::ModuleSymbols;
pub use path::{Config, SymbolPath};
pub use request::{FileName, Guid, NameError, Request};
pub use server::{Policy, Progress, Proxies, Transfer};
pub use source::{Fit, PdbId, SourceFrame, SourceLine, Symbol, SymbolAt, SymbolKind};
pub use store::{Container, Finder, Found, Missing, Settings};
