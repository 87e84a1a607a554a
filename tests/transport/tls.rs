//! Who is trusted, what is refused and in which words.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use opamp::transport::tls::{Identity, Roots, TlsSettings};
use opamp::transport::{FailKind, Failure, ReachedServer, Settings};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::kit::{Got, LONG, Rig, Server, answer, ok, secure};

/// Who issues certificates in these tests.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        Authority::named("test authority")
    }

    fn named(name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    pub(crate) fn pem(&self) -> Arc<[u8]> {
        self.pem.as_bytes().into()
    }

    /// For these hosts and for server authentication, unless `change` says otherwise.
    pub(crate) fn leaf(&self, hosts: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = leaf_params(hosts);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair {
            certificate,
            key: key.serialize_pem(),
        }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut store = RootCertStore::empty();
        store
            .add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap())
            .unwrap();
        Arc::new(store)
    }
}

pub(crate) fn leaf_params(hosts: &[&str]) -> CertificateParams {
    let hosts = hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params
}

impl Pair {
    /// A server that shows this certificate, and wants one of `clients` when there is any.
    pub(crate) fn server(&self, clients: Option<&Authority>) -> Arc<ServerConfig> {
        self.server_with(clients, false)
    }

    /// A server that asks for a certificate of `clients` and does without one, too.
    pub(crate) fn server_that_may_see(&self, clients: &Authority) -> Arc<ServerConfig> {
        self.server_with(Some(clients), true)
    }

    fn server_with(&self, clients: Option<&Authority>, is_optional: bool) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = authority.roots();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = match is_optional {
                    true => verifier.allow_unauthenticated(),
                    false => verifier,
                };
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes());
        let chain = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }

    fn files(&self, folder: &Folder) -> Identity {
        let (certificate, key) = (folder.0.join("cert.pem"), folder.0.join("key.pem"));
        fs::write(&certificate, &self.certificate).unwrap();
        fs::write(&key, &self.key).unwrap();
        Identity::Files { certificate, key }
    }
}

/// A folder of one test, gone with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("opamp-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a TLS server saw of one connection.
pub(crate) struct Seen {
    kind: Option<HandshakeKind>,
    client: Option<CertificateDer<'static>>,
}

/// Serves one connection after the other: one request each, then closed as `Connection: close`.
pub(crate) fn serve(config: Arc<ServerConfig>, connections: usize) -> (Server, Receiver<Seen>) {
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |listener| {
        for _ in 0..connections {
            let peer = listener.accept().unwrap().0;
            let Ok(mut stream) = accept(peer, &config) else {
                continue;
            };
            if Got::read(&mut stream).is_err() {
                continue;
            }
            let client = stream
                .conn
                .peer_certificates()
                .map(|all| all[0].clone().into_owned());
            let _ = tell.send(Seen {
                kind: stream.conn.handshake_kind(),
                client,
            });
            stream
                .write_all(&answer("200 OK", "Connection: close\r\n", b"a"))
                .unwrap();
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (server, told)
}

pub(crate) fn accept(
    peer: TcpStream,
    config: &Arc<ServerConfig>,
) -> std::io::Result<StreamOwned<ServerConnection, TcpStream>> {
    let session = ServerConnection::new(config.clone()).unwrap();
    let mut stream = StreamOwned::new(session, peer);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn trusting(authority: &Authority) -> TlsSettings {
    TlsSettings {
        roots: Roots::Memory(authority.pem()),
        ..TlsSettings::default()
    }
}

pub(crate) fn https(server: &Server, host: &str) -> String {
    format!("https://{host}:{}/v1/opamp", server.addr.port())
}

/// The failure of a connection to a server with this certificate.
pub(crate) fn refusal(pair: &Pair, tls: &TlsSettings) -> Failure {
    let (server, _) = serve(pair.server(None), 1);
    let failure = Rig::with(secure(&https(&server, "127.0.0.1"), tls)).fail();
    server.join();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::Tls, ReachedServer::No),
        "{failure}"
    );
    failure
}

/// [LOG-03] [LOG-10] A certificate may be made after our headers were heard.
#[test]
fn a_certificate_that_repeats_a_secret_has_no_names_in_the_text() {
    let authority = Authority::new();
    let echo = authority.leaf(&["s3cr3t-token.example"], |_| {});
    let (server, _) = serve(echo.server(None), 1);
    let mut rig = Rig::with(secure(&https(&server, "127.0.0.1"), &trusting(&authority)));
    rig.headers.set("X-Key", "S3CR3T-Token").unwrap();
    let failure = rig.fail();
    server.join();
    let end = "another host: expected 127.0.0.1, found (not shown: it repeats a secret)";
    assert!(failure.text.ends_with(end), "{failure}");
}

/// [TLS-02]
#[test]
fn each_wrong_certificate_is_refused_with_step_and_fact() {
    let authority = Authority::new();
    let trust = trusting(&authority);
    let text = |pair: &Pair| {
        let text = refusal(pair, &trust).text.to_string();
        assert!(text.starts_with("TLS with 127.0.0.1:"), "{text}");
        text.split_once(": ").unwrap().1.to_owned()
    };
    let expired = authority.leaf(&["127.0.0.1"], |p| p.not_after = date_time_ymd(2020, 2, 3));
    assert_eq!(
        text(&expired),
        "server certificate expired on Mon, 03 Feb 2020 00:00:00 GMT"
    );
    let early = authority.leaf(&["127.0.0.1"], |p| p.not_before = date_time_ymd(2093, 5, 6));
    let told = text(&early);
    assert!(
        told.starts_with(
            "server certificate is not valid before Wed, 06 May 2093 00:00:00 GMT; the clock says "
        ),
        "{told}"
    );
    let other = authority.leaf(&["a.example", "b.example"], |_| {});
    assert_eq!(
        text(&other),
        "server certificate is for another host: expected 127.0.0.1, found a.example, \
         b.example"
    );
    let stranger = Authority::named("somebody else").leaf(&["127.0.0.1"], |_| {});
    assert!(
        text(&stranger).contains("unknown issuer: not signed by a trusted CA"),
        "{}",
        text(&stranger)
    );
    let stranger = Authority::new().leaf(&["127.0.0.1"], |_| {});
    assert!(
        text(&stranger).contains("unknown issuer"),
        "{}",
        text(&stranger)
    );
    let usage = authority.leaf(&["127.0.0.1"], |p| {
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert_eq!(
        text(&usage),
        "server certificate has the wrong usage: expected server authentication, found \
         client authentication"
    );
    // Of lists as long as the peer likes only the beginning.
    let long = |n: usize| format!("{}.{n}.example", ["a"; 100].join("."));
    let many = authority.leaf(&[&*long(1), &long(2), &long(3), &long(4)], |_| {});
    assert!(text(&many).len() < 400, "{}", text(&many));
    let usages = authority.leaf(&["127.0.0.1"], |p| {
        let usage = |n| ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, n]);
        p.extended_key_usages = (1..100).map(usage).collect();
    });
    assert!(text(&usages).len() < 400, "{}", text(&usages));
    let key = KeyPair::generate().unwrap();
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = leaf_params(&["127.0.0.1"]);
        params.is_ca = is_ca;
        let certificate = params.self_signed(&key).unwrap().pem();
        let own = Pair {
            certificate,
            key: key.serialize_pem(),
        };
        assert_eq!(text(&own), "server certificate is self-signed");
    }
}

/// [TLS-02]
#[test]
fn the_right_certificate_is_taken_by_address_and_by_name() {
    let authority = Authority::new();
    let pair = authority.leaf(&["127.0.0.1", "localhost"], |_| {});
    let (server, _) = serve(pair.server(None), 2);
    for host in ["127.0.0.1", "localhost"] {
        let mut rig = Rig::with(secure(&https(&server, host), &trusting(&authority)));
        assert_eq!(rig.post(b"x").unwrap().body, &b"a"[..]);
        assert_eq!(rig.connections(), 1);
    }
    server.join();
}

/// [TLS-02] [TLS-03]
#[test]
fn a_self_signed_certificate_is_taken_when_the_host_gave_it_and_is_still_checked() {
    let own = |host: &str, change: &dyn Fn(&mut CertificateParams)| {
        let key = KeyPair::generate().unwrap();
        let mut params = leaf_params(&[host]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap().pem();
        Pair {
            certificate,
            key: key.serialize_pem(),
        }
    };
    let given = |pair: &Pair| TlsSettings {
        roots: Roots::Memory(pair.certificate.as_bytes().into()),
        ..TlsSettings::default()
    };
    let good = own("127.0.0.1", &|_| {});
    let (server, _) = serve(good.server(None), 1);
    let mut rig = Rig::with(secure(&https(&server, "127.0.0.1"), &given(&good)));
    assert_eq!(rig.post(b"x").unwrap().body, &b"a"[..]);
    server.join();
    for (pair, fact) in [
        (
            own("a.example", &|_| {}),
            "another host: expected 127.0.0.1",
        ),
        (
            own("127.0.0.1", &|p| p.not_after = date_time_ymd(2020, 2, 3)),
            "expired on Mon, 03 Feb",
        ),
        (
            own("127.0.0.1", &|p| p.not_before = date_time_ymd(2093, 5, 6)),
            "not valid before Wed, 06 May",
        ),
    ] {
        let failure = refusal(&pair, &given(&pair));
        assert!(failure.text.contains(fact), "{failure}");
    }
    // One like it, but another.
    let failure = refusal(&own("127.0.0.1", &|_| {}), &given(&good));
    assert!(failure.text.contains("certificate"), "{failure}");
}

/// [TLS-01]
#[test]
fn https_never_speaks_to_a_plaintext_server() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        let _ = peer.write_all(&ok(b"plain"));
        while matches!(std::io::Read::read(&mut peer, &mut [0; 1024]), Ok(1..)) {}
    });
    let authority = Authority::new();
    let failure = Rig::with(secure(&https(&server, "127.0.0.1"), &trusting(&authority))).fail();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::Tls, ReachedServer::No)
    );
    assert!(
        failure.text.ends_with("server did not respond with TLS"),
        "{failure}"
    );
    server.join();
}

/// [TLS-06]
#[test]
fn skip_verify_takes_any_certificate_and_nothing_else_does() {
    let pair = Authority::new().leaf(&["a.example"], |p| p.not_after = date_time_ymd(2020, 1, 1));
    let (server, _) = serve(pair.server(None), 1);
    let tls = TlsSettings {
        skip_verify: true,
        ..TlsSettings::default()
    };
    let settings = secure(&https(&server, "127.0.0.1"), &tls);
    assert!(settings.trust.as_ref().unwrap().is_skip_verify());
    assert_eq!(Rig::with(settings).post(b"x").unwrap().body, &b"a"[..]);
    server.join();
    refusal(&pair, &trusting(&Authority::new()));
}

/// [TLS-05]
#[test]
fn two_clients_of_different_trust_do_not_touch_each_other() {
    let (one, two) = (Authority::new(), Authority::new());
    let pair = one.leaf(&["127.0.0.1"], |_| {});
    let (server, _) = serve(pair.server(None), 3);
    let url = https(&server, "127.0.0.1");
    let mut right = Rig::with(secure(&url, &trusting(&one)));
    let mut wrong = Rig::with(secure(&url, &trusting(&two)));
    right.post(b"x").unwrap();
    assert_eq!(wrong.fail().kind, FailKind::Tls);
    right.post(b"x").unwrap();
    server.join();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

/// [TLS-03]
#[test]
fn roots_come_from_file_folder_and_memory() {
    let folder = Folder::new("roots");
    let authority = Authority::new();
    let file = folder.0.join("ca.pem");
    fs::write(&file, &*authority.pem()).unwrap();
    fs::write(folder.0.join("notes.txt"), "not a certificate").unwrap();
    let all = [
        Roots::File(file.clone()),
        Roots::Folder(folder.0.clone()),
        Roots::Memory(authority.pem()),
    ];
    let pair = authority.leaf(&["127.0.0.1"], |_| {});
    let (server, _) = serve(pair.server(None), all.len());
    for roots in all {
        roots.check().unwrap();
        let tls = TlsSettings {
            roots,
            ..TlsSettings::default()
        };
        Rig::with(secure(&https(&server, "127.0.0.1"), &tls))
            .post(b"x")
            .unwrap();
    }
    server.join();
}

/// [TLS-03]
#[test]
fn trust_in_nothing_is_an_error_that_lists_what_was_tried() {
    let folder = Folder::new("nothing");
    let empty = folder.0.join("empty.pem");
    fs::write(&empty, "no certificate").unwrap();
    let missing = folder.0.join("missing.pem");
    let text = |roots: Roots| roots.check().unwrap_err().to_string();
    for path in [&empty, &missing] {
        let text = text(Roots::File(path.clone()));
        assert!(text.contains("no trusted certificates found"), "{text}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
    }
    assert!(text(Roots::Folder(folder.0.clone())).contains(folder.0.to_str().unwrap()));
    assert!(
        text(Roots::Memory(b"hello"[..].into()))
            .contains("the given PEM data: it is text without a PEM")
    );
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(
        text(Roots::Memory(garbage.as_bytes().into())),
        "the given PEM data: entry 1 (line 1) is damaged: it is not an X.509 certificate"
    );
}

/// [TLS-04]
#[test]
fn a_client_certificate_is_shown_and_a_renewed_pair_works_without_a_restart() {
    let folder = Folder::new("renewed");
    let (servers, clients) = (Authority::new(), Authority::new());
    let client = |name: &str| {
        clients.leaf(&[name], |p| {
            p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]
        })
    };
    let identity = client("first").files(&folder);
    identity.check().unwrap();
    let tls = TlsSettings {
        identity: Some(identity),
        ..trusting(&servers)
    };
    let pair = servers.leaf(&["127.0.0.1"], |_| {});
    let (server, seen) = serve(pair.server(Some(&clients)), 3);
    let mut rig = Rig::with(secure(&https(&server, "127.0.0.1"), &tls));
    rig.post(b"x").unwrap();
    rig.post(b"x").unwrap();
    client("second").files(&folder);
    rig.post(b"x").unwrap();
    server.join();
    let seen: Vec<Seen> = seen.iter().collect();
    assert_eq!(seen[0].client, seen[1].client);
    assert!(seen[1].client.is_some() && seen[1].client != seen[2].client);
    assert_eq!(seen[1].kind, Some(HandshakeKind::Resumed));
    assert_ne!(seen[2].kind, Some(HandshakeKind::Resumed));
}

/// [TLS-04]
#[test]
fn a_missing_or_unknown_client_certificate_is_named_by_the_failure() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let pair = servers.leaf(&["127.0.0.1"], |_| {});
    let stranger = Authority::new().leaf(&["x"], |_| {});
    let stranger = Identity::Memory {
        certificate: stranger.certificate.as_bytes().into(),
        key: stranger.key.as_bytes().into(),
    };
    for (identity, word) in [
        (None, "client certificate required"),
        (Some(stranger), "certificate"),
    ] {
        let (server, _) = serve(pair.server(Some(&clients)), 1);
        let tls = TlsSettings {
            identity,
            ..trusting(&servers)
        };
        let failure = Rig::with(secure(&https(&server, "127.0.0.1"), &tls)).fail();
        assert_eq!(failure.kind, FailKind::Tls, "{failure}");
        assert!(failure.text.contains("rejected by the server"), "{failure}");
        assert!(failure.text.contains(word), "{failure}");
        server.join();
    }
}

/// [TLS-04]
#[test]
fn a_pair_that_does_not_match_or_an_encrypted_key_is_refused_at_the_setter() {
    let folder = Folder::new("pairs");
    let authority = Authority::new();
    let (one, two) = (
        authority.leaf(&["x"], |_| {}),
        authority.leaf(&["x"], |_| {}),
    );
    let memory = |certificate: &str, key: &str| Identity::Memory {
        certificate: certificate.as_bytes().into(),
        key: key.as_bytes().into(),
    };
    memory(&one.certificate, &one.key).check().unwrap();
    let text = |identity: &Identity| identity.check().unwrap_err().to_string();
    assert!(text(&memory(&one.certificate, &two.key)).contains("does not match"));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE \
                     KEY-----\n";
    assert!(text(&memory(&one.certificate, encrypted)).contains("is encrypted"));
    assert!(text(&memory(&one.certificate, "")).contains("contains no private key: it is empty"));
    assert!(text(&memory("", &one.key)).contains("contains no certificate: it is empty"));
    assert!(text(&memory("x", "y")).find("BEGIN").is_none());
    let files = one.files(&folder);
    files.check().unwrap();
    let Identity::Files { certificate, key } = &files else {
        unreachable!()
    };
    fs::write(key, &two.key).unwrap();
    assert!(
        text(&files).contains("key.pem does not match"),
        "{}",
        text(&files)
    );
    fs::remove_file(key).unwrap();
    assert!(
        text(&files).contains("key.pem cannot be read"),
        "{}",
        text(&files)
    );
    // Both in one file.
    fs::write(certificate, format!("{}{}", one.key, one.certificate)).unwrap();
    let both = Identity::Files {
        certificate: certificate.clone(),
        key: certificate.clone(),
    };
    both.check().unwrap();
    assert!(!format!("{:?}", memory("a", &one.key)).contains("PRIVATE"));
}

/// [TLS-04]
#[test]
fn sessions_are_resumed_while_trust_is_unchanged_and_never_under_another() {
    let folder = Folder::new("resumed");
    let (authority, other) = (Authority::new(), Authority::new());
    let file = folder.0.join("ca.pem");
    fs::write(&file, &*authority.pem()).unwrap();
    let tls = TlsSettings {
        roots: Roots::File(file.clone()),
        ..TlsSettings::default()
    };
    let pair = authority.leaf(&["127.0.0.1"], |_| {});
    let (server, seen) = serve(pair.server(None), 5);
    let mut rig = Rig::with(secure(&https(&server, "127.0.0.1"), &tls));
    let kind = |rig: &mut Rig| {
        rig.post(b"x").unwrap();
        seen.recv_timeout(LONG).unwrap().kind
    };
    assert_eq!(kind(&mut rig), Some(HandshakeKind::Full));
    assert_eq!(kind(&mut rig), Some(HandshakeKind::Resumed));
    // More roots: another trust, so the certificate is looked at again.
    fs::write(&file, [&*other.pem(), &*authority.pem()].concat()).unwrap();
    assert_eq!(kind(&mut rig), Some(HandshakeKind::Full));
    assert_eq!(kind(&mut rig), Some(HandshakeKind::Resumed));
    // The issuer is taken out: a resumed session would not notice.
    fs::write(&file, &*other.pem()).unwrap();
    let failure = rig.fail();
    assert!(failure.text.contains("unknown issuer"), "{failure}");
    server.join();
}

/// [HTTP-18]
#[test]
fn a_silent_server_meets_the_handshake_bound() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        while matches!(std::io::Read::read(&mut peer, &mut [0; 1024]), Ok(1..)) {}
    });
    let mut settings = secure(&https(&server, "127.0.0.1"), &trusting(&Authority::new()));
    settings.limits.tls = Duration::from_millis(100);
    let failure = Rig::with(settings).fail();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::Timeout, ReachedServer::No)
    );
    assert!(failure.text.contains("TLS handshake"), "{failure}");
    server.join();
}

/// [HTTP-14] Over TLS: kept, large in both directions, closed while idle.
#[test]
fn a_kept_tls_connection_carries_large_bodies_and_is_replaced_when_closed() {
    let authority = Authority::new();
    let config = authority.leaf(&["127.0.0.1"], |_| {}).server(None);
    let (tell, is_closed) = mpsc::channel();
    let server = Server::start(move |listener| {
        for _ in 0..2 {
            let mut stream = accept(listener.accept().unwrap().0, &config).unwrap();
            for _ in 0..3 {
                let got = Got::read(&mut stream).unwrap();
                stream.write_all(&ok(&got.body)).unwrap();
            }
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            // Until then the kernel may still wait with the alert.
            drop(stream);
            tell.send(()).unwrap();
        }
    });
    let mut rig = Rig::with(secure(&https(&server, "127.0.0.1"), &trusting(&authority)));
    let large: Vec<u8> = (0..5_000_000u32).map(|i| (i % 241) as u8).collect();
    for _ in 0..2 {
        for body in [&large[..], b"small", &large[..100_000]] {
            assert_eq!(rig.post(body).unwrap().body, body);
        }
        is_closed.recv_timeout(LONG).unwrap();
    }
    assert_eq!(rig.connections(), 2);
    assert!(
        rig.http
            .traffic()
            .facts()
            .tls
            .unwrap()
            .starts_with("TLS 1.")
    );
    server.join();
}

/// [TLS-01] Without trust there is no https, whatever was forgotten.
#[test]
fn https_without_trust_is_a_failure() {
    let server = Server::start(|listener| drop(listener.accept()));
    let settings: Settings = crate::kit::settings(&https(&server, "127.0.0.1"));
    let failure = Rig::with(settings).fail();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::Tls, ReachedServer::No)
    );
    server.join();
}

/// [TLS-03] In a process of its own, because the environment is everybody's.
#[test]
fn the_environment_names_the_default_roots() {
    const MARK: &str = "OPAMP_TEST_DEFAULT_ROOTS";
    if std::env::var_os(MARK).is_some() {
        match TlsSettings::default().at_start() {
            Ok(_) => println!("TRUST: found"),
            Err(e) => println!("TRUST: {e}"),
        }
        return;
    }
    let folder = Folder::new("environment");
    let file = folder.0.join("ca.pem");
    fs::write(&file, &*Authority::new().pem()).unwrap();
    let run = |name: &str, value: &Path| {
        let me = std::env::current_exe().unwrap();
        let output = std::process::Command::new(me)
            .args([
                "--exact",
                "tls::the_environment_names_the_default_roots",
                "--nocapture",
            ])
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR")
            .env(MARK, "1")
            .env(name, value)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run("SSL_CERT_FILE", &file).contains("TRUST: found"));
    assert!(run("SSL_CERT_DIR", &folder.0).contains("TRUST: found"));
    let missing = folder.0.join("missing");
    let text = run("SSL_CERT_FILE", &missing);
    assert!(text.contains("no trusted certificates found"), "{text}");
    assert!(text.contains("missing (SSL_CERT_FILE)"), "{text}");
}
