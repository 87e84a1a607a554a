//! What a mistaken or hostile user of the control API gets: a reason, and a server that lives on.
mod common;

use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::process::Command;
use std::thread;
use std::time::Duration;

use common::*;
use serde_json::{Value as Json, json};

/// The reason that a call is refused with.
fn refused(server: &Server, method: &str, path: &str, body: Option<Json>) -> String {
    let (status, json) = server.call(method, path, body.clone());
    assert_eq!(status, 400, "{method} {path} {body:?}: {json}");
    json["error"].as_str().expect("a reason").to_owned()
}

#[test]
fn what_nothing_can_fulfil_is_refused_and_not_waited_for() {
    let server = Server::start(&[]);
    for (path, reason) in [
        ("/timeline?agnet=x", "\"agnet\" is no key here"),
        ("/timeline?kind=recieved", "no entry is of kind"),
        ("/timeline?part=heath", "no message has a part"),
        ("/wait?until=part%3Dheath", "no message has a part"),
        ("/wait?until=full&tiemout=1s", "\"tiemout\" is no key here"),
        ("/wait?until=messages%3E%3D0", "at least once"),
        ("/wait?until=full&timeout=5", "write 250ms"),
        ("/agents?since=1", "\"since\" is no key here"),
    ] {
        let said = refused(&server, "GET", path, None);
        assert!(said.contains(reason), "{path}: {said}");
    }
    for (rule, reason) in [
        (
            json!({"match": {"part": "heath"}, "do": {}}),
            "no message has a part",
        ),
        (
            json!({"match": {"transport": "quic"}, "do": {}}),
            "no transport",
        ),
        (json!({"match": {"chance": 5}, "do": {}}), "from 0 to 1"),
        (json!({"match": {"nth": 0}, "do": {}}), "count from 1"),
        (json!({"do": {"staus": 503}}), "staus"),
        (json!({"do": {"reserved_bits": 8}}), "4, 2 and 1"),
        (
            json!({"do": {"frames": [{"opcode": "ping", "reserved_bits": 9}]}}),
            "4, 2 and 1",
        ),
    ] {
        let script = json!({"rules": [rule]});
        let said = refused(&server, "POST", "/faults", Some(script.clone()));
        assert!(said.contains(reason), "{script}: {said}");
    }
    let twins = json!({"rules": [{"name": "a", "do": {}}, {"name": "a", "do": {}}]});
    assert!(refused(&server, "POST", "/faults", Some(twins)).contains("two rules"));
    let stranger = json!({"agent": UID, "interval": "1s"});
    assert_eq!(server.call("POST", "/interval", Some(stranger)).0, 404);
    // A page of no entries ends where it began.
    assert_eq!(server.fetch("/timeline?limit=0&since=3")["next"], 3);
}

#[test]
fn a_certificate_that_the_server_does_not_have_is_refused_in_a_rule_too() {
    let folder = std::env::temp_dir().join(format!("devserver-hostile-{}", std::process::id()));
    let server = Server::start(&["--tls", folder.to_str().unwrap()]);
    let rule = json!({"rules": [{"on": "connection", "do": {"certificate": "expierd"}}]});
    assert!(refused(&server, "POST", "/faults", Some(rule)).contains("no certificate"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn no_call_and_no_rule_can_make_more_than_the_server_survives() {
    let server = Server::start(&[]);
    let much = 1_000_000_000_000_000_u64;
    let next = json!({"answer": {}, "times": much});
    assert!(refused(&server, "POST", "/next", Some(next)).contains("at most"));
    for action in [
        json!({"body": {"size": much}}),
        json!({"body": {"zeros": much}, "encoding": "gzip"}),
        json!({"body": {"many_fields": much}}),
        json!({"body": {"nested": u32::MAX}}),
        json!({"endless": {"bytes": much, "every": "1s"}}),
        json!({"frames": [{"opcode": "binary", "size": much}]}),
        json!({"status": 503, "retry_after": "+900000000000s"}),
        json!({"status": 503, "retry_after": "-9000000000s"}),
    ] {
        let said = refused(
            &server,
            "POST",
            "/faults",
            Some(json!({"rules": [{"do": action}]})),
        );
        assert!(said.contains("more than"), "{action}: {said}");
    }
    // What is far away but can be written still can.
    server.spoil(json!({"do": {"status": 503, "retry_after": "+900000000s"}}));
    let mut agent = Agent::new(&server);
    assert!(agent.send(&description()).header("retry-after").is_some());
}

#[test]
fn a_call_that_is_no_http_gets_a_reason_on_both_ports() {
    let server = Server::start(&[]);
    for (call, reason) in [
        (
            "POST /api/config HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "Content-Length is no number",
        ),
        (
            "POST /api/config HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            "over 512 MiB",
        ),
        (
            "POST /api/config HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "no chunk size",
        ),
    ] {
        for port in [server.api_port, server.port] {
            let mut tcp = connect(port);
            tcp.write_all(call.as_bytes()).unwrap();
            let answer = Answer::read(&mut tcp).expect("an answer");
            let said = String::from_utf8(answer.body).unwrap();
            assert!(
                answer.status == 400 && said.contains(reason),
                "{call}: {said}"
            );
        }
    }
    let mut tcp = connect(server.api_port);
    tcp.write_all(b"no HTTP at all\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut tcp).expect("an answer").status, 400);
    // Half a call is nobody's.
    let mut tcp = connect(server.api_port);
    tcp.write_all(b"POST /api/config HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
        .unwrap();
    tcp.shutdown(Shutdown::Write).unwrap();
    assert!(Answer::read(&mut tcp).is_none());
    assert_eq!(server.call("GET", "x", None).0, 404, "/apix is not /api/x");
    assert_eq!(server.fetch("")["agents"], 0);
}

/// The status of one request with these lines in its header section, and what was said.
fn asked(port: u16, request: &str, lines: &str) -> (u16, String) {
    let mut tcp = connect(port);
    let head = format!("{request} HTTP/1.1\r\n{lines}Content-Length: 0\r\n\r\n");
    tcp.write_all(head.as_bytes()).unwrap();
    let answer = Answer::read(&mut tcp).expect("an answer");
    (answer.status, String::from_utf8_lossy(&answer.body).into())
}

#[test]
fn page_of_another_origin_is_refused() {
    let server = Server::start(&[]);
    for (origin, status) in [
        ("http://evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1:4321", 200),
    ] {
        let lines = format!("Host: 127.0.0.1:4321\r\nOrigin: {origin}\r\n");
        for port in [server.port, server.api_port] {
            let (found, said) = asked(port, "DELETE /api/config", &lines);
            assert_eq!(found, status, "{origin}: {said}");
        }
        let (found, said) = asked(server.port, "GET /v1/opamp", &lines);
        assert_eq!(found == 403, status == 403, "{origin}: {said}");
    }
}

#[test]
fn foreign_host_is_refused_on_both_ports() {
    let server = Server::start(&["--allow-host", "Devserver", "--allow-host", "proxy.test"]);
    for (host, is_allowed) in [
        ("evil.example", false),
        ("127.0.0.1.evil.example:4321", false),
        ("localhost.evil.example", false),
        ("", false),
        ("192.168.0.1:4321", false),
        ("[fe80::1]:4321", false),
        ("127.0.0.1", true),
        ("127.1.2.3:4321", true),
        ("[::1]:4321", true),
        ("LocalHost:4321", true),
        ("localhost.", true),
        ("opamp.localhost:1", true),
        ("devserver:4320", true),
        ("proxy.test", true),
    ] {
        // As a page does whose name was made to resolve to this machine.
        let lines = format!("Host: {host}\r\nOrigin: http://{host}\r\n");
        let upgrade = format!(
            "{lines}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for (port, request, lines, good) in [
            (server.api_port, "DELETE /api/config", &lines, 200),
            (server.port, "DELETE /api/config", &lines, 200),
            (server.port, "GET /v1/opamp", &lines, 405),
            (server.port, "GET /v1/opamp", &upgrade, 101),
        ] {
            let (status, said) = asked(port, request, lines);
            let wanted = if is_allowed { good } else { 403 };
            assert_eq!(status, wanted, "{request} for {host:?}: {said}");
            assert_eq!(said.contains("--allow-host"), !is_allowed, "{said}");
        }
    }
}

#[test]
fn any_address_is_a_host_where_all_are_listened_on() {
    let server = Server::start(&["--host", "0.0.0.0"]);
    let status = |host: &str| asked(server.port, "GET /api", &format!("Host: {host}\r\n")).0;
    assert_eq!(status("192.0.2.7:4320"), 200);
    assert_eq!(status("evil.example"), 403);
}

#[test]
fn a_refusal_of_the_servers_own_says_why() {
    let server = Server::start(&[]);
    let mut tcp = connect(server.port);
    for (head, status, reason) in [
        ("GET /v1/opamp HTTP/1.1\r\n\r\n", 405, "POST"),
        (
            "POST /v1/opamp HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n",
            415,
            "text/plain",
        ),
    ] {
        tcp.write_all(head.as_bytes()).unwrap();
        let answer = Answer::read(&mut tcp).expect("an answer");
        let said = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, status);
        assert!(
            said.contains(reason) && !said.contains("fault rule"),
            "{said}"
        );
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for option in ["--port", "--api-port"] {
        let other = if option == "--port" {
            "--api-port"
        } else {
            "--port"
        };
        let done = Command::new(env!("CARGO_BIN_EXE_opamp-devserver"))
            .args([option, &port, other, "0"])
            .output()
            .unwrap();
        assert_eq!(done.status.code(), Some(2));
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.contains(&format!("127.0.0.1:{port}: ")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_folder_that_can_not_hold_certificates_is_named() {
    let done = Command::new(env!("CARGO_BIN_EXE_opamp-devserver"))
        .args(["--port", "0", "--tls", "/proc/none"])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(2));
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("/proc/none: "), "{said}");
}

#[test]
fn many_callers_wait_at_once_and_a_signal_ends_them_all() {
    let mut server = Server::start(&[]);
    let call = "GET /api/wait?until=full&timeout=1h HTTP/1.1\r\n\r\n";
    let mut waiting: Vec<_> = (0..200)
        .map(|_| {
            let mut tcp = connect(server.api_port);
            tcp.write_all(call.as_bytes()).unwrap();
            tcp
        })
        .collect();
    // Calls that contradict each other are done one after the other.
    thread::scope(|scope| {
        for is_up in [true, false, true, false, true] {
            let server = &server;
            scope.spawn(move || server.post("/listen", json!({"listening": is_up})));
        }
    });
    server.post("/listen", json!({"listening": true}));
    let half = waiting.split_off(100);
    drop(half);
    Agent::new(&server).send(&description());
    for tcp in &mut waiting {
        assert_eq!(Answer::read(tcp).expect("an answer").status, 200);
    }
    let mut late = connect(server.api_port);
    late.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    late.write_all(b"GET /api/wait?until=full&since=1000&timeout=1h HTTP/1.1\r\n\r\n")
        .unwrap();
    assert_eq!(server.end("-TERM"), Some(0));
    assert!(Answer::read(&mut late).is_none());
}
