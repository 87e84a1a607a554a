//! When the next poll (HTTP) or heartbeat (WebSocket) is due.
use std::time::Duration;

use super::{
    config::defaults,
    random::{Purpose, Random},
    time::{Time, micros},
};

/// The interval in force, and when the next message is due by it.
pub(super) struct HeartbeatSchedule {
    of_host: Duration,
    of_server: Option<Duration>,
    sent: Option<Time>,
    due: Option<Time>,
    /// 0 is the shortest beat that the jitter allows, a million the mean, two the longest.
    jitter: u64,
    percent: u32,
}

impl HeartbeatSchedule {
    pub(super) const fn new(of_host: Duration, of_server: Option<Duration>, percent: u32) -> Self {
        Self {
            of_host,
            of_server,
            sent: None,
            due: None,
            jitter: 1_000_000,
            percent,
        }
    }

    pub(super) fn interval(&self) -> Duration {
        self.of_server.unwrap_or(self.of_host)
    }

    pub(super) const fn of_server(&self) -> Option<Duration> {
        self.of_server
    }

    /// The host has the last word until the server speaks again.
    pub(super) fn set_by_host(&mut self, interval: Duration) {
        (self.of_host, self.of_server) = (interval, None);
        self.due = self.due();
    }

    pub(super) fn set_by_server(&mut self, interval: Duration) {
        self.of_server = Some(interval);
        self.due = self.due();
    }

    pub(super) fn on_sent(&mut self, now: Time, random: &mut Random) {
        self.sent = Some(now);
        self.jitter = micros(random.up_to(Purpose::Heartbeat, Duration::from_secs(2)));
        self.due = self.due();
    }

    /// `None` before the first message.
    pub(super) const fn next(&self) -> Option<Time> {
        self.due
    }

    fn due(&self) -> Option<Time> {
        let interval = match self.interval() {
            Duration::ZERO => defaults::INTERVAL,
            interval => interval,
        };
        // A day of microseconds, times two million, is far below 2^64.
        let mean = micros(interval);
        let most = mean / 100 * u64::from(self.percent);
        let beat = mean - most + most * self.jitter / 1_000_000;
        Some(self.sent? + Duration::from_micros(beat))
    }
}
