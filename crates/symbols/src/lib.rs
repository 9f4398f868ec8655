//! Symbols: where they are searched, how they are fetched, and what they say.
//!
//! A [`SymbolPath`] is what a WinDbg user writes; a [`Request`] names one file wanted; a [`Finder`] brings the two together.
//! Nothing here reads the environment, nothing contacts a network unless [`Policy::online`] says so, and no name that came out
//! of a dump can lead outside a store.
#![forbid(unsafe_code)]

pub mod manifest;
pub mod pack;
pub mod path;
pub mod request;
pub mod server;
pub mod store;

pub use manifest::Manifest;
pub use path::{Config, SymbolPath};
pub use request::{FileName, Guid, NameError, Request};
pub use server::{Policy, Progress, Proxies, Transfer};
pub use store::{Container, Finder, Found, Missing, Settings};
