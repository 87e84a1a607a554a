//! The way through http, https and SOCKS5 proxies, and what hostile ones get.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opamp::transport::proxy::Choice;
use opamp::transport::tls::{Identity, Roots, TlsSettings};
use opamp::transport::{
    Endpoint, FailKind, Failure, Proxies, Proxy, ReachedServer, Resolver, Settings,
};
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use crate::framing::ODD;
use crate::http::{goes_on_reading, sends_all};
use crate::kit::{Got, LONG, Patience, Rig, Server, answer, ok, secure, settings};
use crate::tls::{Authority, Pair};

const SHORT: Duration = Duration::from_millis(150);
const LOGIN: &str = "agent:p%40ss%3Aw0rd";
/// The same for HTTP.
const BASIC: &str = "Basic YWdlbnQ6cEBzczp3MHJk";

fn through(proxy: &str, mut settings: Settings) -> Settings {
    settings.proxies.choice = Choice::Given(Proxy::parse(proxy).unwrap());
    settings.limits.proxy = LONG;
    settings
}

/// Who vouches for everybody here, with what a server of that name shows.
fn trusted(hosts: &[&str]) -> (TlsSettings, Pair, Authority) {
    let authority = Authority::new();
    let pair = authority.leaf(hosts, |_| ());
    let tls = TlsSettings {
        roots: Roots::Memory(authority.pem()),
        ..TlsSettings::default()
    };
    (tls, pair, authority)
}

fn tls<S: Read + Write>(config: &Arc<ServerConfig>, peer: S) -> StreamOwned<ServerConnection, S> {
    StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), peer)
}

/// Plays a proxy's part of CONNECT.
fn opened(peer: &mut (impl Read + Write)) -> Got {
    let got = Got::head(peer).unwrap();
    assert!(got.body.is_empty(), "bytes before the way was open");
    peer.write_all(b"HTTP/1.1 200 Opened\r\nContent-Length: 3\r\n\r\n")
        .unwrap();
    peer.flush().unwrap();
    got
}

/// Answers so many requests with their own bodies.
fn echo(peer: &mut (impl Read + Write), count: usize) -> Vec<Got> {
    let answered = (0..count).map(|_| {
        let got = Got::read(peer).unwrap();
        peer.write_all(&ok(&got.body)).unwrap();
        peer.flush().unwrap();
        got
    });
    answered.collect()
}

/// [PROXY-01] [CONN-09] [LOG-03]
#[test]
fn an_http_proxy_is_asked_to_connect_and_alone_sees_what_is_meant_for_it() {
    let (trust, pair, _) = trusted(&["opamp.example"]);
    let config = pair.server(None);
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        let asked = opened(&mut peer);
        let line = asked.head.lines().next().unwrap();
        assert_eq!(line, "CONNECT opamp.example:8443 HTTP/1.1");
        assert_eq!(asked.header("host"), Some("opamp.example:8443"));
        assert_eq!(asked.header("proxy-authorization"), Some(BASIC));
        assert_eq!(asked.header("x-for-proxy"), Some("yes"));
        assert_eq!(asked.header("authorization"), None);
        for got in echo(&mut tls(&config, peer), 2) {
            assert_eq!(got.header("authorization"), Some("Bearer token"));
            assert_eq!(got.header("proxy-authorization"), None);
            assert_eq!(got.header("x-for-proxy"), None);
        }
    });
    let proxy = format!("{LOGIN}@{}", server.addr);
    let mut settings = through(&proxy, secure("https://opamp.example:8443/v1", &trust));
    settings.proxies.headers.set("X-For-Proxy", "yes").unwrap();
    let mut rig = Rig::with(settings);
    rig.headers.set("Authorization", "Bearer token").unwrap();
    assert_eq!(rig.post(b"one").unwrap().body, &b"one"[..]);
    assert_eq!(rig.post(b"two").unwrap().body, &b"two"[..]);
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [PROXY-01] [CONN-09] Over plain HTTP the proxy passes on what it can read: the whole URL, no
/// CONNECT.
#[test]
fn an_http_endpoint_is_asked_for_by_its_whole_url_and_the_connection_to_the_proxy_is_kept() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        for got in echo(&mut peer, 2) {
            let line = got.head.lines().next().unwrap();
            assert_eq!(line, "POST http://opamp.example:8080/v1?a HTTP/1.1");
            assert_eq!(got.header("host"), Some("opamp.example:8080"));
            assert_eq!(got.header("proxy-authorization"), Some(BASIC));
            assert_eq!(got.header("authorization"), Some("Bearer token"));
            assert_eq!(got.header("x-for-proxy"), Some("yes"));
        }
        for (status, headers) in [("407 Login", ""), ("503 Busy", "Retry-After: 7\r\n")] {
            let got = Got::read(&mut peer).unwrap();
            let shown = format!("{} and p@ss:w0rd of agent", got.head);
            let page = answer(status, headers, shown.as_bytes());
            peer.write_all(&page).unwrap();
        }
    });
    let proxy = format!("{LOGIN}@{}", server.addr);
    let nowhere = Resolver::new(|_, _| panic!("looked up here"));
    let mut settings = through(&proxy, settings("http://opamp.example:8080/v1?a"));
    settings.proxies.headers.set("X-For-Proxy", "yes").unwrap();
    let mut rig = Rig::watched(settings, Patience::default(), nowhere);
    rig.headers.set("Authorization", "Bearer token").unwrap();
    assert_eq!(rig.post(b"one").unwrap().body, &b"one"[..]);
    assert_eq!(rig.post(b"two").unwrap().body, &b"two"[..]);
    let denied = rig.fail();
    assert_eq!((denied.kind, denied.status), (FailKind::Proxy, Some(407)));
    let busy = rig.fail();
    assert_eq!((busy.kind, busy.status), (FailKind::Status, Some(503)));
    assert_eq!(busy.retry_after, Some(Duration::from_secs(7)));
    for secret in ["p@ss", "YWdlbnQ", "Bearer token"] {
        assert!(!denied.text.contains(secret), "{denied}");
        assert!(!busy.text.contains(secret), "{busy}");
    }
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [PROXY-01]
#[test]
fn a_header_of_the_hosts_own_replaces_the_login_of_the_url() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        let got = Got::head(&mut peer).unwrap();
        assert_eq!(got.header("proxy-authorization"), Some("Bearer own"));
    });
    let (trust, ..) = trusted(&["a.example"]);
    let proxy = format!("{LOGIN}@{}", server.addr);
    let mut settings = through(&proxy, secure("https://a.example/", &trust));
    let headers = &mut settings.proxies.headers;
    headers.set("Proxy-Authorization", "Bearer own").unwrap();
    Rig::with(settings).fail();
    server.join();
}

/// [PROXY-01] [PROXY-04]
#[test]
fn tls_within_tls_carries_large_messages_both_ways_and_the_proxy_sees_our_certificate() {
    let (mut trust, outer, authority) = trusted(&["127.0.0.1"]);
    let inner = authority.leaf(&["opamp.example"], |_| ());
    let client = authority.leaf(&[], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    trust.identity = Some(Identity::Memory {
        certificate: client.certificate.as_bytes().into(),
        key: client.key.as_bytes().into(),
    });
    let (outer, inner) = (outer.server(Some(&authority)), inner.server(None));
    let server = Server::start(move |listener| {
        let mut way = tls(&outer, listener.accept().unwrap().0);
        opened(&mut way);
        assert!(way.conn.peer_certificates().is_some());
        echo(&mut tls(&inner, way), 3);
    });
    let proxy = format!("https://{}", server.addr);
    let mut rig = Rig::with(through(&proxy, secure("https://opamp.example/v1", &trust)));
    for size in [0, 100, 3_000_000] {
        let body: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        assert_eq!(rig.post(&body).unwrap().body, body);
    }
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [PROXY-01] [HTTP-01] In the middle of a large request, plain TLS and TLS within TLS.
#[test]
fn an_interim_answer_does_not_end_the_request_within_tls() {
    let (trust, outer, authority) = trusted(&["127.0.0.1"]);
    let inner = authority.leaf(&["opamp.example"], |_| ()).server(None);
    let outer = outer.server(None);
    for has_proxy in [false, true] {
        let (inner, outer) = (inner.clone(), outer.clone());
        let server = Server::start(move |listener| {
            let mut peer = tls(&outer, listener.accept().unwrap().0);
            if has_proxy {
                opened(&mut peer);
                return goes_on_reading(&mut tls(&inner, peer));
            }
            goes_on_reading(&mut peer);
        });
        let url = format!("https://{}", server.addr);
        sends_all(match has_proxy {
            false => secure(&url, &trust),
            true => through(&url, secure("https://opamp.example/v1", &trust)),
        });
        server.join();
    }
}

/// [PROXY-04] [TLS-04] The proxy's session and the server's have each a place.
#[test]
fn both_sessions_are_resumed_by_the_next_connection() {
    let (trust, outer, authority) = trusted(&["127.0.0.1"]);
    let inner = authority.leaf(&["opamp.example"], |_| ()).server(None);
    let outer = outer.server(None);
    let server = Server::start(move |listener| {
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut way = tls(&outer, listener.accept().unwrap().0);
            opened(&mut way);
            assert_eq!(way.conn.handshake_kind(), Some(kind));
            let mut peer = tls(&inner, way);
            Got::read(&mut peer).unwrap();
            assert_eq!(peer.conn.handshake_kind(), Some(kind));
            peer.write_all(&answer("200 OK", "Connection: close\r\n", b""))
                .unwrap();
            peer.flush().unwrap();
        }
    });
    let proxy = format!("https://{}", server.addr);
    let mut rig = Rig::with(through(&proxy, secure("https://opamp.example/v1", &trust)));
    rig.post(b"one").unwrap();
    rig.post(b"two").unwrap();
    server.join();
}

/// [PROXY-01] [PROXY-04]
#[test]
fn an_http_endpoint_is_passed_on_by_an_https_proxy_within_tls() {
    let (trust, pair, _) = trusted(&["127.0.0.1"]);
    let config = pair.server(None);
    let server = Server::start(move |listener| {
        let mut way = tls(&config, listener.accept().unwrap().0);
        for got in echo(&mut way, 2) {
            let line = got.head.lines().next().unwrap();
            assert_eq!(line, "POST http://[::1]:8080/v1 HTTP/1.1");
        }
    });
    let proxy = format!("https://{}", server.addr);
    let mut settings = through(&proxy, settings("http://[::1]:8080/v1"));
    settings.trust = Some(trust.at_start().unwrap());
    let mut rig = Rig::with(settings);
    assert_eq!(rig.post(b"one").unwrap().body, &b"one"[..]);
    assert_eq!(rig.post(b"two").unwrap().body, &b"two"[..]);
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [PROXY-01]
#[test]
fn an_address_of_ipv6_is_asked_for_as_each_protocol_writes_it() {
    let (trust, ..) = trusted(&["::1"]);
    for scheme in ["http", "socks5"] {
        let server = Server::start(move |listener| {
            let mut peer = listener.accept().unwrap().0;
            if scheme == "http" {
                let got = Got::head(&mut peer).unwrap();
                assert!(got.head.starts_with("CONNECT [::1]:8443 HTTP/1.1\r\n"));
                return;
            }
            assert_eq!(exactly(&mut peer), [5, 1, 0]);
            peer.write_all(&[5, 0]).unwrap();
            let mut expected = [0; 22];
            expected[..4].copy_from_slice(&[5, 1, 0, 4]);
            expected[19..].copy_from_slice(&[1, 0x20, 0xfb]);
            assert_eq!(exactly(&mut peer), expected);
        });
        let proxy = format!("{scheme}://{}", server.addr);
        let settings = through(&proxy, secure("https://[::1]:8443/v1", &trust));
        assert_eq!(Rig::with(settings).fail().kind, FailKind::Proxy);
        server.join();
    }
}

/// [PROXY-04] [TLS-02]
#[test]
fn tls_with_a_proxy_is_verified_like_any_other() {
    let (trust, wrong, _) = trusted(&["other.example"]);
    let config = wrong.server(None);
    let server = Server::start(move |listener| {
        let mut way = tls(&config, listener.accept().unwrap().0);
        assert!(way.read(&mut [0]).is_err());
    });
    let proxy = format!("https://{}", server.addr);
    let failure = Rig::with(through(&proxy, secure("https://a.example/", &trust))).fail();
    assert_eq!(failure.kind, FailKind::Tls, "{failure}");
    let place = format!("TLS with the proxy {}:", server.addr);
    assert!(failure.text.starts_with(&place), "{failure}");
    assert!(failure.text.contains("found other.example"), "{failure}");
    server.join();
}

fn exactly<const N: usize>(peer: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    peer.read_exact(&mut bytes).unwrap();
    bytes
}

/// [PROXY-01] [CONN-09]
#[test]
fn socks5_takes_a_login_and_the_address_that_was_looked_up_here() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        assert_eq!(exactly(&mut peer), [5, 2, 0, 2]);
        peer.write_all(&[5, 2]).unwrap();
        assert_eq!(&exactly::<17>(&mut peer), b"\x01\x05agent\x09p@ss:w0rd");
        peer.write_all(&[1, 0]).unwrap();
        assert_eq!(exactly(&mut peer), [5, 1, 0, 1, 192, 0, 2, 7, 0, 80]);
        peer.write_all(&[5, 0, 0, 1, 10, 0, 0, 1, 1, 1]).unwrap();
        let got = echo(&mut peer, 1);
        assert!(got[0].head.starts_with("POST /v1 HTTP/1.1\r\n"));
    });
    let proxy = format!("socks5://{LOGIN}@{}", server.addr);
    let settings = through(&proxy, settings("http://opamp.example/v1"));
    let here = Resolver::new(|_, port| Ok(vec![([192, 0, 2, 7], port).into()]));
    let mut rig = Rig::watched(settings, Patience::default(), here);
    assert_eq!(rig.post(b"one").unwrap().body, &b"one"[..]);
    server.join();
}

/// [PROXY-01]
#[test]
fn socks5h_is_told_the_name_and_tls_goes_through() {
    let (trust, pair, _) = trusted(&["opamp.example"]);
    let config = pair.server(None);
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        assert_eq!(exactly(&mut peer), [5, 1, 0]);
        peer.write_all(&[5, 0]).unwrap();
        assert_eq!(
            &exactly::<20>(&mut peer),
            b"\x05\x01\x00\x03\x0dopamp.example\x20\xfb"
        );
        // The address that it answers with may be a name, and come in pieces.
        peer.write_all(&[5, 0, 0, 3, 2]).unwrap();
        peer.write_all(b"ab\x00\x01").unwrap();
        echo(&mut tls(&config, peer), 1);
    });
    let proxy = format!("socks5h://{}", server.addr);
    let settings = through(&proxy, secure("https://opamp.example:8443/v1", &trust));
    let nowhere = Resolver::new(|_, _| panic!("looked up here"));
    let mut rig = Rig::watched(settings, Patience::default(), nowhere);
    assert_eq!(rig.post(b"one").unwrap().body, &b"one"[..]);
    server.join();
}

/// The failure behind a proxy that answers the first bytes with these and then waits for our end.
fn met_by(scheme: &str, answer: &'static [u8], proxy_bound: Duration) -> Failure {
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        let _ = peer.read(&mut [0; 4096]);
        let _ = peer.write_all(answer);
        while peer.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
    });
    let (trust, ..) = trusted(&["opamp.example"]);
    let proxy = format!("{scheme}://{LOGIN}@{}", server.addr);
    let mut settings = through(&proxy, secure("https://opamp.example/v1", &trust));
    settings.limits.proxy = proxy_bound;
    let here = Resolver::new(|_, port| Ok(vec![([192, 0, 2, 7], port).into()]));
    let mut rig = Rig::watched(settings, Patience::default(), here);
    let failure = rig.fail();
    drop(rig);
    let place = format!("the proxy {}", server.addr);
    assert!(failure.text.contains(&place), "{failure}");
    for secret in ["p@ss", "p%40ss", "YWdlbnQ", "agent:"] {
        assert!(!failure.text.contains(secret), "{failure}");
    }
    assert_eq!(failure.reached, ReachedServer::No);
    server.join();
    failure
}

/// [PROXY-01] [HTTP-10]
#[test]
fn a_proxys_refusal_surfaces_as_itself() {
    let denied = met_by(
        "http",
        b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nno!",
        LONG,
    );
    assert_eq!((denied.kind, denied.status), (FailKind::Proxy, Some(407)));
    let text = "answered HTTP 407 Proxy Authentication Required";
    assert!(denied.text.ends_with(text), "{denied}");
    let busy = met_by(
        "http",
        b"HTTP/1.1 100 Wait\r\n\r\nHTTP/1.0 503 Busy\r\nRetry-After: 7\r\n\r\n",
        LONG,
    );
    assert_eq!((busy.kind, busy.status), (FailKind::Proxy, Some(503)));
    assert_eq!(busy.retry_after, Some(Duration::from_secs(7)));
    for (answer, why) in [
        (&b"\x05\xff"[..], "takes no login by name and password"),
        (b"\x05\x01", "chose a way to log in that was not offered"),
        (b"\x05\x02\x01\x01", "refused the login"),
        (
            b"\x05\x00\x05\x02\x00\x01",
            "refused: its rules do not allow it",
        ),
        (b"\x05\x00\x05\x63\x00\x01", "refused: reply 99"),
    ] {
        let failure = met_by("socks5h", answer, LONG);
        assert_eq!((failure.kind, failure.status), (FailKind::Proxy, None));
        assert!(failure.text.ends_with(why), "{failure}");
    }
}

/// [PROXY-01]
#[test]
fn what_no_proxy_would_say_is_a_failure_of_the_proxy() {
    static ENDLESS: [u8; 40_000] = [b'a'; 40_000];
    let behind = b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03";
    for (scheme, answer, why) in [
        (
            "http",
            &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
            "does not speak HTTP",
        ),
        ("http", b"\x00\x01\x02\x03", "does not speak HTTP"),
        ("http", &ENDLESS, "does not speak HTTP"),
        ("http", behind, "sent bytes behind its answer"),
        (
            "socks5",
            b"HTTP/1.1 400 Bad\r\n\r\n",
            "does not speak SOCKS5",
        ),
        ("socks5", b"\x05\x02\x05\x00", "does not speak SOCKS5"),
        (
            "socks5",
            b"\x05\x00\x04\x00\x00\x01",
            "does not speak SOCKS5",
        ),
        ("socks5", b"\x05\x00\x05\x00\x00\x09", "unknown kind"),
    ] {
        let failure = met_by(scheme, answer, LONG);
        assert_eq!(failure.kind, FailKind::Proxy, "{failure}");
        assert!(failure.text.contains(why), "{failure}");
    }
}

/// [PROXY-01]
#[test]
fn a_head_without_an_end_is_cut_at_its_limit() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::head(&mut peer).unwrap();
        peer.write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
        let mut sent = 0u64;
        while peer.write_all(b"X-More: and more\r\n").is_ok() {
            sent += 1;
            assert!(sent < 1_000_000, "never cut");
        }
    });
    let (trust, ..) = trusted(&["a.example"]);
    let proxy = server.addr.to_string();
    let failure = Rig::with(through(&proxy, secure("https://a.example/", &trust))).fail();
    assert_eq!(failure.kind, FailKind::Proxy, "{failure}");
    server.join();
}

/// [PROXY-01] [HTTP-18]
#[test]
fn a_silent_proxy_meets_its_own_bound_at_each_step() {
    for (scheme, answer) in [
        ("http", &b""[..]),
        ("http", b"HTTP/1.1 200 OK\r\nX: "),
        ("socks5", b""),
        ("socks5", b"\x05"),
        ("socks5", b"\x05\x02"),
        ("socks5", b"\x05\x00\x05\x00"),
        ("socks5h", b"\x05\x00\x05\x00\x00\x03\xff123"),
    ] {
        let begun = Instant::now();
        let failure = met_by(scheme, answer, SHORT);
        assert_eq!(failure.kind, FailKind::Timeout, "{failure}");
        assert!(
            failure.text.ends_with("it did not open the way in time"),
            "{failure}"
        );
        assert!(begun.elapsed() >= SHORT);
    }
}

/// [PROXY-01]
#[test]
fn a_proxy_that_closes_is_named_and_so_is_one_that_is_not_there() {
    for scheme in ["http", "socks5h"] {
        let server = Server::start(|listener| drop(listener.accept().unwrap()));
        let (trust, ..) = trusted(&["a.example"]);
        let proxy = format!("{scheme}://{}", server.addr);
        let failure = Rig::with(through(&proxy, secure("https://a.example/", &trust))).fail();
        assert_eq!(failure.kind, FailKind::Proxy, "{failure}");
        let text = format!("the proxy {} closed the connection", server.addr);
        assert_eq!(&*failure.text, text);
        let addr = server.addr;
        server.join();
        let failure = Rig::with(through(&proxy, secure("https://a.example/", &trust))).fail();
        assert_eq!(failure.kind, FailKind::Connect, "{failure}");
        let text = format!("connect to the proxy {addr}: Connection refused");
        assert_eq!(&*failure.text, text);
    }
}

/// [PROXY-01] What fails behind the proxy names both: either may be to blame.
#[test]
fn a_failure_within_the_way_names_the_server_and_the_proxy() {
    for scheme in ["http", "https"] {
        let server = Server::start(move |listener| {
            let mut peer = listener.accept().unwrap().0;
            if scheme == "https" {
                opened(&mut peer);
            }
            let _ = peer.read(&mut [0; 4096]);
        });
        let (trust, ..) = trusted(&["a.example"]);
        let proxy = server.addr.to_string();
        let settings = secure(&format!("{scheme}://a.example:8443/"), &trust);
        let failure = Rig::with(through(&proxy, settings)).fail();
        let both = format!("a.example:8443 through the proxy {}: ", server.addr);
        assert!(failure.text.contains(&both), "{failure}");
        server.join();
    }
}

/// [PROXY-01]
#[test]
fn the_wait_for_a_proxy_can_be_given_up() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        while peer.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
    });
    let (trust, ..) = trusted(&["a.example"]);
    let proxy = server.addr.to_string();
    let settings = through(&proxy, secure("https://a.example/", &trust));
    let watch = Patience {
        ask_after: Some(Duration::from_millis(20)),
        break_at: Some(5),
        ..Patience::default()
    };
    let mut rig = Rig::watched(settings, watch, Resolver::default());
    assert_eq!(rig.fail().kind, FailKind::GivenUp);
    drop(rig);
    server.join();
}

/// [PROXY-04] [LOG-03]
#[test]
fn a_proxys_url_is_taken_or_refused_without_showing_its_login() {
    let long = "x".repeat(256);
    for (url, why) in [
        ("", "no host"),
        ("http://", "no host"),
        ("user:secret@", "no host"),
        ("socks5://:1080", "no host"),
        (
            "ftp://user:secret@a",
            "scheme must be http, https, socks5 or socks5h",
        ),
        ("a:0", "port"),
        ("a:b", "port"),
        ("user:secret@a:b", "port"),
        ("a/path", "host and port only"),
        ("a b", "host and port only"),
        ("[::1", "host and port only"),
        ("http://secret%3Ax:y@a", "a colon"),
        ("socks5://:secret@a", "1 to 255 bytes"),
        (&format!("socks5://u:secret{long}@a"), "at most 255 bytes"),
    ] {
        let error = Proxy::parse(url).unwrap_err().to_string();
        assert!(error.contains(why), "{url}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
    for (url, shown) in [
        ("a", "the proxy a:80"),
        ("HTTPS://u:secret@a/", "the proxy a:443"),
        ("socks5h://u@[::1]", "the proxy [::1]:1080"),
        ("http://u:sec@ret@a:3128", "the proxy a:3128"),
    ] {
        let proxy = Proxy::parse(url).unwrap();
        assert_eq!(proxy.to_string(), shown);
        assert!(!format!("{proxy:?}").contains("sec"), "{proxy:?}");
    }
    let endpoint = Endpoint::parse("http://a").unwrap();
    assert!(Proxies::default().of(&endpoint).unwrap().is_none());
}

/// [HTTP-25]
#[test]
fn odd_lines_in_the_answer_to_connect_are_read() {
    let (tls_settings, pair, _) = trusted(&["opamp.example"]);
    for odd in ODD {
        let config = pair.server(None);
        let server = Server::start(move |listener| {
            let mut peer = listener.accept().unwrap().0;
            Got::head(&mut peer).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\n{odd}\r\n\r\n");
            peer.write_all(head.as_bytes()).unwrap();
            echo(&mut tls(&config, peer), 1);
        });
        let proxy = format!("http://{}", server.addr);
        let settings = through(&proxy, secure("https://opamp.example/", &tls_settings));
        Rig::with(settings).post(b"x").expect(odd);
        server.join();
    }
}

/// [PROXY-01] A proxy that answers in the place of the server, or a server that is none of OpAMP.
#[test]
fn an_answer_that_is_no_opamp_names_the_url_and_the_proxy() {
    for (answer, end) in [
        (
            answer("502 Bad Gateway", "", b"no route"),
            "HTTP 502 Bad Gateway: no route",
        ),
        (
            answer("200 OK", "Content-Type: text/html\r\n", b"<p>log in</p>"),
            "the content type is \"text/html\", not application/x-protobuf: <p>log in</p>",
        ),
        (
            answer("407 Login", "", b""),
            "HTTP 407 Proxy Authentication Required",
        ),
        (
            answer("301 Moved", "", b""),
            "HTTP 301 Moved Permanently (not followed: without a location)",
        ),
    ] {
        let server = Server::answering(vec![answer]);
        let proxy = format!("http://me:s3cret@{}", server.addr);
        let url = "http://opamp.example:4320/v1/opamp?token=t";
        let failure = Rig::with(through(&proxy, settings(url))).fail();
        let place = format!(
            "http://opamp.example:4320/v1/opamp through the proxy {}",
            server.addr
        );
        assert_eq!(&*failure.text, format!("{place}: {end}"));
        server.join();
    }
}
