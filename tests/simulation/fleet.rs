//! Ten thousand agents on one clock: do they come back in step?
use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use opamp::{
    proto::ServerToAgent,
    protocol::{
        Action, Carry, Config, Core, Fact, FailKind, Failure, Input, Policy, Reached, Time, TryId,
    },
};
use prost::Message as _;

/// What the one server of the fleet does to a request.
enum Answer {
    Message,
    PutOff(Duration),
    Down,
}

const AGENTS: u64 = 10_000;
const START: Time = Time::from_micros(1_000_000_000_000);
const TOGETHER: Duration = Duration::ZERO;
const LATENCY: Duration = Duration::from_millis(2);

/// Starts the fleet within this time and runs it for a while. Answers when each request was sent, counted from the start.
fn run(
    within: Duration,
    end: Duration,
    server: impl Fn(Duration) -> Answer,
) -> Vec<(usize, Duration)> {
    let mut cores: Vec<_> = (0..AGENTS)
        .map(|agent| {
            let uid = (u128::from(agent) + 1).to_be_bytes();
            // Seeds as a shell draws them: far apart.
            let seed = (agent + 1).wrapping_mul(0xD134_2543_DE82_EF95);
            Core::new(Config::new(Policy::Http), Carry::new(uid), START, seed)
        })
        .collect();
    let mut due = BinaryHeap::new();
    let starts: Vec<_> = (0..AGENTS as u32)
        .map(|agent| START + within * agent / AGENTS as u32)
        .collect();
    due.extend(
        starts
            .iter()
            .enumerate()
            .map(|(agent, at)| Reverse((*at, agent, None::<TryId>))),
    );
    let empty: bytes::Bytes = ServerToAgent::default().encode_to_vec().into();
    let (mut sends, mut out) = (Vec::new(), Vec::new());
    let mut is_started = vec![false; cores.len()];
    let mut waits: Vec<_> = starts.into_iter().map(Some).collect();
    while let Some(Reverse((now, agent, id))) = due.pop() {
        if now.since(START) > end {
            break;
        }
        if id.is_none() && waits[agent] != Some(now) {
            continue;
        }
        let input = match id {
            None if std::mem::replace(&mut is_started[agent], true) => Input::Deadline,
            None => Input::Start,
            Some(id) => {
                let fact = match server(now.since(START)) {
                    Answer::Message => Fact::Message(empty.clone()),
                    Answer::PutOff(wait) => Fact::Over(Failure {
                        retry_after: Some(wait),
                        ..Failure::of_status(503, "busy")
                    }),
                    Answer::Down => {
                        Fact::Over(Failure::new(FailKind::Connect, Reached::No, "refused"))
                    }
                };
                Input::Link { id, fact }
            }
        };
        let core = &mut cores[agent];
        core.handle(now, input);
        loop {
            match core.poll(&mut out) {
                Action::Send { id, .. } => {
                    sends.push((agent, now.since(START)));
                    due.push(Reverse((now + LATENCY, agent, Some(id))));
                }
                Action::Wait(wait) => {
                    waits[agent] = wait.map(|wait| wait.at);
                    due.extend(wait.map(|wait| Reverse((wait.at, agent, None))));
                    break;
                }
                _ => {}
            }
        }
    }
    sends
}

/// When each agent was back: its first request from then on.
fn returns(sends: &[(usize, Duration)], from: Duration) -> Vec<Duration> {
    let mut is_back = vec![false; AGENTS as usize];
    let later = sends.iter().filter(|(_, at)| *at >= from);
    later
        .filter(|(agent, _)| !std::mem::replace(&mut is_back[*agent], true))
        .map(|(_, at)| *at)
        .collect()
}

/// The most requests in any second, in percent of the fleet.
fn worst_second(mut sends: Vec<Duration>) -> f64 {
    sends.sort();
    let (mut first, mut most) = (0, 0);
    for last in 0..sends.len() {
        while sends[last] - sends[first] >= Duration::from_secs(1) {
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
    let sends = run(TOGETHER, secs(150), |now| {
        if now < secs(1) {
            Answer::PutOff(secs(60))
        } else {
            Answer::Message
        }
    });
    assert!(
        sends.iter().all(|(_, at)| *at < secs(1) || *at >= secs(60)),
        "never earlier than asked"
    );
    let worst = worst_second(returns(&sends, secs(1)));
    assert!(worst <= 5.0, "{worst} % in one second");
}

/// [FLEET-01]: the server stays away for a minute.
#[test]
fn a_fleet_that_lost_its_server_does_not_come_back_in_step() {
    let down = |now: Duration| now >= secs(100) && now < secs(160);
    let sends = run(secs(30), secs(400), |now| {
        if down(now) {
            Answer::Down
        } else {
            Answer::Message
        }
    });
    let worst = worst_second(returns(&sends, secs(160)));
    assert!(worst <= 5.0, "{worst} % in one second");
}

/// [FLEET-01]: the server is up again at once; all were connected to it.
#[test]
fn a_fleet_whose_server_restarts_is_back_within_five_seconds_and_spread() {
    let sends = run(TOGETHER, secs(7), |now| {
        if now < millis(10) {
            Answer::Down
        } else {
            Answer::Message
        }
    });
    let back = returns(&sends, millis(10));
    assert!(back.len() >= 9_900 && back.iter().all(|at| *at <= secs(5) + millis(10)));
    for second in 0..5 {
        let here = back.iter().filter(|at| at.as_secs() == second).count();
        assert!((1_800..=2_200).contains(&here), "{here} in second {second}");
    }
}

/// [FLEET-02]: started together, they drift apart, and the mean stays the interval.
#[test]
fn heartbeats_of_a_fleet_spread_out() {
    let sends = run(TOGETHER, secs(1800), |_| Answer::Message);
    let mean = 1800.0 * AGENTS as f64 / sends.len() as f64;
    assert!((29.5..30.5).contains(&mean), "a beat every {mean} s");
    // In step, every beat would hold all of them in one second; evenly spread, 3.3 %.
    let late = sends
        .iter()
        .map(|(_, at)| *at)
        .filter(|at| *at >= secs(1200));
    let worst = worst_second(late.collect());
    assert!(worst <= 8.0, "{worst} % in one second");
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
