//! Entries for fuzzing: each takes any bytes and must return.

use super::cabinet::Member;
use super::identity::check_bytes;
use super::pointer::Pointer;
use crate::manifest::Manifest;
use crate::path::{Config, SymbolPath};
use crate::request::{FileName, Request};
use bugcheck_dump::Fields;

/// A symbol path, its hosts and its text form; and the same bytes as a configuration file.
#[must_use]
pub fn path(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let path = SymbolPath::parse(&text);
    let again = SymbolPath::parse(&path.to_string());
    assert_eq!(again.elements(), path.elements(), "the text form reads differently");
    Config::parse(&text).map_or(0, |config| config.notes.len()) + path.network().len()
}

/// A `file.ptr`.
#[must_use]
pub fn pointer(bytes: &[u8]) -> Option<Pointer> {
    Pointer::parse(bytes)
}

/// A cabinet; what comes out is counted and thrown away.
#[must_use]
pub fn cabinet(bytes: &[u8]) -> usize {
    let mut total = 0;
    if let Ok(member) = Member::find(Fields(bytes), "x.pdb") {
        let _ = member.unpack(|part| {
            total += part.len();
            Ok(())
        });
    }
    total
}

/// A manifest, written and read again.
#[must_use]
pub fn manifest(bytes: &[u8]) -> usize {
    let (manifest, notes) = Manifest::parse(&String::from_utf8_lossy(bytes));
    let (again, _) = Manifest::parse(&manifest.to_string());
    assert_eq!(again, manifest, "the text form reads differently");
    notes.len()
}

/// A file name from a dump: whatever is accepted stays inside the folder it is joined to.
#[must_use]
pub fn name(bytes: &[u8]) -> Option<Request> {
    let name = FileName::last_of(&String::from_utf8_lossy(bytes)).ok()?;
    let joined = std::path::Path::new("store").join(name.as_str());
    assert_eq!(joined.components().count(), 2, "{joined:?} leaves the store");
    Request::from_key(name, "000000121000")
}

/// A PDB (in either container) or image that is to prove its identity.
#[must_use]
pub fn identity(bytes: &[u8]) -> bool {
    let requests = [Request::pdb("x.pdb", crate::Guid(1), 1), Request::image("x.sys", 1, 1)];
    requests.into_iter().flatten().any(|request| check_bytes(bytes, &request).is_ok())
}
