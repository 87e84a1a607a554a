//! What says nothing, at line rate: the connection ends with a reason, soon and cheaply, and a
//! worker that is told to give up does so while the server still sends. [LOG-11]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use opamp::agent::{Agent, Client, Delivery, Event, Host};
use opamp::proto::{AgentDescription, AnyValue, KeyValue, any_value::Value};
use opamp::transport::proxy::Choice;
use opamp::transport::tls::{Roots, TlsSettings};
use opamp::transport::{FailKind, Failure, Proxy, ReachedServer, Settings};

use crate::kit::{Got, LONG, Rig, Server, ok, secure};
use crate::records::{Nothing, Records};
use crate::tls::{Authority, Pair};
use crate::websocket::upgrade;

/// Of the worker's processor time; the floods are bounded to much less, the machine may be slow.
const LITTLE: Duration = Duration::from_millis(1500);

/// A certificate for loopback, and who trusts it.
pub(crate) fn trusted() -> (TlsSettings, Pair) {
    let authority = Authority::new();
    let pair = authority.leaf(&["127.0.0.1"], |_| {});
    let tls = TlsSettings {
        roots: Roots::Memory(authority.pem()),
        ..TlsSettings::default()
    };
    (tls, pair)
}

#[allow(unsafe_code)] // std does not tell it
pub(crate) fn processor_time() -> Duration {
    // SAFETY: plain data, valid when zeroed, and written by the call.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What the work gives, and that it is cheap.
pub(crate) fn cheaply<T>(work: impl FnOnce() -> T) -> T {
    let start = processor_time();
    let result = work();
    let took = processor_time() - start;
    assert!(took < LITTLE, "{took:?} of the processor");
    result
}

fn https(server: &Server, tls: &TlsSettings) -> Settings {
    secure(&server.url().replace("http:", "https:"), tls)
}

fn through(server: &Server, mut settings: Settings) -> Settings {
    let proxy = format!("https://{}", server.addr);
    settings.proxies.choice = Choice::Given(Proxy::parse(&proxy).unwrap());
    settings
}

/// Opens the way, and answers the session with the server within it.
pub(crate) fn tunnel(peer: TcpStream, pair: &Pair) -> Records<Records<TcpStream>> {
    let mut outer = Records::accept(peer, pair);
    Got::head(&mut outer).unwrap();
    outer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    Records::accept(outer, pair)
}

fn ended_for_it(failure: &Failure, kind: Nothing) {
    assert!(kind.is_named_in(&failure.text), "{failure}");
    assert_eq!(failure.reached, ReachedServer::Maybe);
}

/// [LOG-11]
#[test]
fn before_the_answer() {
    for kind in Nothing::ALL {
        let (tls, pair) = trusted();
        let server = Server::start(move |listener| {
            let mut peer = Records::accept(listener.accept().unwrap().0, &pair);
            Got::read(&mut peer).unwrap();
            peer.flood(kind);
        });
        let mut rig = Rig::with(https(&server, &tls));
        let failure = cheaply(|| rig.fail());
        assert_eq!(failure.kind, FailKind::Tls, "{failure}");
        ended_for_it(&failure, kind);
        drop(rig);
        server.join();
    }
}

/// [LOG-11]
#[test]
fn while_the_request_is_sent() {
    let (tls, pair) = trusted();
    let server = Server::start(move |listener| {
        let mut peer = Records::accept(listener.accept().unwrap().0, &pair);
        Got::head(&mut peer).unwrap();
        peer.flood(Nothing::Tickets);
    });
    let mut rig = Rig::with(https(&server, &tls));
    let body = vec![0; 8 << 20];
    let failure = cheaply(|| rig.post(&body).unwrap_err());
    ended_for_it(&failure, Nothing::Tickets);
    drop(rig);
    server.join();
}

/// [LOG-11] The connection is renewed in silence, whatever came on the old one.
#[test]
fn between_two_exchanges() {
    for kind in Nothing::ALL {
        let (tls, pair) = trusted();
        let (tell, told) = mpsc::channel();
        let (go, begin) = mpsc::channel();
        let server = Server::start(move |listener| {
            let mut flooding = Records::accept(listener.accept().unwrap().0, &pair);
            Got::read(&mut flooding).unwrap();
            flooding.write_all(&ok(b"one")).unwrap();
            begin.recv_timeout(LONG).unwrap();
            let feeder = thread::spawn(move || {
                // More than the client looks at, and it can not have been read.
                flooding.some(kind, 4000).unwrap();
                tell.send(()).unwrap();
                flooding.flood(kind);
            });
            let mut peer = Records::accept(listener.accept().unwrap().0, &pair);
            Got::read(&mut peer).unwrap();
            peer.write_all(&ok(b"two")).unwrap();
            peer.until_gone();
            feeder.join().unwrap();
        });
        let mut rig = Rig::with(https(&server, &tls));
        assert_eq!(rig.post(b"x").unwrap().body, &b"one"[..]);
        go.send(()).unwrap();
        told.recv_timeout(LONG).unwrap();
        let answer = cheaply(|| rig.post(b"y").unwrap());
        assert_eq!(answer.body, &b"two"[..], "{kind:?}");
        drop(rig);
        server.join();
    }
}

/// [LOG-11] By the proxy, in its own session around the server's.
#[test]
fn around_a_way_that_a_proxy_opened() {
    for kind in Nothing::ALL {
        let (tls, pair) = trusted();
        let server = Server::start(move |listener| {
            let mut peer = tunnel(listener.accept().unwrap().0, &pair);
            Got::read(&mut peer).unwrap();
            peer.write_all(&ok(b"one")).unwrap();
            Got::read(&mut peer).unwrap();
            peer.carrier().flood(kind);
        });
        let mut rig = Rig::with(through(&server, https(&server, &tls)));
        assert_eq!(rig.post(b"x").unwrap().body, &b"one"[..]);
        let failure = cheaply(|| rig.fail());
        ended_for_it(&failure, kind);
        drop(rig);
        server.join();
    }
}

/// [LOG-11] [LIFE-03] Each record brings one byte, so that there is no end to it but ours.
#[test]
fn a_worker_that_is_to_give_up_does_so_while_it_is_fed() {
    for is_tunnelled in [false, true] {
        let (tls, pair) = trusted();
        let (tell, told) = mpsc::channel();
        let server = Server::start(move |listener| {
            let peer = listener.accept().unwrap().0;
            let mut peer: Box<dyn Peer> = match is_tunnelled {
                true => Box::new(tunnel(peer, &pair)),
                false => Box::new(Records::accept(peer, &pair)),
            };
            Got::read(&mut peer).unwrap();
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            peer.write_all(head).unwrap();
            let mut tell = Some(tell);
            while peer.write_all(b"1\r\na\r\n").is_ok() && peer.tickets(100) {
                if let Some(tell) = tell.take() {
                    tell.send(()).unwrap();
                }
            }
        });
        let settings = https(&server, &tls);
        let mut rig = Rig::with(match is_tunnelled {
            true => through(&server, settings),
            false => settings,
        });
        let (wake, watch) = (rig.wake.clone(), rig.watch.clone());
        let worker = thread::spawn(move || (rig.fail(), Instant::now()));
        told.recv_timeout(LONG).unwrap();
        let start = Instant::now();
        watch.is_over.store(true, SeqCst);
        wake.wake();
        let (failure, end) = worker.join().unwrap();
        assert_eq!(failure.kind, FailKind::GivenUp, "{failure}");
        let took = end.saturating_duration_since(start);
        assert!(took < Duration::from_secs(1), "{took:?}");
        server.join();
    }
}

trait Peer: Read + Write {
    fn tickets(&mut self, count: usize) -> bool;
}

impl<S: Read + Write> Peer for Records<S> {
    fn tickets(&mut self, count: usize) -> bool {
        self.some(Nothing::Tickets, count).is_ok()
    }
}

struct Ears;

impl Host for Ears {
    fn hears(&self, _: i32) -> bool {
        false
    }

    fn on_event(&self, _: Event) {}
}

fn description() -> AgentDescription {
    let value = Some(Value::StringValue("fed".to_owned()));
    AgentDescription {
        identifying_attributes: vec![KeyValue {
            key: "service.name".to_owned(),
            value: Some(AnyValue { value }),
        }],
        ..AgentDescription::default()
    }
}

/// Each connection gets the start of an answer and then a byte of it among a hundred tickets, or
/// tickets alone.
fn feed(peer: TcpStream, pair: &Pair, has_bytes: bool, tell: &mpsc::Sender<()>) {
    let mut peer = Records::accept(peer, pair);
    let Ok(got) = Got::head(&mut peer) else {
        return;
    };
    let (begin, piece) = match got.header("sec-websocket-key") {
        Some(_) => {
            upgrade(&mut peer, &got);
            (&[0x82, 127, 0, 0, 0, 0, 2, 0, 0, 0][..], &b"a"[..])
        }
        None => (
            &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
            &b"1\r\na\r\n"[..],
        ),
    };
    let (begin, piece) = if has_bytes {
        (begin, piece)
    } else {
        (&b""[..], &b""[..])
    };
    let mut is_fed = peer.write_all(begin).is_ok();
    while is_fed && peer.tickets(100) {
        is_fed = peer.write_all(piece).is_ok();
        let _ = tell.send(());
    }
}

/// [LIFE-03] [LOG-11]
#[test]
fn an_agent_stops_within_its_bound_while_the_server_still_feeds_it() {
    for (scheme, has_bytes) in [
        ("https", true),
        ("https", false),
        ("wss", true),
        ("wss", false),
    ] {
        let (_, pair) = trusted();
        let (tell, told) = mpsc::channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let their = is_over.clone();
        let server = Server::start(move |listener| {
            while let Ok((peer, _)) = listener.accept() {
                if their.load(SeqCst) {
                    return;
                }
                feed(peer, &pair, has_bytes, &tell);
            }
        });
        let client = Client::new(&format!("{scheme}://{}/v1/opamp", server.addr)).unwrap();
        client.set_insecure_skip_verify(true).unwrap();
        client.set_description(description()).unwrap();
        let agent = Agent::new(client, Box::new(Ears));
        agent.set_delivery(Delivery::Poll).unwrap();
        agent.start().unwrap();
        told.recv_timeout(LONG).unwrap();
        let start = Instant::now();
        agent.stop(Some(LONG)).unwrap();
        let took = start.elapsed();
        assert!(
            took < Duration::from_millis(2500),
            "{scheme} {has_bytes}: {took:?}"
        );
        is_over.store(true, SeqCst);
        let _ = TcpStream::connect(server.addr);
        server.join();
    }
}
