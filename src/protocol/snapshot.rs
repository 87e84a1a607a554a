//! What the core knows, for the host to read at any time (LOG-04).
use std::time::Duration;

use bytes::Bytes;

use super::{ConfigState, Core, Deadline, Failure, Parts, Policy, Time, config::Uid, link::Link};

/// Where the agent stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Not started yet.
    Idle,
    /// A connection or an exchange is on its way, and the server has not answered since the start or the last failure.
    Connecting,
    /// The last try succeeded.
    Connected,
    /// The last try failed; the next one comes at [`Snapshot::next`].
    Waiting,
    Stopping,
    Stopped,
}

/// All counters are of this run.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    pub policy: Policy,
    pub state: State,
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

/// The last offer that was delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfferState {
    pub hash: Bytes,
    pub delivered: Time,
    /// `Unset`: the host has not answered.
    pub state: ConfigState,
}

/// What is counted and noted for the snapshot alone.
pub(super) struct Journal {
    state: State,
    since: Time,
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
            state: State::Idle,
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

    pub(super) fn note(&mut self, state: State, now: Time) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }
}

impl Core {
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let journal = &self.journal;
        Snapshot {
            policy: self.config.policy,
            state: self.state(),
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
            instance_uid: self.identity.uid,
            sequence_num: self.next_number,
            server_capabilities: self.reported.server_capabilities,
            interval: self.beat.interval(),
            pending: self.reported.unconfirmed(),
            held_back: self.reported.held_back(),
            offer: self.offers.last().cloned(),
        }
    }

    pub(super) fn state(&self) -> State {
        let has_failed = self.journal.failures_in_a_row > 0;
        match (&self.stop, &self.link) {
            _ if self.is_stopped() => State::Stopped,
            (Some(_), _) => State::Stopping,
            _ if !self.is_started => State::Idle,
            (None, Link::Open(_)) => State::Connected,
            (None, Link::Down) if has_failed || self.gate.closed(self.now).is_some() => {
                State::Waiting
            }
            _ if self.is_answered && !has_failed => State::Connected,
            _ => State::Connecting,
        }
    }
}
