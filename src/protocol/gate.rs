//! The gate: what forbids to send or to connect. Everything else only wishes.
use super::{time::Time, timers::Timer};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Closed {
    pub(super) until: Time,
    /// `Backoff`, `NextPoll` or `RetryAfter`.
    pub(super) why: Timer,
    /// It was closed by a 401 or 403: new headers open it.
    pub(super) for_headers: bool,
}

/// Open unless something closed it.
#[derive(Default)]
pub(super) struct Gate(Option<Closed>);

impl Gate {
    pub(super) fn close(&mut self, until: Time, why: Timer) {
        self.close_as(Closed {
            until,
            why,
            for_headers: false,
        });
    }

    pub(super) fn close_for_headers(&mut self, until: Time) {
        self.close_as(Closed {
            until,
            why: Timer::NextPoll,
            for_headers: true,
        });
    }

    /// A wait that was asked for is never shortened.
    fn close_as(&mut self, closed: Closed) {
        if self
            .0
            .is_none_or(|present| present.until < closed.until || planted!(WaitShortened))
        {
            self.0 = Some(closed);
        }
    }

    /// New headers came: what waited for them may go.
    pub(super) fn on_headers(&mut self) {
        if self.0.is_some_and(|closed| closed.for_headers) {
            self.0 = None;
        }
    }

    pub(super) fn closed(&self, now: Time) -> Option<Closed> {
        self.0.filter(|closed| closed.until > now)
    }

    /// Until when the server itself asked us to stay away; what a restart keeps.
    pub(super) fn asked_until(&self, now: Time) -> Option<Time> {
        self.closed(now)
            .filter(|closed| closed.why == Timer::RetryAfter)
            .map(|closed| closed.until)
    }
}
