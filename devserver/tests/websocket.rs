//! The server over WebSocket, as an agent and as a test program see it.
mod common;

use std::net::Shutdown;

use common::socket::*;
use common::*;
use serde_json::json;

/// An agent with a first report behind it.
fn started(server: &Server) -> Socket {
    let mut agent = Socket::open(server);
    agent.exchange(&description()).expect("an answer");
    agent
}

/// The rows that this session breaks.
fn broken(session: impl FnOnce(&Server, &mut Socket)) -> Vec<String> {
    let server = Server::start(&[]);
    let mut agent = started(&server);
    session(&server, &mut agent);
    server.problems()
}

#[test]
fn a_session_stands_in_the_timeline_from_the_upgrade_to_the_end() {
    let server = Server::start(&[]);
    assert_eq!(
        server.ready["endpoints"]["ws"],
        format!("ws://127.0.0.1:{}/v1/opamp", server.port)
    );
    let mut agent = started(&server);
    agent.frame(PING, b"mark");
    assert_eq!(agent.read().unwrap().payload, b"mark");
    agent.leave();
    let closed = server.wait("closed");
    assert_eq!(
        (&closed["by"], &closed["transport"]),
        (&json!("agent"), &json!("ws"))
    );
    let upgrade = &server.entries("kind=upgrade")[0];
    assert_eq!(upgrade["http"]["path"], "/v1/opamp");
    assert_eq!(upgrade["answer"]["status"], 101);
    let accept = json!(["Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]);
    assert!(
        upgrade["answer"]["headers"]
            .as_array()
            .unwrap()
            .contains(&accept)
    );
    let received = &server.entries("kind=received")[0];
    assert_eq!(
        received["frames"][0],
        received["size"].as_u64().unwrap() + 1
    );
    let sent = &server.entries("kind=sent")[0];
    assert_eq!(sent["answers"], received["index"]);
    assert_eq!(server.entries("kind=ping")[0]["way"], "received");
    assert_eq!(server.entries("kind=pong")[0]["hex"], "6d61726b");
    let closes = server.entries("kind=close");
    let shown = |at: usize| (closes[at]["way"].as_str(), closes[at]["code"].as_u64());
    assert_eq!(shown(0), (Some("received"), Some(1000)));
    assert_eq!(shown(1), (Some("sent"), Some(1000)));
    assert_eq!(closes[1]["began"], "agent");
    assert_eq!(server.problems(), [""; 0]);
    let rows: Vec<_> = closed["verdicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| &v["row"])
        .collect();
    assert_eq!(rows, ["WS-09"]);
}

#[test]
fn a_full_report_may_come_behind_a_message_that_crossed_the_question() {
    let ask = |server: &Server, agent: &mut Socket| {
        server.post("/push", json!({"answer": {"flags": ["ReportFullState"]}}));
        agent.next_message().expect("a message comes unasked");
    };
    let rows = broken(|server, agent| {
        ask(server, agent);
        agent.exchange(&[]).expect("an answer");
        agent.exchange(&description()).expect("an answer");
    });
    assert_eq!(rows, [""; 0]);
    let rows = broken(|server, agent| {
        ask(server, agent);
        agent.exchange(&description()).expect("an answer");
        agent.exchange(&description()).expect("an answer");
    });
    assert_eq!(rows, ["SYNC-02"]);
}

#[test]
fn an_offer_a_message_and_a_ping_are_pushed_to_who_is_there() {
    let server = Server::start(&[]);
    let mut agent = started(&server);
    let offer = server.post("/config", json!({"files": [{"name": "a", "body": "x"}]}));
    agent.next_message().expect("the offer comes unasked");
    let pushed = &server.entries("kind=sent&part=remote_config")[0];
    assert_eq!(pushed["answers"], json!(null));
    agent.exchange(&[]).unwrap();
    assert_eq!(
        server.entries("kind=sent&part=remote_config").len(),
        1,
        "once is enough"
    );
    let hash = from_hex(offer["hash"].as_str().unwrap());
    agent.exchange(&config_status(&hash, 1)).unwrap();
    server.wait("status=APPLIED:offered");
    server.post(
        "/push",
        json!({"agent": UID, "answer": {"flags": ["ReportFullState"]}}),
    );
    agent.next_message().expect("a message comes unasked");
    agent
        .exchange(&[description(), config_status(&hash, 1)].concat())
        .unwrap();
    server.post("/push", json!({"raw_hex": "387f"}));
    assert_eq!(agent.next_message().unwrap(), [0x38, 0x7f]);
    server.post("/ping", json!({"hex": "0102"}));
    let ping = agent.read().unwrap();
    assert_eq!((ping.opcode, &ping.payload[..]), (PING, &[1, 2][..]));
    agent.frame(PONG, &[1, 2]);
    assert_eq!(server.wait("pongs>=1")["hex"], "0102");
    assert_eq!(server.problems(), [""; 0]);
    let other = json!({"agent": "018f3c6e-7c00-7000-8000-00000000ffff"});
    assert_eq!(server.call("POST", "/ping", Some(other)).0, 404);
}

#[test]
fn an_offer_is_not_pushed_to_who_takes_none_or_has_it() {
    let server = Server::start(&[]);
    let mut agent = Socket::open(&server);
    agent.capabilities = STATUS;
    agent.exchange(&description()).unwrap();
    server.post("/config", json!({"files": []}));
    server.post("/ping", json!({}));
    assert_eq!(agent.read().unwrap().opcode, PING);
}

#[test]
fn a_call_closes_with_a_code_drops_resets_or_lets_vanish() {
    let server = Server::start(&[]);
    let mut agent = started(&server);
    server.post(
        "/connections",
        json!({"how": "close", "code": 1012, "reason": "restart"}),
    );
    assert_eq!(agent.read().unwrap().payload, code(1012, "restart"));
    agent.close(1012);
    assert_eq!(agent.read(), None);
    drop(agent);
    let closed = server.wait("closed");
    assert_eq!(closed["reason"], "Close 1012 in answer to ours");
    assert_eq!(server.entries("kind=close")[1]["began"], "server");
    for how in ["drop", "reset"] {
        let mut agent = Socket::open(&server);
        agent.number = 1;
        server.wait("upgrades>=2");
        server.post("/connections", json!({"how": how}));
        assert_eq!(agent.read(), None, "{how}");
    }
    assert_eq!(server.problems(), [""; 0]);
}

#[test]
fn a_host_that_vanished_sends_nothing_in_return() {
    let server = Server::start(&[]);
    let mut agent = started(&server);
    server.post("/connections", json!({"how": "vanish"}));
    server.wait("match={\"event\":\"vanished\"}");
    agent.send(&[]);
    // Not even the kernel says that it has read this.
    assert!(unacknowledged(&agent) > 0);
    agent.tcp.shutdown(Shutdown::Both).unwrap();
    // The end of the agent does not reach it either.
    let live = server.fetch("");
    assert_eq!(live["connections"].as_array().unwrap().len(), 1);
    server.post("/connections", json!({"how": "close"}));
    server.wait("closed");
    assert_eq!(server.problems(), [""; 0]);
}

/// Bytes in the send queue of the agent's socket, from the kernel's table.
fn unacknowledged(agent: &Socket) -> u64 {
    let ports = [agent.tcp.local_addr(), agent.tcp.peer_addr()]
        .map(|address| format!(":{:04X}", address.unwrap().port()));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    // A port of ours may serve another connection, too, to another port.
    let own = lines
        .find(|fields| fields[1].ends_with(&ports[0]) && fields[2].ends_with(&ports[1]))
        .expect("a line");
    u64::from_str_radix(own[4].split(':').next().unwrap(), 16).unwrap()
}

#[test]
fn fragments_and_control_frames_between_them_are_read() {
    let server = Server::start(&[]);
    let mut agent = Socket::open(&server);
    let payload = agent.message(&description());
    let mask = Some([9, 8, 7, 6]);
    agent.raw(BINARY, mask, &payload[..10]);
    agent.frame(PING, b"");
    agent.raw(0, mask, &payload[10..10]);
    agent.raw(0x80, mask, &payload[10..]);
    assert_eq!(agent.read().unwrap().opcode, PONG);
    agent.next_message().unwrap();
    let received = &server.entries("kind=received")[0];
    assert_eq!(received["frames"], json!([10, 0, payload.len() - 10]));
    // A big one comes in one frame.
    agent.exchange(&field(1000, &vec![7; 3_000_000])).unwrap();
    assert_eq!(server.problems(), [""; 0]);
}

#[test]
fn a_bad_handshake_is_refused_with_the_reason() {
    let server = Server::start(&[]);
    for (lines, status) in [
        (&["Sec-WebSocket-Version: 8"][..], 426),
        (&["Sec-WebSocket-Key: short"], 400),
        (&["Sec-WebSocket-Key:"], 400),
        (&["Connection: close"], 400),
        (&["Host:"], 400),
    ] {
        let (_, answer) = upgrade(&server, lines);
        assert_eq!(answer.unwrap().status, status, "{lines:?}");
        assert_eq!(server.problems(), ["WS-17"], "{lines:?}");
        server.delete("/timeline");
    }
    // Without the word it is an ordinary request.
    let (_, answer) = upgrade(&server, &["Upgrade: other"]);
    assert_eq!(answer.unwrap().status, 405);
}

#[test]
fn a_breach_of_the_framing_is_a_close_of_1002() {
    for (first, mask, payload) in [
        (0x82, None, &b"\0"[..]),
        (0xc2, Some([1; 4]), b"\0"),
        (0x80, Some([1; 4]), b"\0"),
        (0x83, Some([1; 4]), b"\0"),
        (0x09, Some([1; 4]), b""),
        (0x89, Some([1; 4]), &[0; 126]),
    ] {
        let server = Server::start(&[]);
        let mut agent = started(&server);
        agent.raw(first, mask, payload);
        let close = agent.read().unwrap();
        assert_eq!(
            (close.opcode, &close.payload[..2]),
            (CLOSE, &1002_u16.to_be_bytes()[..])
        );
        assert_eq!(agent.read(), None);
        server.wait("closed");
        assert_eq!(server.problems(), ["WS-01"], "{first:x}");
    }
}

#[test]
fn messages_that_are_none_are_answered_and_judged() {
    let rows = broken(|_, agent| {
        agent.frame(TEXT, b"\0hello");
        agent.next_message().unwrap();
        agent.frame(BINARY, b"\x01");
        agent.next_message().unwrap();
        agent.frame(BINARY, b"");
        agent.next_message().unwrap();
        agent.frame(BINARY, b"\0\xff");
        let answer = agent.next_message().unwrap();
        assert_eq!(
            answer[..2],
            [0x12, answer.len() as u8 - 2],
            "an error_response"
        );
        agent.exchange(&[]).unwrap();
    });
    assert_eq!(rows, ["WS-01"; 4]);
}

#[test]
fn the_headers_of_the_upgrade_are_judged() {
    let server = Server::start(&[]);
    upgrade(&server, &["User-Agent:"]);
    upgrade(&server, &["OpAMP-Instance-UID:"]);
    assert_eq!(server.problems(), ["WS-14", "WS-14"]);
    server.delete("/timeline");
    let mut agent = Socket::open(&server);
    agent.uid[15] = 9;
    agent.exchange(&description()).unwrap();
    assert_eq!(server.problems(), ["WS-14"]);
}

#[test]
fn the_way_out_is_judged() {
    let without_goodbye = broken(|server, agent| {
        agent.close(1000);
        while agent.read().is_some() {}
        agent.tcp.shutdown(Shutdown::Both).unwrap();
        server.wait("closed");
    });
    assert_eq!(without_goodbye, ["WS-15"]);
    let with_a_fault = broken(|server, agent| {
        agent.close(1009);
        while agent.read().is_some() {}
        agent.tcp.shutdown(Shutdown::Both).unwrap();
        server.wait("closed");
    });
    assert_eq!(with_a_fault, [""; 0]);
    let without_close = broken(|server, agent| {
        agent.exchange(&disconnect()).unwrap();
        agent.tcp.shutdown(Shutdown::Both).unwrap();
        server.wait("closed");
    });
    assert_eq!(without_close, ["WS-09"]);
    let without_both = broken(|server, agent| {
        agent.tcp.shutdown(Shutdown::Both).unwrap();
        server.wait("closed");
        let shown = server.fetch(&format!("/agents/{UID}"));
        assert_eq!(shown["gone"]["why"], "connection ended");
    });
    assert_eq!(without_both, ["WS-15"]);
    let after_the_end = broken(|_, agent| {
        agent.exchange(&disconnect()).unwrap();
        agent.exchange(&description()).unwrap();
    });
    assert_eq!(after_the_end, ["LIFE-01"]);
    let again_on_the_next = broken(|server, agent| {
        agent.leave();
        agent.reopen(server);
        agent.exchange(&[]).unwrap();
        agent.leave();
    });
    assert_eq!(again_on_the_next, [""; 0]);
}

#[test]
fn a_storm_of_connections_is_judged() {
    let rows = broken(|server, agent| {
        for _ in 0..12 {
            agent.leave();
            agent.reopen(server);
            agent.exchange(&[]).unwrap();
        }
    });
    assert_eq!(rows, ["WS-10"]);
}

#[test]
fn a_second_connection_beside_the_first_is_judged() {
    let rows = broken(|server, agent| {
        let mut second = Socket::open(server);
        second.number = agent.number;
        second.exchange(&[]).unwrap();
        // Longer than a late look at the first one's end would take.
        let (status, _) = server.call("GET", "/wait?until=closed&timeout=600ms", None);
        assert_eq!(status, 408);
        agent.number = second.number;
        agent.exchange(&[]).unwrap();
        second.number = agent.number;
        second.leave();
    });
    assert_eq!(rows, ["WS-13"]);
}

#[test]
fn heartbeats_and_silences_are_judged() {
    let early = broken(|server, agent| {
        server.post("/interval", json!({"interval": "5s"}));
        agent.exchange(&[]).unwrap();
    });
    assert_eq!(early, ["WS-08"]);
    let unavailable = json!({"error_response": {
        "type": "Unavailable",
        "retry_info": {"retry_after_nanoseconds": 60_000_000_000_u64},
    }});
    let soon_again = broken(|server, agent| {
        server.post("/next", json!({"answer": unavailable}));
        agent.exchange(&[]).unwrap();
        agent.leave();
        agent.reopen(server);
    });
    assert_eq!(soon_again, ["WS-11"]);
    let refused = broken(|server, agent| {
        let busy = json!({"status": 503, "retry_after": 60});
        server.spoil(json!({"on": "upgrade", "do": busy}));
        agent.leave();
        assert_eq!(upgrade(server, &[]).1.unwrap().status, 503);
        agent.reopen(server);
    });
    assert_eq!(refused, ["WS-12"]);
}

#[test]
fn first_messages_are_judged() {
    let rows = broken(|server, agent| {
        agent.leave();
        agent.reopen(server);
        agent.exchange(&disconnect()).unwrap();
    });
    assert_eq!(rows, ["WS-02"]);
}

#[test]
fn tls_takes_wss_and_refuses_ws() {
    let folder = std::env::temp_dir().join(format!("devserver-wss-{}", std::process::id()));
    let server = Server::start(&["--tls", folder.to_str().unwrap()]);
    assert!(
        server.ready["endpoints"]["ws"]
            .as_str()
            .unwrap()
            .starts_with("wss://")
    );
    assert_eq!(upgrade(&server, &[]).1.unwrap().status, 400);
    assert_eq!(server.problems(), ["TLS-01"]);
    std::fs::remove_dir_all(folder).unwrap();
}
