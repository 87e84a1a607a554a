//! The control API: JSON over HTTP under /api. README.md shows each call.
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::control::calls;
use crate::control::expect::List;
use crate::control::query::{Answer, Query, bad};
use crate::control::wait::{Scan, Until, wait};
use crate::vocabulary::codec;
use crate::vocabulary::cut::How;
use crate::vocabulary::head::Head;
use crate::vocabulary::text::{Span, hex, millis};
use crate::world::faults::Script;
use crate::world::offers::{Offer, OfferSpec};
use crate::world::server::Server;
use crate::world::state::{Port, State};
use crate::world::timeline::{Entry, KINDS};

const WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Answers one call.
pub(crate) async fn answer(server: &Arc<Server>, head: &Head, body: &[u8]) -> (u16, Json) {
    match route(server, head, body).await {
        Ok(answer) => answer,
        Err((status, error)) => (status, json!({"error": error})),
    }
}

async fn route(server: &Arc<Server>, head: &Head, body: &[u8]) -> Answer {
    let path = head.path();
    let path = path.strip_prefix("/api").unwrap_or(path).trim_matches('/');
    let query = Query::parse(head.query()).only(keys(&head.method, path))?;
    match (head.method.as_str(), path) {
        ("GET", "") => about(server),
        ("GET", "timeline") => timeline(server, &query),
        ("DELETE", "timeline") => change(server, "timeline reset", |state| state.timeline.clear()),
        ("GET", "problems") => problems(server, &query),
        ("GET", "agents") => agents(server),
        ("DELETE", "agents") => change(server, "agents forgotten", |state| state.forget()),
        ("GET", "config") => Ok((200, server.state().offers.show())),
        ("POST", "config") => offer(server, read(body)?),
        ("DELETE", "config") => {
            let agent = query.agent()?;
            change(server, "offer withdrawn", |state| {
                state.offers.withdraw(agent)
            })
        }
        ("POST", "capabilities") => capabilities(server, read(body)?),
        ("POST", "next") => calls::next(server, read(body)?),
        ("DELETE", "next") => change(server, "queued answers dropped", |state| {
            state.next.clear();
            state
                .agents
                .values_mut()
                .for_each(|agent| agent.next.clear());
        }),
        ("POST", "interval") => interval(server, read(body)?),
        ("GET", "faults") => Ok((200, server.state().faults.show())),
        ("POST", "faults") => faults(server, read(body)?),
        ("DELETE", "faults") => change(server, "faults cleared", |state| state.faults.clear()),
        ("POST", "listen") => listen(server, read(body)?).await,
        ("POST", "certificate") => certificate(server, read(body)?),
        ("POST", "connections") => calls::connections(server, read(body)?),
        ("POST", "push") => calls::push(server, read(body)?),
        ("POST", "ping") => calls::ping(server, read(body)?),
        ("POST", "expect") => expect(server, read(body)?).await,
        ("GET", "wait") => wait_for(server, &query).await,
        ("GET", path) if path.starts_with("agents/") => agent(server, &path[7..]),
        (method @ ("GET" | "POST" | "DELETE"), path) => Err((
            404,
            format!("there is no {method} /api/{path}; see devserver/README.md"),
        )),
        (method, _) => Err((405, format!("{method} is not used here"))),
    }
}

/// What the query string of a call may hold.
fn keys(method: &str, path: &str) -> &'static [&'static str] {
    match (method, path) {
        ("GET", "timeline") => &[
            "agent", "since", "limit", "part", "kind", "problem", "detail",
        ],
        ("GET", "problems") => &["agent", "since"],
        ("GET", "wait") => &["until", "agent", "since", "timeout", "detail"],
        ("DELETE", "config") => &["agent"],
        _ => &[],
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, (u16, String)> {
    serde_json::from_slice(body).map_err(|error| (400, error.to_string()))
}

fn change(server: &Server, what: &str, change: impl FnOnce(&mut State)) -> Answer {
    server.change(|state, now| {
        change(state);
        state.note(now, None, what.to_owned());
        Ok((200, json!({"next": state.timeline.next()})))
    })
}

fn about(server: &Server) -> Answer {
    let mut about = server.state().show();
    about["endpoint"] = json!(server.endpoint());
    about["endpoints"] = server.endpoints();
    about["api"] = json!(server.api());
    about["tls"] = json!(server.tls.as_ref().map(|tls| &tls.files));
    about["at_ms"] = json!(millis(server.now()));
    Ok((200, about))
}

fn timeline(server: &Server, query: &Query) -> Answer {
    let (agent, since) = (query.agent()?, query.number("since", 0)?);
    let limit = query.number("limit", 1000)? as usize;
    let (part, kind) = (query.part()?, query.value("kind"));
    if let Some(kind) = kind.filter(|kind| !KINDS.contains(kind)) {
        return Err(bad(format!(
            "no entry is of kind {kind:?}: {}",
            KINDS.join(", ")
        )));
    }
    let (detail, problem) = (query.is_set("detail"), query.is_set("problem"));
    let state = server.state();
    let wanted = |entry: &&Arc<Entry>| {
        entry.is_of(agent)
            && part.is_none_or(|part| entry.parts().contains(&part))
            && kind.is_none_or(|kind| entry.kind() == kind)
            && (!problem || entry.problems().next().is_some())
    };
    let entries: Vec<Arc<Entry>> = state
        .timeline
        .since(since)
        .filter(wanted)
        .take(limit)
        .cloned()
        .collect();
    let next = match entries.last() {
        _ if entries.len() < limit => state.timeline.next(),
        Some(last) => last.index + 1,
        None => since,
    };
    drop(state);
    let shown: Vec<Json> = entries.iter().map(|entry| entry.show(detail)).collect();
    Ok((200, json!({"entries": shown, "next": next})))
}

fn problems(server: &Server, query: &Query) -> Answer {
    let (agent, since) = (query.agent()?, query.number("since", 0)?);
    let state = server.state();
    let mut problems = Vec::new();
    for entry in state
        .timeline
        .since(since)
        .filter(|entry| entry.is_of(agent))
    {
        for verdict in entry.problems() {
            let mut problem = verdict.show();
            problem["index"] = json!(entry.index);
            problem["at_ms"] = json!(millis(entry.at));
            problem["agent"] = json!(entry.agent.map(|agent| agent.to_string()));
            problems.push(problem);
        }
    }
    Ok((
        200,
        json!({"problems": problems, "next": state.timeline.next()}),
    ))
}

fn agents(server: &Server) -> Answer {
    let now = server.now();
    let state = server.state();
    let agents: Vec<Json> = state.agents.values().map(|agent| agent.show(now)).collect();
    Ok((200, json!({"agents": agents})))
}

fn agent(server: &Server, uid: &str) -> Answer {
    let uid = Uuid::parse_str(uid).map_err(|error| bad(error.to_string()))?;
    let state = server.state();
    let found = state
        .agents
        .values()
        .find(|a| a.uid == uid || a.former.contains(&uid));
    let agent = found.ok_or((404, format!("no agent {uid}")))?;
    Ok((200, agent.show(server.now())))
}

fn offer(server: &Server, spec: OfferSpec) -> Answer {
    server.change(|state, now| {
        let offer = Offer::read(spec, now).map_err(bad)?;
        let (hash, agent) = (hex(&offer.hash), offer.agent);
        let since = state.timeline.next();
        state.offers.put(offer);
        state.note(now, agent, format!("offer {hash}"));
        calls::push_offer(state, agent);
        Ok((200, json!({"hash": hash, "since": since})))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CapabilitiesSpec {
    capabilities: Json,
}

fn capabilities(server: &Server, spec: CapabilitiesSpec) -> Answer {
    let mask = codec::read_mask("ServerCapabilities", &spec.capabilities).map_err(bad)?;
    change(server, "capabilities set", |state| {
        state.capabilities = mask
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IntervalSpec {
    #[serde(default)]
    agent: Option<Uuid>,
    /// Null: not judged any more.
    interval: Option<Span>,
}

fn interval(server: &Server, spec: IntervalSpec) -> Answer {
    if let Some(uid) = spec
        .agent
        .filter(|uid| !server.state().agents.contains_key(uid))
    {
        return Err((404, format!("no agent {uid}")));
    }
    change(server, "interval expected", |state| {
        for uid in state.meant(spec.agent) {
            if let Some(agent) = state.agents.get_mut(&uid) {
                agent.watch.interval = spec.interval.map(|span| span.0);
            }
        }
    })
}

fn faults(server: &Server, script: Script) -> Answer {
    script.check(server.tls.as_ref()).map_err(bad)?;
    server.change(|state, now| {
        let since = state.timeline.next();
        let what = [script.row.as_deref(), script.why.as_deref()]
            .into_iter()
            .flatten();
        let text = format!("faults set: {}", what.collect::<Vec<_>>().join(", "));
        state.faults.load(script).map_err(bad)?;
        state.note(now, None, text);
        Ok((200, json!({"rules": state.faults.show(), "since": since})))
    })
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Ends {
    Close,
    Reset,
    Vanish,
    Keep,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListenSpec {
    listening: bool,
    /// Instead of refusing, a port that is down does not answer at all.
    #[serde(default)]
    hang: bool,
    /// What becomes of the open connections when the port goes down.
    #[serde(default = "close")]
    connections: Ends,
}

fn close() -> Ends {
    Ends::Close
}

async fn listen(server: &Server, spec: ListenSpec) -> Answer {
    let (port, text) = match (spec.listening, spec.hang) {
        (true, _) => (Port::Accepts, "listening again"),
        (false, false) => (Port::Refuses, "stopped listening"),
        (false, true) => (Port::Hangs, "stopped answering"),
    };
    let _turn = server.moving.lock().await;
    server
        .port
        .send_if_modified(|wanted| std::mem::replace(wanted, port) != port);
    if wait(server, WAIT, |state| (state.port == port).then_some(()))
        .await
        .is_none()
    {
        return Err((500, "the port did not change its state".into()));
    }
    change(server, text, |state| {
        let how = match spec.connections {
            Ends::Close => How::Close,
            Ends::Reset => How::Reset,
            Ends::Vanish => How::Vanish,
            Ends::Keep => return,
        };
        for link in state.links.values().filter(|_| !spec.listening) {
            let _ = link.end.send(how);
        }
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateSpec {
    certificate: String,
}

fn certificate(server: &Server, spec: CertificateSpec) -> Answer {
    let name = spec.certificate;
    if !server.tls.as_ref().is_some_and(|tls| tls.has(&name)) {
        return Err((404, format!("there is no certificate {name:?}")));
    }
    change(server, &format!("certificate {name}"), |state| {
        state.certificate = name.clone()
    })
}

async fn expect(server: &Arc<Server>, list: List) -> Answer {
    list.check().map_err(bad)?;
    Ok((200, list.judge(server, false).await.show()))
}

async fn wait_for(server: &Server, query: &Query) -> Answer {
    let text = query
        .value("until")
        .ok_or_else(|| bad("until is missing"))?;
    let until = Until::parse(text).map_err(bad)?;
    let timeout = query
        .value("timeout")
        .map_or(Ok(Span(WAIT)), Span::parse)
        .map_err(bad)?;
    let mut scan = Scan::new(until, query.agent()?, query.number("since", 0)?);
    let found = wait(server, timeout.0.min(LONGEST_WAIT), |state| {
        scan.look(state).map(|entry| (entry, state.timeline.next()))
    });
    match found.await {
        Some((entry, next)) => {
            let entry = entry.show(query.is_set("detail"));
            Ok((200, json!({"entry": entry, "next": next})))
        }
        None => Err((408, format!("{text} did not come true"))),
    }
}
