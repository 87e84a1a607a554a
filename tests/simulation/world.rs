//! One agent, one server, and everything between them, in virtual time.
use std::time::Duration;

use opamp::{
    proto::{AgentCapabilities, AgentToServer},
    protocol::*,
};
use prost::Message as _;

use crate::faults::{Choices, Fault, Swarm};
use crate::host::{Act, Host, SEND_LIMIT};
use crate::invariants::{ACTIONS, CUT, Verdict, Watch, rule};
use crate::network::{LATENCY, Net, PAUSE};
use crate::server::{Said, Server, View};
use crate::stats::{ACT, Stats, TIMER};
use crate::story::brief;
use crate::told::{Told, Version, status_of, version_in};

const GRACE: Duration = Duration::from_secs(2);
const FREEZE: Duration = Duration::from_secs(3600);

pub(crate) struct World<'a> {
    pub(crate) choices: Choices<'a>,
    pub(crate) swarm: Swarm,
    pub(crate) now: Time,
    pub(crate) core: Core,
    pub(crate) wait: Option<Deadline>,
    /// Where the agent writes its messages.
    out: Vec<u8>,
    /// What is on its way, in the order in which it left: there is never more than a little.
    pub(crate) net: Vec<(Time, Net)>,
    /// Nothing from the server overtakes what it said before on the same connection.
    pub(crate) stream: Time,
    pub(crate) server: Server,
    pub(crate) host: Host,
    pub(crate) watch: Watch,
    stats: Stats,
    story: Option<&'a mut Vec<String>>,
}

/// Plays the byte string to its end, then demands that both sides agree. A story gets one line per
/// input and action.
pub(crate) fn run(bytes: &[u8], story: Option<&mut Vec<String>>) -> Result<Stats, &'static str> {
    let mut choices = Choices::new(bytes);
    let swarm = Swarm::draw(&mut choices);
    let now = Time::from_micros(1_000_000_000_000);
    let core = core(&swarm, PersistentState::new([1; 16]), now, choices.wide());
    let mut world = World {
        choices,
        now,
        core,
        wait: None,
        out: Vec::new(),
        net: Vec::new(),
        stream: now,
        server: Server::default(),
        host: Host::new(),
        watch: Watch::new(swarm.is_http, 0, None),
        stats: Stats::ZERO,
        swarm,
        story,
    };
    world.tell(|world| format!("{:?}", world.swarm));
    world.server.asks = world.swarm.asks;
    world.start()?;
    while !world.choices.is_spent() {
        world.step()?;
    }
    world.calm_down()?;
    Ok(world.stats)
}

fn core(swarm: &Swarm, carry: PersistentState, now: Time, seed: u32) -> Core {
    let mut config = Config::new(Policy::Http);
    if !swarm.is_http {
        config.policy = Policy::WebSocket;
    }
    config.send_limit = SEND_LIMIT;
    if swarm.is_hasty {
        config.close_wait = Duration::ZERO;
        config.first_retry_spread = Duration::ZERO;
        config.retry_after_jitter = Duration::ZERO;
    }
    Core::new(config, carry, now, seed.into())
}

// Time goes on.
impl World<'_> {
    fn step(&mut self) -> Verdict {
        if self.watch.is_stopped {
            self.now = self.now + PAUSE;
            return self.restart();
        }
        if self.choices.below(256) >= 256 - self.swarm.host_rate {
            let later = self.now + Duration::from_micros(u64::from(self.choices.wide()) + 1);
            let next = self.net.iter().map(|(at, _)| *at);
            let next = next.chain(self.wait.map(|wait| wait.at));
            self.now = next.fold(later, Time::min).max(self.now);
            return self.act();
        }
        if self.choices.below(16) == 15 {
            self.server.offer = self.server.offer % 9 + 1;
        }
        if self.hits(Fault::Suspend) {
            return self.freeze();
        }
        if let Some(id) = self.connection() {
            if !self.watch.this.is_severed && self.hits(Fault::Unsolicited) {
                self.speak(id, Duration::ZERO, false);
            }
            if self.hits(Fault::Drop) {
                return self.drop_connection(id);
            }
        }
        if self.hits(Fault::Amnesia) {
            self.server.view = View::default();
            // A server that restarts takes its connections with it.
            if let Some(id) = self.connection() {
                return self.drop_connection(id);
            }
        }
        self.advance()
    }

    /// To whatever comes next, on the way or in the agent.
    pub(crate) fn advance(&mut self) -> Verdict {
        let next = (0..self.net.len()).min_by_key(|at| self.net[*at].0);
        let next = next.filter(|next| self.wait.is_none_or(|wait| self.net[*next].0 <= wait.at));
        if let Some(next) = next {
            let (at, net) = self.net.remove(next);
            self.now = self.now.max(at);
            match net {
                Net::ToAgent(id, fact, said) => self.deliver(id, fact, said)?,
                Net::ToServer(id, message, marker) => self.arrive(id, &message, marker),
            }
            return Ok(());
        }
        let Some(wait) = self.wait else {
            self.now = self.now + PAUSE;
            return self.feed(Input::Deadline);
        };
        self.now = self.now.max(wait.at);
        self.stats.counts[TIMER + wait.why as usize] += 1;
        self.feed(Input::Deadline)
    }

    /// The machine sleeps. A WebSocket transport has timers of its own to see it by.
    fn freeze(&mut self) -> Verdict {
        self.now = self.now + FREEZE;
        self.watch.on_suspend(FREEZE);
        let fact = Fact::Thawed;
        let input = self.connection().map(|id| Input::Link { id, fact });
        self.feed(input.unwrap_or(Input::Deadline))
    }

    /// The WebSocket connection that is open or being made.
    fn connection(&self) -> Option<AttemptId> {
        self.watch.open.filter(|_| !self.swarm.is_http)
    }

    pub(crate) fn hits(&mut self, fault: Fault) -> bool {
        let hits = self.swarm.hits(fault, &mut self.choices);
        if hits {
            self.stats.counts[fault as usize] += 1;
            self.tell(|_| format!("  fault: {fault:?}"));
        }
        hits
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        if let Some(story) = self.story.take() {
            story.push(format!("{:?} {}", self.now, line(self)));
            self.story = Some(story);
        }
    }
}

// What the host does.
impl World<'_> {
    fn start(&mut self) -> Verdict {
        for change in self.host.all() {
            self.feed(Input::Host(change))?;
        }
        self.feed(Input::Start)
    }

    /// A stopped agent starts again with what it carried, if the host's storage did not fail.
    pub(crate) fn restart(&mut self) -> Verdict {
        let mut carry = self.core.carry();
        let old = &self.watch.refusals;
        let (mut too_large, mut may_be_kept) = (old.too_large, old.may_be_kept);
        if self.hits(Fault::CarryLost) {
            carry = PersistentState::new(carry.instance_uid);
            self.host.offer = None;
            (too_large, may_be_kept) = (Told::default(), Told::default());
        }
        // A run does not remember how often the last one failed, but what the server asked for.
        self.watch = Watch::new(self.swarm.is_http, carry.sequence_num, carry.retry_after);
        self.watch.refusals.too_large = too_large;
        self.watch.refusals.may_be_kept = may_be_kept;
        self.watch.refusals.ever = may_be_kept;
        self.core = core(&self.swarm, carry, self.now, self.choices.wide());
        // The server still reads what left before.
        self.net.retain(|(_, net)| matches!(net, Net::ToServer(..)));
        for (_, net) in &mut self.net {
            if let Net::ToServer(id, ..) = net {
                *id = AttemptId(u64::MAX);
            }
        }
        self.start()
    }

    fn act(&mut self) -> Verdict {
        let act = Act::ALL[self.choices.below(Act::COUNT as u32) as usize];
        match act {
            Act::Stop if self.choices.below(4) == 0 => {
                self.stats.counts[ACT + act as usize] += 1;
                let goodbye = self.choices.below(3) > 0;
                return self.stop(goodbye);
            }
            Act::Reconnect | Act::Headers => self.watch.is_excused = true,
            Act::ReportFull | Act::Uid => self.watch.refusals.full_wanted = Some(self.now),
            Act::Applying | Act::Applied | Act::Failed => self.watch.refusals.on_new_status(),
            _ => {}
        }
        let change = self.host.act(act, &mut self.choices, &self.core);
        let Some(change) = change else { return Ok(()) };
        // Its own uid once more is no wish.
        let uid = self.core.instance_uid();
        let wants_all = match &change {
            Change::ReportFullState => true,
            Change::InstanceUid(other) => uid != other,
            _ => false,
        };
        if wants_all {
            self.watch.refusals.on_host_wants_all(self.now);
        }
        if let Change::RemoteConfigStatus(status) = &change {
            let is_last = self.core.carry().last_offer.as_ref() == Some(status.hash());
            // Verdicts on what comes back have a budget.
            let is_told = is_last
                && self.swarm.is_mute
                && self.swarm.speaks_only_when_asked()
                && self.host.declares(AgentCapabilities::ReportsRemoteConfig);
            let version = status_of(status.hash(), status.state() as i32);
            let version = version * Version::from(is_told);
            self.watch.on_verdict(version_in(status.hash()), version);
        } else if let Change::Capabilities(_) = &change {
            self.watch.verdict_due = 0;
        }
        self.watch.refusals.on_news();
        self.stats.counts[ACT + act as usize] += 1;
        self.feed(Input::Host(change))
    }

    pub(crate) fn stop(&mut self, goodbye: bool) -> Verdict {
        self.watch.on_stop(self.now + GRACE, goodbye);
        let within = GRACE;
        self.feed(Input::Stop { within, goodbye })
    }
}

// What the agent is told, and what it does then.
impl World<'_> {
    /// What the transport saw reaches the agent; the invariants learn of it if it is not stale.
    pub(crate) fn deliver(&mut self, id: AttemptId, fact: Fact, said: Said) -> Verdict {
        if self.watch.open == Some(id) {
            self.watch.on_fact(self.now, &fact, said)?;
        }
        if self.watch.is_stopped {
            return Ok(());
        }
        self.feed(Input::Link { id, fact })
    }

    pub(crate) fn feed(&mut self, input: Input) -> Verdict {
        self.tell(|_| format!("-> {}", brief(&input)));
        self.stats.inputs += 1;
        self.core.handle(self.now, input);
        let mut actions = 0;
        while actions <= ACTIONS {
            let action = self.core.poll(&mut self.out);
            self.tell(|_| format!("   {action:?}"));
            match action {
                Action::Wait(wait) => {
                    self.wait = wait;
                    return self.watch.on_wait(self.now, wait);
                }
                Action::Tell {
                    event: Event::SendDone { ticket, outcome },
                    ..
                } => {
                    self.on_send_done(ticket, &outcome)?;
                    continue;
                }
                Action::Tell { event, .. } => self.hear(event)?,
                Action::Connect { id } => {
                    self.watch.on_connect(self.now, id)?;
                    self.dial(id);
                }
                Action::Send { id, marker } => self.send(id, marker)?,
                Action::Close { id, code } => self.close(id, code)?,
            }
            actions += 1;
        }
        Err("bounded actions")
    }

    fn send(&mut self, id: AttemptId, marker: Option<u64>) -> Verdict {
        self.stats.sends += 1;
        let mut message = AgentToServer::default();
        message.merge(&self.out[..]).expect("a message");
        self.tell(|_| format!("      {}: {:?}", message.sequence_num, Told::by(&message)));
        self.watch.on_send(self.now, id, &message)?;
        if self.swarm.is_http {
            self.exchange(id, &message);
        } else {
            self.transmit(id, message, marker);
        }
        Ok(())
    }

    fn close(&mut self, id: AttemptId, code: Option<u16>) -> Verdict {
        let is_overdue = self.wait.is_some_and(|wait| wait.why == Timer::Exchange);
        self.watch.on_close(code, is_overdue)?;
        let over = Fact::Over(Failure::new(FailKind::Io, ReachedServer::Maybe, "closed"));
        if code.is_none() {
            self.later(id, CUT, over, Said::Nothing);
        } else if !self.hits(Fault::CloseIgnored) {
            // Behind what the server says to the goodbye.
            self.say(id, LATENCY, over, Said::Nothing);
        }
        Ok(())
    }

    fn hear(&mut self, event: Event) -> Verdict {
        self.watch.on_heard(self.now, &event)?;
        match event {
            Event::Message(message) => {
                let offer = message.remote_config;
                let offer = offer.map(|offer| (version_in(&offer.hash), false));
                self.host.offer = offer.or(self.host.offer);
            }
            Event::ConnectFailed { .. } => {
                rule! { "a freeze is no failure": !self.watch.is_silent }
            }
            Event::Stopped => {
                self.watch.is_stopped = true;
                let is_all = self.watch.open.is_none() && self.host.tickets.is_empty();
                rule! { "nothing is left at the end": is_all }
            }
            _ => {}
        }
        Ok(())
    }

    fn on_send_done(&mut self, ticket: u64, outcome: &Outcome) -> Verdict {
        self.stats.report(outcome);
        let asked = self.host.tickets.remove(&ticket);
        rule! { "one completion per report": asked.is_some() }
        let is_known = asked.is_some_and(|description| self.server.heard >= description);
        rule! { "confirmed is confirmed": is_known || *outcome != Outcome::Confirmed }
        Ok(())
    }
}
