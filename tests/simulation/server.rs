//! The server: what it was told, what it offers, and how it answers when nothing is wrong with it.
use std::time::Duration;

use bytes::Bytes;
use opamp::{
    proto::{server_error_response::Details, *},
    protocol::AttemptId,
};

use crate::told::{Told, Version};

/// What a server that is not narrow accepts.
pub(crate) const ALL: u64 = 0x7F;
pub(crate) const EFFECTIVE: u64 = ServerCapabilities::AcceptsEffectiveConfig as u64;

/// What an answer means to the agent, for the invariants.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    /// No message, or none that counts.
    Nothing,
    Good {
        wants_full: bool,
        /// Brings a configuration, which the agent may answer by itself.
        offers: bool,
        /// The server takes no effective configuration.
        narrows: bool,
    },
    /// The parts of a message that is refused, and whether it is clear to the agent that the server
    /// has read it.
    Refused(Told, bool),
    /// The parts of a message that was too large for the way.
    TooLarge(Told),
    PutOff(Duration),
}

impl Said {
    pub(crate) const fn by(message: &ServerToAgent) -> Self {
        Self::Good {
            wants_full: message.flags != 0 || message.agent_identification.is_some(),
            offers: message.remote_config.is_some(),
            narrows: message.capabilities & EFFECTIVE == 0,
        }
    }
}

#[derive(Default)]
pub(crate) struct Server {
    /// Asks for full state when it has lost the thread.
    pub(crate) asks: bool,
    pub(crate) view: View,
    /// The hash of the configuration it wants applied; 0: none.
    pub(crate) offer: Version,
    /// The newest description that ever came, also in a message that was refused.
    pub(crate) heard: Version,
    /// Uids given so far.
    given: u8,
    /// What a mute server has offered, and on which connection.
    pub(crate) spoken: Option<(AttemptId, Version)>,
}

/// One agent as the server sees it.
#[derive(Default, Debug)]
pub(crate) struct View {
    pub(crate) uid: Bytes,
    pub(crate) capabilities: u64,
    pub(crate) told: Told,
    next_number: u64,
    /// It missed something, and has not got everything since, in one message or several.
    has_gap: bool,
    since_gap: Told,
    pub(crate) is_gone: bool,
}

impl Server {
    /// Takes a message in. `all`: the agent's parts, so that the server knows a full report when it
    /// sees one.
    pub(crate) fn take(&mut self, message: &AgentToServer, all: Told) {
        if self.view.uid != message.instance_uid {
            self.view = View::default();
            self.view.uid = message.instance_uid.clone();
        }
        let (told, view) = (Told::by(message), &mut self.view);
        view.capabilities = message.capabilities;
        view.is_gone = message.agent_disconnect.is_some();
        view.told = told.or(view.told);
        if message.sequence_num != view.next_number {
            (view.has_gap, view.since_gap) = (true, Told::default());
        }
        view.since_gap = told.or(view.since_gap);
        view.has_gap &= !view.since_gap.covers(all);
        view.next_number = message.sequence_num + 1;
    }

    /// What it says now, asked or not.
    pub(crate) fn speak(&self) -> ServerToAgent {
        ServerToAgent {
            remote_config: self.is_offering().then(|| offer(self.offer)),
            flags: u64::from(self.asks && self.view.has_gap),
            capabilities: ALL,
            ..ServerToAgent::default()
        }
    }

    /// Wants a configuration applied that it has not heard of.
    pub(crate) fn is_offering(&self) -> bool {
        let accepts = AgentCapabilities::AcceptsRemoteConfig as u64;
        let is_wanted = self.offer != 0 && self.view.told.offer() != self.offer;
        is_wanted && self.view.capabilities & accepts != 0
    }

    pub(crate) fn new_uid(&mut self) -> AgentIdentification {
        self.given = self.given % 250 + 1;
        let new_instance_uid = vec![self.given; 16].into();
        AgentIdentification { new_instance_uid }
    }
}

pub(crate) fn offer(version: Version) -> AgentRemoteConfig {
    AgentRemoteConfig {
        config: None,
        config_hash: version.to_le_bytes().to_vec().into(),
    }
}

pub(crate) fn interval(seconds: u64) -> ConnectionSettingsOffers {
    let mut offers = ConnectionSettingsOffers::default();
    let opamp = offers.opamp.get_or_insert_default();
    opamp.heartbeat_interval_seconds = seconds;
    offers
}

/// An error_response of this type. What stands beside it is to be ignored.
pub(crate) fn error(kind: ServerErrorResponseType, wait: Option<Duration>) -> ServerToAgent {
    let mut answer = ServerToAgent::default();
    let error = answer.error_response.get_or_insert_default();
    error.r#type = kind as i32;
    error.details = wait.map(|wait| {
        let retry_after_nanoseconds = wait.as_nanos() as u64;
        Details::RetryInfo(RetryInfo {
            retry_after_nanoseconds,
        })
    });
    answer.flags = 1;
    answer
}
