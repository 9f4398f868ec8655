//! x64 I/O objects, public in `wdm.h`, with the offsets confirmed on a real 0x9F dump.

use crate::Blob;
use crate::blob::utf16;

/// UNICODE_STRING for x64: {u16 length, u16 maximum length, pad, u64 buffer}.
pub fn unicode_string(text: &str, buffer: u64) -> Vec<u8> {
    let length = u16::try_from(utf16(text).len()).unwrap();
    let mut b = Blob::new(16);
    b.u16(0, length).u16(2, length).u64(8, buffer);
    b.done()
}

/// DRIVER_OBJECT (0x150 bytes); the name's text follows it directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DriverObject {
    pub address: u64,
    pub device_object: u64,
    pub driver_start: u64,
    pub driver_size: u32,
    /// `\Driver\name`
    pub name: String,
}

impl DriverObject {
    /// The object and its name.
    pub fn bytes(&self) -> Vec<u8> {
        let mut b = Blob::new(0x150);
        b.u16(0, 4).u16(2, 0x150).u64(8, self.device_object).u32(0x10, 0x12);
        b.u64(0x18, self.driver_start).u32(0x20, self.driver_size);
        b.bytes(0x38, &unicode_string(&self.name, self.address + 0x150));
        b.bytes(0x150, &utf16(&self.name));
        b.done()
    }
}

/// DEVICE_OBJECT (0x150 bytes).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DeviceObject {
    pub driver_object: u64,
    pub next_device: u64,
    pub attached_device: u64,
    pub current_irp: u64,
    pub device_extension: u64,
    pub device_type: u32,
    pub stack_size: u8,
}

impl DeviceObject {
    /// The object.
    pub fn bytes(&self) -> Vec<u8> {
        let mut b = Blob::new(0x150);
        b.u16(0, 3).u16(2, 0x150).u64(8, self.driver_object).u64(0x10, self.next_device);
        b.u64(0x18, self.attached_device).u64(0x20, self.current_irp).u32(0x30, 0x1050);
        b.u64(0x40, self.device_extension).u32(0x48, self.device_type).u8(0x4c, self.stack_size);
        b.done()
    }
}

/// IO_STACK_LOCATION (0x48 bytes).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StackLocation {
    pub major: u8,
    pub minor: u8,
    pub control: u8,
    pub parameters: [u64; 4],
    pub device_object: u64,
    pub completion_routine: u64,
    pub context: u64,
}

/// IRP (0xd0 bytes) and its stack locations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Irp {
    pub address: u64,
    pub status: u32,
    pub thread: u64,
    /// First is the lowest device's, as in memory.
    pub stack: Vec<StackLocation>,
    /// 1-based, as the IRP counts.
    pub current_location: u8,
}

impl Irp {
    /// The packet.
    pub fn bytes(&self) -> Vec<u8> {
        let count = self.stack.len();
        let mut b = Blob::new(0xd0 + 0x48 * count);
        let size = u16::try_from(b.len()).unwrap();
        b.u16(0, 6).u16(2, size).u64(0x20, self.address + 0x20).u64(0x28, self.address + 0x20);
        b.u32(0x30, self.status).u8(0x42, u8::try_from(count).unwrap()).u8(0x43, self.current_location);
        b.u64(0x98, self.thread).u64(0xb8, self.address + 0xd0 + 0x48 * (u64::from(self.current_location) - 1));
        for (i, s) in self.stack.iter().enumerate() {
            let at = 0xd0 + 0x48 * i;
            b.u8(at, s.major).u8(at + 1, s.minor).u8(at + 3, s.control);
            for (k, p) in s.parameters.into_iter().enumerate() {
                b.u64(at + 8 + 8 * k, p);
            }
            b.u64(at + 0x28, s.device_object).u64(at + 0x38, s.completion_routine).u64(at + 0x40, s.context);
        }
        b.done()
    }
}

/// The triage block of 0x9F/3: signature 0x8000, revision 2, IRP list, thread list, delayed work queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Triage9fPower {
    pub irp_list: u64,
    pub thread_list: u64,
    pub delayed_work_queue: u64,
    pub delayed_io_work_queue: u64,
}

impl Triage9fPower {
    /// The block, 0x28 bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut b = Blob::new(0x28);
        b.u16(0, 0x8000).u16(2, 2).u64(8, self.irp_list).u64(0x10, self.thread_list);
        b.u64(0x18, self.delayed_work_queue).u64(0x20, self.delayed_io_work_queue);
        b.done()
    }
}
