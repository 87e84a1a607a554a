//! What the host can set and ask for.
use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use super::config::Uid;
use crate::proto;

/// One thing that the host set or asked for. Values are shared, never copied; one that equals the
/// present value changes nothing.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    Description(Arc<proto::AgentDescription>),
    EffectiveConfig(Arc<proto::AgentConfigMap>),
    /// The verdict on an offer (or, before the first offer, one from the host's own storage).
    RemoteConfigStatus(RemoteConfigStatus),
    /// `AgentCapabilities`; the shell has refused what is undefined or unsupported.
    Capabilities(u64),
    /// Between two messages; zero stops WebSocket heartbeats (refused by the shell for HTTP).
    Interval(Duration),
    /// Another instance uid; all is reported again under it.
    InstanceUid(Uid),
    /// Asks the server for a uid: the present one is temporary.
    RequestInstanceUid,
    /// The headers have changed: after a 401 or 403 the next try comes at once.
    Headers,
    /// A message now, with or without news; waits for a gate.
    PollNow,
    /// The full state once more.
    ReportFullState,
    /// WebSocket: goodbye, close, connect again. HTTP: a message now (the shell drops the kept
    /// connection).
    Reconnect,
    /// Asks for the end of all that was set before: exactly one [`super::Event::SendDone`] answers.
    Report {
        ticket: u64,
        /// Give up after so many failed tries; `None`: never.
        tries: Option<u32>,
        /// Send a message even if nothing is pending.
        force_message: bool,
    },
    /// Whoever asked for the report with this ticket waits no longer: it takes no place, and
    /// nothing answers.
    WithdrawReport(u64),
}

/// How far the host is with an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigState {
    Unset,
    Applied,
    Applying,
    Failed,
}

/// The host's word on the offer with this hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteConfigStatus {
    hash: Bytes,
    state: ConfigState,
    /// Shared: what a restart keeps is copied after each exchange.
    error: Arc<str>,
}

/// What is wrong with a status (SYNC-23).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusError {
    /// APPLYING, APPLIED and FAILED name the offer they speak of.
    NoHash,
    /// Only FAILED explains itself.
    ErrorWithoutFailure,
}

impl RemoteConfigStatus {
    /// Copies `hash`, which may lie in a large received message.
    pub fn new(hash: &[u8], state: ConfigState, error: String) -> Result<Self, StatusError> {
        if hash.is_empty() && state != ConfigState::Unset {
            return Err(StatusError::NoHash);
        }
        if !error.is_empty() && state != ConfigState::Failed {
            return Err(StatusError::ErrorWithoutFailure);
        }
        Ok(Self {
            hash: Bytes::copy_from_slice(hash),
            state,
            error: error.into(),
        })
    }

    pub(super) fn applied(hash: Bytes) -> Self {
        Self {
            hash,
            state: ConfigState::Applied,
            error: Arc::default(),
        }
    }

    pub(super) fn failed(hash: Bytes, error: Arc<str>) -> Self {
        Self {
            hash,
            state: ConfigState::Failed,
            error,
        }
    }

    #[must_use]
    pub const fn hash(&self) -> &Bytes {
        &self.hash
    }

    #[must_use]
    pub const fn state(&self) -> ConfigState {
        self.state
    }

    /// Empty unless it failed.
    #[must_use]
    pub fn error(&self) -> &str {
        &self.error
    }

    pub(super) const fn shared_error(&self) -> &Arc<str> {
        &self.error
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHash => "a status needs the hash of the offer it answers",
            Self::ErrorWithoutFailure => "an error text goes with FAILED only",
        })
    }
}

impl std::error::Error for StatusError {}
