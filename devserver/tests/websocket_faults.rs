//! Each fault of a WebSocket, and of the TCP connection below it, as it looks at the other end.
mod common;

use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use common::socket::*;
use common::*;
use serde_json::{Value as Json, json};

/// A server and a session whose next message meets a rule that does this.
fn spoilt(action: Json) -> (Server, Socket) {
    let server = Server::start(&[]);
    let mut agent = Socket::open(&server);
    server.spoil(json!({"name": "fault", "match": {"transport": "ws"}, "do": action}));
    agent.send(&description());
    (server, agent)
}

/// The frames that come in place of an answer, up to the pong to a ping behind the next message, or
/// the end.
fn frames(action: Json) -> Vec<Frame> {
    let (server, mut agent) = spoilt(action);
    server.wait("fault=fault");
    agent.frame(PING, b"last");
    let mut frames = Vec::new();
    while let Some(frame) = agent.read() {
        if frame.opcode == PONG && frame.payload == b"last" {
            break;
        }
        frames.push(frame);
    }
    frames
}

fn only(action: Json) -> Frame {
    let mut frames = frames(action);
    assert_eq!(frames.len(), 1, "{frames:?}");
    frames.remove(0)
}

#[test]
fn headers_opcodes_bits_and_masks_are_as_the_rule_says() {
    let good = only(json!({}));
    assert_eq!(
        (good.opcode, good.payload[0], good.is_masked),
        (BINARY, 0, false)
    );
    assert_eq!(
        only(json!({"header": "01"})).payload[..2],
        [1, good.payload[1]]
    );
    assert_eq!(only(json!({"header": "8000"})).payload[..2], [0x80, 0]);
    assert_eq!(only(json!({"header": ""})).payload, good.payload[1..]);
    assert_eq!(only(json!({"opcode": "text"})).opcode, TEXT);
    assert_eq!(only(json!({"opcode": 11})).opcode, 11);
    assert_eq!(only(json!({"reserved_bits": 4})).reserved, 4);
    let masked = only(json!({"masked": true}));
    assert!(masked.is_masked && masked.payload == good.payload);
    assert_eq!(only(json!({"body": "empty"})).payload, [0]);
    assert_eq!(
        only(json!({"body": {"size": 100_000}})).payload.len(),
        100_001
    );
    assert_eq!(only(json!({"header": "", "body": "empty"})).payload, [0; 0]);
}

#[test]
fn a_message_comes_in_fragments_with_pings_between_and_may_never_end() {
    let whole = only(json!({})).payload;
    let all = frames(json!({"fragments": 9, "pings_between": true}));
    assert_eq!(
        all.iter().filter(|frame| frame.opcode == PING).count(),
        (whole.len() - 1) / 9
    );
    let parts: Vec<&Frame> = all.iter().filter(|frame| frame.opcode != PING).collect();
    assert_eq!(
        parts
            .iter()
            .flat_map(|frame| frame.payload.clone())
            .collect::<Vec<_>>(),
        whole
    );
    assert!(parts[1..].iter().all(|frame| frame.opcode == 0) && parts[0].opcode == BINARY);
    let ends: Vec<bool> = parts.iter().map(|frame| frame.is_final).collect();
    assert_eq!(ends.iter().filter(|is| **is).count(), 1);
    assert_eq!(ends.last(), Some(&true));
    let unfinished = frames(json!({"fragments": 9, "unfinished": true}));
    assert!(unfinished.iter().all(|frame| !frame.is_final));
    let (server, mut agent) = spoilt(json!({"endless": {"bytes": 1000, "every": "1ms"}}));
    for number in 0..5 {
        let frame = agent.read().unwrap();
        assert_eq!(
            (frame.is_final, frame.opcode),
            (false, if number == 0 { BINARY } else { 0 })
        );
    }
    // What the agent says meanwhile is noted, though it is not answered.
    agent.close(1009);
    agent.tcp.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.wait("closes")["code"], 1009);
}

#[test]
fn other_frames_go_before_and_after_the_answer() {
    let all = frames(json!({
        "frames_before": [{"opcode": "text", "text": "hello"}, {"opcode": 3, "reserved_bits": 1}],
        "frames": [
            {"opcode": "ping", "size": 126},
            {"opcode": "ping", "is_final": false},
            {"opcode": "close", "hex": "03e8fffe", "masked": true},
        ],
    }));
    let opcodes: Vec<u8> = all.iter().map(|frame| frame.opcode).collect();
    assert_eq!(opcodes, [TEXT, 3, BINARY, PING, PING, CLOSE]);
    assert_eq!((&all[0].payload[..], all[1].reserved), (&b"hello"[..], 1));
    assert_eq!(
        (all[3].payload.len(), all[4].is_final, all[5].is_masked),
        (126, false, true)
    );
    assert_eq!(all[5].payload, [3, 0xe8, 0xff, 0xfe]);
}

#[test]
fn the_pong_comes_before_the_answer_unless_the_rule_says_otherwise() {
    for (action, expected) in [
        (json!({}), [PONG, BINARY]),
        (json!({"answer_first": true}), [BINARY, PONG]),
    ] {
        let server = Server::start(&[]);
        let mut agent = Socket::open(&server);
        server.spoil(json!({"do": action}));
        agent.send(&description());
        if expected[0] == BINARY {
            server.wait("answers>=1");
        }
        agent.frame(PING, b"");
        assert_eq!(
            [agent.read().unwrap().opcode, agent.read().unwrap().opcode],
            expected
        );
    }
}

#[test]
fn a_session_ends_where_and_how_the_rule_says() {
    for action in [
        json!({"drop": "unanswered"}),
        json!({"drop": "reset_unanswered"}),
    ] {
        assert_eq!(spoilt(action.clone()).1.read(), None, "{action}");
    }
    for (how, expected) in [
        ("silent", Ok(0)),
        ("reset", Err(ErrorKind::ConnectionReset)),
    ] {
        let (_server, mut agent) = spoilt(json!({"close": how}));
        assert_eq!(agent.read().unwrap().opcode, BINARY);
        assert_eq!(
            agent.tcp.read(&mut [0]).map_err(|error| error.kind()),
            expected
        );
    }
    for cut in [
        json!({"after": "head"}),
        json!({"after": {"bytes": 1}}),
        json!({"after": "half", "how": "reset"}),
    ] {
        let (server, mut agent) = spoilt(json!({"cut": cut}));
        let mut rest = Vec::new();
        let _ = agent.tcp.read_to_end(&mut rest);
        let shown = server.entries("kind=sent");
        let whole = shown[0]["size"].as_u64().unwrap() + 3;
        assert!((rest.len() as u64) < whole, "{cut}");
        assert_eq!(server.wait("closed")["by"], "fault");
    }
}

#[test]
fn close_frames_carry_what_the_rule_says_and_are_followed_by_it() {
    let close = |spec: Json| {
        let (server, mut agent) = spoilt(json!({"close": {"frame": spec}}));
        assert_eq!(agent.read().unwrap().opcode, BINARY);
        let frame = agent.read().unwrap();
        assert_eq!(frame.opcode, CLOSE);
        (server, agent, frame.payload)
    };
    let (server, mut agent, payload) = close(json!({"code": 1011, "reason": "oh"}));
    assert_eq!(payload, code(1011, "oh"));
    agent.close(1011);
    assert_eq!(agent.read(), None);
    agent.tcp.shutdown(Shutdown::Both).unwrap();
    assert_eq!(
        server.wait("closed")["reason"],
        "Close 1011 in answer to ours"
    );
    assert_eq!(server.problems(), [""; 0]);
    assert_eq!(close(json!({})).2, [0; 0]);
    assert_eq!(close(json!({"code": 1005})).2, code(1005, ""));
    assert_eq!(close(json!({"hex": "03"})).2, [3]);
    let (_server, mut agent, _) = close(json!({"code": 1000, "then": "close"}));
    assert_eq!(agent.read(), None);
    let (_server, mut agent, _) = close(json!({"code": 1000, "then": "reset"}));
    let end = agent.tcp.read(&mut [0]).unwrap_err().kind();
    assert_eq!(end, ErrorKind::ConnectionReset);
    let (_server, mut agent, _) = close(json!({"code": 1000, "then": "stay"}));
    agent.close(1000);
    assert!(is_silent(&mut agent));
}

#[test]
fn an_agent_that_answers_no_close_is_left_after_a_while() {
    let (server, mut agent) = spoilt(json!({"close": {"frame": {"code": 1000}}}));
    agent.read().unwrap();
    assert_eq!(agent.read().unwrap().opcode, CLOSE);
    assert_eq!(
        server.wait("closed")["reason"],
        "no Close came in answer to ours"
    );
}

/// Whether nothing comes, not even the end.
fn is_silent(agent: &mut Socket) -> bool {
    agent
        .tcp
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let end = agent.tcp.read(&mut [0]);
    agent
        .tcp
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    end.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn a_mute_peer_hears_and_a_deaf_one_does_not() {
    let (server, mut agent) = spoilt(json!({"mute": true}));
    agent.send(&[]);
    agent.frame(PING, b"");
    agent.close(1000);
    assert_eq!(server.wait("closes")["code"], 1000);
    assert!(is_silent(&mut agent));
    assert_eq!(server.entries("kind=received").len(), 2);
    assert_eq!(server.entries("kind=sent")[0]["frames"], json!(null));
    agent.tcp.shutdown(Shutdown::Both).unwrap();
    server.wait("closed");
    let (server, mut agent) = spoilt(json!({"deaf": true}));
    agent.next_message().expect("it has been heard before");
    agent.send(&[]);
    assert!(is_silent(&mut agent));
    assert_eq!(server.entries("kind=received").len(), 1);
    // It can still be told to speak.
    server.post("/ping", json!({}));
    assert_eq!(agent.read().unwrap().opcode, PING);
}

#[test]
fn pings_and_closes_are_occasions_too() {
    let server = Server::start(&[]);
    let mut agent = Socket::open(&server);
    server.post(
        "/faults",
        json!({"rules": [
            {"name": "quiet", "on": "ping", "do": {"silent": true}},
            {"name": "wrong", "on": "ping", "do": {"body": {"text": "other"}}},
            {"name": "bad", "on": "ping", "do": {"reserved_bits": 2}},
            {"name": "close", "on": "close", "do": {"silent": true}},
        ]}),
    );
    for payload in [b"1", b"2", b"3", b"4"] {
        agent.frame(PING, payload);
    }
    let pongs: Vec<Frame> = (0..3).map(|_| agent.read().unwrap()).collect();
    assert_eq!(pongs[0].payload, b"other");
    assert_eq!((&pongs[1].payload[..], pongs[1].reserved), (&b"3"[..], 2));
    assert_eq!((&pongs[2].payload[..], pongs[2].reserved), (&b"4"[..], 0));
    server.wait("fault=quiet");
    agent.close(1000);
    server.wait("fault=close");
    assert!(is_silent(&mut agent));
    agent.tcp.shutdown(Shutdown::Both).unwrap();
    assert_eq!(server.wait("closed")["by"], "agent");
}

#[test]
fn a_slow_answer_does_not_keep_a_pong() {
    let (_server, mut agent) = spoilt(json!({"wait": "300ms"}));
    let start = Instant::now();
    agent.frame(PING, b"");
    assert_eq!(agent.read().unwrap().opcode, PONG);
    assert_eq!(agent.read().unwrap().opcode, BINARY);
    assert!(start.elapsed() >= Duration::from_millis(250));
}

/// The answer to an upgrade that meets a rule that does this, and what is behind it.
fn upgraded(action: Json) -> (Server, Socket, Option<Answer>) {
    let server = Server::start(&[]);
    server.spoil(json!({"name": "fault", "on": "upgrade", "do": action}));
    let (tcp, answer) = upgrade(&server, &[]);
    (server, Socket::unheard(tcp), answer)
}

#[test]
fn an_upgrade_is_refused_redirected_or_spoilt() {
    let (server, agent, answer) = upgraded(json!({"status": 503, "retry_after": 7}));
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("7"))
    );
    assert_eq!(server.wait("fault=fault")["answer"]["status"], 503);
    // The connection is one for HTTP still.
    let mut again = Agent::new(&server);
    again.tcp = agent.tcp.try_clone().unwrap();
    assert_eq!(again.send(&description()).status, 200);
    agent.tcp.shutdown(Shutdown::Both).unwrap();
    let moved = upgraded(json!({"redirect": "ws://127.0.0.1:1/", "status": 302}))
        .2
        .unwrap();
    assert_eq!(
        (moved.status, moved.header("location")),
        (302, Some("ws://127.0.0.1:1/"))
    );
    let headers = json!([
        ["sec-websocket-accept", "x"],
        ["Connection", "keep-alive, Upgrade"],
        ["Upgrade", null]
    ]);
    let odd = upgraded(json!({"headers": headers})).2.unwrap();
    assert_eq!(odd.header("sec-websocket-accept"), Some("x"));
    assert_eq!(
        (odd.header("connection"), odd.header("upgrade")),
        (Some("keep-alive, Upgrade"), None)
    );
    let ok = upgraded(json!({"status": 200, "body": "html"})).2.unwrap();
    assert!(ok.status == 200 && ok.body.starts_with(b"<!doctype"));
    for how in ["unanswered", "reset_unanswered"] {
        assert!(upgraded(json!({"drop": how})).2.is_none());
    }
    let (_server, mut agent, answer) =
        upgraded(json!({"cut": {"after": {"bytes": 20}, "how": "reset"}}));
    assert!(answer.is_none() && agent.read().is_none());
}

#[test]
fn a_session_is_spoilt_from_its_first_byte() {
    for (how, expected) in [
        ("silent", Ok(0)),
        ("reset", Err(ErrorKind::ConnectionReset)),
    ] {
        let (_server, mut agent, answer) = upgraded(json!({"close": how}));
        assert_eq!(answer.unwrap().status, 101);
        assert_eq!(
            agent.tcp.read(&mut [0]).map_err(|error| error.kind()),
            expected
        );
    }
    let (_server, mut agent, _) = upgraded(json!({"close": {"frame": {"code": 1013}}}));
    assert_eq!(agent.read().unwrap().payload, code(1013, ""));
    let (_server, mut agent, _) = upgraded(json!({"frames": [{"opcode": "binary", "hex": "00"}]}));
    assert_eq!(agent.read().unwrap().payload, [0]);
    assert!(agent.exchange(&description()).is_some());
    let (server, mut agent, _) = upgraded(json!({"mute": true}));
    agent.send(&description());
    server.wait("messages");
    assert!(is_silent(&mut agent));
    server.spoil(json!({"name": "fault", "on": "upgrade", "do": {"silent": true}}));
    agent.tcp = ask(&server, &[]);
    server.wait("fault=fault");
    assert!(is_silent(&mut agent));
}

/// A session on a connection that meets this rule.
fn on_line(action: Json) -> (Server, Socket) {
    let server = Server::start(&[]);
    server.spoil(json!({"on": "connection", "do": action}));
    let agent = Socket::open(&server);
    (server, agent)
}

#[test]
fn the_line_ends_or_dies_at_a_byte() {
    let (server, mut agent) = on_line(json!({"sending": {"bytes": 300, "how": "reset"}}));
    while agent.exchange(&field(1000, &[0; 100])).is_some() {}
    assert_eq!(server.wait("closed")["by"], "fault");
    let (server, mut agent) = on_line(json!({"reading": {"bytes": 1000, "how": "close"}}));
    while agent.exchange(&field(1000, &[0; 100])).is_some() {}
    assert_eq!(server.wait("closed")["reason"], "rule rule-1");
    // One way is dead, the other is not.
    let (server, mut agent) = on_line(json!({"sending": {"bytes": 200, "how": "stall"}}));
    agent.send(&description());
    agent.send(&[]);
    server.wait("messages>=2");
    agent
        .tcp
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut rest = Vec::new();
    let _ = agent.tcp.read_to_end(&mut rest);
    assert!(
        rest.len() < 80,
        "{} bytes of 200 are behind the head",
        rest.len()
    );
    let (server, mut agent) = on_line(json!({"reading": {"bytes": 400, "how": "stall"}}));
    agent.send(&field(1000, &[0; 1000]));
    assert!(is_silent(&mut agent));
    assert_eq!(server.entries("kind=received").len(), 0);
    server.post("/ping", json!({}));
    assert_eq!(agent.read().unwrap().opcode, PING);
}

#[test]
fn the_line_is_slow_or_late() {
    let start = Instant::now();
    let (_server, mut agent) = on_line(json!({"dribble": {"bytes": 1, "every": "1ms"}}));
    assert!(agent.exchange(&description()).is_some());
    assert!(
        start.elapsed() >= Duration::from_millis(150),
        "some 170 bytes"
    );
    let start = Instant::now();
    on_line(json!({"wait": "200ms"}));
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_pushed_message_is_spoilt_as_an_answer_is() {
    let server = Server::start(&[]);
    let mut agent = Socket::open(&server);
    agent.exchange(&description()).unwrap();
    server.post(
        "/push",
        json!({"answer": {}, "do": {"opcode": "text", "fragments": 10}}),
    );
    let first = agent.read().unwrap();
    assert_eq!(
        (first.opcode, first.payload.len(), first.is_final),
        (TEXT, 10, false)
    );
}

#[test]
fn a_key_that_means_nothing_there_is_refused() {
    let server = Server::start(&[]);
    for rule in [
        json!({"on": "ping", "do": {"status": 503}}),
        json!({"on": "upgrade", "do": {"opcode": "text"}}),
        json!({"on": "connection", "do": {"mute": true}}),
        json!({"do": {"sending": {"bytes": 1, "how": "reset"}}}),
        json!({"do": {"opcode": 16}}),
        json!({"do": {"fragments": 0}}),
        json!({"do": {"header": "0"}}),
        json!({"do": {"frames": [{"opcode": "ping", "hex": "x"}]}}),
        json!({"do": {"close": {"frame": {"hex": "x"}}}}),
    ] {
        let (status, error) = server.call("POST", "/faults", Some(json!({"rules": [rule]})));
        assert_eq!(status, 400, "{error}");
    }
}
