//! What the server refused must not come again before it changes or is asked for (HTTP-09).
use std::time::Duration;

use opamp::protocol::Time;

use crate::told::Told;

/// The agent may serve a wish for its full state so much later, and something else before it.
const FULL_REPORT: Duration = Duration::from_secs(30);

/// How clear it is to the agent which message is refused: over WebSocket an error names none.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Clarity {
    None,
    /// There is but one, but perhaps the server has never read it.
    Unread,
    Read,
}

#[derive(Default)]
pub(crate) struct Refusals {
    held: Told,
    /// Over WebSocket a refusal lasts as long as the connection, unless it is sure that the message was read.
    held_here: Told,
    /// All that was ever refused: in the end the server may know less. Capabilities are in every message anyway.
    pub(crate) ever: Told,
    pub(crate) are_some: bool,
    full_wanted: Option<Time>,
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

    pub(crate) const fn on_full_wanted(&mut self, now: Time) {
        self.full_wanted = Some(now);
    }

    pub(crate) fn on_new_status(&mut self) {
        (self.held.status, self.held_here.status) = (0, 0);
        self.has_new_status = true;
    }

    pub(crate) fn on_refused(&mut self, mut told: Told, how: Clarity) {
        self.are_some = true;
        self.ever = told.or(self.ever);
        if self.has_new_status {
            told.status = 0;
        }
        match how {
            Clarity::None => {}
            Clarity::Unread => self.held_here = told.or(self.held_here),
            Clarity::Read => self.held = told.or(self.held),
        }
    }

    /// The connection, and with it what was unclear, is gone.
    pub(crate) fn on_over(&mut self) {
        self.held_here = Told::default();
    }
}
