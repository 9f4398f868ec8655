//! Blobs that hold little more than a name.

use crate::Fields;

/// Path of the process that was running: {u32 count, u32 bytes, UTF-16 path}.
#[must_use]
pub fn process_path(blob: Fields<'_>) -> Option<String> {
    let bytes = blob.size(4)?;
    blob.utf16(8, bytes / 2).filter(|path| !path.is_empty())
}

/// The device instance that Plug and Play was working on (UTF-16 from 0x2C; verified on 17 dumps).
#[must_use]
pub fn blackbox_pnp(blob: Fields<'_>) -> Option<String> {
    utf16_to_end(blob, 0x2c)
}

/// The steps that the logon process was in: names in UTF-16 from 0x0C, each ended by a NUL.
#[must_use]
pub fn blackbox_winlogon(blob: Fields<'_>) -> Option<String> {
    utf16_to_end(blob, 0xc)
}

/// The driver that Windows blames: its UTF-16 name, from the start or behind a length.
#[must_use]
pub fn blamed_driver(blob: Fields<'_>) -> Option<String> {
    [0, 4, 8].into_iter().filter_map(|at| utf16_to_end(blob, at)).find(|name| name.len() > 2 && name.is_ascii())
}

/// The NVIDIA driver's version as its package names it, such as `566.14`: the first `ddd.dd` text in the blob.
#[must_use]
pub fn nvidia_version(blob: Fields<'_>) -> Option<String> {
    let start = blob.bytes(0, blob.0.len().min(4096))?;
    start.windows(7).find_map(|window| match window {
        [a, b, c, b'.', d, e, end] if [a, b, c, d, e].iter().all(|byte| byte.is_ascii_digit()) && !end.is_ascii_digit() => {
            Fields(window).ascii(0, 6)
        }
        _ => None,
    })
}

/// Runs of at least `shortest` printable ASCII characters.
pub fn ascii_strings<'a>(blob: Fields<'a>, shortest: usize) -> impl Iterator<Item = &'a str> {
    let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    blob.0.split(move |byte| !printable(byte)).filter(move |run| run.len() >= shortest).filter_map(|run| std::str::from_utf8(run).ok())
}

fn utf16_to_end(blob: Fields<'_>, at: usize) -> Option<String> {
    let units = blob.0.len().checked_sub(at)? / 2;
    blob.utf16(at, units.min(1024)).filter(|text| !text.is_empty())
}
