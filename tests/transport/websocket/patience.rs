//! Silence: whom it costs the connection, and how soon.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use opamp::transport::{FailKind, Limits, ReachedServer};

use super::{AT_ONCE, BINARY, PING, PONG, Raw, Rig, url};
use crate::kit::{Got, LONG, Server, settings};

/// Longer than a machine with much to do lets a thread stand still.
const PING_EVERY: Duration = Duration::from_millis(600);

fn hurried(server: &Server) -> Rig {
    let mut settings = settings(&url(server));
    settings.limits = Limits {
        ping: PING_EVERY,
        pong: Duration::from_secs(10),
        ..settings.limits
    };
    let mut rig = Rig::with(settings);
    rig.connect().unwrap();
    rig
}

/// [WS-07]
#[test]
fn a_peer_without_a_sign_of_life_is_given_up_within_twice_the_ping_interval() {
    let server = Raw::serving(|mut peer| {
        assert_eq!(peer.read().unwrap(), (PING, Vec::new()));
        assert!(peer.read().is_none(), "one ping is enough");
    });
    let begun = Instant::now();
    let failure = hurried(&server).over();
    assert!(begun.elapsed() >= 2 * PING_EVERY);
    assert_eq!(failure.kind, FailKind::Timeout);
    assert!(
        failure.text.contains("a ping was not answered in time"),
        "{failure}"
    );
    server.join();
}

/// [WS-07]
#[test]
fn a_peer_that_answers_pings_is_kept() {
    let server = Raw::serving(|mut peer| {
        for _ in 0..3 {
            let (first, payload) = peer.read().unwrap();
            assert_eq!(first, PING);
            peer.frame(PONG, &payload);
        }
        peer.frame(BINARY, b"\0alive");
        peer.until_gone();
    });
    let mut rig = hurried(&server);
    assert_eq!(rig.message(), "alive");
    drop(rig);
    server.join();
}

/// [WS-07]: a server that answers no pings but speaks is alive.
#[test]
fn any_byte_is_a_sign_of_life() {
    let server = Raw::serving(|mut peer| {
        for byte in super::frame(BINARY, b"\0a") {
            assert_eq!(peer.read().unwrap().0, PING);
            peer.write(&[byte]);
        }
        peer.until_gone();
    });
    let mut rig = hurried(&server);
    assert_eq!(rig.message(), "a");
    drop(rig);
    server.join();
}

/// [WS-07]: a peer that speaks but never reads. Over a unix socket, where the kernel has no
/// patience of its own.
#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    let path = std::env::temp_dir().join(format!("opamp-stuck-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let mut peer = listener.accept().unwrap().0;
        let got = Got::head(&mut peer).unwrap();
        peer.write_all(super::switching(&got, "").as_bytes())
            .unwrap();
        // Not more than an agent bears.
        while peer.write_all(&super::frame(PING, b"")).is_ok() {
            thread::park_timeout(Duration::from_millis(15));
        }
    });
    let place = path.to_str().unwrap().replace('/', "%2F");
    let mut settings = settings(&format!("ws+unix://{place}/v1/opamp"));
    settings.limits.ping = PING_EVERY;
    let mut rig = Rig::with(settings);
    rig.connect().unwrap();
    rig.send(&vec![1; 32 << 20], None);
    let failure = rig.over();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::Timeout, ReachedServer::Maybe),
        "{failure}"
    );
    assert!(failure.text.contains("did not take"), "{failure}");
    drop(rig);
    server.join().unwrap();
    std::fs::remove_file(path).unwrap();
}

/// [LIFE-04]
#[test]
fn nothing_happens_between_two_pings() {
    let server = Raw::serving(Raw::until_gone);
    let mut rig = Rig::connected(&server);
    // To be stopped by somebody counts as a wait; five times in a row it is not that.
    let waits = (0..5).map(|_| {
        let before = switches();
        let news = rig
            .socket
            .rest(Some(Duration::from_millis(100)), &mut || true);
        assert!(news.is_none());
        switches() - before
    });
    // One wait, and one more should the kernel be early.
    let waits = waits.min();
    assert!(waits <= Some(2), "{waits:?} waits in an idle rest");
    drop(rig);
    server.join();
}

/// Voluntary context switches of this thread.
fn switches() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("voluntary_ctxt"))
        .unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

/// [LIFE-03]
#[test]
fn an_upgrade_that_hangs_is_given_up_at_once() {
    let mut took = Duration::MAX;
    for _ in 0..5 {
        let (tell, told) = mpsc::channel();
        let server = Server::start(move |listener| {
            let mut peer = listener.accept().unwrap().0;
            Got::head(&mut peer).unwrap();
            tell.send(()).unwrap();
            Raw(peer).until_gone();
        });
        let mut rig = Rig::new(&server);
        let (wake, watch) = (rig.wake.clone(), rig.watch.clone());
        let thread = thread::spawn(move || (rig.connect().unwrap_err(), Instant::now()));
        told.recv_timeout(LONG).unwrap();
        let begun = Instant::now();
        watch.is_over.store(true, SeqCst);
        wake.wake();
        let (failure, ended) = thread.join().unwrap();
        assert_eq!(
            (failure.kind, failure.reached),
            (FailKind::GivenUp, ReachedServer::No)
        );
        server.join();
        took = took.min(ended.saturating_duration_since(begun));
    }
    assert!(took <= AT_ONCE, "{took:?}");
}
