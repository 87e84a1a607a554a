//! One OpAMP agent as a state machine: no socket, no clock, no thread, no chance of its own.
//!
//! ```text
//!   Input ──► handle ──► timers fire ─► the fact or change is taken in ─► timers fire
//!   Action ◄── poll  ◄── what was to be told ─► what must leave now, built now ─► when to come back
//! ```
//!
//! Rule of use: one [`Core::handle`], then [`Core::poll`] until it answers [`Action::Wait`]; only
//! then the next `handle`. (Before [`Input::Start`] any number of `handle`s may follow each other.)
//! `handle` never fails: what a peer did wrong becomes an [`Event`], what a host did wrong was
//! refused before it came here.
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

/// Whether a known bug is planted here: only in the simulation's test of itself.
macro_rules! planted {
    ($bug:ident) => {{
        #[cfg(feature = "planted-bugs")]
        let is_planted =
            crate::protocol::planted_bugs::has(crate::protocol::planted_bugs::Bug::$bug);
        #[cfg(not(feature = "planted-bugs"))]
        let is_planted = false;
        is_planted
    }};
}

mod apply;
mod backoff;
mod change;
mod compose;
mod config;
mod confirm;
mod core;
mod delivery;
mod digest;
mod drive;
mod emit;
mod event;
mod event_queue;
mod failure;
mod field_count;
mod gate;
mod heartbeat;
mod identity;
mod interface;
mod journal;
mod link;
mod link_events;
mod offer_memory;
mod offers;
mod parts;
mod persistent_state;
mod plan;
#[cfg(feature = "planted-bugs")]
pub mod planted_bugs;
mod random;
mod rate_limit;
mod receive;
mod refusal;
mod remote_config;
mod reported;
mod requests;
mod retry;
mod sameness;
#[cfg(test)]
mod scenarios;
mod send;
mod settings;
mod snapshot;
mod state;
mod stop;
mod tickets;
mod time;
mod timers;
mod upstream;
mod value;
mod wire;

pub use self::core::Core;
pub use change::{Change, ConfigState, RemoteConfigStatus, StatusError};
pub use config::{Config, Policy, Uid, defaults};
pub use event::{
    Event, Message, MessageParts, Outcome, RemoteConfig, ServerErrorKind, WarningKind,
};
pub use failure::{FailKind, Failure, ReachedServer};
pub use field_count::has_field_count_at_most;
pub use interface::{Action, AttemptId, Fact, Input, SUSPENSION_GAP};
pub use journal::AgentState;
pub use offer_memory::FailedOffer;
pub use offers::OfferState;
pub use parts::{Part, Parts, TooLarge};
pub use persistent_state::PersistentState;
pub use rate_limit::{ServerRateLimit, UpdateRateLimit};
pub use receive::long_hash;
pub use snapshot::Snapshot;
pub use time::Time;
pub use timers::{Deadline, Timer};
