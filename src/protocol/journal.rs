//! What is counted and noted for the snapshot alone.
use super::{failure::Failure, time::Time};

/// Where the agent stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AgentState {
    /// Not started yet.
    Idle,
    /// A connection or an exchange is on its way, and the server has not answered since the start
    /// or the last failure.
    Connecting,
    /// The last try succeeded.
    Connected,
    /// The last try failed; the next one comes at [`Snapshot::next`].
    Waiting,
    Stopping,
    Stopped,
}

/// What is counted and noted for the snapshot alone.
pub(super) struct Journal {
    state: AgentState,
    pub(super) since: Time,
    pub(super) last_success: Option<Time>,
    pub(super) last_error: Option<(Time, Failure)>,
    pub(super) attempts: u64,
    pub(super) failures_in_a_row: u32,
    pub(super) messages_sent: u64,
    pub(super) messages_received: u64,
    pub(super) bytes_sent: u64,
    /// Of the message built last.
    last_bytes: u64,
    pub(super) bytes_received: u64,
    pub(super) stale_facts: u64,
}

impl Journal {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            state: AgentState::Idle,
            since: now,
            last_success: None,
            last_error: None,
            attempts: 0,
            failures_in_a_row: 0,
            messages_sent: 0,
            messages_received: 0,
            bytes_sent: 0,
            last_bytes: 0,
            bytes_received: 0,
            stale_facts: 0,
        }
    }

    pub(super) const fn on_built(&mut self, length: u64) {
        self.messages_sent += 1;
        self.bytes_sent += length;
        self.last_bytes = length;
    }

    /// No byte of the message built last has left.
    pub(super) const fn on_unsent(&mut self) {
        self.messages_sent -= 1;
        self.bytes_sent -= self.last_bytes;
    }

    pub(super) fn note(&mut self, state: AgentState, now: Time) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }
}
