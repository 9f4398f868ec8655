//! Decorated C++ names of Microsoft's compiler → names as people write them.
//!
//! The decoration is described by the crate `undname`. Nothing in it stops a name that was made to nest thousands of levels or
//! to grow a thousandfold by back references, so names pass a guard first: longer or deeper than any real one means that the
//! raw name is shown.

use std::borrow::Cow;

use undname::Flags;

/// Longest decorated name that is tried: the compiler cuts its own at 4 KiB, and those over 2 KiB cannot be read anyway. This
/// also bounds the depth of recursion (measured: over 4,000 bytes of the deepest nesting fit a stack of 2 MiB).
const LONGEST: usize = 2048;
/// Most marks that open a nested name or a template.
const MOST_NESTED: usize = 256;
/// Longest undecorated name that is accepted.
const LONGEST_RESULT: usize = 4096;

/// The whole declaration that a decorated name stands for, if it is one and can be read.
#[must_use]
pub fn demangle(raw: &str) -> Option<String> {
    with_flags(raw, Flags::default())
}

/// The name alone, as debuggers print it; the raw name where it is not decorated or cannot be read.
#[must_use]
pub fn demangle_name(raw: &str) -> Cow<'_, str> {
    with_flags(raw, Flags::NAME_ONLY).map_or(Cow::Borrowed(raw), Cow::Owned)
}

fn with_flags(raw: &str, flags: Flags) -> Option<String> {
    let decorated = raw.starts_with('?') || raw.starts_with(".?A");
    let nested = raw.bytes().filter(|&byte| byte == b'?').count();
    if !decorated || raw.len() > LONGEST || nested > MOST_NESTED {
        return None;
    }
    let name = undname::demangle(raw, flags).ok()?;
    (!name.is_empty() && name.len() <= LONGEST_RESULT && !name.chars().any(char::is_control)).then(|| name.to_string())
}

/// Whether a decorated name says that it names data: strings, tables of virtual functions, type descriptors, variables.
#[must_use]
pub(crate) fn names_data(raw: &[u8]) -> bool {
    const DATA: [&[u8]; 14] = [
        b"??_C@",
        b"??_7",
        b"??_8",
        b"??_R",
        b"??_B",
        b"??_S",
        b"__real@",
        b"__xmm@",
        b"__ymm@",
        b"__imp_",
        b"__IMPORT_DESCRIPTOR_",
        b"\x7f",
        b"__NULL_IMPORT",
        b"_TraceLoggingMetadata",
    ];
    if DATA.iter().any(|prefix| raw.starts_with(prefix)) {
        // The code that loads a function of a delayed import.
        return !raw.starts_with(b"__imp_load_");
    }
    if !raw.starts_with(b"?") || raw.starts_with(b"??") {
        return false;
    }
    // `?name@scope@@` ends the name; a digit after it is a storage class: 0-2 static members, 3 and 4 variables, 6 and 7 tables.
    let class = raw.windows(2).position(|pair| pair == b"@@").and_then(|at| raw.get(at + 2));
    matches!(class, Some(b'0'..=b'7'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decorated_names_are_read() {
        assert_eq!(demangle_name("?InvokeClient@FxPnpDevicePrepareHardware@@MEAAJXZ"), "FxPnpDevicePrepareHardware::InvokeClient");
        assert_eq!(demangle("?world@hello@@QEDAXXZ").as_deref(), Some("public: void __cdecl hello::world(void) const volatile"));
        assert_eq!(demangle_name("KeBugCheckEx"), "KeBugCheckEx");
        assert_eq!(demangle("KeBugCheckEx"), None);
    }

    /// Each of these overflowed a stack or grew without end before the guard.
    #[test]
    fn names_made_to_nest_or_grow_stay_raw() {
        let mut grown = "V?$a@HH@@".to_owned();
        for letter in 'b'..='j' {
            grown = format!("V?${letter}@{grown}V1@V1@@@");
        }
        let names = [
            format!("?x@@3{}HEA", "PEA".repeat(3000)),
            format!("?x@@3{}HA", "PA".repeat(100_000)),
            format!("?f@@YAX{}H{}@Z", "V?$a@".repeat(2000), "@@".repeat(2000)),
            format!("?f@@YAX{}H{}@Z", "V?$a@".repeat(290), "@@".repeat(290)),
            format!("{}x@@3HA", "?".repeat(5000)),
        ];
        for name in names {
            assert_eq!(demangle_name(&name), name);
        }
        assert_eq!(demangle(&format!("?f@@YAX{grown}@Z")), None);
        // The deepest that pass the guard.
        for name in [
            format!("?x@@3{}HA", "PA".repeat(1000)),
            format!("?x@@3{}HEA", "PEA".repeat(670)),
            format!("?f@@YAX{}H{}@Z", "V?$a@".repeat(254), "@@".repeat(254)),
            format!("?x@@3{}HA", "QAY01".repeat(400)),
            format!("?x@@3{}HX{}A", "P6A".repeat(400), "@Z".repeat(400)),
        ] {
            let _ = demangle(&name);
        }
    }

    #[test]
    fn data_is_known_by_its_decoration() {
        assert!(names_data(b"??_C@_0BA@ABCDEFGH@text?$AA@"));
        assert!(names_data(b"?g_count@@3HA"));
        assert!(names_data(b"?s_all@Pool@@2PEAV1@EA"));
        assert!(!names_data(b"?world@hello@@QEDAXXZ"));
        assert!(!names_data(b"??0Pool@@QEAA@XZ"));
        assert!(!names_data(b"KeBugCheckEx"));
    }
}
