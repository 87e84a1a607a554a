//! One agent of a fleet. They only share the server, and that answers by the time alone, so each is
//! played by itself.
use std::{collections::VecDeque, ops::Range, time::Duration};

use bytes::Bytes;
use opamp::{proto::AgentCapabilities as Agent, protocol::*};

/// The one server of the fleet: away for a while. Then it refuses connections, or puts off for so
/// long.
pub(crate) struct Server {
    pub(crate) away: Range<Duration>,
    pub(crate) put_off: Option<Duration>,
}

const START: Time = Time::from_micros(1_000_000_000_000);
const LATENCY: Duration = Duration::from_millis(2);

/// One agent that starts some time after the beginning, until the end: when it sent or connected.
pub(crate) fn requests_of(
    (policy, agent): (Policy, u64),
    starts: Duration,
    ends: Duration,
    server: &Server,
) -> Vec<Duration> {
    let carry = PersistentState::new((u128::from(agent) + 1).to_be_bytes());
    // Seeds as a shell draws them: far apart.
    let seed = (agent + 1).wrapping_mul(0xD134_2543_DE82_EF95);
    let mut core = Core::new(Config::new(policy), carry, START, seed);
    let capabilities = Agent::ReportsStatus as u64 | Agent::ReportsHeartbeat as u64;
    core.handle(START, Input::Host(Change::Capabilities(capabilities)));
    let (mut times, mut out, mut facts) = (Vec::new(), Vec::new(), VecDeque::new());
    let (mut now, mut input) = (START + starts, Input::Start);
    // Over WebSocket: the connection, and since when it is open.
    let mut open = None;
    while now.since(START) <= ends {
        core.handle(now, input);
        let wait = loop {
            match core.poll(&mut out) {
                Action::Connect { id } => {
                    times.push(now.since(START));
                    open = Some((id, now));
                    facts.push_back((id, server.answer(now).unwrap_or(Fact::Opened)));
                }
                Action::Send { id, marker } => {
                    times.push(now.since(START));
                    let answer = Fact::Message(Bytes::new());
                    if policy == Policy::WebSocket {
                        facts.push_back((id, Fact::Written));
                        facts.extend(marker.map(|marker| (id, Fact::Pong { marker })));
                        facts.push_back((id, answer));
                    } else {
                        facts.push_back((id, server.answer(now).unwrap_or(answer)));
                    }
                }
                Action::Wait(wait) => break wait.map_or(now + ends, |wait| wait.at),
                _ => {}
            }
        };
        let fall = START + server.away.start;
        let is_lost = |(_, since): &(AttemptId, Time)| *since < fall && fall <= wait;
        input = if let Some((id, fact)) = facts.pop_front() {
            now = now + LATENCY;
            Input::Link { id, fact }
        } else if let Some((id, _)) = open.take_if(|open| is_lost(open)) {
            now = now.max(fall);
            let fact = Fact::Over(Failure::new(FailKind::Io, ReachedServer::Maybe, "reset"));
            Input::Link { id, fact }
        } else {
            now = wait;
            Input::Deadline
        };
    }
    times
}

impl Server {
    /// `None`: a good one.
    fn answer(&self, now: Time) -> Option<Fact> {
        let is_away = self.away.contains(&now.since(START));
        let failure = match self.put_off {
            Some(_) => Failure::of_status(503, "busy"),
            None => Failure::new(FailKind::Connect, ReachedServer::No, "refused"),
        };
        let retry_after = self.put_off;
        is_away.then_some(Fact::Over(Failure {
            retry_after,
            ..failure
        }))
    }
}
