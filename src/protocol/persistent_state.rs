//! What one run hands to the next.
use std::time::Duration;

use bytes::Bytes;

use super::{
    change::RemoteConfigStatus,
    config::Uid,
    offer_memory::FailedOffer,
    parts::{Part, TooLarge},
    time::Time,
};

/// What a restart keeps. Read it from a core with [`super::Core::carry`], give it to the next one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PersistentState {
    pub instance_uid: Uid,
    /// The present uid is temporary: the server is asked for another.
    pub request_instance_uid: bool,
    /// The number of the next message.
    pub sequence_num: u64,
    /// Given by the server; wins over the host's until the host sets another.
    pub server_interval: Option<Duration>,
    /// A Retry-After that still runs.
    pub retry_after: Option<Time>,
    /// The hash of the last offer that was delivered.
    pub last_offer: Option<Bytes>,
    /// The last verdict, whatever it was.
    pub verdict: Option<RemoteConfigStatus>,
    /// The hash of the last offer that was APPLIED.
    pub applied: Option<Bytes>,
    /// The last offers that FAILED.
    pub failed: Vec<FailedOffer>,
    /// What was too large for the way to this server (HTTP-24).
    pub too_large: TooLarge,
}

impl PersistentState {
    /// An agent that has never run.
    #[must_use]
    pub const fn new(instance_uid: Uid) -> Self {
        Self {
            instance_uid,
            request_instance_uid: false,
            sequence_num: 0,
            server_interval: None,
            retry_after: None,
            last_offer: None,
            verdict: None,
            applied: None,
            failed: Vec::new(),
            too_large: [None; Part::COUNT],
        }
    }

    /// Whether the host may give a verdict on the offer with this hash: the last one offered, the
    /// last one reported, or any before the first offer (LOG-05).
    #[must_use]
    pub fn is_verdict_for(&self, hash: &[u8]) -> bool {
        let reported = self
            .verdict
            .as_ref()
            .is_some_and(|verdict| verdict.hash() == hash);
        reported || self.last_offer.as_ref().is_none_or(|offer| offer == hash)
    }
}
