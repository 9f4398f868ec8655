//! Symbol servers on loopback, good and bad ones.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is wrong")]

mod common;

use bugcheck_symbols::server::{FailureClass, Lifetimes};
use bugcheck_symbols::store::{Limits, Origin, Why};
use bugcheck_symbols::{Container, Found, Missing, Policy, Proxies, Request, Settings, Transfer};
use common::*;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::{TempDir, tempdir};

const PLACE: &str = "driver.pdb/112233445566778899AABBCCDDEEFF001/driver.pdb";

fn cache() -> TempDir {
    tempdir().unwrap()
}

fn find(cache: &TempDir, server: &Server, request: &Request, settings: Settings) -> Result<Found, Missing> {
    finder(&format!("srv*{}*{}", cache.path().display(), server.url()), settings).find(request)
}

fn find_pdb(cache: &TempDir, server: &Server) -> Result<Found, Missing> {
    find(cache, server, &wanted_pdb(), online())
}

/// The class of the only failure.
fn failure(outcome: Result<Found, Missing>) -> (FailureClass, String) {
    let missing = outcome.unwrap_err();
    assert_eq!(missing.reasons.len(), 1, "{missing:?}");
    match &missing.reasons[0].why {
        Why::Failed(failure) => (failure.class, failure.text.clone()),
        other => panic!("{other:?}"),
    }
}

fn on_progress(_: &bugcheck_symbols::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_good_server_gives_the_file() {
    let contents = pdb(GUID, 1, 300);
    let server = Server::of_files(vec![(PLACE.to_owned(), contents.clone())]);
    let cache = cache();
    let found = find_pdb(&cache, &server).unwrap();
    assert_eq!(found.path, cache.path().join(PLACE));
    assert_eq!((found.container, found.origin), (Container::Plain, Origin::Server(server.url())));
    assert!(std::fs::read(&found.path).unwrap() == contents);
    assert_eq!(visible(cache.path()), [PLACE]);
    assert_eq!(std::fs::read_dir(cache.path().join(".bugcheck")).unwrap().count(), 1, "only the locks are left");
    let seen = server.seen();
    assert_eq!((seen.len(), seen[0].method.as_str()), (1, "GET"));
    assert!(seen[0].header("user-agent").unwrap().starts_with("bugcheck/"));

    let again = find_pdb(&cache, &server).unwrap();
    assert_eq!(again.origin, Origin::Disk(cache.path().join(PLACE)));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn an_image_is_asked_for_by_time_stamp_and_size() {
    let place = "driver.sys/5F0012345000/driver.sys";
    let server = Server::of_files(vec![(place.to_owned(), image(TIMESTAMP, SIZE_OF_IMAGE))]);
    let cache = cache();
    assert_eq!(find(&cache, &server, &wanted_image(), online()).unwrap().path, cache.path().join(place));
    let other = Request::image("driver.sys", TIMESTAMP, 0x6000).unwrap();
    assert_eq!(failure(find(&cache, &server, &other, online())).0, FailureClass::NotFound);
}

#[test]
fn a_packed_file_is_unpacked() {
    let contents = pdb(GUID, 1, 100);
    let place = PLACE.replace("/driver.pdb", "/driver.pd_");
    let server = Server::of_files(vec![(place, cabinet("driver.pdb", &contents))]);
    let cache = cache();
    let found = find_pdb(&cache, &server).unwrap();
    assert!(std::fs::read(found.path).unwrap() == contents);
    assert_eq!(visible(cache.path()), [PLACE]);
}

#[test]
fn a_packed_bomb_is_refused_before_it_is_unpacked() {
    let place = PLACE.replace("/driver.pdb", "/driver.pd_");
    let server = Server::of_files(vec![(place, cabinet("driver.pdb", &vec![0; 3_000_000]))]);
    let cache = cache();
    let limits = Limits { file: 1_000_000, ..Limits::default() };
    let (class, text) = failure(find(&cache, &server, &wanted_pdb(), Settings { limits, ..online() }));
    assert_eq!(class, FailureClass::Unusable);
    assert!(text.contains("3000000 bytes"), "{text}");
    assert!(visible(cache.path()).is_empty());
}

#[test]
fn msfz_is_asked_for_where_wanted_and_kept_apart() {
    let server = Server::of_files(vec![(PLACE.to_owned(), msfz(GUID, 1))]);
    let cache = cache();
    let settings = Settings { transfer: Transfer { msfz: true, ..transfer() }, ..online() };
    let found = find(&cache, &server, &wanted_pdb(), settings).unwrap();
    assert_eq!(found.container, Container::Msfz);
    assert_eq!(found.path, cache.path().join(PLACE.replace("/driver.pdb", "/msfz0/driver.pdb")));
    assert!(server.seen()[0].header("accept").unwrap().starts_with("application/msfz0"));
    assert_eq!(find_pdb(&cache, &server).unwrap().container, Container::Msfz);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_wrong_file_is_not_kept() {
    let wrong_guid = pdb(bugcheck_symbols::Guid(7), 1, 20);
    let cut = pdb(GUID, 1, 20)[..5000].to_vec();
    for (contents, word) in [
        (wrong_guid, "another build"),
        (pdb(GUID, 2, 20), "another link"),
        (cut, "cut: 5000 of 10240"),
        (b"<!DOCTYPE html><title>Log in</title>".to_vec(), "it begins with '<!DOCTYPE html><'"),
        (Vec::new(), "empty"),
        (msfz(bugcheck_symbols::Guid(7), 1), "another build"),
    ] {
        let server = Server::of_files(vec![(PLACE.to_owned(), contents)]);
        let cache = cache();
        let (class, text) = failure(find_pdb(&cache, &server));
        assert_eq!(class, FailureClass::Unusable, "{text}");
        assert!(text.contains(word), "{text}");
        assert!(visible(cache.path()).is_empty());
        assert!(matches!(find_pdb(&cache, &server).unwrap_err().reasons[0].why, Why::Remembered(_)));
        assert_eq!(server.seen().len(), 1, "{word}");
    }
}

#[test]
fn absence_is_remembered_without_asking_again() {
    let server = Server::of_files(Vec::new());
    let cache = cache();
    assert_eq!(failure(find_pdb(&cache, &server)).0, FailureClass::NotFound);
    let asked = server.targets();
    assert!(
        asked.iter().any(|target| target.ends_with("/driver.pd_")) && asked.iter().any(|target| target.ends_with("/file.ptr")),
        "{asked:?}"
    );
    let missing = find_pdb(&cache, &server).unwrap_err();
    let Why::Remembered(failure_then) = &missing.reasons[0].why else { panic!("{missing:?}") };
    assert_eq!(failure_then.class, FailureClass::NotFound);
    assert!(missing.reasons[0].to_string().contains("was not asked again: it does not have the file (0 s ago)"));
    assert_eq!(server.targets().len(), asked.len());

    let forgetful = Settings { transfer: Transfer { lifetimes: Lifetimes::NONE, ..transfer() }, ..online() };
    assert_eq!(failure(find(&cache, &server, &wanted_pdb(), forgetful)).0, FailureClass::NotFound);
    assert!(server.targets().len() > asked.len());
    assert!(visible(cache.path()).is_empty());
}

#[test]
fn each_kind_of_failure_has_its_class_and_its_number_of_attempts() {
    for (status, class, attempts) in [
        ("403 Forbidden", FailureClass::Forbidden, 1),
        ("401 Unauthorized", FailureClass::Forbidden, 1),
        ("410 Gone", FailureClass::NotFound, 4),
        ("500 Internal Server Error", FailureClass::ServerError, 3),
        ("503 Service Unavailable", FailureClass::ServerError, 3),
        ("418 I'm a teapot", FailureClass::ServerError, 1),
        ("206 Partial Content", FailureClass::ServerError, 3),
    ] {
        let server = Server::start(move |_, stream| reply(stream, status, &[], b"no"));
        assert_eq!(failure(find_pdb(&cache(), &server)).0, class, "{status}");
        assert_eq!(server.seen().len(), attempts, "{status}");
    }
}

#[test]
fn a_server_that_recovers_is_asked_until_it_does() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_, stream| match count.fetch_add(1, Ordering::SeqCst) {
        0 => reply(stream, "503 Service Unavailable", &[], b""),
        1 => drop(stream.write_all(b"nonsense\r\n\r\n")),
        _ => reply(stream, "200 OK", &[], &pdb(GUID, 1, 20)),
    });
    find_pdb(&cache(), &server).unwrap();
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn retry_after_is_obeyed_within_reason() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_, stream| match count.fetch_add(1, Ordering::SeqCst) {
        0 => reply(stream, "429 Too Many Requests", &[("Retry-After", "1")], b""),
        1 => reply(stream, "429 Too Many Requests", &[("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")], b""),
        _ => reply(stream, "200 OK", &[], &pdb(GUID, 1, 20)),
    });
    let start = std::time::Instant::now();
    find_pdb(&cache(), &server).unwrap();
    assert!(start.elapsed().as_millis() >= 1000, "the server asked for a second of peace");
    assert_eq!(server.seen().len(), 3);

    let server = Server::start(|_, stream| reply(stream, "429 Too Many Requests", &[("Retry-After", "3600")], b""));
    let (class, text) = failure(find_pdb(&cache(), &server));
    assert_eq!((class, text.contains("429")), (FailureClass::ServerError, true));
    assert_eq!(server.seen().len(), 1, "nobody waits an hour");
}

#[test]
fn a_download_that_breaks_off_is_resumed() {
    let contents = pdb(GUID, 1, 400);
    let (served, count) = (contents.clone(), AtomicUsize::new(0));
    let server = Server::start(move |seen, stream| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            head(stream, "200 OK", &[("ETag", "\"v1\"")], served.len());
            let _ = stream.write_all(&served[..100_000]);
        } else {
            ranged(seen, stream, "\"v1\"", &served);
        }
    });
    let cache = cache();
    let found = find_pdb(&cache, &server).unwrap();
    assert!(std::fs::read(found.path).unwrap() == contents);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[1].range(), seen[1].header("if-range")), (Some(100_000), Some("\"v1\"")));
}

#[test]
fn a_download_that_always_breaks_off_still_gets_through_piece_by_piece() {
    let contents = pdb(GUID, 1, 200);
    let served = contents.clone();
    let server = Server::start(move |seen, stream| {
        let start = seen.range().unwrap_or(0);
        let end = (start + 9_000).min(served.len());
        let range = format!("bytes {start}-{}/{}", served.len() - 1, served.len());
        let status = if start == 0 { "200 OK" } else { "206 Partial Content" };
        head(stream, status, &[("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Content-Range", &range)], served.len() - start);
        let _ = stream.write_all(&served[start..end]);
    });
    let cache = cache();
    assert!(std::fs::read(find_pdb(&cache, &server).unwrap().path).unwrap() == contents);
    assert!(server.seen().len() >= 12);
}

#[test]
fn nothing_is_resumed_without_proof_that_the_file_is_the_same() {
    // The server gives no validator; gives another version; answers with another part than asked for.
    let contents = pdb(GUID, 1, 400);
    for case in 0..3 {
        let (served, count) = (contents.clone(), AtomicUsize::new(0));
        let server = Server::start(move |seen, stream| match (count.fetch_add(1, Ordering::SeqCst), case) {
            (0, 0) => {
                head(stream, "200 OK", &[("ETag", "W/\"weak\"")], served.len());
                let _ = stream.write_all(&[b'x'; 1000]);
            }
            (0, _) => {
                head(stream, "200 OK", &[("ETag", "\"old\"")], served.len());
                let _ = stream.write_all(&[b'x'; 1000]);
            }
            (1, 2) => {
                let range = format!("bytes 500-{}/{}", served.len() - 1, served.len());
                reply(stream, "206 Partial Content", &[("ETag", "\"old\""), ("Content-Range", &range)], &served[500..]);
            }
            _ => ranged(seen, stream, "\"new\"", &served),
        });
        let cache = cache();
        assert!(std::fs::read(find_pdb(&cache, &server).unwrap().path).unwrap() == contents, "case {case}");
        assert_eq!(server.seen()[1].range(), (case > 0).then_some(1000), "case {case}");
    }
}

#[test]
fn a_stopped_download_is_never_visible_and_can_be_resumed() {
    let contents = pdb(GUID, 1, 2000);
    let served = contents.clone();
    let server = Server::start(move |seen, stream| ranged(seen, stream, "\"v1\"", &served));
    let cache = cache();
    let finder = finder(&format!("srv*{}*{}", cache.path().display(), server.url()), online());
    let stop = |progress: &bugcheck_symbols::Progress| {
        assert_eq!((progress.total, progress.request), (Some(1_024_000), &wanted_pdb()));
        if progress.bytes > 200_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let outcome = finder.fetch_all(&[wanted_pdb()], &stop).remove(0);
    assert_eq!(failure(outcome).0, FailureClass::Stopped);
    assert!(visible(cache.path()).is_empty());
    assert!(finder.check(&[wanted_pdb()])[0].is_err(), "a part was taken for the file");

    assert!(std::fs::read(finder.find(&wanted_pdb()).unwrap().path).unwrap() == contents);
    assert!(server.seen()[1].range().unwrap() > 200_000);
}

#[test]
fn leftovers_of_a_killed_program_do_no_harm() {
    let contents = pdb(GUID, 1, 50);
    let served = contents.clone();
    let server = Server::start(move |seen, stream| ranged(seen, stream, "\"v1\"", &served));
    let work = format!(".bugcheck/{}", PLACE.rsplit_once('/').unwrap().0.replace('/', "-"));
    for (part, tag) in [
        (vec![b'x'; 700], None),
        (vec![b'x'; 700], Some("http://elsewhere/x\n\"v1\"".to_owned())),
        (vec![b'x'; 700], Some("garbage".to_owned())),
        (vec![b'x'; 700], Some(format!("{}/{PLACE}\n\"v0\"", server.url()))),
        (contents[..700].to_vec(), Some(format!("{}/{PLACE}\n\"v1\"", server.url()))),
    ] {
        let cache = cache();
        put(cache.path(), &format!("{work}/download.part"), &part);
        put(cache.path(), &format!("{work}/copy.part"), &part);
        if let Some(tag) = &tag {
            put(cache.path(), &format!("{work}/download.tag"), tag.as_bytes());
        }
        assert!(std::fs::read(find_pdb(&cache, &server).unwrap().path).unwrap() == contents, "{tag:?}");
        assert!(!cache.path().join(&work).exists());
    }
    assert_eq!(server.seen().iter().filter(|seen| seen.range() == Some(700)).count(), 2);
}

#[test]
fn a_wrong_part_that_was_resumed_is_thrown_away() {
    let contents = pdb(GUID, 1, 50);
    let served = contents.clone();
    let server = Server::start(move |seen, stream| ranged(seen, stream, "\"v1\"", &served));
    let work = format!(".bugcheck/{}", PLACE.rsplit_once('/').unwrap().0.replace('/', "-"));
    let cache = cache();
    put(cache.path(), &format!("{work}/download.part"), &[b'x'; 700]);
    put(cache.path(), &format!("{work}/download.tag"), format!("{}/{PLACE}\n\"v1\"", server.url()).as_bytes());
    let forgetful = || Settings { transfer: Transfer { lifetimes: Lifetimes::NONE, ..transfer() }, ..online() };
    assert_eq!(failure(find(&cache, &server, &wanted_pdb(), forgetful())).0, FailureClass::Unusable);
    find(&cache, &server, &wanted_pdb(), forgetful()).unwrap();
}

#[test]
fn a_file_in_the_cache_that_went_bad_is_fetched_again() {
    let contents = pdb(GUID, 1, 50);
    let server = Server::of_files(vec![(PLACE.to_owned(), contents.clone())]);
    let cache = cache();
    put(cache.path(), PLACE, &contents[..9000]);
    assert!(std::fs::read(find_pdb(&cache, &server).unwrap().path).unwrap() == contents);
}

#[test]
fn a_silent_server_is_given_up() {
    let settings = || Settings { transfer: Transfer { stall_timeout: Duration::from_millis(60), ..transfer() }, ..online() };
    let server = Server::start(|_, _| sleep(2000));
    let (class, text) = failure(find(&cache(), &server, &wanted_pdb(), settings()));
    assert_eq!((class, text.as_str()), (FailureClass::Unreachable, "it does not answer in time"));
    assert_eq!(server.seen().len(), 3);

    let server = Server::start(|_, stream| {
        head(stream, "200 OK", &[], 10_240);
        let _ = stream.write_all(&pdb(GUID, 1, 20)[..5000]);
        sleep(2000);
    });
    let cache = cache();
    let (class, text) = failure(find(&cache, &server, &wanted_pdb(), settings()));
    assert_eq!((class, text.as_str()), (FailureClass::Unreachable, "it fell silent in the middle"));
    assert!(visible(cache.path()).is_empty());
}

#[test]
fn a_server_that_lies_about_the_size_is_found_out() {
    // More is promised than comes.
    let server = Server::start(|_, stream| {
        head(stream, "200 OK", &[], 1_000_000);
        let _ = stream.write_all(&pdb(GUID, 1, 20));
    });
    let cache = cache();
    let (class, text) = failure(find_pdb(&cache, &server));
    assert_eq!(class, FailureClass::ServerError, "{text}");
    // More comes than is promised.
    let server = Server::start(|_, stream| {
        head(stream, "200 OK", &[], 9000);
        let _ = stream.write_all(&pdb(GUID, 1, 20));
    });
    let (class, text) = failure(find_pdb(&cache, &server));
    assert_eq!(class, FailureClass::Unusable, "{text}");
    assert!(visible(cache.path()).is_empty());
}

#[test]
fn too_large_is_refused_whether_announced_or_not() {
    let limits = Limits { file: 100_000, ..Limits::default() };
    let announced = Server::start(|_, stream| head(stream, "200 OK", &[], 200_000_000_000));
    let endless = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while stream.write_all(b"1000\r\n").and_then(|()| stream.write_all(&[0; 0x1000])).and_then(|()| stream.write_all(b"\r\n")).is_ok() {
        }
    });
    for server in [announced, endless] {
        let cache = cache();
        let (class, text) = failure(find(&cache, &server, &wanted_pdb(), Settings { limits, ..online() }));
        assert_eq!(class, FailureClass::Unusable, "{text}");
        assert!(text.contains("over the limit"), "{text}");
        assert_eq!(server.seen().len(), 1);
        assert!(visible(cache.path()).is_empty());
    }
}

#[test]
fn redirects_are_followed_but_not_forever() {
    let target = Server::of_files(vec![("blob/1".to_owned(), pdb(GUID, 1, 20))]);
    let blob = format!("{}/blob/1", target.url());
    let server = Server::start(move |_, stream| reply(stream, "302 Found", &[("Location", &blob)], b""));
    find_pdb(&cache(), &server).unwrap();

    let circle = Server::start(|seen, stream| reply(stream, "307 Temporary Redirect", &[("Location", &seen.target)], b""));
    let (class, text) = failure(find_pdb(&cache(), &circle));
    assert_eq!((class, text.as_str()), (FailureClass::ServerError, "it redirects too often"));
    assert!(circle.seen().len() <= 7, "{}", circle.seen().len());

    let elsewhere = Server::start(|_, stream| reply(stream, "302 Found", &[("Location", "file:///etc/passwd")], b""));
    assert!(find_pdb(&cache(), &elsewhere).is_err());
}

#[test]
fn one_file_is_downloaded_once_however_many_ask() {
    let contents = pdb(GUID, 1, 100);
    let server = Server::start(move |_, stream| {
        sleep(30);
        reply(stream, "200 OK", &[], &contents);
    });
    let cache = cache();
    let path = format!("srv*{}*{}", cache.path().display(), server.url());
    // Half of them share a finder, the others stand for other processes.
    let shared = finder(&path, online());
    std::thread::scope(|scope| {
        for number in 0..12 {
            let (shared, path) = (&shared, &path);
            scope.spawn(move || {
                if number % 2 == 0 { shared.find(&wanted_pdb()) } else { finder(path, online()).find(&wanted_pdb()) }.unwrap()
            });
        }
    });
    assert_eq!(server.targets(), [format!("/{PLACE}")]);

    let absent = Server::start(|_, stream| {
        sleep(20);
        reply(stream, "403 Forbidden", &[], b"");
    });
    let finder = finder(&format!("srv*{}*{}", cache.path().join("b").display(), absent.url()), online());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| finder.find(&wanted_pdb()).unwrap_err());
        }
    });
    assert_eq!(absent.seen().len(), 1);
}

#[test]
fn many_files_are_fetched_side_by_side_in_order() {
    let files =
        (0..20).filter(|number| number % 5 != 0).map(|number| format!("/{0}/{1}/{0}", numbered(number).name(), numbered(number).key()));
    let files: Vec<String> = files.collect();
    let server = Server::start(move |seen, stream| {
        sleep(15);
        if files.contains(&seen.target) {
            reply(stream, "200 OK", &[], &pdb(GUID, 1, 30))
        } else {
            reply(stream, "404 Not Found", &[], b"")
        }
    });
    let cache = cache();
    let settings = Settings { transfer: Transfer { workers: 4, ..transfer() }, ..online() };
    let requests: Vec<Request> = (0..20).map(numbered).collect();
    let answers = finder(&format!("srv*{}*{}", cache.path().display(), server.url()), settings).fetch_all(&requests, &on_progress);
    for (number, (answer, request)) in answers.iter().zip(&requests).enumerate() {
        match answer {
            Ok(found) => assert_eq!((&found.request, number % 5 != 0), (request, true)),
            Err(missing) => assert_eq!((&missing.request, number % 5), (request, 0)),
        }
    }
    assert!((2..=4).contains(&server.busiest()), "{}", server.busiest());
}

#[test]
fn a_dead_server_is_not_asked_for_every_file() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cache = cache();
    let finder = finder(&format!("srv*{}*http://127.0.0.1:{port}", cache.path().display()), online());
    let classes: Vec<_> = (0..6).map(|number| failure(finder.find(&numbered(number))).0).collect();
    use FailureClass::{Stopped, Unreachable};
    assert_eq!(classes, [Unreachable, Unreachable, Unreachable, Stopped, Stopped, Stopped]);
}

#[test]
fn a_two_tier_server_is_understood() {
    let server = Server::of_files(vec![(format!("dr/{PLACE}"), pdb(GUID, 1, 20)), ("index2.txt".to_owned(), Vec::new())]);
    let cache = cache();
    let finder = finder(&format!("srv*{}*{}", cache.path().display(), server.url()), online());
    finder.find(&wanted_pdb()).unwrap();
    assert_eq!(visible(cache.path()), [PLACE]);
    finder.find(&numbered(1)).unwrap_err();
    assert_eq!(server.targets().iter().filter(|target| *target == "/index2.txt").count(), 1);
}

#[test]
fn what_a_server_s_pointer_says_is_told_and_not_followed() {
    let secret = tempdir().unwrap();
    let local = put(secret.path(), "driver.pdb", &pdb(GUID, 1, 20));
    let place = PLACE.replace("/driver.pdb", "/file.ptr");
    for (text, expected) in [
        ("MSG: Not kept\u{1b}[2J any more".to_owned(), "says: Not kept[2J any more"),
        (format!("PATH:{}", local.display()), "which is not followed"),
    ] {
        let server = Server::of_files(vec![(place.clone(), text.into_bytes())]);
        let (class, text) = failure(find_pdb(&cache(), &server));
        assert_eq!(class, FailureClass::NotFound);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn nearer_stores_get_copies() {
    let server = Server::of_files(vec![(PLACE.to_owned(), pdb(GUID, 1, 20))]);
    let root = tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    std::fs::create_dir_all(at("b")).unwrap();
    std::fs::write(at("b/index2.txt"), "").unwrap();
    let path = format!("cache*{};srv*{}*{}*{}", at("c").display(), at("a").display(), at("b").display(), server.url());
    let found = finder(&path, online()).find(&wanted_pdb()).unwrap();
    assert_eq!(found.path, at("c").join(PLACE));
    assert_eq!(visible(root.path()), [format!("a/{PLACE}"), format!("b/dr/{PLACE}"), "b/index2.txt".to_owned(), format!("c/{PLACE}")]);
    assert_eq!(server.seen().len(), 1);
    // A copy is made again from the next store, without the server.
    std::fs::remove_dir_all(at("c")).unwrap();
    std::fs::remove_dir_all(at("a")).unwrap();
    assert_eq!(finder(&path, online()).find(&wanted_pdb()).unwrap().path, at("c").join(PLACE));
    assert!(at("a").join(PLACE).exists());
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn without_a_cache_nothing_is_asked() {
    let server = Server::of_files(vec![(PLACE.to_owned(), pdb(GUID, 1, 20))]);
    let missing = finder(&format!("srv*{}", server.url()), online()).find(&wanted_pdb()).unwrap_err();
    assert_eq!(missing.reasons[0].why, Why::NoCache);
    assert!(server.seen().is_empty());
    let cache = cache();
    let settings = Settings { default_cache: Some(cache.path().to_owned()), ..online() };
    finder(&format!("srv*{}", server.url()), settings).find(&wanted_pdb()).unwrap();
    assert_eq!(visible(cache.path()), [PLACE]);
}

#[test]
fn offline_no_server_is_contacted_and_the_report_says_what_would_help() {
    let server = Server::of_files(vec![(PLACE.to_owned(), pdb(GUID, 1, 20))]);
    let cache = cache();
    let path = format!("srv*{}*http://user:secret@{}/sym", cache.path().display(), server.host());
    let finder = finder(&path, Settings { policy: Policy::default(), ..online() });
    let missing = finder.find(&wanted_pdb()).unwrap_err();
    assert_eq!(missing.would_help().collect::<Vec<_>>(), [format!("{}/sym", server.url())]);
    assert_eq!(
        finder.fetch_command("needed.jsonl"),
        format!("bugcheck symbols fetch \"needed.jsonl\" -y \"srv*{}*{}/sym\"", cache.path().display(), server.url())
    );
    assert!(server.seen().is_empty());
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
    let bare = common::finder("/opt/symbols", online());
    assert_eq!(bare.fetch_command("x"), "bugcheck symbols fetch \"x\" -y \"srv*https://msdl.microsoft.com/download/symbols\"");
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let server = Server::start(|_, stream| reply(stream, "403 Forbidden", &[], b""));
    let cache = cache();
    let path = format!("srv*{}*http://user:se%40cret@{}", cache.path().display(), server.host());
    let missing = finder(&path, online()).find(&wanted_pdb()).unwrap_err();
    assert_eq!(server.seen()[0].header("authorization"), Some("Basic dXNlcjpzZUBjcmV0"));
    assert!(!format!("{missing:?} {}", missing.reasons[0]).contains("cret"));
    let kept = walk_text(cache.path());
    assert!(kept.contains("forbidden") && !kept.contains("cret"), "{kept}");
}

/// Everything below a folder as one text.
fn walk_text(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { walk_text(&path) } else { std::fs::read_to_string(&path).unwrap_or_default() }).collect()
}

#[test]
fn proxies_are_used_except_for_hosts_named_direct() {
    let server = Server::of_files(vec![(PLACE.to_owned(), pdb(GUID, 1, 20))]);
    let proxy = Server::start(|_, stream| reply(stream, "403 Forbidden", &[], b""));
    let settings = |direct: Option<&str>| {
        let variables = |name: &str| match name {
            "http_proxy" => Some(proxy.url()),
            "NO_PROXY" => direct.map(str::to_owned),
            _ => None,
        };
        Settings { transfer: Transfer { proxies: Proxies::from_variables(variables), ..transfer() }, ..online() }
    };
    assert!(find(&cache(), &server, &wanted_pdb(), settings(None)).is_err());
    assert!(server.seen().is_empty());
    assert!(!proxy.seen().is_empty());
    let before = proxy.seen().len();
    find(&cache(), &server, &wanted_pdb(), settings(Some("other.example, 127.0.0.1"))).unwrap();
    assert_eq!((proxy.seen().len(), server.seen().len()), (before, 1));

    let proxies = Proxies { http: Some("::bad::".to_owned()), ..Proxies::default() };
    let broken = Settings { transfer: Transfer { proxies, ..transfer() }, ..online() };
    let (class, text) = failure(find(&cache(), &server, &wanted_pdb(), broken));
    assert!(class == FailureClass::Stopped && text.contains("proxy"), "{text}");
    assert_eq!(server.seen().len(), 1, "a proxy that cannot be used is not gone around");
}

#[test]
fn odd_names_are_escaped_in_addresses() {
    let server = Server::of_files(Vec::new());
    let request = Request::pdb("a b+c#d&(1).pdb", GUID, 1).unwrap();
    find(&cache(), &server, &request, online()).unwrap_err();
    let name = "a%20b%2Bc%23d%26%281%29.pdb";
    assert_eq!(server.targets()[0], format!("/{name}/{}/{name}", request.key()));
}
