//! What says nothing, at line rate, on a connection that lives long. [LOG-11]

use std::io::Write;
use std::time::{Duration, Instant};

use opamp::transport::websocket::News;
use opamp::transport::{FailKind, Proxy, proxy::Choice};

use super::{BINARY, CLOSE, PING, PONG, Raw, Rig, TEXT, frame, narrow, shown, url};
use crate::flood::{cheaply, trusted, tunnel};
use crate::kit::{Got, LONG, Server, secure, settings};
use crate::records::{Nothing, Records};

fn upgraded(peer: &mut (impl std::io::Read + Write)) {
    let got = Got::head(peer).unwrap();
    super::upgrade(peer, &got);
}

/// [LOG-11]
#[test]
fn records_without_data_end_the_connection() {
    for kind in Nothing::ALL {
        let (tls, pair) = trusted();
        let server = Server::start(move |listener| {
            let mut peer = Records::accept(listener.accept().unwrap().0, &pair);
            upgraded(&mut peer);
            peer.flood(kind);
        });
        let mut rig = Rig::with(secure(&url(&server).replace("ws:", "wss:"), &tls));
        // What comes with the answer to the upgrade counts, too.
        let failure = cheaply(|| rig.connect().map_or_else(|e| e, |()| rig.over()));
        assert_eq!(failure.kind, FailKind::Tls, "{failure}");
        assert!(kind.is_named_in(&failure.text), "{failure}");
        server.join();
    }
}

/// [LOG-11]
#[test]
fn so_do_those_of_a_proxy_around_it() {
    let (tls, pair) = trusted();
    let server = Server::start(move |listener| {
        let mut peer = tunnel(listener.accept().unwrap().0, &pair);
        upgraded(&mut peer);
        peer.carrier().flood(Nothing::Tickets);
    });
    let mut settings = secure(&url(&server).replace("ws:", "wss:"), &tls);
    let proxy = format!("https://{}", server.addr);
    settings.proxies.choice = Choice::Given(Proxy::parse(&proxy).unwrap());
    let mut rig = Rig::with(settings);
    let failure = cheaply(|| rig.connect().map_or_else(|e| e, |()| rig.over()));
    assert!(Nothing::Tickets.is_named_in(&failure.text), "{failure}");
    server.join();
}

/// [LOG-11] Told once, and to the peer with a code.
#[test]
fn frames_that_say_nothing_end_the_connection() {
    let fragment = |first| frame(first, b"");
    for (what, first, then) in [
        ("pings", Vec::new(), frame(PING, b"ping")),
        ("pongs", Vec::new(), frame(PONG, b"pong")),
        ("texts", Vec::new(), frame(TEXT, b"text")),
        ("messages without a header", Vec::new(), frame(BINARY, b"")),
        ("empty messages", Vec::new(), frame(BINARY, b"\0")),
        ("fragments", fragment(2), fragment(0)),
    ] {
        let server = Raw::serving(move |mut peer| {
            peer.write(&first);
            let many = then.repeat(100);
            // Nobody reads what answers the pings, but the client's Close comes through.
            while peer.0.write_all(&many).is_ok() {}
        });
        let mut rig = Rig::connected(&server);
        let (code, failure) = cheaply(|| {
            loop {
                match rig.next() {
                    News::Skipped(_) | News::Message(_) => {}
                    News::Broken { code, failure } => return (code, failure),
                    other => panic!("{what}: {}", shown(&other)),
                }
            }
        });
        assert_eq!((code, failure.kind), (1008, FailKind::Protocol), "{what}");
        assert!(failure.text.contains("more than 1"), "{what}: {failure}");
        rig.socket.cut();
        server.join();
    }
}

/// A server that stood still, or an agent that did, finds many together.
#[test]
fn a_burst_of_pings_after_a_calm_is_borne() {
    let server = Raw::serving(|mut peer| {
        peer.write(&frame(PING, b"").repeat(900));
        peer.frame(BINARY, b"\0hello");
        peer.until_gone();
    });
    let mut rig = Rig::connected(&server);
    assert_eq!(rig.message(), "hello");
    rig.socket.cut();
    server.join();
}

/// [LOG-11] It is not silent, but it is not alive either.
#[test]
fn a_peer_that_sends_for_ever_and_takes_nothing_is_given_up() {
    let server = Server::start(|listener| {
        narrow(&listener);
        let mut peer = Raw::accept(&listener);
        while peer.0.write_all(&frame(BINARY, b"\0hello")).is_ok() {}
    });
    let mut settings = settings(&url(&server));
    settings.limits.ping = Duration::from_millis(200);
    settings.limits.pong = Duration::from_millis(200);
    let mut rig = Rig::with(settings);
    rig.connect().unwrap();
    rig.socket.send(vec![0; 32 << 20], None);
    let start = Instant::now();
    let failure = loop {
        match rig.next() {
            News::Message(_) => assert!(start.elapsed() < LONG, "never given up"),
            News::Over(failure) => break failure,
            other => panic!("{}", shown(&other)),
        }
    };
    assert_eq!(failure.kind, FailKind::Timeout, "{failure}");
    server.join();
}

/// [LOG-11] [WS-10]
#[test]
fn what_comes_behind_a_close_holds_nobody_up() {
    let server = Server::start(|listener| {
        narrow(&listener);
        let mut peer = Raw::accept(&listener);
        // The client's sending is stuck: its Close can not leave.
        peer.frame(BINARY, b"\0go");
        peer.bytes::<2>();
        peer.frame(CLOSE, &1000u16.to_be_bytes());
        while peer.0.write_all(&[0; 64 * 1024]).is_ok() {}
    });
    let mut settings = settings(&url(&server));
    settings.limits.close = Duration::from_millis(200);
    let mut rig = Rig::with(settings);
    rig.connect().unwrap();
    assert_eq!(rig.message(), "go");
    rig.socket.send(vec![0; 32 << 20], None);
    let start = Instant::now();
    let failure = rig.over();
    assert!(start.elapsed() < Duration::from_secs(5), "{failure}");
    assert_eq!(failure.kind, FailKind::Io, "{failure}");
    server.join();
}
