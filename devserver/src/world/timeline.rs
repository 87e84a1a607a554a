//! What happened, in order: messages both ways, connections, control calls.
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::vocabulary::codec;
use crate::vocabulary::frame::close_code;
use crate::vocabulary::head::Head;
use crate::vocabulary::text::{excerpt, hex, millis};
use crate::vocabulary::verdict::Verdict;
use crate::vocabulary::wire::AgentToServer;

/// The oldest entries go beyond these, so that a run of days does not fill the memory.
const MOST_ENTRIES: usize = 100_000;
const MOST_BYTES: usize = 512 << 20;
/// What entries there are.
pub(crate) const KINDS: [&str; 8] = [
    "connection",
    "received",
    "sent",
    "upgrade",
    "ping",
    "pong",
    "close",
    "control",
];

#[derive(Default)]
pub(crate) struct Timeline {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    next: u64,
}

/// One line of the timeline.
pub(crate) struct Entry {
    pub(crate) index: u64,
    /// Since the server started.
    pub(crate) at: Duration,
    /// Since the agent's last message.
    pub(crate) gap: Option<Duration>,
    pub(crate) agent: Option<Uuid>,
    pub(crate) link: Option<LinkInfo>,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) what: What,
}

/// The connection that an entry belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkInfo {
    pub(crate) number: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) transport: &'static str,
}

pub(crate) enum What {
    Connection {
        event: &'static str,
        by: Option<&'static str>,
        reason: Option<String>,
        tls: Json,
    },
    Received(Received),
    Sent(Sent),
    Upgrade(Upgrade),
    Frame(ControlFrame),
    Control(String),
}

/// What carried a message to the server.
pub(crate) enum Carrier {
    Http(Head),
    /// Bytes of each frame's payload.
    Frames(Vec<usize>),
}

impl Carrier {
    pub(crate) fn head(&self) -> Option<&Head> {
        match self {
            Self::Http(head) => Some(head),
            Self::Frames(_) => None,
        }
    }
}

/// What carried an answer, or would have.
pub(crate) enum Way {
    /// Status and headers; no status when the answer was withheld.
    Http(Option<u16>, Vec<(String, String)>),
    /// Bytes of each frame's payload; none when the message was withheld.
    Frames(Option<Vec<usize>>),
}

/// A request for a WebSocket and what came of it.
pub(crate) struct Upgrade {
    pub(crate) head: Head,
    pub(crate) error: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) fault: Option<(String, String)>,
}

/// A ping, a pong or a Close frame.
pub(crate) struct ControlFrame {
    pub(crate) kind: &'static str,
    pub(crate) is_sent: bool,
    pub(crate) payload: Bytes,
    /// Of a Close frame: who sent the first one.
    pub(crate) began: Option<&'static str>,
    /// The rule that spoiled this frame, or the answer to it.
    pub(crate) fault: Option<(String, String)>,
}

/// A message (or what came in its place) from an agent.
pub(crate) struct Received {
    pub(crate) carrier: Carrier,
    pub(crate) body: Bytes,
    pub(crate) message: Option<Box<AgentToServer>>,
    pub(crate) parts: Vec<&'static str>,
    pub(crate) is_full: bool,
    pub(crate) error: Option<String>,
}

/// An answer, as far as the server meant to give it.
pub(crate) struct Sent {
    /// The entry that it answers; none for what nobody asked for.
    pub(crate) answers: Option<u64>,
    pub(crate) way: Way,
    /// Bytes of the body as declared or planned.
    pub(crate) size: u64,
    /// The ServerToAgent in it, if there is one.
    pub(crate) message: Option<Bytes>,
    pub(crate) parts: Vec<&'static str>,
    /// The rule that spoiled this answer, and how.
    pub(crate) fault: Option<(String, String)>,
}

impl Timeline {
    /// Adds an entry under the next index.
    pub(crate) fn push(&mut self, make: impl FnOnce(u64) -> Entry) -> Arc<Entry> {
        let entry = Arc::new(make(self.next));
        self.next += 1;
        self.bytes += entry.weight();
        self.entries.push_back(Arc::clone(&entry));
        while self.entries.len() > MOST_ENTRIES || self.bytes > MOST_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.weight();
        }
        entry
    }

    /// The index of the entry to come.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Entries from an index on.
    pub(crate) fn since(&self, index: u64) -> impl Iterator<Item = &Arc<Entry>> {
        let first = self.entries.front().map_or(self.next, |entry| entry.index);
        let skip = usize::try_from(index.saturating_sub(first)).unwrap_or(usize::MAX);
        self.entries.range(skip.min(self.entries.len())..)
    }

    /// Forgets the entries; indices go on.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

impl Entry {
    fn weight(&self) -> usize {
        let body = match &self.what {
            What::Received(received) => received.body.len(),
            What::Sent(sent) => sent.message.as_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        body + 512
    }

    pub(crate) fn kind(&self) -> &'static str {
        match &self.what {
            What::Connection { .. } => "connection",
            What::Received(_) => "received",
            What::Sent(_) => "sent",
            What::Upgrade(_) => "upgrade",
            What::Frame(frame) => frame.kind,
            What::Control(_) => "control",
        }
    }

    pub(crate) fn received(&self) -> Option<&Received> {
        if let What::Received(received) = &self.what {
            Some(received)
        } else {
            None
        }
    }

    pub(crate) fn parts(&self) -> &[&'static str] {
        match &self.what {
            What::Received(received) => &received.parts,
            What::Sent(sent) => &sent.parts,
            _ => &[],
        }
    }

    pub(crate) fn problems(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| !verdict.ok)
    }

    /// Whether it concerns that agent; entries of no agent concern everyone who asks for none.
    pub(crate) fn is_of(&self, agent: Option<Uuid>) -> bool {
        agent.is_none() || self.agent == agent
    }

    /// The entry as JSON. `detail` adds raw bytes and unknown fields.
    pub(crate) fn show(&self, detail: bool) -> Json {
        let mut object = Map::new();
        let mut set = |key: &str, value: Json| object.insert(key.to_owned(), value);
        set("index", json!(self.index));
        set("at_ms", json!(millis(self.at)));
        set("kind", json!(self.kind()));
        if let Some(gap) = self.gap {
            set("gap_ms", json!(millis(gap)));
        }
        if let Some(agent) = self.agent {
            set("agent", json!(agent.to_string()));
        }
        if let Some(link) = self.link {
            set("connection", json!(link.number));
            set("peer", json!(link.peer.to_string()));
            set("transport", json!(link.transport));
        }
        if !self.verdicts.is_empty() {
            set(
                "verdicts",
                self.verdicts.iter().map(Verdict::show).collect(),
            );
        }
        match &self.what {
            What::Connection {
                event,
                by,
                reason,
                tls,
            } => {
                set("event", json!(event));
                set("by", json!(by));
                set("reason", json!(reason));
                set("tls", tls.clone());
            }
            What::Received(received) => received.show(&mut object, detail),
            What::Sent(sent) => sent.show(&mut object, detail),
            What::Upgrade(upgrade) => upgrade.show(&mut object),
            What::Frame(frame) => frame.show(&mut object),
            What::Control(text) => drop(object.insert("text".into(), json!(text))),
        }
        Json::Object(object)
    }
}

impl Received {
    /// Uid, number and capabilities only.
    pub(crate) fn is_heartbeat(&self) -> bool {
        self.message.is_some() && self.parts.is_empty()
    }

    fn show(&self, object: &mut Map<String, Json>, detail: bool) {
        object.insert("size".into(), json!(self.body.len()));
        object.insert("parts".into(), json!(self.parts));
        object.insert("full".into(), json!(self.is_full));
        object.insert("heartbeat".into(), json!(self.is_heartbeat()));
        match &self.carrier {
            Carrier::Http(head) => object.insert("http".into(), head.show()),
            Carrier::Frames(sizes) => object.insert("frames".into(), json!(sizes)),
        };
        if let Some(error) = &self.error {
            object.insert("error".into(), json!(error));
            object.insert("excerpt".into(), json!(excerpt(&self.body, 256)));
        }
        if let Some(message) = &self.message {
            object.insert("sequence_number".into(), json!(message.sequence_num));
            show_message(object, "AgentToServer", &self.body, detail);
        } else if detail {
            object.insert("hex".into(), json!(hex(&self.body)));
        }
    }
}

impl Sent {
    fn show(&self, object: &mut Map<String, Json>, detail: bool) {
        object.insert("answers".into(), json!(self.answers));
        object.insert("size".into(), json!(self.size));
        object.insert("parts".into(), json!(self.parts));
        match &self.way {
            Way::Http(status, headers) => {
                object.insert("http".into(), json!({"status": status, "headers": headers}))
            }
            Way::Frames(sizes) => object.insert("frames".into(), json!(sizes)),
        };
        show_fault(object, self.fault.as_ref());
        if let Some(message) = &self.message {
            show_message(object, "ServerToAgent", message, detail);
        }
    }
}

impl Upgrade {
    fn show(&self, object: &mut Map<String, Json>) {
        object.insert("http".into(), self.head.show());
        if let Some(error) = &self.error {
            object.insert("error".into(), json!(error));
        }
        object.insert(
            "answer".into(),
            json!({"status": self.status, "headers": self.headers}),
        );
        show_fault(object, self.fault.as_ref());
    }
}

impl ControlFrame {
    fn show(&self, object: &mut Map<String, Json>) {
        let mut set = |key: &str, value: Json| object.insert(key.to_owned(), value);
        set("way", json!(if self.is_sent { "sent" } else { "received" }));
        set("size", json!(self.payload.len()));
        if self.kind == "close" {
            let (code, reason) = close_code(&self.payload);
            set("code", json!(code));
            set("reason", json!(reason));
            set("began", json!(self.began));
        } else {
            set("hex", json!(hex(&self.payload)));
        }
        show_fault(object, self.fault.as_ref());
    }
}

fn show_fault(object: &mut Map<String, Json>, fault: Option<&(String, String)>) {
    if let Some((rule, did)) = fault {
        object.insert("fault".into(), json!({"rule": rule, "did": did}));
    }
}

fn show_message(object: &mut Map<String, Json>, name: &str, bytes: &Bytes, detail: bool) {
    match codec::show(name, bytes, detail) {
        Ok(message) => object.insert("message".into(), message),
        Err(error) => object.insert("message_error".into(), json!(error)),
    };
    if detail {
        object.insert("hex".into(), json!(hex(bytes)));
    }
}
