//! What a WebSocket connection shows of the conformance table.
use std::time::Duration;

use crate::judge::facts::Facts;
use crate::vocabulary::head::Head;
use crate::vocabulary::verdict::Verdict;
use crate::world::socket::Socket;
use crate::world::state::{Link, State};
use crate::world::timeline::LinkInfo;

/// So many connections of one agent in so much time are a storm (WS-10).
const STORM: usize = 12;
const STORM_SPAN: Duration = Duration::from_secs(60);
/// The end of a connection may be noticed so much later than the next one is (WS-13).
const LAG: Duration = Duration::from_millis(500);

/// The request for a connection.
pub(crate) fn judge_upgrade(
    state: &mut State,
    now: Duration,
    info: LinkInfo,
    head: &Head,
) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let lacks = |name: &str| head.header(name).is_none_or(str::is_empty);
    for name in ["User-Agent", "OpAMP-Instance-UID"] {
        if lacks(name) {
            verdicts.push(Verdict::fail("WS-14", format!("no {name} on the upgrade")));
        }
    }
    let Some(uid) = head.instance_uid() else {
        return verdicts;
    };
    let recent = state.upgrades.entry(uid).or_default();
    recent.push_back(now);
    while recent.front().is_some_and(|at| now - *at > STORM_SPAN) {
        recent.pop_front();
    }
    if recent.len() > STORM {
        let text = format!("{} connections in the last minute", recent.len());
        verdicts.push(Verdict::fail("WS-10", text));
    }
    let told = state
        .agents
        .get(&uid)
        .and_then(|agent| agent.watch.not_before);
    if let Some((until, row)) = told.filter(|(until, _)| now < *until) {
        let early = (until - now).as_millis();
        let text = format!(
            "#{} comes {early} ms before the time it was told",
            info.number
        );
        verdicts.push(Verdict::fail(row, text));
    }
    verdicts
}

/// A message, beside what is judged of every message.
pub(crate) fn judge_message(facts: &Facts<'_>, socket: &Socket, verdicts: &mut Vec<Verdict>) {
    verdicts.push(Verdict::pass(
        "WS-01",
        "a binary message with a header of 0",
    ));
    if socket.messages > 0 {
        return;
    }
    let is_only = |part| facts.parts.len() == 1 && facts.parts.contains(&part);
    verdicts.push(
        if is_only("agent_disconnect") || is_only("custom_message") {
            Verdict::fail(
                "WS-02",
                format!("the first message has only {:?}", facts.parts),
            )
        } else {
            Verdict::pass("WS-02", "the first message is the status report")
        },
    );
    let body = facts.uid.to_string();
    verdicts.push(match socket.uid {
        Some(uid) if uid == facts.uid => Verdict::pass("WS-14", "the upgrade's uid is the body's"),
        Some(uid) => Verdict::fail(
            "WS-14",
            format!("the upgrade's uid is {uid}, the body's {body}"),
        ),
        None => return,
    });
}

/// The agent's Close frame.
pub(crate) fn judge_close(socket: &Socket, code: Option<u16>) -> Vec<Verdict> {
    let is_working = socket.is_answered && !socket.is_excused;
    if socket.began.is_some() {
        return Vec::new();
    }
    if socket.has_goodbye {
        return vec![Verdict::pass("WS-15", "AgentDisconnect, then Close")];
    }
    // 1001 is a detach: another process goes on. Other codes tell of a fault.
    if is_working && matches!(code, None | Some(1000)) {
        return vec![Verdict::fail("WS-15", "Close without AgentDisconnect")];
    }
    Vec::new()
}

/// The end of a connection, by whom and how it may be.
pub(crate) fn judge_end(
    state: &State,
    now: Duration,
    link: &Link,
    is_by_agent: bool,
) -> Vec<Verdict> {
    let Some(socket) = &link.socket else {
        return Vec::new();
    };
    let mut verdicts = Vec::new();
    verdicts.extend(overlap(state, now, link));
    if !is_by_agent || socket.is_excused {
        return verdicts;
    }
    match (socket.began, socket.has_goodbye) {
        (Some("agent"), true) => {
            verdicts.push(Verdict::pass(
                "WS-09",
                "AgentDisconnect, Close, end of the connection",
            ));
        }
        (Some(_), _) => {}
        (None, true) => verdicts.push(Verdict::fail("WS-09", "no Close after AgentDisconnect")),
        (None, false) if socket.is_answered => {
            let text = "a working connection ended without AgentDisconnect and Close";
            verdicts.push(Verdict::fail("WS-15", text));
        }
        (None, false) => {}
    }
    verdicts
}

/// Another connection of the same agent that is younger than this one, which is still there.
pub(crate) fn overlap(state: &State, now: Duration, link: &Link) -> Option<Verdict> {
    let socket = link.socket.as_ref()?;
    let agent = link.agent.filter(|_| !socket.is_excused)?;
    let (other, _) = state.sockets(Some(agent), None).find(|(other, newer)| {
        other.info.number != link.info.number
            && newer.since > socket.since
            && now - newer.since > LAG
    })?;
    let (old, new) = (link.info.number, other.info.number);
    Some(Verdict::fail(
        "WS-13",
        format!("connection {new} came while {old} was still there"),
    ))
}
