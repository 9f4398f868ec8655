//! Why a file cannot be opened as a kernel dump at all. Everything less is a [`Note`](crate::Note) beside what could be read.

use std::path::PathBuf;

/// A file that holds no kernel dump to analyse. The words say what the file is and what to try.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused to open or map the file.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// No bytes at all.
    #[error(
        "the file is empty (0 bytes): Windows reserved it but never wrote the dump; look for another one in C:\\Windows\\Minidump or C:\\Windows\\MEMORY.DMP"
    )]
    Empty,
    /// The dump's place was reserved and never written.
    #[error(
        "all {size} bytes are zero: Windows reserved the file but the dump was never written (disk driver failed at the crash, or the copy lost it); take MEMORY.DMP or the next crash's minidump"
    )]
    AllZero {
        /// Size of the file in bytes.
        size: u64,
    },
    /// Cut before the end of the header.
    #[error("the file ends at {size:#x} but a kernel dump's header takes {needed:#x} bytes: the copy is cut, fetch it again")]
    TooShort {
        /// Size of the file in bytes.
        size: u64,
        /// Bytes the header takes.
        needed: u64,
    },
    /// The user-mode minidump format.
    #[error(
        "this is a user-mode minidump (MDMP) of one application, not a kernel dump: open it with a user-mode debugger; kernel dumps are in C:\\Windows\\Minidump"
    )]
    UserMinidump,
    /// A container that must be unpacked first.
    #[error("this is a {what}, not a dump: unpack it and pass the .dmp inside")]
    Packed {
        /// Name of the container format.
        what: &'static str,
    },
    /// Something else.
    #[error("not a Windows kernel dump: the first {} bytes are {}, a dump begins with PAGEDU64 or PAGEDUMP", magic.len(), signature_text(magic))]
    NotADump {
        /// The file's first bytes: eight, or all that there are.
        magic: Vec<u8>,
    },
    /// The header names a processor that no supported Windows runs on.
    #[error(
        "the header at offset {offset:#x} names machine type {machine:#x}; known are x86 (0x14c), x64 (0x8664) and ARM64 (0xaa64): the header is damaged"
    )]
    UnknownMachine {
        /// The machine type found.
        machine: u32,
        /// Where it was found.
        offset: u64,
    },
}

fn signature_text(magic: &[u8]) -> String {
    if magic.iter().all(|byte| byte.is_ascii_graphic()) {
        magic.iter().map(|&byte| char::from(byte)).collect()
    } else {
        magic.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use crate::Dump;

    /// The message once filled up short files with zeros that they do not hold.
    #[test]
    fn a_file_shorter_than_a_signature_is_shown_as_it_is() {
        let message = |bytes: &[u8]| Dump::from_bytes(bytes.to_vec()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message(&[0x50, 0x41, 0x01]).contains("the first 3 bytes are 50 41 01,"));
        assert!(message(b"hello, world").contains("the first 8 bytes are 68 65 6c 6c 6f 2c 20 77,"));
    }
}
