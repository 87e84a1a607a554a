//! Each verdict: given for what breaks its row, and not for what does not.
mod common;

use common::*;
use serde_json::json;

/// An agent with a first report behind it.
fn started(server: &Server) -> Agent {
    let mut agent = Agent::new(server);
    agent.send(&description());
    agent
}

/// An effective configuration of one file.
fn effective() -> Vec<u8> {
    let entry = [field(1, b"a.yaml"), field(2, &field(1, b"a: 1"))].concat();
    field(6, &field(1, &field(1, &entry)))
}

/// The rows that this exchange breaks.
fn broken(exchange: impl FnOnce(&Server, &mut Agent)) -> Vec<String> {
    let server = Server::start(&[]);
    let mut agent = started(&server);
    exchange(&server, &mut agent);
    server.problems()
}

#[test]
fn a_good_agent_has_no_problem() {
    let rows = broken(|server, agent| {
        let offer = server.post("/config", json!({"files": [{"body": "x"}]}));
        let hash = from_hex(offer["hash"].as_str().unwrap());
        agent.send(&[]);
        agent.send(&config_status(&hash, 2));
        agent.send(&config_status(&hash, 1));
        agent.send(&disconnect());
        // It starts again, its number goes on, everything is unconfirmed.
        agent.send(&[description(), config_status(&hash, 1)].concat());
    });
    assert_eq!(rows, [""; 0]);
}

#[test]
fn numbers_rise_by_one_unless_messages_were_lost() {
    assert_eq!(
        broken(|_, agent| {
            agent.number += 1;
            agent.send(&[]);
        }),
        ["SYNC-12"]
    );
    let again = broken(|_, agent| {
        agent.number -= 1;
        agent.send(&[]);
    });
    assert_eq!(again, ["SYNC-12"]);
    let lost = broken(|server, agent| {
        server.spoil(json!({"do": {"drop": "unread"}}));
        agent.try_send(&[]);
        agent.reconnect(server);
        agent.send(&[]);
        agent.send(&description());
    });
    assert_eq!(lost, [""; 0]);
    let too_many = broken(|server, agent| {
        server.spoil(json!({"do": {"drop": "unread"}}));
        agent.try_send(&[]);
        agent.reconnect(server);
        agent.number += 1;
        agent.send(&[]);
    });
    assert_eq!(too_many, ["SYNC-12"]);
}

#[test]
fn run_may_report_less_than_the_one_before() {
    let rows = broken(|server, agent| {
        let offer = server.post("/config", json!({"files": [{"body": "x"}]}));
        let hash = from_hex(offer["hash"].as_str().unwrap());
        agent.send(&config_status(&hash, 1));
        agent.send(&effective());
        // It was killed; the next process keeps the uid alone.
        agent.number = 0;
        agent.send(&description());
        agent.send(&[]);
        agent.send(&[effective(), disconnect()].concat());
        // With a goodbye, and with a number that goes on.
        agent.send(&description());
        agent.send(&disconnect());
        agent.number = 0;
        agent.send(&description());
        agent.send(&disconnect());
        // With another one than the next.
        agent.number += 5;
        agent.send(&description());
        agent.send(&[]);
    });
    assert_eq!(rows, [""; 0]);
    let half = broken(|_, agent| {
        agent.send(&disconnect());
        agent.number = 0;
        agent.send(&effective());
    });
    assert!(half.contains(&"SYNC-12".to_owned()), "{half:?}");
}

#[test]
fn refused_message_may_be_sent_again_as_it_was() {
    let retried = |refusal: Option<serde_json::Value>| {
        broken(|server, agent| {
            if let Some(rule) = refusal {
                server.spoil(json!({"do": rule}));
            }
            agent.try_send(&effective());
            agent.reconnect(server);
            agent.number -= 1;
            agent.send(&effective());
            agent.send(&[]);
        })
    };
    assert_eq!(retried(Some(json!({"status": 500}))), [""; 0]);
    assert_eq!(retried(Some(json!({"drop": "unanswered"}))), [""; 0]);
    // Where it had a good response, the number must rise.
    assert!(retried(None).contains(&"SYNC-12".to_owned()));
}

#[test]
fn the_first_report_and_one_asked_for_are_complete() {
    let server = Server::start(&[]);
    Agent::new(&server).send(&[]);
    assert_eq!(server.problems(), ["SYNC-01"]);
    let rows = broken(|server, agent| {
        server.post("/next", json!({"answer": {"flags": ["ReportFullState"]}}));
        agent.send(&[]);
        agent.send(&[]);
    });
    assert_eq!(rows, ["SYNC-04"]);
}

#[test]
fn capabilities_cover_what_is_sent() {
    let health = field(5, &number(1, 1));
    assert_eq!(
        broken(|_, agent| {
            agent.send(&health);
        }),
        ["SYNC-13"]
    );
    let none = broken(|_, agent| {
        agent.capabilities = HEARTBEAT;
        agent.send(&[]);
    });
    assert_eq!(none, ["SYNC-08"]);
    let unknown = broken(|_, agent| {
        agent.capabilities |= 1 << 40;
        agent.send(&[]);
    });
    assert_eq!(unknown, ["SYNC-08"]);
    let custom = field(13, &field(1, b"io.example"));
    assert_eq!(
        broken(|_, agent| {
            agent.send(&custom);
        }),
        ["RCV-07"]
    );
    let declared = [field(12, &field(1, b"io.example")), custom].concat();
    assert_eq!(
        broken(|_, agent| {
            agent.send(&declared);
        }),
        [""; 0]
    );
    let effective = field(6, &[]);
    let refused = broken(|server, agent| {
        server.post("/capabilities", json!({"capabilities": ["AcceptsStatus"]}));
        agent.send(&[]);
        agent.send(&effective);
    });
    assert_eq!(refused, ["SYNC-14"]);
}

#[test]
fn the_header_names_the_agent_of_the_body() {
    let server = Server::start(&[]);
    let mut agent = Agent::new(&server);
    let body = agent.message(&description());
    for header in [
        "",
        "OpAMP-Instance-UID: 018f3c6e-7c00-7000-8000-00000000ffff\r\n",
    ] {
        let head = format!(
            "POST / HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n\
             {header}Content-Length: {}\r\n\r\n",
            body.len()
        );
        std::io::Write::write_all(&mut agent.tcp, &[head.as_bytes(), &body].concat()).unwrap();
        Answer::read(&mut agent.tcp).unwrap();
        server.delete("/agents");
    }
    assert_eq!(server.problems(), ["HTTP-02"; 2]);
}

#[test]
fn statuses_are_about_offers() {
    let rows = broken(|server, agent| {
        server.post("/config", json!({"files": [], "hash_text": "h"}));
        agent.send(&[]);
        agent.send(&config_status(b"i", 1));
    });
    assert_eq!(rows, ["RCV-03"]);
    assert_eq!(
        broken(|_, agent| {
            agent.send(&config_status(b"", 1));
        }),
        ["SYNC-23"]
    );
    let error = field(
        7,
        &[field(1, b"h"), number(2, 1), field(3, b"text")].concat(),
    );
    assert_eq!(
        broken(|_, agent| {
            agent.send(&error);
        }),
        ["SYNC-23"]
    );
    // From the agent's own storage, before any offer.
    assert_eq!(
        broken(|_, agent| {
            agent.send(&config_status(b"h", 1));
        }),
        [""; 0]
    );
}

#[test]
fn what_is_confirmed_is_not_repeated() {
    assert_eq!(
        broken(|_, agent| {
            agent.send(&description());
        }),
        ["SYNC-02"]
    );
    let unconfirmed = broken(|server, agent| {
        server.spoil(json!({"do": {"status": 503}}));
        agent.send(&config_status(b"h", 1));
        agent.send(&config_status(b"h", 1));
    });
    assert_eq!(unconfirmed, [""; 0]);
}

#[test]
fn nothing_follows_the_goodbye() {
    let twice = broken(|_, agent| {
        agent.send(&disconnect());
        agent.send(&disconnect());
    });
    assert_eq!(twice, ["LIFE-01"]);
    let more = broken(|_, agent| {
        agent.send(&disconnect());
        agent.send(&[]);
    });
    assert_eq!(more, ["LIFE-01"]);
}

#[test]
fn heartbeats_keep_their_time() {
    let early = broken(|server, agent| {
        server.post("/interval", json!({"interval": "1h"}));
        agent.send(&[]);
    });
    assert_eq!(early, ["HTTP-05"]);
    let offered = broken(|server, agent| {
        let opamp = json!({"heartbeat_interval_seconds": 3600});
        let settings = json!({"connection_settings": {"opamp": opamp}});
        server.post("/next", json!({"answer": settings}));
        agent.send(&[]);
        agent.send(&[]);
    });
    assert_eq!(offered, ["HTTP-05"]);
    let not_accepted = |capabilities: u64, status: Option<u64>| {
        broken(|server, agent| {
            agent.capabilities = capabilities;
            agent.send(&[]);
            let opamp = json!({"heartbeat_interval_seconds": 3600});
            let settings = json!({"connection_settings": {"hash": "6868", "opamp": opamp}});
            server.post("/next", json!({"answer": settings}));
            agent.send(&[]);
            if let Some(status) = status {
                agent.send(&field(15, &[field(1, b"hh"), number(2, status)].concat()));
            }
            agent.send(&[]);
        })
    };
    // Connection settings status: 1 APPLIED, 3 FAILED.
    let settings = USUAL | 1 << 15;
    assert_eq!(not_accepted(USUAL & !HEARTBEAT, None), [""; 0]);
    assert_eq!(not_accepted(settings, Some(3)), [""; 0]);
    assert_eq!(not_accepted(settings, Some(1)), ["HTTP-05"]);
}

#[test]
fn a_time_that_was_told_is_waited_for() {
    let http = broken(|server, agent| {
        server.spoil(json!({"do": {"status": 503, "retry_after": 60}}));
        agent.send(&[]);
        agent.send(&[]);
    });
    assert_eq!(http, ["HTTP-10"]);
    let opamp = broken(|server, agent| {
        let info = json!({"retry_after_nanoseconds": 60_000_000_000_u64});
        let error = json!({"type": "Unavailable", "retry_info": info});
        server.post("/next", json!({"answer": {"error_response": error}}));
        agent.send(&[]);
        agent.send(&[]);
    });
    assert_eq!(opamp, ["RCV-01"]);
}

#[test]
fn two_requests_at_once_and_a_flood_are_seen() {
    let both = broken(|server, agent| {
        server.spoil(json!({"do": {"wait": "500ms"}}));
        agent.send_only(&[]);
        server.wait("messages>=2");
        let mut second = Agent::new(server);
        second.number = agent.number;
        second.send(&[]);
        Answer::read(&mut agent.tcp).unwrap();
    });
    assert_eq!(both, ["HTTP-06"]);
    // A connection that the agent has given up before is none.
    let given_up = broken(|server, agent| {
        server.spoil(json!({"do": {"wait": "10s"}}));
        agent.send_only(&[]);
        server.wait("messages>=2");
        agent.reconnect(server);
        agent.send(&[]);
    });
    assert_eq!(given_up, [""; 0]);
    // More than 100 within one second: a busy machine may need more than one turn for that.
    let flood = broken(|server, agent| {
        let mut turns = 0..50;
        while server.problems().is_empty() && turns.next().is_some() {
            for _ in 0..120 {
                agent.send(&[]);
            }
        }
    });
    assert!(
        flood.iter().all(|row| row == "SYNC-05") && !flood.is_empty(),
        "{flood:?}"
    );
}
