//! The server: what it was told, what it offers, and how it answers when nothing is wrong with it.
use std::time::Duration;

use opamp::proto::{
    self, AgentToServer, ServerToAgent, any_value::Value, server_error_response::Details,
};

/// A part's version, as carried inside its value; 0 is "never".
pub(crate) type Version = u32;

/// What one message says about the parts. A status counts as hash and state.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Told {
    pub(crate) description: Option<Version>,
    pub(crate) effective: Option<Version>,
    pub(crate) status: Option<(Version, i32)>,
}

impl Told {
    pub(crate) fn by(message: &AgentToServer) -> Self {
        let description = message.agent_description.as_ref().map(|description| {
            let value = description.identifying_attributes[0].value.as_ref();
            match value.and_then(|value| value.value.as_ref()) {
                Some(Value::IntValue(version)) => *version as Version,
                other => panic!("a description of ours, not {other:?}"),
            }
        });
        let effective = message.effective_config.as_ref().map(|config| {
            let map = config.config_map.as_ref().expect("a map");
            version_in(&map.config_map["main"].body)
        });
        let status = message.remote_config_status.as_ref();
        let status =
            status.map(|status| (version_in(&status.last_remote_config_hash), status.status));
        Self {
            description,
            effective,
            status,
        }
    }
}

impl Told {
    /// What this says, and the other where it says nothing.
    pub(crate) fn or(&self, other: &Self) -> Self {
        Self {
            description: self.description.or(other.description),
            effective: self.effective.or(other.effective),
            status: self.status.or(other.status),
        }
    }
}

fn version_in(bytes: &[u8]) -> Version {
    bytes
        .first_chunk()
        .map_or(0, |bytes| Version::from_le_bytes(*bytes))
}

/// One agent as the server sees it.
#[derive(Clone, Default, Debug)]
pub(crate) struct View {
    pub(crate) uid: Vec<u8>,
    pub(crate) capabilities: u64,
    pub(crate) told: Told,
    last_number: Option<u64>,
    /// It missed something, and has not got everything since.
    pub(crate) has_gap: bool,
    pub(crate) is_gone: bool,
}

pub(crate) struct Server {
    pub(crate) view: View,
    asks: bool,
    /// The hash of the configuration it wants applied; 0: none.
    pub(crate) offer: Version,
    /// The newest description that ever came.
    pub(crate) heard: Version,
    /// Uids given so far.
    given: u8,
}

/// What an answer will do to the agent, for the invariants.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Meaning {
    pub(crate) asks_full: bool,
    pub(crate) new_uid: bool,
    pub(crate) put_off: Option<Duration>,
    /// The parts of the message that was refused.
    pub(crate) refused: Option<Told>,
    /// Over WebSocket: nothing else can be meant, because no other message is without its answer.
    pub(crate) is_prompt: bool,
    /// A good message.
    pub(crate) good: bool,
    pub(crate) narrows: bool,
    /// Brings a configuration, which the agent may answer by itself.
    pub(crate) offers: bool,
}

impl Server {
    pub(crate) fn new(asks: bool) -> Self {
        Self {
            view: View::default(),
            asks,
            offer: 0,
            heard: 0,
            given: 0,
        }
    }

    pub(crate) fn forget(&mut self) {
        self.view = View::default();
    }

    /// Takes a message in; answers what a good server answers to it. `has`: whether the agent has an effective config and a
    /// status, so that the server knows a full report when it sees one.
    pub(crate) fn take(
        &mut self,
        message: &AgentToServer,
        has: (bool, bool),
    ) -> (ServerToAgent, Meaning) {
        if self.view.uid != message.instance_uid {
            self.view = View {
                uid: message.instance_uid.to_vec(),
                ..View::default()
            };
        }
        let told = Told::by(message);
        self.heard = self.heard.max(told.description.unwrap_or(0));
        let view = &mut self.view;
        view.capabilities = message.capabilities;
        view.is_gone = message.agent_disconnect.is_some();
        let known = &mut view.told;
        known.description = told.description.or(known.description);
        known.effective = told.effective.or(known.effective);
        known.status = told.status.or(known.status);
        let expected = view.last_number.map_or(0, |last| last + 1);
        view.has_gap |= message.sequence_num != expected;
        view.last_number = Some(message.sequence_num);
        let is_full = told.description.is_some()
            && (told.effective.is_some() || !has.0)
            && (told.status.is_some() || !has.1);
        view.has_gap &= !is_full;
        self.speak(self.asks && self.view.has_gap)
    }

    /// What it says now, asked or not.
    pub(crate) fn speak(&self, asks_full: bool) -> (ServerToAgent, Meaning) {
        let accepts = proto::AgentCapabilities::AcceptsRemoteConfig as u64;
        let is_wanted = self.view.capabilities & accepts != 0
            && self
                .view
                .told
                .status
                .is_none_or(|(hash, _)| hash != self.offer);
        let remote_config = (self.offer != 0 && is_wanted).then(|| proto::AgentRemoteConfig {
            config: None,
            config_hash: self.offer.to_le_bytes().to_vec().into(),
        });
        let message = ServerToAgent {
            remote_config,
            flags: u64::from(asks_full),
            capabilities: 0x7F,
            ..ServerToAgent::default()
        };
        let offers = message.remote_config.is_some();
        (
            message,
            Meaning {
                asks_full,
                offers,
                good: true,
                ..Meaning::default()
            },
        )
    }

    pub(crate) fn give_uid(&mut self, message: &mut ServerToAgent) {
        self.given = self.given % 250 + 1;
        let new_instance_uid = vec![self.given; 16].into();
        message.agent_identification = Some(proto::AgentIdentification { new_instance_uid });
    }
}

/// An error_response of this type (0 UNKNOWN, 1 BAD_REQUEST, 2 UNAVAILABLE).
pub(crate) fn error(kind: i32, retry_after: Option<Duration>) -> ServerToAgent {
    let details = retry_after.map(|wait| {
        let retry_after_nanoseconds = wait.as_nanos() as u64;
        Details::RetryInfo(proto::RetryInfo {
            retry_after_nanoseconds,
        })
    });
    let error_response = Some(proto::ServerErrorResponse {
        r#type: kind,
        error_message: String::new(),
        details,
    });
    // What stands beside an error is to be ignored.
    ServerToAgent {
        error_response,
        flags: 1,
        ..ServerToAgent::default()
    }
}
