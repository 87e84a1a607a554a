//! Which offers of one kind came before and how they ended, whatever they offer.
use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

/// So many failed offers, and so many offers at all, are remembered.
const MEMORY: usize = 16;

/// Of more than the last failed one: hashes and texts are as long as a peer makes them.
const MEMORY_BYTES: usize = 64 << 10;

/// An offer that failed, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailedOffer {
    pub hash: Bytes,
    /// Shared: what a restart keeps is copied after each exchange.
    pub error: Arc<str>,
}

#[derive(Default)]
pub(super) struct OfferMemory {
    applied: Option<Bytes>,
    /// The newest last, each hash once.
    failed: Vec<FailedOffer>,
    /// Digests of the offers of this run, the newest last.
    seen: VecDeque<u64>,
    /// The last offer came before, or was answered without the application: a server could have its
    /// status without end.
    is_rate_limited: bool,
}

impl OfferMemory {
    pub(super) fn new(applied: Option<Bytes>, failed: Vec<FailedOffer>) -> Self {
        Self {
            applied,
            failed,
            ..Self::default()
        }
    }

    /// The hash of the last offer that was applied.
    pub(super) const fn applied(&self) -> Option<&Bytes> {
        self.applied.as_ref()
    }

    pub(super) const fn failed(&self) -> &Vec<FailedOffer> {
        &self.failed
    }

    pub(super) fn failure_of(&self, hash: &Bytes) -> Option<&FailedOffer> {
        self.failed.iter().find(|failed| failed.hash == *hash)
    }

    pub(super) fn has_seen(&self, digest: u64) -> bool {
        self.seen.contains(&digest)
    }

    pub(super) fn on_seen(&mut self, digest: u64) {
        self.is_rate_limited = self.seen.contains(&digest);
        if !self.is_rate_limited {
            self.seen.push_back(digest);
        }
        if self.seen.len() > MEMORY {
            self.seen.pop_front();
        }
    }

    /// The library has answered for the application.
    pub(super) const fn on_answered(&mut self) {
        self.is_rate_limited = true;
    }

    /// Whether the status of the last offer must be held in a rate limit.
    pub(super) const fn is_rate_limited(&self) -> bool {
        self.is_rate_limited
    }

    pub(super) fn on_applied(&mut self, hash: &Bytes) {
        self.applied = Some(hash.clone());
        self.forget_failed(hash);
    }

    pub(super) fn on_failed(&mut self, hash: &Bytes, error: &Arc<str>) {
        self.applied.take_if(|applied| applied == hash);
        self.forget_failed(hash);
        self.failed.push(FailedOffer {
            hash: hash.clone(),
            error: error.clone(),
        });
        let size = |failed: &FailedOffer| failed.hash.len() + failed.error.len();
        let mut bytes: usize = self.failed.iter().map(size).sum();
        while self.failed.len() > MEMORY || self.failed.len() > 1 && bytes > MEMORY_BYTES {
            bytes -= size(&self.failed.remove(0));
        }
    }

    pub(super) fn forget_applied(&mut self) {
        self.applied = None;
    }

    fn forget_failed(&mut self, hash: &Bytes) {
        self.failed.retain(|failed| failed.hash != *hash);
    }
}
