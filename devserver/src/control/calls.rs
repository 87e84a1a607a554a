//! Control calls to agents and their connections: what they are told next or at once, and how it
//! ends.
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::control::query::{Answer, bad};
use crate::vocabulary::action::{Action, On};
use crate::vocabulary::codec;
use crate::vocabulary::cut;
use crate::vocabulary::frame::CloseSpec;
use crate::vocabulary::text::{from_base64, from_hex};
use crate::world::agents::Next;
use crate::world::server::Server;
use crate::world::socket::Order;
use crate::world::state::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NextSpec {
    #[serde(default)]
    agent: Option<Uuid>,
    #[serde(default)]
    answer: Option<Json>,
    #[serde(default)]
    raw_hex: Option<String>,
    #[serde(default)]
    raw_base64: Option<String>,
    /// With nothing of the usual answer; the default where the schema says that nothing else
    /// counts.
    #[serde(default)]
    alone: Option<bool>,
    #[serde(default = "one")]
    times: usize,
}

/// More answers than that wait for nobody.
const MOST_ANSWERS: usize = 100_000;

fn one() -> usize {
    1
}

/// What the next answers say.
pub(crate) fn next(server: &Server, spec: NextSpec) -> Answer {
    let next = message(spec.answer, spec.raw_hex, spec.raw_base64, spec.alone)?;
    let agent = spec.agent;
    if spec.times > MOST_ANSWERS {
        return Err(bad(format!("times is at most {MOST_ANSWERS}")));
    }
    server.change(|state, now| {
        let since = state.timeline.next();
        let all = std::iter::repeat_n(next, spec.times);
        match agent {
            None => state.next.extend(all),
            Some(uid) => match state.agents.get_mut(&uid) {
                Some(agent) => agent.next.extend(all),
                None => return Err((404, format!("no agent {uid}"))),
            },
        }
        state.note(now, agent, format!("{} answers queued", spec.times));
        Ok((200, json!({"since": since})))
    })
}

fn message(
    answer: Option<Json>,
    raw_hex: Option<String>,
    raw_base64: Option<String>,
    alone: Option<bool>,
) -> Result<Next, (u16, String)> {
    let raw = match (raw_hex, raw_base64) {
        (Some(text), None) => Some(from_hex(&text).map_err(bad)?),
        (None, Some(text)) => Some(from_base64(&text).map_err(bad)?),
        (None, None) => None,
        _ => return Err(bad("raw_hex or raw_base64, not both")),
    };
    match (raw, answer) {
        (Some(message), None) => Ok(Next {
            message,
            is_alone: true,
            is_raw: true,
        }),
        (None, Some(answer)) => {
            let message = codec::read("ServerToAgent", &answer).map_err(bad)?;
            let has = |part: &str| answer.get(part).is_some();
            Ok(Next {
                message,
                is_alone: alone.unwrap_or(has("error_response") || has("command")),
                is_raw: false,
            })
        }
        _ => Err(bad("either answer or raw bytes")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PushSpec {
    #[serde(default)]
    agent: Option<Uuid>,
    #[serde(default)]
    connection: Option<u64>,
    #[serde(default)]
    answer: Option<Json>,
    #[serde(default)]
    raw_hex: Option<String>,
    #[serde(default)]
    raw_base64: Option<String>,
    #[serde(default)]
    alone: Option<bool>,
    /// Spoils the message as the `do` of a fault rule.
    #[serde(default, rename = "do")]
    action: Option<Json>,
}

/// A message that nobody asked for, to everyone meant who is there by WebSocket.
pub(crate) fn push(server: &Server, spec: PushSpec) -> Answer {
    let next = message(spec.answer, spec.raw_hex, spec.raw_base64, spec.alone)?;
    let action = spec
        .action
        .map(|json| Action::read(&json, On::Message))
        .transpose();
    let action = action.map_err(bad)?;
    order(
        server,
        spec.agent,
        spec.connection,
        "messages pushed",
        |state, agent| {
            let message = match agent {
                Some(uid) => state.unasked(uid, &next),
                None => Bytes::from(next.message.clone()),
            };
            Order::Push(message, Box::new(action.clone().unwrap_or_default()))
        },
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PingSpec {
    #[serde(default)]
    agent: Option<Uuid>,
    #[serde(default)]
    connection: Option<u64>,
    #[serde(default)]
    hex: String,
}

pub(crate) fn ping(server: &Server, spec: PingSpec) -> Answer {
    let payload: Bytes = from_hex(&spec.hex).map_err(bad)?.into();
    order(server, spec.agent, spec.connection, "pings sent", |_, _| {
        Order::Ping(payload.clone())
    })
}

/// Gives an order to each WebSocket meant; there must be one.
fn order(
    server: &Server,
    agent: Option<Uuid>,
    connection: Option<u64>,
    what: &str,
    make: impl Fn(&State, Option<Uuid>) -> Order,
) -> Answer {
    server.change(|state, now| {
        let since = state.timeline.next();
        let mut given = 0;
        for (link, socket) in state.sockets(agent, connection) {
            given += u64::from(socket.orders.send(make(state, link.agent)).is_ok());
        }
        if given == 0 {
            return Err((404, "nobody meant is there by WebSocket".into()));
        }
        state.note(now, agent, format!("{given} {what}"));
        Ok((200, json!({"number": given, "since": since})))
    })
}

/// Sends the present offer to every agent that is there by WebSocket and should have it.
pub(crate) fn push_offer(state: &mut State, agent: Option<Uuid>) {
    let there = state.sockets(agent, None);
    let there: Vec<_> = there
        .filter_map(|(link, _)| Some((link.info.number, link.agent?)))
        .collect();
    for (number, uid) in there {
        let hash = state.offers.of(uid).map(|offer| offer.hash.clone().into());
        let offer = state.offer_unasked(uid);
        if let (Some(offer), Some(socket)) = (offer, state.socket(number)) {
            // An answer that is made before it leaves need not bring it too.
            socket.offered = hash;
            let _ = socket.orders.send(Order::Push(offer, Box::default()));
        }
    }
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum How {
    /// As each transport does it politely.
    Close,
    /// The TCP connection alone.
    Drop,
    Reset,
    Vanish,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionsSpec {
    how: How,
    #[serde(default)]
    agent: Option<Uuid>,
    #[serde(default)]
    connection: Option<u64>,
    /// Of the Close frame of a WebSocket.
    #[serde(default = "going_away")]
    code: u16,
    #[serde(default)]
    reason: String,
}

fn going_away() -> u16 {
    1001
}

/// Ends connections.
pub(crate) fn connections(server: &Server, spec: ConnectionsSpec) -> Answer {
    server.change(|state, now| {
        let since = state.timeline.next();
        let mut ended = 0;
        for link in state.links.values() {
            let is_agent = spec.agent.is_none_or(|agent| link.agent == Some(agent));
            let number = link.info.number;
            if !is_agent || spec.connection.is_some_and(|wanted| wanted != number) {
                continue;
            }
            let is_told = match (spec.how, &link.socket) {
                (How::Close, Some(socket)) => {
                    let close = CloseSpec::of(spec.code, &spec.reason);
                    socket.orders.send(Order::Close(close)).is_ok()
                }
                (How::Close | How::Drop, _) => link.end.send(cut::How::Close).is_ok(),
                (How::Reset, _) => link.end.send(cut::How::Reset).is_ok(),
                (How::Vanish, _) => link.end.send(cut::How::Vanish).is_ok(),
            };
            ended += u64::from(is_told);
        }
        state.note(now, spec.agent, format!("{ended} connections ended"));
        Ok((200, json!({"ended": ended, "since": since})))
    })
}
