//! The stories: which drivers are loaded, what must come of it, and who is to blame.

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
};

/// All of them.
pub(crate) const ALL: &[Story] = &[Story {
    name: "article-7e",
    what: "the founding article's driver writes 0x1234 through a null pointer when it is loaded",
    drivers: &["article"],
    code: 0x7e,
    subject: "article.sys",
    mistake: Some("*pInvalidAddress = 0x1234;"),
    ..DRIVER
}];
