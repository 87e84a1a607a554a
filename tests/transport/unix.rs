//! Unix sockets: the path in the place of the host, and the same patience as with TCP.

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use opamp::transport::{Endpoint, FailKind, Place, ReachedServer, Resolver};

use crate::kit::{Got, LONG, Patience, Rig, ok, settings};

/// A folder of its own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("opamp-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("a b.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn url(path: &Path) -> String {
    let path = path.to_str().unwrap().replace('/', "%2F");
    format!("http+unix://{}/v1/opamp?a=b", path.replace(' ', "%20"))
}

/// [PROXY-03]
#[test]
fn exchanges_go_over_one_kept_connection_to_the_socket() {
    let folder = Folder::new("unix-kept");
    let listener = UnixListener::bind(folder.socket()).unwrap();
    let server = thread::spawn(move || {
        let mut peer = listener.accept().unwrap().0;
        for body in [b"a", b"b"] {
            let got = Got::read(&mut peer).unwrap();
            assert!(got.head.starts_with("POST /v1/opamp?a=b HTTP/1.1\r\n"));
            assert_eq!(got.header("host"), Some("localhost"));
            peer.write_all(&ok(body)).unwrap();
        }
    });
    let mut rig = Rig::new(&url(&folder.socket()));
    assert_eq!(rig.post(b"x").unwrap().body, &b"a"[..]);
    assert_eq!(rig.post(b"x").unwrap().body, &b"b"[..]);
    let facts = rig.http.traffic().facts();
    assert_eq!(facts.connections, 1);
    assert_eq!(facts.peer, Some(Place::Socket(folder.socket().into())));
    server.join().unwrap();
}

/// [PROXY-03] [LOG-01]
#[test]
fn a_socket_that_is_not_there_is_a_failed_connect_that_names_it() {
    let folder = Folder::new("unix-absent");
    let failure = Rig::new(&url(&folder.socket())).fail();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::Connect, ReachedServer::No)
    );
    let place = folder.socket().display().to_string();
    assert_eq!(
        &*failure.text,
        format!("connect to the socket {place}: No such file or directory")
    );
}

/// A listener whose backlog is full.
fn crowded(path: &Path) -> (UnixListener, Vec<UnixStream>) {
    let listener = UnixListener::bind(path).unwrap();
    listen_for_one(&listener);
    let mut crowd = Vec::new();
    // A blocking connect would wait for ever, so the last one is made by the client under test.
    for _ in 0..2 {
        crowd.push(UnixStream::connect(path).unwrap());
    }
    (listener, crowd)
}

#[allow(unsafe_code)] // std has no way to choose the backlog
fn listen_for_one(listener: &UnixListener) {
    use std::os::fd::AsRawFd;
    // SAFETY: a listening socket of ours.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 1) }, 0);
}

/// [PROXY-03] [HTTP-18]
#[test]
fn a_full_backlog_meets_the_connect_bound() {
    let folder = Folder::new("unix-full");
    let _crowd = crowded(&folder.socket());
    let mut short = settings(&url(&folder.socket()));
    short.limits.connect = Duration::from_millis(120);
    let begun = Instant::now();
    let failure = Rig::with(short).fail();
    assert_eq!(failure.kind, FailKind::Timeout, "{failure}");
    assert!(failure.text.contains("no address answered"), "{failure}");
    assert!(begun.elapsed() >= Duration::from_millis(120));
    assert!(begun.elapsed() < LONG);
}

/// [PROXY-03]
#[test]
fn a_full_backlog_is_waited_for_and_the_wait_can_be_given_up() {
    let folder = Folder::new("unix-wait");
    let (listener, crowd) = crowded(&folder.socket());
    let mut patient = settings(&url(&folder.socket()));
    patient.limits.connect = LONG;
    let server = thread::spawn(move || {
        for _ in 0..crowd.len() {
            listener.accept().unwrap();
        }
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        peer.write_all(&ok(b"a")).unwrap();
    });
    Rig::with(patient.clone()).post(b"x").unwrap();
    server.join().unwrap();

    let folder = Folder::new("unix-given-up");
    let _crowd = crowded(&folder.socket());
    patient.endpoint = Endpoint::parse(&url(&folder.socket())).unwrap();
    let watch = Patience {
        ask_after: Some(Duration::from_millis(20)),
        break_at: Some(5),
        ..Patience::default()
    };
    let failure = Rig::watched(patient, watch, Resolver::default()).fail();
    assert_eq!(failure.kind, FailKind::GivenUp);
}

/// [PROXY-03] [HTTP-17]
#[test]
fn a_path_that_no_socket_can_have_is_refused_by_the_url() {
    let long = format!("http+unix://%2F{}/", "x".repeat(107));
    for (url, why) in [
        ("http+unix:///v1", "no host"),
        ("http+unix://run%2Fa.sock/v1", "not absolute"),
        ("http+unix://%2Frun%00a/v1", "a NUL"),
        ("http+unix://%00run/v1", "not absolute"),
        ("http+unix://%2Frun%2/v1", "two hexadecimal digits"),
        ("http+unix://%2Frun%g1/v1", "two hexadecimal digits"),
        ("http+unix://me@%2Frun%2Fa/v1", "user info"),
        (long.as_str(), "longer than 107"),
    ] {
        let error = Endpoint::parse(url).unwrap_err().to_string();
        assert!(error.contains(why), "{url}: {error}");
    }
    assert!(Endpoint::parse(&format!("http+unix://%2F{}/", "x".repeat(106))).is_ok());
}
