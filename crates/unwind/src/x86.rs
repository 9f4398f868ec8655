//! x86.
use crate::{Break, Caller, Context, Images, Position, Stack};

/// x
pub struct FrameData<'a> {
    /// x
    pub program: &'a str,
}
pub(crate) fn unwind(_: &dyn Stack, _: &dyn Images, _: &Context, _: Position) -> Result<Caller, Break> {
    Err(Break::NoUnwindData)
}
