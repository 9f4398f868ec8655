//! Status codes: NTSTATUS values, exception codes and the graphics HRESULTs that appear in bug checks.

include!(concat!(env!("OUT_DIR"), "/status.rs"));

/// A status code with its name.
#[derive(Debug, PartialEq, Eq)]
pub struct Status {
    /// The 32-bit code.
    pub code: u32,
    /// Its symbolic name.
    pub name: &'static str,
    /// What it means in a kernel crash, in plain words; empty when the name has to do.
    pub text: &'static str,
}

/// The status with this code.
#[must_use]
pub fn status(code: u32) -> Option<&'static Status> {
    STATUSES.binary_search_by_key(&code, |known| known.code).ok().and_then(|at| STATUSES.get(at))
}

/// The status with this name, in any case of letters.
#[must_use]
pub fn status_named(name: &str) -> Option<&'static Status> {
    STATUSES.iter().find(|known| known.name.eq_ignore_ascii_case(name))
}
