//! Whatever an exchange is doing, the watch's word ends it at once. [LIFE-03]

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use opamp::transport::tls::{Roots, TlsSettings};
use opamp::transport::{FailKind, Failure, ReachedServer, Resolver, Settings};

use crate::kit::{BlackHole, Got, LONG, Patience, Rig, Server, ok, settings};
use crate::tls::Authority;

const AT_ONCE: Duration = Duration::from_millis(50);

/// Begins an exchange, and once `ready` says that it is under way tells it to give up; answers the
/// failure and how long that took.
fn cut(mut rig: Rig, body: usize, ready: impl FnOnce()) -> (Failure, Duration) {
    let (wake, watch) = (rig.wake.clone(), rig.watch.clone());
    let thread = thread::spawn(move || {
        let failure = rig
            .post(&vec![0; body])
            .expect_err("an answer where none was expected");
        (failure, Instant::now())
    });
    ready();
    let told = Instant::now();
    watch.is_over.store(true, SeqCst);
    wake.wake();
    let (failure, ended) = thread.join().unwrap();
    (failure, ended.saturating_duration_since(told))
}

/// A busy machine may delay any one try; that five in a row are late is our fault.
fn at_once(reached: ReachedServer, scene: impl Fn() -> (Failure, Duration)) {
    let mut took = Duration::MAX;
    for _ in 0..5 {
        let (failure, this) = scene();
        assert_eq!(
            (failure.kind, failure.reached),
            (FailKind::GivenUp, reached),
            "{failure}"
        );
        took = took.min(this);
        if took <= AT_ONCE {
            return;
        }
    }
    panic!("given up after {took:?}");
}

/// A server whose script says when the state under test is reached, and ends with the client.
fn scene(
    body: usize,
    make: impl FnOnce(&str) -> Settings,
    script: impl FnOnce(TcpListener, Sender<()>) + Send + 'static,
) -> (Failure, Duration) {
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |listener| script(listener, tell));
    let rig = Rig::with(make(&server.url()));
    let result = cut(rig, body, || told.recv_timeout(LONG).unwrap());
    server.join();
    result
}

/// Reads until the client has gone.
fn until_gone(mut peer: impl Read) {
    let mut piece = vec![0; 64 * 1024];
    while matches!(peer.read(&mut piece), Ok(1..)) {}
}

/// [LIFE-03]
#[test]
fn during_a_look_up() {
    at_once(ReachedServer::No, || {
        let (begun, beginning) = mpsc::channel();
        let (_keep, blocked) = mpsc::channel::<()>();
        let parts = parking_lot::Mutex::new((begun, blocked));
        let resolver = Resolver::new(move |_, _| {
            let parts = parts.lock();
            parts.0.send(()).unwrap();
            let _ = parts.1.recv();
            Err(io::Error::other("never"))
        });
        let rig = Rig::watched(settings("http://a.example/"), Patience::default(), resolver);
        cut(rig, 1, || beginning.recv_timeout(LONG).unwrap())
    });
}

/// [LIFE-03]
#[test]
fn during_a_connect() {
    let hole = BlackHole::new();
    at_once(ReachedServer::No, || {
        let rig = Rig::new(&format!("http://{}/", hole.addr()));
        let watch = rig.watch.clone();
        // Nothing tells of a connect under way; it is right after the first check.
        cut(rig, 1, || {
            while watch.checks.load(SeqCst) == 0 {
                thread::yield_now()
            }
        })
    });
}

/// [LIFE-03]
#[test]
fn during_a_handshake_with_a_silent_server() {
    let authority = Authority::new();
    let tls = TlsSettings {
        roots: Roots::Memory(authority.pem()),
        ..TlsSettings::default()
    };
    at_once(ReachedServer::No, || {
        let secure = |url: &str| {
            let trust = Some(tls.at_start().unwrap());
            Settings {
                trust,
                ..settings(&url.replace("http:", "https:"))
            }
        };
        scene(1, secure, |listener, tell| {
            let mut peer = listener.accept().unwrap().0;
            assert!(peer.read(&mut [0; 4096]).unwrap() > 0);
            tell.send(()).unwrap();
            until_gone(peer);
        })
    });
}

/// [LIFE-03]
#[test]
fn while_sending_32_mib_to_a_server_that_does_not_read() {
    at_once(ReachedServer::Maybe, || {
        let (tell, told) = mpsc::channel();
        let (keep, kept) = mpsc::channel::<()>();
        let server = Server::start(move |listener| {
            let mut peer = listener.accept().unwrap().0;
            Got::head(&mut peer).unwrap();
            tell.send(()).unwrap();
            // Until the client has gone; nothing more is taken.
            let _ = kept.recv_timeout(LONG);
        });
        let rig = Rig::new(&server.url());
        let result = cut(rig, 32 << 20, || told.recv_timeout(LONG).unwrap());
        drop(keep);
        server.join();
        result
    });
}

/// [LIFE-03]
#[test]
fn while_the_answer_has_not_begun() {
    at_once(ReachedServer::Maybe, || {
        scene(1, settings, |listener, tell| {
            let mut peer = listener.accept().unwrap().0;
            Got::read(&mut peer).unwrap();
            tell.send(()).unwrap();
            until_gone(peer);
        })
    });
}

/// [LIFE-03]
#[test]
fn while_the_head_of_the_answer_trickles() {
    at_once(ReachedServer::Maybe, || {
        scene(1, settings, |listener, tell| {
            let mut peer = listener.accept().unwrap().0;
            Got::read(&mut peer).unwrap();
            peer.write_all(b"HTTP/1.1 200 OK\r\nX-A: ").unwrap();
            tell.send(()).unwrap();
            while peer.write_all(b"b").is_ok() {
                thread::park_timeout(Duration::from_millis(1));
            }
        })
    });
}

/// [LIFE-03]
#[test]
fn while_a_body_never_ends() {
    at_once(ReachedServer::Maybe, || {
        let vast = |url: &str| {
            let mut vast = settings(url);
            vast.limits.message = usize::MAX / 4;
            vast
        };
        scene(1, vast, |listener, tell| {
            let mut peer = listener.accept().unwrap().0;
            Got::read(&mut peer).unwrap();
            peer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .unwrap();
            let mut tell = Some(tell);
            while peer.write_all(b"3\r\nabc\r\n").is_ok() {
                if let Some(tell) = tell.take() {
                    tell.send(()).unwrap();
                }
            }
        })
    });
}

/// [LIFE-03]
#[test]
fn while_a_body_stalls() {
    at_once(ReachedServer::Maybe, || {
        scene(1, settings, |listener, tell| {
            let mut peer = listener.accept().unwrap().0;
            Got::read(&mut peer).unwrap();
            peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
                .unwrap();
            tell.send(()).unwrap();
            until_gone(peer);
        })
    });
}

#[test]
fn before_anything_when_the_watch_says_so_at_once() {
    let watch = Patience {
        break_at: Some(1),
        ..Patience::default()
    };
    let mut rig = Rig::watched(settings("http://127.0.0.1:1/"), watch, Resolver::default());
    let failure = rig.fail();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::GivenUp, ReachedServer::No)
    );
    assert_eq!(rig.connections(), 0);
}

/// [LIFE-03]
#[test]
fn at_the_instant_that_the_watch_asked_for() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        until_gone(peer);
    });
    let ask_after = Some(Duration::from_millis(5));
    let watch = Patience {
        ask_after,
        break_at: Some(4),
        ..Patience::default()
    };
    let mut rig = Rig::watched(settings(&server.url()), watch, Resolver::default());
    let start = Instant::now();
    assert_eq!(rig.fail().kind, FailKind::GivenUp);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(15) && took < LONG, "{took:?}");
    drop(rig);
    server.join();
}

#[test]
fn a_wake_up_that_changes_nothing_does_not_disturb() {
    let (tell, told) = mpsc::channel::<()>();
    let (ready, is_ready) = mpsc::channel();
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        ready.send(()).unwrap();
        told.recv().unwrap();
        peer.write_all(&ok(b"late")).unwrap();
    });
    let mut rig = Rig::new(&server.url());
    let (wake, watch) = (rig.wake.clone(), rig.watch.clone());
    let thread = thread::spawn(move || rig.post(b"x").unwrap());
    is_ready.recv().unwrap();
    for _ in 0..100 {
        let before = watch.checks.load(SeqCst);
        wake.wake();
        let start = Instant::now();
        while watch.checks.load(SeqCst) == before {
            assert!(start.elapsed() < LONG, "a wake-up was lost");
            thread::yield_now();
        }
    }
    tell.send(()).unwrap();
    assert_eq!(thread.join().unwrap().body, &b"late"[..]);
    server.join();
}

/// [GUEST-02] Only we write into these sockets, so a signal in this process is ours.
#[test]
#[allow(unsafe_code)] // a handler in place of the "ignore" that Rust programs begin with
fn no_broken_pipe_raises_a_signal() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static RAISED: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn on_signal(_: libc::c_int) {
        RAISED.fetch_add(1, Ordering::SeqCst);
    }
    // SAFETY: the handler only counts.
    unsafe { libc::signal(libc::SIGPIPE, on_signal as *const () as libc::sighandler_t) };
    let authority = Authority::new();
    let identity = authority.leaf(&["127.0.0.1"], |_| {});
    let tls = TlsSettings {
        roots: Roots::Memory(authority.pem()),
        ..TlsSettings::default()
    };
    for is_tls in [false, true] {
        let config = identity.server(None);
        let server = Server::start(move |listener| {
            for _ in 0..4 {
                let peer = listener.accept().unwrap().0;
                // Closed with bytes unread, that is with a reset, in the middle of a large body.
                if is_tls {
                    let session = rustls::ServerConnection::new(config.clone()).unwrap();
                    let _ = Got::head(&mut rustls::StreamOwned::new(session, peer));
                } else {
                    let _ = Got::head(&mut &peer);
                }
            }
        });
        let secure = Settings {
            trust: Some(tls.at_start().unwrap()),
            ..settings(
                &server
                    .url()
                    .replace("http:", if is_tls { "https:" } else { "http:" }),
            )
        };
        let mut rig = Rig::with(secure);
        for _ in 0..4 {
            let failure = rig.post(&vec![0; 16 << 20]).unwrap_err();
            assert_eq!(failure.kind, FailKind::Io, "{failure}");
        }
        server.join();
    }
    assert_eq!(RAISED.load(SeqCst), 0);
    // The handler does count: the same on a pipe of the test's own.
    let mut pipe = [0; 2];
    // SAFETY: two descriptors of ours; the reading end is closed before the write.
    unsafe {
        assert_eq!(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC), 0);
        libc::close(pipe[0]);
        assert_eq!(libc::write(pipe[1], [0u8].as_ptr().cast(), 1), -1);
        libc::close(pipe[1]);
    }
    assert_eq!(RAISED.load(SeqCst), 1);
}
