//! The triage blocks of bug check 0x9F, DRIVER_POWER_STATE_FAILURE.

use bugcheck_dump::{Memory, Missing, VirtAddr};

/// TRIAGE_9F_POWER or TRIAGE_9F_PNP: where the power manager keeps what was in flight.
///
/// Layout: Microsoft's documentation of the bug check; signature 0x8000 with revision 2 verified on a real dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerTriage {
    /// 0x8000 for power, 0x8001 for Plug and Play.
    pub signature: u16,
    /// Revision.
    pub revision: u16,
    /// Head of the list of power IRPs (power), or the completion queue (Plug and Play).
    pub irp_list: VirtAddr,
    /// Head of the list of threads that work on them; absent in the Plug and Play block.
    pub thread_list: Option<VirtAddr>,
}

/// Reads the block at an address; `Ok(None)` if something else lies there.
///
/// # Errors
/// What is missing.
pub fn power_triage(memory: Memory<'_>, width: usize, address: VirtAddr) -> Result<Option<PowerTriage>, Missing> {
    let signature = memory.u16(address)?;
    if !matches!(signature, 0x8000 | 0x8001) {
        return Ok(None);
    }
    let pointer = |index: u64| memory.pointer(address.offset(width as u64 * index), width);
    Ok(Some(PowerTriage {
        signature,
        revision: memory.u16(address.offset(2))?,
        irp_list: pointer(1)?,
        thread_list: (signature == 0x8000).then(|| pointer(2)).transpose()?,
    }))
}
