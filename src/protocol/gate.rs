//! The gate: what forbids to send or to connect. Everything else only asks.
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
pub(super) struct SendGate {
    closed: Option<Closed>,
    /// Headers came since the last try began: what refused that try has not seen them.
    has_new_headers: bool,
}

impl SendGate {
    pub(super) fn close(&mut self, until: Time, why: Timer) {
        self.close_as(Closed {
            until,
            why,
            for_headers: false,
        });
    }

    /// Unless the headers to wait for came while the try was on its way.
    pub(super) fn close_for_headers(&mut self, until: Time) {
        if self.has_new_headers {
            return;
        }
        self.close_as(Closed {
            until,
            why: Timer::NextPoll,
            for_headers: true,
        });
    }

    /// A wait that was asked for is never shortened.
    fn close_as(&mut self, closed: Closed) {
        if self
            .closed
            .is_none_or(|present| present.until < closed.until || planted!(WaitShortened))
        {
            self.closed = Some(closed);
        }
    }

    /// A try begins, with the headers of now.
    pub(super) const fn on_try(&mut self) {
        self.has_new_headers = false;
    }

    /// New headers came: what waited for them may go.
    pub(super) fn on_headers(&mut self) {
        self.has_new_headers = true;
        self.closed.take_if(|closed| closed.for_headers);
    }

    /// HTTP: the next poll comes at another time now, and what waits for it with it.
    pub(super) fn on_next_poll(&mut self, now: Time, at: Time) {
        let waits = |closed: &&mut Closed| closed.until > now && closed.why == Timer::NextPoll;
        if let Some(closed) = self.closed.as_mut().filter(waits) {
            closed.until = at;
        }
    }

    pub(super) fn closed(&self, now: Time) -> Option<Closed> {
        self.closed.filter(|closed| closed.until > now)
    }

    /// Until when the server itself asked us to stay away; what a restart keeps.
    pub(super) fn asked_until(&self, now: Time) -> Option<Time> {
        self.closed(now)
            .filter(|closed| closed.why == Timer::RetryAfter)
            .map(|closed| closed.until)
    }
}
