//! One module per command: its options, its help and what it does.

pub(crate) mod analyze;
pub(crate) mod explain;
pub(crate) mod score;
pub(crate) mod triage;

use crate::Common;
use bugcheck_analysis::Options;

fn options(common: &Common) -> Options {
    Options { redact: !common.no_redact }
}
