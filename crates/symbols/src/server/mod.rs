//! Talking to symbol servers.
//!
//! Without the feature `network` only the settings are here, and nothing can contact anything.

#[cfg(feature = "network")]
mod client;
#[cfg(feature = "network")]
mod memory;
#[cfg(feature = "network")]
mod partial;

#[cfg(feature = "network")]
pub(crate) use client::{Client, Obtained};
#[cfg(feature = "network")]
pub(crate) use memory::Memory;

use crate::request::Request;
use std::fmt;
use std::time::Duration;

/// Whether the network may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Servers and file shares of the path may be contacted. Off, they are only reported.
    pub online: bool,
}

/// How far a download is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The file wanted.
    pub request: &'a Request,
    /// The server, without credentials.
    pub server: &'a str,
    /// Bytes received, those of an earlier attempt included.
    pub bytes: u64,
    /// Bytes in all, where the server says.
    pub total: Option<u64>,
}

/// Proxies, as the usual variables give them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http://` servers.
    pub http: Option<String>,
    /// For `https://` servers.
    pub https: Option<String>,
    /// Hosts that are contacted directly, joined by commas.
    pub direct: Option<String>,
}

impl Proxies {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (in either case) through `variable`.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| {
            let value = variable(name).or_else(|| variable(&name.to_ascii_lowercase()));
            value.filter(|value| !value.trim().is_empty())
        };
        let all = either("ALL_PROXY");
        Self { http: either("HTTP_PROXY").or_else(|| all.clone()), https: either("HTTPS_PROXY").or(all), direct: either("NO_PROXY") }
    }
}

/// How long a failure is remembered, so that the next run does not ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// The server does not have the file.
    pub not_found: Duration,
    /// The server refuses to give it.
    pub forbidden: Duration,
    /// The server is broken or overloaded.
    pub server_error: Duration,
    /// The server cannot be reached, or falls silent.
    pub unreachable: Duration,
    /// What the server gave was not the file.
    pub unusable: Duration,
}

impl Lifetimes {
    /// Nothing is remembered.
    pub const NONE: Self = Self {
        not_found: Duration::ZERO,
        forbidden: Duration::ZERO,
        server_error: Duration::ZERO,
        unreachable: Duration::ZERO,
        unusable: Duration::ZERO,
    };

    /// The lifetime of one class.
    #[must_use]
    pub fn of(&self, class: FailureClass) -> Duration {
        match class {
            FailureClass::NotFound => self.not_found,
            FailureClass::Forbidden => self.forbidden,
            FailureClass::ServerError => self.server_error,
            FailureClass::Unreachable => self.unreachable,
            FailureClass::Unusable => self.unusable,
            FailureClass::Stopped => Duration::ZERO,
        }
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            not_found: minutes(6 * 60),
            forbidden: minutes(60),
            server_error: minutes(10),
            unreachable: minutes(5),
            unusable: minutes(6 * 60),
        }
    }
}

/// How servers are talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Longest time to find and reach a server.
    pub connect_timeout: Duration,
    /// Longest silence of a server.
    pub stall_timeout: Duration,
    /// How often an attempt that brought nothing new is repeated.
    pub retries: u32,
    /// The wait before the first repetition; it doubles every time, and chance takes off up to half.
    pub backoff: Duration,
    /// The longest wait, also where a server asks for one.
    pub longest_wait: Duration,
    /// How many redirects are followed. None leads from https to http.
    pub redirects: u32,
    /// Whether compressed PDBs (MSFZ) are asked for.
    pub msfz: bool,
    /// Downloads at the same time.
    pub workers: usize,
    /// After so many files in a row for which a server could not be reached, it is no longer asked.
    pub give_up_after: u32,
    /// How long failures are remembered.
    pub lifetimes: Lifetimes,
    /// How long to wait for another process that fetches the same file.
    pub patience: Duration,
    /// Proxies.
    pub proxies: Proxies,
    /// How the program names itself.
    pub user_agent: String,
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            retries: 3,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            redirects: 5,
            msfz: false,
            workers: 8,
            give_up_after: 3,
            lifetimes: Lifetimes::default(),
            patience: Duration::from_secs(600),
            proxies: Proxies::default(),
            user_agent: concat!("bugcheck/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// The kinds of failure that differ in what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The server does not have the file.
    NotFound,
    /// The server refuses to give it.
    Forbidden,
    /// The server is broken or overloaded.
    ServerError,
    /// The server cannot be reached, or fell silent.
    Unreachable,
    /// What the server gave is not the file, or too large.
    Unusable,
    /// The caller stopped the download.
    Stopped,
}

impl FailureClass {
    /// The word for it in markers and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Forbidden => "forbidden",
            Self::ServerError => "server-error",
            Self::Unreachable => "unreachable",
            Self::Unusable => "unusable",
            Self::Stopped => "stopped",
        }
    }
}

/// Why a server did not give a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub class: FailureClass,
    /// In words.
    pub text: String,
}

impl Failure {
    #[cfg(feature = "network")]
    pub(crate) fn new(class: FailureClass, text: impl AsRef<str>) -> Self {
        // A server may have a say in the words.
        Self { class, text: crate::store::plain(text.as_ref()) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
