//! What an agent was told, once an answer leaves: what is remembered of it.
use std::time::Duration;

use prost::Message;
use uuid::Uuid;

use crate::reply::compose::Reply;
use crate::vocabulary::verdict::Verdict;
use crate::vocabulary::wire::ServerToAgent;
use crate::vocabulary::wire::proto::server_error_response::Details;
use crate::vocabulary::wire::proto::{
    AgentCapabilities, ServerErrorResponse, ServerErrorResponseType, ServerToAgentFlags,
};
use crate::world::state::State;
use crate::world::timeline::{LinkInfo, Sent, Way, What};

impl State {
    /// An answer is about to leave (or is withheld); `sent.message` is what the agent will
    /// understand of it.
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

fn silence(error: &ServerErrorResponse) -> Option<Duration> {
    let Some(Details::RetryInfo(info)) = &error.details else {
        return None;
    };
    let is_unavailable = error.r#type() == ServerErrorResponseType::Unavailable;
    let span = Duration::from_nanos(info.retry_after_nanoseconds);
    // Agents cap what is absurd.
    (is_unavailable && span <= Duration::from_secs(3600)).then_some(span)
}
