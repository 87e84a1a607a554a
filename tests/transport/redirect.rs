//! Redirects over real sockets: what goes where, and what never does.

use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc;

use opamp::transport::tls::{Identity, Roots, TlsSettings};
use opamp::transport::{Endpoint, FailKind, Failure, ReachedServer, Settings};

use crate::kit::{Got, Rig, Server, answer, ok, secure, settings};
use crate::tls::{Authority, accept};

fn to(location: &str) -> Vec<u8> {
    moved("307 Temporary Redirect", location)
}

fn moved(status: &str, location: &str) -> Vec<u8> {
    answer(status, &format!("Location: {location}\r\n"), b"")
}

fn following(mut settings: Settings, allowed: &[&str]) -> Rig {
    settings.redirects.limit = 5;
    let parse = |origin: &&str| Endpoint::parse(origin).unwrap();
    settings.redirects.allowed = allowed.iter().map(parse).collect();
    let mut rig = Rig::with(settings);
    rig.headers.set("Authorization", "Bearer token").unwrap();
    rig
}

/// From, to and status of each hop that the watch was told.
fn hops(rig: &Rig) -> Vec<(String, String, u16)> {
    let hops = rig.watch.hops.lock().unwrap();
    let told = hops
        .iter()
        .map(|h| (h.from.clone(), h.to.clone(), h.status));
    told.collect()
}

fn not_followed(failure: &Failure, why: &str) {
    assert_eq!(failure.kind, FailKind::Status, "{failure}");
    assert_eq!(failure.reached, ReachedServer::Maybe);
    let end = format!("(not followed: {why})");
    assert!(failure.text.ends_with(&end), "{failure}");
}

/// [HTTP-13] [HTTP-22]
#[test]
fn the_same_origin_is_followed_with_method_body_and_headers_on_one_connection() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        for (path, then) in [
            ("/v1/opamp", to("moved?x=1#part")),
            ("/v1/moved?x=1", moved("308 Permanent Redirect", "/there")),
            ("/there", ok(b"found")),
            ("/v1/opamp", ok(b"home again")),
        ] {
            let got = Got::read(&mut peer).unwrap();
            let line = format!("POST {path} HTTP/1.1\r\n");
            assert!(got.head.starts_with(&line), "{}", got.head);
            assert_eq!(got.body, b"message");
            assert_eq!(got.header("authorization"), Some("Bearer token"));
            peer.write_all(&then).unwrap();
        }
    });
    let mut rig = following(settings(&server.url()), &[]);
    assert_eq!(rig.post(b"message").unwrap().body, &b"found"[..]);
    let base = format!("http://{}", server.addr);
    let url = |path: &str| format!("{base}{path}");
    assert_eq!(
        hops(&rig),
        [
            (url("/v1/opamp"), url("/v1/moved?x=1"), 307),
            (url("/v1/moved?x=1"), url("/there"), 308)
        ]
    );
    // The endpoint stays the place where the next one begins.
    assert_eq!(rig.post(b"message").unwrap().body, &b"home again"[..]);
    assert_eq!(rig.connections(), 1);
    server.join();
}

/// [HTTP-13] [HTTP-22]
#[test]
fn another_origin_must_be_allowed_and_gets_no_headers_of_the_host() {
    let away = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        let got = Got::read(&mut peer).unwrap();
        assert_eq!(got.body, b"message");
        assert_eq!(got.header("authorization"), None);
        assert!(got.header("user-agent").unwrap().starts_with("libopamp/"));
        let host = format!("127.0.0.1:{}", peer.local_addr().unwrap().port());
        assert_eq!(got.header("host"), Some(host.as_str()));
        // Within the allowed origin it goes on.
        peer.write_all(&to("/next")).unwrap();
        let got = Got::read(&mut peer).unwrap();
        assert!(got.head.starts_with("POST /next HTTP/1.1\r\n"));
        assert_eq!(got.header("authorization"), None);
        peer.write_all(&ok(b"away")).unwrap();
    });
    let there = away.url();
    let home = Server::start(move |listener| {
        for body in [None, None, Some(b"home")] {
            let mut peer = listener.accept().unwrap().0;
            let got = Got::read(&mut peer).unwrap();
            assert_eq!(got.header("authorization"), Some("Bearer token"));
            let then = body.map_or_else(|| to(&there), |body| ok(body));
            peer.write_all(&then).unwrap();
            assert!(Got::head(&mut peer).is_err(), "a second request");
        }
    });
    let failure = following(settings(&home.url()), &["http://127.0.0.1:1"]).fail();
    not_followed(&failure, &format!("to {}, which is not allowed", away.addr));
    let allowed = format!("http://{}", away.addr);
    let mut rig = following(settings(&home.url()), &[&allowed]);
    assert_eq!(rig.post(b"message").unwrap().body, &b"away"[..]);
    assert_eq!(rig.post(b"message").unwrap().body, &b"home"[..]);
    assert_eq!(hops(&rig).len(), 2);
    drop(rig);
    home.join();
    away.join();
}

/// [HTTP-13] [TLS-02]
#[test]
fn another_origin_over_tls_is_verified_and_does_not_see_our_certificate() {
    let authority = Authority::new();
    let client = authority.leaf(&[], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let tls = TlsSettings {
        roots: Roots::Memory(authority.pem()),
        identity: Some(Identity::Memory {
            certificate: client.certificate.as_bytes().into(),
            key: client.key.as_bytes().into(),
        }),
        ..TlsSettings::default()
    };
    let (tell, location) = mpsc::channel::<String>();
    let serving = |is_optional: bool| {
        let leaf = authority.leaf(&["127.0.0.1"], |_| ());
        match is_optional {
            true => leaf.server_that_may_see(&authority),
            false => leaf.server(Some(&authority)),
        }
    };
    let (home_config, away_config) = (serving(false), serving(true));
    let home = Server::start(move |listener| {
        let there = location.recv().unwrap();
        for _ in 0..2 {
            let mut peer = accept(listener.accept().unwrap().0, &home_config).unwrap();
            assert!(peer.conn.peer_certificates().is_some());
            Got::read(&mut peer).unwrap();
            peer.write_all(&to(&there)).unwrap();
        }
    });
    let away = Server::start(move |listener| {
        for _ in 0..2 {
            let mut peer = accept(listener.accept().unwrap().0, &away_config).unwrap();
            assert!(peer.conn.peer_certificates().is_none());
            Got::read(&mut peer).unwrap();
            peer.write_all(&ok(b"away")).unwrap();
        }
    });
    let [origin, url] = [
        format!("https://{}", away.addr),
        format!("https://{}/v1/opamp", home.addr),
    ];
    tell.send(format!("{origin}/there")).unwrap();
    let mut rig = following(secure(&url, &tls), &[&origin]);
    for _ in 0..2 {
        assert_eq!(rig.post(b"message").unwrap().body, &b"away"[..]);
    }
    home.join();
    away.join();
}

/// [HTTP-13] [TLS-01]
#[test]
fn nothing_leads_from_tls_to_plaintext() {
    let authority = Authority::new();
    let config = authority.leaf(&["127.0.0.1"], |_| ()).server(None);
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = format!("http://{}/", plain.local_addr().unwrap());
    let location = there.clone();
    let server = Server::start(move |listener| {
        let mut peer = accept(listener.accept().unwrap().0, &config).unwrap();
        Got::read(&mut peer).unwrap();
        peer.write_all(&to(&location)).unwrap();
    });
    let tls = TlsSettings {
        roots: Roots::Memory(authority.pem()),
        ..TlsSettings::default()
    };
    let url = format!("https://{}/v1", server.addr);
    let failure = following(secure(&url, &tls), &[&there]).fail();
    not_followed(&failure, "from TLS to plaintext");
    plain.set_nonblocking(true).unwrap();
    assert!(plain.accept().is_err(), "somebody came");
    server.join();
}

/// [HTTP-13] [HTTP-22]
#[test]
fn a_loop_ends_at_the_limit_and_no_redirect_at_all_is_a_limit_of_none() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        for _ in 0..6 {
            Got::read(&mut peer).unwrap();
            peer.write_all(&to("/again")).unwrap();
        }
        assert!(Got::head(&mut peer).is_err(), "a seventh request");
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        peer.write_all(&to("/again")).unwrap();
        assert!(Got::head(&mut peer).is_err(), "a second request");
    });
    let mut rig = following(settings(&server.url()), &[]);
    not_followed(&rig.fail(), "more than 5 redirects");
    assert_eq!(hops(&rig).len(), 5);
    drop(rig);
    let mut rig = Rig::new(&server.url());
    not_followed(&rig.fail(), "redirects are forbidden");
    assert_eq!(hops(&rig).len(), 0);
    drop(rig);
    server.join();
}

/// [HTTP-13] What would make a GET of the message, or leads nowhere, is reported with its status.
#[test]
fn other_redirects_are_reported_and_not_followed() {
    let server = Server::answering(vec![
        moved("301 Moved Permanently", "/x"),
        moved("302 Found", "/x"),
        moved("303 See Other", "/x"),
        answer("307 Temporary Redirect", "", b""),
        to("http://me:s3cret@127.0.0.1/"),
        to("ws://127.0.0.1:1/"),
    ]);
    let mut rig = following(settings(&server.url()), &[]);
    for status in [301, 302, 303] {
        let failure = rig.fail();
        assert_eq!(failure.status, Some(status));
        let place = format!("to {}; only 307 and 308 are followed", server.addr);
        not_followed(&failure, &place);
    }
    not_followed(&rig.fail(), "without a location");
    not_followed(&rig.fail(), "to a location with user info");
    not_followed(&rig.fail(), "from one transport to another");
    assert_eq!(hops(&rig).len(), 0);
    server.join();
}

/// [HTTP-13] [SYNC-12] The first server has seen the message, whatever happens to the connection to
/// the next one.
#[test]
fn a_failure_behind_a_redirect_names_its_place_and_may_have_reached_a_server() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let there = format!("http://{gone}/");
    let location = there.clone();
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        peer.write_all(&to(&location)).unwrap();
    });
    let failure = following(settings(&server.url()), &[&there]).fail();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::Connect, ReachedServer::Maybe)
    );
    assert!(failure.text.contains(&gone.to_string()), "{failure}");
    server.join();
}

/// [HTTP-13] An allowed server does not choose what is asked in the host's name.
#[test]
fn back_at_the_endpoints_server_credentials_are_for_the_endpoint_alone() {
    let authority = Authority::new();
    let client = authority.leaf(&[], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let tls = TlsSettings {
        roots: Roots::Memory(authority.pem()),
        identity: Some(Identity::Memory {
            certificate: client.certificate.as_bytes().into(),
            key: client.key.as_bytes().into(),
        }),
        ..TlsSettings::default()
    };
    let config = authority
        .leaf(&["127.0.0.1"], |_| ())
        .server_that_may_see(&authority);
    let their = config.clone();
    let (tell, location) = mpsc::channel::<String>();
    let away = Server::start(move |listener| {
        let home = location.recv().unwrap();
        for path in ["/admin?delete=all", "/v1/opamp"] {
            let mut peer = accept(listener.accept().unwrap().0, &their).unwrap();
            let got = Got::read(&mut peer).unwrap();
            assert_eq!(got.header("authorization"), None);
            peer.write_all(&to(&format!("{home}{path}"))).unwrap();
        }
    });
    let there = format!("https://{}/", away.addr);
    let home = Server::start(move |listener| {
        let request = |wanted: &str, is_ours: bool, then: &[u8]| {
            let mut peer = accept(listener.accept().unwrap().0, &config).unwrap();
            let got = Got::read(&mut peer).unwrap();
            let line = format!("POST {wanted} HTTP/1.1\r\n");
            assert!(got.head.starts_with(&line), "{}", got.head);
            assert_eq!(got.header("authorization").is_some(), is_ours, "{wanted}");
            assert_eq!(peer.conn.peer_certificates().is_some(), is_ours, "{wanted}");
            peer.write_all(then).unwrap();
        };
        request("/v1/opamp", true, &to(&there));
        request("/admin?delete=all", false, &ok(b"nothing"));
        // The connection without the certificate was not kept for what needs one.
        request("/v1/opamp", true, &to(&there));
        request("/v1/opamp", true, &ok(b"home"));
    });
    tell.send(format!("https://{}", home.addr)).unwrap();
    let url = format!("https://{}/v1/opamp", home.addr);
    let origin = format!("https://{}", away.addr);
    let mut rig = following(secure(&url, &tls), &[&origin]);
    assert_eq!(rig.post(b"message").unwrap().body, &b"nothing"[..]);
    assert_eq!(rig.post(b"message").unwrap().body, &b"home"[..]);
    home.join();
    away.join();
}
