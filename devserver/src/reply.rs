//! How a good server answers, and what it has then told the agent.
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

use crate::vocabulary::verdict::Verdict;
use crate::vocabulary::wire::proto::{
    AgentCapabilities, AgentIdentification, AgentRemoteConfig, ServerCapabilities,
    ServerErrorResponse, ServerErrorResponseType, ServerToAgentFlags,
};
use crate::vocabulary::wire::{AgentToServer, ServerToAgent, answer_parts};
use crate::world::agents::Next;
use crate::world::faults::Fault;
use crate::world::state::State;
use crate::world::timeline::{LinkInfo, Sent, Way, What};

/// What shall be answered, before a fault is applied.
pub(crate) struct Reply {
    /// The index of the entry that is answered.
    pub(crate) index: u64,
    pub(crate) agent: Option<Uuid>,
    pub(crate) content: Content,
    /// The message had more than uid, number and capabilities.
    pub(crate) has_news: bool,
    pub(crate) fault: Option<Fault>,
}

impl Reply {
    /// The name of the rule that acts, if one does.
    pub(crate) fn rule(&self) -> &str {
        self.fault.as_ref().map_or("", |fault| &fault.rule)
    }
}

pub(crate) enum Content {
    Message(Bytes),
    Refusal(u16, String),
    /// A WebSocket, with the proof that the handshake was understood.
    Upgrade(String),
}

impl State {
    /// The answer of a good server, with what was asked to be answered next over it.
    pub(crate) fn compose(
        &mut self,
        uid: Uuid,
        message: &AgentToServer,
        asks_full: bool,
        again: bool,
    ) -> Vec<u8> {
        let goes = message.agent_disconnect.is_some();
        let next = if goes { None } else { self.take_next(uid) };
        if let Some(next) = next.as_ref().filter(|next| next.is_raw) {
            return next.message.clone();
        }
        let mut answer = self.bare(uid);
        let is_alone = next.as_ref().is_some_and(|next| next.is_alone);
        if !goes && !is_alone {
            if asks_full {
                answer.flags |= ServerToAgentFlags::ReportFullState as u64;
            }
            if message.flags & 1 != 0 {
                let uid = Bytes::copy_from_slice(Uuid::now_v7().as_bytes());
                answer.agent_identification = Some(AgentIdentification {
                    new_instance_uid: uid,
                });
            }
            answer.remote_config = self.offer_for(uid, again);
        }
        if is_alone {
            answer.capabilities = 0;
        }
        let mut bytes = answer.encode_to_vec();
        if let Some(next) = next {
            bytes.extend_from_slice(&next.message);
            bytes = normalised(&bytes);
        }
        bytes
    }

    fn bare(&self, uid: Uuid) -> ServerToAgent {
        ServerToAgent {
            instance_uid: Bytes::copy_from_slice(uid.as_bytes()),
            capabilities: self.capabilities,
            ..Default::default()
        }
    }

    /// A message to an agent that did not ask for one.
    pub(crate) fn unasked(&self, uid: Uuid, next: &Next) -> Bytes {
        if next.is_raw {
            return next.message.clone().into();
        }
        let mut bare = self.bare(uid);
        if next.is_alone {
            bare.capabilities = 0;
        }
        normalised(&[&bare.encode_to_vec()[..], &next.message].concat()).into()
    }

    /// The present offer in a message of its own, if the agent should have it and has it not.
    pub(crate) fn offer_unasked(&self, uid: Uuid) -> Option<Bytes> {
        let remote_config = Some(self.offer_for(uid, false)?);
        let message = ServerToAgent {
            remote_config,
            ..self.bare(uid)
        };
        Some(message.encode_to_vec().into())
    }

    fn take_next(&mut self, uid: Uuid) -> Option<Next> {
        let own = self
            .agents
            .get_mut(&uid)
            .and_then(|agent| agent.next.pop_front());
        own.or_else(|| (!self.next.is_empty()).then(|| self.next.remove(0)))
    }

    fn offer_for(&self, uid: Uuid, again: bool) -> Option<AgentRemoteConfig> {
        let agent = self.agents.get(&uid)?;
        let offers = self.capabilities & ServerCapabilities::OffersRemoteConfig as u64 != 0;
        let offer = self.offers.of(uid)?;
        let has_it = agent.has_answered(&offer.hash)
            || (!agent.can(AgentCapabilities::ReportsRemoteConfig)
                && agent.was_offered(&offer.hash)
                && agent.known.agent_disconnect.is_none());
        let has_it = has_it
            || self.sockets(Some(uid), None).any(|(_, socket)| {
                socket
                    .offered
                    .as_ref()
                    .is_some_and(|hash| hash == &offer.hash)
            });
        let wanted = offers && agent.can(AgentCapabilities::AcceptsRemoteConfig) && !has_it;
        (wanted || again).then(|| offer.message())
    }

    /// An answer is about to leave (or is withheld); `sent.message` is what the agent will understand of it.
    pub(crate) fn on_answer(
        &mut self,
        now: Duration,
        link: LinkInfo,
        reply: &Reply,
        sent: Sent,
        not_before: Option<(Duration, &'static str)>,
    ) {
        let is_spoiled = reply
            .fault
            .as_ref()
            .is_some_and(|fault| fault.action.is_spoiling());
        let answer = sent
            .message
            .clone()
            .and_then(|bytes| ServerToAgent::decode(bytes).ok());
        let mut verdicts = Vec::new();
        if let Some(agent) = reply.agent.and_then(|uid| self.agents.get_mut(&uid)) {
            // Over HTTP alone an answer belongs to a request.
            if agent.watch.last_index > reply.index && matches!(sent.way, Way::Http(..)) {
                let text = format!("answered after #{} had come", agent.watch.last_index);
                verdicts.push(Verdict::fail("HTTP-06", text));
            }
            agent.watch.excused = is_spoiled || answer.is_none();
            agent.watch.not_before = not_before.or(agent.watch.not_before);
        }
        if let (Some(uid), Some(answer)) = (reply.agent, answer) {
            self.on_told(now, uid, &answer, is_spoiled);
        }
        self.on_sent(link, &sent);
        self.push(now, reply.agent, Some(link), verdicts, What::Sent(sent));
    }

    /// A message is about to leave that nobody asked for.
    pub(crate) fn on_pushed(&mut self, now: Duration, link: LinkInfo, sent: Sent) {
        let agent = self.links.get(&link.number).and_then(|link| link.agent);
        let message = sent
            .message
            .clone()
            .and_then(|bytes| ServerToAgent::decode(bytes).ok());
        if let (Some(uid), Some(message)) = (agent, message) {
            self.on_told(now, uid, &message, false);
        }
        self.on_sent(link, &sent);
        self.push(now, agent, Some(link), Vec::new(), What::Sent(sent));
    }

    fn on_sent(&mut self, link: LinkInfo, sent: &Sent) {
        let message = sent.message.clone();
        let message = message.and_then(|bytes| ServerToAgent::decode(bytes).ok());
        let agent = self.links.get(&link.number).and_then(|link| link.agent);
        let agent = agent.and_then(|uid| self.agents.get(&uid));
        let takes = agent.is_some_and(|agent| agent.can(AgentCapabilities::AcceptsRemoteConfig));
        if let Some(socket) = self.socket(link.number) {
            socket.is_answered |= message.is_some();
            let message = message.filter(|_| takes);
            let offer = message.and_then(|message| message.remote_config);
            socket.offered = offer
                .map(|offer| offer.config_hash)
                .or(socket.offered.take());
        }
    }

    /// A WebSocket is no more: nobody is there to push to, unless another process has gone on under the same uid.
    pub(crate) fn on_socket_gone(&mut self, now: Duration, agent: Option<Uuid>, number: u64) {
        let other = self
            .links
            .values()
            .filter(|link| link.socket.is_some() && agent.is_some() && link.agent == agent)
            .map(|link| link.info.number)
            .find(|other| *other != number);
        let agent = agent.and_then(|uid| self.agents.get_mut(&uid));
        let Some(agent) = agent.filter(|agent| agent.connection == number) else {
            return;
        };
        match other {
            Some(other) => agent.connection = other,
            None => {
                agent.gone.get_or_insert((now, "connection ended"));
            }
        }
    }

    fn on_told(&mut self, now: Duration, uid: Uuid, answer: &ServerToAgent, is_spoiled: bool) {
        let Some(agent) = self.agents.get_mut(&uid) else {
            return;
        };
        if let Some(offer) = &answer.remote_config {
            agent.on_offered(&offer.config_hash, now);
            self.offers.on_used(&offer.config_hash);
        }
        let new = answer
            .agent_identification
            .as_ref()
            .map(|id| &id.new_instance_uid);
        if let Some(new) = new.and_then(|new| Uuid::from_slice(new).ok()) {
            if new != uid {
                self.assigned.insert(new, uid);
            }
        }
        if is_spoiled {
            return;
        }
        if answer.capabilities != 0 {
            agent.watch.told_capabilities = Some(answer.capabilities);
        }
        let asks = answer.flags & ServerToAgentFlags::ReportFullState as u64 != 0;
        agent.watch.asked_full = if asks { agent.watch.asked_full + 1 } else { 0 };
        agent.watch.owes_full |= asks && agent.transport.starts_with("ws");
        let settings = answer.connection_settings.as_ref();
        let opamp = settings.and_then(|settings| settings.opamp.as_ref());
        let seconds = opamp.map_or(0, |opamp| opamp.heartbeat_interval_seconds);
        if let Some(settings) = settings.filter(|_| seconds > 0) {
            agent.on_interval(Duration::from_secs(seconds), &settings.hash);
        }
        if let Some(error) = &answer.error_response {
            let row = if agent.transport.starts_with("ws") {
                "WS-11"
            } else {
                "RCV-01"
            };
            agent.watch.not_before = silence(error).map(|span| (now + span, row));
            agent.watch.excused = true;
        }
    }
}

/// What a server says over WebSocket to what it does not understand.
pub(crate) fn bad_request(text: &str) -> Bytes {
    let error_response = ServerErrorResponse {
        r#type: ServerErrorResponseType::BadRequest.into(),
        error_message: text.to_owned(),
        details: None,
    };
    let answer = ServerToAgent {
        error_response: Some(error_response),
        ..Default::default()
    };
    answer.encode_to_vec().into()
}

/// The same message with each field once, as an encoder writes it.
pub(crate) fn normalised(bytes: &[u8]) -> Vec<u8> {
    ServerToAgent::decode(bytes).map_or_else(|_| bytes.to_vec(), |answer| answer.encode_to_vec())
}

/// The names of an answer's parts, none when it can not be decoded.
pub(crate) fn parts_of(message: &Bytes) -> Vec<&'static str> {
    ServerToAgent::decode(message.clone()).map_or_else(|_| Vec::new(), |m| answer_parts(&m))
}

fn silence(error: &ServerErrorResponse) -> Option<Duration> {
    use crate::vocabulary::wire::proto::server_error_response::Details;
    let Some(Details::RetryInfo(info)) = &error.details else {
        return None;
    };
    let is_unavailable = error.r#type() == ServerErrorResponseType::Unavailable;
    let span = Duration::from_nanos(info.retry_after_nanoseconds);
    // Agents cap what is absurd.
    (is_unavailable && span <= Duration::from_secs(3600)).then_some(span)
}
