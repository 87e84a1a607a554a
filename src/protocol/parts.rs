//! The reportable parts: one row each, and sets of them.
use std::{
    fmt,
    ops::{BitOr, BitOrAssign},
};

use crate::proto::{AgentCapabilities as Agent, ServerCapabilities as Server};

/// One part that an agent reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Description,
    EffectiveConfig,
    RemoteConfigStatus,
    /// In every message anyway; pending means that a change of it wants a message.
    Capabilities,
}

/// What there is to know of a part beside its value ([`super::value::Value`] says how that is
/// compared and encoded).
struct Row {
    part: Part,
    /// In the words of the documentation.
    name: &'static str,
    /// Its number in AgentToServer.
    field: u32,
    /// What the agent must have declared, and what a server that told its capabilities must accept.
    agent: Agent,
    server: Server,
}

/// In the order of [`Part`].
static TABLE: [Row; Part::COUNT] = [
    Row {
        part: Part::Description,
        name: "agent description",
        field: 3,
        agent: Agent::ReportsStatus,
        server: Server::Unspecified,
    },
    Row {
        part: Part::EffectiveConfig,
        name: "effective configuration",
        field: 6,
        agent: Agent::ReportsEffectiveConfig,
        server: Server::AcceptsEffectiveConfig,
    },
    Row {
        part: Part::RemoteConfigStatus,
        name: "remote configuration status",
        field: 7,
        agent: Agent::ReportsRemoteConfig,
        server: Server::Unspecified,
    },
    Row {
        part: Part::Capabilities,
        name: "capabilities",
        field: 4,
        agent: Agent::ReportsStatus,
        server: Server::Unspecified,
    },
];

impl Part {
    pub(super) const COUNT: usize = 4;

    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        TABLE.iter().map(|row| row.part)
    }

    pub(super) fn name(self) -> &'static str {
        TABLE[self as usize].name
    }

    pub(super) fn field(self) -> u32 {
        TABLE[self as usize].field
    }

    /// Whether it may be sent with these capabilities (SYNC-13, SYNC-14); a server's of 0 are not
    /// told yet.
    pub(super) fn is_allowed(self, agent: u64, server: u64) -> bool {
        let row = &TABLE[self as usize];
        let (needed, accepted) = (row.agent as u64, row.server as u64);
        agent & needed == needed && (server == 0 || server & accepted == accepted)
    }
}

/// Digests of the values that were too large for the way when the last run ended.
pub type TooLarge = [Option<u64>; Part::COUNT];

/// A set of parts, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts(u32);

impl Parts {
    pub const NONE: Self = Self(0);

    #[must_use]
    pub const fn of(part: Part) -> Self {
        Self(1 << part as u32)
    }

    #[must_use]
    pub const fn has(self, part: Part) -> bool {
        self.0 & (1 << part as u32) != 0
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn without(self, part: Part) -> Self {
        Self(self.0 & !(1 << part as u32))
    }

    pub(super) const fn without_all(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Those that take room: the capabilities are in every message.
    pub(super) const fn with_values(self) -> Self {
        self.without(Part::Capabilities)
    }

    pub fn iter(self) -> impl Iterator<Item = Part> {
        Part::all().filter(move |part| self.has(*part))
    }
}

impl BitOr for Parts {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Parts {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl FromIterator<Part> for Parts {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        parts
            .into_iter()
            .fold(Self::NONE, |set, part| set | Self::of(part))
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
