//! The upgrade through redirects, proxies and unix sockets.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::thread;

use opamp::transport::proxy::Choice;
use opamp::transport::tls::{Roots, TlsSettings};
use opamp::transport::websocket::News;
use opamp::transport::{Endpoint, FailKind, Proxy, Settings};
use rustls::{HandshakeKind, ServerConnection, StreamOwned};

use super::{BINARY, Rig, frame, shown, switching, url};
use crate::kit::{Got, Server, answer, secure, settings};
use crate::tls::Authority;

fn following(mut settings: Settings, allowed: &[String]) -> Rig {
    settings.redirects.limit = 5;
    let parse = |origin: &String| Endpoint::parse(origin).unwrap();
    settings.redirects.allowed = allowed.iter().map(parse).collect();
    let mut rig = Rig::with(settings);
    rig.headers.set("Authorization", "Bearer token").unwrap();
    rig
}

fn moved(status: u16, location: &str) -> Vec<u8> {
    answer(
        &format!("{status} Moved"),
        &format!("Location: {location}\r\n"),
        b"",
    )
}

/// Upgrades, and speaks first.
fn greet(peer: &mut (impl Read + Write), path: &str) -> Got {
    let got = Got::head(peer).unwrap();
    assert!(
        got.head.starts_with(&format!("GET {path} HTTP/1.1\r\n")),
        "{}",
        got.head
    );
    peer.write_all(switching(&got, "").as_bytes()).unwrap();
    peer.write_all(&frame(BINARY, b"\x00hello")).unwrap();
    peer.flush().unwrap();
    got
}

/// [WS-12] [WS-17] [HTTP-22]
#[test]
fn the_upgrade_follows_each_kind_of_redirect_as_a_chain() {
    let server = Server::start(|listener| {
        let here = listener.local_addr().unwrap();
        for (path, status, location) in [
            ("/v1/opamp", 301, format!("http://{here}/a")),
            ("/a", 302, format!("ws://{here}/b?x")),
            ("/b?x", 303, "/c".to_owned()),
            ("/c", 307, "d".to_owned()),
            ("/d", 308, "?e".to_owned()),
        ] {
            let mut peer = listener.accept().unwrap().0;
            let got = Got::head(&mut peer).unwrap();
            assert!(
                got.head.starts_with(&format!("GET {path} ")),
                "{}",
                got.head
            );
            assert_eq!(got.header("authorization"), Some("Bearer token"));
            peer.write_all(&moved(status, &location)).unwrap();
        }
        let mut peer = listener.accept().unwrap().0;
        greet(&mut peer, "/d?e");
        // The next connection begins at the endpoint again.
        let mut peer = listener.accept().unwrap().0;
        greet(&mut peer, "/v1/opamp");
    });
    let mut rig = following(settings(&url(&server)), &[]);
    rig.connect().unwrap();
    assert_eq!(rig.message(), &b"hello"[..]);
    let hops = rig.watch.hops.lock().unwrap().clone();
    let statuses: Vec<u16> = hops.iter().map(|hop| hop.status).collect();
    assert_eq!(statuses, [301, 302, 303, 307, 308]);
    assert_eq!(hops[0].to, format!("ws://{}/a", server.addr));
    rig.connect().unwrap();
    server.join();
}

/// [WS-12] [HTTP-13]
#[test]
fn another_origin_must_be_allowed_and_gets_no_headers_of_the_host() {
    let away = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        let got = greet(&mut peer, "/there");
        assert_eq!(got.header("authorization"), None);
    });
    let location = format!("http://{}/there", away.addr);
    let home = Server::start(move |listener| {
        for _ in 0..2 {
            let mut peer = listener.accept().unwrap().0;
            Got::head(&mut peer).unwrap();
            peer.write_all(&moved(307, &location)).unwrap();
        }
    });
    let refused = following(settings(&url(&home)), &[]).connect().unwrap_err();
    assert_eq!(
        (refused.kind, refused.status),
        (FailKind::Status, Some(307))
    );
    let why = format!("(not followed: to {}, which is not allowed)", away.addr);
    assert!(refused.text.ends_with(&why), "{refused}");
    let origin = format!("http://{}", away.addr);
    let mut rig = following(settings(&url(&home)), &[origin]);
    rig.connect().unwrap();
    assert_eq!(rig.message(), &b"hello"[..]);
    home.join();
    away.join();
}

/// [WS-17] A loop, and a 3xx that leads nowhere.
#[test]
fn a_chain_ends_at_its_limit_and_without_a_location() {
    let server = Server::start(|listener| {
        for count in 0..7 {
            let mut peer = listener.accept().unwrap().0;
            Got::head(&mut peer).unwrap();
            let then = match count {
                6 => answer("302 Found", "", b""),
                _ => moved(302, "/again"),
            };
            peer.write_all(&then).unwrap();
        }
    });
    let mut rig = following(settings(&url(&server)), &[]);
    for why in ["more than 5 redirects", "without a location"] {
        let failure = rig.connect().unwrap_err();
        let end = format!("HTTP 302 Found (not followed: {why})");
        assert!(failure.text.ends_with(&end), "{failure}");
    }
    server.join();
}

fn through(proxy: String, mut settings: Settings) -> Settings {
    settings.proxies.choice = Choice::Given(Proxy::parse(&proxy).unwrap());
    settings
}

/// [PROXY-01] [CONN-09]
#[test]
fn ws_goes_through_connect_and_socks() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        let asked = Got::head(&mut peer).unwrap();
        let line = asked.head.lines().next().unwrap();
        assert_eq!(line, "CONNECT opamp.example:80 HTTP/1.1");
        assert_eq!(asked.header("authorization"), None);
        peer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        greet(&mut peer, "/v1");
        let mut peer = listener.accept().unwrap().0;
        peer.read_exact(&mut [0; 3]).unwrap();
        peer.write_all(&[5, 0]).unwrap();
        peer.read_exact(&mut [0; 20]).unwrap();
        peer.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        greet(&mut peer, "/v1");
    });
    for scheme in ["http", "socks5h"] {
        let proxy = format!("{scheme}://{}", server.addr);
        let mut rig = Rig::with(through(proxy, settings("ws://opamp.example/v1")));
        rig.connect().unwrap();
        assert_eq!(rig.message(), &b"hello"[..]);
    }
    server.join();
}

/// [PROXY-01] [PROXY-04]
#[test]
fn wss_through_an_https_proxy_is_tls_within_tls_both_ways() {
    let authority = Authority::new();
    let outer = authority.leaf(&["127.0.0.1"], |_| ()).server(None);
    let inner = authority.leaf(&["opamp.example"], |_| ()).server(None);
    let server = Server::start(move |listener| {
        let peer = listener.accept().unwrap().0;
        let mut way = StreamOwned::new(ServerConnection::new(outer).unwrap(), peer);
        Got::head(&mut way).unwrap();
        way.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let mut peer = StreamOwned::new(ServerConnection::new(inner).unwrap(), way);
        greet(&mut peer, "/v1");
        // A message of 1 MiB comes, another goes.
        let mut come = vec![0; 1 << 20];
        peer.read_exact(&mut come).unwrap();
        come.insert(0, 0);
        peer.write_all(&frame(BINARY, &come)).unwrap();
        peer.flush().unwrap();
        while peer.read(&mut come).is_ok_and(|n| n > 0) {}
    });
    let tls = TlsSettings {
        roots: Roots::Memory(authority.pem()),
        ..TlsSettings::default()
    };
    let proxy = format!("https://{}", server.addr);
    let mut rig = Rig::with(through(proxy, secure("wss://opamp.example/v1", &tls)));
    rig.connect().unwrap();
    assert_eq!(rig.message(), &b"hello"[..]);
    rig.send(&vec![7; 2 << 20], None);
    // The server begins before it has got all: which is whole first is left open.
    match rig.next() {
        News::Written(_) => assert_eq!(rig.message().len(), 1 << 20),
        News::Message(bytes) => {
            assert_eq!(bytes.len(), 1 << 20);
            rig.written();
        }
        other => panic!("{}", shown(&other)),
    }
    drop(rig);
    server.join();
}

/// [TLS-04] [TLS-02]
#[test]
fn a_wss_session_is_resumed_by_the_next_connection() {
    let authority = Authority::new();
    let config = authority.leaf(&["127.0.0.1"], |_| ()).server(None);
    let server = Server::start(move |listener| {
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let peer = listener.accept().unwrap().0;
            let session = ServerConnection::new(config.clone()).unwrap();
            let mut peer = StreamOwned::new(session, peer);
            greet(&mut peer, "/v1");
            assert_eq!(peer.conn.handshake_kind(), Some(kind));
            while peer.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {}
        }
    });
    let tls = TlsSettings {
        roots: Roots::Memory(authority.pem()),
        ..TlsSettings::default()
    };
    let mut rig = Rig::with(secure(&format!("wss://{}/v1", server.addr), &tls));
    for _ in 0..2 {
        rig.connect().unwrap();
        assert_eq!(rig.message(), &b"hello"[..]);
    }
    drop(rig);
    server.join();
}

/// [PROXY-03]
#[test]
fn a_unix_socket_is_upgraded_like_any_other() {
    let path = std::env::temp_dir().join(format!("opamp-ws-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let mut peer = listener.accept().unwrap().0;
        let got = greet(&mut peer, "/v1");
        assert_eq!(got.header("host"), Some("localhost"));
    });
    let encoded = path.to_str().unwrap().replace('/', "%2F");
    let mut rig = Rig::with(settings(&format!("ws+unix://{encoded}/v1")));
    rig.connect().unwrap();
    assert_eq!(rig.message(), &b"hello"[..]);
    server.join().unwrap();
    std::fs::remove_file(path).unwrap();
}
