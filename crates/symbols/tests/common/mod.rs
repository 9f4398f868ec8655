//! Symbol files made by hand, and a symbol server on loopback that can misbehave.
#![allow(dead_code, reason = "each test file uses a part of this")]

use bugcheck_symbols::server::Lifetimes;
use bugcheck_symbols::{Finder, Guid, Policy, Request, Settings, SymbolPath, Transfer};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const GUID: Guid = Guid(0x1122_3344_5566_7788_99aa_bbcc_ddee_ff00);
pub const TIMESTAMP: u32 = 0x5f00_1234;
pub const SIZE_OF_IMAGE: u32 = 0x5000;

/// A PDB in the container MSF: 512-byte blocks, streams 1 and 3, and filler up to `blocks`.
pub fn pdb(guid: Guid, age: u32, blocks: u32) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut file: Vec<u8> = (0..blocks as usize * BLOCK).map(|at| (at % 251) as u8).collect();
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0");
    let directory: [u32; 7] = [4, 0, 28, 0, 64, 5, 6];
    for (index, word) in [512, 1, blocks, directory.len() as u32 * 4, 0, 4].into_iter().enumerate() {
        put(32 + 4 * index, &word.to_le_bytes());
    }
    for (index, word) in directory.into_iter().enumerate() {
        put(3 * BLOCK + 4 * index, &word.to_le_bytes());
    }
    put(4 * BLOCK, &3u32.to_le_bytes());
    put(5 * BLOCK, &information(guid, age));
    put(6 * BLOCK, &dbi(age));
    file
}

fn information(guid: Guid, age: u32) -> Vec<u8> {
    let mut stream = Vec::new();
    for word in [20_000_404, 0x5f00_0000, age] {
        stream.extend(u32::to_le_bytes(word));
    }
    let mut guid = guid.0.to_be_bytes();
    guid[0..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    stream.extend(guid);
    stream
}

fn dbi(age: u32) -> Vec<u8> {
    let mut stream = Vec::new();
    for word in [u32::MAX, 19_990_903, age] {
        stream.extend(word.to_le_bytes());
    }
    stream.resize(64, 0);
    stream
}

/// The same PDB in the container MSFZ, by the library of its authors.
pub fn msfz(guid: Guid, age: u32) -> Vec<u8> {
    let mut writer = ms_pdb_msfz::MsfzWriter::new(std::io::Cursor::new(Vec::new())).unwrap();
    writer.reserve_num_streams(4);
    for (number, contents) in [(0, Vec::new()), (1, information(guid, age)), (2, Vec::new()), (3, dbi(age))] {
        let mut stream = writer.stream_writer(number).unwrap();
        stream.set_compression_enabled(number == 3);
        stream.write_all(&contents).unwrap();
    }
    writer.finish().unwrap().1.into_inner()
}

/// An image with one section that ends with the file.
pub fn image(timestamp: u32, size_of_image: u32) -> Vec<u8> {
    let mut file = vec![0u8; 0x600];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &0x80u32.to_le_bytes());
    put(0x80, b"PE\0\0");
    put(0x84, &0x8664u16.to_le_bytes());
    put(0x86, &1u16.to_le_bytes());
    put(0x88, &timestamp.to_le_bytes());
    put(0x94, &0xf0u16.to_le_bytes());
    put(0x98 + 56, &size_of_image.to_le_bytes());
    put(0x98 + 0xf0 + 16, &0x400u32.to_le_bytes());
    put(0x98 + 0xf0 + 20, &0x200u32.to_le_bytes());
    file
}

pub fn cabinet(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut builder = cab::CabinetBuilder::new();
    builder.add_folder(cab::CompressionType::MsZip).add_file(name);
    let mut writer = builder.build(std::io::Cursor::new(Vec::new())).unwrap();
    while let Some(mut file) = writer.next_file().unwrap() {
        file.write_all(contents).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub fn wanted_pdb() -> Request {
    Request::pdb("driver.pdb", GUID, 1).unwrap()
}

pub fn wanted_image() -> Request {
    Request::image("driver.sys", TIMESTAMP, SIZE_OF_IMAGE).unwrap()
}

/// Numbered PDBs that differ in their names.
pub fn numbered(number: usize) -> Request {
    Request::pdb(&format!("driver{number}.pdb"), GUID, 1).unwrap()
}

pub fn put(root: &Path, place: &str, contents: &[u8]) -> PathBuf {
    let path = root.join(place);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, contents).unwrap();
    path
}

/// The files below a folder, hidden ones left out, by their paths with `/`.
pub fn visible(root: &Path) -> Vec<String> {
    fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with('.') {
                continue;
            }
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{prefix}{name}/"), found);
            } else {
                found.push(format!("{prefix}{name}"));
            }
        }
    }
    let mut found = Vec::new();
    walk(root, "", &mut found);
    found.sort();
    found
}

/// Settings for servers on loopback: no waiting between attempts, yet patience enough for a busy machine.
pub fn transfer() -> Transfer {
    Transfer {
        connect_timeout: Duration::from_secs(10),
        stall_timeout: Duration::from_secs(10),
        retries: 2,
        backoff: Duration::from_millis(1),
        longest_wait: Duration::from_millis(1500),
        patience: Duration::from_secs(20),
        lifetimes: Lifetimes::default(),
        ..Transfer::default()
    }
}

pub fn online() -> Settings {
    Settings { policy: Policy { online: true }, transfer: transfer(), ..Settings::default() }
}

pub fn finder(path: &str, settings: Settings) -> Finder {
    let path = SymbolPath::parse(path);
    assert!(path.notes().is_empty(), "{:?}", path.notes());
    Finder::new(&path, &SymbolPath::default(), settings)
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    headers: HashMap<String, String>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first byte of a range that is asked for.
    pub fn range(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// A server; what it does with a connection is up to the test.
pub struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    busiest: Arc<AtomicUsize>,
}

impl Server {
    pub fn start(answer: impl Fn(&Seen, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let busiest = Arc::new(AtomicUsize::new(0));
        let (log, peak, busy, answer) = (seen.clone(), busiest.clone(), Arc::new(AtomicUsize::new(0)), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, peak, busy, answer) = (log.clone(), peak.clone(), busy.clone(), answer.clone());
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(request) = read_request(&stream) else { return };
                    log.lock().unwrap().push(request.clone());
                    peak.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    answer(&request, &mut stream);
                    busy.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, seen, busiest }
    }

    /// A server of fixed files, with 404 for everything else, as any static file server.
    pub fn of_files(files: Vec<(String, Vec<u8>)>) -> Self {
        Self::start(move |seen, stream| match files.iter().find(|(place, _)| format!("/{place}") == seen.target) {
            Some((_, contents)) => reply(stream, "200 OK", &[], contents),
            None => reply(stream, "404 Not Found", &[], b"no"),
        })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn targets(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.target).collect()
    }

    /// The most connections there were at the same time.
    pub fn busiest(&self) -> usize {
        self.busiest.load(Ordering::SeqCst)
    }
}

fn read_request(stream: &TcpStream) -> Option<Seen> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())))
        .collect();
    Some(Seen { method, target, headers })
}

/// A whole answer with an honest length.
pub fn reply(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8]) {
    head(stream, status, headers, body.len());
    let _ = stream.write_all(body);
}

/// The beginning of an answer that says `length`.
pub fn head(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], length: usize) {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    let _ = stream.write_all((text + "\r\n").as_bytes());
}

/// An answer with ranges, as a good server gives it.
pub fn ranged(seen: &Seen, stream: &mut TcpStream, tag: &str, contents: &[u8]) {
    match seen.range().filter(|_| seen.header("if-range") == Some(tag)) {
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", contents.len() - 1, contents.len());
            reply(stream, "206 Partial Content", &[("ETag", tag), ("Content-Range", &range)], &contents[start..]);
        }
        None => reply(stream, "200 OK", &[("ETag", tag)], contents),
    }
}

pub fn sleep(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}
