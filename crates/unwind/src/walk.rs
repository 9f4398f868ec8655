//! The way up a whole stack: unwind data where there is some, frame pointers and scanning where there is none.

use crate::scan::{next_candidate, saved_pair};
use crate::step::{judge, step};
use crate::{Break, CallBefore, Context, Frame, Images, MOST_FRAMES, Position, Stack, Trust};
use bugcheck_dump::Arch;

/// A stack crosses from one interrupt or fault into another this often at most: there are seven IST stacks, and a double fault
/// on a nested interrupt is four crossings.
const MOST_CROSSINGS: usize = 16;

/// A frame with what is known of its registers.
#[derive(Clone, Copy, Debug)]
pub struct UnwoundFrame {
    /// Where it is and how it was found.
    pub frame: Frame,
    /// Its registers. After a scan little more than the instruction and stack pointers is known.
    pub context: Context,
    /// Whether `frame.ip` is the very instruction, or a return address.
    pub position: Position,
    /// Why the unwind data did not lead from here to the next frame, if another way had to be taken.
    pub broken: Option<Break>,
}

/// Why a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The outermost frame was reached: the return address is zero.
    Bottom,
    /// The next frame is in user mode; it is the last one listed.
    UserMode,
    /// Neither unwind data nor frame pointers nor a scan gave another frame.
    NothingFound,
    /// There were more than [`MOST_FRAMES`].
    TooManyFrames,
}

/// A call stack.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Innermost first.
    pub frames: Vec<UnwoundFrame>,
    /// Why there are no more.
    pub end: End,
}

/// Walks up from `start`, which is where the processor was interrupted or called the function that stopped it.
///
/// Each step goes by the image's unwind data if there is an image and its result can be true; else by the saved frame pointer
/// (ARM64, x86), else to the next value on the stack that can be a return address. From there on unwind data is tried again.
#[must_use]
pub fn unwind(stack: &dyn Stack, images: &dyn Images, start: &Context) -> Walk {
    let stack = &WithImages { stack, images };
    let mut walk = Walk { frames: Vec::with_capacity(32), end: End::NothingFound };
    let (Some(ip), Some(sp)) = (start.ip(), start.sp()) else { return walk };
    let frame = Frame { ip, sp, trust: Trust::Context, call: CallBefore::NotAsked };
    let mut current = UnwoundFrame { frame, context: *start, position: Position::Exact, broken: None };
    let mut crossings = 0;
    loop {
        let next = next(stack, images, &mut current, &mut crossings);
        walk.frames.push(current);
        match next {
            Err(end) => walk.end = end,
            Ok(_) if walk.frames.len() >= MOST_FRAMES => walk.end = End::TooManyFrames,
            Ok(next) => {
                current = next;
                if is_user_mode(&current.context) {
                    walk.frames.push(current);
                    walk.end = End::UserMode;
                } else {
                    continue;
                }
            }
        }
        return walk;
    }
}

fn next(stack: &dyn Stack, images: &dyn Images, current: &mut UnwoundFrame, crossings: &mut usize) -> Result<UnwoundFrame, End> {
    match by_unwind_data(stack, images, current, crossings) {
        Ok(found) => return found,
        Err(reason) => current.broken = Some(reason),
    }
    by_frame_pointer(stack, &current.context).or_else(|| by_scan(stack, &current.context)).ok_or(End::NothingFound)
}

fn by_unwind_data(
    stack: &dyn Stack,
    images: &dyn Images,
    current: &UnwoundFrame,
    crossings: &mut usize,
) -> Result<Result<UnwoundFrame, End>, Break> {
    let caller = step(stack, images, &current.context, current.position)?;
    if caller.machine_frame.is_some() {
        *crossings += 1;
        if *crossings > MOST_CROSSINGS {
            let (from, to) = (current.frame.sp, caller.context.sp().unwrap_or(0));
            return Err(Break::NotGrowing { from, to });
        }
    } else if caller.context.ip() == Some(0) && !caller.guessed {
        return Ok(Err(End::Bottom));
    }
    let call = judge(stack, &current.context, current.position, &caller)?;
    let (ip, sp) = (caller.context.ip().unwrap_or(0), caller.context.sp().unwrap_or(0));
    let trust = if caller.guessed { Trust::Scan } else { Trust::Unwind };
    let frame = Frame { ip, sp, trust, call };
    Ok(Ok(UnwoundFrame { frame, context: caller.context, position: caller.position, broken: None }))
}

fn by_frame_pointer(stack: &dyn Stack, context: &Context) -> Option<UnwoundFrame> {
    let arch = context.arch();
    if arch == Arch::X64 {
        return None;
    }
    let (frame, fp) = saved_pair(stack, arch, context.sp()?, context.fp()?)?;
    Some(found(arch, frame, Some(fp)))
}

fn by_scan(stack: &dyn Stack, context: &Context) -> Option<UnwoundFrame> {
    let arch = context.arch();
    let frame = next_candidate(stack, arch, context.sp()?)?;
    // The frame pointer is saved right below the return address; if that is what it is, it leads on.
    let width = arch.pointer_width() as u64;
    let fp = (arch != Arch::X64).then(|| crate::scan::word(stack, arch, frame.sp.checked_sub(2 * width)?)).flatten();
    Some(found(arch, frame, fp.filter(|&fp| fp >= frame.sp)))
}

fn found(arch: Arch, frame: Frame, fp: Option<u64>) -> UnwoundFrame {
    let mut context = Context::new(arch);
    context.set_ip(frame.ip);
    context.set_sp(frame.sp);
    if let Some(fp) = fp {
        context.set_fp(fp);
    }
    UnwoundFrame { frame, context, position: Position::AfterCall, broken: None }
}

/// Kernel code never runs with the privilege bits of its code segment set.
fn is_user_mode(context: &Context) -> bool {
    let registers: &[(Arch, usize, u64)] = &[(Arch::X64, 18, 3), (Arch::X86, 10, 3)];
    let segment = registers.iter().find(|(arch, ..)| *arch == context.arch());
    segment.is_some_and(|&(_, register, mask)| context.get(register).is_some_and(|cs| cs & mask == 3))
}

/// Memory, with the code of images behind it: a minidump holds hardly any.
struct WithImages<'a> {
    stack: &'a dyn Stack,
    images: &'a dyn Images,
}

impl Stack for WithImages<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let read = self.stack.read(address, buffer);
        if read > 0 {
            return read;
        }
        let image = self.images.image_at(address);
        image.and_then(|image| Some(image.source.read(image.rva(address)?, buffer))).unwrap_or(0)
    }

    fn may_be_code(&self, address: u64) -> bool {
        self.stack.may_be_code(address)
    }

    fn may_be_called(&self, from: u64, target: u64) -> bool {
        self.stack.may_be_called(from, target)
    }
}
