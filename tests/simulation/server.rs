//! The server: what it was told, what it offers, and how it answers when nothing is wrong with it.
use std::time::Duration;

use bytes::Bytes;
use opamp::proto::{server_error_response::Details, *};

use crate::refusals::Clarity;
use crate::told::{Told, Version};

/// What an answer means to the agent, for the invariants.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    /// No message, or none that counts.
    Nothing,
    Good(Good),
    /// The parts of a message that is refused.
    Refused(Told, Clarity),
    PutOff(Duration),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Good {
    pub(crate) wants_full: bool,
    /// Brings a configuration, which the agent may answer by itself.
    pub(crate) offers: bool,
    /// The server takes no effective configuration.
    pub(crate) narrows: bool,
}

impl Said {
    pub(crate) const fn by(message: &ServerToAgent) -> Self {
        let accepts = ServerCapabilities::AcceptsEffectiveConfig as u64;
        Self::Good(Good {
            wants_full: message.flags != 0 || message.agent_identification.is_some(),
            offers: message.remote_config.is_some(),
            narrows: message.capabilities & accepts == 0,
        })
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
}

/// One agent as the server sees it.
#[derive(Default, Debug)]
pub(crate) struct View {
    pub(crate) uid: Bytes,
    pub(crate) capabilities: u64,
    pub(crate) told: Told,
    next_number: u64,
    /// It missed something, and has not got everything since.
    has_gap: bool,
    pub(crate) is_gone: bool,
}

impl Server {
    /// Takes a message in. `all`: the agent's parts, so that the server knows a full report when it sees one.
    pub(crate) fn take(&mut self, message: &AgentToServer, all: Told) {
        if self.view.uid != message.instance_uid {
            self.view = View::default();
            self.view.uid = message.instance_uid.clone();
        }
        let (told, view) = (Told::by(message), &mut self.view);
        view.capabilities = message.capabilities;
        view.is_gone = message.agent_disconnect.is_some();
        view.told = told.or(view.told);
        view.has_gap |= message.sequence_num != view.next_number;
        view.has_gap &= !told.covers(all);
        view.next_number = message.sequence_num + 1;
    }

    /// What it says now, asked or not.
    pub(crate) fn speak(&self) -> ServerToAgent {
        let accepts = AgentCapabilities::AcceptsRemoteConfig as u64;
        let is_wanted = self.offer != 0 && self.view.told.offer() != self.offer;
        let is_wanted = is_wanted && self.view.capabilities & accepts != 0;
        ServerToAgent {
            remote_config: is_wanted.then(|| AgentRemoteConfig {
                config: None,
                config_hash: self.offer.to_le_bytes().to_vec().into(),
            }),
            flags: u64::from(self.asks && self.view.has_gap),
            capabilities: 0x7F,
            ..ServerToAgent::default()
        }
    }

    pub(crate) fn new_uid(&mut self) -> AgentIdentification {
        self.given = self.given % 250 + 1;
        let new_instance_uid = vec![self.given; 16].into();
        AgentIdentification { new_instance_uid }
    }
}

pub(crate) fn interval(seconds: u64) -> ConnectionSettingsOffers {
    let mut offers = ConnectionSettingsOffers::default();
    offers
        .opamp
        .get_or_insert_default()
        .heartbeat_interval_seconds = seconds;
    offers
}

/// An error_response of this type (0 UNKNOWN, 1 BAD_REQUEST, 2 UNAVAILABLE). What stands beside it is to be ignored.
pub(crate) fn error(r#type: i32, wait: Option<Duration>) -> ServerToAgent {
    let details = wait.map(|wait| {
        let retry_after_nanoseconds = wait.as_nanos() as u64;
        Details::RetryInfo(RetryInfo {
            retry_after_nanoseconds,
        })
    });
    let error_message = String::new();
    let error = ServerErrorResponse {
        r#type,
        error_message,
        details,
    };
    ServerToAgent {
        error_response: Some(error),
        flags: 1,
        ..Default::default()
    }
}
