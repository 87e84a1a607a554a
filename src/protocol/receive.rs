//! What a received ServerToAgent means.
use bytes::Bytes;
use prost::Message as _;

use super::{
    core::Core,
    delivery::Waiting,
    event::{Event, Message, MessageParts, WarningKind, clipped},
    event_queue::Kind,
    failure::{FailKind, Failure, ReachedServer},
    field_count,
    link::Link,
    refusal::{is_unavailable, wait_asked_by},
};
use crate::proto::{self, ServerToAgentFlags};

/// Of the hashes that are kept: a peer must not make a small thing large.
const HASH_LIMIT: usize = 1024;

impl Core {
    pub(super) fn on_message(&mut self, bytes: &Bytes) {
        self.journal.messages_received += 1;
        self.journal.bytes_received += bytes.len() as u64;
        match &mut self.upstream.link {
            Link::Exchange(_) => {}
            Link::Open(session) => {
                session.on_heard();
                session.is_unasked = session.owed == 0;
                session.owed = session.owed.saturating_sub(1);
            }
            // On the way out, nothing but a longer wait concerns us.
            Link::Closing(_) => {
                let mut message = proto::ServerToAgent::default();
                if self.decode(bytes, &mut message).is_ok() {
                    if let Some(error) = message.error_response.filter(is_unavailable) {
                        self.extend_delay(wait_asked_by(&error));
                    }
                }
                return;
            }
            _ => return,
        }
        // In one place from here to its end: it is more than a KiB, and most of that empty.
        let mut message = proto::ServerToAgent::default();
        match self.decode(bytes, &mut message) {
            Ok(()) => match message.error_response.take() {
                Some(error) => self.on_error_response(&error, bytes),
                None => self.on_good(&mut message, bytes),
            },
            Err(problem) => self.on_bad_message(problem),
        }
    }

    /// Fills `message`, if the bytes are one and for us.
    fn decode(&mut self, bytes: &Bytes, message: &mut proto::ServerToAgent) -> Result<(), Problem> {
        if bytes.len() > self.config.receive_limit {
            return Err(Problem::TooLong(bytes.len()));
        }
        if !field_count::has_field_count_at_most(self.config.field_limit, bytes) {
            return Err(Problem::TooManyFields(self.config.field_limit));
        }
        // From `Bytes`, so that bodies become slices of what was received.
        let mut source = bytes.clone();
        // By reference, like prost's `decode`: another type of source would be another copy of the
        // whole decoder.
        message.merge(&mut source).map_err(|_| Problem::Malformed)?;
        if let Some(text) = long_hash(message) {
            return Err(Problem::LongHash(text));
        }
        let uid: &[u8] = &message.instance_uid;
        if uid == self.state.identity.uid {
            self.state.identity.former = None;
        }
        let ours = [Some(self.state.identity.uid), self.state.identity.former];
        let is_ours = uid.is_empty() || ours.iter().flatten().any(|our| uid == our);
        if is_ours {
            Ok(())
        } else {
            Err(Problem::WrongInstanceUid)
        }
    }

    /// HTTP: the exchange failed. WebSocket: this message is skipped.
    fn on_bad_message(&mut self, problem: Problem) {
        let (kind, warning, text) = problem.told();
        let text = clipped(&text, self.config.text_limit);
        if let Link::Exchange(_) = &self.upstream.link {
            let id = self.end_exchange();
            self.state.reported.on_lost();
            // It came with a good status; an empty one of a 204 is a message.
            let failure = Failure {
                status: Some(200),
                ..Failure::new(kind, ReachedServer::Maybe, text)
            };
            self.on_failed(id, failure);
        } else {
            if let Link::Open(session) = &mut self.upstream.link {
                session.unanswered = None;
            }
            self.warn(warning, &text);
        }
    }

    fn on_good(&mut self, message: &mut proto::ServerToAgent, raw: &Bytes) {
        let is_last = matches!(&self.upstream.link, Link::Exchange(exchange) if exchange.is_last);
        self.on_answer();
        self.on_decoded();
        if is_last {
            return;
        }
        let (flags, capabilities) = (message.flags, message.capabilities);
        self.state.reported.set_server_capabilities(capabilities);
        if let Some(identification) = message.agent_identification.take() {
            self.on_identification(&identification.new_instance_uid);
        }
        if let Some(offers) = message.connection_settings.take() {
            self.on_connection_settings(offers);
        }
        let delivered = message.remote_config.take().and_then(|offer| {
            let raw = raw.clone();
            self.on_remote_config(Waiting {
                offer,
                flags,
                capabilities,
                raw,
            })
        });
        if flags & ServerToAgentFlags::ReportFullState as u64 != 0 {
            self.want_full_report();
        }
        if let Some((message, left_out)) = delivered {
            self.events.push_after(Event::Message(message), left_out);
        } else if self.config.tell_every_answer {
            let kind = self.upstream.link.is_unasked().then_some(Kind::Unasked);
            let message = Message {
                parts: MessageParts::NONE,
                remote_config: None,
                flags,
                capabilities,
                raw: raw.clone(),
            };
            self.events.push_as(kind, Event::Message(message), self.now);
        }
    }
}

/// Why a received message can not be used.
enum Problem {
    TooLong(usize),
    TooManyFields(u32),
    Malformed,
    LongHash(String),
    WrongInstanceUid,
}

impl Problem {
    fn told(self) -> (FailKind, WarningKind, String) {
        match self {
            Self::TooLong(length) => {
                let text = format!("a message of {length} bytes is over the limit");
                (FailKind::Size, WarningKind::MessageTooLarge, text)
            }
            Self::TooManyFields(limit) => {
                let text = format!("a message of more than {limit} fields");
                (FailKind::Size, WarningKind::MessageTooLarge, text)
            }
            Self::Malformed => (
                FailKind::Decode,
                WarningKind::BadMessage,
                "message is not a valid ServerToAgent".to_owned(),
            ),
            Self::LongHash(text) => (FailKind::Decode, WarningKind::BadMessage, text),
            Self::WrongInstanceUid => {
                let text = "a message for another instance uid".to_owned();
                (FailKind::Protocol, WarningKind::ForeignUid, text)
            }
        }
    }
}

/// What is wrong with a message one of whose hashes is too long to be kept.
#[must_use]
pub fn long_hash(message: &proto::ServerToAgent) -> Option<String> {
    let offer = message.remote_config.as_ref();
    let settings = message.connection_settings.as_ref();
    let packages = message.packages_available.as_ref();
    let hashes = [
        ("a configuration", offer.map(|it| it.config_hash.len())),
        ("connection settings", settings.map(|it| it.hash.len())),
        ("packages", packages.map(|it| it.all_packages_hash.len())),
    ];
    let mut hashes = hashes
        .into_iter()
        .filter_map(|(what, len)| Some((what, len?)));
    let (what, length) = hashes.find(|(_, length)| *length > HASH_LIMIT)?;
    Some(format!(
        "the hash of {what} has {length} bytes, at most {HASH_LIMIT} are taken"
    ))
}
