//! Which parameter of a bug check is what: the part of Microsoft's bug check reference that tells where to look, with what
//! real dumps add to it.

/// Parameters by their role, counted from 1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Roles {
    /// A CONTEXT record.
    pub context: Option<usize>,
    /// A KTRAP_FRAME.
    pub trap_frame: Option<usize>,
    /// An EXCEPTION_RECORD.
    pub exception: Option<usize>,
    /// The instruction that failed.
    pub instruction: Option<usize>,
    /// The address it touched.
    pub address: Option<usize>,
    /// How it touched it.
    pub access: Option<(usize, AccessCode)>,
    /// The exception's code.
    pub status: Option<usize>,
    /// A pointer to a pair of pointers to an EXCEPTION_RECORD and a CONTEXT.
    pub exception_pointers: Option<usize>,
}

/// How a parameter tells the kind of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessCode {
    /// 0 read, 1 write, 8 (or 2 in 0xD1, 0x10) execute.
    Simple,
    /// The processor's page-fault error code: bit 1 write, bit 4 fetch.
    PageFault,
}

/// The roles for a code without the minidump flag.
pub(crate) fn roles(base_code: u32) -> Roles {
    let none = Roles::default();
    let access = |address, access, instruction| Roles {
        address: Some(address),
        access: Some((access, AccessCode::Simple)),
        instruction: Some(instruction),
        ..none
    };
    match base_code {
        0xa | 0xc5 | 0xd0 | 0xd1 | 0xd3 | 0xd4 => access(1, 3, 4),
        0xcc | 0xcd | 0xce | 0xcf | 0xd5 | 0xd6 => access(1, 2, 3),
        0x50 => Roles { address: Some(1), access: Some((2, AccessCode::PageFault)), instruction: Some(3), ..none },
        0x1e => Roles { status: Some(1), instruction: Some(2), ..none },
        0x3b => Roles { status: Some(1), instruction: Some(2), context: Some(3), ..none },
        0x7e => Roles { status: Some(1), instruction: Some(2), exception: Some(3), context: Some(4), ..none },
        0x8e => Roles { status: Some(1), instruction: Some(2), trap_frame: Some(3), ..none },
        0x139 => Roles { trap_frame: Some(2), exception: Some(3), ..none },
        0xbe | 0xfc => Roles { address: Some(1), trap_frame: Some(3), ..none },
        // File systems: the exception that one of them did not expect.
        0x22 | 0x23 | 0x24 | 0x26 | 0x27 | 0x9b | 0x103 | 0x12c | 0x149 => Roles { exception: Some(2), context: Some(3), ..none },
        0x1aa | 0x1ab => Roles { context: Some(3), exception: Some(4), ..none },
        0x154 => Roles { exception_pointers: Some(2), ..none },
        0xc9 => Roles { instruction: Some(2), ..none },
        _ => none,
    }
}

/// The parameters that hold a thread (ETHREAD) worth looking at: who holds a lock, waits too long, or left something behind.
pub(crate) fn threads(base_code: u32, parameters: &[u64; 4]) -> &'static [usize] {
    let [first, ..] = *parameters;
    match base_code {
        0x153 | 0x162 | 0x13c | 0xe3 => &[1, 2],
        0xea => &[1],
        0x1cc => &[2],
        0x9f if first == 4 => &[3],
        0x1d5 => &[3],
        0xef if first != 0 && parameters.get(1) == Some(&1) => &[1],
        _ => &[],
    }
}
