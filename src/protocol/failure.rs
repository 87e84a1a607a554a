//! How a try failed, as a transport tells it.
use std::{sync::Arc, time::Duration};

/// Why and how an exchange or a connection ended. Its text is for the host and already without
/// secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Decides about the sequence number of the message that was on its way.
    pub reached: ReachedServer,
    /// It happened on a kept connection, before a byte of an answer: the try is repeated at once,
    /// once (HTTP-14).
    pub reused: bool,
    pub kind: FailKind,
    /// The status of the HTTP answer (of the exchange or of the upgrade), when there was one.
    pub status: Option<u16>,
    /// From Retry-After; an HTTP-date is already a duration; absent when it was in the past or
    /// unreadable.
    pub retry_after: Option<Duration>,
    pub text: Arc<str>,
}

impl Failure {
    /// A failure without a status.
    #[must_use]
    pub fn new(kind: FailKind, reached: ReachedServer, text: impl Into<Arc<str>>) -> Self {
        Self {
            reached,
            reused: false,
            kind,
            status: None,
            retry_after: None,
            text: text.into(),
        }
    }

    /// An answer with a status that is not a message.
    #[must_use]
    pub fn of_status(status: u16, text: impl Into<Arc<str>>) -> Self {
        Self {
            status: Some(status),
            ..Self::new(FailKind::Status, ReachedServer::Maybe, text)
        }
    }
}

/// Whether any byte of the message may have come to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReachedServer {
    /// Surely not: its sequence number is used again.
    No,
    Maybe,
}

/// At which step a try failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FailKind {
    Resolve,
    Connect,
    Tls,
    Proxy,
    Timeout,
    /// Reset, closed.
    Io,
    /// An answer with an HTTP status other than 200 and 204.
    Status,
    /// The answer is not a ServerToAgent.
    Decode,
    /// A message beyond a limit.
    Size,
    /// The peer broke a rule of HTTP, WebSocket or OpAMP.
    Protocol,
    /// An error_response.
    Server,
    /// The host's own transport.
    Host,
    /// Ours.
    Bug,
}

/// What to do after a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RetryPolicy {
    /// 429 and 503: Retry-After, or the backoff with a floor.
    Wait,
    /// 413: what the message carried is held back.
    HoldBack,
    /// 401 and 403: the next poll, or new headers.
    NewHeaders,
    /// Other answers that repeat themselves when asked again: the next poll.
    NextPoll,
    /// A redirect that was not followed: each try is a chain of requests, so it is not repeated
    /// with each of many polls.
    LaterPoll,
    Backoff,
}

impl RetryPolicy {
    pub(super) const fn of(failure: &Failure) -> Self {
        match failure.status {
            Some(429 | 503) => Self::Wait,
            // A proxy that does not open the way has not seen the message.
            Some(413) if !matches!(failure.kind, FailKind::Proxy) => Self::HoldBack,
            Some(401 | 403) => Self::NewHeaders,
            // A good status with a bad body, or no status at all: the way failed, not the request.
            None | Some(200 | 204 | 408 | 500..) => Self::Backoff,
            Some(300..=399) => Self::LaterPoll,
            Some(_) => Self::NextPoll,
        }
    }
}
