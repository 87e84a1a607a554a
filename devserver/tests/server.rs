//! The server as an agent and as a test program see it.
mod common;

use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use common::*;
use serde_json::json;

#[test]
fn an_offer_is_made_until_it_is_answered() {
    let server = Server::start(&[]);
    let mut agent = Agent::new(&server);
    agent.send(&description());
    let offer = server.post(
        "/config",
        json!({"files": [
            {"name": "a", "content_type": "text/yaml", "body": "x"},
            {"name": "", "body_base64": "AP8="},
        ]}),
    );
    let hash = from_hex(offer["hash"].as_str().unwrap());
    // Offered at each poll while there is no verdict.
    agent.send(&[]);
    agent.send(&[]);
    let offers = server.entries("kind=sent&part=remote_config");
    assert_eq!(offers.len(), 2);
    let files = &offers[0]["message"]["remote_config"]["config"]["config_map"];
    assert_eq!(
        files["a"],
        json!({"body": "x", "content_type": "text/yaml"})
    );
    assert_eq!(files[""], json!({"body_base64": "AP8="}));
    // Each state counts as an answer.
    for status in [2, 3, 1] {
        let answer = agent.send(&config_status(&hash, status));
        assert_eq!(answer.status, 200);
    }
    agent.send(&[]);
    assert_eq!(server.entries("kind=sent&part=remote_config").len(), 2);
    let shown = server.fetch(&format!("/agents/{UID}"));
    assert_eq!(shown["offers"][0]["status"], "APPLIED");
    assert!(shown["offers"][0]["offer_to_verdict_ms"].as_f64().unwrap() > 0.0);
    server.wait("status=APPLIED:offered");
    assert_eq!(server.problems(), [""; 0]);
}

#[test]
fn an_empty_map_and_a_hash_of_ones_own_are_offers_and_a_withdrawn_one_is_none() {
    let server = Server::start(&[]);
    let mut agent = Agent::new(&server);
    server.post("/config", json!({"files": [], "hash_text": "none"}));
    agent.send(&description());
    let sent = server.entries("kind=sent&part=remote_config");
    let expected = json!({"config": {}, "config_hash": "6e6f6e65"});
    assert_eq!(sent[0]["message"]["remote_config"], expected);
    server.delete("/config");
    agent.send(&[]);
    assert_eq!(server.entries("kind=sent&part=remote_config").len(), 1);
}

#[test]
fn an_agent_that_does_not_report_on_configurations_gets_each_once() {
    let server = Server::start(&[]);
    let mut agent = Agent::new(&server);
    agent.capabilities = STATUS | ACCEPTS_CONFIG;
    server.post("/config", json!({"files": [{"body": "x"}]}));
    agent.send(&description());
    agent.send(&[]);
    assert_eq!(server.entries("kind=sent&part=remote_config").len(), 1);
    // Without the capability to take one, none at all.
    let server = Server::start(&[]);
    let mut agent = Agent::new(&server);
    agent.capabilities = STATUS;
    server.post("/config", json!({"files": [{"body": "x"}]}));
    agent.send(&description());
    assert_eq!(server.entries("kind=sent&part=remote_config").len(), 0);
}

#[test]
fn a_gap_or_a_lost_memory_makes_it_ask_for_everything() {
    let server = Server::start(&[]);
    let mut agent = Agent::new(&server);
    agent.send(&description());
    agent.send(&[]);
    assert_eq!(server.entries("kind=sent&part=flags").len(), 0);
    agent.number += 1;
    agent.send(&[]);
    assert_eq!(server.entries("kind=sent&part=flags").len(), 1);
    agent.send(&description());
    server.delete("/agents");
    agent.send(&[]);
    assert_eq!(server.entries("kind=sent&part=flags").len(), 2);
    agent.send(&description());
    assert_eq!(server.entries("kind=sent&part=flags").len(), 2);
    assert_eq!(server.problems(), ["SYNC-12"]);
}

#[test]
fn an_assigned_uid_carries_the_memory_over() {
    let server = Server::start(&[]);
    let mut agent = Agent::new(&server);
    agent.send(&[description(), number(10, 1)].concat());
    let sent = server.entries("kind=sent&part=agent_identification");
    let new = sent[0]["message"]["agent_identification"]["new_instance_uid"]
        .as_str()
        .unwrap();
    agent.uid = from_hex(&new.replace('-', ""));
    agent.send(&[]);
    assert_eq!(
        server.entries("kind=sent&part=flags").len(),
        0,
        "it is no unknown agent"
    );
    let shown = server.fetch(&format!("/agents/{new}"));
    assert_eq!(shown["former_uids"], json!([UID]));
    assert_eq!(shown["messages"], 2);
    // The old uid still finds it.
    assert_eq!(server.fetch(&format!("/agents/{UID}"))["uid"], new);
    assert_eq!(server.problems(), [""; 0]);
}

#[test]
fn queued_answers_are_given_once_and_in_order() {
    let server = Server::start(&[]);
    let mut agent = Agent::new(&server);
    agent.send(&description());
    server.post(
        "/next",
        json!({"agent": UID, "answer": {"flags": ["ReportFullState"]}}),
    );
    server.post(
        "/next",
        json!({"answer": {"error_response": {"type": "BadRequest"}}, "times": 2}),
    );
    server.post("/next", json!({"agent": UID, "raw_hex": "c0ffee"}));
    agent.send(&[]);
    assert_eq!(agent.send(&description()).body, from_hex("c0ffee"));
    agent.send(&[]);
    agent.send(&[]);
    agent.send(&[]);
    let sent = server.entries("kind=sent");
    let message = |at: usize| &sent[at]["message"];
    assert_eq!(message(1)["flags"], json!(["ReportFullState"]));
    assert_eq!(message(1)["instance_uid"], UID);
    for at in [3, 4] {
        assert_eq!(message(at)["error_response"], json!({"type": "BadRequest"}));
        assert_eq!(message(at).get("capabilities"), None);
    }
    assert_eq!(sent[5]["parts"], json!([]));
}

#[test]
fn requests_that_are_no_opamp_are_refused_and_noted() {
    let server = Server::start(&[]);
    for (request, status) in [
        ("GET /v1/opamp HTTP/1.1\r\n\r\n", 405),
        (
            "POST /x HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n",
            415,
        ),
        (
            "POST /x HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n\
             Content-Length: 2\r\n\r\n\u{7f}x",
            400,
        ),
        (
            "POST /x HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n\
             Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nno",
            400,
        ),
    ] {
        let mut tcp = connect(server.port);
        tcp.write_all(request.as_bytes()).unwrap();
        assert_eq!(Answer::read(&mut tcp).unwrap().status, status, "{request}");
    }
    assert_eq!(server.problems(), ["HTTP-01"; 4]);
    assert_eq!(server.fetch("/agents")["agents"], json!([]));
}

#[test]
fn what_is_no_http_is_answered_and_closed() {
    let server = Server::start(&[]);
    let mut tcp = connect(server.port);
    tcp.write_all(b"\x16\x03\x01 no HTTP\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut tcp).unwrap().status, 400);
    let closed = server.wait("closed");
    assert_eq!(closed["by"], "server");
    assert!(
        closed["reason"].as_str().unwrap().starts_with("no HTTP"),
        "{closed}"
    );
}

#[test]
fn chunked_bodies_and_pipelined_requests_are_read() {
    let server = Server::start(&[]);
    let mut agent = Agent::new(&server);
    let mut bytes = Vec::new();
    for part in [description(), Vec::new()] {
        let body = agent.message(&part);
        let head = "POST /v1/opamp HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n";
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(b"OpAMP-Instance-UID: 018f3c6e-7c00-7000-8000-000000000001\r\n");
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(7) {
            bytes.extend(format!("{:x};x=y\r\n", chunk.len()).into_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
    }
    agent.tcp.write_all(&bytes).unwrap();
    assert_eq!(Answer::read(&mut agent.tcp).unwrap().status, 200);
    assert_eq!(Answer::read(&mut agent.tcp).unwrap().status, 200);
    assert_eq!(server.problems(), [""; 0]);
}

#[test]
fn the_port_goes_down_and_comes_back() {
    let server = Server::start(&[]);
    let mut agent = Agent::new(&server);
    agent.send(&description());
    server.post("/listen", json!({"listening": false}));
    assert!(agent.try_send(&[]).is_none());
    let refused = TcpStream::connect(("127.0.0.1", server.port));
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    server.post("/listen", json!({"listening": true}));
    agent.reconnect(&server);
    assert_eq!(agent.send(&[]).status, 200);
    let closed = server.wait("closed>=1");
    assert_eq!(closed["by"], "server");
}

#[test]
fn a_port_that_hangs_answers_nobody() {
    let server = Server::start(&[]);
    for _ in 0..2 {
        server.post("/listen", json!({"listening": false, "hang": true}));
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], server.port));
        let hung = TcpStream::connect_timeout(&address, Duration::from_millis(300));
        assert_eq!(hung.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        server.post("/listen", json!({"listening": false}));
        let refused = TcpStream::connect(address).unwrap_err().kind();
        assert_eq!(refused, std::io::ErrorKind::ConnectionRefused);
    }
    server.post("/listen", json!({"listening": true}));
    assert_eq!(Agent::new(&server).send(&description()).status, 200);
}

#[test]
fn a_wait_ends_with_the_event_or_its_time() {
    let server = Server::start(&[]);
    let mut agent = Agent::new(&server);
    let (status, _) = server.call("GET", "/wait?until=messages&timeout=20ms", None);
    assert_eq!(status, 408);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| server.wait("part=agent_description"));
        agent.send(&description());
        assert_eq!(waiting.join().unwrap()["sequence_number"], 0);
    });
    agent.send(&[]);
    agent.send(&disconnect());
    assert_eq!(server.wait("heartbeats>=1")["sequence_number"], 1);
    assert_eq!(server.wait("disconnected")["sequence_number"], 2);
    let found = server.wait("match={\"kind\":\"received\",\"http\":{\"path\":\"/v1/opamp\"}}");
    assert_eq!(found["full"], true);
    let shown = server.fetch(&format!("/agents/{UID}"));
    assert_eq!(shown["gone"]["why"], "AgentDisconnect");
    let (status, error) = server.call("GET", "/wait?until=nonsense", None);
    assert_eq!(status, 400, "{error}");
}

#[test]
fn expectations_are_judged_in_json() {
    let server = Server::start(&[]);
    let mut agent = Agent::new(&server);
    agent.send(&description());
    agent.send(&[]);
    let verdict = server.post(
        "/expect",
        json!({"expect": [
            {"name": "two", "match": {"kind": "received"}, "min": 2, "max": 2},
            {"name": "no third", "match": {"kind": "received"}, "max": 1},
            {"name": "a beat", "until": "heartbeat"},
            {"name": "a gap", "match": {"kind": "received"}, "gap_ms": [0, 60000]},
            {"name": "a long gap", "match": {"kind": "received"}, "gap_ms": [60000, 90000]},
            {"name": "gone", "until": "disconnected", "within": "10ms"},
        ]}),
    );
    let passed: Vec<bool> = verdict["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["passed"].as_bool().unwrap())
        .collect();
    assert_eq!(passed, [true, false, true, true, false, false], "{verdict}");
    assert_eq!(verdict["passed"], false);
}

#[test]
fn expectations_in_a_file_make_the_exit_status() {
    let folder = std::env::temp_dir().join(format!("devserver-expect-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (list, junit) = (folder.join("expect.json"), folder.join("junit.xml"));
    let options = |list: &std::path::Path, junit: &std::path::Path| {
        [
            "--expect",
            list.to_str().unwrap(),
            "--junit",
            junit.to_str().unwrap(),
        ]
        .map(str::to_owned)
    };
    let all = json!({"name": "a \"b\"", "expect": [
        {"name": "first", "row": "SYNC-01", "until": "full", "within": "20s"},
    ]});
    fs::write(&list, all.to_string()).unwrap();
    let options = options(&list, &junit);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    // It ends by itself when all came true.
    let mut server = Server::start(&options);
    Agent::new(&server).send(&description());
    assert_eq!(server.ended(), Some(0));
    let report = fs::read_to_string(&junit).unwrap();
    assert!(report.contains("<testsuite name=\"a &quot;b&quot;\" tests=\"1\" failures=\"0\""));
    assert!(report.contains("<testcase classname=\"SYNC-01\" name=\"first\""));
    // A signal ends it with what there is.
    let mut server = Server::start(&options);
    assert_eq!(server.end("-TERM"), Some(1));
    assert!(
        fs::read_to_string(&junit)
            .unwrap()
            .contains("<failure message=\"full did not come")
    );
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn it_ends_with_a_signal_and_with_its_parent() {
    assert_eq!(Server::start(&[]).end("-TERM"), Some(0));
    assert_eq!(Server::start(&[]).end("-INT"), Some(0));
    let mut parent = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let mut server = Server::start(&["--parent-pid", &parent.id().to_string()]);
    drop(parent.stdin.take());
    parent.wait().unwrap();
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn a_bad_option_or_file_is_explained() {
    let run = |options: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_opamp-devserver"))
            .args(options)
            .output();
        let out = out.unwrap();
        (
            out.status.code(),
            String::from_utf8_lossy(&out.stderr).into_owned(),
        )
    };
    let (code, text) = run(&["--port", "0", "--fault", "/none"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("/none: No such file"), "{text}");
    assert_eq!(run(&["--client-auth"]).0, Some(2));
    let server = Server::start(&[]);
    for body in [
        json!({"rules": [{"do": {"statuss": 503}}]}),
        json!({"rules": [{"do": {"accept": "close"}}]}),
        json!({"rules": [{"do": {"answer": {"flagz": 1}}}]}),
        json!({"rules": [{"do": {"status": 503}, "times": "often"}]}),
        json!({"rules": [{"match": {"part": "health"}, "do": {"drop": "unread"}}]}),
    ] {
        let (status, error) = server.call("POST", "/faults", Some(body));
        assert_eq!(status, 400, "{error}");
    }
}
