//! What a peer may send, and what it is told when it sends something else.

use std::io::Write;
use std::sync::mpsc;

use opamp::transport::FailKind;
use opamp::transport::websocket::News;

use super::{BINARY, CLOSE, PING, Raw, Rig, TEXT, frame, head, url};
use crate::kit::{LONG, settings};

/// [WS-01] [WS-06] [WS-18]
#[test]
fn what_is_no_message_is_skipped_and_the_next_one_taken() {
    let not_one: [(u8, &[u8]); 6] = [
        (TEXT, b"\0text"),
        (TEXT, b"\xff\xfe"),
        (TEXT, &[b'x'; 100_000]),
        (BINARY, b""),
        (BINARY, b"\x01one"),
        (BINARY, b"\x80\x00over-long"),
    ];
    let server = Raw::serving(move |mut peer| {
        for (first, payload) in not_one {
            peer.frame(first, payload);
            peer.frame(BINARY, b"\0good");
        }
        peer.until_gone();
    });
    let mut rig = Rig::connected(&server);
    for (first, payload) in not_one {
        match rig.next() {
            News::Skipped(why) => assert_eq!(why.contains("text"), first == TEXT, "{why}"),
            other => panic!("{other:?} for {payload:?}"),
        }
        assert_eq!(rig.message(), "good");
    }
    drop(rig);
    server.join();
}

/// [WS-18]
#[test]
fn a_fragmented_text_is_skipped_as_one() {
    let server = Raw::serving(|mut peer| {
        peer.frame(0x01, b"a");
        peer.frame(0x00, b"b");
        peer.frame(0x80, b"c");
        peer.frame(BINARY, b"\0good");
        peer.until_gone();
    });
    let mut rig = Rig::connected(&server);
    assert!(matches!(rig.next(), News::Skipped(_)));
    assert_eq!(rig.message(), "good");
    drop(rig);
    server.join();
}

/// The fault that these bytes are, with the code that the peer is told.
fn fault(bytes: Vec<u8>) -> (u16, FailKind, String) {
    let (tell, told) = mpsc::channel();
    let server = Raw::serving(move |mut peer| {
        peer.write(&bytes);
        // More of it changes nothing: it is only read away.
        let _ = peer.0.write_all(&frame(BINARY, b"\0more"));
        tell.send(peer.read().unwrap()).unwrap();
    });
    let mut rig = Rig::connected(&server);
    let (code, failure) = match rig.next() {
        News::Broken { code, failure } => (code, failure),
        other => panic!("{other:?} instead of a fault"),
    };
    rig.socket.close(code);
    rig.over();
    let (first, payload) = told.recv_timeout(LONG).unwrap();
    assert_eq!((first, payload), (CLOSE, code.to_be_bytes().to_vec()));
    server.join();
    (code, failure.kind, failure.text.to_string())
}

/// A frame whose length takes more bytes than it must.
fn over_long(first: u8, bytes: usize, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_be_bytes();
    let mark = if bytes == 2 { 126 } else { 127 };
    [&[first, mark], &length[8 - bytes..], payload].concat()
}

/// [WS-06]
#[test]
fn a_broken_rule_of_the_protocol_is_1002() {
    let mut masked = frame(BINARY, b"\0abc");
    masked[1] |= 0x80;
    let rows: [(&str, Vec<u8>); 19] = [
        ("a masked frame", masked),
        ("extension", frame(BINARY | 0x40, b"\0a")),
        ("extension", frame(BINARY | 0x20, b"\0a")),
        ("extension", frame(PING | 0x10, b"")),
        ("unknown kind", frame(0x83, b"\0a")),
        ("unknown kind", frame(0x87, b"\0a")),
        ("unknown kind", frame(0x8b, b"")),
        ("a control frame in fragments", frame(0x09, b"a")),
        ("a control frame in fragments", frame(0x08, b"")),
        // Its payload is not waited for.
        ("a control frame of more than 125 bytes", head(PING, 126)),
        (
            "a control frame of more than 125 bytes",
            head(PING, u64::MAX),
        ),
        // Taken as short ones, what follows would be looked for in the wrong place.
        ("a length written too long", over_long(PING, 2, b"hi")),
        ("a length written too long", over_long(PING, 8, b"")),
        ("a length written too long", over_long(BINARY, 2, b"\0a")),
        (
            "a length written too long",
            over_long(BINARY, 8, &[0; 65_535]),
        ),
        ("a continuation of no message", frame(0x80, b"a")),
        (
            "a message inside another one",
            [frame(0x02, b"\0a"), frame(0x82, b"\0b")].concat(),
        ),
        ("a Close frame of one byte", frame(CLOSE, b"\x03")),
        (
            "a code that must not be sent",
            frame(CLOSE, &1005u16.to_be_bytes()),
        ),
    ];
    for (says, bytes) in rows {
        let (code, kind, text) = fault(bytes);
        assert_eq!((code, kind), (1002, FailKind::Protocol), "{says}");
        assert!(text.contains(says), "{text:?} does not say {says:?}");
    }
}

#[test]
fn a_reason_that_is_not_utf8_is_1007() {
    let (code, kind, _) = fault(frame(CLOSE, b"\x03\xe8\xff\xfe"));
    assert_eq!((code, kind), (1007, FailKind::Protocol));
}

/// [WS-04]: judged by the head alone, so nothing is buffered.
#[test]
fn a_message_over_the_limit_is_1009_by_its_head() {
    const LIMIT: usize = 100_000;
    let whole = LIMIT as u64 + 1;
    let in_fragments = [head(0x02, whole - 5), vec![0; LIMIT - 4], head(0x80, 6)].concat();
    let rows = [
        head(BINARY, whole + 1),
        head(TEXT, whole + 1),
        head(BINARY, 1 << 62),
        head(BINARY, u64::MAX),
        in_fragments,
    ];
    for bytes in rows {
        let server = Raw::serving(move |mut peer| {
            peer.write(&bytes);
            peer.until_gone();
        });
        let mut settings = settings(&url(&server));
        settings.limits.message = LIMIT;
        let mut rig = Rig::with(settings);
        rig.connect().unwrap();
        match rig.next() {
            News::Broken {
                code: 1009,
                failure,
            } => assert_eq!(failure.kind, FailKind::Size),
            other => panic!("{other:?}"),
        }
        drop(rig);
        server.join();
    }
}

/// [WS-04]: the header of a message is not part of it.
#[test]
fn a_message_at_the_limit_is_taken() {
    const LIMIT: usize = 100_000;
    let server = Raw::serving(|mut peer| {
        peer.frame(BINARY, &[0; LIMIT + 1]);
        peer.frame(0x02, &[0; LIMIT - 1]);
        peer.frame(0x80, &[0; 2]);
        peer.until_gone();
    });
    let mut settings = settings(&url(&server));
    settings.limits.message = LIMIT;
    let mut rig = Rig::with(settings);
    rig.connect().unwrap();
    assert_eq!(rig.message().len(), LIMIT);
    assert_eq!(rig.message().len(), LIMIT);
    drop(rig);
    server.join();
}
