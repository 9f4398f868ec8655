//! One step up a stack by an image's own unwind data, whatever the processor.

use crate::call::direct_target;
use crate::{CallBefore, Context, Image, Images, MachineFrame, Stack, arm64, x64, x86};
use bugcheck_dump::Arch;

/// How an instruction pointer came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The instruction that was interrupted: it may lie in a prologue or an epilogue.
    Exact,
    /// A return address: the call lies before it, and may be the last instruction of its function.
    AfterCall,
}

/// Why unwind data could not be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// The instruction pointer or another register that is needed is not known.
    #[error("the value of {0} is not known")]
    UnknownRegister(&'static str),
    /// No image lies there, or none was supplied.
    #[error("no image at {0:#x}")]
    NoImage(u64),
    /// The image has no unwind data, or is for another processor.
    #[error("the image has no unwind data")]
    NoUnwindData,
    /// The image's bytes at this relative address are needed and absent.
    #[error("the image's bytes at +{0:#x} are not there")]
    ImageHole(u32),
    /// The stack's bytes at this address are needed and absent.
    #[error("the stack's bytes at {0:#x} are not there")]
    StackHole(u64),
    /// Unwind data of a version that is not known.
    #[error("unwind data of version {0} is not known")]
    Version(u8),
    /// An unwind code that is not defined, or that contradicts the others.
    #[error("unwind code {code:#x} at +{rva:#x} makes no sense")]
    BadCode {
        /// The code.
        code: u8,
        /// Relative address of the unwind data.
        rva: u32,
    },
    /// A frame program of a PDB that makes no sense.
    #[error("the PDB's frame program makes no sense")]
    BadProgram,
    /// Unwind data that points to other unwind data for ever.
    #[error("unwind data at +{0:#x} is chained too often")]
    EndlessChain(u32),
    /// The stack pointer of the caller does not lie above the callee's.
    #[error("the stack pointer would go from {from:#x} to {to:#x}")]
    NotGrowing {
        /// The callee's.
        from: u64,
        /// The caller's.
        to: u64,
    },
    /// The return address cannot be code.
    #[error("the return address {0:#x} is not in code")]
    NotCode(u64),
    /// The call before the return address goes to a function, and the frame that it should have called is another one's.
    #[error("the call before {0:#x} goes to another function")]
    OtherFunction(u64),
    /// The code before the return address is no call.
    #[error("no call before the return address {0:#x}")]
    NoCall(u64),
}

/// The frame above another.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Its registers.
    pub context: Context,
    /// How its instruction pointer came about.
    pub position: Position,
    /// The interrupt or fault that lies between the two frames.
    pub machine_frame: Option<MachineFrame>,
    /// The size of the frame had to be guessed, because the frame pointer is not known.
    pub guessed: bool,
}

/// Unwinds one frame by the unwind data of its image; nothing is done to check the result.
///
/// # Errors
/// Why the unwind data could not be followed.
pub fn step(stack: &dyn Stack, images: &dyn Images, context: &Context, position: Position) -> Result<Caller, Break> {
    let mut caller = match context.arch() {
        Arch::X86 => x86::unwind(stack, images, context, position)?,
        Arch::X64 => x64::unwind(stack, &image_of(images, context, position)?, context, position)?,
        Arch::Arm64 => arm64::unwind(stack, &image_of(images, context, position)?, context, position)?,
    };
    if let Some(frame) = caller.machine_frame {
        images.interrupted(frame, &mut caller.context);
    }
    Ok(caller)
}

fn image_of<'i>(images: &'i dyn Images, context: &Context, position: Position) -> Result<Image<'i>, Break> {
    let ip = context.ip().ok_or(Break::UnknownRegister("the instruction pointer"))?;
    // A call may be the last instruction of an image's code.
    let looked_up = if position == Position::AfterCall { ip.wrapping_sub(1) } else { ip };
    let image = images.image_at(looked_up).ok_or(Break::NoImage(ip))?;
    if image.layout.arch == context.arch() && image.layout.exceptions.size > 0 { Ok(image) } else { Err(Break::NoUnwindData) }
}

/// Where the last entry of the exception directory lies that begins at or before a relative address. Entries have `size` bytes
/// and are sorted by their first field.
pub(crate) fn entry_before(image: &Image<'_>, size: u32, rva: u32) -> Result<Option<u32>, Break> {
    let table = image.layout.exceptions;
    let entry = |index: u32| table.rva.saturating_add(index.saturating_mul(size));
    let (mut low, mut high) = (0, table.size / size);
    while low < high {
        let middle = low + (high - low) / 2;
        let begin = image.u32(entry(middle)).ok_or(Break::ImageHole(entry(middle)))?;
        if begin <= rva { low = middle + 1 } else { high = middle }
    }
    Ok(low.checked_sub(1).map(entry))
}

/// The value on the stack at an address.
pub(crate) fn stack_word(stack: &dyn Stack, address: u64) -> Result<u64, Break> {
    let mut bytes = [0; 8];
    if stack.read(address, &mut bytes) == bytes.len() { Ok(u64::from_le_bytes(bytes)) } else { Err(Break::StackHole(address)) }
}

/// The 16 bytes on the stack at an address.
pub(crate) fn stack_vector(stack: &dyn Stack, address: u64) -> Result<u128, Break> {
    let mut bytes = [0; 16];
    if stack.read(address, &mut bytes) == bytes.len() { Ok(u128::from_le_bytes(bytes)) } else { Err(Break::StackHole(address)) }
}

/// Judges a frame that unwind data led to: the call before its return address, or why it cannot be.
pub(crate) fn judge(stack: &dyn Stack, from: &Context, position: Position, caller: &Caller) -> Result<CallBefore, Break> {
    let ip = caller.context.ip().ok_or(Break::UnknownRegister("the instruction pointer"))?;
    if caller.machine_frame.is_some() {
        return Ok(CallBefore::NotAsked);
    }
    let (from, to) = (from.sp().unwrap_or(0), caller.context.sp().unwrap_or(0));
    // A function of ARM64 that calls nobody need not use the stack.
    let leaf = to == from && caller.context.arch() == Arch::Arm64 && position == Position::Exact;
    if to <= from && !leaf {
        return Err(Break::NotGrowing { from, to });
    }
    if !stack.may_be_code(ip) {
        return Err(Break::NotCode(ip));
    }
    if caller.position == Position::Exact {
        return Ok(CallBefore::NotAsked);
    }
    let call = crate::call_before(stack, caller.context.arch(), ip);
    if call == CallBefore::Absent || (caller.guessed && call != CallBefore::Seen) {
        return Err(Break::NoCall(ip));
    }
    Ok(call)
}

/// A frame that a scan found may be one of an earlier call; then the call before the return address that its unwind data leads
/// to goes to some other function. (So do calls of functions that end in a jump to the frame's: those are found by scan.)
pub(crate) fn confirm(stack: &dyn Stack, images: &dyn Images, scanned: u64, caller: &Caller) -> Result<(), Break> {
    let arch = caller.context.arch();
    let begin = |address: u64| {
        let image = images.image_at(address)?;
        let rva = image.rva(address)?;
        let begin = match arch {
            Arch::X64 => x64::function_begin(&image, rva)?,
            Arch::Arm64 => arm64::function_begin(&image, rva)?,
            Arch::X86 => return None,
        };
        Some(image.base + u64::from(begin))
    };
    let ip = caller.context.ip().unwrap_or(0);
    let functions = || Some((begin(scanned)?, begin(direct_target(stack, arch, ip)?)?));
    match functions() {
        Some((frame, called)) if caller.machine_frame.is_none() && frame != called => Err(Break::OtherFunction(ip)),
        _ => Ok(()),
    }
}
