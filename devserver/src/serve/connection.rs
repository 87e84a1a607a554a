//! One connection from its first byte to its end, and what becomes of each request on it.
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::judge::websocket::judge_end;
use crate::reply::answer::{Plan, plan};
use crate::reply::compose::{Content, Reply};
use crate::serve::control_http;
use crate::serve::ending::{Ending, GOODBYE};
use crate::serve::http::{Stream, Wire};
use crate::serve::line::{Line, tripped};
use crate::serve::steps::{take_all, write};
use crate::serve::websocket::upgrade;
use crate::vocabulary::action::{Accept, Action, On};
use crate::vocabulary::cut::How;
use crate::vocabulary::head::Head;
use crate::world::faults::{Fault, Occasion};
use crate::world::server::Server;
use crate::world::state::Link;
use crate::world::timeline::{Carrier, LinkInfo, Received, What};
use crate::world::tls::is_refusal;

/// Serves a connection of the OpAMP port.
pub(crate) async fn serve(server: Arc<Server>, tcp: TcpStream, peer: SocketAddr) {
    let _ = tcp.set_nodelay(true);
    let (end, mut ended) = mpsc::unbounded_channel();
    let (mut info, fault) = open(&server, peer, end);
    let mut wire = Wire::new(Stream::Plain(Line::new(tcp)));
    let by_call = |how| Ending {
        how,
        ..Ending::server("ended by a control call").lossy()
    };
    let mut ending = tokio::select! {
        ending = serve_wire(&server, &mut info, &mut wire, fault) => ending,
        Some(how) = ended.recv() => by_call(how),
    };
    if ending.how == How::Vanish {
        vanish(&server, info, &wire, &ending);
        // Until a call ends it the agent meets a host that is gone.
        let how = ended.recv().await.unwrap_or(How::Reset);
        ending = by_call(if how == How::Vanish { How::Reset } else { how });
    }
    finish(wire, &ending).await;
    close(&server, info, ending);
}

async fn serve_wire(
    server: &Arc<Server>,
    info: &mut LinkInfo,
    wire: &mut Wire,
    fault: Option<Fault>,
) -> Ending {
    match secure(server, info, wire, fault).await {
        Ok(()) => requests(server, *info, wire).await,
        Err(ending) => ending,
    }
}

fn vanish(server: &Server, info: LinkInfo, wire: &Wire, ending: &Ending) {
    wire.stream.line().inspect(|line| line.vanish());
    server.change(|state, now| {
        let link = state.links.get_mut(&info.number);
        let (agent, socket) = link.map_or((None, None), |link| (link.agent, link.socket.take()));
        state.on_lost(agent);
        if socket.is_some() {
            state.on_socket_gone(now, agent, info.number);
        }
        let what = What::Connection {
            event: "vanished",
            by: Some(ending.by),
            reason: Some(ending.reason.clone()),
            tls: Json::Null,
        };
        state.push(now, agent, Some(info), Vec::new(), what);
    });
}

fn open(
    server: &Server,
    peer: SocketAddr,
    end: mpsc::UnboundedSender<How>,
) -> (LinkInfo, Option<Fault>) {
    server.change(|state, now| {
        state.opened += 1;
        let info = LinkInfo {
            number: state.opened,
            peer,
            transport: "tcp",
        };
        let occasion = Occasion {
            on: On::Connection,
            agent: None,
            path: "",
            transport: "tcp",
            parts: None,
        };
        let fault = state.faults.choose(&occasion);
        state.links.insert(
            info.number,
            Link {
                info,
                agent: None,
                end,
                is_spoilt: fault.is_some(),
                socket: None,
            },
        );
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
        let link = state.links.get(&info.number);
        let is_by_agent = ending.by == "agent";
        let verdicts = link.map_or(Vec::new(), |link| judge_end(state, now, link, is_by_agent));
        let link = state.links.remove(&info.number);
        let agent = link.as_ref().and_then(|link| link.agent);
        let info = link.as_ref().map_or(info, |link| link.info);
        state.closed += 1;
        if ending.is_loss {
            state.on_lost(agent);
        }
        if link.is_some_and(|link| link.socket.is_some()) {
            state.on_socket_gone(now, agent, info.number);
        }
        let (by, reason) = (Some(ending.by), Some(ending.reason));
        let what = What::Connection {
            event: "closed",
            by,
            reason,
            tls: Json::Null,
        };
        state.push(now, agent, Some(info), verdicts, what);
    });
}

/// Applies what a rule wants of the connection, and TLS where the first byte asks for it.
async fn secure(
    server: &Server,
    info: &mut LinkInfo,
    wire: &mut Wire,
    fault: Option<Fault>,
) -> Result<(), Ending> {
    let (rule, action) = match &fault {
        Some(fault) => (fault.rule.as_str(), fault.action.clone()),
        None => ("", Action::default()),
    };
    match action.accept {
        Some(Accept::Close) => return Err(Ending::fault(rule, How::Close)),
        Some(Accept::Reset) => return Err(Ending::fault(rule, How::Reset)),
        Some(Accept::Vanish) => return Err(Ending::fault(rule, How::Vanish)),
        Some(Accept::Silent) => {
            let error = wire.peer_gone().await;
            return Err(Ending::agent(error.to_string()).lossy());
        }
        _ => {}
    }
    if let Some(span) = action.wait {
        tokio::time::sleep(span.0).await;
    }
    let Stream::Plain(line) = &mut wire.stream else {
        return Ok(());
    };
    line.spoil(rule, action.sending, action.reading, action.dribble);
    let mut first = [0];
    match line.tcp().peek(&mut first).await {
        Ok(0) => return Err(Ending::agent("closed without a byte")),
        Ok(_) => {}
        Err(error) => return Err(Ending::agent(error.to_string())),
    }
    let is_tls = first[0] == 0x16;
    info.transport = if is_tls { "https" } else { "http" };
    if is_tls {
        handshake(server, *info, wire, &action).await?;
    }
    match action.accept {
        Some(Accept::CloseAfterTls) => Err(Ending::fault(rule, How::Close)),
        Some(Accept::ResetAfterTls) => Err(Ending::fault(rule, How::Reset)),
        Some(Accept::SilentAfterTls) => {
            Err(Ending::agent(wire.peer_gone().await.to_string()).lossy())
        }
        _ => Ok(()),
    }
}

/// The server's side of TLS, where it has any.
async fn handshake(
    server: &Server,
    info: LinkInfo,
    wire: &mut Wire,
    action: &Action,
) -> Result<(), Ending> {
    let Some(tls) = &server.tls else {
        return Ok(());
    };
    let named = action.certificate.clone();
    let name = named.unwrap_or_else(|| server.state().certificate.clone());
    let facts = wire
        .stream
        .secure(tls, &name)
        .await
        .map_err(|error| match tripped(&error) {
            Some(_) => Ending::of(&error),
            None => Ending {
                by: if is_refusal(&error) {
                    "server"
                } else {
                    "agent"
                },
                ..Ending::agent(format!("TLS handshake with {name:?}: {error}"))
            },
        })?;
    server.change(|state, now| {
        let what = What::Connection {
            event: "secured",
            by: None,
            reason: None,
            tls: facts,
        };
        state.push(now, None, Some(info), Vec::new(), what);
    });
    Ok(())
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
            Err(error) => return Ending::of(&error).lossy(),
        };
        if control_http::is_refused(server, wire, &head).await {
            return Ending::server("its Host or Origin is not served");
        }
        let ending = if head.path() == "/api" || head.path().starts_with("/api/") {
            let body = match wire.read_body(&head).await {
                Ok(body) => body,
                Err(error) => {
                    control_http::refuse(wire, &error).await;
                    return Ending::agent(format!("in a control call: {error}"));
                }
            };
            let is_kept = control_http::answer(server, wire, &head, body).await;
            (!is_kept).then(|| Ending::server("as a control call asked"))
        } else if upgrade::is_wanted(&head) {
            upgrade::serve(server, info, wire, head).await
        } else {
            exchange(server, info, wire, head).await
        };
        if let Some(ending) = ending {
            return ending;
        }
    }
}

/// One OpAMP exchange; none when the connection goes on.
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
            return Some(Ending::fault(&fault.rule, dropped.how()));
        }
    }
    let body = match wire.read_body(&head).await {
        Ok(body) => body,
        Err(error) => return Some(Ending::of(&error).lossy()),
    };
    let keeps_alive = head.keeps_alive();
    let reply = server.change(|state, now| state.on_request(now, info, head, body, early));
    answer(server, info, wire, reply, keeps_alive).await
}

/// Notes a request that a rule does not let the server read.
fn unread(server: &Server, info: LinkInfo, head: Head, fault: Fault) -> Reply {
    let agent = head.instance_uid();
    let received = Received {
        carrier: Carrier::Http(head),
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
        has_news: false,
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
    match take_all(wire, steps).await {
        Err(error) => Some(Ending::of(&error).lossy()),
        Ok(how) => how.map(|how| Ending::answered(reply.rule(), how)),
    }
}

async fn finish(mut wire: Wire, ending: &Ending) {
    if ending.how == How::Reset {
        wire.stream
            .line()
            .inspect(|line| drop(line.tcp().set_zero_linger()));
    } else if ending.by != "agent" {
        let _ = tokio::time::timeout(GOODBYE, wire.stream.shutdown()).await;
    }
}
