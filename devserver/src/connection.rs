//! One connection from its first byte to its end, and what becomes of each request on it.
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value as Json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::action::Accept;
use crate::answer::{Plan, plan};
use crate::api;
use crate::faults::{Fault, Occasion, On};
use crate::http::{Head, Stream, Wire};
use crate::reply::{Content, Reply};
use crate::server::Server;
use crate::state::Link;
use crate::steps::{Step, take, write};
use crate::timeline::{LinkInfo, What};
use crate::tls::is_refusal;

/// How long a polite end may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why a connection ended.
struct Ending {
    by: &'static str,
    reason: String,
    is_reset: bool,
    /// A request had begun and had no answer.
    is_loss: bool,
}

impl Ending {
    fn agent(reason: impl Into<String>) -> Self {
        Self {
            by: "agent",
            reason: reason.into(),
            is_reset: false,
            is_loss: false,
        }
    }

    fn server(reason: impl Into<String>) -> Self {
        Self {
            by: "server",
            reason: reason.into(),
            is_reset: false,
            is_loss: false,
        }
    }

    fn fault(rule: &str, is_reset: bool) -> Self {
        let reason = format!("rule {rule}");
        Self {
            by: "fault",
            reason,
            is_reset,
            is_loss: true,
        }
    }

    fn lossy(self) -> Self {
        Self {
            is_loss: true,
            ..self
        }
    }
}

/// Serves a connection of the OpAMP port.
pub(crate) async fn serve(server: Arc<Server>, tcp: TcpStream, peer: SocketAddr) {
    let _ = tcp.set_nodelay(true);
    let (end, mut ended) = mpsc::unbounded_channel();
    let (mut info, fault) = open(&server, peer, end);
    let secured = tokio::select! {
        secured = secure(&server, &mut info, tcp, fault) => secured,
        _ = ended.recv() => Err(Ending::server("ended by a control call").lossy()),
    };
    let ending = match secured {
        Err(ending) => ending,
        Ok(mut wire) => {
            let ending = tokio::select! {
                ending = requests(&server, info, &mut wire) => ending,
                Some(is_reset) = ended.recv() => {
                    Ending { is_reset, ..Ending::server("ended by a control call").lossy() }
                }
            };
            finish(wire, &ending).await;
            ending
        }
    };
    close(&server, info, ending);
}

/// Serves a connection of the control port.
pub(crate) async fn serve_api(server: Arc<Server>, tcp: TcpStream) {
    let _ = tcp.set_nodelay(true);
    let mut wire = Wire::new(Stream::Plain(tcp));
    while let Ok(Some(head)) = wire.read_head().await {
        let Ok(body) = wire.read_body(&head).await else {
            return;
        };
        if !answer_api(&server, &mut wire, &head, body).await {
            return;
        }
    }
}

fn open(
    server: &Server,
    peer: SocketAddr,
    end: mpsc::UnboundedSender<bool>,
) -> (LinkInfo, Option<Fault>) {
    server.change(|state, now| {
        state.opened += 1;
        let info = LinkInfo {
            number: state.opened,
            peer,
            transport: "tcp",
        };
        state.links.insert(
            info.number,
            Link {
                info,
                agent: None,
                end,
            },
        );
        let occasion = Occasion {
            on: On::Connection,
            agent: None,
            path: "",
            transport: "tcp",
            parts: None,
        };
        let fault = state.faults.choose(&occasion);
        let reason = fault.as_ref().map(|fault| format!("rule {}", fault.rule));
        let what = What::Connection {
            event: "opened",
            by: None,
            reason,
            tls: Json::Null,
        };
        state.push(now, None, Some(info), Vec::new(), what);
        (info, fault)
    })
}

fn close(server: &Server, info: LinkInfo, ending: Ending) {
    server.change(|state, now| {
        let agent = state.links.remove(&info.number).and_then(|link| link.agent);
        state.closed += 1;
        if ending.is_loss {
            state.on_lost(agent);
        }
        let (by, reason) = (Some(ending.by), Some(ending.reason));
        let what = What::Connection {
            event: "closed",
            by,
            reason,
            tls: Json::Null,
        };
        state.push(now, agent, Some(info), Vec::new(), what);
    });
}

/// Applies what a rule wants of the connection, and TLS where the first byte asks for it.
async fn secure(
    server: &Server,
    info: &mut LinkInfo,
    tcp: TcpStream,
    fault: Option<Fault>,
) -> Result<Wire, Ending> {
    let accept = fault.as_ref().and_then(|fault| fault.action.accept);
    let rule = fault.as_ref().map_or("", |fault| &fault.rule);
    match accept {
        Some(Accept::Close) => return Err(Ending::fault(rule, false)),
        Some(Accept::Reset) => {
            let _ = tcp.set_zero_linger();
            return Err(Ending::fault(rule, true));
        }
        Some(Accept::Silent) => {
            let error = Wire::new(Stream::Plain(tcp)).peer_gone().await;
            return Err(Ending::agent(error.to_string()).lossy());
        }
        _ => {}
    }
    let mut first = [0];
    match tcp.peek(&mut first).await {
        Ok(0) => return Err(Ending::agent("closed without a byte")),
        Ok(_) => {}
        Err(error) => return Err(Ending::agent(error.to_string())),
    }
    let is_tls = first[0] == 0x16;
    info.transport = if is_tls { "https" } else { "http" };
    let stream = match &server.tls {
        Some(tls) if is_tls => {
            let named = fault
                .as_ref()
                .and_then(|fault| fault.action.certificate.clone());
            let name = named.unwrap_or_else(|| server.state().certificate.clone());
            let stream = tls.accept(tcp, &name).await;
            let (stream, facts) = stream.map_err(|error| Ending {
                by: if is_refusal(&error) {
                    "server"
                } else {
                    "agent"
                },
                ..Ending::agent(format!("TLS handshake with {name:?}: {error}"))
            })?;
            server.change(|state, now| {
                let what = What::Connection {
                    event: "secured",
                    by: None,
                    reason: None,
                    tls: facts,
                };
                state.push(now, None, Some(*info), Vec::new(), what);
            });
            Stream::Tls(Box::new(stream))
        }
        _ => Stream::Plain(tcp),
    };
    let mut wire = Wire::new(stream);
    match accept {
        Some(Accept::CloseAfterTls) => Err(Ending::fault(rule, false)),
        Some(Accept::ResetAfterTls) => {
            let _ = wire.stream.tcp().set_zero_linger();
            Err(Ending::fault(rule, true))
        }
        Some(Accept::SilentAfterTls) => {
            Err(Ending::agent(wire.peer_gone().await.to_string()).lossy())
        }
        _ => Ok(wire),
    }
}

/// One request after the other, until the connection ends.
async fn requests(server: &Arc<Server>, info: LinkInfo, wire: &mut Wire) -> Ending {
    loop {
        let head = match wire.read_head().await {
            Ok(Some(head)) => head,
            Ok(None) => return Ending::agent("closed between two requests"),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                let _ = write(
                    wire,
                    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                )
                .await;
                return Ending::server(format!("no HTTP: {error}"));
            }
            Err(error) => return Ending::agent(error.to_string()).lossy(),
        };
        let ending = if head.path() == "/api" || head.path().starts_with("/api/") {
            let Ok(body) = wire.read_body(&head).await else {
                return Ending::agent("closed in a control call");
            };
            let is_kept = answer_api(server, wire, &head, body).await;
            (!is_kept).then(|| Ending::server("as a control call asked"))
        } else {
            exchange(server, info, wire, head).await
        };
        if let Some(ending) = ending {
            return ending;
        }
    }
}

/// One OpAMP exchange; none when the connection goes on. A WebSocket upgrade will branch off here.
async fn exchange(
    server: &Arc<Server>,
    info: LinkInfo,
    wire: &mut Wire,
    head: Head,
) -> Option<Ending> {
    let early = server.change(|state, _| state.early_fault(info, &head));
    if let Some(fault) = &early {
        if let Some(span) = fault.action.wait_before_reading {
            tokio::time::sleep(span.0).await;
        }
        if let Some(dropped) = fault.action.drop {
            let reply = unread(server, info, head, fault.clone());
            let plan = plan(&reply, false);
            server.change(|state, now| state.on_answer(now, info, &reply, plan.sent, None));
            return Some(Ending::fault(&fault.rule, dropped.is_reset()));
        }
    }
    let body = match wire.read_body(&head).await {
        Ok(body) => body,
        Err(error) => return Some(Ending::agent(error.to_string()).lossy()),
    };
    let keeps_alive = head.keeps_alive();
    let reply = server.change(|state, now| state.on_request(now, info, head, body, early));
    answer(server, info, wire, reply, keeps_alive).await
}

/// Notes a request that a rule does not let the server read.
fn unread(server: &Server, info: LinkInfo, head: Head, fault: Fault) -> Reply {
    let agent = head.instance_uid();
    let received = crate::timeline::Received {
        http: Some(head),
        body: Bytes::new(),
        message: None,
        parts: Vec::new(),
        is_full: false,
        error: Some("not read".into()),
    };
    let what = What::Received(received);
    let index = server.change(|state, now| {
        if let Some(link) = state.links.get_mut(&info.number) {
            link.agent = agent;
        }
        state.push(now, agent, Some(info), Vec::new(), what)
    });
    Reply {
        index,
        agent,
        content: Content::Message(Bytes::new()),
        fault: Some(fault),
    }
}

async fn answer(
    server: &Arc<Server>,
    info: LinkInfo,
    wire: &mut Wire,
    reply: Reply,
    keeps_alive: bool,
) -> Option<Ending> {
    let action = reply
        .fault
        .as_ref()
        .map(|fault| fault.action.clone())
        .unwrap_or_default();
    if let Some(span) = action.wait {
        tokio::select! {
            () = tokio::time::sleep(span.0) => {}
            error = wire.peer_gone() => return Some(Ending::agent(error.to_string()).lossy()),
        }
    }
    let rule = reply
        .fault
        .as_ref()
        .map_or(String::new(), |fault| fault.rule.clone());
    let (reply, plan) = if action.body.is_some() {
        // Some bodies are long to make; others are served meanwhile.
        let made = tokio::task::spawn_blocking(move || {
            let plan = plan(&reply, keeps_alive);
            (reply, plan)
        });
        made.await.expect("a plan does not panic")
    } else {
        let plan = plan(&reply, keeps_alive);
        (reply, plan)
    };
    let Plan {
        steps,
        sent,
        silence,
    } = plan;
    server.change(|state, now| {
        let not_before = silence.map(|span| (now + span, "HTTP-10"));
        state.on_answer(now, info, &reply, sent, not_before);
    });
    for step in steps {
        let close_by_fault = |is_reset| match rule.as_str() {
            "" => Ending::server("as the request asked"),
            rule => Ending::fault(rule, is_reset),
        };
        let done = match step {
            Step::Close => return Some(close_by_fault(false)),
            Step::Reset => return Some(close_by_fault(true)),
            step => take(wire, step).await,
        };
        if let Err(error) = done {
            return Some(Ending::agent(error.to_string()).lossy());
        }
    }
    None
}

async fn finish(mut wire: Wire, ending: &Ending) {
    if ending.is_reset {
        let _ = wire.stream.tcp().set_zero_linger();
    } else if ending.by != "agent" {
        let _ = tokio::time::timeout(GOODBYE, wire.stream.shutdown()).await;
    }
}

/// Answers a control call; false when the connection shall end.
async fn answer_api(server: &Arc<Server>, wire: &mut Wire, head: &Head, body: Bytes) -> bool {
    let (status, json) = tokio::select! {
        answer = api::answer(server, head, &body) => answer,
        _ = wire.peer_gone() => return false,
    };
    let mut body = serde_json::to_vec_pretty(&json).expect("JSON is serializable");
    body.push(b'\n');
    let keeps_alive = head.keeps_alive();
    let connection = if keeps_alive { "keep-alive" } else { "close" };
    let head = format!(
        "HTTP/1.1 {status} API\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: {connection}\r\n\r\n",
        body.len()
    );
    let is_written = write(wire, &[head.as_bytes(), &body].concat())
        .await
        .is_ok();
    is_written && keeps_alive
}
