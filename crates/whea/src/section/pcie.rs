//! The PCI Express section (UEFI specification, appendix N.2.7; `WHEA_PCIEXPRESS_ERROR_SECTION`), with the device's
//! Advanced Error Reporting registers read bit by bit (PCI Express base specification, chapter "Advanced Error
//! Reporting Extended Capability").

use std::fmt;

use super::{Body, Context};
use crate::Part;
use crate::bytes::{Bytes, bit, bits, when};
use crate::finding::{Blame, Details, Finding};
use crate::words::{Severity, coded, set_bits};

coded! {
    /// What stands at this place of the tree.
    PortKind {
        Endpoint = 0 => "endpoint",
        LegacyEndpoint = 1 => "legacy endpoint",
        RootPort = 4 => "root port",
        UpstreamPort = 5 => "upstream switch port",
        DownstreamPort = 6 => "downstream switch port",
        ToPciBridge = 7 => "bridge to PCI",
        FromPciBridge = 8 => "bridge from PCI",
        IntegratedEndpoint = 9 => "integrated endpoint",
        EventCollector = 10 => "root complex event collector",
    }
}

/// Where the device is and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceId {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Class code: base class, subclass, interface.
    pub class: u32,
    /// Segment.
    pub segment: u16,
    /// Its bus, or the bus above a bridge.
    pub bus: u8,
    /// The bus below a bridge.
    pub secondary_bus: u8,
    /// Device number.
    pub slot_device: u8,
    /// Function number.
    pub function: u8,
    /// The physical slot's number; 0 where there is none.
    pub slot: u16,
}

impl DeviceId {
    /// The base class of the class code.
    #[must_use]
    pub fn base_class(self) -> u32 {
        self.class >> 16
    }

    /// The class in words.
    #[must_use]
    pub fn class_name(self) -> Option<&'static str> {
        let full = CLASSES.iter().find(|(c, _)| *c == self.class >> 8);
        let base = || CLASSES.iter().find(|(c, _)| *c == self.base_class() << 8 | 0xff);
        full.or_else(base).map(|(_, name)| *name)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, bus, slot_device, function, .. } = self;
        write!(f, "{segment:04x}:{bus:02x}:{slot_device:02x}.{function}")
    }
}

/// Base class and subclass (PCI Code and ID Assignment Specification); subclass 0xff stands for the whole class.
const CLASSES: &[(u32, &str)] = &[
    (0x0106, "SATA controller"),
    (0x0108, "NVMe controller"),
    (0x01ff, "storage controller"),
    (0x02ff, "network adapter"),
    (0x03ff, "graphics adapter"),
    (0x04ff, "multimedia device"),
    (0x05ff, "memory controller"),
    (0x0604, "PCI bridge"),
    (0x06ff, "bridge"),
    (0x0c03, "USB controller"),
    (0x0cff, "serial bus controller"),
    (0x0dff, "wireless adapter"),
];

/// The Advanced Error Reporting registers, from the start of their capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aer {
    /// Uncorrectable errors seen.
    pub uncorrectable: u32,
    /// Uncorrectable errors not to be reported.
    pub uncorrectable_mask: u32,
    /// Uncorrectable errors to be reported as fatal.
    pub uncorrectable_severity: u32,
    /// Correctable errors seen.
    pub correctable: u32,
    /// Correctable errors not to be reported.
    pub correctable_mask: u32,
    /// Capabilities and control.
    pub control: u32,
    /// The header of the packet of the first uncorrectable error.
    pub header_log: [u32; 4],
    /// Root ports: errors received.
    pub root_status: Option<u32>,
    /// Root ports: who sent the first correctable error (low half) and the first uncorrectable one (high half).
    pub source_id: Option<u32>,
}

const UNCORRECTABLE: &[(u32, &str)] = &[
    (4, "data link protocol error"),
    (5, "surprise link down"),
    (12, "poisoned packet received"),
    (13, "flow control protocol error"),
    (14, "completion timeout"),
    (15, "completer abort"),
    (16, "unexpected completion"),
    (17, "receiver overflow"),
    (18, "malformed packet"),
    (19, "end-to-end CRC error"),
    (20, "unsupported request"),
    (21, "access control violation"),
    (22, "uncorrectable internal error"),
    (23, "multicast packet blocked"),
    (24, "atomic operation blocked"),
    (25, "packet prefix blocked"),
    (26, "poisoned packet blocked"),
    (27, "deferrable write blocked"),
    (28, "integrity check failed"),
    (29, "misrouted encrypted packet"),
    (30, "encrypted packet CRC error"),
];

const CORRECTABLE: &[(u32, &str)] = &[
    (0, "receiver error"),
    (6, "bad packet (TLP)"),
    (7, "bad link packet (DLLP)"),
    (8, "replay number rollover"),
    (12, "replay timer timeout"),
    (13, "advisory non-fatal error"),
    (14, "corrected internal error"),
    (15, "header log overflow"),
];

const ROOT_STATUS: &[(u32, &str)] = &[
    (0, "correctable error received"),
    (1, "several correctable errors received"),
    (2, "uncorrectable error received"),
    (3, "several uncorrectable errors received"),
    (4, "first uncorrectable was fatal"),
    (5, "non-fatal error messages received"),
    (6, "fatal error messages received"),
];

/// Device status of the PCI Express capability.
const DEVICE_STATUS: &[(u32, &str)] =
    &[(0, "correctable error detected"), (1, "non-fatal error detected"), (2, "fatal error detected"), (3, "unsupported request detected")];

/// PCI status register.
const PCI_STATUS: &[(u32, &str)] = &[
    (8, "master data parity error"),
    (11, "target abort signalled"),
    (12, "target abort received"),
    (13, "master abort received"),
    (14, "system error signalled"),
    (15, "parity error detected"),
];

impl Aer {
    fn read(b: Bytes<'_>) -> Option<Self> {
        let log = |n: usize| b.u32(0x1c + n * 4);
        Some(Self {
            uncorrectable: b.u32(0x04)?,
            uncorrectable_mask: b.u32(0x08)?,
            uncorrectable_severity: b.u32(0x0c)?,
            correctable: b.u32(0x10)?,
            correctable_mask: b.u32(0x14)?,
            control: b.u32(0x18)?,
            header_log: [log(0)?, log(1)?, log(2)?, log(3)?],
            root_status: b.u32(0x30),
            source_id: b.u32(0x34),
        })
    }

    /// The uncorrectable errors, in words.
    #[must_use]
    pub fn uncorrectable_names(&self) -> Vec<String> {
        set_bits(self.uncorrectable.into(), UNCORRECTABLE)
    }

    /// The correctable errors, in words.
    #[must_use]
    pub fn correctable_names(&self) -> Vec<String> {
        set_bits(self.correctable.into(), CORRECTABLE)
    }

    /// The first uncorrectable error, if there is one.
    #[must_use]
    pub fn first_error(&self) -> Option<String> {
        let n = bits(self.control.into(), 0, 4);
        let n = u32::try_from(n).ok().filter(|&n| bit(self.uncorrectable.into(), n))?;
        set_bits(1 << n, UNCORRECTABLE).pop()
    }

    fn details(&self, port: Option<PortKind>, d: &mut Details) {
        d.list("uncorrectable errors", &self.uncorrectable_names());
        d.add("first uncorrectable error", self.first_error());
        let fatal = self.uncorrectable & self.uncorrectable_severity;
        d.list("of these fatal", &set_bits(fatal.into(), UNCORRECTABLE));
        let masked = self.uncorrectable & self.uncorrectable_mask;
        d.list("of these masked", &set_bits(masked.into(), UNCORRECTABLE));
        d.list("correctable errors", &self.correctable_names());
        if self.uncorrectable != 0 && self.header_log != [0; 4] {
            let log = self.header_log.map(|w| format!("{w:08x}"));
            d.add("packet header", Some(log.join(" ")));
        }
        if matches!(port, Some(PortKind::RootPort | PortKind::EventCollector)) {
            let status = u64::from(self.root_status.unwrap_or(0));
            d.list("root status", &set_bits(status & 0x7f, ROOT_STATUS));
            let source = self.source_id.unwrap_or(0);
            let id = |n: u32| format!("{:02x}:{:02x}.{}", n >> 8, n >> 3 & 0x1f, n & 7);
            d.add("uncorrectable error sent by", bit(status, 2).then(|| id(source >> 16)));
            d.add("correctable error sent by", bit(status, 0).then(|| id(source & 0xffff)));
        }
    }
}

/// A PCI Express error. Fields not marked valid are absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Pcie {
    /// What kind of port or device reported.
    pub port: Option<PortKind>,
    /// Version of PCI Express, major and minor.
    pub version: Option<(u8, u8)>,
    /// PCI command register.
    pub command: Option<u16>,
    /// PCI status register.
    pub status: Option<u16>,
    /// Where and what it is.
    pub id: Option<DeviceId>,
    /// The device's serial number.
    pub serial: Option<u64>,
    /// Bridges: secondary status.
    pub bridge_status: Option<u16>,
    /// Bridges: control.
    pub bridge_control: Option<u16>,
    /// Device status of the PCI Express capability.
    pub device_status: Option<u16>,
    /// Link speed and width as the link status register codes them.
    pub link: Option<Link>,
    /// Advanced Error Reporting.
    pub aer: Option<Aer>,
}

/// A link's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// 1 for 2.5 GT/s, 2 for 5, 3 for 8, 4 for 16, 5 for 32.
    pub generation: u8,
    /// How many lanes.
    pub lanes: u8,
}

/// Where the PCI Express capability and the AER capability are copied to.
const CAPABILITY: usize = 52;
const CAPABILITY_SIZE: usize = 60;
const AER: usize = 112;
const AER_SIZE: usize = 96;

pub(super) fn decode(b: Bytes<'_>, _: &Context) -> Option<Body> {
    let valid = b.u64(0)?;
    b.at(0, CAPABILITY)?;
    // The capability is only there if it starts with its own id, 0x10.
    let capability = when(valid, 6, b.at(CAPABILITY, CAPABILITY_SIZE)).map(Bytes);
    let capability = capability.filter(|c| c.u8(0) == Some(0x10));
    let aer = when(valid, 7, b.at(AER, AER_SIZE)).map(Bytes);
    Some(Body::Pcie(Box::new(Pcie {
        port: when(valid, 0, b.u32(8)).map(|c| PortKind::from_code(c.into())),
        version: when(valid, 1, b.u8(13).zip(b.u8(12))),
        command: when(valid, 2, b.u16(16)),
        status: when(valid, 2, b.u16(18)),
        id: when(valid, 3, device_id(b)),
        serial: when(valid, 4, b.u64(40)),
        bridge_status: when(valid, 5, b.u16(48)),
        bridge_control: when(valid, 5, b.u16(50)),
        device_status: capability.and_then(|c| c.u16(0x0a)),
        link: capability.and_then(|c| c.u16(0x12)).and_then(link),
        aer: aer.and_then(Aer::read),
    })))
}

fn device_id(b: Bytes<'_>) -> Option<DeviceId> {
    Some(DeviceId {
        vendor: b.u16(24)?,
        device: b.u16(26)?,
        class: b.u32(28)? & 0x00ff_ffff,
        function: b.u8(31)?,
        slot_device: b.u8(32)?,
        segment: b.u16(33)?,
        bus: b.u8(35)?,
        secondary_bus: b.u8(36)?,
        slot: b.u16(37)? >> 3,
    })
}

fn link(status: u16) -> Option<Link> {
    let field = |first, last| u8::try_from(bits(status.into(), first, last)).ok();
    let link = Link { generation: field(0, 3)?, lanes: field(4, 9)? };
    (link.lanes != 0).then_some(link)
}

impl Pcie {
    fn is_port(&self) -> bool {
        use PortKind::{DownstreamPort, EventCollector, RootPort, UpstreamPort};
        matches!(self.port, Some(RootPort | UpstreamPort | DownstreamPort | EventCollector))
    }

    fn blame(&self) -> Blame {
        match self.id.map(DeviceId::base_class) {
            _ if self.is_port() => {
                Blame::new(Part::Bus, 0.6, "a port reports for its link and for the device below it, and either can be at fault")
            }
            Some(0x01) => {
                Blame::new(Part::Storage, 0.65, "the reporting device is a storage controller; its slot or link can be at fault as well")
            }
            Some(0x03) => {
                Blame::new(Part::Gpu, 0.65, "the reporting device is a graphics adapter; its slot, riser or power can be at fault as well")
            }
            _ => Blame::new(Part::Bus, 0.7, "the device or its link reported it"),
        }
    }

    /// The errors named by the finest register that names any.
    fn errors(&self) -> Vec<String> {
        let aer = self.aer.as_ref();
        let pci = |status: Option<u16>| set_bits(u64::from(status.unwrap_or(0)) & 0xf900, PCI_STATUS);
        let sources = [
            aer.map(Aer::uncorrectable_names),
            aer.map(Aer::correctable_names),
            self.device_status.map(|s| set_bits(u64::from(s) & 0xf, DEVICE_STATUS)),
            Some(pci(self.status)),
        ];
        sources.into_iter().flatten().find(|names| !names.is_empty()).unwrap_or_default()
    }

    fn who(&self) -> String {
        let kind = self.port.map_or_else(|| "device".to_owned(), |p| p.to_string());
        let Some(id) = self.id else {
            return format!("A PCI Express {kind}");
        };
        let class = id.class_name().map_or(String::new(), |c| format!("{c}, "));
        let slot = if id.slot == 0 { String::new() } else { format!(", slot {}", id.slot) };
        format!("The PCI Express {kind} {id} ({class}vendor {:04x}, device {:04x}{slot})", id.vendor, id.device)
    }

    pub(super) fn finding(&self, severity: Severity) -> Finding {
        let errors = self.errors();
        let what = if errors.is_empty() { "an error that no register names".to_owned() } else { errors.join(", ") };
        let mut d = Details::default();
        d.add("port", self.port);
        d.add("address", self.id);
        d.add("class", self.id.and_then(DeviceId::class_name));
        d.add("PCI Express version", self.version.map(|(major, minor)| format!("{major:x}.{minor:x}")));
        d.hex("serial number", self.serial);
        d.hex("PCI command", self.command);
        d.hex("PCI status", self.status);
        d.hex("bridge secondary status", self.bridge_status);
        d.hex("bridge control", self.bridge_control);
        d.hex("device status", self.device_status);
        d.add("link", self.link.map(|l| format!("generation {}, {} lanes", l.generation, l.lanes)));
        if let Some(aer) = &self.aer {
            aer.details(self.port, &mut d);
        }
        self.blame().finding(severity, format!("{} reported {what} ({severity}).", self.who()), d.0)
    }
}
