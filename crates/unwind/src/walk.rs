//! The way up a whole stack: unwind data where there is some, frame pointers and scanning where there is none.

use crate::scan::{next_candidate, saved_pair};
use crate::step::{confirm, judge, step};
use crate::{Break, CallBefore, Context, Frame, Images, MOST_FRAMES, Position, Stack, Trust};
use bugcheck_dump::Arch;

/// A stack crosses from one interrupt or fault into another this often at most: there are seven IST stacks, and a double fault
/// on a nested interrupt is four crossings.
const MOST_CROSSINGS: usize = 16;
/// All scans of a walk together look at so many bytes: four times the largest stack.
const MOST_SCANNED: u64 = 0x8_0000;

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
    let mut used = Used { crossings: 0, scanned: 0 };
    loop {
        let next = next(stack, images, &mut current, &mut used);
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

/// What a walk has used of its limits.
struct Used {
    crossings: usize,
    scanned: u64,
}

fn next(stack: &dyn Stack, images: &dyn Images, current: &mut UnwoundFrame, used: &mut Used) -> Result<UnwoundFrame, End> {
    match by_unwind_data(stack, images, current, used) {
        Ok(found) => return found,
        Err(reason) => current.broken = Some(reason),
    }
    by_frame_pointer(stack, &current.context).or_else(|| by_scan(stack, &current.context, used)).ok_or(End::NothingFound)
}

fn by_unwind_data(
    stack: &dyn Stack,
    images: &dyn Images,
    current: &UnwoundFrame,
    used: &mut Used,
) -> Result<Result<UnwoundFrame, End>, Break> {
    let caller = step(stack, images, &current.context, current.position)?;
    if caller.machine_frame.is_some() {
        used.crossings += 1;
        if used.crossings > MOST_CROSSINGS {
            let (from, to) = (current.frame.sp, caller.context.sp().unwrap_or(0));
            return Err(Break::NotGrowing { from, to });
        }
    } else if caller.context.ip() == Some(0) && !caller.guessed {
        return Ok(Err(End::Bottom));
    }
    let call = judge(stack, &current.context, current.position, &caller)?;
    if current.frame.trust == Trust::Scan {
        confirm(stack, images, current.frame.ip.wrapping_sub(1), &caller)?;
    }
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

fn by_scan(stack: &dyn Stack, context: &Context, used: &mut Used) -> Option<UnwoundFrame> {
    let (arch, sp) = (context.arch(), context.sp()?);
    let frame = if used.scanned < MOST_SCANNED { next_candidate(stack, arch, sp)? } else { return None };
    used.scanned += frame.sp.saturating_sub(sp);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{BASE, INFO, Machine, STACK};
    use crate::{NoImages, walk};

    /// `outer` (0x1000) pushes RBX; `inner` (0x2000) allocates 0x20; `trap` (0x3000) runs on a machine frame.
    fn machine() -> Machine {
        let mut machine = Machine::new(Arch::X64);
        machine.entry(&[0x1000, 0x2000, INFO]);
        machine.entry(&[0x2000, 0x3000, INFO + 0x10]);
        machine.entry(&[0x3000, 0x4000, INFO + 0x20]);
        machine.image_bytes(INFO, &[1, 1, 1, 0, 1, 0x30, 0, 0]);
        machine.image_bytes(INFO + 0x10, &[1, 4, 1, 0, 4, 0x32, 0, 0]);
        machine.image_bytes(INFO + 0x20, &[1, 4, 2, 0, 4, 0x12, 0, 0x0a]);
        machine
    }

    fn ips(walk: &Walk) -> Vec<(u64, Trust)> {
        walk.frames.iter().map(|frame| (frame.frame.ip.wrapping_sub(BASE), frame.frame.trust)).collect()
    }

    #[test]
    fn a_whole_stack_from_an_exception_stack_to_the_bottom() {
        let mut machine = machine();
        let (outer, inner) = (machine.call_before(0x1800), machine.call_before(0x2800));
        // On the exception stack, which lies above the thread's.
        let exception = STACK + 0x10_0000;
        machine.words(exception, &[0, 0, BASE + 0x2010, 0x10, 0x202, STACK, 0x18]);
        // inner was interrupted; its caller is inner again, then outer, then nobody.
        machine.words(STACK, &[0, 0, 0, 0, inner]);
        machine.words(STACK + 0x28, &[0, 0, 0, 0, outer]);
        machine.words(STACK + 0x50, &[7, 0]);
        let walk = unwind(&machine, &machine, &machine.context(0x3100, exception));
        assert_eq!(ips(&walk), [(0x3100, Trust::Context), (0x2010, Trust::Unwind), (0x2800, Trust::Unwind), (0x1800, Trust::Unwind)]);
        assert_eq!(walk.end, End::Bottom);
        assert_eq!(walk.frames[1].position, Position::Exact);
        assert!(walk.frames.iter().all(|frame| frame.broken.is_none()));
        assert_eq!(machine.interrupted.borrow().len(), 1);
    }

    #[test]
    fn user_mode_ends_a_walk() {
        let mut machine = machine();
        machine.words(STACK, &[0, 0, 0x7ff6_0000_1000, 0x33, 0x202, 0x1000, 0x2b]);
        let walk = unwind(&machine, &machine, &machine.context(0x3100, STACK));
        assert_eq!((walk.frames.len(), walk.end), (2, End::UserMode));
    }

    #[test]
    fn a_broken_frame_says_why_and_scanning_goes_on_from_it() {
        let mut machine = machine();
        let (outer, inner) = (machine.call_of(0x2000, 0x1800), machine.call_before(0x2800));
        // The return address of inner was overwritten.
        machine.words(STACK, &[0, 0, 0, 0, 0x4141_4141_4141_4141, inner, 0, 0, 0, 0, outer, 7, 0]);
        let walk = unwind(&machine, &machine, &machine.context(0x2100, STACK));
        assert_eq!(ips(&walk), [(0x2100, Trust::Context), (0x2800, Trust::Scan), (0x1800, Trust::Unwind)]);
        assert_eq!(walk.frames[0].broken, Some(Break::NotCode(0x4141_4141_4141_4141)));
        assert_eq!(walk.frames[1].broken, None);
        assert_eq!(walk.end, End::Bottom);
    }

    #[test]
    fn what_an_earlier_call_left_behind_does_not_hide_the_frame_behind_it() {
        let mut machine = machine();
        // Something called inner once, but the return address above that frame follows a call of outer.
        let (stale, inner, outer) = (machine.call_before(0x2900), machine.call_before(0x2800), machine.call_of(0x1000, 0x1800));
        machine.words(STACK, &[0, 0, 0, 0, 1, stale, 0, 0, inner, 0, outer, 7, 0]);
        let walk = unwind(&machine, &machine, &machine.context(0x2100, STACK));
        assert_eq!(ips(&walk), [(0x2100, Trust::Context), (0x2900, Trust::Scan), (0x2800, Trust::Scan), (0x1800, Trust::Scan)]);
        assert_eq!(walk.frames[1].broken, Some(Break::OtherFunction(outer)));
        assert_eq!(walk.end, End::Bottom);
    }

    #[test]
    fn stacks_that_lead_back_to_themselves_end() {
        let mut machine = machine();
        // A machine frame that names the handler itself, on the same stack.
        machine.words(STACK, &[0, 0, BASE + 0x3100, 0x10, 0x202, STACK, 0x18]);
        let walk = unwind(&machine, &machine, &machine.context(0x3100, STACK));
        assert!(walk.frames.len() <= MOST_CROSSINGS + 2, "{}", walk.frames.len());
        assert!(walk.frames.iter().any(|frame| matches!(frame.broken, Some(Break::NotGrowing { .. }))));
        // As many calls as fit.
        let mut machine = super::tests::machine();
        let inner = machine.call_before(0x2800);
        for call in 0..600 {
            machine.words(STACK + 0x28 * call, &[0, 0, 0, 0, inner]);
        }
        let walk = unwind(&machine, &machine, &machine.context(0x2100, STACK));
        assert_eq!((walk.frames.len(), walk.end), (MOST_FRAMES, End::TooManyFrames));
    }

    #[test]
    fn without_images_the_frames_are_those_of_a_plain_walk() {
        let mut machine = machine();
        let (outer, inner) = (machine.call_before(0x1800), machine.call_before(0x2800));
        machine.words(STACK, &[0, inner, 0, outer, BASE + 0x55, 3, outer, 0]);
        let start = machine.context(0x2100, STACK);
        let plain = walk(&machine, &start.registers());
        let frames: Vec<Frame> = unwind(&machine, &NoImages, &start).frames.iter().map(|frame| frame.frame).collect();
        assert_eq!(frames, plain);
        assert!(unwind(&machine, &NoImages, &Context::new(Arch::X64)).frames.is_empty());
    }

    #[test]
    fn arm64_goes_on_by_frame_pointers_where_there_is_no_unwind_data() {
        let mut machine = Machine::new(Arch::Arm64);
        let callers = [machine.call_before(0x1800), machine.call_before(0x2800)];
        machine.words(STACK + 0x10, &[STACK + 0x40, callers[0]]);
        machine.words(STACK + 0x40, &[0, callers[1]]);
        let mut start = machine.context(0x100, STACK);
        start.set_fp(STACK + 0x10);
        let walk = unwind(&machine, &NoImages, &start);
        assert_eq!(ips(&walk), [(0x100, Trust::Context), (0x1800, Trust::FramePointer), (0x2800, Trust::FramePointer)]);
        assert_eq!((walk.frames[0].broken, walk.end), (Some(Break::NoImage(BASE + 0x100)), End::NothingFound));
    }
}
