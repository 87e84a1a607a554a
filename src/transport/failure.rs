//! Why an exchange brought no answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What went wrong, by the step that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailKind {
    Resolve,
    Connect,
    Tls,
    /// The proxy did not open the way.
    Proxy,
    Timeout,
    /// The connection was reset or closed, or the system refused the call.
    Io,
    /// The answer's status is neither 200 nor 204.
    Status,
    /// Not a ServerToAgent: wrong content type, gzip that is none.
    Decode,
    /// Request or answer is larger than the message limit.
    Size,
    /// The peer does not speak HTTP as it should.
    Protocol,
    /// The host's own HTTP stack failed.
    Host,
    /// The [`Watch`](super::Watch) said so.
    GivenUp,
}

/// Whether the server may have seen the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReachedServer {
    /// No byte of the request left.
    No,
    Maybe,
}

/// The end of an exchange without an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub kind: FailKind,
    pub reached: ReachedServer,
    /// A kept connection closed before a byte of an answer: a new message may follow at once.
    pub reused: bool,
    pub status: Option<u16>,
    /// From a `Retry-After` that makes sense; past, negative and garbage values are absent.
    pub retry_after: Option<Duration>,
    /// For the host: no header value, no body of ours, no credentials; of a peer's text at most
    /// 256 bytes without control characters.
    pub text: Arc<str>,
}

impl Failure {
    pub(crate) fn new(kind: FailKind, reached: ReachedServer, text: impl Into<String>) -> Failure {
        Failure {
            kind,
            reached,
            reused: false,
            status: None,
            retry_after: None,
            text: Arc::from(text.into()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}
