//! Results → what people and programs read. Nothing here finds anything out.
//!
//! Three printers: [`text`] for a person at a terminal, [`json`] for programs, [`table`] for many dumps at once; and
//! [`explain`] for a stop code without a dump; [`score`] for verdicts beside known causes.
#![forbid(unsafe_code)]

pub mod explain;
pub mod json;
pub mod score;
mod style;
pub mod table;
pub mod text;

pub use style::Style;
