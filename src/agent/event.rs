//! What the host hears.

use std::sync::Arc;

use bytes::Bytes;

use super::{config_map::ConfigMap, error::Error, log::Level};
pub use crate::transport::{Hop, host::HostRequest};

/// One thing that happened.
pub struct Event {
    pub kind: EventKind,
    /// How many older ones of its kind it replaced while it waited.
    pub missed: u64,
}

pub enum EventKind {
    Connected,
    ConnectFailed(Error),
    /// The message is left out where the queue has no room for it.
    ServerError {
        error: Error,
        message: Option<Message>,
    },
    Message(Message),
    Request(HostRequest),
    /// The end of one `send`: confirmed, or given up and why.
    SendDone {
        ticket: u64,
        error: Option<Error>,
    },
    /// The running try goes on at another place.
    Redirect(Hop),
    NewUid([u8; 16]),
    Warning(Error),
    Log {
        level: Level,
        line: Arc<str>,
    },
    /// Nothing follows. With an error only where a bug ended the agent.
    Stopped {
        error: Option<Error>,
    },
}

impl EventKind {
    pub const CONNECTED: i32 = 1;
    pub const CONNECT_FAILED: i32 = 2;
    pub const SERVER_ERROR: i32 = 3;
    pub const MESSAGE: i32 = 4;
    pub const REQUEST: i32 = 5;
    pub const SEND_DONE: i32 = 6;
    pub const REDIRECT: i32 = 7;
    pub const NEW_UID: i32 = 8;
    pub const WARNING: i32 = 9;
    pub const LOG: i32 = 10;
    pub const STOPPED: i32 = 11;

    /// The kind as a stable number.
    pub fn number(&self) -> i32 {
        match self {
            Self::Connected => Self::CONNECTED,
            Self::ConnectFailed(_) => Self::CONNECT_FAILED,
            Self::ServerError { .. } => Self::SERVER_ERROR,
            Self::Message(_) => Self::MESSAGE,
            Self::Request(_) => Self::REQUEST,
            Self::SendDone { .. } => Self::SEND_DONE,
            Self::Redirect(_) => Self::REDIRECT,
            Self::NewUid(_) => Self::NEW_UID,
            Self::Warning(_) => Self::WARNING,
            Self::Log { .. } => Self::LOG,
            Self::Stopped { .. } => Self::STOPPED,
        }
    }
}

/// What a message of the server asks the host to act on. A clone shares it; it outlives agent and
/// client.
#[derive(Clone, Debug)]
pub struct Message(Arc<Content>);

#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) parts: u64,
    pub(crate) remote_config: Option<(ConfigMap, Bytes)>,
    pub(crate) flags: u64,
    pub(crate) server_capabilities: u64,
    pub(crate) bytes: Bytes,
}

impl Message {
    pub(crate) fn new(content: Content) -> Self {
        Self(Arc::new(content))
    }

    /// Which parts it brought that passed the filters: `PART_*` bits.
    pub fn parts(&self) -> u64 {
        self.0.parts
    }

    /// The offered configuration and its hash.
    pub fn remote_config(&self) -> Option<(&ConfigMap, &[u8])> {
        self.0
            .remote_config
            .as_ref()
            .map(|(map, hash)| (map, hash.as_ref()))
    }

    /// ServerToAgentFlags; the library has acted on them.
    pub fn flags(&self) -> u64 {
        self.0.flags
    }

    /// ServerCapabilities as this message gave them; 0: it gave none.
    pub fn server_capabilities(&self) -> u64 {
        self.0.server_capabilities
    }

    /// The whole ServerToAgent as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }
}
