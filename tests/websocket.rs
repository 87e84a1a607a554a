//! A whole agent over WebSocket, against tungstenite's server on a real socket.

use std::{
    net::{TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use opamp::{
    agent::{Agent, Client, Delivery, Event, EventKind, Host},
    proto::{
        AgentConfigFile, AgentConfigMap, AgentDescription, AgentRemoteConfig, AgentToServer,
        AnyValue, KeyValue, ServerErrorResponse, ServerErrorResponseType, ServerToAgent,
        any_value::Value,
    },
};
use prost::Message as _;
use tungstenite::{Message, WebSocket};

/// Far beyond any loaded machine: a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(20);

/// ReportsStatus, AcceptsRemoteConfig, ReportsRemoteConfig, ReportsHeartbeat.
const CAPABILITIES: u64 = 0x1 | 0x2 | 0x1000 | 0x2000;

struct Ears;

impl Host for Ears {
    fn hears(&self, _: i32) -> bool {
        true
    }

    fn on_event(&self, _: Event) {}
}

/// An agent whose events are taken one by one.
struct Rig {
    client: Arc<Client>,
    agent: Arc<Agent>,
}

impl Rig {
    fn start(url: &str, set: impl FnOnce(&Client, &Agent)) -> Rig {
        let client = Client::new(url).unwrap();
        let agent = Agent::new(client.clone(), Box::new(Ears));
        agent.set_delivery(Delivery::Poll).unwrap();
        client.set_description(description("agent")).unwrap();
        client.set_capabilities(CAPABILITIES).unwrap();
        set(&client, &agent);
        agent.start().unwrap();
        Rig { client, agent }
    }

    fn next(&self) -> EventKind {
        self.agent.next_event(Some(LONG)).unwrap().kind
    }

    fn connected(&self) {
        assert!(matches!(self.next(), EventKind::Connected));
    }

    fn failed(&self) -> opamp::agent::Error {
        match self.next() {
            EventKind::ConnectFailed(error) => error,
            other => panic!("event {} instead of a failure", other.number()),
        }
    }

    fn stop(&self) {
        self.agent.stop(Some(LONG)).unwrap();
    }
}

fn description(name: &str) -> AgentDescription {
    let value = Some(AnyValue {
        value: Some(Value::StringValue(name.to_owned())),
    });
    AgentDescription {
        identifying_attributes: vec![KeyValue {
            key: "service.name".to_owned(),
            value,
        }],
        ..Default::default()
    }
}

/// A server and its script; a panic in it fails the test.
struct Server {
    url: String,
    thread: JoinHandle<()>,
}

impl Server {
    fn start(script: impl FnOnce(&TcpListener) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Server {
            url: format!("ws://{}/v1/opamp", listener.local_addr().unwrap()),
            thread: thread::spawn(move || script(&listener)),
        }
    }

    fn join(self) {
        self.thread.join().unwrap();
    }
}

/// The server's end of one connection.
struct Peer(WebSocket<TcpStream>);

impl Peer {
    fn accept(listener: &TcpListener) -> Peer {
        let stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(LONG)).unwrap();
        Peer(tungstenite::accept(stream).unwrap())
    }

    /// The next message of the agent. Where a ping stands behind it, that is answered first: what
    /// the server says next then confirms the message.
    fn read(&mut self) -> AgentToServer {
        let message = match self.0.read().unwrap() {
            Message::Binary(bytes) => {
                assert_eq!(bytes[0], 0);
                AgentToServer::decode(&bytes[1..]).unwrap()
            }
            other => panic!("{other:?} instead of a message"),
        };
        let has_news = message.agent_description.is_some()
            || message.effective_config.is_some()
            || message.remote_config_status.is_some();
        if has_news {
            assert!(self.0.read().unwrap().is_ping());
            self.0.flush().unwrap();
        }
        message
    }

    fn send(&mut self, message: &ServerToAgent) {
        let mut bytes = vec![0];
        message.encode(&mut bytes).unwrap();
        self.0.send(Message::binary(bytes)).unwrap();
    }

    /// Whatever the agent says is answered with nothing, until it says goodbye; then its Close is
    /// awaited.
    fn until_goodbye(&mut self) -> Vec<AgentToServer> {
        let mut all = Vec::new();
        loop {
            let message = self.read();
            let is_last = message.agent_disconnect.is_some();
            all.push(message);
            if is_last {
                break;
            }
            self.send(&ServerToAgent::default());
        }
        match self.0.read() {
            Ok(Message::Close(Some(close))) => assert_eq!(u16::from(close.code), 1000),
            other => panic!("{other:?} after the goodbye"),
        }
        assert!(self.0.read().is_err(), "nothing follows a Close");
        all
    }
}

fn offer(body: &'static [u8]) -> ServerToAgent {
    let file = AgentConfigFile {
        body: body.into(),
        ..Default::default()
    };
    let config = AgentConfigMap {
        config_map: [("main".to_owned(), file)].into(),
    };
    ServerToAgent {
        remote_config: Some(AgentRemoteConfig {
            config: Some(config),
            config_hash: body.into(),
        }),
        ..Default::default()
    }
}

/// [WS-02] [WS-09] [WS-15] [LIFE-01]
#[test]
fn an_agent_reports_takes_an_offer_and_says_goodbye() {
    let server = Server::start(|listener| {
        let mut peer = Peer::accept(listener);
        let first = peer.read();
        assert_eq!(first.sequence_num, 0);
        assert!(first.agent_description.is_some());
        assert_eq!(first.capabilities, CAPABILITIES);
        peer.send(&offer(b"hash"));
        let verdict = peer.read();
        assert_eq!(verdict.sequence_num, 1);
        let status = verdict.remote_config_status.unwrap();
        assert_eq!(
            (&status.last_remote_config_hash[..], status.status),
            (&b"hash"[..], 1)
        );
        assert!(verdict.agent_description.is_none(), "it was confirmed");
        peer.send(&ServerToAgent::default());
        let all = peer.until_goodbye();
        assert_eq!(all.last().unwrap().sequence_num, 1 + all.len() as u64);
    });
    let rig = Rig::start(&server.url, |_, _| {});
    rig.connected();
    let EventKind::Message(message) = rig.next() else {
        panic!("no offer");
    };
    let (_, hash) = message.remote_config().unwrap();
    rig.client.set_remote_config_status(hash, 1, b"").unwrap();
    rig.agent.flush(Some(LONG)).unwrap();
    let snapshot = rig.agent.snapshot();
    let json = snapshot.json();
    for part in [
        "\"state\":\"connected\"",
        "\"transport\":\"ws\"",
        "\"transport_number\":2",
        "\"peer\":\"127.0.0.1:",
    ] {
        assert!(json.contains(part), "{json} lacks {part}");
    }
    rig.stop();
    server.join();
}

/// [SYNC-02] [LIFE-12]: as servers do that answer in the order in which they read.
#[test]
fn a_flush_is_confirmed_soon_by_a_server_that_answers_before_it_pongs() {
    let server = Server::start(|listener| {
        let mut peer = Peer::accept(listener);
        assert!(peer.0.read().unwrap().is_binary());
        peer.send(&ServerToAgent::default());
        assert!(peer.0.read().unwrap().is_ping());
        peer.0.flush().unwrap();
        let asked = peer.read();
        assert!(asked.agent_description.is_none());
        // What asks for a confirmation has a ping behind it, too.
        assert!(peer.0.read().unwrap().is_ping());
        peer.0.flush().unwrap();
        peer.send(&ServerToAgent::default());
        peer.until_goodbye();
    });
    let rig = Rig::start(&server.url, |_, _| {});
    rig.connected();
    rig.agent.flush(Some(LONG)).unwrap();
    rig.stop();
    server.join();
}

/// [WS-08]
#[test]
fn heartbeats_leave_at_the_interval_and_zero_turns_them_off() {
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |listener| {
        let mut peer = Peer::accept(listener);
        for _ in 0..4 {
            let _ = tell.send(peer.read());
            peer.send(&ServerToAgent::default());
        }
        let rest = peer.until_goodbye();
        assert!(
            rest.len() <= 2,
            "{} messages after the heartbeats were turned off",
            rest.len()
        );
    });
    let rig = Rig::start(&server.url, |_, agent| {
        agent
            .set_heartbeat_interval(Duration::from_millis(20))
            .unwrap();
    });
    for number in 0..4 {
        let message = told.recv_timeout(LONG).unwrap();
        assert_eq!(message.sequence_num, number);
        assert_eq!(message.agent_description.is_some(), number == 0);
    }
    rig.agent.set_heartbeat_interval(Duration::ZERO).unwrap();
    // Taken in by now; a heartbeat may have been on its way.
    rig.agent.flush(Some(LONG)).unwrap();
    thread::sleep(Duration::from_millis(200));
    rig.stop();
    server.join();
}

#[test]
fn an_interval_of_zero_is_for_websocket_alone() {
    let client = Client::new("http://127.0.0.1:1/").unwrap();
    let agent = Agent::new(client.clone(), Box::new(Ears));
    assert!(agent.set_heartbeat_interval(Duration::ZERO).is_err());
    client.set_endpoint("ws://127.0.0.1:1/").unwrap();
    client.set_description(description("a")).unwrap();
    agent.set_heartbeat_interval(Duration::ZERO).unwrap();
    client.set_endpoint("http://127.0.0.1:1/").unwrap();
    assert!(agent.start().unwrap_err().text.contains("HTTP must poll"));
    client.set_endpoint("ws://127.0.0.1:1/").unwrap();
    agent.start().unwrap();
    agent.stop(Some(LONG)).unwrap();
}

/// [WS-10] [WS-16] [LOG-01]
#[test]
fn a_lost_connection_is_told_once_and_comes_back() {
    let server = Server::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.read();
        peer.send(&ServerToAgent::default());
        drop(peer);
        let mut peer = Peer::accept(listener);
        peer.until_goodbye();
    });
    let rig = Rig::start(&server.url, |client, _| {
        client.set_option(16, 50).unwrap();
    });
    rig.connected();
    let error = rig.failed();
    assert!(
        error.retry_in.unwrap() <= Duration::from_millis(50),
        "{error:?}"
    );
    rig.connected();
    rig.agent.flush(Some(LONG)).unwrap();
    rig.stop();
    server.join();
}

/// [WS-04] [WS-15] [LOG-01]
#[test]
fn a_message_over_the_limit_ends_with_a_goodbye_and_1009() {
    let server = Server::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.read();
        peer.0.send(Message::binary(vec![0; 2000])).unwrap();
        loop {
            if peer.read().agent_disconnect.is_some() {
                break;
            }
        }
        match peer.0.read().unwrap() {
            Message::Close(Some(close)) => assert_eq!(u16::from(close.code), 1009),
            other => panic!("{other:?}"),
        }
        let _ = peer.0.read();
        Peer::accept(listener).until_goodbye();
    });
    let rig = Rig::start(&server.url, |client, _| {
        client.set_option(6, 1024).unwrap();
        client.set_option(16, 50).unwrap();
    });
    rig.connected();
    let error = rig.failed();
    assert_eq!(error.kind, opamp::agent::Kind::Size);
    assert!(error.text.contains("more than 1024 bytes"), "{error}");
    rig.connected();
    rig.agent.flush(Some(LONG)).unwrap();
    rig.stop();
    server.join();
}

/// [WS-06] [WS-18]
#[test]
fn a_text_message_is_reported_and_the_next_one_taken() {
    let server = Server::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.read();
        peer.0.send(Message::text("hello")).unwrap();
        peer.send(&offer(b"next"));
        peer.until_goodbye();
    });
    let rig = Rig::start(&server.url, |_, _| {});
    rig.connected();
    let EventKind::Warning(warning) = rig.next() else {
        panic!("no warning");
    };
    assert!(warning.text.contains("text message"), "{warning}");
    assert!(matches!(rig.next(), EventKind::Message(_)));
    rig.stop();
    server.join();
}

/// [WS-11]
#[test]
fn unavailable_disconnects_and_comes_back_after_the_time_it_names() {
    let server = Server::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.read();
        let details =
            opamp::proto::server_error_response::Details::RetryInfo(opamp::proto::RetryInfo {
                retry_after_nanoseconds: 20_000_000,
            });
        peer.send(&ServerToAgent {
            error_response: Some(ServerErrorResponse {
                r#type: ServerErrorResponseType::Unavailable as i32,
                error_message: "busy".to_owned(),
                details: Some(details),
            }),
            ..Default::default()
        });
        peer.until_goodbye();
        drop(peer);
        let mut peer = Peer::accept(listener);
        assert!(
            peer.read().agent_description.is_some(),
            "it was not confirmed"
        );
        peer.send(&ServerToAgent::default());
        peer.until_goodbye();
    });
    let rig = Rig::start(&server.url, |client, _| client.set_option(14, 0).unwrap());
    rig.connected();
    assert!(matches!(rig.next(), EventKind::ServerError { .. }));
    rig.connected();
    rig.agent.flush(Some(LONG)).unwrap();
    rig.stop();
    server.join();
}

/// [WS-12]
#[test]
fn a_refused_upgrade_is_a_failure_with_its_status() {
    use std::io::{Read, Write};
    let server = Server::start(|listener| {
        let mut stream = listener.accept().unwrap().0;
        let _ = stream.read(&mut [0; 4096]);
        stream
            .write_all(b"HTTP/1.1 503 No\r\nRetry-After: 1000\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        let _ = stream.read(&mut [0; 16]);
    });
    let rig = Rig::start(&server.url, |_, _| {});
    let error = rig.failed();
    assert_eq!(error.http_status, Some(503));
    assert!(error.retry_in.unwrap() >= Duration::from_secs(1000));
    rig.stop();
    server.join();
}

/// [LIFE-03]
#[test]
fn a_stop_waits_for_a_mute_server_no_longer_than_the_close_timeout() {
    let server = Server::start(|listener| {
        let mut peer = Peer::accept(listener);
        peer.read();
        peer.send(&ServerToAgent::default());
        // Reads what comes and echoes no Close.
        let mut stream = peer.0.get_ref();
        while matches!(std::io::Read::read(&mut stream, &mut [0; 4096]), Ok(1..)) {}
    });
    let rig = Rig::start(&server.url, |client, _| client.set_option(26, 50).unwrap());
    rig.connected();
    rig.agent.flush(Some(LONG)).unwrap();
    let begun = Instant::now();
    rig.stop();
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(50), "{took:?}");
    assert!(
        took < Duration::from_secs(2),
        "longer than the grace: {took:?}"
    );
    server.join();
}
