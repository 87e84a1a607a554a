//! What a call or an event tells the host when something went wrong.

use std::{fmt, sync::Arc, time::Duration};

use super::reason::Reason;

/// What kind of answer a refused call gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    InvalidArg,
    State,
    Timeout,
    Unsupported,
    TooLarge,
    Again,
    NotFound,
    Capability,
    Resource,
    /// An exchange failed; the kind says where.
    Failed,
}

/// Where it went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum Kind {
    None = 0,
    Resolve = 1,
    Connect = 2,
    Tls = 3,
    Proxy = 4,
    Timeout = 5,
    Io = 6,
    HttpStatus = 7,
    Decode = 8,
    Size = 9,
    Protocol = 10,
    Server = 11,
    Host = 12,
    Bug = 13,
    Argument = 14,
}

impl Kind {
    /// As the header's names go, in small letters.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Proxy => "proxy",
            Self::Timeout => "timeout",
            Self::Io => "io",
            Self::HttpStatus => "http_status",
            Self::Decode => "decode",
            Self::Size => "size",
            Self::Protocol => "protocol",
            Self::Server => "server",
            Self::Host => "host",
            Self::Bug => "bug",
            Self::Argument => "argument",
        }
    }
}

/// A refusal, or the reason of a failure. Its text holds no header value, key, body of a
/// configuration or password.
#[derive(Clone, Debug)]
pub struct Error {
    pub code: Code,
    pub kind: Kind,
    pub reason: Reason,
    /// The capabilities that it is about.
    pub capabilities: u64,
    pub http_status: Option<u16>,
    /// When the next try comes, if one does.
    pub retry_in: Option<Duration>,
    pub text: Arc<str>,
    /// What the server's error_response said.
    pub server: Option<ServerError>,
}

/// An error_response: `ServerErrorResponseType`, and its message as it may be shown.
#[derive(Clone, Debug)]
pub struct ServerError {
    pub kind: i32,
    pub message: Arc<str>,
}

impl Error {
    pub(crate) fn new(code: Code, kind: Kind, text: impl Into<Arc<str>>) -> Self {
        Self {
            code,
            kind,
            reason: Reason::None,
            capabilities: 0,
            http_status: None,
            retry_in: None,
            text: text.into(),
            server: None,
        }
    }

    #[must_use]
    pub(crate) fn because(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }

    #[must_use]
    pub(crate) fn about(self, capabilities: u64) -> Self {
        Self {
            capabilities,
            ..self
        }
    }

    /// A call's argument that can not be right.
    pub(crate) fn argument(text: impl Into<Arc<str>>) -> Self {
        Self::new(Code::InvalidArg, Kind::Argument, text)
    }

    /// A call that is not for now.
    pub(crate) fn state(text: impl Into<Arc<str>>) -> Self {
        Self::new(Code::State, Kind::Argument, text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;
