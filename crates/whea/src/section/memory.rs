//! The memory sections (UEFI specification, appendix N.2.5 and N.2.6; `WHEA_MEMORY_ERROR_SECTION`). Both tell the same
//! things; the second has wider fields. The first is 73 bytes long in old records and 80 in newer ones.

use super::{Body, Context, Descriptor};
use crate::Part;
use crate::bytes::{Bytes, bits, when};
use crate::finding::{Blame, Details, Finding};
use crate::words::{Severity, coded, set_bits};

coded! {
    /// What happened to the memory.
    ErrorKind {
        Unknown = 0 => "an unknown error",
        None = 1 => "no error",
        SingleBit = 2 => "a single-bit ECC error",
        MultiBit = 3 => "a multi-bit ECC error",
        SingleSymbol = 4 => "a single-symbol chip-kill ECC error",
        MultiSymbol = 5 => "a multi-symbol chip-kill ECC error",
        MasterAbort = 6 => "a master abort",
        TargetAbort = 7 => "a target abort",
        Parity = 8 => "a parity error",
        Watchdog = 9 => "a watchdog timeout",
        InvalidAddress = 10 => "an access to an invalid address",
        MirrorBroken = 11 => "a broken mirror",
        Sparing = 12 => "memory sparing",
        ScrubCorrected = 13 => "an error corrected by scrubbing",
        ScrubUncorrected = 14 => "an error that scrubbing could not correct",
        MapOut = 15 => "memory taken out of use",
    }
}

coded! {
    /// The class of the generic error status (UEFI appendix N.2.12).
    StatusKind {
        Internal = 1 => "internal error",
        Memory = 4 => "storage error in memory",
        Tlb = 5 => "storage error in a TLB",
        Cache = 6 => "storage error in a cache",
        FunctionalUnit = 7 => "error in a functional unit",
        SelfTest = 8 => "failed self-test",
        Overflow = 9 => "overflow",
        Bus = 16 => "bus error",
        VirtualMap = 17 => "virtual address not found",
        ImproperAccess = 18 => "improper access",
        Unimplemented = 19 => "access to an unimplemented address",
        LossOfLockstep = 20 => "loss of lockstep",
        Response = 21 => "response without request",
        Parity = 22 => "bus parity error",
        Protocol = 23 => "protocol error",
        Path = 24 => "path error",
        Timeout = 25 => "timeout",
        Poisoned = 26 => "poisoned data",
    }
}

const STATUS_FLAGS: &[(u32, &str)] = &[
    (16, "address"),
    (17, "control"),
    (18, "data"),
    (19, "found by the responder"),
    (20, "found by the requester"),
    (21, "first of several"),
    (22, "further errors lost"),
];

/// The generic error status of memory and PCI sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorStatus(pub u64);

impl ErrorStatus {
    /// The class.
    #[must_use]
    pub fn kind(self) -> StatusKind {
        StatusKind::from_code(bits(self.0, 8, 15))
    }

    /// The flags in words.
    #[must_use]
    pub fn flags(self) -> Vec<String> {
        set_bits(self.0 & 0x007f_0000, STATUS_FLAGS)
    }
}

/// A memory error. Fields not marked valid are absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// Which layout, 1 or 2.
    pub version: u8,
    /// The generic status.
    pub status: Option<ErrorStatus>,
    /// The physical address.
    pub address: Option<u64>,
    /// Which bits of the address count.
    pub address_mask: Option<u64>,
    /// What happened.
    pub kind: Option<ErrorKind>,
    /// Node in a multi-node machine.
    pub node: Option<u16>,
    /// Card or board.
    pub card: Option<u16>,
    /// Module.
    pub module: Option<u16>,
    /// Bank (its low eight bits and group, when the record splits them).
    pub bank: Option<u16>,
    /// Device on the module.
    pub device: Option<u32>,
    /// Row.
    pub row: Option<u32>,
    /// Column.
    pub column: Option<u32>,
    /// Bit.
    pub bit_position: Option<u32>,
    /// Rank.
    pub rank: Option<u32>,
    /// The SMBIOS handle of the card's memory array.
    pub card_handle: Option<u32>,
    /// The SMBIOS handle of the module.
    pub module_handle: Option<u32>,
}

pub(super) fn decode_1(b: Bytes<'_>, _: &Context) -> Option<Body> {
    let valid = b.u64(0)?;
    b.at(0, 73)?;
    let short = |n, at| when(valid, n, b.u16(at));
    let wide = |n, at| short(n, at).map(u32::from);
    // Bits 16 and 17 of the row sit in the byte after the error type.
    let high_row = when(valid, 18, b.u8(73)).map_or(0, |e| u32::from(e & 3) << 16);
    Some(Body::Memory(Memory {
        version: 1,
        status: when(valid, 0, b.u64(8)).map(ErrorStatus),
        address: when(valid, 1, b.u64(16)),
        address_mask: when(valid, 2, b.u64(24)),
        kind: when(valid, 14, b.u8(72)).map(|c| ErrorKind::from_code(c.into())),
        node: short(3, 32),
        card: short(4, 34),
        module: short(5, 36),
        bank: short(6, 38).or_else(|| short(19, 38)).or_else(|| short(20, 38)),
        device: wide(7, 40),
        row: wide(8, 42).or_else(|| wide(18, 42)).map(|r| r | high_row),
        column: wide(9, 44),
        bit_position: wide(10, 46),
        rank: wide(15, 74),
        card_handle: wide(16, 76),
        module_handle: wide(17, 78),
    }))
}

pub(super) fn decode_2(b: Bytes<'_>, _: &Context) -> Option<Body> {
    let valid = b.u64(0)?;
    b.at(0, 96)?;
    let short = |n, at| when(valid, n, b.u16(at));
    let wide = |n, at| when(valid, n, b.u32(at));
    Some(Body::Memory(Memory {
        version: 2,
        status: when(valid, 0, b.u64(8)).map(ErrorStatus),
        address: when(valid, 1, b.u64(16)),
        address_mask: when(valid, 2, b.u64(24)),
        kind: when(valid, 13, b.u8(61)).map(|c| ErrorKind::from_code(c.into())),
        node: short(3, 32),
        card: short(4, 34),
        module: short(5, 36),
        bank: short(6, 38).or_else(|| short(20, 38)).or_else(|| short(21, 38)),
        device: wide(7, 40),
        row: wide(8, 44),
        column: wide(9, 48),
        rank: wide(10, 52),
        bit_position: wide(11, 56),
        card_handle: wide(18, 88),
        module_handle: wide(19, 92),
    }))
}

impl Memory {
    /// Whether any field at all is marked valid.
    #[must_use]
    pub fn says_something(&self) -> bool {
        self.status.is_some() || self.kind.is_some() || self.address.is_some() || self.module.is_some()
    }

    /// Where the memory is, in the words of the record.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let parts = [
            ("node", self.node.map(u32::from)),
            ("card", self.card.map(u32::from)),
            ("module", self.module.map(u32::from)),
            ("rank", self.rank),
            ("bank", self.bank.map(u32::from)),
            ("device", self.device),
            ("row", self.row),
            ("column", self.column),
            ("bit", self.bit_position),
        ];
        let named: Vec<String> = parts.iter().filter_map(|(name, n)| n.map(|n| format!("{name} {n}"))).collect();
        (!named.is_empty()).then(|| named.join(", "))
    }

    fn blame(&self) -> Blame {
        if !self.says_something() {
            let why = "the section is of the memory kind, but marks no field valid, so it only hints";
            return Blame::new(Part::Memory, 0.1, why);
        }
        let weak =
            matches!(self.kind, Some(ErrorKind::InvalidAddress | ErrorKind::MasterAbort | ErrorKind::TargetAbort | ErrorKind::Watchdog));
        if weak {
            return Blame::new(Part::Memory, 0.5, "an access failed, which the accessing side can cause too");
        }
        if self.kind == Some(ErrorKind::None) {
            return Blame::new(Part::Memory, 0.2, "the section says that there is no error");
        }
        Blame::new(Part::Memory, 0.9, "the memory itself reported it: a module, its slot, or its settings")
    }

    pub(super) fn finding(&self, severity: Severity, descriptor: &Descriptor) -> Finding {
        let what = match (self.kind, self.status) {
            (Some(kind), _) if kind != ErrorKind::Unknown => kind.to_string(),
            (_, Some(status)) => format!("a {}", status.kind()),
            _ => "an unspecified error".to_owned(),
        };
        let place = match (&descriptor.fru_text, self.place()) {
            (Some(fru), Some(place)) => format!(" in \"{fru}\" ({place})"),
            (Some(fru), None) => format!(" in \"{fru}\""),
            (None, Some(place)) => format!(" at {place}"),
            (None, None) => String::new(),
        };
        let mut d = Details::default();
        d.add("error", self.kind);
        d.add("status", self.status.map(ErrorStatus::kind));
        d.list("status flags", &self.status.map(ErrorStatus::flags).unwrap_or_default());
        d.hex("physical address", self.address);
        d.hex("address mask", self.address_mask);
        d.add("place", self.place());
        d.add("unit", descriptor.fru_text.as_ref());
        d.hex("SMBIOS handle of the array", self.card_handle);
        d.hex("SMBIOS handle of the module", self.module_handle);
        if !self.says_something() {
            let sentence = "The record has a memory section, but no field of it is marked valid.";
            return self.blame().finding(severity, sentence.to_owned(), d.0);
        }
        self.blame().finding(severity, format!("Memory reported {what}{place} ({severity})."), d.0)
    }
}
