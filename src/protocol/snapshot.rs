//! What the core knows, for the host to read at any time (LOG-04).
use std::time::Duration;

use super::{
    config::{Policy, Uid},
    core::Core,
    failure::Failure,
    journal::AgentState,
    offers::OfferState,
    parts::Parts,
    time::Time,
    timers::Deadline,
};

/// All counters are of this run.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    pub policy: Policy,
    pub state: AgentState,
    pub since: Time,
    /// The next thing that the core will do by itself, and why.
    pub next: Option<Deadline>,
    pub last_success: Option<Time>,
    pub last_error: Option<(Time, Failure)>,
    /// Exchanges or connections tried.
    pub attempts: u64,
    pub failures_in_a_row: u32,
    pub messages_sent: u64,
    pub messages_received: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// Facts that named a try of the past.
    pub stale_facts: u64,
    pub instance_uid: Uid,
    /// The number of the next message.
    pub sequence_num: u64,
    /// 0: not told yet.
    pub server_capabilities: u64,
    /// Between two messages, as in force; zero: no heartbeats.
    pub interval: Duration,
    /// Changed, allowed to be sent, and not confirmed.
    pub pending: Parts,
    /// Refused by the server; not sent until they change or the full state is asked for.
    pub held_back: Parts,
    pub offer: Option<OfferState>,
}

impl Core {
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let journal = &self.journal;
        Snapshot {
            policy: self.upstream.policy,
            state: self.agent_state(),
            since: journal.since,
            next: self.next_deadline(),
            last_success: journal.last_success,
            last_error: journal.last_error.clone(),
            attempts: journal.attempts,
            failures_in_a_row: journal.failures_in_a_row,
            messages_sent: journal.messages_sent,
            messages_received: journal.messages_received,
            bytes_sent: journal.bytes_sent,
            bytes_received: journal.bytes_received,
            stale_facts: journal.stale_facts,
            instance_uid: self.state.identity.uid,
            sequence_num: self.state.next_number,
            server_capabilities: self.state.reported.server_capabilities,
            interval: self.upstream.heartbeat.interval(),
            pending: self.state.reported.unconfirmed(),
            held_back: self.state.reported.held_back(),
            offer: self.state.offers.last().cloned(),
        }
    }
}
