//! One agent, one server, and everything between them, in virtual time.
use std::{fmt, time::Duration};

use bytes::Bytes;
use opamp::{
    proto::{self, AgentToServer, ServerToAgent},
    protocol::{
        Action, Carry, Change, Config, ConfigState, Core, Deadline, Event, Fact, FailKind, Failure,
        Input, Outcome, Policy, Reached, Time, Timer, TryId,
    },
};
use prost::Message as _;

use crate::{
    choices::Choices,
    faults::{Fault, Pongs, Swarm},
    host::{Act, Host, SEND_LIMIT},
    invariants::{CUT, Verdict, Violation, Watch, broken},
    server::{Meaning, Server, Told, error},
};

const LATENCY: Duration = Duration::from_millis(3);
const PAUSE: Duration = Duration::from_millis(700);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Until a transport gives a silent peer up.
const SILENCE: Duration = Duration::from_secs(40);
const GRACE: Duration = Duration::from_secs(2);
/// By then both sides agree: the longest interval a server can set, and the longest wait.
const CALM: Duration = Duration::from_secs(27 * 3600);
const CALM_STEPS: u32 = 4000;

const NOT_CONNECTED: &str = "the agent is not connected";

/// What happened in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stats {
    pub(crate) inputs: u64,
    pub(crate) sends: u64,
    pub(crate) faults: [u64; Fault::COUNT],
    pub(crate) acts: [u64; Act::COUNT],
    pub(crate) timers: [u64; 11],
    pub(crate) completions: [u64; 4],
}

impl Stats {
    pub(crate) const ZERO: Self = Self {
        inputs: 0,
        sends: 0,
        faults: [0; Fault::COUNT],
        acts: [0; Act::COUNT],
        timers: [0; 11],
        completions: [0; 4],
    };

    pub(crate) fn add(&mut self, other: &Self) {
        let sum = |to: &mut [u64], from: &[u64]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        };
        self.inputs += other.inputs;
        self.sends += other.sends;
        sum(&mut self.faults, &other.faults);
        sum(&mut self.acts, &other.acts);
        sum(&mut self.timers, &other.timers);
        sum(&mut self.completions, &other.completions);
    }
}

/// Something on its way.
enum Net {
    /// To the agent's transport, and what it will mean to the agent.
    Fact {
        id: TryId,
        fact: Fact,
        meaning: Meaning,
    },
    /// A message to the server over WebSocket.
    Arrival {
        id: TryId,
        message: Box<AgentToServer>,
        marker: Option<u64>,
        /// An error that comes next is about this one.
        is_alone: bool,
    },
}

struct World<'a> {
    choices: Choices<'a>,
    swarm: Swarm,
    now: Time,
    core: Core,
    wait: Option<Deadline>,
    out: Vec<u8>,
    /// Unsorted: there are never more than a few.
    net: Vec<(Time, u64, Net)>,
    order: u64,
    /// Nothing from the server overtakes what it said before on the same connection.
    stream: Time,
    is_kept: bool,
    /// The connection on which nothing arrives any more.
    severed: Option<TryId>,
    /// Messages on this connection that have no answer yet.
    unanswered: u32,
    seed: u64,
    server: Server,
    host: Host,
    watch: Watch,
    stats: Stats,
    story: Option<&'a mut Vec<String>>,
}

/// Plays the byte string to its end, then demands that both sides agree. A story gets one line per input and action.
pub(crate) fn run(bytes: &[u8], story: Option<&mut Vec<String>>) -> Result<Stats, Violation> {
    let mut choices = Choices::new(bytes);
    let swarm = Swarm::draw(&mut choices);
    let now = Time::from_micros(1_000_000_000_000);
    let seed = u64::from(choices.wide());
    let carry = Carry::new([1; 16]);
    let core = Core::new(config(swarm.policy), carry, now, seed);
    let mut world = World {
        watch: Watch::new(swarm.policy, 0, now),
        server: Server::new(swarm.asks),
        host: Host::new(),
        choices,
        swarm,
        now,
        core,
        wait: None,
        out: Vec::with_capacity(256),
        net: Vec::with_capacity(16),
        order: 0,
        stream: now,
        is_kept: false,
        severed: None,
        unanswered: 0,
        seed,
        stats: Stats::ZERO,
        story,
    };
    world.tell(|world| format!("{:?}", world.swarm));
    world.start()?;
    while !world.choices.is_spent() {
        world.step()?;
    }
    world.calm_down()?;
    Ok(world.stats)
}

fn config(policy: Policy) -> Config {
    Config {
        send_limit: SEND_LIMIT,
        ..Config::new(policy)
    }
}

impl World<'_> {
    fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.story.is_some() {
            let line = format!("{:?} {}", self.now, line(self));
            if let Some(story) = &mut self.story {
                story.push(line);
            }
        }
    }

    fn start(&mut self) -> Verdict {
        for change in self.host.all() {
            self.feed(Input::Host(change))?;
        }
        self.feed(Input::Start)
    }

    /// A stopped agent starts again with what it carried, if the host's storage did not fail.
    fn restart(&mut self) -> Verdict {
        let mut carry = self.core.carry();
        let lost = self.hits(Fault::CarryLost);
        if lost {
            carry = Carry::new(carry.instance_uid);
            self.host.offer = None;
        }
        // A run does not remember how often the last one failed, but what the server asked for.
        let not_before = carry.retry_after.unwrap_or(self.now);
        self.watch = Watch::new(self.swarm.policy, carry.sequence_num, not_before);
        self.seed += 1;
        self.core = Core::new(config(self.swarm.policy), carry, self.now, self.seed);
        self.net
            .retain(|(_, _, net)| matches!(net, Net::Arrival { .. }));
        for (_, _, net) in &mut self.net {
            if let Net::Arrival { id, .. } = net {
                *id = TryId(u64::MAX);
            }
        }
        self.is_kept = false;
        self.severed = None;
        self.start()
    }

    fn hits(&mut self, fault: Fault) -> bool {
        let hits = self.swarm.hits(fault, &mut self.choices);
        self.stats.faults[fault as usize] += u64::from(hits);
        if hits {
            self.tell(|_| format!("  fault: {fault:?}"));
        }
        hits
    }

    fn step(&mut self) -> Verdict {
        if self.watch.is_stopped {
            self.now = self.now + PAUSE;
            return self.restart();
        }
        if self.choices.below(256) >= 256 - self.swarm.host_rate {
            let later = self.now + Duration::from_micros(u64::from(self.choices.wide()) + 1);
            let next = self
                .net
                .iter()
                .map(|(at, ..)| *at)
                .chain(self.wait.map(|wait| wait.at));
            self.now = next.fold(later, Time::min).max(self.now);
            return self.act();
        }
        if self.choices.below(16) == 15 {
            self.server.offer = self.server.offer % 9 + 1;
        }
        if self.hits(Fault::Suspend) {
            let jump = Duration::from_secs(3600);
            self.now = self.now + jump;
            self.watch.on_suspend(jump);
            return self.feed(Input::Deadline);
        }
        let is_websocket = self.swarm.policy == Policy::WebSocket;
        if let Some(id) = self.watch.open.filter(|_| is_websocket) {
            if self.severed != Some(id) && self.hits(Fault::Unsolicited) {
                let (message, meaning) = self.server.speak(false);
                self.say(id, Duration::ZERO, message, meaning);
            }
            if self.hits(Fault::Drop) {
                return self.drop_connection(id);
            }
        }
        // A server that restarts takes its connections with it.
        if self.hits(Fault::Amnesia) {
            self.server.forget();
            if let Some(id) = self.watch.open.filter(|_| is_websocket) {
                return self.drop_connection(id);
            }
        }
        self.advance()
    }

    /// To whatever comes next, on the way or in the agent.
    fn advance(&mut self) -> Verdict {
        let next = (0..self.net.len()).min_by_key(|at| (self.net[*at].0, self.net[*at].1));
        match (next, self.wait) {
            (Some(at), wait) if wait.is_none_or(|wait| self.net[at].0 <= wait.at) => {
                let (at, _, net) = self.net.swap_remove(at);
                self.now = self.now.max(at);
                match net {
                    Net::Fact { id, fact, meaning } => self.deliver(id, fact, &meaning),
                    Net::Arrival {
                        id,
                        message,
                        marker,
                        is_alone,
                    } => {
                        self.arrive(id, &message, marker, is_alone);
                        Ok(())
                    }
                }
            }
            (_, Some(wait)) => {
                self.now = self.now.max(wait.at);
                self.stats.timers[wait.why as usize] += 1;
                self.feed(Input::Deadline)
            }
            _ => {
                self.now = self.now + PAUSE;
                self.feed(Input::Deadline)
            }
        }
    }

    fn act(&mut self) -> Verdict {
        let act = Act::ALL[self.choices.below(Act::COUNT as u32) as usize];
        let core = &self.core;
        let change = self.host.act(act, &mut self.choices, || core.carry());
        match act {
            Act::Stop if self.choices.below(4) == 0 => {
                self.stats.acts[act as usize] += 1;
                return self.stop();
            }
            Act::Reconnect | Act::Headers => self.watch.excuse(),
            Act::ReportFull | Act::Uid => self.watch.on_full_wanted(self.now),
            // A status that changed and changed back is news.
            Act::Applying | Act::Applied | Act::Failed => self.watch.on_new_status(),
            _ => {}
        }
        let Some(change) = change else { return Ok(()) };
        self.stats.acts[act as usize] += 1;
        self.feed(Input::Host(change))
    }

    fn stop(&mut self) -> Verdict {
        self.watch.on_stop(self.now + GRACE);
        self.feed(Input::Stop { within: GRACE })
    }

    fn feed(&mut self, input: Input) -> Verdict {
        self.tell(|_| format!("-> {}", Brief(&input)));
        self.stats.inputs += 1;
        self.core.handle(self.now, input);
        let mut actions = 0;
        loop {
            let mut out = std::mem::take(&mut self.out);
            let action = self.core.poll(&mut out);
            self.tell(|_| format!("   {action:?}"));
            actions += usize::from(!matches!(action, Action::Tell(Event::ReportDone { .. })));
            let result = self.take(action, &out);
            self.out = out;
            if let Some(wait) = result? {
                self.wait = wait;
                self.watch.on_wait(self.now, wait, actions)?;
                return self.watch.check_stop(self.now);
            }
            if actions > 100 {
                return broken("bounded actions", "no end");
            }
        }
    }

    /// Answers what to wait for, when the agent has nothing more to do.
    fn take(&mut self, action: Action, out: &[u8]) -> Result<Option<Option<Deadline>>, Violation> {
        match action {
            Action::Wait(wait) => return Ok(Some(wait)),
            Action::Connect { id } => {
                self.watch.on_connect(self.now, id)?;
                self.dial(id);
            }
            Action::Send { id, marker } => {
                self.stats.sends += 1;
                let message = AgentToServer::decode(out).expect("the agent's own message");
                self.tell(|_| format!("      {} {:?}", message.sequence_num, Told::by(&message)));
                let told = Told::by(&message);
                self.watch.on_send(self.now, id, &message, &told)?;
                match self.swarm.policy {
                    Policy::Http => self.exchange(id, &message, told),
                    Policy::WebSocket => self.transmit(id, message, marker),
                }
            }
            Action::Close { id, code } => {
                self.watch.on_close();
                self.watch.is_leaving |= self.wait.is_none_or(|wait| wait.why != Timer::Exchange);
                let is_ignored = code.is_some() && self.hits(Fault::CloseIgnored);
                if !is_ignored {
                    let after = if code.is_some() { LATENCY } else { CUT };
                    self.over(
                        id,
                        after,
                        Failure::new(FailKind::Io, Reached::Maybe, "closed"),
                    );
                }
            }
            Action::Tell(event) => self.hear(event)?,
        }
        Ok(None)
    }

    fn hear(&mut self, event: Event) -> Verdict {
        match event {
            Event::Message(message) => {
                if let Some(offer) = message.remote_config {
                    let hash = offer
                        .hash
                        .first_chunk()
                        .map_or(0, |hash| u32::from_le_bytes(*hash));
                    self.host.offer = Some((hash, false));
                }
            }
            Event::ReportDone { ticket, outcome } => {
                let Some(description) = self.host.tickets.remove(&ticket) else {
                    return broken("one completion per report", ticket.to_string());
                };
                let index = match outcome {
                    Outcome::Confirmed => 0,
                    Outcome::HeldBack => 1,
                    Outcome::GaveUp(_) => 2,
                    Outcome::Stopped => 3,
                };
                self.stats.completions[index] += 1;
                let heard = self.server.heard;
                if outcome == Outcome::Confirmed && heard < description {
                    let text = format!("{description} of which the server heard {heard}");
                    return broken("confirmed is confirmed", text);
                }
            }
            Event::Stopped => {
                self.watch.is_stopped = true;
                if self.watch.open.is_some() || !self.host.tickets.is_empty() {
                    return broken(
                        "nothing is left at the end",
                        format!("{:?}", self.watch.open),
                    );
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn send_later(&mut self, after: Duration, net: Net) {
        self.order += 1;
        self.net.push((self.now + after, self.order, net));
    }

    fn fact(&mut self, id: TryId, after: Duration, fact: Fact, meaning: Meaning) {
        self.send_later(after, Net::Fact { id, fact, meaning });
    }

    fn over(&mut self, id: TryId, after: Duration, failure: Failure) {
        self.fact(id, after, Fact::Over(failure), Meaning::default());
    }

    /// What the transport saw reaches the agent; the invariants learn of it if it is not stale.
    fn deliver(&mut self, id: TryId, fact: Fact, meaning: &Meaning) -> Verdict {
        if self.watch.open == Some(id) {
            match &fact {
                Fact::Opened => self.watch.on_opened(self.now),
                Fact::Written => self.watch.on_written(),
                Fact::Message(_) => {
                    // Still so, and not only when it left: news may have followed after a freeze.
                    let is_prompt = meaning.is_prompt && self.unanswered <= 1;
                    self.unanswered = self.unanswered.saturating_sub(1);
                    let meaning = Meaning {
                        is_prompt,
                        ..*meaning
                    };
                    self.watch.on_message(self.now, &meaning);
                }
                Fact::Over(failure) => self.note_over(failure, meaning),
                Fact::Skipped(_) | Fact::Broken { .. } | Fact::Thawed => {}
                Fact::Pong { .. } => {
                    self.watch.on_alive();
                    if let Some(refused) = &meaning.refused {
                        let is_clear = self.swarm.speaks_only_when_asked();
                        self.watch.on_refused_read(refused, is_clear);
                    }
                }
            }
        }
        if self.watch.is_stopped {
            return Ok(());
        }
        self.feed(Input::Link { id, fact })
    }

    fn note_over(&mut self, failure: &Failure, meaning: &Meaning) {
        match (failure.status, failure.retry_after) {
            (Some(429 | 503), Some(wait)) => self.watch.close_gate(self.now, wait),
            (Some(429 | 503), None) => self.watch.on_overload(self.now),
            _ => {}
        }
        if let Some(refused) = &meaning.refused {
            self.watch.on_refused(refused);
        }
        let waits = failure.status.is_some_and(|status| status != 500);
        let reached = failure.reached == Reached::Maybe;
        self.is_kept = false;
        self.watch.on_over(self.now, reached, failure.reused, waits);
    }

    /// An answer with a status that is no message, or a connection that does not come about.
    fn status_fault(&mut self, told: Told) -> Option<(Failure, Meaning)> {
        let put_off = [0, 1, 60, 600, 1_000_000][self.choices.below(5) as usize];
        let of = Failure::of_status;
        let failure = if self.hits(Fault::PutOff) {
            let retry_after = Some(Duration::from_secs(put_off));
            Failure {
                retry_after,
                ..of(429, "put off")
            }
        } else if self.hits(Fault::Overloaded) {
            of(503, "overloaded")
        } else if self.hits(Fault::Unauthorized) {
            of(401, "who are you")
        } else if self.hits(Fault::NotFound) {
            of(404, "not here")
        } else if self.hits(Fault::Broken) {
            of(500, "broken")
        } else if self.swarm.policy == Policy::Http && self.hits(Fault::TooLarge) {
            let meaning = Meaning {
                refused: Some(told),
                ..Meaning::default()
            };
            return Some((of(413, "too large"), meaning));
        } else {
            return None;
        };
        Some((failure, Meaning::default()))
    }

    /// One HTTP exchange.
    fn exchange(&mut self, id: TryId, message: &AgentToServer, told: Told) {
        let fail = |kind, reached| Failure::new(kind, reached, "");
        if self.hits(Fault::Refused) {
            return self.over(id, LATENCY, fail(FailKind::Connect, Reached::No));
        }
        if self.hits(Fault::BeforeByte) {
            return self.over(id, LATENCY, fail(FailKind::Io, Reached::No));
        }
        if self.is_kept && self.hits(Fault::KeptDied) {
            let failure = Failure {
                reused: true,
                ..fail(FailKind::Io, Reached::Maybe)
            };
            return self.over(id, LATENCY, failure);
        }
        if self.choices.below(2) == 0 {
            self.fact(
                id,
                Duration::from_millis(1),
                Fact::Opened,
                Meaning::default(),
            );
        }
        if self.hits(Fault::Forgotten) {
            return;
        }
        if self.hits(Fault::RequestLost) {
            return self.over(id, TIMEOUT, fail(FailKind::Timeout, Reached::Maybe));
        }
        if let Some((failure, meaning)) = self.status_fault(told) {
            return self.fact(id, LATENCY, Fact::Over(failure), meaning);
        }
        let (bytes, meaning) = self.answer(message);
        if self.hits(Fault::AnswerLost) {
            return self.over(id, TIMEOUT, fail(FailKind::Timeout, Reached::Maybe));
        }
        if self.hits(Fault::AnswerLate) {
            self.over(id, TIMEOUT, fail(FailKind::Timeout, Reached::Maybe));
            let late = TIMEOUT + Duration::from_secs(self.choices.below(8).into());
            return self.fact(id, late, Fact::Message(bytes), meaning);
        }
        let pause = if self.hits(Fault::Slow) {
            PAUSE
        } else {
            Duration::ZERO
        };
        self.is_kept = true;
        self.fact(id, LATENCY + pause, Fact::Message(bytes), meaning);
    }

    /// What the server makes of a message, in its mood.
    fn answer(&mut self, message: &AgentToServer) -> (Bytes, Meaning) {
        let told = Told::by(message);
        let retry_nanos = [0, 1, 5_000_000_000, 90_000_000_000][self.choices.below(4) as usize];
        if self.hits(Fault::Unavailable) {
            let asked = Duration::from_nanos(retry_nanos);
            let put_off = if asked.is_zero() {
                Duration::from_secs(30)
            } else {
                asked
            };
            let meaning = Meaning {
                put_off: Some(put_off),
                ..Meaning::default()
            };
            return (error(2, Some(asked)).encode_to_vec().into(), meaning);
        }
        for (fault, kind) in [(Fault::BadRequest, 1), (Fault::Unknown, 0)] {
            // Over WebSocket an error names no message: this server complains of messages with news.
            let is_clear = self.swarm.policy == Policy::Http || told != Told::default();
            if is_clear && self.hits(fault) {
                // Heard, though not taken in.
                self.server.heard = self.server.heard.max(told.description.unwrap_or(0));
                let meaning = Meaning {
                    refused: Some(told),
                    ..Meaning::default()
                };
                return (error(kind, None).encode_to_vec().into(), meaning);
            }
        }
        let has = self.has_parts();
        let (mut answer, mut meaning) = self.server.take(message, has);
        if self.hits(Fault::Garbage) {
            let junk = Bytes::from_static(b"<html>502</html>");
            return (junk, Meaning::default());
        }
        if self.hits(Fault::Foreign) {
            let foreign = ServerToAgent {
                instance_uid: vec![0xEE; 16].into(),
                flags: 1,
                ..ServerToAgent::default()
            };
            return (foreign.encode_to_vec().into(), Meaning::default());
        }
        if self.hits(Fault::FullAsked) {
            answer.flags = 1;
            meaning.asks_full = true;
        }
        if message.flags == 1 || self.hits(Fault::NewUid) {
            self.server.give_uid(&mut answer);
            meaning.new_uid = true;
        }
        if self.hits(Fault::Interval) {
            let seconds = [1, 0, 7, 1_000_000][self.choices.below(4) as usize];
            let opamp = proto::OpAmpConnectionSettings {
                heartbeat_interval_seconds: seconds,
                ..Default::default()
            };
            answer.connection_settings = Some(proto::ConnectionSettingsOffers {
                opamp: Some(opamp),
                ..Default::default()
            });
        }
        if self.hits(Fault::Narrow) {
            answer.capabilities &= !4;
            meaning.narrows = true;
        }
        (answer.encode_to_vec().into(), meaning)
    }

    /// Whether there is an effective config and a status that the agent may send.
    fn has_parts(&self) -> (bool, bool) {
        let has = |bit: proto::AgentCapabilities| self.host.capabilities & bit as u64 != 0;
        let effective = has(proto::AgentCapabilities::ReportsEffectiveConfig)
            && self.host.effective != 0
            && !self.host.is_large
            && !self.watch.is_narrow;
        let status =
            has(proto::AgentCapabilities::ReportsRemoteConfig) && self.watch.has_sent_status();
        (effective, status)
    }

    /// A WebSocket connection is made, or not.
    fn dial(&mut self, id: TryId) {
        self.stream = self.now;
        self.unanswered = 0;
        if self.hits(Fault::Refused) {
            let failure = Failure::new(FailKind::Connect, Reached::No, "refused");
            return self.over(id, LATENCY, failure);
        }
        if self.hits(Fault::Forgotten) {
            return;
        }
        if let Some((failure, meaning)) = self.status_fault(Told::default()) {
            return self.fact(id, LATENCY, Fact::Over(failure), meaning);
        }
        let pause = if self.hits(Fault::Slow) {
            PAUSE
        } else {
            Duration::ZERO
        };
        self.fact(id, LATENCY + pause, Fact::Opened, Meaning::default());
        if self.hits(Fault::AcceptClose) {
            let failure = Failure::new(FailKind::Io, Reached::Maybe, "accepted and closed");
            self.over(id, LATENCY * 2 + pause, failure);
        }
    }

    /// A frame goes out over WebSocket.
    fn transmit(&mut self, id: TryId, message: AgentToServer, marker: Option<u64>) {
        // An error names no message: it is clear which one is meant only if there is no other, and the server does not speak
        // unasked.
        let is_alone = self.unanswered == 0 && self.swarm.speaks_only_when_asked();
        self.unanswered += 1;
        let silence = Failure::new(FailKind::Timeout, Reached::Maybe, "silence");
        if self.hits(Fault::Stuck) {
            return self.over(id, SILENCE, silence);
        }
        self.fact(
            id,
            Duration::from_millis(1),
            Fact::Written,
            Meaning::default(),
        );
        if self.severed == Some(id) {
            return;
        }
        if self.hits(Fault::RequestLost) {
            self.severed = Some(id);
            return self.over(id, SILENCE, silence);
        }
        let net = Net::Arrival {
            id,
            message: Box::new(message),
            marker,
            is_alone,
        };
        self.send_later(LATENCY, net);
    }

    /// A frame arrives at the server, perhaps after the connection died.
    fn arrive(&mut self, id: TryId, message: &AgentToServer, marker: Option<u64>, is_alone: bool) {
        self.tell(|_| format!("   the server reads {}", message.sequence_num));
        let (answer, mut meaning) = self.answer(message);
        let is_deaf = self.watch.open != Some(id) || self.severed == Some(id);
        if is_deaf || message.agent_disconnect.is_some() {
            return;
        }
        if self.hits(Fault::AnswerLost) {
            self.severed = Some(id);
            let silence = Failure::new(FailKind::Timeout, Reached::Maybe, "silence");
            return self.over(id, SILENCE, silence);
        }
        let pause = if self.hits(Fault::Slow) {
            PAUSE * 2
        } else {
            Duration::ZERO
        };
        meaning.is_prompt = is_alone && self.stream.max(self.now + pause).since(self.now) < PAUSE;
        let pong = marker.map(|marker| Fact::Pong { marker });
        if self.swarm.pongs == Pongs::BeforeAnswer
            && let Some(pong) = pong.clone()
        {
            self.say_fact(id, pause, pong, meaning);
        }
        self.say_fact(id, pause, Fact::Message(answer), meaning);
        if self.swarm.pongs == Pongs::AfterAnswer
            && let Some(pong) = pong
        {
            self.say_fact(id, Duration::ZERO, pong, meaning);
        }
    }

    fn say(&mut self, id: TryId, pause: Duration, message: ServerToAgent, meaning: Meaning) {
        self.say_fact(
            id,
            pause,
            Fact::Message(message.encode_to_vec().into()),
            meaning,
        );
    }

    fn say_fact(&mut self, id: TryId, pause: Duration, fact: Fact, meaning: Meaning) {
        self.stream = self.stream.max(self.now + LATENCY + pause);
        let after = self.stream.since(self.now);
        self.fact(id, after, fact, meaning);
    }

    /// The connection dies now; what was on its way may or may not have reached the server.
    fn drop_connection(&mut self, id: TryId) -> Verdict {
        let arrives = self.choices.below(2) == 0;
        let is_unsent = self.watch.has_unsent();
        let reached = if is_unsent && !arrives {
            Reached::No
        } else {
            Reached::Maybe
        };
        if !arrives {
            let keeps = |net: &Net| !matches!(net, Net::Arrival { id: of, .. } if *of == id);
            self.net.retain(|(_, _, net)| keeps(net));
        }
        let failure = Failure::new(FailKind::Io, reached, "reset");
        self.deliver(id, Fact::Over(failure), &Meaning::default())
    }

    /// Nothing goes wrong any more: in the end both sides agree, and the agent says goodbye.
    fn calm_down(&mut self) -> Verdict {
        self.tell(|_| "all is calm".into());
        let end = self.now + CALM;
        let (mut steps, mut last) = (0, String::new());
        while let Some(difference) = self.difference() {
            steps += 1;
            if difference != NOT_CONNECTED || last.is_empty() {
                last = difference;
            }
            if self.now > end || steps > CALM_STEPS {
                return broken("in the end both sides agree", last);
            }
            self.calm_step()?;
        }
        self.stop()?;
        while !self.watch.is_stopped {
            self.advance()?;
        }
        if !self.server.view.is_gone {
            return broken("a stop says goodbye", "the server heard none");
        }
        Ok(())
    }

    fn calm_step(&mut self) -> Verdict {
        if self.watch.is_stopped {
            return self.restart();
        }
        if self.host.offer.is_some_and(|(_, is_done)| !is_done) {
            let core = &self.core;
            let change = self.host.verdict(ConfigState::Applied, || core.carry());
            self.watch.on_new_status();
            return change.map_or(Ok(()), |change: Change| self.feed(Input::Host(change)));
        }
        // Without heartbeats a server over WebSocket must speak first, also one that has refused the first report.
        if let Some(id) = self
            .watch
            .open
            .filter(|_| self.net.is_empty() && self.wait.is_none())
        {
            let asks_full = self.swarm.asks && self.server.view.has_gap || self.watch.has_refused;
            let (message, meaning) = self.server.speak(asks_full);
            self.say(id, PAUSE, message, meaning);
        }
        self.advance()
    }

    /// Where the server's view and the agent's state differ.
    fn difference(&self) -> Option<String> {
        let (view, host, refused) = (&self.server.view, &self.host, self.watch.held_back());
        let carry = self.core.carry();
        let ends = |net: &Net| {
            matches!(
                net,
                Net::Fact {
                    fact: Fact::Over(_),
                    ..
                }
            )
        };
        if !self.watch.is_settled() || self.net.iter().any(|(_, _, net)| ends(net)) {
            return Some(NOT_CONNECTED.into());
        }
        let is_declared = view.capabilities == host.capabilities || self.watch.has_refused;
        if view.uid != carry.instance_uid || !is_declared {
            return Some(format!("who it is: {view:?}"));
        }
        let description = Some(host.description);
        if view.told.description != description && refused.description != description {
            return Some(format!("description {description:?}: {view:?}"));
        }
        let (has_effective, _) = self.has_parts();
        let effective = Some(host.effective);
        if has_effective && view.told.effective != effective && refused.effective != effective {
            return Some(format!("effective config {effective:?}: {view:?}"));
        }
        if host.capabilities & proto::AgentCapabilities::ReportsRemoteConfig as u64 == 0 {
            return None;
        }
        let status = carry.verdict.as_ref().map(|verdict| {
            let hash = verdict
                .hash()
                .first_chunk()
                .map_or(0, |hash| u32::from_le_bytes(*hash));
            let state = match verdict.state() {
                ConfigState::Unset => 0,
                ConfigState::Applied => 1,
                ConfigState::Applying => 2,
                ConfigState::Failed => 3,
            };
            (hash, state)
        });
        if status.is_some() && view.told.status != status && refused.status != status {
            return Some(format!("status {status:?}: {view:?}"));
        }
        let is_answered = view.told.status.map(|(hash, _)| hash) == Some(self.server.offer);
        let is_refused = refused.status.is_some();
        (self.server.offer != 0 && !is_answered && !is_refused)
            .then(|| format!("offer {} has no answer: {view:?}", self.server.offer))
    }
}

/// An input in one line.
struct Brief<'a>(&'a Input);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Input::Host(Change::Description(_)) => f.write_str("a new description"),
            Input::Host(Change::EffectiveConfig(_)) => f.write_str("a new effective config"),
            Input::Link {
                id,
                fact: Fact::Message(bytes),
            } => match ServerToAgent::decode(bytes.clone()) {
                Ok(message) => write!(f, "{id:?} {message:?}"),
                Err(_) => write!(f, "{id:?} no message: {bytes:?}"),
            },
            input => write!(f, "{input:?}"),
        }
    }
}
