//! What becomes of what the agent sends: the way, the server's mood, and the way back.
use std::time::Duration;

use bytes::Bytes;
use opamp::{proto::*, protocol::*};
use prost::Message as _;

use crate::faults::{Fault, Pongs};
use crate::invariants::{OVERLOAD, Verdict};
use crate::server::{ALL, EFFECTIVE, Said, error, interval, offer};
use crate::told::Told;
use crate::world::World;

pub(crate) const LATENCY: Duration = Duration::from_millis(3);
pub(crate) const PAUSE: Duration = Duration::from_millis(700);
const WRITE: Duration = Duration::from_millis(1);
/// Until a transport gives a silent peer up.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Something on its way.
pub(crate) enum Net {
    /// To the agent's transport, and what it will mean to the agent.
    ToAgent(AttemptId, Fact, Said),
    /// A message to the server over WebSocket, and the marker of the ping behind it.
    ToServer(AttemptId, Box<AgentToServer>, Option<u64>),
}

const STATUSES: [(Fault, u16); 6] = [
    (Fault::PutOff, 429),
    (Fault::Overloaded, 503),
    (Fault::Unauthorized, 401),
    (Fault::NotFound, 404),
    (Fault::Broken, 500),
    (Fault::TooLarge, 413),
];

// On the way.
impl World<'_> {
    /// Whether one of these faults ends the try, and how the transport sees it.
    fn is_ended(&mut self, id: AttemptId, faults: &[Fault]) -> bool {
        let Some(fault) = faults.iter().find(|fault| self.hits(**fault)) else {
            return false;
        };
        let status = STATUSES.iter().find(|(of, _)| of == fault);
        let mut failure = match (fault, status) {
            (Fault::Forgotten, _) => return true,
            (Fault::Refused, _) => Failure::new(FailKind::Connect, ReachedServer::No, ""),
            (Fault::BeforeByte, _) => Failure::new(FailKind::Io, ReachedServer::No, ""),
            (Fault::KeptDied, _) => Failure::new(FailKind::Io, ReachedServer::Maybe, ""),
            (_, Some((_, status))) => Failure::of_status(*status, ""),
            _ => Failure::new(FailKind::Timeout, ReachedServer::Maybe, ""),
        };
        let (mut after, mut said) = (LATENCY, Said::Nothing);
        match fault {
            Fault::KeptDied => failure.reused = true,
            Fault::TooLarge => said = Said::TooLarge(self.watch.this.told),
            Fault::PutOff => {
                let seconds = self.choices.of([0, 1, 60, 600, 1_000_000]);
                failure.retry_after = Some(Duration::from_secs(seconds));
            }
            _ if failure.kind == FailKind::Timeout => after = TIMEOUT,
            _ => {}
        }
        self.later(id, after, Fact::Over(failure), said);
        true
    }

    /// Over HTTP.
    pub(crate) fn exchange(&mut self, id: AttemptId, message: &AgentToServer) {
        if self.is_ended(id, &[Fault::Refused, Fault::BeforeByte])
            || self.watch.is_kept && self.is_ended(id, &[Fault::KeptDied])
        {
            return;
        }
        if self.choices.below(2) == 0 {
            self.later(id, WRITE, Fact::Opened, Said::Nothing);
        }
        if self.is_ended(id, &[Fault::Forgotten, Fault::RequestLost])
            || self.is_ended(id, &STATUSES.map(|(fault, _)| fault))
        {
            return;
        }
        if self.is_over_limit(message) {
            let failure = Fact::Over(Failure::of_status(413, ""));
            return self.later(id, LATENCY, failure, Said::TooLarge(Told::by(message)));
        }
        let (answer, said) = self.answer(message);
        if self.is_ended(id, &[Fault::AnswerLost]) {
            return;
        }
        let after = if self.is_ended(id, &[Fault::AnswerLate]) {
            TIMEOUT + Duration::from_secs(self.choices.below(8).into())
        } else {
            LATENCY + self.pause()
        };
        self.later(id, after, Fact::Message(answer), said);
    }

    fn is_over_limit(&mut self, message: &AgentToServer) -> bool {
        let limit = self.swarm.way_limit;
        let is_over = limit.is_some_and(|limit| message.encoded_len() > limit);
        // Over HTTP a goodbye goes again without its news, which were never tried.
        let has_no_way = !self.swarm.is_http || Told::by(message).is_nothing();
        let is_end = has_no_way && message.agent_disconnect.is_some();
        self.watch.is_end_too_large |= is_over && is_end;
        is_over
    }

    /// Over WebSocket a connection is made, or not.
    pub(crate) fn dial(&mut self, id: AttemptId) {
        self.stream = self.now;
        if self.is_ended(id, &[Fault::Refused, Fault::Forgotten])
            || self.is_ended(id, &STATUSES.map(|(fault, _)| fault))
        {
            return;
        }
        let pause = self.pause();
        self.say(id, pause, Fact::Opened, Said::Nothing);
        if self.hits(Fault::AcceptClose) {
            let closed = Failure::new(FailKind::Io, ReachedServer::Maybe, "closed");
            self.say(id, pause + LATENCY, Fact::Over(closed), Said::Nothing);
        }
    }

    /// Over WebSocket a frame goes out.
    pub(crate) fn transmit(&mut self, id: AttemptId, message: AgentToServer, marker: Option<u64>) {
        if self.is_ended(id, &[Fault::Stuck]) {
            return;
        }
        self.later(id, WRITE, Fact::Written, Said::Nothing);
        if self.watch.this.is_severed {
            return;
        }
        if self.is_ended(id, &[Fault::RequestLost]) {
            self.watch.this.is_severed = true;
        } else {
            let net = Net::ToServer(id, Box::new(message), marker);
            self.net.push((self.now + LATENCY, net));
        }
    }

    /// The connection dies now; what was on its way may or may not have reached the server.
    pub(crate) fn drop_connection(&mut self, id: AttemptId) -> Verdict {
        let arrives = self.choices.below(2) == 0;
        let is_of_this = |net: &Net| matches!(net, Net::ToServer(of, ..) if *of == id);
        self.net.retain(|(_, net)| arrives || !is_of_this(net));
        let is_lost = self.watch.is_unsent && !arrives;
        let reached = if is_lost {
            ReachedServer::No
        } else {
            ReachedServer::Maybe
        };
        let over = Fact::Over(Failure::new(FailKind::Io, reached, "reset"));
        self.deliver(id, over, Said::Nothing)
    }

    pub(crate) fn later(&mut self, id: AttemptId, after: Duration, fact: Fact, said: Said) {
        self.net
            .push((self.now + after, Net::ToAgent(id, fact, said)));
    }

    /// In the stream of what comes from the server.
    pub(crate) fn say(&mut self, id: AttemptId, pause: Duration, fact: Fact, said: Said) {
        self.stream = self.stream.max(self.now + LATENCY + pause);
        self.net.push((self.stream, Net::ToAgent(id, fact, said)));
    }

    fn pause(&mut self) -> Duration {
        PAUSE * u32::from(self.hits(Fault::Slow))
    }
}

// In the server.
impl World<'_> {
    /// A frame arrives at the server, perhaps after the connection died.
    pub(crate) fn arrive(&mut self, id: AttemptId, message: &AgentToServer, marker: Option<u64>) {
        self.tell(|_| format!("   the server reads {}", message.sequence_num));
        let is_deaf = |world: &Self| world.watch.open != Some(id) || world.watch.this.is_severed;
        if self.is_over_limit(message) {
            if !is_deaf(self) {
                self.end_as_too_large(id, Told::by(message));
            }
            return;
        }
        if !is_deaf(self) {
            self.strike(id, Told::by(message));
        }
        if self.swarm.is_mute {
            return self.take_in_silence(id, message, marker);
        }
        let (answer, said) = self.answer(message);
        if is_deaf(self) {
            return;
        }
        if self.is_ended(id, &[Fault::AnswerLost]) {
            self.watch.this.is_severed = true;
            return;
        }
        let pause = self.pause() * 2;
        let pong = marker.map(|marker| Fact::Pong { marker });
        let answer = Some(Fact::Message(answer));
        let facts = match self.swarm.pongs {
            Pongs::BeforeAnswer => [pong, answer],
            Pongs::AfterAnswer => [answer, pong],
            Pongs::Never => [answer, None],
        };
        for fact in facts.into_iter().flatten() {
            self.say(id, pause, fact, said);
        }
        if matches!(said, Said::PutOff(_)) && self.choices.below(2) == 1 {
            let (again, said) = self.put_off();
            self.say(id, pause, Fact::Message(again), said);
        }
    }

    fn take_in_silence(&mut self, id: AttemptId, message: &AgentToServer, marker: Option<u64>) {
        let told = Told::by(message);
        self.server.heard = self.server.heard.max(told.description);
        self.server.take(message, self.all_parts());
        if self.watch.open != Some(id) || self.watch.this.is_severed {
            return;
        }
        let pause = self.pause() * 2;
        if let Some(marker) = marker {
            self.say(id, pause, Fact::Pong { marker }, Said::Nothing);
        }
        let (offer, is_new) = (self.server.offer, !told.is_nothing());
        if self.server.is_offering() && (is_new || self.server.spoken != Some((id, offer))) {
            self.server.spoken = Some((id, offer));
            self.speak(id, pause, false);
        }
    }

    /// Twelve times the same, or nearly so, at once.
    fn storm(&mut self, id: AttemptId) {
        let kind = self.choices.below(5);
        for turn in 0..12 {
            let mut message = ServerToAgent {
                capabilities: ALL,
                ..ServerToAgent::default()
            };
            let (fact, said) = match kind {
                0 => (Fact::Skipped("a text frame".into()), Said::Nothing),
                1 => (Fact::Message(Bytes::from_static(b"no")), Said::Nothing),
                2 => {
                    message.instance_uid = vec![0xEE; 16].into();
                    (Fact::Message(encoded(&message)), Said::Nothing)
                }
                3 => {
                    message.remote_config = Some(offer(turn % 2 + 1));
                    // What it really offers is said once more behind these.
                    self.server.spoken = None;
                    (Fact::Message(encoded(&message)), Said::by(&message))
                }
                _ => {
                    message.agent_identification = Some(self.server.new_uid());
                    (Fact::Message(encoded(&message)), Said::by(&message))
                }
            };
            self.say(id, Duration::ZERO, fact, said);
        }
    }

    /// What a server does beside answering; most of it ends the connection.
    fn strike(&mut self, id: AttemptId, told: Told) {
        if self.hits(Fault::Storm) {
            self.storm(id);
        }
        if self.hits(Fault::TextFrame) {
            let text = Fact::Skipped("a text frame".into());
            self.say(id, Duration::ZERO, text, Said::Nothing);
        }
        let faults = [
            (Fault::BadFrame, 1002, FailKind::Protocol),
            (Fault::Oversized, 1009, FailKind::Size),
        ];
        if let Some((_, code, kind)) = faults.into_iter().find(|(fault, ..)| self.hits(*fault)) {
            let failure = Failure::new(kind, ReachedServer::Maybe, "the peer's fault");
            let broken = Fact::Broken { code, failure };
            self.say(id, Duration::ZERO, broken, Said::Nothing);
            self.watch.this.is_severed = true;
        } else if self.may_refuse(told) && self.hits(Fault::TooLarge) {
            self.end_as_too_large(id, told);
        }
    }

    fn end_as_too_large(&mut self, id: AttemptId, told: Told) {
        let over = Fact::Over(Failure::new(FailKind::Size, ReachedServer::Maybe, "1009"));
        self.say(id, Duration::ZERO, over, Said::TooLarge(told));
        self.watch.this.is_severed = true;
    }

    /// The server speaks without being asked.
    pub(crate) fn speak(&mut self, id: AttemptId, pause: Duration, wants_full: bool) {
        let mut message = self.server.speak();
        message.flags |= u64::from(wants_full);
        let fact = Fact::Message(encoded(&message));
        self.say(id, pause, fact, Said::by(&message));
    }

    /// What the server makes of a message, in its mood.
    fn answer(&mut self, message: &AgentToServer) -> (Bytes, Said) {
        if self.hits(Fault::Unavailable) {
            return self.put_off();
        }
        let told = Told::by(message);
        self.server.heard = self.server.heard.max(told.description);
        let errors = [
            (Fault::BadRequest, ServerErrorResponseType::BadRequest),
            (Fault::Unknown, ServerErrorResponseType::Unknown),
        ];
        let is_read = self.swarm.is_http || self.swarm.pongs == Pongs::BeforeAnswer;
        for (fault, kind) in errors {
            if self.may_refuse(told) && self.hits(fault) {
                return (encoded(&error(kind, None)), Said::Refused(told, is_read));
            }
        }
        self.server.take(message, self.all_parts());
        if self.hits(Fault::Garbage) {
            return (Bytes::from_static(b"<html>502</html>"), Said::Nothing);
        }
        let mut answer = self.server.speak();
        if self.hits(Fault::Foreign) {
            answer.instance_uid = vec![0xEE; 16].into();
            return (encoded(&answer), Said::Nothing);
        }
        if self.hits(Fault::FullAsked) {
            answer.flags = 1;
        }
        if message.flags == 1 || self.hits(Fault::NewUid) {
            answer.agent_identification = Some(self.server.new_uid());
        }
        if self.hits(Fault::Interval) {
            let seconds = self.choices.of([1, 0, 7, 1_000_000]);
            answer.connection_settings = Some(interval(seconds));
        }
        if self.hits(Fault::Narrow) {
            answer.capabilities &= !EFFECTIVE;
        }
        (encoded(&answer), Said::by(&answer))
    }

    /// Over WebSocket an error names no message: it must be about news, and the server must not
    /// speak unasked.
    fn may_refuse(&self, told: Told) -> bool {
        self.swarm.is_http || !told.is_nothing() && self.swarm.speaks_only_when_asked()
    }

    fn put_off(&mut self) -> (Bytes, Said) {
        let wait = Duration::from_secs(self.choices.of([0, 1, 5, 90]));
        let means = if wait.is_zero() { OVERLOAD } else { wait };
        (
            encoded(&error(ServerErrorResponseType::Unavailable, Some(wait))),
            Said::PutOff(means),
        )
    }

    /// What a full report says just now.
    pub(crate) fn all_parts(&self) -> Told {
        let mut all = self.host.told(self.swarm.way_limit);
        if self.watch.is_narrow {
            all.effective = 0;
        }
        if self.host.declares(AgentCapabilities::ReportsRemoteConfig) {
            all.status = self.watch.last_status;
        }
        all
    }
}

fn encoded(message: &ServerToAgent) -> Bytes {
    message.encode_to_vec().into()
}
