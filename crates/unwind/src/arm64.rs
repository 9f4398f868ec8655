//! ARM64.
use crate::{Break, Caller, Context, Image, Position, Stack};

pub(crate) fn unwind(_: &dyn Stack, _: &Image<'_>, _: &Context, _: Position) -> Result<Caller, Break> {
    Err(Break::NoUnwindData)
}
