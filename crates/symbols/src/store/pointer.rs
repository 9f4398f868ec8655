//! `file.ptr`: a store's note that a file lies elsewhere, or why it is absent.
//!
//! symstore writes `PATH:` and the place, `MSG:` and a sentence ("SymStore", Microsoft Learn).

/// Longest pointer file that is read.
pub(crate) const MAX_POINTER: u64 = 4096;

/// What a `file.ptr` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// The file lies there.
    Path(String),
    /// The file is absent, and this is why.
    Message(String),
}

impl Pointer {
    /// Reads the contents of a `file.ptr`: UTF-8, or UTF-16 with a byte order mark. Text without a prefix is a path, as old
    /// versions of symstore wrote it.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() as u64 > MAX_POINTER {
            return None;
        }
        let text = match bytes {
            [0xff, 0xfe, rest @ ..] => bugcheck_dump::Fields(rest).utf16(0, rest.len() / 2)?,
            [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
            _ => String::from_utf8_lossy(bytes).into_owned(),
        };
        let line = text.split(['\r', '\n', '\0', '\u{fffd}']).next().unwrap_or_default().trim();
        let line = plain(line);
        let prefixed = |prefix: &str| {
            line.get(..prefix.len())
                .filter(|start| start.eq_ignore_ascii_case(prefix))
                .and_then(|_| line.get(prefix.len()..))
                .map(str::trim)
        };
        if let Some(message) = prefixed("MSG:") {
            return Some(Self::Message(message.to_owned()));
        }
        let path = prefixed("PATH:").unwrap_or(&line);
        (!path.is_empty()).then(|| Self::Path(path.to_owned()))
    }
}

/// Text from elsewhere without anything that could steer a terminal or hide: letters and digits of any script, and printable ASCII.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|&c| c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_paths_and_messages() {
        let path = |text: &str| Some(Pointer::Path(text.to_owned()));
        assert_eq!(Pointer::parse(b"PATH:\\\\server\\share\\x.pdb\r\n"), path(r"\\server\share\x.pdb"));
        assert_eq!(Pointer::parse(b"path: /a/x.pdb\nmore"), path("/a/x.pdb"));
        assert_eq!(Pointer::parse(b"C:\\a\\x.pdb"), path(r"C:\a\x.pdb"));
        assert_eq!(Pointer::parse("MSG: not\u{1b} \u{202e}kept\n".as_bytes()), Some(Pointer::Message("not kept".to_owned())));
        let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain("PATH:/x".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(Pointer::parse(&wide), path("/x"));
        assert_eq!(Pointer::parse(b""), None);
        assert_eq!(Pointer::parse(b"PATH:\n"), None);
        assert_eq!(Pointer::parse(&[b'a'; 5000]), None);
    }
}
