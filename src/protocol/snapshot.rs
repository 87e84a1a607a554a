//! What the core knows, for the host to read at any time (LOG-04).
use std::time::Duration;

use super::{ConfigState, Deadline, Failure, Parts, Policy, Time, config::Uid};
use bytes::Bytes;

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
