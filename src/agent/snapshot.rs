//! What is known of an agent at one moment.

use std::{
    fmt::Write as _,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{clock, convert, error::Error, identity, run::Run};
use crate::protocol::{self, AgentState, Time};

/// The agent as it was when it was asked for; changes no more.
#[derive(Debug)]
pub struct Snapshot {
    numbers: [Option<u64>; COUNT],
    state: &'static str,
    transport: &'static str,
    wait_reason: Option<&'static str>,
    instance_uid: Option<String>,
    peer: Option<String>,
    tls: Option<&'static str>,
    last_error: Option<Error>,
    /// The URL and the proxy on the way to it.
    way: Option<Arc<str>>,
    json: OnceLock<String>,
}

/// One number of a snapshot; the value is its stable id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum Field {
    /// 0 stopped, 1 connecting, 2 connected, 3 waiting for a retry, 4 stopping.
    State = 1,
    StateAgeMs = 2,
    NextMs = 3,
    NextReason = 4,
    LastSuccessAgeMs = 5,
    Attempts = 6,
    Failures = 7,
    MessagesSent = 8,
    MessagesReceived = 9,
    BytesSent = 10,
    BytesReceived = 11,
    SequenceNum = 12,
    ServerCapabilities = 13,
    Pending = 14,
    HeldBack = 15,
    IntervalMs = 16,
    /// 0 http, 1 the host's own, 2 WebSocket.
    Transport = 17,
    PendingOffer = 18,
    EventsWaiting = 19,
    Connections = 20,
    LastErrorAgeMs = 21,
}

const COUNT: usize = 21;

/// The fields by name, as the JSON text has them.
const NAMES: [(Field, &str); COUNT] = [
    (Field::State, "state_number"),
    (Field::StateAgeMs, "state_age_ms"),
    (Field::NextMs, "next_ms"),
    (Field::NextReason, "next_reason_number"),
    (Field::LastSuccessAgeMs, "last_success_age_ms"),
    (Field::Attempts, "attempts"),
    (Field::Failures, "failures"),
    (Field::MessagesSent, "messages_sent"),
    (Field::MessagesReceived, "messages_received"),
    (Field::BytesSent, "bytes_sent"),
    (Field::BytesReceived, "bytes_received"),
    (Field::SequenceNum, "sequence_num"),
    (Field::ServerCapabilities, "server_capabilities"),
    (Field::Pending, "pending"),
    (Field::HeldBack, "held_back"),
    (Field::IntervalMs, "interval_ms"),
    (Field::Transport, "transport_number"),
    (Field::PendingOffer, "pending_offer"),
    (Field::EventsWaiting, "events_waiting"),
    (Field::Connections, "connections"),
    (Field::LastErrorAgeMs, "last_error_age_ms"),
];

impl Snapshot {
    pub(crate) fn new(
        run: Option<&Run>,
        is_running: bool,
        events_waiting: usize,
        transport: &'static str,
    ) -> Self {
        let mut snapshot = Self {
            numbers: [None; COUNT],
            state: "stopped",
            transport,
            wait_reason: None,
            instance_uid: None,
            peer: None,
            tls: None,
            last_error: None,
            way: None,
            json: OnceLock::new(),
        };
        snapshot.put(Field::State, 0);
        let number = match transport {
            "host" => 1,
            "ws" | "wss" => 2,
            _ => 0,
        };
        snapshot.put(Field::Transport, number);
        snapshot.put(Field::EventsWaiting, events_waiting as u64);
        if let Some(run) = run {
            snapshot.add_core(&run.snapshot(), is_running);
            snapshot.add_traffic(run);
            snapshot.way = Some(run.way());
        }
        snapshot
    }

    /// One number by its id; `None` where there is none now.
    pub fn number(&self, field: i32) -> Option<u64> {
        let at = usize::try_from(field).ok()?.checked_sub(1)?;
        *self.numbers.get(at)?
    }

    /// The last failure of this run.
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// Endpoint and proxy on the way on which it happened.
    pub fn last_error_context(&self) -> Option<&str> {
        self.way.as_deref().filter(|_| self.last_error.is_some())
    }

    /// All of it as one line of JSON.
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| self.make_json())
    }

    fn put(&mut self, field: Field, value: u64) {
        if let Some(slot) = self.numbers.get_mut(field as usize - 1) {
            *slot = Some(value);
        }
    }

    fn add_core(&mut self, core: &protocol::Snapshot, is_running: bool) {
        let now = clock::now();
        let ago = |time: Time| millis(now.since(time));
        let (number, name) = match core.state {
            _ if !is_running => (0, "stopped"),
            AgentState::Idle | AgentState::Connecting => (1, "connecting"),
            AgentState::Connected => (2, "connected"),
            AgentState::Waiting => (3, "waiting"),
            AgentState::Stopping => (4, "stopping"),
            AgentState::Stopped => (0, "stopped"),
        };
        self.state = name;
        self.put(Field::State, number);
        self.put(Field::StateAgeMs, ago(core.since));
        if let Some(next) = core.next {
            self.put(Field::NextMs, millis(next.at.since(now)));
            let (number, name) = wait_reason(next.why);
            self.put(Field::NextReason, number);
            self.wait_reason = Some(name);
        }
        if let Some(time) = core.last_success {
            self.put(Field::LastSuccessAgeMs, ago(time));
        }
        if let Some((time, failure)) = &core.last_error {
            self.put(Field::LastErrorAgeMs, ago(*time));
            self.last_error = Some(convert::error_of(failure));
        }
        self.put(Field::Attempts, core.attempts);
        self.put(Field::Failures, core.failures_in_a_row.into());
        self.put(Field::MessagesSent, core.messages_sent);
        self.put(Field::MessagesReceived, core.messages_received);
        self.put(Field::BytesSent, core.bytes_sent);
        self.put(Field::BytesReceived, core.bytes_received);
        self.put(Field::SequenceNum, core.sequence_num);
        self.put(Field::ServerCapabilities, core.server_capabilities);
        self.put(Field::Pending, part_bits(core.pending));
        self.put(Field::HeldBack, part_bits(core.held_back));
        self.put(Field::IntervalMs, millis(core.interval));
        let is_unanswered = core
            .offer
            .as_ref()
            .is_some_and(|offer| offer.state == protocol::ConfigState::Unset);
        self.put(Field::PendingOffer, is_unanswered.into());
        self.instance_uid = Some(identity::uid_text(&core.instance_uid));
    }

    fn add_traffic(&mut self, run: &Run) {
        let Some(facts) = run.traffic() else { return };
        self.put(Field::Connections, facts.connections);
        self.put(Field::BytesSent, facts.bytes_out);
        self.put(Field::BytesReceived, facts.bytes_in);
        self.peer = facts.peer.map(|peer| peer.to_string());
        self.tls = facts.tls;
    }

    fn make_json(&self) -> String {
        let mut json = String::from("{");
        let mut text = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                let _ = write!(json, "\"{name}\":\"{}\",", Escaped(value));
            }
        };
        text("state", Some(self.state));
        text("transport", Some(self.transport));
        text("next_reason", self.wait_reason);
        text("instance_uid", self.instance_uid.as_deref());
        text("peer", self.peer.as_deref());
        text("tls", self.tls);
        text(
            "last_error",
            self.last_error.as_ref().map(|error| error.text.as_ref()),
        );
        if let Some(error) = &self.last_error {
            text("last_error_kind", Some(error.kind.name()));
            text("last_error_context", self.last_error_context());
            if let Some(status) = error.http_status {
                let _ = write!(json, "\"last_error_status\":{status},");
            }
        }
        for (field, name) in NAMES {
            if let Some(value) = self.number(field as i32) {
                let _ = write!(json, "\"{name}\":{value},");
            }
        }
        json.pop();
        json.push('}');
        json
    }
}

/// Why the core wants to be called next, in a host's words.
/// As the C ABI numbers it, and as the JSON text names it.
pub(crate) fn wait_reason(why: protocol::Timer) -> (u64, &'static str) {
    use protocol::Timer;
    match why {
        Timer::Stop => (1, "stop"),
        Timer::CloseWait => (2, "close_wait"),
        Timer::Exchange => (3, "exchange"),
        Timer::Response => (4, "response"),
        Timer::ConfigStatus => (5, "config_status"),
        Timer::Heartbeat => (6, "heartbeat"),
        Timer::Change => (7, "change"),
        Timer::FullReport => (8, "full_report"),
        Timer::Backoff => (9, "backoff"),
        Timer::NextPoll => (10, "next_poll"),
        Timer::RetryAfter => (11, "retry_after"),
        Timer::Tell => (12, "tell"),
    }
}

/// As the C ABI numbers them.
pub(crate) fn part_bits(parts: protocol::Parts) -> u64 {
    use protocol::Part;
    let bit = |part| match part {
        Part::Description => 1,
        Part::EffectiveConfig => 2,
        Part::RemoteConfigStatus => 4,
        Part::Capabilities => 8,
    };
    parts.iter().map(bit).sum()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A text inside a JSON string.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
