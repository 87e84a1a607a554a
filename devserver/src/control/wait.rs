//! Conditions over the timeline, and waiting for them: no test sleeps.
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::vocabulary::text::from_hex;
use crate::vocabulary::wire::proto::{AgentConfigFile, RemoteConfigStatuses};
use crate::vocabulary::wire::{check_part, short};
use crate::world::server::Server;
use crate::world::state::State;
use crate::world::timeline::{ControlFrame, Entry, Sent, Upgrade, Way, What};

/// What is waited for.
#[derive(Clone, Debug)]
pub(crate) enum Until {
    /// That many entries of a kind, since the index given.
    Count(Counted, u64),
    /// A message, either way, with that part.
    Part(String),
    /// A configuration status, of a hash or of whatever is on offer.
    Status(String, Option<Hash>),
    /// An effective configuration with the files on offer.
    EffectiveIsOffered,
    /// A verdict that failed, of that row or any.
    Problem(Option<String>),
    /// A rule acted that often, or for the last time.
    Fault(String, Option<u64>),
    /// An entry that holds at least this.
    Match(Json),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Counted {
    Messages,
    Requests,
    Heartbeats,
    Full,
    Answers,
    Offers,
    Disconnects,
    Opened,
    Secured,
    Closed,
    Upgrades,
    /// Pings, pongs or Close frames that came.
    Frames(&'static str),
}

#[derive(Clone, Debug)]
pub(crate) enum Hash {
    Offered,
    Is(Vec<u8>),
}

impl Until {
    /// Reads `messages>=3`, `heartbeat`, `part=health`, `status=APPLIED:offered`, `fault=busy:2`,
    /// `match={...}` and so on.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some((name, number)) = text.split_once(">=") {
            let number = number
                .trim()
                .parse()
                .map_err(|_| format!("{number:?} is no number"))?;
            if number == 0 {
                return Err("what is waited for comes at least once".into());
            }
            return counted(name.trim()).map(|kind| Self::Count(kind, number));
        }
        let Some((name, value)) = text.split_once('=') else {
            return match text {
                "problem" => Ok(Self::Problem(None)),
                name => counted(name).map(|kind| Self::Count(kind, 1)),
            };
        };
        match name {
            "part" => check_part(value).map(|()| Self::Part(value.to_owned())),
            "status" => status(value),
            "effective" if value == "offered" => Ok(Self::EffectiveIsOffered),
            "problem" => Ok(Self::Problem(Some(value.to_owned()))),
            "fault" => fault(value),
            "match" => serde_json::from_str(value)
                .map(Self::Match)
                .map_err(|e| e.to_string()),
            _ => Err(unknown(text)),
        }
    }

    fn is_met_by(&self, entry: &Entry, state: &State) -> bool {
        match self {
            Self::Count(kind, _) => kind.counts(entry),
            Self::Part(part) => entry.parts().contains(&part.as_str()),
            Self::Status(name, hash) => has_status(entry, state, name, hash.as_ref()),
            Self::EffectiveIsOffered => has_offered_files(entry, state),
            Self::Problem(row) => entry
                .problems()
                .any(|verdict| row.as_ref().is_none_or(|row| row == verdict.row)),
            Self::Fault(rule, _) => fault_of(entry).is_some_and(|name| name == rule),
            Self::Match(expected) => contains(&entry.show(false), expected),
        }
    }
}

impl Counted {
    fn counts(self, entry: &Entry) -> bool {
        let is_event = |name| matches!(entry.what, What::Connection { event, .. } if event == name);
        let received = entry.received();
        let message = received.filter(|received| received.message.is_some());
        match self {
            Self::Messages => message.is_some(),
            Self::Requests => received.is_some(),
            Self::Heartbeats => message.is_some_and(|message| message.is_heartbeat()),
            Self::Full => message.is_some_and(|message| message.is_full),
            Self::Answers => matches!(
                &entry.what,
                What::Sent(Sent {
                    way: Way::Http(Some(_), _) | Way::Frames(Some(_)),
                    ..
                })
            ),
            Self::Offers => matches!(
                &entry.what,
                What::Sent(Sent { parts, .. }) if parts.contains(&"remote_config")
            ),
            Self::Disconnects => {
                message.is_some_and(|message| message.parts.contains(&"agent_disconnect"))
            }
            Self::Opened => is_event("opened"),
            Self::Secured => is_event("secured"),
            Self::Closed => is_event("closed"),
            Self::Upgrades => matches!(entry.what, What::Upgrade(_)),
            Self::Frames(kind) => {
                matches!(&entry.what, What::Frame(frame) if frame.kind == kind && !frame.is_sent)
            }
        }
    }
}

/// A look at the timeline that goes on where it stopped.
pub(crate) struct Scan {
    until: Until,
    agent: Option<Uuid>,
    next: u64,
    count: u64,
    last: Option<Arc<Entry>>,
}

impl Scan {
    pub(crate) fn new(until: Until, agent: Option<Uuid>, since: u64) -> Self {
        Self {
            until,
            agent,
            next: since,
            count: 0,
            last: None,
        }
    }

    /// The entry that meets the condition, once there is one.
    pub(crate) fn look(&mut self, state: &State) -> Option<Arc<Entry>> {
        for entry in state.timeline.since(self.next) {
            if self.is_of_agent(entry) && self.until.is_met_by(entry, state) {
                self.count += 1;
                self.last = Some(Arc::clone(entry));
                if self.is_enough(state) {
                    self.next = entry.index + 1;
                    return self.last.clone();
                }
            }
        }
        self.next = state.timeline.next();
        None
    }

    fn is_of_agent(&self, entry: &Entry) -> bool {
        // A connection is of no agent when it opens.
        entry.is_of(self.agent) || (entry.kind() == "connection" && entry.agent.is_none())
    }

    fn is_enough(&self, state: &State) -> bool {
        match &self.until {
            Until::Count(_, number) => self.count >= *number,
            Until::Fault(rule, Some(times)) => state
                .faults
                .used(rule)
                .is_some_and(|(used, _)| used >= *times),
            Until::Fault(rule, None) => state.faults.used(rule).is_some_and(|(_, is_up)| is_up),
            _ => true,
        }
    }
}

/// Waits until `look` finds something in the state, at most `timeout`.
pub(crate) async fn wait<T>(
    server: &Server,
    timeout: Duration,
    mut look: impl FnMut(&State) -> Option<T>,
) -> Option<T> {
    let search = async {
        loop {
            let change = server.change_after_now();
            if let Some(found) = look(&server.state()) {
                return found;
            }
            change.await;
        }
    };
    tokio::time::timeout(timeout, search).await.ok()
}

/// Whether `whole` holds everything of `part`: objects by their keys, lists in any order.
pub(crate) fn contains(whole: &Json, part: &Json) -> bool {
    match (whole, part) {
        (Json::Object(whole), Json::Object(part)) => part.iter().all(|(key, part)| {
            whole
                .get(key)
                .map_or(part.is_null(), |whole| contains(whole, part))
        }),
        (Json::Array(whole), Json::Array(part)) => part
            .iter()
            .all(|part| whole.iter().any(|whole| contains(whole, part))),
        (whole, part) => whole == part,
    }
}

fn counted(name: &str) -> Result<Counted, String> {
    Ok(match name {
        "messages" => Counted::Messages,
        "requests" => Counted::Requests,
        "heartbeat" | "heartbeats" => Counted::Heartbeats,
        "full" => Counted::Full,
        "answers" => Counted::Answers,
        "offered" | "offers" => Counted::Offers,
        "disconnected" | "disconnects" => Counted::Disconnects,
        "connections" => Counted::Opened,
        "secured" => Counted::Secured,
        "closed" => Counted::Closed,
        "upgrades" => Counted::Upgrades,
        "pings" => Counted::Frames("ping"),
        "pongs" => Counted::Frames("pong"),
        "closes" => Counted::Frames("close"),
        _ => return Err(unknown(name)),
    })
}

fn unknown(text: &str) -> String {
    format!(
        "until={text:?} is not known; there are messages, requests, heartbeats, full, answers, \
         offers, disconnected, connections, secured, closed, upgrades, pings, pongs, closes (each \
         with >=N), part=NAME, status=APPLIED[:HASH|:offered], effective=offered, problem[=ROW], \
         fault=RULE[:N], match=JSON"
    )
}

fn status(value: &str) -> Result<Until, String> {
    let (name, hash) = value
        .split_once(':')
        .map_or((value, None), |(n, hash)| (n, Some(hash)));
    let full = format!("RemoteConfigStatuses_{name}");
    if RemoteConfigStatuses::from_str_name(&full).is_none() {
        return Err(format!("{name:?} is no configuration status"));
    }
    let hash = match hash {
        None => None,
        Some("offered") => Some(Hash::Offered),
        Some(text) => Some(Hash::Is(from_hex(text)?)),
    };
    Ok(Until::Status(name.to_owned(), hash))
}

fn fault(value: &str) -> Result<Until, String> {
    match value.rsplit_once(':') {
        None => Ok(Until::Fault(value.to_owned(), None)),
        Some((rule, times)) => {
            let times = times
                .parse()
                .map_err(|_| format!("{times:?} is no number"))?;
            Ok(Until::Fault(rule.to_owned(), Some(times)))
        }
    }
}

fn has_status(entry: &Entry, state: &State, name: &str, hash: Option<&Hash>) -> bool {
    let Some(message) = entry
        .received()
        .and_then(|received| received.message.as_ref())
    else {
        return false;
    };
    let Some(status) = &message.remote_config_status else {
        return false;
    };
    let is_hash = match hash {
        None => true,
        Some(Hash::Is(hash)) => status.last_remote_config_hash == hash[..],
        Some(Hash::Offered) => entry
            .agent
            .and_then(|agent| state.offers.of(agent))
            .is_some_and(|offer| status.last_remote_config_hash == offer.hash[..]),
    };
    is_hash && short(status.status().as_str_name()) == name
}

fn has_offered_files(entry: &Entry, state: &State) -> bool {
    let message = entry
        .received()
        .and_then(|received| received.message.as_ref());
    let effective = message.and_then(|message| message.effective_config.as_ref());
    let Some(files) = effective.and_then(|effective| effective.config_map.as_ref()) else {
        return false;
    };
    let Some(offer) = entry.agent.and_then(|agent| state.offers.of(agent)) else {
        return false;
    };
    let offered = &offer.files.config_map;
    // An agent need not know the content type of what it runs.
    let is_same = |(name, file): (&String, &AgentConfigFile)| {
        files
            .config_map
            .get(name)
            .is_some_and(|live| live.body == file.body)
    };
    offered.len() == files.config_map.len() && offered.iter().all(is_same)
}

fn fault_of(entry: &Entry) -> Option<&str> {
    match &entry.what {
        What::Sent(Sent { fault, .. })
        | What::Upgrade(Upgrade { fault, .. })
        | What::Frame(ControlFrame { fault, .. }) => fault.as_ref().map(|(rule, _)| rule.as_str()),
        What::Connection {
            reason: Some(reason),
            ..
        } => reason.strip_prefix("rule "),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_part_is_found_in_a_whole() {
        let whole = json!({"a": 1, "list": [{"x": 1, "y": 2}, {"x": 3}]});
        for part in [
            json!({}),
            json!({"list": [{"x": 3}]}),
            json!({"a": 1, "b": null}),
        ] {
            assert!(contains(&whole, &part), "{part}");
        }
        for other in [
            json!({"a": 2}),
            json!({"list": [{"x": 3, "y": 2}]}),
            json!({"b": 1}),
        ] {
            assert!(!contains(&whole, &other), "{other}");
        }
    }

    #[test]
    fn conditions_are_read_or_explained() {
        for good in [
            "messages>=3",
            "heartbeat",
            "status=APPLIED:offered",
            "fault=a:2",
            "match={}",
        ] {
            assert!(Until::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "message>=3",
            "messages>=x",
            "messages>=0",
            "part=heath",
            "status=DONE",
            "status=APPLIED:xyz",
            "match={",
        ] {
            assert!(Until::parse(bad).is_err(), "{bad}");
        }
    }
}
