//! A message and what stands around it.
use std::time::Duration;

use uuid::Uuid;

use crate::vocabulary::wire::AgentToServer;
use crate::world::agents::Agent;
use crate::world::socket::Socket;

/// A message and what stands around it.
pub(crate) struct Facts<'a> {
    pub(crate) now: Duration,
    pub(crate) message: &'a AgentToServer,
    pub(crate) parts: &'a [&'static str],
    pub(crate) is_full: bool,
    pub(crate) uid: Uuid,
    /// The header of that name; none where the transport has no headers.
    pub(crate) header_uid: Option<Option<&'a str>>,
    /// The first message of another run of the agent.
    pub(crate) is_new_run: bool,
    /// The same bytes as the last message, whose exchange was refused or lost.
    pub(crate) is_repeated: bool,
    /// The agent as it was before this message.
    pub(crate) agent: Option<&'a Agent>,
    /// Whether any agent was offered a configuration of that hash.
    pub(crate) is_offered: &'a dyn Fn(&[u8]) -> bool,
    /// The WebSocket that it came on, as it was before.
    pub(crate) socket: Option<&'a Socket>,
}
