//! A download's part on disk, with what is needed to resume it.
//!
//! Beside the part stands a tag: the address it came from and the validator (ETag or Last-Modified) the server gave. Without a
//! validator a part is never resumed, because nothing tells whether the rest belongs to the same file (RFC 9110, section 13.1.5).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const MAX_TAG: u64 = 8192;

#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    tag: PathBuf,
    address: String,
    file: Option<File>,
    length: u64,
    validator: Option<String>,
}

impl Partial {
    /// The part of an earlier attempt, if it came from this address; or none.
    pub(super) fn open(path: PathBuf, tag: PathBuf, address: &str) -> Self {
        let (length, validator) = earlier(&path, &tag, address).unzip();
        Self { path, tag, address: address.to_owned(), file: None, length: length.unwrap_or(0), validator }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The validator under which the rest may be asked for.
    pub(super) fn resumable(&self) -> Option<&str> {
        self.validator.as_deref().filter(|_| self.length > 0)
    }

    /// Begins anew.
    pub(super) fn restart(&mut self, validator: Option<String>) -> io::Result<()> {
        self.discard();
        self.file = Some(File::create(&self.path)?);
        if let Some(validator) = validator.filter(|validator| !validator.contains('\n')) {
            fs::write(&self.tag, format!("{}\n{validator}", self.address))?;
            self.validator = Some(validator);
        }
        Ok(())
    }

    /// Goes on behind what is there.
    pub(super) fn append(&mut self) -> io::Result<()> {
        self.file = Some(File::options().append(true).open(&self.path)?);
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Closes the file.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// Forgets everything.
    pub(super) fn discard(&mut self) {
        self.close();
        let _ = fs::remove_file(&self.tag);
        let _ = fs::remove_file(&self.path);
        self.length = 0;
        self.validator = None;
    }
}

fn earlier(path: &Path, tag: &Path, address: &str) -> Option<(u64, String)> {
    let mut text = String::new();
    File::open(tag).ok()?.take(MAX_TAG).read_to_string(&mut text).ok()?;
    let (from, validator) = text.split_once('\n')?;
    let length = fs::metadata(path).ok()?.len();
    (from == address && length > 0).then(|| (length, validator.to_owned()))
}
