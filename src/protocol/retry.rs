//! After a failure.
use std::time::Duration;

use super::{
    backoff,
    config::{Policy, defaults},
    core::Core,
    event::Event,
    failure::{Failure, RetryPolicy},
    interface::AttemptId,
    link::Link,
    random::Purpose,
    timers::Timer,
};

impl Core {
    /// One failed try: when comes the next, who has given up, and the host is told.
    pub(super) fn on_failed(&mut self, id: AttemptId, failure: Failure) {
        // Who finds a message too large is there, and may be told goodbye.
        self.upstream.is_answered &= RetryPolicy::of(&failure) == RetryPolicy::HoldBack;
        self.journal.failures_in_a_row += 1;
        self.journal.last_error = Some((self.now, failure.clone()));
        match (self.upstream.policy, RetryPolicy::of(&failure)) {
            (_, RetryPolicy::Backoff) => {
                let until = self.now + self.next_backoff();
                self.upstream.gate.close(until, Timer::Backoff);
            }
            (_, RetryPolicy::Wait) => self.delay_next_attempt(failure.retry_after),
            (Policy::Http, RetryPolicy::HoldBack) => {}
            (_, remedy) => self.wait_for_next_poll(remedy),
        }
        self.upstream.requests.again |= RetryPolicy::of(&failure) != RetryPolicy::HoldBack;
        self.expire_reports(id, &failure);
        let retry_in = self.retry_in();
        let failed = Event::ConnectFailed { failure, retry_in };
        self.events.push(failed, self.now);
    }

    /// Ends the reports whose last try this was.
    pub(super) fn expire_reports(&mut self, id: AttemptId, failure: &Failure) {
        let ended = self.state.tickets.on_failed(id, failure);
        self.end_reports(ended);
    }

    pub(super) fn retry_in(&self) -> Option<Duration> {
        self.plan()
            .filter(|_| self.stop.is_none())
            .map(|plan| plan.at.since(self.now))
    }

    /// The server asked us to stay away, for a time that it named or not (HTTP-10, WS-11).
    pub(super) fn delay_next_attempt(&mut self, asked: Option<Duration>) {
        let config = &self.config;
        let jitter = self
            .random
            .up_to(Purpose::RetryAfter, config.retry_after_jitter);
        let (cap, floor) = (config.retry_after_cap, config.overload_floor);
        let backoff = self.next_backoff();
        let wait = match asked {
            Some(asked) => asked.min(cap) + jitter,
            None => backoff.max(floor + jitter),
        };
        // A server that asks for no time to speak of is still not asked all the time.
        let until = (self.now + wait).max(self.upstream.delay_limit.next());
        self.upstream.delay_limit.spend(self.now);
        self.upstream.gate.close(until, Timer::RetryAfter);
    }

    /// It says so again: what the host was told of the next try holds, unless the time asked for is
    /// longer (LOG-01).
    pub(super) fn extend_delay(&mut self, asked: Option<Duration>) {
        let config = &self.config;
        let least = asked.map_or(config.overload_floor, |asked| {
            asked.min(config.retry_after_cap)
        });
        let is_enough = |until| self.now + least <= until;
        if !self
            .upstream
            .gate
            .asked_until(self.now)
            .is_some_and(is_enough)
        {
            self.delay_next_attempt(asked);
        }
    }

    /// It would be refused again: wait for the next poll, or for new headers (HTTP-11, WS-12).
    fn wait_for_next_poll(&mut self, remedy: RetryPolicy) {
        let until = match (self.upstream.policy, self.next_heartbeat()) {
            (Policy::Http, Some(poll)) if remedy == RetryPolicy::LaterPoll => {
                poll.max(self.now + self.next_backoff())
            }
            (Policy::Http, Some(poll)) => poll,
            _ => {
                let interval = match self.upstream.heartbeat.interval() {
                    Duration::ZERO => defaults::INTERVAL,
                    interval => interval,
                };
                self.now + self.next_backoff().max(interval)
            }
        };
        match remedy {
            RetryPolicy::NewHeaders => self.upstream.gate.close_for_headers(until),
            _ => self.upstream.gate.close(until, Timer::NextPoll),
        }
    }

    fn next_backoff(&mut self) -> Duration {
        self.upstream.backoffs = self.upstream.backoffs.saturating_add(1);
        backoff::delay(&self.config, self.upstream.backoffs, &mut self.random)
    }

    /// After a session that lasted and in which the server spoke, its failure is the first of a row
    /// (WS-10).
    pub(super) fn reset_backoff_if_stable(&mut self) {
        let Link::Open(session) = &self.upstream.link else {
            return;
        };
        if session.answered && self.now.since(session.since) >= self.config.stable_session {
            self.upstream.backoffs = 0;
        }
    }

    /// What waits for the next poll waits for it as it is now (HTTP-11, HTTP-21).
    pub(super) fn on_interval(&mut self) {
        if let (Policy::Http, Some(at)) = (self.upstream.policy, self.next_heartbeat()) {
            self.upstream.gate.on_next_poll(self.now, at);
        }
    }
}
