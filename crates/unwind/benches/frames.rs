//! Frames a second: a real minidump's driver frames, and a deep stack of real functions of each 64-bit processor.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops where something is wrong")]

#[path = "../tests/common/mod.rs"]
mod common;

use bugcheck_dump::{Arch, FileBytes};
use bugcheck_unwind::{Context, Image, Images, Position, ReadRva, Stack, Walk, pe, step, unwind};
use common::Machine;
use divan::counter::ItemsCount;

const BASE: u64 = 0xffff_f801_2300_0000;
const STACK: u64 = 0xffff_9000_0000_0000;

fn main() {
    divan::main();
}

/// The faulting stack of rizin's dump: amdppm and Wdf01000 by unwind data, nt (whose image is not at hand) by scan.
#[divan::bench]
fn minidump(bencher: divan::Bencher<'_, '_>) {
    let Some(dump) = common::data("dumps/rizinorg_rizin-testbins__triage_x64.dmp") else { return };
    let mut machine = Machine::open(&dump);
    machine.add(&common::data("symbols/amdppm.sys/c9c030003b000/amdppm.sys").unwrap());
    machine.add(&common::data("symbols/Wdf01000.sys/a9a9d36ed1000/Wdf01000.sys").unwrap());
    let start = Context::from_registers(&machine.context(machine.dump.header().bug_check.parameters[3]));
    let frames = unwind(&machine, &machine, &start).frames.len();
    bencher.counter(ItemsCount::new(frames)).bench_local(|| unwind(&machine, &machine, &start));
}

/// A stack of calls of all functions of an image that can be unwound from their body, one above the other.
struct Deep {
    file: pe::File<FileBytes>,
    image: bugcheck_unwind::Layout,
    memory: Vec<u64>,
    start: Context,
    frames: usize,
}

impl Stack for Deep {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let at = usize::try_from(address.wrapping_sub(STACK) / 8).unwrap_or(usize::MAX);
        let mut read = 0;
        for (slot, word) in buffer.chunks_mut(8).zip(self.memory.get(at..).unwrap_or_default()) {
            slot.copy_from_slice(&word.to_le_bytes()[..slot.len()]);
            read += slot.len();
        }
        read
    }

    fn may_be_code(&self, address: u64) -> bool {
        address.wrapping_sub(BASE) < self.image.size.into()
    }
}

impl Images for Deep {
    fn image_at(&self, address: u64) -> Option<Image<'_>> {
        let image = Image { base: BASE, layout: self.image, source: &self.file };
        image.rva(address).map(|_| image)
    }
}

impl Deep {
    /// Lays out the stack frame by frame: the word that was read as the return address becomes one.
    fn new(arch: Arch, file: pe::File<FileBytes>) -> Self {
        let image = Image::read(BASE, &file).unwrap().layout;
        let mut start = Context::new(arch);
        for register in 0..31 {
            start.set(register, STACK);
        }
        start.set_sp(STACK);
        let mut deep = Self { file, image, memory: vec![0; 0x2_0000], start, frames: 0 };
        let calls = deep.calls(arch);
        start.set_ip(calls[0]);
        deep.start = start;
        let mut context = start;
        // The first 200 calls, spread over the image, whose functions use the stack and no frame pointer that we do not have.
        for &call in calls.iter().step_by((calls.len() / 4000).max(1)) {
            let Some(next) = deep.lay(&context, call) else { continue };
            context = next;
            deep.frames += 1;
            if deep.frames == 200 {
                break;
            }
        }
        deep
    }

    /// Makes `call` the return address above a frame.
    fn lay(&mut self, context: &Context, call: u64) -> Option<Context> {
        let sp = context.sp()?;
        // What the step reads as return address is found by its mark: each word is its own address.
        let at = usize::try_from((sp - STACK) / 8).ok()?;
        let saved: Vec<u64> = self.memory.get(at..at + 0x200)?.to_vec();
        for (index, word) in self.memory[at..at + 0x200].iter_mut().enumerate() {
            *word = sp + 8 * index as u64;
        }
        let read = step(self, self, context, Position::AfterCall).ok().filter(|caller| !caller.guessed && caller.machine_frame.is_none());
        self.memory[at..at + 0x200].copy_from_slice(&saved);
        let place = |address: u64| usize::try_from(address.wrapping_sub(STACK) / 8).ok();
        let (slot, top) = (place(read?.context.ip()?)?, place(read?.context.sp()?)?);
        if slot < at || slot >= top || top > at + 0x200 {
            return None;
        }
        // Frame pointers of frames further up lie right where the frame begins.
        self.memory[at..top].fill(STACK + 8 * top as u64);
        self.memory[slot] = call;
        let caller = step(self, self, context, Position::AfterCall).ok()?.context;
        (caller.ip() == Some(call) && caller.sp()? > sp && self.step_on(&caller)).then_some(caller)
    }

    /// True if the frame can be unwound in its turn.
    fn step_on(&self, context: &Context) -> bool {
        let next = step(self, self, context, Position::AfterCall);
        next.is_ok_and(|next| {
            !next.guessed
                && next.machine_frame.is_none()
                && next.context.sp() > context.sp()
                && next.context.sp() < context.sp().map(|sp| sp + 0x800)
        })
    }

    /// Return addresses: what lies behind relative calls.
    fn calls(&self, arch: Arch) -> Vec<u64> {
        let text = self.file.sections().iter().find(|section| section.is_code()).unwrap().memory;
        let mut code = vec![0; text.size as usize];
        let length = self.file.read(text.rva, &mut code);
        let base = BASE + u64::from(text.rva);
        let seen = |address: &u64| {
            bugcheck_unwind::call_before(&Code(&code[..length], base, self), arch, *address) == bugcheck_unwind::CallBefore::Seen
        };
        (base + 16..base + length as u64).filter(|address| arch == Arch::X64 || address.is_multiple_of(4)).filter(seen).collect()
    }
}

struct Code<'c>(&'c [u8], u64, &'c Deep);

impl Stack for Code<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let bytes = usize::try_from(address.wrapping_sub(self.1)).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        length
    }

    fn may_be_code(&self, address: u64) -> bool {
        self.2.may_be_code(address)
    }
}

#[divan::bench(args = ["x64", "arm64"])]
fn deep_stack(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(path) = common::node_pty(name).into_iter().find(|path| path.ends_with("conpty/OpenConsole.exe")) else { return };
    let arch = if name == "x64" { Arch::X64 } else { Arch::Arm64 };
    let deep = Deep::new(arch, common::image_file(&path));
    let walk: Walk = unwind(&deep, &deep, &deep.start);
    let truly = walk.frames.iter().filter(|frame| frame.frame.trust == bugcheck_unwind::Trust::Unwind).count();
    eprintln!("{name}: {} frames, {truly} by unwind data", walk.frames.len());
    bencher.counter(ItemsCount::new(walk.frames.len())).bench_local(|| unwind(&deep, &deep, &deep.start));
}
