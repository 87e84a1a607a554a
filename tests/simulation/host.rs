//! The host: what is true of the agent, and what it does at any moment.
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use opamp::{
    proto::{self, AgentCapabilities as Agent},
    protocol::{Carry, Change, ConfigState, RemoteConfigStatus},
};

use crate::{choices::Choices, faults::kinds, server::Version};

kinds! {
    /// One thing that a host does.
    Act {
        Describe, DescribeAgain, Configure, ConfigureLarge, Applying, Applied, Failed, Declare,
        PollNow, ReportFull, Reconnect, Headers, Interval, Flush, Send, Uid, RequestUid, Stop,
    }
}

pub(crate) const FULL: u64 = Agent::ReportsStatus as u64
    | Agent::ReportsHeartbeat as u64
    | Agent::AcceptsRemoteConfig as u64
    | Agent::ReportsRemoteConfig as u64
    | Agent::ReportsEffectiveConfig as u64;

/// Bytes of a message that the agent may send.
pub(crate) const SEND_LIMIT: usize = 2000;

pub(crate) struct Host {
    pub(crate) description: Version,
    pub(crate) effective: Version,
    pub(crate) is_large: bool,
    pub(crate) capabilities: u64,
    /// The last offer delivered, and whether the host has said its last word on it.
    pub(crate) offer: Option<(Version, bool)>,
    version: Version,
    /// Reports that wait, with the description that they wait for.
    pub(crate) tickets: BTreeMap<u64, Version>,
    last_ticket: u64,
}

impl Host {
    pub(crate) const fn new() -> Self {
        Self {
            description: 1,
            effective: 0,
            is_large: false,
            capabilities: FULL,
            offer: None,
            version: 1,
            tickets: BTreeMap::new(),
            last_ticket: 0,
        }
    }

    /// All that is true, for an agent that starts.
    pub(crate) fn all(&self) -> Vec<Change> {
        let mut all = vec![Change::Capabilities(self.capabilities), self.described()];
        if self.effective != 0 {
            all.push(self.configured());
        }
        all
    }

    /// The change that an act makes; `None`: there is nothing to do for it, or the world does it.
    pub(crate) fn act(
        &mut self,
        act: Act,
        choices: &mut Choices<'_>,
        carry: impl FnOnce() -> Carry,
    ) -> Option<Change> {
        match act {
            Act::Describe => {
                self.description = self.next_version();
                Some(self.described())
            }
            Act::DescribeAgain => Some(self.described()),
            Act::Configure | Act::ConfigureLarge => {
                self.effective = self.next_version();
                self.is_large = act == Act::ConfigureLarge;
                Some(self.configured())
            }
            Act::Applying => self.verdict(ConfigState::Applying, carry),
            Act::Applied => self.verdict(ConfigState::Applied, carry),
            Act::Failed => self.verdict(ConfigState::Failed, carry),
            Act::Declare => {
                let bits = [
                    FULL,
                    FULL & !(Agent::ReportsEffectiveConfig as u64),
                    FULL & !(Agent::ReportsRemoteConfig as u64),
                    FULL & !(Agent::ReportsHeartbeat as u64),
                ];
                self.capabilities = bits[choices.below(4) as usize];
                Some(Change::Capabilities(self.capabilities))
            }
            Act::PollNow => Some(Change::PollNow),
            Act::ReportFull => Some(Change::ReportFullState),
            Act::Reconnect => Some(Change::Reconnect),
            Act::Headers => Some(Change::Headers),
            Act::Interval => {
                let seconds = [30, 1, 10, 300][choices.below(4) as usize];
                Some(Change::Interval(Duration::from_secs(seconds)))
            }
            Act::Flush => Some(self.report(None, false)),
            Act::Send => {
                let tries = [None, Some(1), Some(3)][choices.below(3) as usize];
                Some(self.report(tries, true))
            }
            Act::Uid => Some(Change::InstanceUid([251 + choices.below(4) as u8; 16])),
            Act::RequestUid => Some(Change::RequestInstanceUid),
            Act::Stop => None,
        }
    }

    pub(crate) fn verdict(
        &mut self,
        state: ConfigState,
        carry: impl FnOnce() -> Carry,
    ) -> Option<Change> {
        let (hash, is_done) = self.offer.as_mut()?;
        *is_done = state != ConfigState::Applying;
        let error = if state == ConfigState::Failed {
            "no"
        } else {
            ""
        };
        let hash = hash.to_le_bytes();
        // As the library's setter does.
        if !carry().is_verdict_for(&hash) {
            return None;
        }
        let status = RemoteConfigStatus::new(&hash, state, error.into()).expect("a legal one");
        Some(Change::RemoteConfigStatus(status))
    }

    fn report(&mut self, tries: Option<u32>, force_message: bool) -> Change {
        self.last_ticket += 1;
        self.tickets.insert(self.last_ticket, self.description);
        Change::Report {
            ticket: self.last_ticket,
            tries,
            force_message,
        }
    }

    const fn next_version(&mut self) -> Version {
        self.version += 1;
        self.version
    }

    fn described(&self) -> Change {
        let value = proto::any_value::Value::IntValue(self.description.into());
        let attribute = proto::KeyValue {
            key: "v".into(),
            value: Some(proto::AnyValue { value: Some(value) }),
        };
        Change::Description(Arc::new(proto::AgentDescription {
            identifying_attributes: vec![attribute],
            ..Default::default()
        }))
    }

    fn configured(&self) -> Change {
        let mut body = self.effective.to_le_bytes().to_vec();
        if self.is_large {
            body.resize(SEND_LIMIT, 0);
        }
        let file = proto::AgentConfigFile {
            body: body.into(),
            content_type: String::new(),
        };
        let config_map = [("main".into(), file)].into();
        Change::EffectiveConfig(Arc::new(proto::AgentConfigMap { config_map }))
    }
}
