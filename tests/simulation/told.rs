//! What a message says about the parts of an agent, in numbers.
use opamp::proto::AgentToServer;

/// A part's version, as carried inside its value; 0: not a word. A status counts as hash and state
/// in one.
pub(crate) type Version = u32;

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Told {
    pub(crate) description: Version,
    pub(crate) effective: Version,
    pub(crate) status: Version,
}

impl Told {
    pub(crate) fn by(message: &AgentToServer) -> Self {
        let description = message.agent_description.as_ref();
        let key = description.map(|it| &it.identifying_attributes[0].key);
        let effective = message.effective_config.as_ref();
        let files = effective.and_then(|it| it.config_map.as_ref());
        let status = message.remote_config_status.as_ref();
        Self {
            description: key.map_or(0, |key| key.parse().expect("a version")),
            effective: files.map_or(0, |it| version_in(&it.config_map["main"].body)),
            status: status.map_or(0, |it| status_of(&it.last_remote_config_hash, it.status)),
        }
    }

    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Parts with a word on them.
    pub(crate) fn count(self) -> usize {
        let versions = [self.description, self.effective, self.status];
        versions.iter().filter(|version| **version != 0).count()
    }

    /// The configuration that the status speaks of.
    pub(crate) const fn offer(self) -> Version {
        self.status / 4
    }

    /// What this says, and the other where it says nothing.
    pub(crate) fn or(self, other: Self) -> Self {
        self.both(other, |one, other| if one == 0 { other } else { one })
    }

    /// What both say.
    pub(crate) fn and(self, other: Self) -> Self {
        self.both(other, |one, other| if one == other { one } else { 0 })
    }

    /// What the other does not say, too.
    pub(crate) fn unlike(self, other: Self) -> Self {
        self.both(other, |one, other| if one == other { 0 } else { one })
    }

    /// Whether there is a word on every part on which the other has one.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.both(other, |one, other| u32::from(one == 0 && other != 0))
            .is_nothing()
    }

    fn both(self, other: Self, join: impl Fn(Version, Version) -> Version) -> Self {
        Self {
            description: join(self.description, other.description),
            effective: join(self.effective, other.effective),
            status: join(self.status, other.status),
        }
    }
}

pub(crate) fn version_in(bytes: &[u8]) -> Version {
    let chunk = bytes.first_chunk();
    chunk.map_or(0, |bytes| Version::from_le_bytes(*bytes))
}

pub(crate) fn status_of(hash: &[u8], state: i32) -> Version {
    version_in(hash) * 4 + state as Version
}
