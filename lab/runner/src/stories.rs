//! The stories: which drivers are loaded, what must come of it, and who is to blame.

/// What the host breaks, while `LedgerSum` of the innocent `ledger.sys` is about to go through its accounts for the first time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Injection {
    /// A bit of the page table entry of the page that the accounts lie in.
    PageTableEntry(u32),
    /// A bit of the pointer from the third account to the fourth.
    Pointer(u32),
    /// A bit of a byte of code, by its offset in the function, and what the byte was.
    Code(u64, u8, u32),
    /// A bit of the register that holds the pointer to the first account.
    Register(u32),
}

/// One crash and its cause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story {
    /// The name of its files.
    pub name: &'static str,
    /// What really happened, in a sentence.
    pub what: &'static str,
    /// Drivers in the order of loading, by the names of their sources.
    pub drivers: &'static [&'static str],
    pub code: u32,
    pub family: &'static str,
    pub part: Option<&'static str>,
    pub subject: &'static str,
    pub function: Option<&'static str>,
    /// How the line of source begins that is the mistake.
    pub mistake: Option<&'static str>,
    pub victim: Option<&'static str>,
    pub kind: &'static str,
    pub injection: Option<Injection>,
    /// Also as a kernel dump with physical pages.
    pub physical: bool,
}

/// What most stories have in common.
const DRIVER: Story = Story {
    name: "",
    what: "",
    drivers: &[],
    code: 0,
    family: "driver",
    part: None,
    subject: "",
    function: Some("DriverEntry"),
    mistake: None,
    victim: None,
    kind: "fault",
    injection: None,
    physical: false,
};

/// What the broken machines have in common: the driver is the victim.
const HARDWARE: Story = Story {
    drivers: &["labbus", "ledger"],
    family: "hardware",
    part: Some("memory"),
    subject: "memory",
    function: None,
    victim: Some("ledger.sys"),
    kind: "hardware",
    ..DRIVER
};

/// All of them. `ledger` is everybody's innocent neighbour.
pub(crate) const ALL: &[Story] = &[
    Story {
        name: "article-7e",
        what: "the founding article's driver writes 0x1234 through a null pointer when it is loaded",
        drivers: &["ledger", "article"],
        code: 0x7e,
        subject: "article.sys",
        mistake: Some("*pInvalidAddress = 0x1234;"),
        ..DRIVER
    },
    Story {
        name: "nulldisp-d1",
        what: "a timer's routine counts in a counter that was never allocated",
        drivers: &["ledger", "nulldisp"],
        code: 0xd1,
        subject: "nulldisp.sys",
        function: Some("Tick"),
        mistake: Some("*Extension->Counter += 1;"),
        ..DRIVER
    },
    Story {
        name: "badcopy-a",
        what: "the kernel's copy routine is given a string without a buffer, by a driver that holds a lock",
        drivers: &["ledger", "badcopy"],
        code: 0xa,
        subject: "badcopy.sys",
        function: Some("RememberName"),
        mistake: Some("Request->Name.Length = 24;"),
        ..DRIVER
    },
    Story {
        name: "wildread-50",
        what: "a table is read with an index that came from a program and was not checked",
        drivers: &["ledger", "wildread"],
        code: 0x50,
        subject: "wildread.sys",
        function: Some("LookUp"),
        mistake: Some("Irp->IoStatus.Information = LookUp(Code * 100);"),
        ..DRIVER
    },
    Story {
        name: "usefreed-50",
        what: "a large block is read after it was freed",
        drivers: &["ledger", "usefreed"],
        code: 0x50,
        subject: "usefreed.sys",
        function: Some("Refresh"),
        mistake: Some("return Header[0x20];"),
        ..DRIVER
    },
    Story {
        name: "jumpdata-fc",
        what: "a call through a pointer to a record instead of the routine in it",
        drivers: &["ledger", "jumpdata"],
        code: 0xfc,
        subject: "jumpdata.sys",
        function: Some("Control"),
        mistake: Some("NTSTATUS (*Routine)(PIRP) = (PVOID)&Handlers[0];"),
        ..DRIVER
    },
    Story {
        name: "writero-be",
        what: "a constant text is changed in place",
        drivers: &["ledger", "writero"],
        code: 0xbe,
        subject: "writero.sys",
        function: Some("Capitalise"),
        mistake: Some("Capitalise((CHAR *)Greeting);"),
        ..DRIVER
    },
    Story {
        name: "badioctl-3b",
        what: "a request's buffer is read though the request has none, in a program's system call",
        drivers: &["ledger", "badioctl"],
        code: 0x3b,
        subject: "badioctl.sys",
        function: Some("ReadVersion"),
        mistake: Some("return Buffer[4];"),
        ..DRIVER
    },
    Story {
        name: "average-1e",
        what: "a division by zero in a deferred procedure call",
        drivers: &["ledger", "average"],
        code: 0x1e,
        subject: "average.sys",
        function: Some("ComputeAverage"),
        mistake: Some("Extension->Average = Extension->Sum / Extension->Count;"),
        ..DRIVER
    },
    Story {
        name: "listtwice-139",
        what: "an entry is taken off a list twice",
        drivers: &["ledger", "listtwice"],
        code: 0x139,
        subject: "listtwice.sys",
        function: Some("Finish"),
        mistake: Some("static DECLSPEC_NOINLINE VOID Finish(ITEM *Item)"),
        ..DRIVER
    },
    Story {
        name: "overbuf-f7",
        what: "a name that is too long is copied into a buffer on the stack",
        drivers: &["ledger", "overbuf"],
        code: 0xf7,
        subject: "overbuf.sys",
        function: Some("CopyName"),
        mistake: Some("while ((To[Length] = Name[Length])) Length++;"),
        ..DRIVER
    },
    Story {
        name: "overrun-19",
        what: "one element too many is written to a block of pool, which is then freed",
        drivers: &["ledger", "overrun"],
        code: 0x19,
        subject: "overrun.sys",
        mistake: Some("for (volatile ULONG I = 0; I <= 6; I++)"),
        ..DRIVER
    },
    Story {
        name: "freetwice-c2",
        what: "a block of pool is freed on the way out of an error, and once more",
        drivers: &["ledger", "freetwice"],
        code: 0xc2,
        subject: "freetwice.sys",
        mistake: Some("NTSTATUS Status = ReadSettings(Buffer);"),
        ..DRIVER
    },
    Story {
        name: "lefttimer-ce",
        what: "a driver is unloaded while its timer is set",
        drivers: &["ledger", "lefttimer"],
        code: 0xce,
        subject: "lefttimer.sys",
        function: Some("Unload"),
        mistake: Some("static VOID Unload("),
        ..DRIVER
    },
    Story {
        name: "recurse-7f",
        what: "a recursion without end uses up the kernel stack",
        drivers: &["ledger", "recurse"],
        code: 0x7f,
        subject: "recurse.sys",
        function: Some("Measure"),
        mistake: Some("return Measure(Node->Parent, Longer)"),
        ..DRIVER
    },
    Story {
        name: "heldflt-9f",
        what: "the third of four drivers of a device keeps a power request",
        drivers: &["ledger", "labbus", "labfunc", "heldflt", "labtop"],
        code: 0x9f,
        subject: "heldflt.sys",
        function: Some("Power"),
        mistake: Some("return STATUS_PENDING;"),
        kind: "power",
        ..DRIVER
    },
    Story {
        name: "spill-1e",
        what: "a driver writes beyond its block; the neighbour whose list it destroys is innocent",
        drivers: &["spill", "ledger"],
        code: 0x1e,
        subject: "spill.sys",
        function: Some("Format"),
        mistake: Some("Format(Extension->Line, 64);"),
        victim: Some("ledger.sys"),
        ..DRIVER
    },
    Story {
        name: "pte-bit-50",
        what: "bit 45 of a page table entry flipped: the entry names a page that cannot exist",
        code: 0x50,
        injection: Some(Injection::PageTableEntry(45)),
        physical: true,
        ..HARDWARE
    },
    Story {
        name: "pointer-bit-50",
        what: "bit 36 of a pointer in pool flipped",
        code: 0x50,
        injection: Some(Injection::Pointer(36)),
        ..HARDWARE
    },
    Story {
        name: "code-bit-3b",
        what: "bit 3 of a code byte flipped: a 64-bit move became a 32-bit one, and cut a pointer in half",
        code: 0x3b,
        injection: Some(Injection::Code(0x14, 0x48, 3)),
        ..HARDWARE
    },
    Story {
        name: "register-bit-50",
        what: "bit 40 of a register flipped between two instructions",
        code: 0x50,
        part: Some("cpu"),
        subject: "cpu",
        injection: Some(Injection::Register(40)),
        ..HARDWARE
    },
];
