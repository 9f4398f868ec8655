//! Errors of conventional PCI: the bus section and the device section (UEFI specification, appendix N.2.8 and N.2.9;
//! `WHEA_PCIXBUS_ERROR_SECTION`, `WHEA_PCIXDEVICE_ERROR_SECTION`).

use super::memory::ErrorStatus;
use super::{Body, Context};
use crate::Part;
use crate::bytes::{Bytes, when};
use crate::finding::{Blame, Details, Finding};
use crate::words::{Severity, coded};

coded! {
    /// What happened on the bus.
    BusError {
        Unknown = 0 => "an unknown error",
        DataParity = 1 => "a data parity error",
        System = 2 => "a system error",
        MasterAbort = 3 => "a master abort",
        Timeout = 4 => "a bus timeout",
        MasterDataParity = 5 => "a master data parity error",
        AddressParity = 6 => "an address parity error",
        CommandParity = 7 => "a command parity error",
    }
}

/// A bus error. Fields not marked valid are absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Bus {
    /// The generic status.
    pub status: Option<ErrorStatus>,
    /// What happened.
    pub kind: Option<BusError>,
    /// Segment and bus.
    pub bus: Option<(u8, u8)>,
    /// The address on the bus.
    pub address: Option<u64>,
    /// The data on the bus.
    pub data: Option<u64>,
    /// The command on the bus.
    pub command: Option<u64>,
    /// Who asked.
    pub requester: Option<u64>,
    /// Who answered.
    pub completer: Option<u64>,
    /// Whom it was meant for.
    pub target: Option<u64>,
}

pub(super) fn decode_bus(b: Bytes<'_>, _: &Context) -> Option<Body> {
    let valid = b.u64(0)?;
    b.at(0, 72)?;
    let wide = |n, at| when(valid, n, b.u64(at));
    Some(Body::PciBus(Bus {
        status: wide(0, 8).map(ErrorStatus),
        kind: when(valid, 1, b.u16(16)).map(|c| BusError::from_code(c.into())),
        bus: when(valid, 2, b.u8(19).zip(b.u8(18))),
        address: wide(3, 24),
        data: wide(4, 32),
        command: wide(5, 40),
        requester: wide(6, 48),
        completer: wide(7, 56),
        target: wide(8, 64),
    }))
}

impl Bus {
    pub(super) fn finding(&self, severity: Severity) -> Finding {
        let what = self.kind.map_or_else(|| "an error".to_owned(), |k| k.to_string());
        let place = self.bus.map_or(String::new(), |(segment, bus)| format!(" {segment:02x}:{bus:02x}"));
        let mut d = Details::default();
        d.add("status", self.status.map(ErrorStatus::kind));
        d.hex("address", self.address);
        d.hex("data", self.data);
        d.hex("command", self.command);
        d.hex("requester", self.requester);
        d.hex("completer", self.completer);
        d.hex("target", self.target);
        Blame::new(Part::Bus, 0.7, "the bus or a device on it reported it").finding(
            severity,
            format!("PCI bus{place} reported {what} ({severity})."),
            d.0,
        )
    }
}

/// A device error. Fields not marked valid are absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// The generic status.
    pub status: Option<ErrorStatus>,
    /// Who it is.
    pub id: Option<DeviceId>,
    /// How many pairs of memory registers the section claims.
    pub memory_pairs: Option<u32>,
    /// How many pairs of I/O registers the section claims.
    pub io_pairs: Option<u32>,
}

/// Where the device is and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceId {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Class code.
    pub class: u32,
    /// Segment.
    pub segment: u8,
    /// Bus.
    pub bus: u8,
    /// Device number.
    pub slot_device: u8,
    /// Function.
    pub function: u8,
}

pub(super) fn decode_device(b: Bytes<'_>, _: &Context) -> Option<Body> {
    let valid = b.u64(0)?;
    b.at(0, 40)?;
    Some(Body::PciDevice(Device {
        status: when(valid, 0, b.u64(8)).map(ErrorStatus),
        id: when(valid, 1, device_id(b)),
        memory_pairs: when(valid, 2, b.u32(32)),
        io_pairs: when(valid, 3, b.u32(36)),
    }))
}

fn device_id(b: Bytes<'_>) -> Option<DeviceId> {
    Some(DeviceId {
        vendor: b.u16(16)?,
        device: b.u16(18)?,
        class: b.u32(20)? & 0x00ff_ffff,
        function: b.u8(23)?,
        slot_device: b.u8(24)?,
        bus: b.u8(25)?,
        segment: b.u8(26)?,
    })
}

impl Device {
    pub(super) fn finding(&self, severity: Severity) -> Finding {
        let what = self.status.map_or_else(|| "an error".to_owned(), |s| format!("a {}", s.kind()));
        let who = self.id.map_or(String::new(), |i| {
            format!(
                " {:02x}:{:02x}:{:02x}.{} (vendor {:04x}, device {:04x})",
                i.segment, i.bus, i.slot_device, i.function, i.vendor, i.device
            )
        });
        let mut d = Details::default();
        d.hex("class", self.id.map(|i| i.class));
        d.add("memory register pairs", self.memory_pairs);
        d.add("I/O register pairs", self.io_pairs);
        Blame::new(Part::Bus, 0.7, "the device or its bus reported it").finding(
            severity,
            format!("PCI device{who} reported {what} ({severity})."),
            d.0,
        )
    }
}
