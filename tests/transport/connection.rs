//! Keeping, renewing and losing connections; the bounds of each step.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use opamp::transport::{
    Endpoint, FailKind, Failure, Limits, Place, ReachedServer, Resolver, Settings,
};

use crate::kit::{BlackHole, Got, LONG, Patience, Rig, Server, answer, ok, settings};

const SHORT: Duration = Duration::from_millis(120);
/// Long enough for a server to come to the point on a machine that stands still now and then.
const NOT_SO_SHORT: Duration = Duration::from_millis(1200);

/// [HTTP-14]
#[test]
fn a_connection_closed_while_idle_is_replaced_in_silence() {
    let (tell, is_closed) = mpsc::channel();
    let server = Server::start(move |listener| {
        for _ in 0..3 {
            let mut peer = listener.accept().unwrap().0;
            Got::read(&mut peer).unwrap();
            peer.write_all(&ok(b"a")).unwrap();
            drop(peer);
            tell.send(()).unwrap();
        }
    });
    let mut rig = Rig::new(&server.url());
    for _ in 0..3 {
        rig.post(b"x").unwrap();
        is_closed.recv_timeout(LONG).unwrap();
    }
    assert_eq!(rig.connections(), 3);
    server.join();
}

/// [HTTP-14] [SYNC-12]
#[test]
fn a_kept_connection_lost_after_the_request_is_told_as_such() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        peer.write_all(&ok(b"a")).unwrap();
        Got::read(&mut peer).unwrap();
        drop(peer);
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        peer.write_all(b"HTTP/1.1 2").unwrap();
    });
    let mut rig = Rig::new(&server.url());
    rig.post(b"x").unwrap();
    let lost = rig.fail();
    assert!(lost.reused, "{lost}");
    assert_eq!(
        (lost.kind, lost.reached),
        (FailKind::Io, ReachedServer::Maybe)
    );
    // On a new connection it is nothing special, nor with a byte of an answer.
    let fresh = rig.fail();
    assert!(!fresh.reused, "{fresh}");
    assert_eq!(
        (fresh.kind, fresh.reached),
        (FailKind::Io, ReachedServer::Maybe)
    );
    server.join();
}

/// [HTTP-14]
#[test]
fn bytes_that_nobody_asked_for_end_a_kept_connection() {
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        peer.write_all(&ok(b"a")).unwrap();
        let mut second = {
            told.recv().unwrap();
            peer.write_all(b"HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
            drop(peer);
            listener.accept().unwrap().0
        };
        Got::read(&mut second).unwrap();
        second.write_all(&ok(b"b")).unwrap();
    });
    let mut rig = Rig::new(&server.url());
    rig.post(b"x").unwrap();
    tell.send(()).unwrap();
    // Either the unasked answer lies there already, or it is taken for one, or its connection is
    // lost: never a good answer.
    let mut tries = (0..3).map(|_| rig.post(b"x"));
    let second = tries.find_map(Result::ok).unwrap();
    assert_eq!(second.body, &b"b"[..]);
    server.join();
}

/// [HTTP-14]
#[test]
fn connection_close_is_honoured() {
    let server = Server::start(|listener| {
        for _ in 0..2 {
            let mut peer = listener.accept().unwrap().0;
            Got::read(&mut peer).unwrap();
            peer.write_all(&answer("200 OK", "Connection: close\r\n", b"a"))
                .unwrap();
            assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        }
    });
    let mut rig = Rig::new(&server.url());
    rig.post(b"x").unwrap();
    rig.post(b"x").unwrap();
    assert_eq!(rig.connections(), 2);
    server.join();
}

/// [HTTP-23]
#[test]
fn an_old_connection_is_renewed_between_two_exchanges() {
    let server = Server::start(|listener| {
        for _ in 0..3 {
            let mut peer = listener.accept().unwrap().0;
            Got::read(&mut peer).unwrap();
            peer.write_all(&ok(b"a")).unwrap();
            assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        }
    });
    let mut aged = settings(&server.url());
    aged.limits.connection_age = Duration::ZERO;
    let mut rig = Rig::with(aged);
    for _ in 0..3 {
        rig.post(b"x").unwrap();
    }
    assert_eq!(rig.connections(), 3);
    assert!(rig.http.traffic().facts().peer.is_some());
    rig.http.forget();
    assert!(rig.http.traffic().facts().peer.is_none());
    server.join();
}

#[test]
fn traffic_counts_what_moved() {
    let server = Server::answering(vec![ok(b"abc"), ok(&[0; 100_000])]);
    let mut rig = Rig::new(&server.url());
    rig.post(&[1; 50_000]).unwrap();
    let first = rig.http.traffic().facts();
    assert!((50_150..50_400).contains(&first.bytes_out), "{first:?}");
    assert!((50..200).contains(&first.bytes_in), "{first:?}");
    rig.post(b"x").unwrap();
    let second = rig.http.traffic().facts();
    assert!(second.bytes_in > 100_000);
    assert_eq!((second.exchanges, second.connections), (2, 1));
    assert_eq!(second.peer, Some(Place::Address(server.addr)));
    server.join();
}

fn limited(url: &str, change: impl FnOnce(&mut Limits)) -> Settings {
    let mut settings = settings(url);
    change(&mut settings.limits);
    settings
}

/// The failure of an exchange that must meet a bound of [`SHORT`], and not much earlier or later.
fn timed(mut rig: Rig, text: &str) -> Failure {
    let start = Instant::now();
    let failure = rig.fail();
    let took = start.elapsed();
    assert_eq!(failure.kind, FailKind::Timeout, "{failure}");
    assert!(failure.text.contains(text), "{failure}");
    assert!(took >= SHORT && took < LONG, "{took:?}");
    failure
}

/// [HTTP-18]
#[test]
fn a_look_up_that_does_not_return_meets_its_bound() {
    let (_keep, blocked) = mpsc::channel::<()>();
    let blocked = parking_lot::Mutex::new(blocked);
    let resolver = Resolver::new(move |_, _| {
        let _ = blocked.lock().recv();
        Err(io::Error::other("never"))
    });
    let settings = limited("http://name.invalid/", |l| l.resolve = SHORT);
    let rig = Rig::watched(settings, Patience::default(), resolver);
    assert_eq!(timed(rig, "resolved").reached, ReachedServer::No);
}

/// [HTTP-18]
#[test]
fn a_connect_into_a_black_hole_meets_its_bound() {
    let hole = BlackHole::new();
    let settings = limited(&format!("http://{}/", hole.addr()), |l| l.connect = SHORT);
    assert_eq!(
        timed(Rig::with(settings), "no address answered").reached,
        ReachedServer::No
    );
}

/// [HTTP-18]
#[test]
fn silence_after_the_request_meets_the_first_byte_bound() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    });
    let settings = limited(&server.url(), |l| l.first_byte = SHORT);
    assert_eq!(
        timed(Rig::with(settings), "begin to answer").reached,
        ReachedServer::Maybe
    );
    server.join();
}

/// [HTTP-18]
#[test]
fn headers_and_then_nothing_meet_the_whole_bound() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            .unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    });
    let settings = limited(&server.url(), |l| l.exchange = NOT_SO_SHORT);
    assert_eq!(
        timed(Rig::with(settings), "finish its answer").reached,
        ReachedServer::Maybe
    );
    server.join();
}

/// [HTTP-18]
#[test]
fn a_byte_at_a_time_does_not_prolong_the_whole_bound() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        peer.set_nodelay(true).unwrap();
        Got::read(&mut peer).unwrap();
        peer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .unwrap();
        while peer.write_all(b"1\r\na\r\n").is_ok() {
            std::thread::yield_now();
        }
    });
    let settings = limited(&server.url(), |l| {
        l.exchange = NOT_SO_SHORT;
        l.message = usize::MAX / 4;
    });
    timed(Rig::with(settings), "finish its answer");
    server.join();
}

/// [HTTP-18]
#[test]
fn a_server_that_does_not_read_meets_the_whole_bound() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::head(&mut peer).unwrap();
        std::thread::park_timeout(LONG);
    });
    let mut rig = Rig::with(limited(&server.url(), |l| l.exchange = SHORT));
    let failure = rig.post(&vec![0; 32 << 20]).unwrap_err();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::Timeout, ReachedServer::Maybe),
        "{failure}"
    );
    assert!(failure.text.contains("take the request"), "{failure}");
}

/// [HTTP-12] [LOG-01]
#[test]
fn a_refused_connect_and_an_unknown_name_say_what_and_where() {
    let addr = nobody();
    let refused = Rig::new(&format!("http://{addr}/")).fail();
    assert_eq!(
        (refused.kind, refused.reached),
        (FailKind::Connect, ReachedServer::No)
    );
    assert_eq!(
        &*refused.text,
        format!("connect to {addr}: Connection refused")
    );
    let unknown = Resolver::new(|_, _| Err(io::Error::other("no such host")));
    let mut rig = Rig::watched(settings("http://a.example/"), Patience::default(), unknown);
    let failure = rig.fail();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::Resolve, ReachedServer::No)
    );
    assert_eq!(&*failure.text, "resolve a.example: no such host");
}

/// Where nothing listens: a port that was free a moment ago may be another test's by now.
fn nobody() -> SocketAddr {
    ([127, 0, 0, 1], 1).into()
}

/// A name whose addresses are given.
fn named(addresses: Vec<SocketAddr>, limits: Limits) -> Rig {
    let resolver = Resolver::new(move |_, _| Ok(addresses.clone()));
    let settings = Settings {
        limits,
        ..settings("http://a.example/")
    };
    Rig::watched(settings, Patience::default(), resolver)
}

#[test]
fn dead_addresses_are_passed_over_within_one_bound() {
    let hole = BlackHole::new();
    let closed = nobody();
    let server = Server::answering(vec![ok(b"a")]);
    let all = vec![closed, hole.addr(), "[::1]:1".parse().unwrap(), server.addr];
    let mut rig = named(
        all,
        Limits {
            connect: LONG,
            ..Limits::default()
        },
    );
    assert_eq!(rig.post(b"x").unwrap().body, &b"a"[..]);
    assert_eq!(
        rig.http.traffic().facts().peer,
        Some(Place::Address(server.addr))
    );
    server.join();
    let failure = named(vec![closed, closed], Limits::default()).fail();
    assert_eq!(
        &*failure.text,
        format!("connect to {closed}: Connection refused, {closed}: Connection refused")
    );
    timed(
        named(
            vec![hole.addr(); 3],
            Limits {
                connect: SHORT * 3,
                ..Limits::default()
            },
        ),
        "answered",
    );
}

/// [LIFE-07]
#[test]
fn one_look_up_at_a_time_and_its_late_result_serves_the_next_try() {
    let server = Server::answering(vec![ok(b"a")]);
    let (begun, beginnings) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = parking_lot::Mutex::new(released);
    let addr = server.addr;
    let resolver = Resolver::new(move |_, _| {
        begun.send(()).unwrap();
        released.lock().recv().unwrap();
        Ok(vec![addr])
    });
    let bounded = limited("http://a.example/", |l| l.resolve = SHORT);
    let mut rig = Rig::watched(bounded.clone(), Patience::default(), resolver.clone());
    assert_eq!(rig.fail().kind, FailKind::Timeout);
    assert_eq!(rig.fail().kind, FailKind::Timeout);
    // Also by an agent that was started again.
    let mut again = Rig::watched(settings("http://a.example/"), Patience::default(), resolver);
    assert_eq!(beginnings.try_iter().count(), 1);
    release.send(()).unwrap();
    assert_eq!(again.post(b"x").unwrap().body, &b"a"[..]);
    assert_eq!(beginnings.try_iter().count(), 0);
    server.join();
}

/// [GUEST-02]
#[test]
fn the_look_up_thread_has_a_name_and_takes_no_signals() {
    let (tell, told) = mpsc::channel();
    let tell = parking_lot::Mutex::new(tell);
    let resolver = Resolver::new(move |_, _| {
        tell.lock()
            .send(std::fs::read_to_string("/proc/thread-self/status").unwrap())
            .unwrap();
        Err(io::Error::other("enough"))
    });
    Rig::watched(settings("http://a.example/"), Patience::default(), resolver).fail();
    let status = told.recv().unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(field("Name:"), "opamp-dns");
    let blocked = u64::from_str_radix(&field("SigBlk:"), 16).unwrap();
    // All but KILL, STOP and the two that the C library keeps for itself.
    assert_eq!(
        blocked | 1 << 8 | 1 << 18 | 1 << 31 | 1 << 32 | 1 << 33,
        u64::MAX,
        "{blocked:x}"
    );
}

/// [HTTP-09]
#[test]
fn a_refusal_before_the_whole_request_was_read_is_still_understood() {
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::head(&mut peer).unwrap();
        peer.write_all(&answer(
            "413 Too Large",
            "Connection: close\r\n",
            b"smaller",
        ))
        .unwrap();
        // Reads nothing more, and keeps the answer from being lost in a reset.
        told.recv_timeout(LONG).unwrap();
    });
    let mut rig = Rig::new(&server.url());
    let failure = rig.post(&vec![0; 32 << 20]).unwrap_err();
    tell.send(()).unwrap();
    assert_eq!(
        (failure.kind, failure.status),
        (FailKind::Status, Some(413)),
        "{failure}"
    );
    assert!(failure.text.ends_with("smaller"));
    server.join();
}

/// [HTTP-14] What the server has not read of the old request must not come before the new one.
#[test]
fn a_connection_whose_request_was_not_sent_whole_is_not_kept() {
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |listener| {
        let mut first = listener.accept().unwrap().0;
        Got::head(&mut first).unwrap();
        first
            .write_all(&answer("413 Too Large", "", b"smaller"))
            .unwrap();
        told.recv_timeout(LONG).unwrap();
        let mut second = listener.accept().unwrap().0;
        Got::read(&mut second).unwrap();
        second.write_all(&ok(b"b")).unwrap();
    });
    let mut rig = Rig::new(&server.url());
    let failure = rig.post(&vec![0; 32 << 20]).unwrap_err();
    assert_eq!(failure.status, Some(413), "{failure}");
    tell.send(()).unwrap();
    assert_eq!(rig.post(b"x").unwrap().body, &b"b"[..]);
    assert_eq!(rig.connections(), 2);
    server.join();
}

/// [GUEST-02]
#[test]
fn every_descriptor_is_closed_on_exec() {
    let server = Server::answering(vec![ok(b"a")]);
    let mut rig = Rig::new(&server.url());
    rig.post(b"x").unwrap();
    let mut ours = 0;
    for entry in std::fs::read_dir("/proc/self/fdinfo").unwrap() {
        // Others' descriptors come and go meanwhile; ours stays.
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        let flags = text
            .lines()
            .find_map(|l| l.strip_prefix("flags:"))
            .unwrap()
            .trim();
        let is_cloexec = u32::from_str_radix(flags, 8).unwrap() & libc::O_CLOEXEC as u32 != 0;
        let number: i32 = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        if number > 2 && opamp::transport::fds::is_ours(number) {
            assert!(is_cloexec, "descriptor {number}");
            ours += 1;
        }
    }
    assert!(ours >= 2, "eventfd and socket");
    server.join();
}

/// [CONN-09] By its number here: the first interface is loopback's.
#[test]
fn an_address_may_name_its_interface_which_no_server_is_told() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return; // no IPv6 here
    };
    let port = listener.local_addr().unwrap().port();
    for zone in ["%251", "%1"] {
        let url = format!("http://[::1{zone}]:{port}/v1");
        Endpoint::parse(&url).unwrap();
        let worker = thread::spawn(move || Rig::new(&url).post(b"x"));
        let mut peer = listener.accept().unwrap().0;
        let got = Got::read(&mut peer).unwrap();
        assert_eq!(got.header("host"), Some(format!("[::1]:{port}").as_str()));
        peer.write_all(&ok(b"found")).unwrap();
        assert_eq!(worker.join().unwrap().unwrap().body, &b"found"[..]);
    }
    let e = Endpoint::parse("https://[fe80::1%25eth0.1]:4320/").unwrap();
    assert_eq!(e.host(), "fe80::1%eth0.1");
    for bad in [
        "[fe80::1%25]",
        "[fe80::1%]",
        "[fe80::1%25a%b]",
        "[fe80%25::1]",
        "a%25b",
    ] {
        assert!(Endpoint::parse(&format!("http://{bad}/")).is_err(), "{bad}");
    }
}
