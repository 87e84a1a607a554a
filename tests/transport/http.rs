//! What is sent and how answers are taken.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use opamp::transport::headers::{self, HeaderError};
use opamp::transport::{
    Endpoint, EndpointError, FailKind, ReachedServer, Resolver, Scheme, Settings,
};

use crate::kit::{Got, Patience, Rig, Server, UID, answer, chunked, gzip, ok, settings};

/// Plays one exchange and shows what the server got.
fn one(rig: impl FnOnce(&str) -> Rig, body: &'static [u8], reply: Vec<u8>) -> (Got, Rig) {
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        tell.send(Got::read(&mut peer).unwrap()).unwrap();
        peer.write_all(&reply).unwrap();
    });
    let mut rig = rig(&server.url());
    rig.post(body).unwrap();
    server.join();
    (told.recv().unwrap(), rig)
}

/// [HTTP-01] [HTTP-02] [HTTP-04]
#[test]
fn a_post_of_one_protobuf_body() {
    let (got, _) = one(Rig::new, b"\x0a\x10agent", ok(b"server"));
    assert!(
        got.head.starts_with("POST /v1/opamp HTTP/1.1\r\n"),
        "{}",
        got.head
    );
    assert_eq!(got.body, b"\x0a\x10agent");
    assert_eq!(got.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(got.header("content-length"), Some("7"));
    assert_eq!(got.header("accept-encoding"), Some("gzip"));
    assert_eq!(got.header("opamp-instance-uid"), Some(UID));
    assert!(got.header("host").unwrap().starts_with("127.0.0.1:"));
    assert!(
        got.head.len() <= 240,
        "{} bytes of headers: {}",
        got.head.len(),
        got.head
    );
}

/// [HTTP-01]
#[test]
fn an_answer_is_its_body_and_an_empty_one_is_empty() {
    let no_content = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
    let server = Server::answering(vec![
        ok(b"one"),
        ok(b""),
        no_content,
        chunked("200 OK", "", &[7; 5000]),
        answer("200 OK", "Content-Encoding: gzip\r\n", b""),
        chunked("200 OK", "Content-Encoding: gzip\r\n", b""),
    ]);
    let mut rig = Rig::new(&server.url());
    assert_eq!(rig.post(b"x").unwrap().body, &b"one"[..]);
    assert_eq!(rig.post(b"x").unwrap().body, &b""[..]);
    let empty = rig.post(b"x").unwrap();
    assert_eq!((empty.status, empty.body.len()), (204, 0));
    assert_eq!(rig.post(b"x").unwrap().body, &[7; 5000][..]);
    assert_eq!(rig.post(b"x").unwrap().body.len(), 0);
    assert_eq!(rig.post(b"x").unwrap().body.len(), 0);
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [HTTP-03]
#[test]
fn user_agent_names_the_library_behind_the_hosts_prefix() {
    let (got, _) = one(Rig::new, b"x", ok(b""));
    assert_eq!(got.header("user-agent"), Some("libopamp/0.1.0"));
    let prefixed = |url: &str| {
        Rig::with(opamp::transport::Settings {
            user_agent_prefix: Some("collector/1.2".to_owned()),
            ..settings(url)
        })
    };
    let (got, _) = one(prefixed, b"x", ok(b""));
    assert_eq!(
        got.header("user-agent"),
        Some("collector/1.2 libopamp/0.1.0")
    );
    let replaced = |url: &str| {
        let mut rig = prefixed(url);
        rig.headers.set("USER-agent", "mine").unwrap();
        rig
    };
    let (got, _) = one(replaced, b"x", ok(b""));
    assert_eq!(got.header("user-agent"), Some("mine"));
}

/// [HTTP-03]
#[test]
fn host_headers_are_on_every_request_and_new_ones_on_the_next() {
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        for _ in 0..3 {
            tell.send(Got::read(&mut peer).unwrap()).unwrap();
            peer.write_all(&ok(b"")).unwrap();
        }
    });
    let mut rig = Rig::new(&server.url());
    rig.headers.set("Authorization", "Bearer one").unwrap();
    rig.headers.set("X-Long", &"v".repeat(100_000)).unwrap();
    rig.post(b"x").unwrap();
    rig.headers.set("authorization", "Bearer two").unwrap();
    rig.post(b"x").unwrap();
    assert!(rig.headers.remove("AUTHORIZATION"));
    rig.post(b"x").unwrap();
    server.join();
    let all: Vec<Got> = told.iter().collect();
    assert_eq!(all[0].header("authorization"), Some("Bearer one"));
    assert_eq!(all[0].header("x-long").unwrap().len(), 100_000);
    assert_eq!(all[1].header("authorization"), Some("Bearer two"));
    assert_eq!(all[2].header("authorization"), None);
}

#[test]
fn a_header_that_would_break_the_message_is_refused() {
    for name in [
        "content-type",
        "Content-Length",
        "TRANSFER-ENCODING",
        "OpAMP-Instance-UID",
    ] {
        assert!(
            matches!(headers::check(name, "x"), Err(HeaderError::Reserved(_))),
            "{name}"
        );
    }
    for name in ["", "a b", "a:b", "a\r\nb", "\u{e9}"] {
        assert_eq!(headers::check(name, "x"), Err(HeaderError::Name), "{name}");
    }
    for value in ["a\r\nEvil: 1", "a\nb", "a\0b", "\u{7f}"] {
        let refusal = headers::check("x-a", value).unwrap_err();
        assert_eq!(refusal, HeaderError::Value("x-a".to_owned()));
        assert!(!refusal.to_string().contains("Evil"));
    }
    assert_eq!(headers::check("x-a", "plain\tvalue"), Ok(()));
    let mut secret = opamp::transport::Headers::default();
    secret.set("Authorization", "hunter2").unwrap();
    assert!(!format!("{secret:?}").contains("hunter2"));
}

/// [HTTP-17]
#[test]
fn an_endpoint_is_taken_as_given_or_refused_with_a_reason() {
    let refused = |url: &str| Endpoint::parse(url).unwrap_err();
    assert_eq!(
        refused("ftp://host/x"),
        EndpointError::Scheme("ftp".to_owned())
    );
    assert_eq!(refused("http://user:secret@host/"), EndpointError::UserInfo);
    assert!(
        !refused("http://user:secret@host/")
            .to_string()
            .contains("secret")
    );
    assert_eq!(refused("https:///v1"), EndpointError::NoHost);
    assert_eq!(refused("http://:80/v1"), EndpointError::NoHost);
    assert_eq!(refused("http://[::1"), EndpointError::NoAddress);
    assert_eq!(refused("http://[::x]/"), EndpointError::NoAddress);
    assert_eq!(refused("http://::1/"), EndpointError::NoBrackets);
    assert_eq!(
        refused("http://h\u{f6}st/"),
        EndpointError::ForeignHost('\u{f6}')
    );
    assert_eq!(refused("http://host/#f"), EndpointError::Fragment);
    assert_eq!(refused("http://host:0/"), EndpointError::Port);
    assert_eq!(refused("http://host:65536/"), EndpointError::Port);
    assert_eq!(refused("http://host:8a/"), EndpointError::Port);
    for bad in ["", "host", "http:/host"] {
        assert_eq!(refused(bad), EndpointError::NoScheme, "{bad:?}");
    }
    for (bad, before) in [
        (" http://host", 0),
        ("http://ho st/", 9),
        ("http://host/a b", 13),
    ] {
        assert_eq!(
            refused(bad),
            EndpointError::Character(' ', before),
            "{bad:?}"
        );
    }
    let parsed = |url: &str| {
        let e = Endpoint::parse(url).unwrap();
        (
            e.scheme(),
            e.host().to_owned(),
            e.port(),
            e.path_and_query().to_owned(),
        )
    };
    let owned = |s, h: &str, p, q: &str| (s, h.to_owned(), p, q.to_owned());
    assert_eq!(parsed("HTTP://a"), owned(Scheme::Http, "a", 80, ""));
    assert_eq!(
        parsed("https://a.b:9/c?d=e"),
        owned(Scheme::Https, "a.b", 9, "/c?d=e")
    );
    assert_eq!(
        parsed("wss://[::1]/x"),
        owned(Scheme::Wss, "::1", 443, "/x")
    );
    assert_eq!(parsed("ws://a?q"), owned(Scheme::Ws, "a", 80, "?q"));
    assert_eq!(
        parsed("http+unix://%2Frun%2fa%20b.sock/v1?x"),
        owned(Scheme::HttpUnix, "localhost", 80, "/v1?x")
    );
}

/// [HTTP-17]
#[test]
fn path_and_query_are_sent_as_given() {
    for (end, line) in [
        ("", "POST / HTTP/1.1"),
        ("/", "POST / HTTP/1.1"),
        ("?a=b", "POST /?a=b HTTP/1.1"),
        ("/x/y%20z?a=b&c=%2F", "POST /x/y%20z?a=b&c=%2F HTTP/1.1"),
    ] {
        let rig = |url: &str| Rig::new(&format!("{}{end}", url.trim_end_matches("/v1/opamp")));
        let (got, _) = one(rig, b"x", ok(b""));
        assert_eq!(got.head.lines().next(), Some(line));
    }
}

/// [HTTP-04]
#[test]
fn a_gzip_answer_is_decoded_in_both_framings() {
    let body: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
    let packed = gzip(&body);
    let server = Server::answering(vec![
        answer("200 OK", "Content-Encoding: gzip\r\n", &packed),
        chunked("200 OK", "Content-Encoding: x-GZIP\r\n", &packed),
    ]);
    let mut rig = Rig::new(&server.url());
    assert_eq!(rig.post(b"x").unwrap().body, body);
    assert_eq!(rig.post(b"x").unwrap().body, body);
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [HTTP-16]
#[test]
fn what_is_not_a_server_to_agent_is_reported_with_an_excerpt() {
    let html = b"<html>\r\n<h1>Proxy\x1b says no</h1></html>";
    let packed = gzip(&[1; 1000]);
    let mut flipped = packed.clone();
    let end = flipped.len() - 6;
    flipped[end] ^= 0xff;
    let server = Server::answering(vec![
        answer("200 OK", "Content-Type: text/html; charset=utf-8\r\n", html),
        answer("200 OK", "Content-Encoding: br\r\n", b"xx"),
        answer(
            "200 OK",
            "Content-Type: text/html\r\nContent-Encoding: gzip\r\n",
            b"not gzip at all",
        ),
        answer("200 OK", "Content-Encoding: gzip\r\n", b"not gzip at all"),
        answer(
            "200 OK",
            "Content-Encoding: gzip\r\n",
            &packed[..packed.len() - 3],
        ),
        answer("200 OK", "Content-Encoding: gzip\r\n", &flipped),
        answer("200 OK", "Content-Type: text/html\r\n", b""),
        answer(
            "200 OK",
            "Content-Type: APPLICATION/protobuf ; v=1\r\n",
            b"a",
        ),
        answer("200 OK", "Content-Type: application/octet-stream\r\n", b"b"),
        answer("200 OK", "", b"c"),
    ]);
    let mut rig = Rig::new(&server.url());
    let page = rig.fail();
    assert_eq!((page.kind, page.status), (FailKind::Decode, Some(200)));
    assert!(page.text.contains("text/html"), "{page}");
    assert!(
        page.text.ends_with("<html> <h1>Proxy says no</h1></html>"),
        "{page}"
    );
    assert_eq!(page.reached, ReachedServer::Maybe);
    for what in ["br", "text/html", "gzip", "gzip", "gzip"] {
        let failure = rig.fail();
        assert_eq!(
            (failure.kind, failure.status),
            (FailKind::Decode, Some(200)),
            "{failure}"
        );
        assert!(failure.text.contains(what), "{failure}");
    }
    assert_eq!(rig.post(b"x").unwrap().body, &b""[..]);
    for body in [b"a", b"b", b"c"] {
        assert_eq!(rig.post(b"x").unwrap().body, &body[..]);
    }
    server.join();
}

/// [HTTP-16] What did not come is not empty: nothing is confirmed by it.
#[test]
fn a_page_that_ends_before_its_first_byte_is_no_empty_message() {
    let type_ = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
    for cut in [
        "Content-Length: 5\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nno size\r\n",
    ] {
        let server = Server::answering(vec![format!("{type_}{cut}").into_bytes()]);
        let failure = Rig::new(&server.url()).fail();
        let kind = (failure.kind, failure.status);
        assert_eq!(kind, (FailKind::Decode, Some(200)), "{cut:?}: {failure}");
        server.join();
    }
}

/// [HTTP-07] [HTTP-20]
#[test]
fn a_body_of_the_limit_is_taken_and_one_more_is_refused() {
    let limit = 10_000;
    let body = |n| vec![9u8; n];
    let gz = "Content-Encoding: gzip\r\n";
    let good = vec![
        answer("200 OK", "", &body(limit)),
        chunked("200 OK", "", &body(limit)),
        answer("200 OK", gz, &gzip(&body(limit))),
        chunked("200 OK", gz, &gzip(&body(limit))),
    ];
    let server = Server::answering(good);
    let mut limited = settings(&server.url());
    limited.limits.message = limit;
    let mut rig = Rig::with(limited.clone());
    for _ in 0..4 {
        assert_eq!(rig.post(b"x").unwrap().body.len(), limit);
    }
    server.join();
    for bad in [
        // A length over the limit: refused without a byte of the body.
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", limit + 1).into_bytes(),
        // Unpacked it would be nothing at all, however much comes.
        chunked("200 OK", gz, &gzip(b"").repeat(limit / 10)),
        chunked("200 OK", "", &body(limit + 1)),
        answer("200 OK", gz, &gzip(&body(limit + 1))),
        chunked("200 OK", gz, &gzip(&body(limit + 1))),
    ] {
        let server = Server::answering(vec![bad]);
        limited.endpoint = Endpoint::parse(&server.url()).unwrap();
        let failure = Rig::with(limited.clone()).fail();
        assert_eq!(
            (failure.kind, failure.status),
            (FailKind::Size, Some(200)),
            "{failure}"
        );
        assert!(failure.text.contains("10000"), "{failure}");
        server.join();
    }
}

/// [HTTP-20] [HTTP-10]
#[test]
fn status_and_retry_after_of_an_oversized_refusal_still_count() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        let head = "HTTP/1.1 503 Busy\r\nRetry-After: 77\r\nContent-Length: 1000000000\r\n\r\n";
        peer.write_all(head.as_bytes()).unwrap();
        peer.write_all(&[b'a'; 100]).unwrap();
        // Then nothing, without an end: the excerpt must not cost the whole time.
        let _ = Got::read(&mut peer);
    });
    let mut limited = settings(&server.url());
    limited.limits.message = 1000;
    let failure = Rig::with(limited).fail();
    assert_eq!(
        (failure.kind, failure.status),
        (FailKind::Status, Some(503))
    );
    assert_eq!(failure.retry_after, Some(Duration::from_secs(77)));
    server.join();
}

/// [HTTP-08]
#[test]
fn a_request_over_the_limit_is_not_sent() {
    let server = Server::answering(vec![ok(b"")]);
    let mut limited = settings(&server.url());
    limited.limits.message = 1000;
    let mut rig = Rig::with(limited);
    let failure = rig.post(&[0; 1001]).unwrap_err();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::Size, ReachedServer::No)
    );
    assert_eq!(rig.connections(), 0);
    assert!(rig.post(&[0; 1000]).is_ok());
    server.join();
}

/// [HTTP-10]
#[test]
fn retry_after_in_seconds_or_as_a_date() {
    let at = |s| httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(s));
    let past = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(90));
    let of = |v: &str| answer("429 Slow", &format!("Retry-After: {v}\r\n"), b"");
    let answers = [
        of("30"),
        of(&at(100)),
        of(&past),
        of("-1"),
        of("later"),
        answer("503 No", "", b""),
    ];
    let server = Server::answering(answers.into());
    let mut rig = Rig::new(&server.url());
    assert_eq!(rig.fail().retry_after, Some(Duration::from_secs(30)));
    let dated = rig.fail().retry_after.unwrap();
    assert!(
        Duration::from_secs(60) < dated && dated <= Duration::from_secs(100),
        "{dated:?}"
    );
    for _ in 0..4 {
        assert_eq!(rig.fail().retry_after, None);
    }
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [HTTP-11] [HTTP-19] [LOG-03]
#[test]
fn any_other_status_is_a_failure_with_code_and_excerpt() {
    let echo = b"denied: Authorization: Bearer s3cr3t-token";
    let server = Server::answering(vec![
        answer("401 Unauthorized", "Content-Type: text/plain\r\n", echo),
        answer(
            "403 Forbidden",
            "Content-Encoding: gzip\r\n",
            &gzip(b"packed words"),
        ),
        answer(
            "201 Created",
            "Content-Type: application/x-protobuf\r\n",
            b"x",
        ),
        answer(
            "307 Temporary Redirect",
            "Location: http://127.0.0.1:1/\r\n",
            b"",
        ),
        answer("500 Oh", "", &[b'z'; 5000]),
        chunked("502 Bad", "", b"pieces"),
        ok(b"still here"),
    ]);
    let mut rig = Rig::new(&server.url());
    rig.headers
        .set("Authorization", "Bearer s3cr3t-token")
        .unwrap();
    let mut next = |status| {
        let failure = rig.fail();
        assert_eq!(
            (failure.kind, failure.status),
            (FailKind::Status, Some(status)),
            "{failure}"
        );
        assert!(!failure.text.contains("s3cr3t"), "{failure}");
        failure.text.to_string()
    };
    assert_eq!(
        next(401),
        "HTTP 401 Unauthorized: (not shown: it repeats a secret)"
    );
    assert_eq!(next(403), "HTTP 403 Forbidden: packed words");
    assert!(next(201).contains("unexpected"));
    assert!(next(307).contains("not followed"));
    assert!(next(500).len() < 320);
    assert!(next(502).ends_with("pieces"));
    // [HTTP-14] All on one connection, kept also after an error status.
    assert_eq!(rig.post(b"x").unwrap().body, &b"still here"[..]);
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [LOG-03] Whatever part of an answer shows it.
#[test]
fn a_secret_that_comes_back_is_in_no_text() {
    let token = "s3cr3t-token";
    let other = "Location: http://s3cr3t-token/\r\n";
    let replies = vec![
        answer("200 OK", "Content-Type: Bearer s3cr3t-token\r\n", b"x"),
        answer("200 OK", "Content-Encoding: Bearer s3cr3t-token\r\n", b"x"),
        answer("307 There", other, b""),
    ];
    let count = replies.len();
    let server = Server::answering(replies);
    let mut following = settings(&server.url());
    following.redirects.limit = 5;
    let mut rig = Rig::with(following);
    let value = format!("Bearer {token}");
    rig.headers.set("Authorization", &value).unwrap();
    for _ in 0..count {
        let failure = rig.fail();
        assert!(!failure.text.contains("s3cr3t"), "{failure}");
        assert!(failure.text.contains("(not shown"), "{failure}");
    }
    server.join();
}

/// [HTTP-01] Chunks of every size, with extensions and trailers, and however they arrive.
#[test]
fn a_chunked_answer_is_put_together() {
    let pieces = "3;ext=\"a;b\"\r\nabc\r\n00a\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";
    let whole = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{pieces}");
    let large = vec![b'x'; 300_000];
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        peer.set_nodelay(true).unwrap();
        Got::read(&mut peer).unwrap();
        for byte in whole.as_bytes() {
            peer.write_all(&[*byte]).unwrap();
        }
        Got::read(&mut peer).unwrap();
        peer.write_all(&chunked("200 OK", "", &large)).unwrap();
        Got::read(&mut peer).unwrap();
        peer.write_all(&ok(b"next")).unwrap();
    });
    let mut rig = Rig::new(&server.url());
    assert_eq!(rig.post(b"x").unwrap().body, &b"abc0123456789"[..]);
    assert_eq!(rig.post(b"x").unwrap().body.len(), 300_000);
    assert_eq!(rig.post(b"x").unwrap().body, &b"next"[..]);
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [HTTP-16]
#[test]
fn an_answer_shorter_than_its_length_is_a_failure() {
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123456789".to_vec();
    let server = Server::answering(vec![short]);
    let failure = Rig::new(&server.url()).fail();
    assert_eq!(failure.kind, FailKind::Io, "{failure}");
    assert!(failure.text.contains("in the middle"), "{failure}");
    server.join();
}

/// [HTTP-16] Cut short or broken between the chunks; only the last empty line may be missing.
#[test]
fn a_chunked_answer_that_breaks_off_is_a_failure() {
    let endless = "1".repeat(10_000);
    for (pieces, expected) in [
        ("3\r\nab", Some(FailKind::Io)),
        ("3\r\nabc\r\n", Some(FailKind::Io)),
        ("3\r\nabcd\r\n0\r\n\r\n", Some(FailKind::Protocol)),
        ("-3\r\nabc\r\n0\r\n\r\n", Some(FailKind::Protocol)),
        // A size that is not there is not a size of 0, which would end the answer.
        ("3\r\nabc\r\n\r\n\r\n", Some(FailKind::Protocol)),
        ("3\r\nabc\r\n;x=0\r\n\r\n", Some(FailKind::Protocol)),
        ("3\r\nabc \r\n0\r\n\r\n", Some(FailKind::Protocol)),
        (
            &format!("3\r\nabc\r\n0\r\n{}\r\n", "X: y\r\n".repeat(20_000)),
            Some(FailKind::Protocol),
        ),
        ("fffffffffffffffff\r\nabc", Some(FailKind::Protocol)),
        (&format!("3;{endless}"), Some(FailKind::Protocol)),
        (
            &format!("3\r\nabc\r\n0\r\nX: {endless}"),
            Some(FailKind::Protocol),
        ),
        ("3\r\nabc\r\n0\r\n", None),
    ] {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let server = Server::answering(vec![format!("{head}{pieces}").into_bytes()]);
        let result = Rig::new(&server.url()).post(b"x");
        let kind = result.as_ref().err().map(|failure| failure.kind);
        assert_eq!(kind, expected, "{pieces:.20}");
        assert!(result.is_err() || result.unwrap().body == b"abc"[..]);
        server.join();
    }
}

/// [HTTP-01] What says "go on" is not the answer, whatever came with it.
#[test]
fn interim_answers_are_passed_over() {
    let mut reply = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
    reply.extend(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 3\r\n\r\n");
    reply.extend(ok(b"final"));
    let server = Server::answering(vec![reply, ok(b"next")]);
    let mut rig = Rig::new(&server.url());
    assert_eq!(rig.post(b"x").unwrap().body, &b"final"[..]);
    assert_eq!(rig.post(b"x").unwrap().body, &b"next"[..]);
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [HTTP-18] Passed over for ever they would keep us busy until the end of the whole exchange.
#[test]
fn interim_answers_without_an_end_are_a_protocol_failure() {
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(100);
        while peer.write_all(&hints).is_ok() {}
    });
    let failure = Rig::new(&server.url()).fail();
    assert_eq!(failure.kind, FailKind::Protocol, "{failure}");
    server.join();
}

/// Says "go on" again and again while it reads a large request, then answers it and the next one.
pub(crate) fn goes_on_reading(peer: &mut (impl Read + Write)) {
    let mut got = Got::head(peer).unwrap();
    let length: usize = got.header("content-length").unwrap().parse().unwrap();
    let say = |peer: &mut dyn Write, bytes: &[u8]| {
        peer.write_all(bytes).unwrap();
        peer.flush().unwrap();
    };
    while got.body.len() < length {
        say(peer, b"HTTP/1.1 102 Processing\r\n\r\n");
        let start = got.body.len();
        got.body.resize(length.min(start + 3_000_000), 0);
        peer.read_exact(&mut got.body[start..]).unwrap();
    }
    assert!(got.body.iter().all(|&byte| byte == b'x'));
    say(peer, &ok(b"whole"));
    Got::read(peer).unwrap();
    say(peer, &ok(b"next"));
}

/// The client of such a server.
pub(crate) fn sends_all(settings: Settings) {
    let mut rig = Rig::with(settings);
    let large = vec![b'x'; 12_000_000];
    assert_eq!(rig.post(&large).unwrap().body, &b"whole"[..]);
    assert_eq!(rig.post(b"x").unwrap().body, &b"next"[..]);
    assert_eq!(rig.connections(), 1);
}

/// [HTTP-01] A server may say "go on" before it has the whole request, asked or not.
#[test]
fn an_interim_answer_in_the_middle_of_a_large_request_does_not_end_it() {
    let server = Server::start(|listener| goes_on_reading(&mut listener.accept().unwrap().0));
    sends_all(settings(&server.url()));
    server.join();
}

/// [HTTP-14] An answer that ends with its connection is whole, but the connection is gone; one
/// whose end is known must not be followed by bytes that nobody asked for.
#[test]
fn a_connection_is_kept_only_when_its_answer_ended_cleanly() {
    let until_close = b"HTTP/1.0 200 OK\r\n\r\nold".to_vec();
    let once = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\none".to_vec();
    let asked =
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nkept".to_vec();
    let mut smuggled = ok(b"mine");
    smuggled.extend(ok(b"not mine"));
    // Who says in two ways where the answer ends may have meant the other one.
    let chunks = "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    let twofold = format!("HTTP/1.1 200 OK\r\n{chunks}").into_bytes();
    let ahead = "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 3";
    let ahead = format!("HTTP/1.0 200 OK\r\n{ahead}\r\n\r\nold").into_bytes();
    for (reply, body, is_kept) in [
        (until_close, &b"old"[..], false),
        (once, b"one", false),
        (asked, b"kept", true),
        (smuggled, b"mine", false),
        (twofold, b"ab", false),
        (ahead, b"old", false),
    ] {
        let is_open_ended = reply.starts_with(b"HTTP/1.0 200 OK\r\n\r\n");
        let server = Server::start(move |listener| {
            let mut peer = listener.accept().unwrap().0;
            Got::read(&mut peer).unwrap();
            peer.write_all(&reply).unwrap();
            // The server itself would go on; only what says nothing of its length must end so.
            if is_open_ended {
                peer.shutdown(Shutdown::Write).unwrap();
            }
            let old = peer.try_clone();
            if !is_kept {
                peer = listener.accept().unwrap().0;
            }
            drop(old);
            Got::read(&mut peer).unwrap();
            peer.write_all(&ok(b"next")).unwrap();
        });
        let mut rig = Rig::new(&server.url());
        assert_eq!(rig.post(b"x").unwrap().body, body);
        assert_eq!(rig.post(b"x").unwrap().body, &b"next"[..]);
        assert_eq!(rig.connections(), if is_kept { 1 } else { 2 });
        server.join();
    }
}

#[test]
fn what_is_not_http_is_a_protocol_failure() {
    let heads: [&[u8]; 6] = [
        b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        // Codings that were not asked for, and whose end is not where it seems.
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
    ];
    for head in heads {
        let server = Server::answering(vec![head.to_vec()]);
        let failure = Rig::new(&server.url()).fail();
        assert_eq!(failure.kind, FailKind::Protocol, "{failure}");
        server.join();
    }
    for endless in [
        "X-Endless: 0123456789012345678901234567890123456789\r\n",
        "0123456789",
    ] {
        let server = Server::start(move |listener| {
            let mut peer = listener.accept().unwrap().0;
            Got::read(&mut peer).unwrap();
            peer.write_all(b"HTTP/1.1 200 OK\r\nX: ").unwrap();
            while peer.write_all(endless.as_bytes()).is_ok() {}
        });
        let failure = Rig::new(&server.url()).fail();
        assert_eq!(failure.kind, FailKind::Protocol, "{failure}");
        server.join();
    }
}

/// [HTTP-15] Once plain, and plain for good only where that helped.
#[test]
fn a_400_to_gzip_is_tried_plain_and_says_nothing_when_that_fails_too() {
    let large = b"the same again ".repeat(20_000);
    let bad = || answer("400 Bad Request", "", b"bad");
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        for (encoding, then) in [
            (Some("gzip"), bad()),
            (None, bad()),
            (Some("gzip"), answer("415 Unsupported", "", b"")),
            (None, answer("503 Busy", "", b"")),
            (Some("gzip"), bad()),
            (None, ok(b"plain")),
            (None, bad()),
        ] {
            let got = Got::read(&mut peer).unwrap();
            assert_eq!(got.header("content-encoding"), encoding);
            peer.write_all(&then).unwrap();
        }
    });
    let mut packing = settings(&server.url());
    packing.compress_above = Some(100);
    let mut rig = Rig::with(packing);
    let mut status = || {
        rig.post(&large)
            .map_or_else(|e| e.status, |a| Some(a.status))
    };
    let all = [400, 503, 200, 400].map(Some);
    assert_eq!([status(), status(), status(), status()], all);
    server.join();
}

/// [HTTP-15]
#[test]
fn a_body_that_gzip_does_not_shrink_goes_plain() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        let got = Got::read(&mut peer).unwrap();
        assert_eq!(got.header("content-encoding"), None);
        peer.write_all(&ok(b"plain")).unwrap();
    });
    let mut packing = settings(&server.url());
    packing.compress_above = Some(100);
    let mut state = 1_u32;
    let noise = (0..10_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let noise = noise.collect::<Vec<_>>();
    Rig::with(packing).post(&noise).unwrap();
    server.join();
}

/// [HTTP-15]
#[test]
fn a_large_body_is_sent_as_gzip_and_after_a_415_plain_at_once_and_ever_after() {
    let large = b"the same again ".repeat(20_000);
    let expected = large.clone();
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        for (encoding, then) in [
            (None, ok(b"small")),
            (Some("gzip"), ok(b"packed")),
            (
                Some("gzip"),
                answer("415 Unsupported Media Type", "", b"no gzip"),
            ),
            (None, ok(b"plain")),
            (None, ok(b"plain again")),
        ] {
            let got = Got::read(&mut peer).unwrap();
            assert_eq!(got.header("content-encoding"), encoding);
            let mut body = got.body;
            if encoding.is_some() {
                assert!(body.len() < expected.len() / 50, "{}", body.len());
                let packed = std::mem::take(&mut body);
                flate2::read::GzDecoder::new(&packed[..])
                    .read_to_end(&mut body)
                    .unwrap();
            }
            assert!(body == expected || body == [b'x'; 100]);
            peer.write_all(&then).unwrap();
        }
    });
    let mut packing = settings(&server.url());
    packing.compress_above = Some(100);
    let mut rig = Rig::with(packing);
    assert_eq!(rig.post(&[b'x'; 100]).unwrap().body, &b"small"[..]);
    for body in [&b"packed"[..], b"plain", b"plain again"] {
        assert_eq!(rig.post(&large).unwrap().body, body);
    }
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [LIFE-03] [HTTP-15] A stop does not wait until a large message is packed.
#[test]
fn packing_can_be_given_up() {
    let body = vec![b'x'; 60_000_000];
    let server = Server::start(|listener| drop(listener.accept()));
    let mut packing = settings(&server.url());
    packing.compress_above = Some(100);
    let watch = Patience {
        ask_after: Some(Duration::from_millis(1)),
        break_at: Some(3),
        ..Patience::default()
    };
    let mut rig = Rig::watched(packing, watch, Resolver::default());
    assert_eq!(rig.post(&body).unwrap_err().kind, FailKind::GivenUp);
    assert_eq!(rig.connections(), 0);
    let _ = TcpStream::connect(server.addr);
    server.join();
}

/// [HTTP-15]
#[test]
fn a_body_that_gzip_does_not_make_smaller_and_a_415_without_gzip_stay_as_they_are() {
    let mut noise = vec![0; 10_000];
    let mut state = 1u32;
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    let server = Server::answering(vec![
        ok(b"plain"),
        answer("415 Unsupported Media Type", "", b""),
    ]);
    let mut packing = settings(&server.url());
    packing.compress_above = Some(1);
    let mut rig = Rig::with(packing);
    rig.post(&noise).unwrap();
    let sent = rig.http.traffic().facts().bytes_out;
    assert!(sent > noise.len() as u64, "{sent}");
    assert_eq!(rig.post(&noise).unwrap_err().status, Some(415));
    server.join();
}
