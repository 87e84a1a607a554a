//! Budgets: for what the host changes, and for what a server can provoke.
use std::time::Duration;

use super::{config::defaults, time::Time};

const RESET_AFTER: Duration = Duration::from_secs(60);
const PEER_BURST: u32 = 3;
const PEER_TOP: Duration = Duration::from_secs(30);

/// A burst, then one a period.
pub struct UpdateRateLimit {
    period: Duration,
    /// How long all but one of a burst take to come back.
    ahead: Duration,
    /// When all that was spent has come back.
    full: Time,
}

impl UpdateRateLimit {
    #[must_use]
    pub const fn new(burst: u32, period: Duration) -> Self {
        Self {
            period,
            ahead: period.saturating_mul(burst.saturating_sub(1)),
            full: Time::START,
        }
    }

    /// The earliest time at which one may be spent; in the past when it may be now.
    #[must_use]
    pub fn next(&self) -> Time {
        self.full - self.ahead
    }

    /// Takes one if there is one. What leaves for another reason goes along for free, so nothing is
    /// owed.
    pub fn spend(&mut self, now: Time) {
        if self.next() <= now {
            self.full = self.full.max(now) + self.period;
        }
    }
}

impl Default for UpdateRateLimit {
    /// That of new offers.
    fn default() -> Self {
        Self::new(defaults::OFFER_BURST, defaults::OFFER_PERIOD)
    }
}

/// Three at once, then after 1, 2, 4 .. 30 s; a calm minute refills it.
#[derive(Clone, Copy, Default)]
pub struct ServerRateLimit {
    spent: u32,
    last: Option<Time>,
    told: bool,
}

impl ServerRateLimit {
    /// The earliest time at which one may be spent; in the past when it may be now.
    #[must_use]
    pub fn next(&self) -> Time {
        let Some(last) = self.last else {
            return Time::START;
        };
        match self.spent.checked_sub(PEER_BURST) {
            Some(_) if planted!(EndlessFullReports) => Time::START,
            None => Time::START,
            Some(over) => last + Duration::from_secs(1 << over.min(5)).min(PEER_TOP),
        }
    }

    pub fn spend(&mut self, now: Time) {
        if self.last.is_some_and(|last| now.since(last) >= RESET_AFTER) {
            *self = Self::default();
        }
        self.spent = self.spent.saturating_add(1);
        self.last = Some(now);
    }

    /// Whether the host must be told now that it bites: once until the next calm minute.
    pub(super) fn is_first_limited(&mut self, now: Time) -> bool {
        self.next() > now && !std::mem::replace(&mut self.told, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Time {
        Time::from_micros(1_000_000_000 + seconds * 1_000_000)
    }

    #[test]
    fn a_host_has_a_burst_of_ten_and_then_one_a_second() {
        let mut budget = UpdateRateLimit::new(10, Duration::from_secs(1));
        let mut spent = Vec::new();
        for tenth in 0..150 {
            let now = at(0) + Duration::from_millis(tenth * 100);
            while budget.next() <= now {
                budget.spend(now);
                spent.push(tenth);
            }
        }
        assert_eq!(spent.iter().filter(|tenth| **tenth == 0).count(), 10);
        assert_eq!(
            spent[10..],
            [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140]
        );
    }

    #[test]
    fn what_goes_along_owes_nothing() {
        let mut budget = UpdateRateLimit::new(10, Duration::from_secs(1));
        (0..100_000).for_each(|_| budget.spend(at(0)));
        assert!(budget.next() <= at(1));
    }

    #[test]
    fn a_server_has_three_and_then_ever_less_until_it_is_calm() {
        let mut budget = ServerRateLimit::default();
        let mut gaps = Vec::new();
        let (mut now, mut told) = (at(0), 0);
        for _ in 0..10 {
            told += u32::from(budget.is_first_limited(now));
            let next = budget.next().max(now);
            gaps.push(next.since(now).as_secs());
            now = next;
            budget.spend(now);
        }
        assert_eq!((gaps, told), (vec![0, 0, 0, 1, 2, 4, 8, 16, 30, 30], 1));
        budget.spend(now + RESET_AFTER);
        assert!(budget.next() < now + RESET_AFTER);
    }
}
