//! The server that an agent talks to, and how: what is open or on its way, what forbids and what
//! wants the next message.
use bytes::Bytes;

use super::{
    config::{Config, Policy},
    gate::SendGate,
    heartbeat::HeartbeatSchedule,
    link::Link,
    persistent_state::PersistentState,
    rate_limit::ServerRateLimit,
    requests::PendingRequests,
    timers::Timer,
};

pub(super) struct Upstream {
    pub(super) policy: Policy,
    pub(super) link: Link,
    /// The attempt begun last.
    pub(super) last_attempt: u64,
    /// The server has answered, and the way to it has not failed since (HTTP).
    pub(super) is_answered: bool,
    pub(super) gate: SendGate,
    pub(super) requests: PendingRequests,
    pub(super) heartbeat: HeartbeatSchedule,
    /// Of the last offer of connection settings.
    pub(super) settings_hash: Bytes,
    /// The exponent of the backoff.
    pub(super) backoffs: u32,
    /// Of delays that the server asks for.
    pub(super) delay_limit: ServerRateLimit,
}

impl Upstream {
    pub(super) fn new(config: &Config, carry: &PersistentState) -> Self {
        let mut gate = SendGate::default();
        if let Some(until) = carry.retry_after {
            gate.close(until, Timer::RetryAfter);
        }
        let policy = config.policy;
        let of_server = carry
            .server_interval
            .filter(|it| !it.is_zero() || policy == Policy::WebSocket);
        Self {
            policy,
            link: Link::Down,
            last_attempt: 0,
            is_answered: false,
            gate,
            requests: PendingRequests::default(),
            heartbeat: HeartbeatSchedule::new(
                config.interval,
                of_server,
                config.interval_jitter_percent,
            ),
            settings_hash: Bytes::new(),
            backoffs: 0,
            delay_limit: ServerRateLimit::default(),
        }
    }
}
