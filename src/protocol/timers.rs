//! When the core wants to be called again, and why.
use super::time::Time;

/// Why the core wants to be called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// The stop grace is over.
    Stop,
    /// The peer did not answer a Close frame.
    CloseWait,
    /// An exchange lasts far longer than its transport should let it.
    Exchange,
    /// The peer leaves a message without an answer; the next one no longer waits for it.
    Patience,
    /// The host owes a verdict.
    Verdict,
    /// The next poll or heartbeat.
    Heartbeat,
    /// News that wait for the budget of host-made changes.
    Change,
    /// Full state that the server asked for too often.
    FullReport,
    /// A try after a failure.
    Backoff,
    /// A try after an answer that would repeat itself: with the next poll.
    NextPoll,
    /// A try that the server put off (Retry-After, UNAVAILABLE).
    RetryAfter,
}

/// The next time to call [`super::Core::handle`] with [`super::Input::Deadline`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    pub at: Time,
    pub why: Timer,
}
