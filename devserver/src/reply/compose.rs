//! How a good server answers.
use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

use crate::vocabulary::wire::proto::{
    AgentCapabilities, AgentIdentification, AgentRemoteConfig, ServerCapabilities,
    ServerErrorResponse, ServerErrorResponseType, ServerToAgentFlags,
};
use crate::vocabulary::wire::{AgentToServer, ServerToAgent, answer_parts};
use crate::world::agents::Next;
use crate::world::faults::Fault;
use crate::world::state::State;

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
