//! What a received ServerToAgent means.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message as _;

use super::{
    Core, Event, FailKind, Failure, Message, MessageParts, Policy, Reached, ServerErrorKind, TryId,
    Uid, WarningKind, deliver::Waiting, event::clipped, link::Link, parts::Parts, told::Kind, walk,
};
use crate::proto::{
    self, AgentCapabilities, ServerErrorResponseType, ServerToAgentFlags,
    server_error_response::Details,
};

/// Of the hashes that are kept: a peer must not make a small thing large.
const HASH_LIMIT: usize = 1024;

impl Core {
    pub(super) fn on_message(&mut self, bytes: &Bytes) {
        self.journal.messages_received += 1;
        self.journal.bytes_received += bytes.len() as u64;
        match &mut self.link {
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
                        self.put_off_further(wait_asked_by(&error));
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
        if !walk::has_at_most(self.config.field_limit, bytes) {
            return Err(Problem::TooManyFields(self.config.field_limit));
        }
        // From `Bytes`, so that bodies become slices of what was received.
        let mut source = bytes.clone();
        // By reference, like prost's `decode`: another type of source would be another copy of the whole decoder.
        message.merge(&mut source).map_err(|_| Problem::Malformed)?;
        if let Some(problem) = long_hash(message) {
            return Err(problem);
        }
        let uid: &[u8] = &message.instance_uid;
        if uid == self.identity.uid {
            self.identity.former = None;
        }
        let ours = [Some(self.identity.uid), self.identity.former];
        let is_ours = uid.is_empty() || ours.iter().flatten().any(|our| uid == our);
        if is_ours {
            Ok(())
        } else {
            Err(Problem::Foreign)
        }
    }

    /// HTTP: the exchange failed. WebSocket: this message is skipped.
    fn on_bad_message(&mut self, problem: Problem) {
        let (kind, warning, text) = problem.told();
        let text = clipped(&text, self.config.text_limit);
        if let Link::Exchange(_) = &self.link {
            let id = self.end_exchange();
            self.reported.on_lost();
            // It came with a good status; an empty one of a 204 is a message.
            let failure = Failure {
                status: Some(200),
                ..Failure::new(kind, Reached::Maybe, text)
            };
            self.on_failed(id, failure);
        } else {
            if let Link::Open(session) = &mut self.link {
                session.unanswered = None;
            }
            self.warn(warning, &text);
        }
    }

    fn on_good(&mut self, message: &mut proto::ServerToAgent, raw: &Bytes) {
        let is_last = matches!(&self.link, Link::Exchange(exchange) if exchange.is_last);
        self.on_answer();
        self.on_decoded();
        if is_last {
            return;
        }
        let (flags, capabilities) = (message.flags, message.capabilities);
        self.reported.set_server_capabilities(capabilities);
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
            let kind = self.is_unasked().then_some(Kind::Unasked);
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

    /// WebSocket: the message that came last answers none of ours.
    pub(super) const fn is_unasked(&self) -> bool {
        matches!(&self.link, Link::Open(session) if session.is_unasked)
    }

    /// Any decoded message but UNAVAILABLE: the way and the server work.
    fn on_decoded(&mut self) {
        self.on_success();
        let is_first = !self.is_answered || self.journal.failures_in_a_row > 0;
        let is_first = is_first && self.config.policy == Policy::Http;
        if is_first {
            self.tell_connected();
        } else if self.config.tell_every_answer && self.stop.is_none() {
            self.events.push(Event::Answered, self.now);
        }
        if let Link::Exchange(_) = &self.link {
            self.end_exchange();
            self.backoffs = 0;
            self.is_answered = true;
        }
    }

    /// RCV-01; other fields of such a message are ignored.
    fn on_error_response(&mut self, error: &proto::ServerErrorResponse, raw: &Bytes) {
        let text = clipped(&error.error_message, self.config.text_limit);
        match ServerErrorResponseType::try_from(error.r#type) {
            Ok(ServerErrorResponseType::Unavailable) => self.on_unavailable(error, text, raw),
            Ok(ServerErrorResponseType::BadRequest) => {
                self.on_refused(ServerErrorKind::BadRequest, text, raw);
            }
            Ok(ServerErrorResponseType::Unknown) | Err(_) => {
                self.on_refused(ServerErrorKind::Unknown, text, raw);
            }
        }
    }

    /// The same message would be refused again: what it carried is held back (HTTP-09).
    fn on_refused(&mut self, kind: ServerErrorKind, text: Arc<str>, raw: &Bytes) {
        let Some(id) = self.link.id() else { return };
        let held_back = self.blame();
        self.clear_patience();
        self.on_decoded();
        let failure = Failure::new(FailKind::Server, Reached::Maybe, text.clone());
        let event = Event::ServerError {
            kind,
            text,
            retry_in: None,
            held_back,
            raw: raw.clone(),
        };
        self.events.push(event, self.now);
        // Reports that wait for what is held back end as such, the others have had a try.
        self.settle();
        self.give_up(id, &failure);
        self.journal.last_error = Some((self.now, failure));
    }

    /// Holds back what was refused. Over WebSocket an error names no message: it is about the one that was read and not yet
    /// answered, else about the last one with news.
    fn blame(&mut self) -> Parts {
        match &mut self.link {
            Link::Exchange(exchange) => self.reported.on_refused(exchange.mark),
            Link::Open(session) => {
                session.awaited = None;
                let parts = match session.unanswered.take() {
                    Some(mark) => self.reported.on_refused_upto(mark),
                    None => self.reported.on_refused(session.last_news),
                };
                let parts = if parts.is_empty() {
                    self.reported.on_refused_upto(session.ponged)
                } else {
                    parts
                };
                if session.is_unclear {
                    self.reported.on_refused_by_guess(parts);
                }
                parts
            }
            _ => Parts::NONE,
        }
    }

    /// WS-11, HTTP-10: stay away for as long as it says, then report what was not confirmed.
    fn on_unavailable(&mut self, error: &proto::ServerErrorResponse, text: Arc<str>, raw: &Bytes) {
        let Some(id) = self.link.id() else { return };
        self.put_off(wait_asked_by(error));
        if let Link::Exchange(_) = &self.link {
            self.end_exchange();
        } else {
            self.leave();
        }
        self.reported.on_lost();
        self.is_answered = false;
        self.wishes.again = true;
        self.journal.failures_in_a_row += 1;
        let failure = Failure::new(FailKind::Server, Reached::Maybe, text.clone());
        self.give_up(id, &failure);
        self.journal.last_error = Some((self.now, failure));
        let retry_in = self
            .gate
            .closed(self.now)
            .map(|gate| gate.until.since(self.now));
        let (kind, held_back) = (ServerErrorKind::Unavailable, self.reported.held_back());
        let event = Event::ServerError {
            kind,
            text,
            retry_in,
            held_back,
            raw: raw.clone(),
        };
        self.events.push(event, self.now);
    }

    /// SYNC-10, RCV-16.
    fn on_identification(&mut self, new: &[u8]) {
        match Uid::try_from(new) {
            Ok(uid) if uid == self.identity.uid => self.identity.wanted = false,
            Ok(uid) if uid != [0; 16] => {
                self.adopt(uid);
                self.want_full_report();
                self.events.push(Event::NewUid(uid), self.now);
            }
            _ => {
                let text = format!("a new instance uid of {} bytes was ignored", new.len());
                self.warn(WarningKind::BadNewUid, &text);
            }
        }
    }

    /// CONN-06 and CONN-12: of an offer of settings this release takes the interval alone.
    fn on_connection_settings(&mut self, offers: proto::ConnectionSettingsOffers) {
        let declared = AgentCapabilities::ReportsHeartbeat as u64
            | AgentCapabilities::AcceptsOpAmpConnectionSettings as u64;
        let Some(opamp) = offers
            .opamp
            .filter(|_| self.reported.capabilities & declared != 0)
        else {
            return;
        };
        let is_known = !offers.hash.is_empty() && offers.hash == self.settings_hash;
        if is_known {
            return;
        }
        // Small, but a slice of a perhaps large message.
        self.settings_hash = Bytes::copy_from_slice(&offers.hash);
        let seconds = opamp.heartbeat_interval_seconds;
        if seconds > 0 {
            let interval = Duration::from_secs(seconds);
            let (min, max) = (
                self.config.server_interval_min,
                self.config.server_interval_max,
            );
            self.beat.set_by_server(interval.clamp(min, max));
            self.on_interval();
        } else if self.config.policy == Policy::WebSocket && changes_nothing_else(&opamp) {
            self.beat.set_by_server(Duration::ZERO);
        }
    }

    fn want_full_report(&mut self) {
        self.wishes.full_by_server = true;
        if self.budgets.full_report.bites_first(self.now) {
            self.warn(
                WarningKind::ServerAsksTooOften,
                "full state is asked for again and again",
            );
        }
    }

    /// HTTP: the exchange is over.
    fn end_exchange(&mut self) -> TryId {
        let id = self.link.id().unwrap_or(TryId(self.last_try));
        self.take_link();
        id
    }
}

/// Why a received message can not be used.
enum Problem {
    TooLong(usize),
    TooManyFields(u32),
    Malformed,
    LongHash(&'static str, usize),
    Foreign,
}

impl Problem {
    fn told(&self) -> (FailKind, WarningKind, String) {
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
            Self::LongHash(what, length) => (
                FailKind::Decode,
                WarningKind::BadMessage,
                format!("the hash of {what} has {length} bytes, at most {HASH_LIMIT} are taken"),
            ),
            Self::Foreign => {
                let text = "a message for another instance uid".to_owned();
                (FailKind::Protocol, WarningKind::ForeignUid, text)
            }
        }
    }
}

fn long_hash(message: &proto::ServerToAgent) -> Option<Problem> {
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
    Some(Problem::LongHash(what, length))
}

fn is_unavailable(error: &proto::ServerErrorResponse) -> bool {
    error.r#type == ServerErrorResponseType::Unavailable as i32
}

fn wait_asked_by(error: &proto::ServerErrorResponse) -> Option<Duration> {
    let Some(Details::RetryInfo(info)) = &error.details else {
        return None;
    };
    let wait = Duration::from_nanos(info.retry_after_nanoseconds);
    (!wait.is_zero()).then_some(wait)
}

/// 0 can not be told from "absent": only alone it means "no heartbeats".
fn changes_nothing_else(opamp: &proto::OpAmpConnectionSettings) -> bool {
    let interval = proto::OpAmpConnectionSettings {
        heartbeat_interval_seconds: opamp.heartbeat_interval_seconds,
        ..Default::default()
    };
    *opamp == interval
}
