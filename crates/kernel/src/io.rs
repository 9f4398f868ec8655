//! I/O objects: UNICODE_STRING, DRIVER_OBJECT, DEVICE_OBJECT, IRP. Their layouts are in the public `wdm.h`; the x64 offsets are
//! verified on a real 0x9F dump, the x86 ones follow from the same declarations.

use bugcheck_dump::{Memory, Missing, VirtAddr};

/// Where the structures keep their fields for one pointer width.
struct Layout {
    unicode_buffer: u64,
    driver_start: u64,
    driver_size: u64,
    driver_name: u64,
    device_driver: u64,
    device_attached: u64,
    irp_stack_count: u64,
    irp_current: u64,
    irp_thread: u64,
    irp_current_stack_location: u64,
    location_device: u64,
}

const LAYOUT64: Layout = Layout {
    unicode_buffer: 8,
    driver_start: 0x18,
    driver_size: 0x20,
    driver_name: 0x38,
    device_driver: 8,
    device_attached: 0x18,
    irp_stack_count: 0x42,
    irp_current: 0x43,
    irp_thread: 0x98,
    irp_current_stack_location: 0xb8,
    location_device: 0x28,
};

const LAYOUT32: Layout = Layout {
    unicode_buffer: 4,
    driver_start: 0xc,
    driver_size: 0x10,
    driver_name: 0x1c,
    device_driver: 8,
    device_attached: 0x10,
    irp_stack_count: 0x22,
    irp_current: 0x23,
    irp_thread: 0x50,
    irp_current_stack_location: 0x60,
    location_device: 0x14,
};

fn layout(width: usize) -> &'static Layout {
    if width == 4 { &LAYOUT32 } else { &LAYOUT64 }
}

/// A DRIVER_OBJECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverObject {
    /// Where it lies.
    pub address: VirtAddr,
    /// Its object name, such as `\Driver\disk`, if the dump has the text.
    pub name: Option<String>,
    /// Base of the driver's image.
    pub start: VirtAddr,
    /// Size of the image.
    pub size: u32,
}

impl DriverObject {
    /// Reads it.
    ///
    /// # Errors
    /// What is missing of the object itself; a missing name is no error.
    pub fn read(memory: Memory<'_>, width: usize, address: VirtAddr) -> Result<Self, Missing> {
        let layout = layout(width);
        Ok(Self {
            address,
            start: memory.pointer(address.offset(layout.driver_start), width)?,
            size: memory.u32(address.offset(layout.driver_size))?,
            name: unicode_string(memory, width, address.offset(layout.driver_name)),
        })
    }

    /// True if this can be a driver object at all: its type mark is 4 (IO_TYPE_DRIVER).
    #[must_use]
    pub fn looks_like_one(memory: Memory<'_>, address: VirtAddr) -> bool {
        memory.u16(address) == Ok(4)
    }
}

/// A DEVICE_OBJECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceObject {
    /// Where it lies.
    pub address: VirtAddr,
    /// The driver it belongs to.
    pub driver: VirtAddr,
    /// The device attached above it.
    pub attached: Option<VirtAddr>,
}

impl DeviceObject {
    /// Reads it.
    ///
    /// # Errors
    /// What is missing.
    pub fn read(memory: Memory<'_>, width: usize, address: VirtAddr) -> Result<Self, Missing> {
        let layout = layout(width);
        let attached = memory.pointer(address.offset(layout.device_attached), width)?;
        Ok(Self {
            address,
            driver: memory.pointer(address.offset(layout.device_driver), width)?,
            attached: (attached.0 != 0).then_some(attached),
        })
    }
}

/// One stack location of an IRP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackLocation {
    /// IRP_MJ_ code.
    pub major: u8,
    /// Minor code.
    pub minor: u8,
    /// The device it was sent to.
    pub device: VirtAddr,
}

/// An IRP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Irp {
    /// Where it lies.
    pub address: VirtAddr,
    /// Number of stack locations.
    pub stack_count: u8,
    /// The location in use, counted from 1; above `stack_count` once it is complete.
    pub current_location: u8,
    /// The thread that sent it.
    pub thread: VirtAddr,
    /// The location in use.
    pub current: Option<StackLocation>,
}

impl Irp {
    /// Reads it.
    ///
    /// # Errors
    /// What is missing of the IRP itself.
    pub fn read(memory: Memory<'_>, width: usize, address: VirtAddr) -> Result<Self, Missing> {
        let layout = layout(width);
        let byte = |offset| memory.array::<1>(address.offset(offset)).map(|[byte]| byte);
        let location = memory.pointer(address.offset(layout.irp_current_stack_location), width)?;
        let current = (|| {
            let [major, minor] = memory.array::<2>(location)?;
            Ok::<_, Missing>(StackLocation { major, minor, device: memory.pointer(location.offset(layout.location_device), width)? })
        })();
        Ok(Self {
            address,
            stack_count: byte(layout.irp_stack_count)?,
            current_location: byte(layout.irp_current)?,
            thread: memory.pointer(address.offset(layout.irp_thread), width)?,
            current: current.ok(),
        })
    }
}

/// The devices from `bottom` (a physical device object) upwards, with the driver of each where the dump has it.
#[must_use]
pub fn attached_devices(memory: Memory<'_>, width: usize, bottom: VirtAddr) -> Vec<(DeviceObject, Option<DriverObject>)> {
    let mut stack: Vec<(DeviceObject, Option<DriverObject>)> = Vec::new();
    let mut next = Some(bottom);
    // 64 devices are far more than any real stack; a list that returns to itself stops there too.
    while let Some(address) = next.filter(|&address| stack.len() < 64 && stack.iter().all(|(device, _)| device.address != address)) {
        let Ok(device) = DeviceObject::read(memory, width, address) else { break };
        next = device.attached;
        let driver = DriverObject::read(memory, width, device.driver).ok();
        stack.push((device, driver));
    }
    stack
}

/// The text of the UNICODE_STRING at an address, if the dump has it and it is sane.
#[must_use]
pub fn unicode_string(memory: Memory<'_>, width: usize, address: VirtAddr) -> Option<String> {
    let length = usize::from(memory.u16(address).ok()?);
    let capacity = usize::from(memory.u16(address.offset(2)).ok()?);
    let buffer = memory.pointer(address.offset(layout(width).unicode_buffer), width).ok()?;
    if length == 0 || length > capacity || length > 1024 || length % 2 != 0 {
        return None;
    }
    let mut bytes = vec![0; length];
    memory.try_read_exact(buffer, &mut bytes)?;
    bugcheck_dump::Fields(&bytes).utf16(0, length / 2).filter(|text| !text.is_empty())
}
