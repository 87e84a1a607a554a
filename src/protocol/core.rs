//! One agent: its state, its upstream, and where it stands between the two calls that drive it.
use std::time::Duration;

use super::{
    config::{Config, Uid},
    event_queue::EventQueue,
    journal::Journal,
    parts::Part,
    persistent_state::PersistentState,
    random::Random,
    state::State,
    time::Time,
    timers::Timers,
    upstream::Upstream,
};

/// One agent, from its start to its stop.
pub struct Core {
    pub(super) config: Config,
    pub(super) random: Random,
    pub(super) now: Time,
    pub(super) is_started: bool,
    /// `poll` has returned `Wait` since the last `handle`.
    pub(super) is_drained: bool,
    /// What that `Wait` said: a clock far beyond it means that we were frozen.
    pub(super) asleep_until: Option<Time>,
    pub(super) state: State,
    pub(super) upstream: Upstream,
    pub(super) stop: Option<Stop>,
    /// Of the stop, the link and the remote config status.
    pub(super) timers: Timers,
    pub(super) events: EventQueue,
    pub(super) journal: Journal,
}

/// Stop is a state with a deadline.
pub(super) struct Stop {
    pub(super) by: Time,
    pub(super) stage: Stage,
    /// Not on a detach.
    pub(super) goodbye: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Wanted,
    /// The last message is on its way.
    LastInFlight,
    /// WebSocket: the Close frame was sent.
    Closing,
    Done,
}

impl Core {
    /// An agent that does nothing before [`super::Input::Start`]; set its parts first. `seed`
    /// decides all that is random: two agents with one seed are in step.
    #[must_use]
    pub fn new(config: Config, carry: PersistentState, now: Time, seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            now,
            is_started: false,
            is_drained: true,
            asleep_until: None,
            upstream: Upstream::new(&config, &carry),
            state: State::new(&config, &carry, now),
            stop: None,
            timers: Timers::default(),
            events: EventQueue::default(),
            journal: Journal::new(now),
            config,
        }
    }

    /// The uid of the message that was built last, and of the next one.
    #[must_use]
    pub const fn instance_uid(&self) -> &Uid {
        &self.state.identity.uid
    }

    /// What a restart keeps, as of now.
    #[must_use]
    pub fn carry(&self) -> PersistentState {
        let mut carry = PersistentState::new(self.state.identity.uid);
        carry.request_instance_uid = self.state.identity.wanted;
        carry.sequence_num = self.state.next_number;
        carry.server_interval = self.upstream.heartbeat.of_server();
        carry.retry_after = self.upstream.gate.asked_until(self.now);
        carry.too_large = self.state.reported.too_large();
        self.state.offers.keep(&mut carry);
        carry
    }

    /// The interval in force, if a server set it.
    #[must_use]
    pub const fn server_interval(&self) -> Option<Duration> {
        self.upstream.heartbeat.of_server()
    }

    /// The server has taken in the status of the last offer.
    #[must_use]
    pub fn is_status_known(&self) -> bool {
        let part = Part::RemoteConfigStatus;
        let waits = [
            self.state.reported.unconfirmed(),
            self.state.reported.held_back(),
        ];
        self.state.reported.is_allowed(part) && !waits.iter().any(|parts| parts.has(part))
    }
}
