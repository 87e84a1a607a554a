//! The GET, and which answers to it are taken.

use std::io::Write;
use std::time::Duration;

use opamp::transport::{FailKind, Failure, ReachedServer};

use super::{BINARY, Raw, Rig, frame, switching, url};
use crate::framing::ODD;
use crate::kit::{Got, Server, UID, answer, settings};

/// [WS-14]
#[test]
fn the_request_carries_our_headers_and_the_hosts() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        let got = Got::head(&mut peer).unwrap();
        assert!(
            got.head.starts_with("GET /v1/opamp?tenant=a HTTP/1.1\r\n"),
            "{}",
            got.head
        );
        assert_eq!(
            got.header("host"),
            Some(listener.local_addr().unwrap().to_string().as_str())
        );
        assert_eq!(got.header("upgrade"), Some("websocket"));
        assert_eq!(got.header("connection"), Some("Upgrade"));
        assert_eq!(got.header("sec-websocket-version"), Some("13"));
        assert_eq!(got.header("opamp-instance-uid"), Some(UID));
        assert_eq!(got.header("authorization"), Some("Bearer abc"));
        let agent = got.header("user-agent").unwrap();
        assert!(agent.starts_with("edge/1.2 libopamp/"), "{agent}");
        assert!(got.header("sec-websocket-extensions").is_none());
        assert!(got.header("content-length").is_none());
        peer.write_all(switching(&got, "").as_bytes()).unwrap();
    });
    let mut settings = settings(&format!("{}?tenant=a", url(&server)));
    settings.user_agent_prefix = Some("edge/1.2".to_owned());
    let mut rig = Rig::with(settings);
    rig.headers.set("Authorization", "Bearer abc").unwrap();
    rig.connect().unwrap();
    server.join();
}

/// [WS-14]
#[test]
fn host_and_user_agent_of_the_host_win() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        let got = Got::head(&mut peer).unwrap();
        assert_eq!(got.header("host"), Some("opamp.example"));
        assert_eq!(got.header("user-agent"), Some("own"));
        assert!(got.head.starts_with("GET / HTTP/1.1\r\n"), "{}", got.head);
        peer.write_all(switching(&got, "").as_bytes()).unwrap();
    });
    let mut rig = Rig::with(settings(&format!("ws://{}", server.addr)));
    rig.headers.set("Host", "opamp.example").unwrap();
    rig.headers.set("User-Agent", "own").unwrap();
    rig.connect().unwrap();
    server.join();
}

/// What a client makes of this answer to its GET.
fn answered(reply: impl FnOnce(&Got) -> Vec<u8> + Send + 'static) -> Result<(), Failure> {
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        let got = Got::head(&mut peer).unwrap();
        // Of a reply without end not all is taken.
        let _ = peer.write_all(&reply(&got));
        let _ = peer.shutdown(std::net::Shutdown::Write);
        Raw(peer).until_gone();
    });
    let mut rig = Rig::new(&server);
    rig.headers
        .set("Authorization", "Bearer s3cr3t-token")
        .unwrap();
    let result = rig.connect();
    assert_eq!(rig.socket.traffic().facts().peer.is_some(), result.is_ok());
    drop(rig);
    server.join();
    result
}

/// Of the head that is right.
type Change = fn(String) -> String;

/// What is taken beside the usual: `Connection: keep-alive, Upgrade` is in every 101 of these
/// tests.
#[test]
fn a_lenient_101_is_taken() {
    let changes: [Change; 4] = [
        |head| head.replace("websocket", "WebSocket"),
        |head| head.replace("Upgrade: ", "UPGRADE:"),
        |head| {
            head.replace(
                "HTTP/1.1",
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1",
            )
        },
        |head| {
            head.replace(
                "\r\n\r\n",
                "\r\nSec-WebSocket-Extensions: \r\nServer: x\r\n\r\n",
            )
        },
    ];
    for change in changes {
        answered(move |got| change(switching(got, "")).into_bytes()).unwrap();
    }
}

#[test]
fn a_wrong_101_is_refused_by_name() {
    let changes: [(Change, &str); 7] = [
        (
            |head| head.replace("Upgrade: websocket", "Upgrade: h2c"),
            "Upgrade is not websocket",
        ),
        (
            |head| head.replace("keep-alive, Upgrade", "keep-alive"),
            "Connection does not name upgrade",
        ),
        (
            |head| head.replace("Accept: ", "Accept: x"),
            "Sec-WebSocket-Accept is not the answer",
        ),
        (
            |head| head.replace("Sec-WebSocket-Accept", "X"),
            "Sec-WebSocket-Accept is not the answer",
        ),
        (
            |head| {
                head.replace(
                    "\r\n\r\n",
                    "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                )
            },
            "an extension that was not offered",
        ),
        (
            |head| head.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: opamp\r\n\r\n"),
            "a subprotocol that was not offered",
        ),
        (
            |_| "garbage for ever\r\n\r\n".to_owned(),
            "the answer is not proper HTTP",
        ),
    ];
    for (change, says) in changes {
        let failure = answered(move |got| change(switching(got, "")).into_bytes()).unwrap_err();
        assert_eq!(
            (failure.kind, failure.status),
            (FailKind::Protocol, None),
            "{failure}"
        );
        assert!(
            failure.text.contains(says),
            "{failure} does not say {says:?}"
        );
        assert!(failure.text.starts_with("WebSocket upgrade: "), "{failure}");
    }
}

/// [WS-12]
#[test]
fn another_status_is_a_failure_with_status_retry_after_and_excerpt() {
    let failure =
        answered(|_| answer("503 Busy", "Retry-After: 7\r\n", b"come back later")).unwrap_err();
    assert_eq!(failure.kind, FailKind::Status);
    assert_eq!(
        (failure.status, failure.retry_after),
        (Some(503), Some(Duration::from_secs(7)))
    );
    assert_eq!(
        &*failure.text,
        "WebSocket upgrade: HTTP 503 Service Unavailable: come back later"
    );
    for (status, number) in [
        ("200 OK", 200),
        ("401 No", 401),
        ("403 No", 403),
        ("404 No", 404),
        ("429 No", 429),
    ] {
        let failure = answered(|_| answer(status, "", b"")).unwrap_err();
        assert_eq!(
            (failure.kind, failure.status),
            (FailKind::Status, Some(number)),
            "{failure}"
        );
        assert_eq!(failure.reached, ReachedServer::Maybe);
    }
}

/// [LOG-03]
#[test]
fn a_refusal_that_shows_our_request_shows_no_secret() {
    let failure = answered(|got| {
        let lines: Vec<_> = got.head.lines().rev().collect();
        answer("400 No", "", lines.join("\n").as_bytes())
    })
    .unwrap_err();
    assert!(failure.text.contains("(not shown: "), "{failure}");
    assert!(!failure.text.contains("s3cr3t"), "{failure}");
}

#[test]
fn a_head_without_end_is_bounded_and_so_are_heads_without_end() {
    for reply in [
        format!("HTTP/1.1 101 X\r\nA: {}", "x".repeat(100_000)),
        "HTTP/1.1 103 X\r\nA: b\r\n\r\n".repeat(10_000),
    ] {
        let failure = answered(|_| reply.into_bytes()).unwrap_err();
        assert_eq!(failure.kind, FailKind::Protocol, "{failure}");
        assert!(
            failure.text.contains("larger than 65536 bytes"),
            "{failure}"
        );
    }
}

#[test]
fn a_server_that_closes_or_stays_silent_is_named() {
    let failure = answered(|_| Vec::new()).unwrap_err();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::Io, ReachedServer::No),
        "{failure}"
    );
    let server = Server::start(|listener| {
        let peer = listener.accept().unwrap().0;
        Raw(peer).until_gone();
    });
    let mut settings = settings(&url(&server));
    settings.limits.first_byte = Duration::from_millis(100);
    let failure = Rig::with(settings).connect().unwrap_err();
    assert_eq!(failure.kind, FailKind::Timeout);
    assert!(
        failure.text.contains("did not begin to answer in time"),
        "{failure}"
    );
    server.join();
}

/// [HTTP-25]
#[test]
fn odd_lines_in_the_answer_are_read_unless_they_decide() {
    for odd in ODD {
        let server = Server::start(move |listener| {
            let mut peer = listener.accept().unwrap().0;
            let got = Got::head(&mut peer).unwrap();
            let whole = switching(&got, "").replacen("\r\n", &format!("\r\n{odd}\r\n"), 1);
            peer.write_all(whole.as_bytes()).unwrap();
            peer.write_all(&frame(BINARY, b"\0hello")).unwrap();
        });
        let mut rig = Rig::new(&server);
        rig.connect().expect(odd);
        assert_eq!(rig.message(), "hello", "{odd:?}");
        server.join();
    }
    for name in ["Upgrade", "Connection", "Sec-WebSocket-Accept"] {
        let server = Server::start(move |listener| {
            let mut peer = listener.accept().unwrap().0;
            let got = Got::head(&mut peer).unwrap();
            let whole = switching(&got, "").replace(&format!("{name}:"), &format!("{name} :"));
            peer.write_all(whole.as_bytes()).unwrap();
        });
        let failure = Rig::new(&server).connect().unwrap_err();
        assert_eq!(failure.kind, FailKind::Protocol, "{failure}");
        let known = name.trim_end_matches("Accept");
        let why = format!("header field {known} has whitespace before the colon");
        assert!(failure.text.contains(&why), "{failure}");
        server.join();
    }
}
