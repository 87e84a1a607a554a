//! Each fault as it looks at the other end of the socket.
mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::*;
use serde_json::{Value as Json, json};

/// One message through a server whose only rule does this.
fn answer(action: Json) -> Option<Answer> {
    let server = Server::start(&[]);
    server.spoil(json!({"do": action}));
    Agent::new(&server).try_send(&description())
}

#[test]
fn statuses_headers_and_bodies_are_as_the_rule_says() {
    let busy = answer(json!({"status": 503, "retry_after": 7, "headers": [["X-A", "b"]]})).unwrap();
    assert_eq!(
        (busy.status, busy.header("retry-after"), busy.header("x-a")),
        (503, Some("7"), Some("b"))
    );
    assert_eq!(busy.header("content-type"), Some("text/plain"));
    let dated = answer(json!({"status": 429, "retry_after": "+5s"})).unwrap();
    assert!(dated.header("retry-after").unwrap().ends_with(" GMT"));
    let raw = answer(json!({"status": 429, "retry_after": "soon"})).unwrap();
    assert_eq!(raw.header("retry-after"), Some("soon"));
    let moved = answer(json!({"redirect": "/b"})).unwrap();
    assert_eq!((moved.status, moved.header("location")), (307, Some("/b")));
    let nothing = answer(json!({"status": 204})).unwrap();
    assert_eq!(
        (nothing.status, nothing.header("content-length")),
        (204, None)
    );
    let accepted = answer(json!({"status": 202})).unwrap();
    assert_eq!(
        accepted.header("content-type"),
        Some("application/x-protobuf")
    );
    assert!(!accepted.body.is_empty());
    let untyped = answer(json!({"content_type": null})).unwrap();
    assert_eq!(
        (untyped.status, untyped.header("content-type")),
        (200, None)
    );
    let page = answer(json!({"body": "html"})).unwrap();
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    assert!(page.body.starts_with(b"<!doctype html>"));
    assert_eq!(answer(json!({"body": "empty"})).unwrap().body, b"");
    assert_eq!(
        answer(json!({"body": {"hex": "00ff"}})).unwrap().body,
        [0, 255]
    );
    assert_eq!(
        answer(json!({"body": {"size": 100_000}}))
            .unwrap()
            .body
            .len(),
        100_000
    );
    let chunked = answer(json!({"body": {"size": 100_000}, "chunked": true})).unwrap();
    assert_eq!(
        (chunked.header("content-length"), chunked.body.len()),
        (None, 100_000)
    );
    let last = answer(json!({"body": "truncated"})).unwrap();
    assert_eq!(last.body.len(), accepted.body.len() - 1);
}

#[test]
fn gzip_is_true_or_false() {
    let good = answer(json!({"encoding": "gzip"})).unwrap();
    assert_eq!(good.header("content-encoding"), Some("gzip"));
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&good.body[..])
        .read_to_end(&mut plain)
        .unwrap();
    assert!(
        plain.starts_with(&[0x0a, 16]),
        "a ServerToAgent begins with its uid"
    );
    let lie = answer(json!({"encoding": "false_gzip"})).unwrap();
    assert_eq!(lie.header("content-encoding"), Some("gzip"));
    assert_eq!(lie.body, plain);
    let bomb = answer(json!({"encoding": "gzip", "body": {"zeros": 50_000_000}})).unwrap();
    assert!(bomb.body.len() < 500_000);
    let mut size = 0;
    let mut reader = flate2::read::GzDecoder::new(&bomb.body[..]);
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = reader.read(&mut buffer) {
        size += read;
    }
    assert_eq!(size, 50_000_000);
}

#[test]
fn connections_end_where_the_rule_says() {
    let head_only = json!({"cut": {"after": "head"}});
    let cut = answer(head_only).unwrap();
    assert!(cut.is_cut && cut.body.is_empty());
    let half = answer(json!({"cut": {"after": "half", "how": "reset"}})).unwrap();
    assert!(half.is_cut);
    for action in [
        json!({"drop": "unread"}),
        json!({"drop": "unanswered"}),
        json!({"drop": "reset_unread"}),
        json!({"drop": "reset_unanswered"}),
        json!({"cut": {"after": {"bytes": 10}}}),
    ] {
        assert!(answer(action.clone()).is_none(), "{action}");
    }
    for accept in ["close", "reset"] {
        let server = Server::start(&[]);
        server.spoil(json!({"on": "connection", "do": {"accept": accept}}));
        let mut agent = Agent::new(&server);
        assert!(agent.try_send(&description()).is_none());
        assert_eq!(server.wait("closed")["by"], "fault");
        agent.reconnect(&server);
        agent.number = 1;
        assert_eq!(agent.send(&description()).status, 200);
    }
}

#[test]
fn a_reset_is_a_reset_and_a_close_is_none() {
    for (action, expected) in [
        (json!({"close": "reset"}), Err(ErrorKind::ConnectionReset)),
        (json!({"close": "silent"}), Ok(0)),
        (json!({"close": "announced"}), Ok(0)),
    ] {
        let server = Server::start(&[]);
        server.spoil(json!({"do": action}));
        let mut agent = Agent::new(&server);
        let answer = agent.send(&description());
        assert_eq!(
            answer.header("connection").is_some(),
            action["close"] == "announced"
        );
        assert_eq!(
            agent.tcp.read(&mut [0]).map_err(|error| error.kind()),
            expected,
            "{action}"
        );
    }
}

#[test]
fn silence_lasts_until_the_agent_goes() {
    for rule in [
        json!({"do": {"silent": true}}),
        json!({"do": {"cut": {"after": "head", "how": "stall"}}}),
        json!({"on": "connection", "do": {"accept": "silent"}}),
    ] {
        let server = Server::start(&[]);
        server.spoil(rule);
        let mut agent = Agent::new(&server);
        agent.send_only(&description());
        // The server has not ended it, so it is the agent that does.
        agent
            .tcp
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let mut rest = Vec::new();
        let end = agent.tcp.read_to_end(&mut rest).unwrap_err().kind();
        assert!(matches!(end, ErrorKind::WouldBlock | ErrorKind::TimedOut));
        agent.tcp.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(server.wait("closed")["by"], "agent");
    }
}

#[test]
fn waits_and_slow_bytes_take_their_time() {
    for action in [
        json!({"wait": "100ms"}),
        json!({"wait_before_reading": "100ms"}),
        json!({"wait_between": "100ms"}),
        json!({"dribble": {"bytes": 20, "every": "20ms"}}),
    ] {
        let server = Server::start(&[]);
        server.spoil(json!({"do": action}));
        let start = Instant::now();
        let answer = Agent::new(&server).send(&description());
        assert_eq!((answer.status, answer.is_cut), (200, false));
        assert!(start.elapsed() >= Duration::from_millis(100), "{action}");
    }
}

#[test]
fn an_endless_answer_goes_on() {
    let server = Server::start(&[]);
    server.spoil(json!({"do": {"endless": {"bytes": 1000, "every": "1ms"}}}));
    let mut agent = Agent::new(&server);
    agent.send_only(&description());
    let mut bytes = vec![0; 20_000];
    agent.tcp.read_exact(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("Transfer-Encoding: chunked"));
}

#[test]
fn rules_count_and_choose() {
    let server = Server::start(&[]);
    server.post(
        "/faults",
        json!({"rules": [
            {"name": "second", "match": {"nth": 2}, "do": {"status": 500}},
            {"name": "third on", "match": {"from": 3, "to": 4}, "times": "always",
             "do": {"status": 501}},
            {"name": "health", "match": {"part": "health"}, "do": {"status": 502}},
            {"name": "other", "match": {"agent": "018f3c6e-7c00-7000-8000-00000000ffff"},
             "do": {"status": 599}},
            {"name": "path", "match": {"path": "/none"}, "do": {"status": 598}},
            {"name": "twice", "match": {"from": 6}, "times": 2, "do": {"status": 503}},
        ]}),
    );
    let mut agent = Agent::new(&server);
    let health = field(5, &number(1, 1));
    let parts = [
        description(),
        vec![],
        vec![],
        vec![],
        health,
        vec![],
        vec![],
        vec![],
    ];
    let statuses: Vec<u16> = parts.iter().map(|part| agent.send(part).status).collect();
    assert_eq!(statuses, [200, 500, 501, 501, 502, 503, 503, 200]);
    let twice = server.wait("fault=twice");
    assert_eq!(
        twice["fault"],
        json!({"rule": "twice", "did": "answered 503"})
    );
    server.wait("fault=twice:1");
    assert_eq!(
        server.fetch("/faults")[5],
        json!({"name": "twice", "seen": 8, "used": 2, "used_up": true})
    );
}

#[test]
fn a_seed_makes_chance_repeat_itself() {
    let run = |seed: u64| {
        let server = Server::start(&[]);
        let rule = json!({"match": {"chance": 0.5}, "times": "always", "do": {"status": 500}});
        server.post("/faults", json!({"seed": seed, "rules": [rule]}));
        let mut agent = Agent::new(&server);
        (0..40)
            .map(|_| agent.send(&description()).status)
            .collect::<Vec<u16>>()
    };
    let first = run(1);
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
    assert_eq!(BTreeSet::from_iter(first), BTreeSet::from([200, 500]));
}

#[test]
fn an_offer_or_a_full_report_can_be_asked_for_always() {
    let server = Server::start(&[]);
    server.post("/config", json!({"files": [], "hash_text": "h"}));
    let mut agent = Agent::new(&server);
    agent.send(&[description(), config_status(b"h", 1)].concat());
    let action = json!({"offer_again": true, "answer": {"flags": ["ReportFullState"]}});
    server.spoil(json!({"times": "always", "do": action}));
    agent.send(&[]);
    agent.send(&[description(), config_status(b"h", 1)].concat());
    assert_eq!(server.entries("kind=sent&part=remote_config").len(), 2);
    assert_eq!(server.entries("kind=sent&part=flags").len(), 2);
}

#[test]
fn every_file_of_the_folder_loads_says_why_and_acts() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/faults");
    let folder_tls = std::env::temp_dir().join(format!("devserver-faults-{}", std::process::id()));
    let plain = Server::start(&[]);
    let tls = Server::start(&["--tls", folder_tls.to_str().unwrap()]);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    for file in &files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let script: Json = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let row = script["row"].as_str().unwrap();
        assert!(name.starts_with(&row.to_lowercase()), "{name} is for {row}");
        assert!(script["why"].as_str().unwrap().ends_with('.'), "{name}");
        let rule = &script["rules"][0];
        let is_tls = rule["on"] == "connection" && name.contains("tls");
        let server = if is_tls { &tls } else { &plain };
        server.post("/faults", script.clone());
        let rule_name = rule["name"].as_str().unwrap();
        // A big body is not read to its end here, and a chance may need its time.
        for _ in 0..20 {
            if server.fetch("/faults")[0]["used"].as_u64().unwrap() > 0 {
                break;
            }
            let mut agent = Agent::new(server);
            agent.send_only(&description());
            agent.send_only(&[]);
            // What is for WebSocket acts on another agent's way, from the upgrade to the Close.
            let mut socket = socket::Socket::unheard(socket::ask(server, &[]));
            if !is_tls && name.contains("ws-") || name.contains("pong") {
                socket.send(&description());
                socket.send(&[]);
                socket.frame(socket::PING, b"");
                socket.close(1000);
            }
            let until = format!("fault={rule_name}:1");
            let until = until.replace('=', "%3D");
            server.call("GET", &format!("/wait?timeout=300ms&until={until}"), None);
        }
        assert!(
            server.fetch("/faults")[0]["used"].as_u64().unwrap() > 0,
            "{name} never acted"
        );
        server.delete("/faults");
        server.delete("/agents");
    }
    assert!(files.len() > 60);
    fs::remove_dir_all(folder_tls).unwrap();
}
