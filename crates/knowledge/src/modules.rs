//! Kernel modules by file name: who made them and what they do.

use std::cmp::Ordering;

use crate::vocabulary::Role;

include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// A kernel module known by its file name.
///
/// A file name is a hint, not proof: nothing stops another vendor from using it.
#[derive(Debug, PartialEq, Eq)]
pub struct Module {
    /// The file name, in lower case.
    pub image: &'static str,
    /// Who makes it.
    pub vendor: &'static str,
    /// The product it belongs to, or what it is.
    pub product: &'static str,
    /// What it does.
    pub role: Role,
    /// Whether it merely reports or forwards what others did, and so is not blamed by default.
    pub forwards: bool,
    /// What else is worth knowing; often empty.
    pub remarks: &'static str,
}

impl Module {
    /// Whether Microsoft makes it.
    #[must_use]
    pub fn is_microsoft(&self) -> bool {
        self.vendor == "Microsoft"
    }
}

/// Every known module, by file name.
#[must_use]
pub fn modules() -> &'static [Module] {
    MODULES
}

/// The module with this file name, in any case of letters.
#[must_use]
pub fn module(image: &str) -> Option<&'static Module> {
    MODULES.binary_search_by(|known| compare(known.image, image)).ok().and_then(|at| MODULES.get(at))
}

/// Orders a lower-case name against any name.
fn compare(lower: &str, any: &str) -> Ordering {
    lower.bytes().cmp(any.bytes().map(|byte| byte.to_ascii_lowercase()))
}
