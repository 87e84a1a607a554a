//! When a silent peer is asked for a sign of life, and when it is given up.

use std::time::{Duration, Instant};

use super::super::clock;

/// A wait that ends this much too late says that the process stood still, or the machine.
const SUSPENSION_GAP: Duration = Duration::from_secs(5);
/// The same for the clock that tells how long the machine slept.
const SLEPT: Duration = Duration::from_secs(1);

/// Everything here is computed from when the peer was heard and when the kernel took bytes last;
/// nothing is set.
pub(super) struct Pulse {
    ping: Duration,
    pong: Duration,
    heard: Instant,
    /// Since when a ping waits for its pong.
    asked: Option<Instant>,
    /// Since when bytes wait for the kernel.
    stuck: Option<Instant>,
    suspended: Duration,
}

/// What is to be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Beat {
    Ping,
    /// Nothing was heard in spite of a ping.
    Silent,
    /// The peer reads nothing.
    Stuck,
}

impl Pulse {
    pub(super) fn new(ping: Duration, pong: Duration) -> Pulse {
        Pulse {
            ping,
            // So that a dead peer is noticed within twice the time between pings.
            pong: pong.min(ping),
            heard: Instant::now(),
            asked: None,
            stuck: None,
            suspended: clock::suspended(),
        }
    }

    /// How long a peer may leave what was sent unacknowledged, or unread.
    pub(super) fn patience(&self) -> Duration {
        self.ping + self.pong
    }

    /// Any byte is a sign of life.
    pub(super) fn on_heard(&mut self, now: Instant) {
        (self.heard, self.asked) = (now, None);
    }

    /// After a try to send: whether bytes are left, and whether some have moved.
    pub(super) fn on_sent(&mut self, is_stuck: bool, has_moved: bool, now: Instant) {
        if self.stuck.is_some() && has_moved {
            // The ping stands behind what still moves.
            self.asked = self.asked.map(|_| now);
            self.stuck = None;
        }
        self.stuck = if is_stuck {
            self.stuck.or(Some(now))
        } else {
            None
        };
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.is_some()
    }

    /// Too long: whatever the peer sends meanwhile.
    pub(super) fn is_stuck_for_long(&self, now: Instant) -> bool {
        self.stuck
            .is_some_and(|stuck| stuck + self.patience() <= now)
    }

    /// The next time at which something is due.
    pub(super) fn next(&self) -> Instant {
        let of_peer = match self.asked {
            Some(asked) => asked + self.pong,
            None => self.heard + self.ping,
        };
        let of_kernel = self.stuck.map(|stuck| stuck + self.patience());
        of_kernel.map_or(of_peer, |at| at.min(of_peer))
    }

    /// After a look that found nothing to read.
    pub(super) fn beat(&mut self, now: Instant) -> Option<Beat> {
        let is_over = |since: Instant, limit| since + limit <= now;
        match self.asked {
            _ if self.is_stuck_for_long(now) => Some(Beat::Stuck),
            Some(asked) if is_over(asked, self.pong) => Some(Beat::Silent),
            None if is_over(self.heard, self.ping) => {
                self.asked = Some(now);
                Some(Beat::Ping)
            }
            _ => None,
        }
    }

    /// Whether we stood still during the wait that ends now. If so, the peer is asked anew.
    pub(super) fn has_thawed(&mut self, now: Instant) -> bool {
        let suspended = clock::suspended();
        let has_slept = suspended > self.suspended + SLEPT;
        self.suspended = suspended;
        if !has_slept && now <= self.next() + SUSPENSION_GAP {
            return false;
        }
        self.asked = None;
        self.heard = now.checked_sub(self.ping).unwrap_or(now);
        self.stuck = self.stuck.map(|_| now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pulse() -> (Pulse, Instant) {
        let pulse = Pulse::new(30 * SECOND, 10 * SECOND);
        let start = pulse.heard;
        (pulse, start)
    }

    #[test]
    fn a_silent_peer_is_asked_once_and_given_up_within_twice_the_interval() {
        let (mut pulse, start) = pulse();
        assert_eq!(pulse.next(), start + 30 * SECOND);
        assert_eq!(pulse.beat(start + 29 * SECOND), None);
        assert_eq!(pulse.beat(start + 30 * SECOND), Some(Beat::Ping));
        assert_eq!(pulse.next(), start + 40 * SECOND);
        assert_eq!(pulse.beat(start + 39 * SECOND), None);
        assert_eq!(pulse.beat(start + 40 * SECOND), Some(Beat::Silent));
    }

    #[test]
    fn whatever_is_heard_is_a_sign_of_life() {
        let (mut pulse, start) = pulse();
        pulse.beat(start + 30 * SECOND);
        pulse.on_heard(start + 35 * SECOND);
        assert_eq!(pulse.beat(start + 64 * SECOND), None);
        assert_eq!(pulse.beat(start + 65 * SECOND), Some(Beat::Ping));
    }

    #[test]
    fn a_pong_is_due_no_later_than_a_ping() {
        let mut pulse = Pulse::new(SECOND, 10 * SECOND);
        let start = pulse.heard;
        assert_eq!(pulse.beat(start + SECOND), Some(Beat::Ping));
        assert_eq!(pulse.beat(start + 2 * SECOND), Some(Beat::Silent));
    }

    #[test]
    fn a_ping_waits_behind_what_still_moves_but_messages_after_it_do_not_help() {
        let (mut pulse, start) = pulse();
        pulse.on_sent(true, true, start + 29 * SECOND);
        pulse.beat(start + 30 * SECOND);
        pulse.on_sent(true, true, start + 38 * SECOND);
        assert_eq!(pulse.beat(start + 47 * SECOND), None);
        pulse.on_sent(false, true, start + 47 * SECOND);
        pulse.on_sent(false, true, start + 56 * SECOND);
        assert_eq!(pulse.beat(start + 57 * SECOND), Some(Beat::Silent));
    }

    #[test]
    fn a_peer_that_speaks_but_never_reads_is_given_up() {
        let (mut pulse, start) = pulse();
        pulse.on_sent(true, true, start);
        pulse.on_sent(true, false, start + 20 * SECOND);
        pulse.on_heard(start + 39 * SECOND);
        assert_eq!(pulse.beat(start + 40 * SECOND), Some(Beat::Stuck));
    }

    #[test]
    fn after_a_freeze_the_peer_is_asked_first() {
        let (mut pulse, start) = pulse();
        pulse.beat(start + 30 * SECOND);
        assert!(!pulse.has_thawed(start + 45 * SECOND));
        assert!(pulse.has_thawed(start + 46 * SECOND));
        assert_eq!(pulse.beat(start + 46 * SECOND), Some(Beat::Ping));
        assert_eq!(pulse.next(), start + 56 * SECOND);
    }
}
