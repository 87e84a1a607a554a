//! When the core wants to be called again, and why.
use super::time::Time;

/// Why the core wants to be called. The first five are set and fire in this order; the others are
/// computed from what is wished and what forbids it, so they can not be forgotten.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// The stop grace is over.
    Stop,
    /// The peer does not answer a goodbye or a Close frame.
    CloseWait,
    /// A try lasts far longer than its transport should let it.
    Exchange,
    /// The peer leaves a message without an answer; what waits for it waits no longer.
    Response,
    /// The host owes a verdict.
    ConfigStatus,
    /// The next poll or heartbeat.
    Heartbeat,
    /// News, or a next_request of the host, that wait for the budget of host-made changes.
    Change,
    /// Full state that the server asked for too often.
    FullReport,
    /// A try after a failure.
    Backoff,
    /// A try after an answer that would repeat itself: with the next poll.
    NextPoll,
    /// A try that the server put off (Retry-After, UNAVAILABLE).
    RetryAfter,
    /// What a peer provoked too often is told, or delivered, later.
    Tell,
}

impl Timer {
    const SET: [Self; 5] = [
        Self::Stop,
        Self::CloseWait,
        Self::Exchange,
        Self::Response,
        Self::ConfigStatus,
    ];
}

/// The next time to call [`super::Core::handle`] with [`super::Input::Deadline`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    pub at: Time,
    pub why: Timer,
}

/// The first one when both come at the same time.
pub(super) fn earlier(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
    match (one, other) {
        (Some(first), Some(second)) if second.at < first.at => other,
        (None, _) => other,
        _ => one,
    }
}

/// The timers that are set.
#[derive(Default)]
pub(super) struct Timers {
    at: [Option<Time>; Timer::SET.len()],
    /// None is due before this time.
    idle_until: Option<Time>,
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Time) {
        self.at[timer as usize] = Some(at);
        self.idle_until = Some(self.idle_until.map_or(at, |until| until.min(at)));
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        self.at[timer as usize] = None;
    }

    /// The first in the order of [`Timer`] that is due; it is set no more.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Timer> {
        if self.idle_until.is_none_or(|until| now < until) {
            return None;
        }
        let is_due = |at: &Option<Time>| at.is_some_and(|at| at <= now);
        let Some(first) = self.at.iter().position(is_due) else {
            self.idle_until = self.at.iter().flatten().min().copied();
            return None;
        };
        self.at[first] = None;
        Some(Timer::SET[first])
    }

    pub(super) fn next(&self) -> Option<Deadline> {
        let mut next = None;
        for (at, why) in self.at.iter().zip(Timer::SET) {
            next = earlier(next, at.map(|at| Deadline { at, why }));
        }
        next
    }
}
