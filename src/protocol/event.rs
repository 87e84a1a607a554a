//! What the core tells the host.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{config::Uid, failure::Failure, parts::Parts};
use crate::proto;

/// One thing that happened. At most a handful come of one input; the shell bounds what waits.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A WebSocket connection stands; on HTTP: the first decoded answer after the start or after a
    /// failure.
    Connected {
        /// Failed tries since the last success; more than 0 is a recovery.
        after_failures: u32,
    },
    /// Another good answer, where the host wants to hear of each.
    Answered,
    /// One failed try, or a connection that was lost.
    ConnectFailed {
        failure: Failure,
        /// When the next try comes; `None`: none comes, the agent is stopping.
        retry_in: Option<Duration>,
    },
    /// An error_response. Its text is limited.
    ServerError {
        kind: ServerErrorKind,
        text: Arc<str>,
        /// When the next try comes, for `Unavailable`.
        retry_in: Option<Duration>,
        /// What will not be sent again until it changes.
        held_back: Parts,
        /// The whole message, still encoded.
        raw: Bytes,
    },
    /// Something to act on.
    Message(Message),
    /// The server assigned another instance uid; it is in use from now on.
    NewUid(Uid),
    Warning {
        kind: WarningKind,
        text: Arc<str>,
    },
    /// The one end of a [`super::Change::Report`].
    SendDone {
        ticket: u64,
        outcome: Outcome,
    },
    /// The last event: nothing comes after it and nothing is open.
    Stopped,
}

/// What a ServerToAgent brought.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// The parts that passed the filters.
    pub parts: MessageParts,
    pub remote_config: Option<RemoteConfig>,
    /// `ServerToAgentFlags`, already acted on.
    pub flags: u64,
    /// `ServerCapabilities` as received; 0: the server did not say.
    pub capabilities: u64,
    /// The whole message, still encoded; shares its buffer with the bodies in `remote_config`.
    pub raw: Bytes,
}

/// A configuration offered by the server. An empty map withdraws all files.
#[derive(Clone, PartialEq, Debug)]
pub struct RemoteConfig {
    pub files: Arc<proto::AgentConfigMap>,
    /// Empty: the server gave none, so no status can name this offer. Small, and not a part of the
    /// received buffer.
    pub hash: Bytes,
}

/// A set of parts of a ServerToAgent, one bit each, as told to the host.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct MessageParts(pub u32);

impl MessageParts {
    pub const NONE: Self = Self(0);
    pub const REMOTE_CONFIG: Self = Self(1);

    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// `ServerErrorResponseType`; an unknown value is `Unknown`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerErrorKind {
    Unknown,
    BadRequest,
    Unavailable,
}

/// What the host should know although the agent goes on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum WarningKind {
    /// A received message could not be decoded; it was skipped (WebSocket).
    BadMessage,
    /// A received message has too many fields; it was skipped (WebSocket).
    MessageTooLarge,
    /// A message for another instance uid was dropped.
    ForeignUid,
    /// A new_instance_uid that is none was ignored.
    BadNewUid,
    /// A message over the limit was not sent; what it carried is held back.
    RequestTooLarge,
    /// The server asks for full state, or for another uid, or offers known configurations in turn,
    /// again and again; it is served ever more rarely.
    ServerAsksTooOften,
    /// The host never answered an offer.
    OfferUnanswered,
    /// The host never finished an offer that it was APPLYING; FAILED was reported for it.
    ApplyingOverdue,
    /// An offer was refused: too many files.
    OfferTooLarge,
}

/// How a report ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The server has confirmed everything that was set before.
    Confirmed,
    /// A part of it is held back (HTTP-09).
    HeldBack,
    /// The last of the tries that it was given failed so.
    GaveUp(Failure),
    /// The agent stopped first.
    Stopped,
}

/// A peer's text as the host may see it: without control characters, cut at a character.
pub(super) fn clipped(text: &str, limit: usize) -> Arc<str> {
    let end = (0..=limit.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    let text = &text[..end.unwrap_or(0)];
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.into();
    }
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect::<String>().into()
}
