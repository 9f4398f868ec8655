//! Hardware error records of Windows, read into words.
//!
//! When hardware fails, Windows collects what the processor, the firmware or a driver said about it into one
//! *Common Platform Error Record* (CPER) and, if the failure cannot be survived, stops with bug check 0x124.
//! This crate takes the bytes of such a record and gives back typed values and [`Finding`]s: which part the
//! record points to, how sure one can be, and why. It knows nothing about files or dumps.
//!
//! * [`Record::parse`] reads a CPER; [`Record::findings`] says what it means.
//! * [`mca::Bank::decode`] reads one machine-check bank of an Intel or AMD processor.
//! * [`bug_check_124`] says what the parameters alone tell when the record itself is not at hand.
//! * [`Event::parse`] recognises the `WhLg` entries that Windows logs beside the records.
//!
//! A damaged record still has a story: reading never panics, and only bytes that are not a record at all are an
//! [`Error`]. Everything else is a value with [`Note`]s saying what was odd and where.
//!
//! Layouts are those of the UEFI specification, appendix N, and of the public metadata of the Windows SDK and WDK.
#![forbid(unsafe_code)]

mod bytes;
mod event;
mod finding;
pub mod fuzz;
mod guid;
pub mod mca;
mod record;
pub mod section;
mod source;
pub mod words;

pub use event::{Event, EventKind};
pub use finding::{Blame, Detail, Finding, Part};
pub use guid::Guid;
pub use record::{Header, Record, Timestamp};
pub use section::{Body, Descriptor, Section};
pub use source::{BugCheck, ErrorSource, bug_check_9c, bug_check_124, bug_check_124_on, error_source, mci_status};

/// A value and what was odd while reading it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed<T> {
    /// What was read.
    pub value: T,
    /// What did not fit, in the order of discovery.
    pub notes: Vec<Note>,
}

/// Something odd in the bytes that did not stop the reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where, as an offset from the start of the record.
    pub offset: usize,
    /// What, in words.
    pub text: String,
}

impl Note {
    pub(crate) fn new(offset: usize, text: impl Into<String>) -> Self {
        Self { offset, text: text.into() }
    }
}

/// Why reading could not even start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fewer bytes than the fixed header needs.
    #[error("{have} bytes are too few for {what}, which starts with a header of {need} bytes")]
    TooShort {
        /// What was expected.
        what: &'static str,
        /// The bytes at hand.
        have: usize,
        /// The bytes the header needs.
        need: usize,
    },
    /// The signature is another one.
    #[error("this is not {what}: it starts with {found:#010x}, not with {expected:#010x}")]
    WrongSignature {
        /// What was expected.
        what: &'static str,
        /// The signature found, read as a little-endian number.
        found: u32,
        /// The signature such a thing has.
        expected: u32,
    },
}

/// Either thing this crate reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An error record (`CPER`).
    Record(Box<Record>),
    /// An entry of the WHEA event log (`WhLg`).
    Event(Event),
}

/// Reads bytes that may be an error record or an event, telling them apart by signature.
///
/// # Errors
/// As [`Record::parse`]; that is also the error for bytes of neither kind.
pub fn parse(bytes: &[u8]) -> Result<Parsed<Item>, Error> {
    if bytes.starts_with(&event::SIGNATURE.to_le_bytes()) {
        let Parsed { value, notes } = Event::parse(bytes)?;
        return Ok(Parsed { value: Item::Event(value), notes });
    }
    let Parsed { value, notes } = Record::parse(bytes)?;
    Ok(Parsed { value: Item::Record(Box::new(value)), notes })
}
