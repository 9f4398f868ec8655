//! Symbol paths as WinDbg users write them.
//!
//! The syntax is that of Microsoft's "Symbol path for Windows debuggers" and "Using SymSrv": elements joined by `;`, each a
//! folder, `cache*FOLDER`, `srv*STORE*STORE…` or `symsrv*symsrv.dll*STORE…`.

mod config;

pub use config::Config;

use bugcheck_dump::Note;
use std::fmt;
use std::path::{Path, PathBuf};

/// Microsoft's public symbol server.
pub const MICROSOFT: &str = "https://msdl.microsoft.com/download/symbols";

const MAX_TEXT: usize = 64 * 1024;
const MAX_ELEMENTS: usize = 200;
/// symsrv's own limit.
const MAX_STORES: usize = 10;

/// The base address of a symbol server, checked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    text: String,
    host: String,
}

impl ServerUrl {
    /// Reads `http://HOST…` or `https://HOST…`. Queries, fragments and anything but printable ASCII are refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_end_matches('/');
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let allowed = |byte: u8| byte.is_ascii_graphic() && !b"?#*;\\\"<>^`{|}".contains(&byte);
        if !matches!(scheme.as_str(), "http" | "https") || !rest.bytes().all(allowed) {
            return None;
        }
        let authority = rest.split('/').next()?;
        let host = authority.rsplit('@').next()?;
        let name = match host.strip_prefix('[') {
            Some(address) => address.split(']').next()?,
            None => host.split(':').next()?,
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte)) {
            return None;
        }
        Some(Self { host: host.to_ascii_lowercase(), text: format!("{scheme}://{rest}") })
    }

    /// The host, with the port where one is written.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the traffic is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// The address as written, with user name and password if there are any.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `USER:PASSWORD`, where the address has them.
    #[must_use]
    pub fn credentials(&self) -> Option<&str> {
        let authority = self.text.split_once("://")?.1.split('/').next()?;
        authority.rsplit_once('@').map(|(credentials, _)| credentials)
    }

    /// The address without user name and password, for messages.
    #[must_use]
    pub fn shown(&self) -> String {
        let Some((scheme, rest)) = self.text.split_once("://") else { return self.host.clone() };
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        if path.is_empty() { format!("{scheme}://{}", self.host) } else { format!("{scheme}://{}/{path}", self.host) }
    }
}

/// Without user name and password.
impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// One store of a `srv*` chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// The default cache, written as nothing between two asterisks.
    Default,
    /// A folder, local or shared.
    Folder(PathBuf),
    /// A symbol server.
    Http(ServerUrl),
}

/// One element of a symbol path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// A folder, searched as it is.
    Folder(PathBuf),
    /// `cache*`: where everything found further right is kept. Without a folder, the default cache.
    Cache(Option<PathBuf>),
    /// `srv*`: stores, the nearest first.
    Server(Vec<Store>),
}

/// A symbol path (or image path), read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SymbolPath {
    elements: Vec<Element>,
    notes: Vec<Note>,
}

impl SymbolPath {
    /// Reads a path. What cannot be understood is left out, with a note.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut path = Self::default();
        if text.len() > MAX_TEXT {
            path.notes.push(Note::warning(format!("the symbol path has {} characters and is ignored", text.len()), None));
            return path;
        }
        for part in text.split(';').map(tidy).filter(|part| !part.is_empty()) {
            if path.elements.len() == MAX_ELEMENTS {
                path.notes.push(Note::warning(format!("the symbol path is cut after {MAX_ELEMENTS} elements"), None));
                break;
            }
            match element(part) {
                Ok(found) => path.elements.push(found),
                Err(why) => path.notes.push(Note::warning(format!("'{}' in the symbol path is ignored: {why}", part.escape_debug()), None)),
            }
        }
        path
    }

    /// The elements, in the order of search.
    #[must_use]
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// What was ignored, and why.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Whether there is nothing to search.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Searches `other` after this path.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.elements.extend(other.elements);
        self.notes.extend(other.notes);
        self
    }

    /// The hosts that a search would contact: symbol servers, and file servers of `\\HOST\SHARE` folders.
    #[must_use]
    pub fn network(&self) -> Vec<String> {
        let mut hosts: Vec<String> = Vec::new();
        let found = self.elements.iter().flat_map(|element| match element {
            Element::Folder(folder) | Element::Cache(Some(folder)) => share_host(folder).into_iter().collect(),
            Element::Cache(None) => Vec::new(),
            Element::Server(stores) => stores.iter().filter_map(store_host).collect::<Vec<_>>(),
        });
        for host in found {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }
}

/// The path in WinDbg's syntax; reading it again gives the same elements. For messages, use [`SymbolPath::shown`].
impl fmt::Display for SymbolPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, |url| url.as_str().to_owned())
    }
}

impl SymbolPath {
    /// The path in WinDbg's syntax, without user names and passwords of servers.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text, ServerUrl::shown);
        text
    }

    fn write(&self, f: &mut impl fmt::Write, address: impl Fn(&ServerUrl) -> String) -> fmt::Result {
        for (position, element) in self.elements.iter().enumerate() {
            if position > 0 {
                f.write_str(";")?;
            }
            match element {
                Element::Folder(folder) => write!(f, "{}", folder.display())?,
                Element::Cache(folder) => write!(f, "cache*{}", folder.as_deref().unwrap_or(Path::new("")).display())?,
                Element::Server(stores) => {
                    f.write_str("srv")?;
                    for store in stores {
                        match store {
                            Store::Default => f.write_str("*")?,
                            Store::Folder(folder) => write!(f, "*{}", folder.display())?,
                            Store::Http(url) => write!(f, "*{}", address(url))?,
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// The file server of a `\\HOST\SHARE` path. Such a path is a network access even though it looks like a file.
pub(crate) fn share_host(path: &Path) -> Option<String> {
    let text = path.to_string_lossy().replace('/', if cfg!(windows) { "\\" } else { "/" });
    let rest = text.strip_prefix(r"\\")?;
    let rest = match rest.strip_prefix(r"?\") {
        Some(verbatim) => verbatim.get(..4).filter(|start| start.eq_ignore_ascii_case(r"UNC\")).and_then(|_| verbatim.get(4..))?,
        None if rest.starts_with(r".\") => return None,
        None => rest,
    };
    rest.split('\\').next().filter(|host| !host.is_empty()).map(str::to_ascii_lowercase)
}

/// Whether a path has a Windows drive letter, on a system without them. Used as it is, it would become an odd folder wherever
/// the program happens to run.
pub(crate) fn is_foreign(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let mut start = text.bytes();
    !cfg!(windows) && start.next().is_some_and(|letter| letter.is_ascii_alphabetic()) && start.next() == Some(b':')
}

fn store_host(store: &Store) -> Option<String> {
    match store {
        Store::Default => None,
        Store::Folder(folder) => share_host(folder),
        Store::Http(url) => Some(url.host().to_owned()),
    }
}

/// White space and quotation marks around an element mean nothing.
fn tidy(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '"')
}

fn element(text: &str) -> Result<Element, &'static str> {
    if text.chars().any(char::is_control) {
        return Err("it holds control characters");
    }
    if let Some(rest) = after(text, "cache*") {
        let rest = tidy(rest);
        return if rest.is_empty() { Ok(Element::Cache(None)) } else { folder(rest).map(|folder| Element::Cache(Some(folder))) };
    }
    if let Some(rest) = after(text, "srv*") {
        return chain(rest);
    }
    if let Some(rest) = after(text, "symsrv*") {
        let (library, rest) = rest.split_once('*').unwrap_or((rest, ""));
        let known = tidy(library).eq_ignore_ascii_case("symsrv.dll");
        return if known { chain(rest) } else { Err("only symsrv.dll is known as a symbol server library") };
    }
    if text.contains("://") {
        return store(text).map(|store| Element::Server(vec![store]));
    }
    folder(text).map(Element::Folder)
}

fn after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| text.get(prefix.len()..))?
}

/// The stores of `srv*…`. A lone `srv*` is WinDbg's short form for the default cache before Microsoft's server.
fn chain(text: &str) -> Result<Element, &'static str> {
    let parts: Vec<&str> = text.split('*').map(tidy).collect();
    let Some(last) = parts.iter().rposition(|part| !part.is_empty()) else {
        let microsoft = ServerUrl::parse(MICROSOFT).ok_or("no server")?;
        return Ok(Element::Server(vec![Store::Default, Store::Http(microsoft)]));
    };
    if last >= MAX_STORES {
        return Err("a chain has at most 10 stores");
    }
    parts.iter().take(last + 1).map(|part| store(part)).collect::<Result<_, _>>().map(Element::Server)
}

fn store(text: &str) -> Result<Store, &'static str> {
    if text.is_empty() {
        Ok(Store::Default)
    } else if text.contains("://") {
        ServerUrl::parse(text).map(Store::Http).ok_or("it is no http:// or https:// address")
    } else {
        folder(text).map(Store::Folder)
    }
}

fn folder(text: &str) -> Result<PathBuf, &'static str> {
    if text.contains('*') {
        Err("only cache*, srv* and symsrv* are known")
    } else if text.contains("://") {
        Err("an address of a server belongs behind srv*")
    } else {
        Ok(PathBuf::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn http(text: &str) -> Store {
        Store::Http(ServerUrl::parse(text).unwrap())
    }

    fn local(text: &str) -> Store {
        Store::Folder(text.into())
    }

    #[test]
    fn reads_what_windbg_users_write() {
        let microsoft = || http(MICROSOFT);
        let table: &[(&str, Vec<Element>)] = &[
            ("", vec![]),
            (" ; ;; ", vec![]),
            (r"C:\symbols", vec![Element::Folder(r"C:\symbols".into())]),
            (r#" "C:\my symbols" ;/opt/sym; "#, vec![Element::Folder(r"C:\my symbols".into()), Element::Folder("/opt/sym".into())]),
            ("srv*", vec![Element::Server(vec![Store::Default, microsoft()])]),
            ("SRV*https://msdl.microsoft.com/download/symbols/", vec![Element::Server(vec![microsoft()])]),
            ("srv**https://msdl.microsoft.com/download/symbols", vec![Element::Server(vec![Store::Default, microsoft()])]),
            (
                r"srv*C:\sym*\\server\share*https://msdl.microsoft.com/download/symbols",
                vec![Element::Server(vec![local(r"C:\sym"), local(r"\\server\share"), microsoft()])],
            ),
            (r"symsrv*SymSrv.dll*D:\a * http://h:8080/x", vec![Element::Server(vec![local(r"D:\a"), http("http://h:8080/x")])]),
            (r"cache*;Cache*D:\c", vec![Element::Cache(None), Element::Cache(Some(r"D:\c".into()))]),
            ("https://symbols.example/", vec![Element::Server(vec![http("https://symbols.example")])]),
            (r"srv*C:\sym*", vec![Element::Server(vec![local(r"C:\sym")])]),
        ];
        for (text, expected) in table {
            let path = SymbolPath::parse(text);
            assert_eq!(path.elements(), expected, "{text}");
            assert!(path.notes().is_empty(), "{text}: {:?}", path.notes());
            assert_eq!(SymbolPath::parse(&path.to_string()).elements(), expected, "{path}");
        }
    }

    #[test]
    fn what_is_not_understood_is_left_out_with_a_note() {
        for text in [
            "symsrv*other.dll*C:\\x",
            "foo*bar",
            "ftp://host/x",
            "srv*https://",
            "srv*file:///etc",
            "srv*https://ho st/",
            "srv*https://h/?q",
            "C:\\x\u{1b}[2J",
            "cache*https://host/",
            "srv*1*2*3*4*5*6*7*8*9*10*11",
        ] {
            let path = SymbolPath::parse(text);
            assert!(path.is_empty(), "{text}: {path:?}");
            assert_eq!(path.notes().len(), 1, "{text}");
            assert!(!path.notes()[0].text.contains('\u{1b}'));
        }
        assert!(SymbolPath::parse(&"x;".repeat(100_000)).is_empty());
        assert_eq!(SymbolPath::parse(&"x;".repeat(1000)).elements().len(), 200);
    }

    #[test]
    fn names_every_host_that_would_be_contacted() {
        assert_eq!(SymbolPath::parse(r"C:\sym;/opt/sym;cache*;srv*C:\a*/b;\\?\C:\x;\\.\C:\x").network(), Vec::<String>::new());
        let path = SymbolPath::parse(r"srv*\\Files\a*https://user:secret@Host:1/x;srv*;\\?\UNC\other\b;https://host:1");
        assert_eq!(path.network(), ["files", "host:1", "msdl.microsoft.com", "other"]);
        assert!(!format!("{path:?}").contains("secret"));
    }

    #[test]
    fn addresses_show_no_passwords() {
        let url = ServerUrl::parse("HTTPS://user:pa@ss@Host.example:8443/a/b//").unwrap();
        assert_eq!((url.host(), url.shown().as_str(), url.is_https()), ("host.example:8443", "https://host.example:8443/a/b", true));
        assert_eq!(ServerUrl::parse("http://[::1]:80").unwrap().host(), "[::1]:80");
        for text in ["http://", "http://@/", "http://:80/", "http:///x", "http://a b", "http://a/é", "https//x", "javascript://x"] {
            assert_eq!(ServerUrl::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_and_its_display_reads_the_same(text in r#"([ -~é]|srv\*|cache\*|symsrv\*symsrv.dll\*|https://|;|\*|\\|"| |\t){0,40}"#) {
            let path = SymbolPath::parse(&text);
            let again = SymbolPath::parse(&path.to_string());
            prop_assert_eq!(again.elements(), path.elements());
            prop_assert!(again.notes().is_empty());
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = SymbolPath::parse(&text).network();
        }
    }
}
