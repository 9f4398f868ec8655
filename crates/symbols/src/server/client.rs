//! The HTTP side of symbol servers: which addresses a file may have, and getting one of them whole.

use super::partial::Partial;
use super::{Failure, FailureClass, Progress, Transfer};
use crate::path::ServerUrl;
use crate::request::Request;
use crate::store::{Entry, Limits, OnProgress, Pointer, two_letters};
use base64::Engine;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::HashMap;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// What a path component may hold unescaped (RFC 3986, unreserved).
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Attempts of one download, however much each brings.
const MAX_ROUNDS: u32 = 200;
/// A server that gives less than this many bytes a second, after a first grace time, counts as silent.
const SLOWEST: u64 = 256;

/// What a server gave.
#[derive(Debug)]
pub(crate) enum Obtained {
    /// The file itself.
    File(PathBuf),
    /// The file in a cabinet.
    Compressed(PathBuf),
}

impl Obtained {
    pub(crate) fn part(&self) -> &Path {
        match self {
            Self::File(path) | Self::Compressed(path) => path,
        }
    }
}

/// The connections of one run, and what was learned about servers meanwhile.
#[derive(Debug)]
pub(crate) struct Client {
    transfer: Transfer,
    plain: Result<Agent, String>,
    secure: Result<Agent, String>,
    learned: Mutex<HashMap<ServerUrl, Learned>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Learned {
    /// Files in a row for which the server could not be reached.
    unreached: u32,
    two_tier: Option<bool>,
}

/// A failed attempt, and whether another one makes sense.
struct Trouble {
    failure: Failure,
    again: Again,
}

enum Again {
    Never,
    After(Option<Duration>),
}

fn never(class: FailureClass, text: impl AsRef<str>) -> Trouble {
    Trouble { failure: Failure::new(class, text), again: Again::Never }
}

fn later(class: FailureClass, text: impl AsRef<str>) -> Trouble {
    Trouble { failure: Failure::new(class, text), again: Again::After(None) }
}

/// Failures of this machine's disk are nobody else's and are not remembered.
fn disk(error: &dyn Display) -> Trouble {
    never(FailureClass::Stopped, format!("the cache cannot be written: {error}"))
}

/// One download.
struct Job<'a> {
    request: &'a Request,
    server: &'a ServerUrl,
    shown: String,
    limit: u64,
    progress: OnProgress<'a>,
}

impl Client {
    pub(crate) fn new(transfer: &Transfer) -> Self {
        Self {
            plain: agent(transfer, transfer.proxies.http.as_deref(), false),
            secure: agent(transfer, transfer.proxies.https.as_deref(), true),
            transfer: transfer.clone(),
            learned: Mutex::default(),
        }
    }

    /// Tries the places where a server may have the file, and brings the first that exists into the entry's work folder.
    pub(crate) fn obtain(
        &self,
        server: &ServerUrl,
        request: &Request,
        entry: &Entry,
        limits: &Limits,
        progress: OnProgress,
    ) -> Result<Obtained, Failure> {
        let given_up = self.learned(server).unreached >= self.transfer.give_up_after.max(1);
        if given_up {
            return Err(Failure::new(
                FailureClass::Stopped,
                "it was not asked, because it could not be reached for the files before this one",
            ));
        }
        let job = Job { request, server, shown: server.shown(), limit: limits.file, progress };
        let outcome = self.first_of(&job, entry);
        let unreachable = matches!(&outcome, Err(failure) if failure.class == FailureClass::Unreachable);
        self.learn(server, |learned| learned.unreached = if unreachable { learned.unreached + 1 } else { 0 });
        outcome
    }

    fn first_of(&self, job: &Job, entry: &Entry) -> Result<Obtained, Failure> {
        let name = job.request.name();
        let place = format!("{}/{}", escaped(name.as_str()), job.request.key());
        let one_tier = self.in_folder(job, entry, &place);
        match one_tier {
            Err(failure) if failure.class == FailureClass::NotFound && self.is_two_tier(job) => {
                self.in_folder(job, entry, &format!("{}/{place}", escaped(&two_letters(name.as_str()))))
            }
            other => other,
        }
    }

    /// The file, its MSFZ form, its cabinet, and at last the pointer that says why none of them is there.
    fn in_folder(&self, job: &Job, entry: &Entry, folder: &str) -> Result<Obtained, Failure> {
        let name = job.request.name();
        let pdb = matches!(job.request, Request::Pdb { .. });
        let plain = Some((escaped(name.as_str()), false));
        let msfz = (pdb && self.transfer.msfz).then(|| (format!("msfz0/{}", escaped(name.as_str())), false));
        let cabinet = name.compressed().map(|name| (escaped(&name), true));
        for (file, compressed) in [plain, msfz, cabinet].into_iter().flatten() {
            match self.download(job, &format!("{folder}/{file}"), entry) {
                Ok(path) if compressed => return Ok(Obtained::Compressed(path)),
                Ok(path) => return Ok(Obtained::File(path)),
                Err(failure) if failure.class == FailureClass::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        let not_found = |text: String| Err(Failure::new(FailureClass::NotFound, text));
        match self.pointer(job, &format!("{folder}/file.ptr")) {
            Some(Pointer::Message(message)) => not_found(format!("it does not have the file, and says: {message}")),
            Some(Pointer::Path(path)) => {
                not_found(format!("it says the file is at {path}, which is not followed; add that folder to the path"))
            }
            None => not_found("it does not have the file".to_owned()),
        }
    }

    /// The contents of a `file.ptr`; whatever goes wrong means that there is none.
    fn pointer(&self, job: &Job, place: &str) -> Option<Pointer> {
        let response = self.get(job, place, None).ok().filter(|response| response.status() == StatusCode::OK)?;
        let mut bytes = Vec::new();
        response.into_body().into_reader().take(crate::store::MAX_POINTER + 1).read_to_end(&mut bytes).ok()?;
        Pointer::parse(&bytes)
    }

    fn is_two_tier(&self, job: &Job) -> bool {
        if let Some(known) = self.learned(job.server).two_tier {
            return known;
        }
        let answer = self.get(job, "index2.txt", None).map(|response| response.status());
        let two_tier = matches!(answer, Ok(StatusCode::OK));
        if answer.is_ok() {
            self.learn(job.server, |learned| learned.two_tier = Some(two_tier));
        }
        two_tier
    }

    /// Downloads one address, with repetitions; what an attempt brought is kept for the next.
    fn download(&self, job: &Job, place: &str, entry: &Entry) -> Result<PathBuf, Failure> {
        let address = format!("{}/{place}", job.shown);
        let mut partial = Partial::open(entry.work_file("download.part"), entry.work_file("download.tag"), &address);
        let mut fruitless = 0;
        for _ in 0..MAX_ROUNDS {
            let before = partial.length();
            let outcome = self.attempt(job, place, &mut partial);
            partial.close();
            let trouble = match outcome {
                Ok(()) => return Ok(partial.path().to_owned()),
                Err(trouble) => trouble,
            };
            fruitless = if partial.length() > before { 0 } else { fruitless + 1 };
            let Again::After(asked) = trouble.again else { return Err(trouble.failure) };
            let wait = asked.map_or_else(|| self.backoff(fruitless), |asked| asked.max(self.transfer.backoff));
            if fruitless > self.transfer.retries || wait > self.transfer.longest_wait {
                return Err(trouble.failure);
            }
            std::thread::sleep(wait);
        }
        Err(Failure::new(FailureClass::ServerError, "the connection broke off too often"))
    }

    fn backoff(&self, fruitless: u32) -> Duration {
        let whole = self.transfer.backoff.saturating_mul(1 << fruitless.saturating_sub(1).min(16)).min(self.transfer.longest_wait);
        // Chance enough to keep many machines from asking in step.
        let chance = u32::try_from(RandomState::new().hash_one(()) & 0xffff).unwrap_or(0);
        whole / 2 + (whole / 2 / 0x1_0000).saturating_mul(chance)
    }

    fn attempt(&self, job: &Job, place: &str, partial: &mut Partial) -> Result<(), Trouble> {
        let resume = partial.resumable().map(|validator| (partial.length(), validator.to_owned()));
        let response = self.get(job, place, resume.as_ref())?;
        let headers = response.headers();
        if header(headers, "content-encoding").is_some_and(|encoding| encoding != "identity") {
            return Err(never(FailureClass::Unusable, "the answer is encoded in a way that was not asked for"));
        }
        match response.status() {
            StatusCode::OK => partial.restart(validator(headers)).map_err(|error| disk(&error))?,
            StatusCode::PARTIAL_CONTENT if resume.is_some() && range_start(headers) == Some(partial.length()) => {
                partial.append().map_err(|error| disk(&error))?;
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                partial.discard();
                return Err(later(FailureClass::ServerError, "the answer is a part of the file that was not asked for"));
            }
            status => return Err(refusal(status, headers)),
        }
        self.receive(job, response, partial)
    }

    /// Writes the body of an answer to disk, within the limits of size and patience.
    fn receive(&self, job: &Job, response: Response<Body>, partial: &mut Partial) -> Result<(), Trouble> {
        let already = partial.length();
        let total =
            header(response.headers(), "content-length").and_then(|text| text.parse::<u64>().ok()).map(|rest| already.saturating_add(rest));
        let too_large = |size: u64| never(FailureClass::Unusable, format!("the file has {size} bytes or more, which is over the limit"));
        if let Some(size) = total.filter(|&size| size > job.limit) {
            partial.discard();
            return Err(too_large(size));
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 64 * 1024];
        let start = Instant::now();
        loop {
            let received = body.read(&mut buffer).map_err(broken)?;
            let Some(bytes) = buffer.get(..received).filter(|bytes| !bytes.is_empty()) else { break };
            partial.write(bytes).map_err(|error| disk(&error))?;
            if partial.length() > job.limit {
                partial.discard();
                return Err(too_large(job.limit));
            }
            let state = Progress { request: job.request, server: &job.shown, bytes: partial.length(), total };
            if (job.progress)(&state).is_break() {
                return Err(never(FailureClass::Stopped, "the download was stopped"));
            }
            let grace = start.elapsed().saturating_sub(self.transfer.stall_timeout);
            if partial.length() - already < grace.as_secs().saturating_mul(SLOWEST) {
                return Err(later(FailureClass::Unreachable, "it sends next to nothing"));
            }
        }
        match total {
            Some(total) if total != partial.length() => {
                Err(later(FailureClass::ServerError, format!("it broke off after {} of {total} bytes", partial.length())))
            }
            _ => Ok(()),
        }
    }

    fn get(&self, job: &Job, place: &str, resume: Option<&(u64, String)>) -> Result<Response<Body>, Trouble> {
        let agent = if job.server.is_https() { &self.secure } else { &self.plain };
        let agent = agent.as_ref().map_err(|error| never(FailureClass::Stopped, error.clone()))?;
        let mut request = agent.get(format!("{}/{place}", job.shown));
        if self.transfer.msfz && matches!(job.request, Request::Pdb { .. }) {
            request = request.header("Accept", "application/msfz0, */*;q=0.5");
        }
        if let Some((offset, validator)) = resume {
            request = request.header("Range", format!("bytes={offset}-")).header("If-Range", validator);
        }
        if let Some(credentials) = job.server.credentials() {
            let plain: Vec<u8> = percent_decode_str(credentials).collect();
            request = request.header("Authorization", format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(plain)));
        }
        request.call().map_err(|error| unanswered(&error))
    }

    fn learned(&self, server: &ServerUrl) -> Learned {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner).get(server).copied().unwrap_or_default()
    }

    fn learn(&self, server: &ServerUrl, change: impl FnOnce(&mut Learned)) {
        change(self.learned.lock().unwrap_or_else(PoisonError::into_inner).entry(server.clone()).or_default());
    }
}

fn agent(transfer: &Transfer, proxy: Option<&str>, https_only: bool) -> Result<Agent, String> {
    let proxy = proxy.map(|address| proxy_of(address, transfer.proxies.direct.as_deref().unwrap_or_default())).transpose()?;
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .https_only(https_only)
        .max_redirects(transfer.redirects)
        .proxy(proxy)
        .tls_config(tls)
        .timeout_resolve(Some(transfer.connect_timeout))
        .timeout_connect(Some(transfer.connect_timeout))
        .timeout_recv_response(Some(transfer.stall_timeout))
        .timeout_per_read(Some(transfer.stall_timeout))
        .user_agent(&transfer.user_agent)
        .build();
    Ok(config.new_agent())
}

fn proxy_of(address: &str, direct: &str) -> Result<ureq::Proxy, String> {
    let unusable = |_| "the address of the proxy cannot be used; expected http://HOST:PORT".to_owned();
    let read = ureq::Proxy::new(address).map_err(unusable)?;
    let mut builder = ureq::Proxy::builder(read.protocol()).host(read.host()).port(read.port());
    if let Some(user) = read.username() {
        builder = builder.username(user);
    }
    if let Some(password) = read.password() {
        builder = builder.password(password);
    }
    for host in direct.split(',').map(str::trim).filter(|host| !host.is_empty()) {
        builder = builder.no_proxy(host);
    }
    builder.build().map_err(unusable)
}

fn escaped(component: &str) -> String {
    utf8_percent_encode(component, COMPONENT).to_string()
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// What proves that a later part belongs to the same file: a strong ETag, or the time of the last change.
fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = header(headers, "etag").filter(|tag| !tag.starts_with("W/"));
    tag.or_else(|| header(headers, "last-modified")).map(str::to_owned)
}

/// The first byte's position in `Content-Range: bytes FIRST-LAST/TOTAL`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    header(headers, "content-range")?.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// An answer that holds no file.
fn refusal(status: StatusCode, headers: &HeaderMap) -> Trouble {
    let text = format!("it answers {status}");
    match status.as_u16() {
        404 | 410 => never(FailureClass::NotFound, "it does not have the file"),
        401 | 402 | 403 | 407 | 451 => never(FailureClass::Forbidden, text),
        408 | 429 | 500 | 502 | 503 | 504 => {
            Trouble { failure: Failure::new(FailureClass::ServerError, text), again: Again::After(retry_after(headers)) }
        }
        _ => never(FailureClass::ServerError, text),
    }
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = header(headers, "retry-after")?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).unwrap_or_default()),
    }
}

/// No answer at all.
fn unanswered(error: &ureq::Error) -> Trouble {
    use ureq::Error;
    let unreachable = |text: String| later(FailureClass::Unreachable, text);
    match error {
        // Whoever filters connections away will not change that in a second.
        Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            never(FailureClass::Unreachable, "no connection to it can be made in time")
        }
        Error::Timeout(_) => unreachable("it does not answer in time".to_owned()),
        Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            never(FailureClass::Unreachable, format!("no trusted connection can be made: {error}"))
        }
        Error::Io(error) => unreachable(format!("the connection failed: {error}")),
        Error::ConnectionFailed => unreachable("the connection failed".to_owned()),
        Error::HostNotFound => never(FailureClass::Unreachable, "its name is not known; is this machine online?"),
        Error::ConnectProxyFailed(_) => never(FailureClass::Unreachable, "the proxy refuses to connect to it"),
        Error::RequireHttpsOnly(_) => never(FailureClass::Unusable, "it redirects to an address without encryption, which is not followed"),
        Error::TooManyRedirects => never(FailureClass::ServerError, "it redirects too often"),
        Error::Protocol(error) => later(FailureClass::ServerError, format!("it does not speak HTTP: {error}")),
        other => never(FailureClass::Unreachable, other.to_string()),
    }
}

/// A body that ended badly.
fn broken(error: std::io::Error) -> Trouble {
    match ureq::Error::from(error) {
        ureq::Error::Timeout(_) => later(FailureClass::Unreachable, "it fell silent in the middle"),
        error => later(FailureClass::ServerError, format!("it broke off in the middle: {error}")),
    }
}
