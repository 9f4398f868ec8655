//! Facts about Windows kernel crashes, compiled in from the data files of the `knowledge` folder.
//!
//! Bug checks and their parameters, status codes, kernel modules, Windows releases and the wrong names in circulation. It knows no
//! dump and no file: a code, a name or a text goes in, what is known about it comes out. Nothing is set up at start, nothing fails.

#![forbid(unsafe_code)]

mod bugchecks;
mod modules;
mod render;
mod search;
mod status;
mod vocabulary;
mod windows;

pub use bugchecks::{BugCheck, Case, Parameter, Value, base_code, bug_check, bug_checks, name};
pub use modules::{Module, module, modules};
pub use render::Explained;
pub use search::{Hit, How, Lookup, search};
pub use status::{Status, status, status_named};
pub use vocabulary::{Cause, Format, Kind, Role};
pub use windows::{Release, windows_release};
