//! The host: what is true of the agent, and what it does at any moment.
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use opamp::{
    proto::{AgentCapabilities as Agent, *},
    protocol::{Change, ConfigState, Core, RemoteConfigStatus},
};

use crate::{
    faults::{Choices, kinds},
    told::{Told, Version},
};

kinds! {
    /// One thing that a host does.
    Act {
        Describe, DescribeAgain, Configure, ConfigureLarge, Applying, Applied, Failed, Declare,
        PollNow, ReportFull, Reconnect, Headers, Interval, Flush, Send, Withdraw, Uid,
        RequestUid, Stop,
    }
}

const FULL: u64 = Agent::ReportsStatus as u64
    | Agent::ReportsHeartbeat as u64
    | Agent::AcceptsRemoteConfig as u64
    | Agent::ReportsRemoteConfig as u64
    | Agent::ReportsEffectiveConfig as u64;

/// Bytes of a message that the agent may send.
pub(crate) const SEND_LIMIT: usize = 2000;

#[derive(Default)]
pub(crate) struct Host {
    pub(crate) description: Version,
    /// 0: none yet.
    effective: Version,
    /// Bytes of the effective configuration, and of padding in the description.
    size: usize,
    padding: usize,
    pub(crate) capabilities: u64,
    /// The last offer delivered, and whether the host has said its last word on it.
    pub(crate) offer: Option<(Version, bool)>,
    version: Version,
    /// Reports that wait, with the description that they wait for.
    pub(crate) tickets: BTreeMap<u64, Version>,
    last_ticket: u64,
}

impl Host {
    pub(crate) fn new() -> Self {
        let (description, version, capabilities) = (1, 1, FULL);
        Self {
            description,
            version,
            capabilities,
            ..Self::default()
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

    pub(crate) const fn declares(&self, bit: Agent) -> bool {
        self.capabilities & bit as u64 != 0
    }

    /// What the agent may report, as far as the host goes.
    pub(crate) fn told(&self, way_limit: Option<usize>) -> Told {
        // 100 bytes are enough for the head and all that is beside the body.
        let fits = self.size + 100 < way_limit.unwrap_or(SEND_LIMIT);
        let may_configure = self.declares(Agent::ReportsEffectiveConfig) && fits;
        Told {
            description: self.description,
            effective: self.effective * u32::from(may_configure),
            status: 0,
        }
    }

    /// A description that the agent has not given before.
    pub(crate) fn describe(&mut self) -> Change {
        self.description = self.next_version();
        self.described()
    }

    /// The change that an act makes; `None`: there is nothing to do for it, or the world does it.
    pub(crate) fn act(
        &mut self,
        act: Act,
        choices: &mut Choices<'_>,
        core: &Core,
    ) -> Option<Change> {
        Some(match act {
            Act::Describe => {
                self.padding = choices.of([0, 0, 0, 500]);
                self.describe()
            }
            Act::DescribeAgain => self.described(),
            Act::Configure | Act::ConfigureLarge => {
                self.effective = self.next_version();
                self.size = match act {
                    Act::ConfigureLarge => SEND_LIMIT,
                    _ => choices.of([4, 4, 4, 500, 1000]),
                };
                self.configured()
            }
            Act::Applying => return self.verdict(ConfigState::Applying, core),
            Act::Applied => return self.verdict(ConfigState::Applied, core),
            Act::Failed => return self.verdict(ConfigState::Failed, core),
            Act::Declare => {
                let without = |bit| FULL & !(bit as u64);
                self.capabilities = choices.of([
                    FULL,
                    without(Agent::ReportsEffectiveConfig),
                    without(Agent::ReportsRemoteConfig),
                    without(Agent::ReportsHeartbeat),
                ]);
                Change::Capabilities(self.capabilities)
            }
            Act::PollNow => Change::PollNow,
            Act::ReportFull => Change::ReportFullState,
            Act::Reconnect => Change::Reconnect,
            Act::Headers => Change::Headers,
            Act::Interval => Change::Interval(Duration::from_secs(choices.of([30, 1, 10, 300]))),
            Act::Flush => self.report(None, false),
            Act::Send => self.report(choices.of([None, Some(1), Some(3)]), true),
            Act::Withdraw => Change::WithdrawReport(self.tickets.pop_first()?.0),
            Act::Uid => Change::InstanceUid([251 + choices.below(4) as u8; 16]),
            Act::RequestUid => Change::RequestInstanceUid,
            Act::Stop => return None,
        })
    }

    /// The host's word on the last offer, checked as the library's setter does.
    pub(crate) fn verdict(&mut self, state: ConfigState, core: &Core) -> Option<Change> {
        let (hash, is_done) = self.offer.as_mut()?;
        *is_done = state != ConfigState::Applying;
        let hash = hash.to_le_bytes();
        let error = ["", "no"][usize::from(state == ConfigState::Failed)];
        let status = RemoteConfigStatus::new(&hash, state, error.into()).expect("a legal one");
        let is_due = core.carry().is_verdict_for(&hash);
        is_due.then_some(Change::RemoteConfigStatus(status))
    }

    fn report(&mut self, tries: Option<u32>, force_message: bool) -> Change {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.tickets.insert(ticket, self.description);
        Change::Report {
            ticket,
            tries,
            force_message,
        }
    }

    const fn next_version(&mut self) -> Version {
        self.version += 1;
        self.version
    }

    fn described(&self) -> Change {
        let mut description = AgentDescription::default();
        let attribute = KeyValue {
            key: self.description.to_string(),
            value: None,
        };
        description.identifying_attributes.push(attribute);
        if self.padding > 0 {
            let key = "x".repeat(self.padding);
            let attribute = KeyValue { key, value: None };
            description.identifying_attributes.push(attribute);
        }
        Change::Description(Arc::new(description))
    }

    fn configured(&self) -> Change {
        let mut body = self.effective.to_le_bytes().to_vec();
        body.resize(self.size.max(body.len()), 0);
        let mut map = AgentConfigMap::default();
        let file = map.config_map.entry("main".into()).or_default();
        file.body = body.into();
        Change::EffectiveConfig(Arc::new(map))
    }
}
