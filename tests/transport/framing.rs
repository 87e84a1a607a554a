//! Where an answer ends, and what is odd in its head: what is borne, and what ends the connection.

use std::io::Write;
use std::sync::mpsc;

use opamp::transport::FailKind;

use crate::kit::{Got, LONG, Rig, Server, ok};

/// The failure of this answer; its connection is not used again.
fn refused(answer: &[u8]) -> String {
    let answer = answer.to_vec();
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        peer.write_all(&answer).unwrap();
        // It would go on; the client must not.
        let old = peer;
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        peer.write_all(&ok(b"next")).unwrap();
        let _ = told.recv_timeout(LONG);
        drop(old);
    });
    let mut rig = Rig::new(&server.url());
    let failure = rig.fail();
    assert_eq!(failure.kind, FailKind::Protocol, "{failure}");
    assert_eq!(rig.post(b"x").unwrap().body, &b"next"[..]);
    assert_eq!(rig.connections(), 2);
    tell.send(()).unwrap();
    server.join();
    failure.text.to_string()
}

/// [HTTP-25] An end that another reader sees elsewhere.
#[test]
fn framing_that_can_be_read_in_two_ways_ends_the_connection() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (pieces, why) in [
        ("3;x\nabc\r\n0\r\n\r\n", "bare LF"),
        ("3;x=\"\n\"\r\nabc\r\n0\r\n\r\n", "bare LF"),
        ("3\nabc\r\n0\r\n\r\n", "bare LF"),
        ("3;\rx\r\nabc\r\n0\r\n\r\n", "size is not a number"),
        ("3;\0x\r\nabc\r\n0\r\n\r\n", "size is not a number"),
        ("3 x\r\nabc\r\n0\r\n\r\n", "size is not a number"),
        ("3\r\nabc\n0\r\n\r\n", "longer than it says"),
        ("3\r\nabc\r\n0\n\r\n", "bare LF"),
        ("3\r\nabc\r\n0\r\n\n", "bare LF"),
        ("3\r\nabc\r\n0\r\nX: a\n\r\n", "bare LF"),
        ("3\r\nabc\r\n0\r\nno field\r\n\r\n", "not a header field"),
        ("3\r\nabc\r\n0\r\nX : y\r\n\r\n", "not a header field"),
        ("3\r\nabc\r\n0\r\n: y\r\n\r\n", "not a header field"),
        ("3\r\nabc\r\n0\r\n folded\r\n\r\n", "not a header field"),
        ("3\r\nabc\r\n0\r\nX: a\0b\r\n\r\n", "not a header field"),
    ] {
        let text = refused(format!("{head}{pieces}").as_bytes());
        assert!(text.contains(why), "{pieces:?}: {text}");
    }
    for codings in [
        "chunked, identity",
        "identity, chunked",
        "identity\r\nTransfer-Encoding: chunked",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {codings}\r\n\r\n");
        let text = refused(format!("{head}3\r\nabc\r\n0\r\n\r\n").as_bytes());
        assert!(
            text.contains("Transfer-Encoding must be chunked alone"),
            "{text}"
        );
    }
}

/// [LOG-11]
#[test]
fn more_extensions_than_data_end_the_connection() {
    let extended = format!("1;{}\r\na\r\n", "x".repeat(2000)).repeat(100);
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let text = refused(format!("{head}{extended}").as_bytes());
    assert!(
        text.contains("chunk extensions larger than the chunks"),
        "{text}"
    );
    let long = format!("0\r\nX: {}\r\n\r\n", "x".repeat(5000));
    let text = refused(format!("{head}{long}").as_bytes());
    assert!(text.contains("a line between chunks is too long"), "{text}");
    let tiny = "1\r\na\r\n".repeat(200_000);
    let server = Server::answering(vec![format!("{head}{tiny}0\r\n\r\n").into_bytes()]);
    assert_eq!(
        Rig::new(&server.url()).post(b"x").unwrap().body.len(),
        200_000
    );
    server.join();
}

/// What real servers and the boxes before them send.
pub(crate) const ODD: [&str; 12] = [
    "X-Policy: a;\r\n\tb",
    "X-Policy: a;\r\n  b\r\n\t \r\n c",
    "X-Policy:\r\n folded",
    "X-Policy : blank",
    "X-Policy\t: blank",
    " X-First: blank",
    "no colon at all",
    "no colon\r\n and folded",
    "X Name: blank",
    "X-N\u{e4}me: letter",
    "Set-Cookie: a=\u{1}\u{7f}\0b\r; path=/",
    ": no name",
];

/// [HTTP-25]
#[test]
fn odd_lines_in_a_head_are_read_as_the_usual_clients_do() {
    for odd in ODD {
        let (head, type_) = ("HTTP/1.1 200 OK", "Content-Type: application/x-protobuf");
        let answer = format!("{head}\r\n{odd}\r\n{type_}\r\nContent-Length: 3\r\n\r\nabc");
        let wait = format!(
            "HTTP/1.1 503 No\r\n{odd}\r\nRetry-After :\r\n \u{1}7\r\nContent-Length: 0\r\n\r\n"
        );
        // What comes before the answer has a head, too.
        let interim = format!("HTTP/1.1 103 Early\r\n{odd}\r\n\r\n{answer}");
        let answers = [&answer, &interim, &wait].map(|text| text.clone().into_bytes());
        let server = Server::answering(answers.to_vec());
        let mut rig = Rig::new(&server.url());
        for _ in 0..2 {
            assert_eq!(rig.post(b"x").expect(odd).body, &b"abc"[..], "{odd:?}");
        }
        let failure = rig.fail();
        let wait = failure.retry_after.map(|wait| wait.as_secs());
        assert_eq!((failure.status, wait), (Some(503), Some(7)), "{odd:?}");
        assert_eq!(rig.connections(), 1, "{odd:?}");
        server.join();
    }
}

/// [HTTP-25] However it comes: the line break may be the last of what was read.
#[test]
fn a_folded_line_is_one_line_byte_by_byte_too() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        peer.set_nodelay(true).unwrap();
        Got::read(&mut peer).unwrap();
        let type_ = "Content-Type: application/x-protobuf;\r\n charset=none";
        let head = format!("HTTP/1.1 200 OK\r\n{type_}\r\nContent-Length: 3\r\n\r\nabc");
        for byte in head.as_bytes() {
            peer.write_all(&[*byte]).unwrap();
        }
    });
    let mut rig = Rig::new(&server.url());
    assert_eq!(rig.post(b"x").unwrap().body, &b"abc"[..]);
    server.join();
}

/// [HTTP-25]
#[test]
fn a_folded_trailer_is_one_trailer() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "3\r\nabc\r\n0\r\nX: y\r\n folded\r\n\ttwice\r\n\r\n";
    let response = format!("{head}{body}").into_bytes();
    let server = Server::answering(vec![response.clone(), response]);
    let mut rig = Rig::new(&server.url());
    for _ in 0..2 {
        assert_eq!(rig.post(b"x").unwrap().body, &b"abc"[..]);
    }
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [HTTP-25] Who reads these fields otherwise reads another's answer.
#[test]
fn fields_that_frame_the_answer_stay_strict_and_are_named() {
    for (line, why) in [
        ("Content-Length: 3\r\n ", "Content-Length is folded"),
        ("Content-Length:\r\n 3", "Content-Length is folded"),
        (
            "Content-Length : 3",
            "Content-Length has whitespace before the colon",
        ),
        ("Content-Length 3", "Content-Length has no colon"),
        ("Content-Length", "Content-Length has no colon"),
        (
            "Content-Leng\r\n th: 3",
            "Content-Length has an invalid character in its name",
        ),
        (
            "Transfer-\r\n\tEnc\r\n oding: chunked",
            "Transfer-Encoding has an invalid character in its name",
        ),
        (
            "\u{1}Content-Length: 3",
            "Content-Length has an invalid character in its name",
        ),
        (
            "Content\0-Length: 3",
            "Content-Length has an invalid character in its name",
        ),
        (
            " content-length: 3",
            "Content-Length has an invalid character in its name",
        ),
        (
            "Content-Length: 3\u{1}",
            "Content-Length has an invalid character in its value",
        ),
        ("Content-Length: three", "Content-Length is not a number"),
        (
            "Transfer-Encoding\t: chunked",
            "Transfer-Encoding has whitespace",
        ),
        (
            "Transfer-Encoding: chunked\r\n\t",
            "Transfer-Encoding is folded",
        ),
        (
            "Transfer-Encoding: \u{b}chunked",
            "Transfer-Encoding has an invalid character",
        ),
        ("Connection : close", "Connection has whitespace"),
        ("Upgrade: a\r\n b", "Upgrade is folded"),
        ("Sec-WebSocket-Accept : x", "Sec-WebSocket- has whitespace"),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 3\r\n\r\nabc");
        // Empty lines before it change nothing.
        for before in ["", "\r\n", "\n\r\n"] {
            let text = refused(format!("{before}{head}").as_bytes());
            assert!(text.contains(why), "{line:?}: {text}");
        }
    }
}
