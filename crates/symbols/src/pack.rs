//! Carrying symbol files to a site without a network: one zip file in a store's layout, with a manifest.

use crate::manifest::Manifest;
use crate::request::{FileName, Request};
use crate::store::{Container, Entry, Found, Limits, StoreError};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The manifest's name in a pack.
const MANIFEST: &str = "manifest.jsonl";
const MAX_ENTRIES: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a pack cannot be written or read at all.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is no zip file, or a damaged one.
    #[error("{} is no pack: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// What `unpack` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// The files now in the store.
    pub files: Vec<(Request, PathBuf)>,
    /// Entries of the pack that were left out, and why.
    pub refused: Vec<(String, String)>,
}

/// Writes the files into a new pack at `output`, and says how many bytes it has. The pack appears whole or not at all.
///
/// # Errors
/// What could not be read or written.
pub fn pack(files: &[Found], output: &Path) -> Result<u64, PackError> {
    let part = output.with_extension("part");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| PackError::Io { path, source }
    };
    let written = write_pack(files, &part).and_then(|()| fs::rename(&part, output).map_err(failed(output)));
    if let Err(error) = written {
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    fs::metadata(output).map(|metadata| metadata.len()).map_err(failed(output))
}

fn write_pack(files: &[Found], part: &Path) -> Result<(), PackError> {
    let failed = |path: &Path, source: io::Error| PackError::Io { path: path.to_owned(), source };
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).compression_level(Some(1));
    let mut zip = ZipWriter::new(File::create(part).map_err(|error| failed(part, error))?);
    let manifest = Manifest::new(files.iter().map(|found| found.request.clone()));
    let start = |zip: &mut ZipWriter<File>, name: &str, large: bool| {
        zip.start_file(name, options.large_file(large)).map_err(|error| failed(part, error.into()))
    };
    start(&mut zip, MANIFEST, false)?;
    zip.write_all(manifest.to_string().as_bytes()).map_err(|error| failed(part, error))?;
    let mut seen = HashSet::new();
    for found in files {
        let name = entry_name(found);
        if seen.insert(name.clone()) {
            let mut source = File::open(&found.path).map_err(|error| failed(&found.path, error))?;
            let size = source.metadata().map_err(|error| failed(&found.path, error))?.len();
            start(&mut zip, &name, size >= u64::from(u32::MAX))?;
            io::copy(&mut source, &mut zip).map_err(|error| failed(&found.path, error))?;
        }
    }
    let file = zip.finish().map_err(|error| failed(part, error.into()))?;
    file.sync_all().map_err(|error| failed(part, error))
}

fn entry_name(found: &Found) -> String {
    let Found { request, container, .. } = found;
    let folder = if *container == Container::Msfz { "msfz0/" } else { "" };
    format!("{request}/{folder}{}", request.name())
}

/// Puts the files of a pack into the store at `store`. Each is checked like a download; entries that are no store files, or not the
/// files they say they are, are left out with a reason.
///
/// # Errors
/// Why the file cannot be read as a pack.
pub fn unpack(pack: &Path, store: &Path, limits: &Limits) -> Result<Unpacked, PackError> {
    let damaged = |error: zip::result::ZipError| PackError::Damaged { path: pack.to_owned(), what: error.to_string() };
    let file = File::open(pack).map_err(|source| PackError::Io { path: pack.to_owned(), source })?;
    let mut zip = ZipArchive::new(io::BufReader::new(file)).map_err(damaged)?;
    if zip.len() > MAX_ENTRIES {
        return Err(PackError::Damaged { path: pack.to_owned(), what: format!("it has {} entries", zip.len()) });
    }
    let mut done = Unpacked::default();
    let mut left = limits.pack;
    for index in 0..zip.len() {
        let mut entry = match zip.by_index(index) {
            Ok(entry) => entry,
            Err(error) => {
                done.refused.push((format!("entry {index}"), error.to_string()));
                continue;
            }
        };
        let name = entry.name().map_or_else(|_| String::from_utf8_lossy(entry.name_raw()).into_owned(), |name| name.into_owned());
        if entry.is_dir() || name == MANIFEST {
            continue;
        }
        let outcome = match request_of(&name) {
            Some(request) => unpack_one(&mut entry, &request, store, limits.file.min(left)).map(|(path, size)| (request, path, size)),
            None => Err("it is no place in a symbol store".to_owned()),
        };
        match outcome {
            Ok((request, path, size)) => {
                left = left.saturating_sub(size);
                done.files.push((request, path));
            }
            Err(why) => done.refused.push((name.escape_debug().to_string(), why)),
        }
    }
    Ok(done)
}

fn unpack_one(source: &mut impl Read, request: &Request, store: &Path, limit: u64) -> Result<(PathBuf, u64), String> {
    let entry = Entry::open(store, request, PATIENCE).map_err(|error| error.to_string())?;
    if let Some((path, _)) = entry.existing() {
        return Ok((path, 0));
    }
    let mut size = 0;
    let written = entry.write(|target| {
        // One byte beyond the limit tells a file that is too large from one that just fits.
        size = io::copy(&mut source.take(limit.saturating_add(1)), target).map_err(|error| StoreError::Content(error.to_string()))?;
        if size > limit { Err(StoreError::Content(format!("it unpacks to more than the {limit} bytes allowed"))) } else { Ok(()) }
    });
    written.map(|(path, _)| (path, size)).map_err(|error| error.to_string())
}

/// The request that an entry `NAME/KEY/NAME` or `NAME/KEY/msfz0/NAME` stands for.
fn request_of(entry: &str) -> Option<Request> {
    let parts: Vec<&str> = entry.split('/').collect();
    let (name, key, file) = match parts.as_slice() {
        [name, key, file] | [name, key, "msfz0", file] => (name, key, file),
        _ => return None,
    };
    let name = FileName::new(name).ok().filter(|name| name.as_str().eq_ignore_ascii_case(file))?;
    Request::from_key(name, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_of_a_store_are_accepted() {
        let pdb = "1C19FDDB27BB3399D9B45973EFEAFCF31";
        assert!(request_of(&format!("a.pdb/{pdb}/a.pdb")).is_some());
        assert!(request_of(&format!("a.pdb/{pdb}/msfz0/A.pdb")).is_some());
        assert!(request_of("a.sys/C9C030003b000/a.sys").is_some());
        for name in [
            "a.pdb".to_owned(),
            format!("../{pdb}/.."),
            format!("/a.pdb/{pdb}/a.pdb"),
            format!("a.pdb/{pdb}/b.pdb"),
            format!("a.pdb/{pdb}/../a.pdb"),
            format!(r"a.pdb\{pdb}\a.pdb"),
            format!("C:/a.pdb/{pdb}/a.pdb"),
            format!("con/{pdb}/con"),
            "a.pdb/../a.pdb".to_owned(),
            "a.pdb/12/a.pdb".to_owned(),
            format!("file.ptr/{pdb}/file.ptr"),
        ] {
            assert_eq!(request_of(&name), None, "{name}");
        }
    }
}
