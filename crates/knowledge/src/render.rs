//! Puts the parameters of a bug check into words.

use std::fmt::Write as _;

use crate::bugchecks::{BugCheck, Case, Parameter};
use crate::status::status;
use crate::vocabulary::Format;

/// A bug check with its four parameters put into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// What happened: the case's text, or else the general one.
    pub about: &'static str,
    /// The four parameters in words.
    pub parameters: [String; 4],
    /// The case that the parameters select.
    pub case: Option<&'static Case>,
}

impl BugCheck {
    /// Explains these parameters. `locate` says where an address lies (`ntfs.sys+0x1234`), if anybody knows.
    #[must_use]
    pub fn explain(&self, parameters: [u64; 4], locate: &dyn Fn(u64) -> Option<String>) -> Explained {
        self.explain_known(parameters.map(Some), locate)
    }

    /// Explains the parameters that are known; the others get their words only.
    #[must_use]
    pub fn explain_known(&self, parameters: [Option<u64>; 4], locate: &dyn Fn(u64) -> Option<String>) -> Explained {
        let selector = self.selector(&parameters);
        let case = selector.and_then(|value| self.case(value));
        let meanings = self.meanings(case);
        let one_bits = meanings
            .iter()
            .zip(parameters)
            .filter(|(meaning, _)| meaning.format == Format::OneBit)
            .filter_map(|(_, value)| value)
            .map(u64::count_ones)
            .sum();
        let words = |(at, meaning, value): (u8, Parameter, Option<u64>)| match value {
            None => meaning.words.to_owned(),
            Some(value) => {
                let written = match meaning.format {
                    Format::Value => self.value_text(at, selector, value).map_or_else(
                        || format!("{value:#x}, a value whose meaning is not documented"),
                        |text| format!("{text} ({value:#x})"),
                    ),
                    Format::OneBit => one_bit(value, one_bits),
                    format => written(format, value, locate),
                };
                format!("{}: {written}", meaning.words)
            }
        };
        let [first, second, third, fourth] = meanings;
        let [p1, p2, p3, p4] = parameters;
        Explained {
            about: case.map(|case| case.about).filter(|about| !about.is_empty()).unwrap_or(self.about),
            parameters: [(1, first, p1), (2, second, p2), (3, third, p3), (4, fourth, p4)].map(words),
            case,
        }
    }

    /// What the four parameters hold, for explaining the code without values.
    #[must_use]
    pub fn parameter_words(&self) -> [&'static str; 4] {
        self.parameters.map(|parameter| parameter.words)
    }

    /// The case that this value of the selecting parameter stands for.
    #[must_use]
    pub fn case(&self, value: u64) -> Option<&'static Case> {
        self.cases.iter().find(|case| case.values.iter().any(|&known| same(known, value)))
    }

    /// The value of the parameter that selects a case.
    fn selector(&self, parameters: &[Option<u64>; 4]) -> Option<u64> {
        self.parameters.iter().zip(parameters).find(|(meaning, _)| meaning.format == Format::Case).and_then(|(_, value)| *value)
    }

    /// What the parameters hold in this case.
    fn meanings(&self, case: Option<&Case>) -> [Parameter; 4] {
        let Some(case) = case else {
            return self.parameters;
        };
        let [g1, g2, g3, g4] = self.parameters;
        let [c1, c2, c3, c4] = case.parameters;
        [c1.unwrap_or(g1), c2.unwrap_or(g2), c3.unwrap_or(g3), c4.unwrap_or(g4)]
    }

    /// What a value of a parameter means; rows of the selected case win over general ones.
    fn value_text(&self, parameter: u8, selector: Option<u64>, value: u64) -> Option<&'static str> {
        let rows = || self.values.iter().filter(|row| row.parameter == parameter && same(row.value, value));
        rows()
            .find(|row| row.case.zip(selector).is_some_and(|(case, selected)| same(case, selected)))
            .or_else(|| rows().find(|row| row.case.is_none()))
            .map(|row| row.text)
    }
}

/// Writes a value in a format that needs nothing but the value.
fn written(format: Format, value: u64, locate: &dyn Fn(u64) -> Option<String>) -> String {
    match format {
        Format::Address => match locate(value) {
            Some(place) => format!("{value:#x} ({place})"),
            None => format!("{value:#x}"),
        },
        Format::Status => status_words(value),
        Format::Irql => irql(value),
        Format::Access => access(value),
        Format::PageFault => page_fault(value),
        Format::Ascii => characters(value),
        Format::Dec | Format::Cpu => value.to_string(),
        Format::Bytes => bytes(value),
        Format::Milliseconds => format!("{value} ms{}", about_seconds(value, 1000)),
        Format::Seconds => format!("{value} s"),
        Format::Ticks => {
            format!("{value} clock ticks{}", about_seconds(value.saturating_mul(TICK_US), 1_000_000))
        }
        Format::Reserved if value == 0 => "0".to_owned(),
        Format::Hex | Format::Object | Format::Case | Format::Value | Format::OneBit | Format::Reserved => format!("{value:#x}"),
    }
}

/// The usual length of a clock tick of Windows, in microseconds.
const TICK_US: u64 = 15_625;

/// A bracketed remark with the time in seconds, where that is at least one.
fn about_seconds(value: u64, per_second: u64) -> String {
    match value / per_second {
        0 => String::new(),
        seconds if value.is_multiple_of(per_second) => format!(" ({seconds} s)"),
        seconds => format!(" (about {seconds} s)"),
    }
}

/// Whether two values are the same, a sign-extended 32-bit number counting as the number itself.
fn same(left: u64, right: u64) -> bool {
    narrow(left) == narrow(right)
}

/// Undoes the sign extension of a 32-bit number.
pub(crate) fn narrow(value: u64) -> u64 {
    match u32::try_from(value ^ 0xffff_ffff_0000_0000) {
        Ok(low) if low >> 31 == 1 => u64::from(low),
        _ => value,
    }
}

/// A status with its name: `0xc0000005 STATUS_ACCESS_VIOLATION (words)`.
fn status_words(value: u64) -> String {
    let value = narrow(value);
    let known = u32::try_from(value).ok().and_then(status);
    match known {
        None => format!("{value:#x}"),
        Some(known) if known.text.is_empty() => format!("{value:#010x} {}", known.name),
        Some(known) => format!("{value:#010x} {} ({})", known.name, known.text),
    }
}

/// An interrupt request level. Levels 12 to 15 are those of x64 and ARM64, higher ones exist on x86 only.
fn irql(value: u64) -> String {
    let name = match value {
        0 => "PASSIVE_LEVEL",
        1 => "APC_LEVEL",
        2 => "DISPATCH_LEVEL",
        3..=11 => "the level of a device's interrupt",
        12 => "SYNCH_LEVEL",
        13 => "CLOCK_LEVEL",
        14 => "IPI_LEVEL",
        15 => "HIGH_LEVEL",
        27 => "PROFILE_LEVEL on x86",
        28 => "CLOCK_LEVEL on x86",
        29 => "IPI_LEVEL on x86",
        30 => "POWER_LEVEL on x86",
        31 => "HIGH_LEVEL on x86",
        0xff => return "0xff (not given, or interrupts were off)".to_owned(),
        16..=26 => "the level of a device's interrupt on x86",
        _ => return format!("{value:#x} (not a valid level)"),
    };
    format!("{value} ({name})")
}

/// How memory was touched.
fn access(value: u64) -> String {
    let verb = match value {
        0 => "read",
        _ if value & 8 != 0 => "execute",
        _ if value & 1 != 0 => "write",
        _ => return format!("{value:#x}, not a documented kind of access"),
    };
    format!("{verb} ({value:#x})")
}

/// The page-fault error code of an x64 processor; 8 alone is how older Windows and ARM64 mark an instruction fetch.
fn page_fault(value: u64) -> String {
    let present = value & 1 != 0;
    let verb = match value {
        8 | 0xa => "instruction fetch",
        _ if value & 0x10 != 0 => "instruction fetch",
        _ if value & 2 != 0 => "write",
        _ => "read",
    };
    let mut words = format!("{verb}, ");
    words.push_str(if present { "the page was there but did not allow it" } else { "no page was there" });
    for (bit, meaning) in [
        (2, "from user mode"),
        (3, "a reserved bit was set in a page table entry"),
        (5, "a protection key forbade it"),
        (6, "in a shadow stack"),
    ] {
        if value >> bit & 1 != 0 && (bit != 3 || present) {
            let _ = write!(words, ", {meaning}");
        }
    }
    let _ = write!(words, " ({value:#x})");
    words
}

/// Characters packed into a number, the first in the lowest byte; 16-bit characters too.
fn characters(value: u64) -> String {
    let text: String = value
        .to_le_bytes()
        .into_iter()
        .filter(|&byte| byte != 0)
        .map(|byte| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' })
        .collect();
    if text.is_empty() { format!("{value:#x}") } else { format!("\"{text}\" ({value:#x})") }
}

/// A size.
fn bytes(value: u64) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = UNITS
        .into_iter()
        .map(|(shift, unit)| (value >> shift, value.trailing_zeros() >= shift, unit))
        .find(|&(count, whole, _)| count > 0 && whole);
    match whole {
        Some((count, _, unit)) => format!("{value:#x} bytes ({count} {unit})"),
        None => format!("{value} bytes ({value:#x})"),
    }
}

/// The contents of an entry that should be empty. `total` counts the set bits of all the parameters that hold its contents.
fn one_bit(value: u64, total: u32) -> String {
    match (value.count_ones(), total) {
        (0, 0) => "0x0, empty as it should be".to_owned(),
        (0, _) => "0x0".to_owned(),
        (1, 1) => {
            format!("{value:#x}, exactly one bit set (bit {}) in an entry that should be empty: a RAM bit flip", value.trailing_zeros())
        }
        _ => format!("{value:#x}, {total} bits set in an entry that should be empty: more than a single flipped bit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bugchecks::Value;
    use crate::vocabulary::Kind;

    const fn parameter(format: Format, words: &'static str) -> Parameter {
        Parameter { format, words }
    }

    const NOTHING: Parameter = parameter(Format::Reserved, "reserved");

    /// A bug check of which only the parameters matter.
    const fn with(parameters: [Parameter; 4]) -> BugCheck {
        BugCheck {
            code: 1,
            name: "SAMPLE",
            kind: Kind::Fault,
            about: "general",
            likely: &[],
            parameters,
            cases: &[],
            values: &[],
            corrects: None,
            source: "docs",
        }
    }

    /// What one value looks like in a format.
    fn shown(format: Format, value: u64) -> String {
        let known = with([parameter(format, "it"), NOTHING, NOTHING, NOTHING]);
        let [first, ..] = known.explain([value, 0, 0, 0], &|_| None).parameters;
        first
    }

    #[test]
    fn statuses_carry_their_names_even_when_sign_extended() {
        let expected = "it: 0xc0000005 STATUS_ACCESS_VIOLATION (an address was touched that is not valid, or not for that kind of access)";
        assert_eq!(shown(Format::Status, 0xc000_0005), expected);
        assert_eq!(shown(Format::Status, 0xffff_ffff_c000_0005), expected);
        assert_eq!(shown(Format::Status, 0xc0ff_eeee), "it: 0xc0ffeeee");
        assert_eq!(shown(Format::Status, 0xffff_f800_c000_0005), "it: 0xfffff800c0000005");
    }

    #[test]
    fn interrupt_levels_carry_their_names() {
        assert_eq!(shown(Format::Irql, 2), "it: 2 (DISPATCH_LEVEL)");
        assert_eq!(shown(Format::Irql, 13), "it: 13 (CLOCK_LEVEL)");
        assert_eq!(shown(Format::Irql, 0xff), "it: 0xff (not given, or interrupts were off)");
        assert_eq!(shown(Format::Irql, 0x100), "it: 0x100 (not a valid level)");
    }

    #[test]
    fn accesses_are_verbs() {
        assert_eq!(shown(Format::Access, 0), "it: read (0x0)");
        assert_eq!(shown(Format::Access, 1), "it: write (0x1)");
        assert_eq!(shown(Format::Access, 8), "it: execute (0x8)");
    }

    #[test]
    fn page_fault_codes_are_read_bit_by_bit() {
        let refused = "the page was there but did not allow it";
        assert_eq!(shown(Format::PageFault, 0), "it: read, no page was there (0x0)");
        assert_eq!(shown(Format::PageFault, 2), "it: write, no page was there (0x2)");
        assert_eq!(shown(Format::PageFault, 0x11), format!("it: instruction fetch, {refused} (0x11)"));
        assert_eq!(shown(Format::PageFault, 0xb), format!("it: write, {refused}, a reserved bit was set in a page table entry (0xb)"));
    }

    #[test]
    fn numbers_times_sizes_and_characters() {
        assert_eq!(shown(Format::Dec, 0x10), "it: 16");
        assert_eq!(shown(Format::Bytes, 0x10000), "it: 0x10000 bytes (64 KiB)");
        assert_eq!(shown(Format::Bytes, 24), "it: 24 bytes (0x18)");
        assert_eq!(shown(Format::Ticks, 1281), "it: 1281 clock ticks (about 20 s)");
        assert_eq!(shown(Format::Milliseconds, 120_000), "it: 120000 ms (120 s)");
        assert_eq!(shown(Format::Ascii, 0x0074_656e), "it: \"net\" (0x74656e)");
        assert_eq!(shown(Format::Ascii, 0x0043_0041), "it: \"AC\" (0x430041)");
        assert!(!shown(Format::Ticks, u64::MAX).is_empty());
    }

    #[test]
    fn addresses_are_located() {
        let known = with([parameter(Format::Address, "where"), NOTHING, NOTHING, NOTHING]);
        let locate = |address| (address == 0x1000).then(|| "x.sys+0x10".to_owned());
        let [first, ..] = known.explain([0x1000, 0, 0, 0], &locate).parameters;
        assert_eq!(first, "where: 0x1000 (x.sys+0x10)");
    }

    static CASES: BugCheck = BugCheck {
        cases: &[Case {
            values: &[0x41792],
            about: "a bad entry",
            parameters: [
                None,
                Some(parameter(Format::Value, "state")),
                Some(parameter(Format::OneBit, "entry")),
                Some(parameter(Format::OneBit, "upper part")),
            ],
        }],
        values: &[
            Value { parameter: 2, case: None, value: 1, text: "general" },
            Value { parameter: 2, case: Some(0x41792), value: 1, text: "special" },
        ],
        ..with([parameter(Format::Case, "what"), parameter(Format::Value, "state"), parameter(Format::Hex, "depends on P1"), NOTHING])
    };

    #[test]
    fn a_case_gives_the_other_parameters_their_meaning() {
        let explained = CASES.explain([0x41792, 1, 0x2000, 0], &|_| None);
        assert_eq!(explained.about, "a bad entry");
        assert_eq!(
            explained.parameters,
            [
                "what: 0x41792",
                "state: special (0x1)",
                "entry: 0x2000, exactly one bit set (bit 13) in an entry that should be empty: a RAM bit flip",
                "upper part: 0x0",
            ]
        );
        assert_eq!(CASES.explain([1, 1, 0, 0], &|_| None).parameters[1], "state: general (0x1)");
        assert_eq!(CASES.explain([1, 2, 0, 0], &|_| None).parameters[1], "state: 0x2, a value whose meaning is not documented");
    }

    #[test]
    fn more_than_one_bit_is_no_bit_flip() {
        let entry = |low, high| CASES.explain([0x41792, 1, low, high], &|_| None).parameters;
        assert!(entry(0x3000, 0)[2].contains("2 bits set"));
        assert!(entry(0x2000, 1)[2].contains("2 bits set"));
        assert!(entry(0, 0)[2].contains("empty as it should be"));
    }

    #[test]
    fn unknown_parameters_keep_their_words() {
        let explained = CASES.explain_known([Some(0x41792), None, None, None], &|_| None);
        assert_eq!(explained.parameters, ["what: 0x41792", "state", "entry", "upper part"]);
        assert_eq!(CASES.parameter_words(), ["what", "state", "depends on P1", "reserved"]);
    }
}
