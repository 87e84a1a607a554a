//! Messages, pings and pongs on a connection that works.

use std::time::Duration;

use opamp::transport::tls::{Roots, TlsSettings};
use opamp::transport::websocket::News;
use tungstenite::Message;

use super::{BINARY, PING, PONG, Raw, Rig, serving};
use crate::kit::{Server, secure};
use crate::tls::Authority;

/// [WS-01]
#[test]
fn messages_are_binary_frames_with_a_header_of_zero() {
    let server = serving(|mut socket| {
        assert_eq!(
            socket.read().unwrap(),
            Message::binary(&b"\0to the server"[..])
        );
        socket
            .send(Message::binary(&b"\0to the agent"[..]))
            .unwrap();
        let _ = socket.read();
    });
    let mut rig = Rig::connected(&server);
    rig.send(b"to the server", None);
    rig.written();
    assert_eq!(rig.message(), "to the agent");
    drop(rig);
    server.join();
}

/// [WS-03]
#[test]
fn an_empty_message_is_one_in_both_directions() {
    let server = serving(|mut socket| {
        assert_eq!(socket.read().unwrap(), Message::binary(&b"\0"[..]));
        socket.send(Message::binary(&b"\0"[..])).unwrap();
        let _ = socket.read();
    });
    let mut rig = Rig::connected(&server);
    rig.send(b"", None);
    rig.written();
    assert_eq!(rig.message(), "");
    drop(rig);
    server.join();
}

/// [SYNC-02]
#[test]
fn a_marked_ping_stands_behind_its_message_and_its_pong_brings_the_marker_back() {
    let server = Raw::serving(|mut peer| {
        assert_eq!(peer.read().unwrap(), (BINARY, b"\0news".to_vec()));
        let (first, payload) = peer.read().unwrap();
        assert_eq!(first, PING);
        peer.frame(PONG, b"of nobody");
        peer.frame(PONG, &payload);
        peer.until_gone();
    });
    let mut rig = Rig::connected(&server);
    rig.send(b"news", Some(77));
    rig.written();
    assert!(matches!(rig.next(), News::Pong(77)));
    drop(rig);
    server.join();
}

/// [WS-07]
#[test]
fn a_ping_is_answered_with_its_payload() {
    let server = Raw::serving(|mut peer| {
        peer.frame(PING, b"are you there");
        assert_eq!(peer.read().unwrap(), (PONG, b"are you there".to_vec()));
        peer.frame(BINARY, b"\0done");
        peer.until_gone();
    });
    let mut rig = Rig::connected(&server);
    assert_eq!(rig.message(), "done");
    drop(rig);
    server.join();
}

/// [WS-06] [WS-07]
#[test]
fn a_ping_is_answered_between_the_fragments_of_a_message() {
    const LENGTH: usize = 20 << 20;
    let server = Raw::serving(|mut peer| {
        let (first, begun) = peer.read().unwrap();
        assert_eq!(first, 0x02, "a first fragment");
        peer.frame(PING, b"now");
        let mut length = begun.len();
        let mut before_pong = 0;
        let mut is_ponged = false;
        while length < LENGTH + 1 {
            match peer.read().unwrap() {
                (PONG, payload) => {
                    assert_eq!(payload, b"now");
                    is_ponged = true;
                }
                (_, payload) => {
                    length += payload.len();
                    before_pong += usize::from(!is_ponged);
                }
            }
        }
        assert!(is_ponged, "only after {before_pong} fragments");
        peer.frame(BINARY, b"\0whole");
        peer.until_gone();
    });
    let mut rig = Rig::connected(&server);
    rig.send(&vec![7; LENGTH], None);
    rig.written();
    assert_eq!(rig.message(), "whole");
    drop(rig);
    server.join();
}

/// [WS-06]
#[test]
fn a_fragmented_message_comes_whole_with_pings_inside_it() {
    let server = Raw::serving(|mut peer| {
        peer.frame(0x02, b"");
        peer.frame(0x00, b"\0one ");
        peer.frame(PING, b"inside");
        peer.frame(0x00, b"two ");
        peer.frame(0x80, b"three");
        assert_eq!(peer.read().unwrap(), (PONG, b"inside".to_vec()));
        peer.until_gone();
    });
    let mut rig = Rig::connected(&server);
    assert_eq!(rig.message(), "one two three");
    // The pong leaves with the next rest.
    assert!(
        rig.socket
            .rest(Some(Duration::ZERO), &mut || true)
            .is_none()
    );
    drop(rig);
    server.join();
}

/// Bytes may come in any portions, also together with the answer to the upgrade.
#[test]
fn frames_come_in_any_portions() {
    let server = Server::start(|listener| {
        use std::io::Write;
        let mut peer = listener.accept().unwrap().0;
        peer.set_nodelay(true).unwrap();
        let got = crate::kit::Got::head(&mut peer).unwrap();
        let mut all = super::switching(&got, "").into_bytes();
        all.extend(super::frame(BINARY, b"\0with the upgrade"));
        all.extend(super::frame(0x02, b"\0byte "));
        all.extend(super::frame(PING, b""));
        all.extend(super::frame(0x80, &[b'x'; 300]));
        for byte in all {
            peer.write_all(&[byte]).unwrap();
        }
        Raw(peer).until_gone();
    });
    let mut rig = Rig::connected(&server);
    assert_eq!(rig.message(), "with the upgrade");
    assert_eq!(rig.message(), format!("byte {}", "x".repeat(300)));
    drop(rig);
    server.join();
}

/// Large ones in one frame and in many, in both directions, over plain and TLS. [WS-06]
#[test]
fn large_messages_are_whole() {
    let authority = Authority::new();
    let config = authority.leaf(&["127.0.0.1"], |_| {}).server(None);
    let server = Server::start(move |listener| {
        let peer = listener.accept().unwrap().0;
        let stream = crate::tls::accept(peer, &config).unwrap();
        let mut socket = tungstenite::accept(stream).unwrap();
        while let Ok(message) = socket.read() {
            if message.is_binary() {
                socket.send(message).unwrap();
            }
        }
    });
    let tls = TlsSettings {
        roots: Roots::Memory(authority.pem()),
        ..TlsSettings::default()
    };
    let mut rig = Rig::with(secure(&format!("wss://{}/v1/opamp", server.addr), &tls));
    rig.connect().unwrap();
    assert_eq!(rig.socket.traffic().facts().tls, Some("TLS 1.3"));
    let body: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
    for length in [65_535, body.len()] {
        rig.send(&body[..length], Some(1));
        let (mut came, mut is_written, mut is_ponged) = (None, false, false);
        while came.is_none() || !is_written || !is_ponged {
            match rig.next() {
                News::Message(bytes) => came = Some(bytes),
                News::Written(_) => is_written = true,
                News::Pong(1) => is_ponged = true,
                other => panic!("{other:?}"),
            }
        }
        let came = came.unwrap();
        assert!(came == body[..length], "{length} bytes came changed");
    }
    drop(rig);
    server.join();
}

/// What leaves is masked, each frame with a mask of its own.
#[test]
fn no_two_frames_have_the_same_mask() {
    let server = Raw::serving(|mut peer| {
        use std::collections::HashSet;
        let masks: HashSet<[u8; 4]> = (0..100)
            .map(|_| {
                let head: [u8; 2] = peer.bytes();
                assert_eq!(head, [BINARY, 0x80 | 2]);
                let mask = peer.bytes();
                let _: [u8; 2] = peer.bytes();
                mask
            })
            .collect();
        assert!(masks.len() > 95, "{} masks for 100 frames", masks.len());
    });
    let mut rig = Rig::connected(&server);
    for _ in 0..100 {
        rig.send(b"x", None);
        rig.written();
    }
    server.join();
}
