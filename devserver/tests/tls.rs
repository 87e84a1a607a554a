//! TLS: one port for both, good and bad certificates, and what the timeline tells of handshakes.
mod common;

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::*;
use serde_json::json;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("devserver-{name}-{}", std::process::id())))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What curl says of a POST: its exit status and the HTTP status.
fn curl(server: &Server, folder: &Folder, options: &[&str]) -> (i32, String) {
    let out = Command::new("curl")
        .args([
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-X",
            "POST",
            "--max-time",
            "10",
        ])
        .args([
            "-H",
            "Content-Type: application/x-protobuf",
            "--cacert",
            &folder.file("ca.pem"),
        ])
        .args(options)
        .arg(server.ready["endpoint"].as_str().unwrap())
        .stdin(Stdio::null())
        .output()
        .expect("curl is there");
    (
        out.status.code().unwrap(),
        String::from_utf8(out.stdout).unwrap(),
    )
}

#[test]
fn bad_certificates_are_shown_and_the_alert_is_noted() {
    let folder = Folder::new("certificates");
    let server = Server::start(&["--tls", folder.path()]);
    // An empty body is no message, but it gets there.
    assert_eq!(curl(&server, &folder, &[]), (0, "400".into()));
    let names = server.ready["tls"]["certificates"].as_array().unwrap();
    assert_eq!(names.len(), 7);
    for name in names.iter().filter(|name| *name != "server") {
        server.post("/certificate", json!({"certificate": name}));
        assert_eq!(curl(&server, &folder, &[]).0, 60, "{name}");
    }
    server.post("/certificate", json!({"certificate": "server"}));
    server.spoil(json!({"on": "connection", "do": {"certificate": "expired"}}));
    assert_eq!(curl(&server, &folder, &[]).0, 60);
    assert_eq!(curl(&server, &folder, &[]).0, 0);
    let failed = server.entries("kind=connection").into_iter();
    let reasons = failed.filter_map(|entry| entry["reason"].as_str().map(str::to_owned));
    let expired = "TLS handshake with \"expired\": received fatal alert: CertificateExpired";
    assert_eq!(reasons.filter(|reason| reason == expired).count(), 2);
    let (status, _) = server.call("POST", "/certificate", Some(json!({"certificate": "x"})));
    assert_eq!(status, 404);
}

#[test]
fn client_certificates_are_asked_for_and_shown() {
    let folder = Folder::new("clients");
    let server = Server::start(&["--tls", folder.path(), "--client-auth"]);
    let with = |name: &str| {
        let (cert, key) = (
            folder.file(&format!("{name}.pem")),
            folder.file(&format!("{name}.key")),
        );
        curl(&server, &folder, &["--cert", &cert, "--key", &key]).0
    };
    assert_eq!(with("client"), 0);
    assert_eq!(with("client2"), 0);
    assert_ne!(with("unknown_client"), 0);
    assert_ne!(curl(&server, &folder, &[]).0, 0);
    let secured: Vec<_> = server
        .entries("kind=connection")
        .into_iter()
        .filter(|entry| entry["event"] == "secured")
        .map(|entry| entry["tls"]["client_certificate_sha256"].clone())
        .collect();
    assert_eq!(secured.len(), 2);
    assert_ne!(secured[0], secured[1]);
}

#[test]
fn opamp_without_tls_is_refused_where_tls_is_wanted() {
    let folder = Folder::new("plain");
    let server = Server::start(&["--tls", folder.path()]);
    assert_eq!(Agent::new(&server).send(&description()).status, 400);
    assert_eq!(server.problems(), ["TLS-01"]);
    // The control API has no need of it.
    let mut tcp = connect(server.port);
    tcp.write_all(b"GET /api HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut tcp).unwrap().status, 200);
}

#[test]
fn handshakes_end_where_the_rule_says() {
    let folder = Folder::new("handshakes");
    let server = Server::start(&["--tls", folder.path()]);
    for accept in ["close_after_tls", "reset_after_tls"] {
        server.spoil(json!({"on": "connection", "do": {"accept": accept}}));
        assert_ne!(curl(&server, &folder, &[]).0, 0, "{accept}");
        assert_eq!(curl(&server, &folder, &[]).0, 0);
    }
    server.spoil(json!({"on": "connection", "do": {"accept": "silent_after_tls"}}));
    assert_eq!(curl(&server, &folder, &["--max-time", "1"]).0, 28);
    server.spoil(json!({"on": "connection", "do": {"accept": "silent"}}));
    let mut tcp = connect(server.port);
    tcp.set_read_timeout(Some(std::time::Duration::from_millis(100)))
        .unwrap();
    tcp.write_all(&[0x16, 3, 1]).unwrap();
    assert!(tcp.read(&mut [0]).is_err(), "not a byte");
}
