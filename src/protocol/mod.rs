//! One OpAMP agent as a state machine: no socket, no clock, no thread, no chance of its own.
//!
//! ```text
//!   Input ──► handle ──► timers fire ─► the fact or change is taken in ─► timers fire
//!   Action ◄── poll  ◄── what was to be told ─► what must leave now, built now ─► when to come back
//! ```
//!
//! Rule of use: one [`Core::handle`], then [`Core::poll`] until it answers [`Action::Wait`]; only then the next `handle`.
//! (Before [`Input::Start`] any number of `handle`s may follow each other.) `handle` never fails: what a peer did wrong
//! becomes an [`Event`], what a host did wrong was refused before it came here.
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod change;
mod config;
mod event;
mod failure;
mod parts;
mod snapshot;
mod time;
mod timers;

use std::time::Duration;

use bytes::Bytes;

pub use change::{Change, ConfigState, RemoteConfigStatus, StatusError};
pub use config::{Carry, Config, Policy, Uid, defaults};
pub use event::{
    Event, Message, MessageParts, Outcome, RemoteConfig, ServerErrorKind, WarningKind,
};
pub use failure::{FailKind, Failure, Reached};
pub use parts::{Part, Parts};
pub use snapshot::{OfferState, Snapshot, State};
pub use time::Time;
pub use timers::{Deadline, Timer};

/// One exchange or one connection. A fact that names an old one is dropped and counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TryId(pub u64);

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// All that is known at the start was set: the first try may begin.
    Start,
    /// The time that [`Action::Wait`] named has come. Early or extra calls are harmless.
    Deadline,
    Host(Change),
    /// Say goodbye if there is a way, and end within this time. [`Event::Stopped`] is the end.
    Stop {
        within: Duration,
    },
    /// What the transport saw of the try `id`.
    Link {
        id: TryId,
        fact: Fact,
    },
}

/// What a transport sees. After [`Action::Close`] it reports `Over`, too.
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    /// WebSocket: the upgrade is done. HTTP, optional: a connection stands and the request goes out on it (a stop does not
    /// wait for an exchange without one).
    Opened,
    /// WebSocket: the frame of the last `Send` is in the kernel.
    Written,
    /// WebSocket: the peer has read up to this marker.
    Pong { marker: u64 },
    /// One ServerToAgent, still encoded; bodies are slices of it. On HTTP it ends the exchange; an empty answer is an empty
    /// message.
    Message(Bytes),
    /// The exchange failed, or the connection has ended.
    Over(Failure),
}

/// What the shell must do.
#[must_use]
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// WebSocket: open a connection.
    Connect {
        id: TryId,
    },
    /// Send the message that `poll` has put into `out`. HTTP: begin the exchange `id`. WebSocket: on the connection `id`,
    /// with a ping behind it that carries the marker; no other `Send` follows before `Written` or `Over`.
    Send {
        id: TryId,
        marker: Option<u64>,
    },
    /// With a code: send a WebSocket Close frame with it and wait for the peer's. Without one: cut the exchange or
    /// connection now. Either way `Over` is awaited, and nothing else leaves before it.
    Close {
        id: TryId,
        code: Option<u16>,
    },
    Tell(Event),
    /// Nothing more to do until then; `None`: until something happens.
    Wait(Option<Deadline>),
}

/// One agent, from its start to its stop.
pub struct Core {
    config: Config,
    carry: Carry,
    now: Time,
    seed: u64,
}

impl Core {
    /// An agent that does nothing before [`Input::Start`]; set its parts first. `seed` decides all its chances: two agents
    /// with one seed are in step.
    #[must_use]
    pub fn new(config: Config, carry: Carry, now: Time, seed: u64) -> Self {
        Self {
            config,
            carry,
            now,
            seed,
        }
    }

    /// Takes in what happened at `now`.
    pub fn handle(&mut self, now: Time, input: Input) {
        let _ = (now, input, &self.config, self.seed);
    }

    /// The next thing to do. `out` is cleared and filled for [`Action::Send`] only.
    pub fn poll(&mut self, out: &mut Vec<u8>) -> Action {
        out.clear();
        Action::Wait(None)
    }

    /// The uid of the message that was built last, and of the next one.
    #[must_use]
    pub const fn instance_uid(&self) -> &Uid {
        &self.carry.instance_uid
    }

    /// What a restart keeps, as of now.
    #[must_use]
    pub fn carry(&self) -> Carry {
        self.carry.clone()
    }

    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            policy: self.config.policy,
            state: State::Idle,
            since: self.now,
            next: None,
            last_success: None,
            last_error: None,
            attempts: 0,
            failures_in_a_row: 0,
            messages_sent: 0,
            messages_received: 0,
            bytes_sent: 0,
            bytes_received: 0,
            stale_facts: 0,
            instance_uid: self.carry.instance_uid,
            sequence_num: self.carry.sequence_num,
            server_capabilities: 0,
            interval: self.config.interval,
            pending: Parts::NONE,
            held_back: Parts::NONE,
            offer: None,
        }
    }
}
