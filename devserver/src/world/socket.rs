//! What a live WebSocket connection has seen, and what a control call may want of it.
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use crate::vocabulary::action::Action;
use crate::vocabulary::frame::CloseSpec;

/// What a live WebSocket connection has seen.
pub(crate) struct Socket {
    pub(crate) path: String,
    /// The one of the upgrade's header.
    pub(crate) uid: Option<Uuid>,
    pub(crate) orders: UnboundedSender<Order>,
    pub(crate) since: Duration,
    /// Messages that came on it.
    pub(crate) messages: u64,
    /// A good message has left on it.
    pub(crate) is_answered: bool,
    /// An AgentDisconnect came on it.
    pub(crate) has_goodbye: bool,
    /// The hash of the last offer that left on it; one is enough as long as it lives.
    pub(crate) offered: Option<Bytes>,
    /// Who sent the first Close frame.
    pub(crate) began: Option<&'static str>,
    /// A rule or a control call has spoiled something: much is allowed to the agent.
    pub(crate) is_excused: bool,
}

/// What a control call wants of a session.
pub(crate) enum Order {
    /// A ServerToAgent, now.
    Push(Bytes, Box<Action>),
    Ping(Bytes),
    Close(CloseSpec),
}

impl Socket {
    pub(crate) fn new(
        path: String,
        uid: Option<Uuid>,
        orders: UnboundedSender<Order>,
        since: Duration,
        is_excused: bool,
    ) -> Self {
        Self {
            path,
            uid,
            orders,
            since,
            messages: 0,
            is_answered: false,
            has_goodbye: false,
            offered: None,
            began: None,
            is_excused,
        }
    }
}
