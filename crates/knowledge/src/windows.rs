//! Windows releases by build number.

include!(concat!(env!("OUT_DIR"), "/windows.rs"));

/// The product type of a workstation; 2 is a domain controller, 3 another server.
const WORKSTATION: u32 = 1;

/// A release of Windows.
#[derive(Debug, PartialEq, Eq)]
pub struct Release {
    /// The build number.
    pub build: u32,
    /// Whether it is a server.
    pub server: bool,
    /// The name people know. Where several releases share a kernel, and with it the build number in a dump, it names them all.
    pub name: &'static str,
    /// The version of NT, such as `10.0`.
    pub version: &'static str,
}

/// The release with this build number. The product type is the one of a dump header: 1 workstation, 2 domain controller, 3 server.
#[must_use]
pub fn windows_release(build: u32, product_type: u32) -> Option<&'static Release> {
    let key = (build, product_type > WORKSTATION);
    RELEASES.binary_search_by_key(&key, |known| (known.build, known.server)).ok().and_then(|at| RELEASES.get(at))
}
