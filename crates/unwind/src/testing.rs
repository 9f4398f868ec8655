//! A machine and images put together by hand.

use crate::image::{Directory, Image, Images, Layout, MachineFrame, ReadRva};
use crate::{Caller, Context, Position, Stack, step, x86};
use bugcheck_dump::Arch;
use std::cell::RefCell;
use std::collections::BTreeMap;

pub const BASE: u64 = 0xffff_f800_0100_0000;
pub const STACK: u64 = 0xffff_9000_0000_0000;
pub const TABLE: u32 = 0x8000;
pub const INFO: u32 = 0x9000;

/// Memory in words, an image in bytes; what was not put there is a hole.
pub struct Machine {
    pub arch: Arch,
    pub memory: BTreeMap<u64, u8>,
    pub image: Bytes,
    pub entries: u32,
    pub frame_data: Option<x86::FrameData<'static>>,
    pub interrupted: RefCell<Vec<MachineFrame>>,
    pub code: std::ops::Range<u64>,
}

#[derive(Default)]
pub struct Bytes(pub BTreeMap<u32, u8>);

impl ReadRva for Bytes {
    fn read(&self, rva: u32, buffer: &mut [u8]) -> usize {
        let there = (rva..).zip(buffer.iter_mut()).map_while(|(at, slot)| self.0.get(&at).map(|&byte| *slot = byte));
        there.count()
    }
}

impl Machine {
    pub fn new(arch: Arch) -> Self {
        let code = BASE..BASE + 0x10_0000;
        let image = Bytes::default();
        Self { arch, memory: BTreeMap::new(), image, entries: 0, frame_data: None, interrupted: RefCell::default(), code }
    }

    pub fn put(&mut self, address: u64, bytes: &[u8]) {
        self.memory.extend((address..).zip(bytes.iter().copied()));
    }

    pub fn word(&mut self, address: u64, value: u64) {
        let width = self.arch.pointer_width();
        self.put(address, &value.to_le_bytes()[..width]);
    }

    /// Words one after the other.
    pub fn words(&mut self, address: u64, values: &[u64]) {
        for (index, &value) in values.iter().enumerate() {
            self.word(address + (index * self.arch.pointer_width()) as u64, value);
        }
    }

    pub fn image_bytes(&mut self, rva: u32, bytes: &[u8]) {
        self.image.0.extend((rva..).zip(bytes.iter().copied()));
    }

    /// Adds an entry to the exception directory; they must come in order.
    pub fn entry(&mut self, fields: &[u32]) {
        let size = if self.arch == Arch::X64 { 12 } else { 8 };
        let bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
        assert_eq!(bytes.len(), size);
        self.image_bytes(TABLE + self.entries * size as u32, &bytes);
        self.entries += 1;
    }

    /// Code with a call before `rva`, so that it can be a return address.
    pub fn call_before(&mut self, rva: u32) -> u64 {
        match self.arch {
            Arch::Arm64 => self.image_bytes(rva - 8, &[0x1f, 0x20, 0x03, 0xd5, 0x10, 0, 0, 0x94]),
            _ => self.image_bytes(rva - 8, &[0x90, 0x90, 0x90, 0xe8, 0x10, 0, 0, 0]),
        }
        BASE + u64::from(rva)
    }

    /// Code with a call of `target` before `rva` (x64).
    pub fn call_of(&mut self, target: u32, rva: u32) -> u64 {
        let [a, b, c, d] = target.wrapping_sub(rva).to_le_bytes();
        self.image_bytes(rva - 8, &[0x90, 0x90, 0x90, 0xe8, a, b, c, d]);
        BASE + u64::from(rva)
    }

    pub fn context(&self, rva: u32, sp: u64) -> Context {
        let mut context = Context::new(self.arch);
        context.set_ip(BASE + u64::from(rva));
        context.set_sp(sp);
        context
    }

    pub fn step(&self, context: &Context) -> Result<Caller, crate::Break> {
        step(self, self, context, Position::Exact)
    }
}

impl Stack for Machine {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let there = (address..).zip(buffer.iter_mut()).map_while(|(at, slot)| self.memory.get(&at).map(|&byte| *slot = byte));
        there.count()
    }

    fn may_be_code(&self, address: u64) -> bool {
        self.code.contains(&address)
    }
}

impl Images for Machine {
    fn image_at(&self, address: u64) -> Option<Image<'_>> {
        let entry = if self.arch == Arch::X64 { 12 } else { 8 };
        let exceptions = Directory { rva: TABLE, size: self.entries * entry };
        let layout = Layout { arch: self.arch, size: 0x10_0000, exceptions };
        Some(Image { base: BASE, layout, source: &self.image }).filter(|image| image.rva(address).is_some())
    }

    fn frame_data(&self, _address: u64) -> Option<x86::FrameData<'_>> {
        self.frame_data
    }

    fn interrupted(&self, frame: MachineFrame, context: &mut Context) {
        self.interrupted.borrow_mut().push(frame);
        if self.arch == Arch::X86 {
            context.set_ip(BASE & 0xffff_ffff | 0x77);
            context.set_sp(frame.address + 0x74);
        } else {
            context.set(0, 0xa11);
        }
    }
}
