//! A list of needed files, to be carried to a machine with a network.
//!
//! JSON Lines: the first line names the format, every other one a file. Empty lines and lines that begin with `#` mean nothing.

use crate::request::{Guid, Request};
use bugcheck_dump::Note;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of the format, in its first line.
pub const SCHEMA: &str = "bugcheck.symbols/1";

const MAX_REQUESTS: usize = 100_000;
const MAX_LINE: usize = 4096;

/// The files that dumps need, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    requests: Vec<Request>,
}

/// One line; which keys are there says what it is.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pdb: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
}

impl Manifest {
    /// A manifest of these files; repetitions are dropped, the order stays.
    pub fn new(requests: impl IntoIterator<Item = Request>) -> Self {
        let mut seen = std::collections::HashSet::new();
        let requests = requests.into_iter().filter(|request| seen.insert(request.clone())).take(MAX_REQUESTS).collect();
        Self { requests }
    }

    /// The files.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Reads the text form. Lines that name no file are left out with a note; the number in a note is the line's.
    #[must_use]
    pub fn parse(text: &str) -> (Self, Vec<Note>) {
        let mut notes = Vec::new();
        let mut requests = Vec::new();
        let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
        for (number, line) in lines.map(|(index, line)| (index + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if requests.len() == MAX_REQUESTS || notes.len() == MAX_REQUESTS {
                notes.push(Note::warning(format!("line {number}: the manifest is too long; the rest is left out"), None));
                break;
            }
            match read(line) {
                Ok(found) => requests.extend(found),
                Err(why) => notes.push(Note::warning(format!("line {number} is left out: {why}"), None)),
            }
        }
        (Self::new(requests), notes)
    }
}

fn read(line: &str) -> Result<Option<Request>, String> {
    if line.len() > MAX_LINE {
        return Err("it is too long".to_owned());
    }
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match line {
        Line { pdb: Some(name), guid: Some(guid), age: Some(age), .. } => {
            let guid: Guid = guid.parse().map_err(|error| format!("{error}"))?;
            request(&name, |name| Request::Pdb { name, guid, age })
        }
        Line { image: Some(name), timestamp: Some(timestamp), size: Some(size), .. } => {
            let (timestamp, size_of_image) = (number(&timestamp)?, number(&size)?);
            request(&name, |name| Request::Image { name, timestamp, size_of_image })
        }
        Line { schema: Some(schema), .. } if schema == SCHEMA => Ok(None),
        Line { schema: Some(schema), .. } => Err(format!("its format '{}' is not known", schema.escape_debug())),
        _ => Err("it names neither a PDB (pdb, guid, age) nor an image (image, timestamp, size)".to_owned()),
    }
}

fn request(name: &str, make: impl FnOnce(crate::FileName) -> Request) -> Result<Option<Request>, String> {
    crate::FileName::new(name).map(|name| Some(make(name))).map_err(|error| error.to_string())
}

fn number(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'));
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or_else(|| "numbers are written as \"0x…\"".to_owned())
}

/// The text form.
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = Line { schema: Some(SCHEMA.to_owned()), ..Line::default() };
        for line in std::iter::once(head).chain(self.requests.iter().map(line_of)) {
            writeln!(f, "{}", serde_json::to_string(&line).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}

fn line_of(request: &Request) -> Line {
    match request {
        Request::Pdb { name, guid, age } => {
            Line { pdb: Some(name.to_string()), guid: Some(guid.to_string()), age: Some(*age), ..Line::default() }
        }
        Request::Image { name, timestamp, size_of_image } => Line {
            image: Some(name.to_string()),
            timestamp: Some(format!("{timestamp:#010x}")),
            size: Some(format!("{size_of_image:#x}")),
            ..Line::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_and_read_again() {
        let pdb = Request::pdb("a.pdb", Guid(0x1C19_FDDB), 1).unwrap();
        let image = Request::image("a.sys", 0xc9c0_3000, 0x3b000).unwrap();
        let manifest = Manifest::new([pdb.clone(), image, pdb]);
        assert_eq!(manifest.requests().len(), 2);
        let text = manifest.to_string();
        assert_eq!(
            text,
            "{\"schema\":\"bugcheck.symbols/1\"}\n\
             {\"pdb\":\"a.pdb\",\"guid\":\"0000000000000000000000001C19FDDB\",\"age\":1}\n\
             {\"image\":\"a.sys\",\"timestamp\":\"0xc9c03000\",\"size\":\"0x3b000\"}\n"
        );
        assert_eq!(Manifest::parse(&text), (manifest, Vec::new()));
    }

    #[test]
    fn bad_lines_are_left_out_with_their_number() {
        let text = "# note\n\n{\"schema\":\"bugcheck.symbols/2\"}\n{\"pdb\":\"..\\\\x\",\"guid\":\"0000000000000000000000001C19FDDB\",\"age\":1}\n\
                    {\"image\":\"a.sys\",\"timestamp\":\"1\",\"size\":\"0x1\"}\nnonsense\n{\"image\":\"a.sys\",\"timestamp\":\"0x1\",\"size\":\"0x1\",\"later\":1}";
        let (manifest, notes) = Manifest::parse(text);
        assert_eq!(manifest.requests().len(), 1);
        let numbers: Vec<_> = notes.iter().map(|note| note.text.split(" is").next().unwrap()).collect();
        assert_eq!(numbers, ["line 3", "line 4", "line 5", "line 6"]);
    }
}
