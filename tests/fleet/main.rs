//! Ten thousand agents on one clock: do they come back in step?
//!
//!     cargo test --profile sim --test fleet
mod agent;

use std::{ops::Range, time::Duration};

use agent::{Server, requests_of};
use opamp::protocol::Policy;

const AGENTS: u64 = 10_000;
const POLICIES: [Policy; 2] = [Policy::Http, Policy::WebSocket];
const TOGETHER: Duration = Duration::ZERO;

/// The requests of each agent, when the fleet starts evenly within this time.
fn run(
    policy: Policy,
    within: Duration,
    ends: Duration,
    (away, put_off): (Range<Duration>, Option<Duration>),
) -> Vec<Vec<Duration>> {
    let server = Server { away, put_off };
    let starts = |agent: u64| within * agent as u32 / AGENTS as u32;
    let requests = |agent| requests_of((policy, agent), starts(agent), ends, &server);
    (0..AGENTS).map(requests).collect()
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
    for policy in POLICIES {
        let outage = (secs(0)..secs(1), Some(secs(60)));
        let fleet = run(policy, TOGETHER, secs(150), outage);
        let is_early = |at: &Duration| *at >= secs(1) && *at < secs(60);
        let early = fleet.iter().flatten().any(is_early);
        assert!(!early, "{policy:?}: never earlier than asked");
        let back = returns(&fleet, secs(1));
        assert_eq!(back.len(), AGENTS as usize);
        let worst = worst_second(back);
        assert!(worst <= 5.0, "{policy:?}: {worst} % in one second");
    }
}

/// [FLEET-01]: the server stays away for a minute.
#[test]
fn a_fleet_that_lost_its_server_does_not_come_back_in_step() {
    for policy in POLICIES {
        let outage = (secs(100)..secs(160), None);
        let fleet = run(policy, secs(30), secs(400), outage);
        let back = returns(&fleet, secs(160));
        assert_eq!(back.len(), AGENTS as usize);
        let worst = worst_second(back);
        assert!(worst <= 5.0, "{policy:?}: {worst} % in one second");
    }
}

/// [FLEET-01]: the server is up again at once.
#[test]
fn a_fleet_whose_server_restarts_is_back_within_five_seconds_and_spread() {
    let short = Duration::from_millis(10);
    for (policy, fall) in [
        (Policy::Http, secs(0)),
        (Policy::WebSocket, secs(0)),
        (Policy::WebSocket, secs(40)),
    ] {
        let up = fall + short;
        let fleet = run(policy, TOGETHER, secs(60), (fall..up, None));
        let back = returns(&fleet, up);
        let is_soon = |at: &Duration| *at <= secs(5) + up;
        assert!(
            back.len() >= 9_900 && back.iter().all(is_soon),
            "{policy:?}"
        );
        for second in 0..5 {
            let second = up + secs(second)..up + secs(second + 1);
            let here = back.iter().filter(|at| second.contains(at)).count();
            assert!((1_800..=2_200).contains(&here), "{here} in {second:?}");
        }
    }
}

/// [FLEET-02]: started together, they drift apart, and the mean stays the interval.
#[test]
fn heartbeats_of_a_fleet_spread_out() {
    for policy in POLICIES {
        let fleet = run(policy, TOGETHER, secs(1800), (secs(9000)..secs(9000), None));
        let sends: Vec<_> = fleet.into_iter().flatten().collect();
        let mean = 1800.0 * AGENTS as f64 / sends.len() as f64;
        assert!(
            (29.0..30.5).contains(&mean),
            "{policy:?}: a beat every {mean} s"
        );
        // In step, one second would hold all of them; evenly spread, 3.3 %.
        let late = sends.into_iter().filter(|at| *at >= secs(1200));
        let worst = worst_second(late.collect());
        assert!(worst <= 8.0, "{policy:?}: {worst} % in one second");
    }
}
