//! How a connection ends, and what is known of the message that was on its way.

use std::time::Duration;

use opamp::transport::{FailKind, ReachedServer};
use tungstenite::Message;

use super::{CLOSE, Raw, Rig, serving};
use crate::kit::{Server, settings};

/// [WS-09]
#[test]
fn our_close_waits_for_the_servers() {
    let server = serving(|mut socket| {
        assert_eq!(socket.read().unwrap(), Message::binary(&b"\0bye"[..]));
        let Message::Close(Some(close)) = socket.read().unwrap() else {
            panic!("no Close");
        };
        assert_eq!(u16::from(close.code), 1000);
        // tungstenite echoes with the next read.
        assert!(socket.read().is_err());
    });
    let mut rig = Rig::connected(&server);
    rig.send(b"bye", None);
    rig.written();
    rig.socket.close(1000);
    let failure = rig.over();
    assert!(
        failure
            .text
            .ends_with("the server closed it with code 1000"),
        "{failure}"
    );
    assert!(rig.socket.traffic().facts().peer.is_none());
    server.join();
}

#[test]
fn messages_are_still_taken_between_our_close_and_the_servers() {
    let server = Raw::serving(|mut peer| {
        assert_eq!(peer.read().unwrap().0, CLOSE);
        peer.frame(super::BINARY, b"\0late");
        peer.frame(CLOSE, &1000u16.to_be_bytes());
        peer.until_gone();
    });
    let mut rig = Rig::connected(&server);
    rig.socket.close(1000);
    assert_eq!(rig.message(), "late");
    rig.over();
    server.join();
}

/// [WS-10] [LOG-03]
#[test]
fn the_servers_close_is_echoed_and_told_with_code_and_reason() {
    for (reason, told) in [
        ("going\u{202e} away", "going away"),
        (
            "no: s3cr3t\u{ad}-t%6Fken",
            "(not shown: it repeats a secret)",
        ),
    ] {
        let server = Raw::serving(move |mut peer| {
            let mut payload = 1001u16.to_be_bytes().to_vec();
            payload.extend_from_slice(reason.as_bytes());
            peer.frame(CLOSE, &payload);
            assert_eq!(
                peer.read().unwrap(),
                (CLOSE, 1001u16.to_be_bytes().to_vec())
            );
            assert!(peer.read().is_none());
        });
        let mut rig = Rig::new(&server);
        rig.headers
            .set("Authorization", "Bearer s3cr3t-token")
            .unwrap();
        rig.connect().unwrap();
        let failure = rig.over();
        assert_eq!(failure.kind, FailKind::Io);
        let end = format!("the server closed it with code 1001: {told}");
        assert!(failure.text.ends_with(&end), "{failure}");
        server.join();
    }
}

#[test]
fn a_close_for_size_says_so() {
    let server = Raw::serving(|mut peer| {
        peer.read();
        peer.frame(CLOSE, &1009u16.to_be_bytes());
        peer.until_gone();
    });
    let mut rig = Rig::connected(&server);
    rig.send(b"large", None);
    rig.written();
    assert_eq!(rig.over().kind, FailKind::Size);
    server.join();
}

/// [WS-16]
#[test]
fn an_end_without_a_close_frame_is_a_failure() {
    let server = Raw::serving(drop);
    let failure = Rig::connected(&server).over();
    assert_eq!(failure.kind, FailKind::Io);
    server.join();
}

/// [SYNC-12]: its number is given back.
#[test]
fn of_a_message_that_was_cut_before_it_left_nothing_has_reached_the_server() {
    let server = Raw::serving(Raw::until_gone);
    let mut rig = Rig::connected(&server);
    rig.send(b"never", None);
    let failure = rig.socket.cut();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::GivenUp, ReachedServer::No)
    );
    server.join();
}

/// [WS-16]
#[test]
fn of_a_message_that_left_in_part_nobody_knows() {
    let server = Raw::serving(|mut peer| {
        peer.read();
    });
    let mut rig = Rig::connected(&server);
    rig.send(&vec![1; 32 << 20], None);
    let failure = rig.over();
    assert_eq!(failure.reached, ReachedServer::Maybe, "{failure}");
    server.join();
}

/// The rest would be of no use to a peer that has sent its Close.
#[test]
fn the_servers_close_is_echoed_inside_a_message() {
    const LENGTH: usize = 64 << 20;
    let server = Raw::serving(|mut peer| {
        peer.read();
        peer.frame(CLOSE, &1001u16.to_be_bytes());
        let mut length = 0;
        loop {
            match peer.read().unwrap() {
                (CLOSE, _) => break,
                (_, payload) => length += payload.len(),
            }
        }
        assert!(length < LENGTH / 2, "{length} bytes came before the echo");
        assert!(peer.read().is_none());
    });
    let mut rig = Rig::connected(&server);
    rig.send(&vec![1; LENGTH], None);
    assert_eq!(rig.over().reached, ReachedServer::Maybe);
    server.join();
}

#[test]
fn a_close_that_can_not_be_echoed_ends_in_time() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let (tell_ready, ready) = std::sync::mpsc::channel();
    let server = Server::start(move |listener| {
        super::narrow(&listener);
        tell_ready.send(()).unwrap();
        let mut peer = Raw::accept(&listener);
        peer.frame(CLOSE, &1000u16.to_be_bytes());
        // Reads nothing, so that the echo has no room.
        let _ = told.recv();
    });
    ready.recv().unwrap();
    let mut settings = settings(&super::url(&server));
    settings.limits.close = Duration::from_millis(50);
    let mut rig = Rig::with(settings);
    rig.connect().unwrap();
    rig.send(&vec![1; 32 << 20], None);
    let failure = rig.over();
    assert_eq!(failure.reached, ReachedServer::Maybe, "{failure}");
    assert!(failure.text.contains("took no Close frame"), "{failure}");
    drop(tell);
    server.join();
}

/// [LIFE-03]
#[test]
fn a_wake_up_ends_a_rest() {
    let server = Raw::serving(Raw::until_gone);
    let mut rig = Rig::connected(&server);
    let wake = rig.wake.clone();
    let thread = std::thread::spawn(move || wake.wake());
    assert!(rig.socket.rest(None, &mut || true).is_none());
    assert!(rig.wake.is_raised());
    thread.join().unwrap();
    drop(rig);
    server.join();
}
