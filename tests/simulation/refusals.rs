//! What the server refused must not come again before it changes or is asked for (HTTP-09).
use std::time::Duration;

use opamp::protocol::Time;

use crate::told::Told;

/// The agent may serve a wish for its full state so much later, and something else before it.
const FULL_REPORT: Duration = Duration::from_secs(30);

/// Each of three parts is found to be the largest once, and refused alone once.
const TOO_LARGE_AT_MOST: u32 = 6;

#[derive(Default)]
pub(crate) struct Refusals {
    held: Told,
    /// Over WebSocket a refusal lasts as long as the connection, unless it is sure that the message
    /// was read.
    held_here: Told,
    /// Too large for the way even alone: not sent again either when the server wants all.
    pub(crate) too_large: Told,
    /// That, and what may be meant by a refusal for its size: it may be held back over a restart.
    pub(crate) may_be_kept: Told,
    /// A description was in a message too large: it may go alone, or not at all.
    has_large_description: bool,
    /// When the host wanted to try what was too large once more, and when the last message left.
    host_wanted_all: Option<Time>,
    last_sent: Option<Time>,
    /// Messages that were too large since something changed.
    too_large_heard: u32,
    /// All that was ever refused: in the end the server may know less. Capabilities are in every
    /// message anyway.
    pub(crate) ever: Told,
    pub(crate) are_some: bool,
    pub(crate) full_wanted: Option<Time>,
    /// A status was set since the last one was sent: if it changed back, the same is news.
    has_new_status: bool,
}

impl Refusals {
    /// Whether a message may say this now.
    pub(crate) fn allow(&mut self, now: Time, told: Told) -> bool {
        // A full report is known by its description, unless that was too large.
        let description = told.or(self.may_be_kept).description;
        let may_be_full = description != 0 || self.has_large_description;
        if let (Some(at), true) = (self.full_wanted, may_be_full) {
            self.held = Told::default();
            self.on_over();
            self.full_wanted = Some(at).filter(|at| now.since(*at) < FULL_REPORT);
        }
        self.has_new_status &= told.status == 0;
        self.last_sent = Some(now);
        let held = self.held.or(self.held_here);
        told.and(held).is_nothing() && told.and(self.too_large).is_nothing()
    }

    /// Something changed, or the host wants to try again.
    pub(crate) const fn on_news(&mut self) {
        self.too_large_heard = 0;
    }

    pub(crate) fn on_host_wants_all(&mut self, now: Time) {
        (self.too_large, self.may_be_kept) = (Told::default(), Told::default());
        self.host_wanted_all = Some(now);
        self.on_news();
    }

    /// Alone it is held back; else the rest goes without the largest part, so that it comes to an
    /// end. `outstanding`: where it is not clear which message it was, it may have been any of
    /// these.
    pub(crate) fn on_too_large(&mut self, told: Told, outstanding: Option<Told>) -> bool {
        self.are_some = true;
        self.has_large_description |= told.or(outstanding.unwrap_or(told)).description != 0;
        if let Some(any) = outstanding {
            self.may_be_kept = any.or(self.may_be_kept);
            self.ever = any.or(self.ever);
        } else if told.count() == 1 {
            self.may_be_kept = told.or(self.may_be_kept);
            self.ever = told.or(self.ever);
            let is_new = self.has_new_status && told.status != 0;
            if !is_new && self.host_wanted_all < self.last_sent {
                self.too_large = told.or(self.too_large);
            }
        }
        self.too_large_heard += u32::from(!told.is_nothing());
        self.too_large_heard <= TOO_LARGE_AT_MOST
    }

    pub(crate) fn on_new_status(&mut self) {
        (self.held.status, self.held_here.status) = (0, 0);
        self.too_large.status = 0;
        self.on_news();
        self.has_new_status = true;
    }

    /// Over WebSocket an error names no message: it is clear when there is but one that it can
    /// mean.
    pub(crate) fn on_refused(&mut self, mut told: Told, is_clear: bool, is_read: bool) {
        self.are_some = true;
        self.ever = told.or(self.ever);
        if self.has_new_status {
            told.status = 0;
        }
        if is_clear && is_read {
            self.held = told.or(self.held);
        } else if is_clear {
            self.held_here = told.or(self.held_here);
        }
    }

    /// The connection, and with it what was unclear, is gone.
    pub(crate) fn on_over(&mut self) {
        self.held_here = Told::default();
    }
}
