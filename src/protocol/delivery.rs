//! The offer that waits for the rate limit of deliveries (LOG-11).
use bytes::Bytes;

use super::{
    time::Time,
    timers::{Deadline, Timer},
};
use crate::proto;

/// An offer and the message that brought it.
pub(super) struct Waiting {
    pub(super) offer: proto::AgentRemoteConfig,
    pub(super) flags: u64,
    pub(super) capabilities: u64,
    pub(super) raw: Bytes,
}

#[derive(Default)]
pub(super) struct Delivery {
    /// The newest offer, and when it may be delivered.
    pub(super) waiting: Option<(Time, Waiting)>,
    /// Offers since the last delivery that a newer one took the place of.
    pub(super) left_out: u64,
}

impl Delivery {
    pub(super) fn next(&self) -> Option<Deadline> {
        let why = Timer::Tell;
        self.waiting
            .as_ref()
            .map(|(at, _)| Deadline { at: *at, why })
    }
}
