//! Entries for fuzzing: anything may come in, and nothing but a result may come out.

use crate::image::Directory;
use crate::{Context, Image, Images, Layout, MachineFrame, ReadRva, Stack, pe, unwind, x86};
use bugcheck_dump::{Arch, Fields};

const BASE: u64 = 0xffff_f800_0000_0000;
const STACK: u64 = 0xffff_9000_0000_0000;
/// The image of a fuzzed walk: half of it is the exception directory, all of it is code and unwind data.
const SIZE: u32 = 0x1_0000;

/// Bytes that serve as image and as stack.
struct Everything<'d> {
    arch: Arch,
    data: &'d [u8],
    program: &'d str,
}

/// Bytes by relative address, from the beginning again behind their end.
struct Repeated<'d>(&'d [u8]);

impl ReadRva for Repeated<'_> {
    fn read(&self, rva: u32, buffer: &mut [u8]) -> usize {
        repeat(self.0, u64::from(rva), buffer)
    }
}

fn repeat(data: &[u8], at: u64, buffer: &mut [u8]) -> usize {
    let Some(start) = at.checked_rem(data.len() as u64).and_then(|start| usize::try_from(start).ok()) else { return 0 };
    let rest = data.get(start..).unwrap_or_default();
    for (slot, &byte) in buffer.iter_mut().zip(rest.iter().chain(data.iter().cycle())) {
        *slot = byte;
    }
    buffer.len()
}

impl Stack for Everything<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        // The upper half of addresses ends a walk that runs away.
        if address & 0x10_0000 != 0 { 0 } else { repeat(self.data, address, buffer) }
    }

    fn may_be_code(&self, _address: u64) -> bool {
        true
    }
}

impl Images for Everything<'_> {
    fn image_at(&self, address: u64) -> Option<Image<'_>> {
        let exceptions = Directory { rva: 0, size: SIZE / 2 };
        let layout = Layout { arch: self.arch, size: u32::MAX, exceptions };
        // Every address lies in an image, so that a walk goes on.
        let source: &dyn ReadRva = self;
        Some(Image { base: address & !u64::from(SIZE - 1), layout, source })
    }

    fn frame_data(&self, address: u64) -> Option<x86::FrameData<'_>> {
        let kind = match address & 3 {
            0 => x86::FrameKind::Program(self.program),
            1 => x86::FrameKind::Omitted { uses_ebp: address & 4 != 0 },
            2 => x86::FrameKind::Standard,
            _ => x86::FrameKind::Trap,
        };
        let locals = u32::try_from(address >> 3 & 0xff).unwrap_or(0);
        Some(x86::FrameData { locals, parameters: locals, saved_registers: locals, kind })
    }

    fn interrupted(&self, frame: MachineFrame, context: &mut Context) {
        if self.arch == Arch::X86 {
            context.set_ip(frame.body & 0xffff_ffff);
            context.set_sp(frame.address & 0xffff_ffff);
        }
    }
}

impl ReadRva for Everything<'_> {
    fn read(&self, rva: u32, buffer: &mut [u8]) -> usize {
        Repeated(self.data).read(rva, buffer)
    }
}

/// Walks a stack of an architecture whose memory, unwind data and code are all these bytes.
pub fn walk(arch: Arch, data: &[u8]) {
    let program = std::str::from_utf8(data).unwrap_or("$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =");
    let machine = Everything { arch, data, program };
    let mask = if arch == Arch::X86 { 0xffff_ffff } else { u64::MAX };
    let mut context = Context::new(arch);
    for register in 0..32 {
        context.set(register, (STACK + Fields(data).u16(register * 2).map_or(0, u64::from)) & mask);
    }
    context.set_ip((BASE + Fields(data).u16(0).map_or(0, u64::from)) & mask);
    let _ = unwind(&machine, &machine, &context);
}

/// Reads all tables of a PE file.
pub fn pe(data: &[u8]) {
    if let Ok(file) = pe::File::parse(data) {
        let _ = pe::Identity::read(&file);
        let _ = pe::CodeView::read(&file).map(|record| record.identifier());
        let _ = pe::Exports::read(&file).nearest(0x1000);
        if let Some(image) = Image::read(BASE, &file) {
            let _ = image.rva(BASE + 0x1000);
        }
    }
}
