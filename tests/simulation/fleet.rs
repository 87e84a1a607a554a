//! Ten thousand agents on one clock: do they come back in step?
//!
//! They only share the server, and that answers by the time alone, so each agent is played by itself.
use std::time::Duration;

use bytes::Bytes;
use opamp::protocol::{
    Action, Carry, Config, Core, Fact, FailKind, Failure, Input, Policy, Reached, Time,
};

/// What the one server of the fleet does to a request.
pub(crate) enum Answer {
    Message,
    #[allow(dead_code)] // the release example has no such server
    PutOff(Duration),
    Down,
}

const START: Time = Time::from_micros(1_000_000_000_000);
const LATENCY: Duration = Duration::from_millis(2);

/// One agent that starts some time after the beginning, until the end: when it sent each of its requests.
pub(crate) fn requests_of(
    agent: u64,
    starts: Duration,
    ends: Duration,
    server: &impl Fn(Duration) -> Answer,
) -> Vec<Duration> {
    let uid = (u128::from(agent) + 1).to_be_bytes();
    // Seeds as a shell draws them: far apart.
    let seed = (agent + 1).wrapping_mul(0xD134_2543_DE82_EF95);
    let mut core = Core::new(Config::new(Policy::Http), Carry::new(uid), START, seed);
    let (mut sends, mut out) = (Vec::new(), Vec::new());
    let (mut now, mut input) = (START + starts, Input::Start);
    while now.since(START) <= ends {
        core.handle(now, input);
        let mut sent = None;
        let wait = loop {
            match core.poll(&mut out) {
                Action::Send { id, .. } => sent = Some(id),
                Action::Wait(wait) => break wait,
                _ => {}
            }
        };
        let Some(id) = sent else {
            now = wait.expect("a poll comes").at;
            input = Input::Deadline;
            continue;
        };
        sends.push(now.since(START));
        now = now + LATENCY;
        let fact = match server(now.since(START)) {
            Answer::Message => Fact::Message(Bytes::new()),
            Answer::PutOff(wait) => Fact::Over(Failure {
                retry_after: Some(wait),
                ..Failure::of_status(503, "busy")
            }),
            Answer::Down => Fact::Over(Failure::new(FailKind::Connect, Reached::No, "refused")),
        };
        input = Input::Link { id, fact };
    }
    sends
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENTS: u64 = 10_000;
    const TOGETHER: Duration = Duration::ZERO;

    /// The requests of each agent, when the fleet starts evenly within this time.
    fn run(
        within: Duration,
        ends: Duration,
        server: impl Fn(Duration) -> Answer,
    ) -> Vec<Vec<Duration>> {
        let starts = |agent: u64| within * agent as u32 / AGENTS as u32;
        (0..AGENTS)
            .map(|agent| requests_of(agent, starts(agent), ends, &server))
            .collect()
    }

    /// When each agent was back: its first request from then on.
    fn returns(fleet: &[Vec<Duration>], from: Duration) -> Vec<Duration> {
        let first = |sends: &Vec<Duration>| sends.iter().copied().find(|at| *at >= from);
        fleet.iter().filter_map(first).collect()
    }

    /// The most requests in any second, in percent of the fleet.
    fn worst_second(mut sends: Vec<Duration>) -> f64 {
        sends.sort();
        let (mut first, mut most) = (0, 0);
        for last in 0..sends.len() {
            while sends[last] - sends[first] >= secs(1) {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most as f64 * 100.0 / AGENTS as f64
    }

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// [FLEET-01]: the same Retry-After for all.
    #[test]
    fn a_fleet_that_was_put_off_does_not_come_back_in_step() {
        let fleet = run(TOGETHER, secs(150), |now| {
            if now < secs(1) {
                Answer::PutOff(secs(60))
            } else {
                Answer::Message
            }
        });
        let is_early = |at: &Duration| *at >= secs(1) && *at < secs(60);
        assert!(
            !fleet.iter().flatten().any(is_early),
            "never earlier than asked"
        );
        let back = returns(&fleet, secs(1));
        assert_eq!(back.len(), AGENTS as usize);
        let worst = worst_second(back);
        assert!(worst <= 5.0, "{worst} % in one second");
    }

    /// [FLEET-01]: the server stays away for a minute.
    #[test]
    fn a_fleet_that_lost_its_server_does_not_come_back_in_step() {
        let is_down = |now: Duration| now >= secs(100) && now < secs(160);
        let fleet = run(secs(30), secs(400), |now| {
            if is_down(now) {
                Answer::Down
            } else {
                Answer::Message
            }
        });
        let back = returns(&fleet, secs(160));
        assert_eq!(back.len(), AGENTS as usize);
        let worst = worst_second(back);
        assert!(worst <= 5.0, "{worst} % in one second");
    }

    /// [FLEET-01]: the server is up again at once.
    #[test]
    fn a_fleet_whose_server_restarts_is_back_within_five_seconds_and_spread() {
        let short = Duration::from_millis(10);
        let fleet = run(TOGETHER, secs(20), |now| {
            if now < short {
                Answer::Down
            } else {
                Answer::Message
            }
        });
        let back = returns(&fleet, short);
        assert!(back.len() >= 9_900 && back.iter().all(|at| *at <= secs(5) + short));
        for second in 0..5 {
            let here = back.iter().filter(|at| at.as_secs() == second).count();
            assert!((1_800..=2_200).contains(&here), "{here} in second {second}");
        }
    }

    /// [FLEET-02]: started together, they drift apart, and the mean stays the interval.
    #[test]
    fn heartbeats_of_a_fleet_spread_out() {
        let fleet = run(TOGETHER, secs(1800), |_| Answer::Message);
        let sends: Vec<_> = fleet.into_iter().flatten().collect();
        let mean = 1800.0 * AGENTS as f64 / sends.len() as f64;
        assert!((29.0..30.5).contains(&mean), "a beat every {mean} s");
        // In step, one second would hold all of them; evenly spread, 3.3 %.
        let late = sends.into_iter().filter(|at| *at >= secs(1200));
        let worst = worst_second(late.collect());
        assert!(worst <= 8.0, "{worst} % in one second");
    }
}
