//! What the server refused must not come again before it changes or is asked for (HTTP-09).
use std::time::Duration;

use opamp::protocol::Time;

use crate::told::Told;

/// The agent may serve a wish for its full state so much later, and something else before it.
const FULL_REPORT: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(crate) struct Refusals {
    held: Told,
    /// Over WebSocket a refusal lasts as long as the connection, unless it is sure that the message was read.
    held_here: Told,
    /// All that was ever refused: in the end the server may know less. Capabilities are in every message anyway.
    pub(crate) ever: Told,
    pub(crate) are_some: bool,
    pub(crate) full_wanted: Option<Time>,
    /// A status was set since the last one was sent: if it changed back, the same is news.
    has_new_status: bool,
}

impl Refusals {
    /// Whether a message may say this now.
    pub(crate) fn allow(&mut self, now: Time, told: Told) -> bool {
        if let (Some(at), true) = (self.full_wanted, told.description != 0) {
            self.held = Told::default();
            self.on_over();
            self.full_wanted = Some(at).filter(|at| now.since(*at) < FULL_REPORT);
        }
        self.has_new_status &= told.status == 0;
        told.and(self.held.or(self.held_here)).is_nothing()
    }

    pub(crate) fn on_new_status(&mut self) {
        (self.held.status, self.held_here.status) = (0, 0);
        self.has_new_status = true;
    }

    /// Over WebSocket an error names no message: it is clear when there is but one that it can mean.
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
