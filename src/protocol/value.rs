//! The values of the reported parts: how they compare, and how they are encoded. They are shared,
//! never copied.
use std::sync::Arc;

use prost::Message;

use super::{
    change::{ConfigState, RemoteConfigStatus},
    parts::Part,
    sameness::is_same,
    wire,
};
use crate::proto::{self, RemoteConfigStatuses};

pub(super) enum Value {
    Description(Arc<proto::AgentDescription>),
    EffectiveConfig(Arc<proto::AgentConfigMap>),
    RemoteConfigStatus(RemoteConfigStatus),
}

impl Value {
    pub(super) const fn part(&self) -> Part {
        match self {
            Self::Description(_) => Part::Description,
            Self::EffectiveConfig(_) => Part::EffectiveConfig,
            Self::RemoteConfigStatus(_) => Part::RemoteConfigStatus,
        }
    }

    /// Whether the server would learn nothing from the other one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Description(old), Self::Description(new)) => {
                Arc::ptr_eq(old, new) || is_same(old, new)
            }
            (Self::EffectiveConfig(old), Self::EffectiveConfig(new)) => {
                Arc::ptr_eq(old, new) || old == new
            }
            (Self::RemoteConfigStatus(old), Self::RemoteConfigStatus(new)) => old == new,
            _ => false,
        }
    }

    /// With its key and its length.
    pub(super) fn encoded_len(&self) -> usize {
        wire::delimited_len(self.content_len())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        wire::put_head(self.part().field(), self.content_len(), out);
        match self {
            Self::Description(description) => description.encode_raw(out),
            Self::EffectiveConfig(map) => {
                wire::put_head(CONFIG_MAP_IN_EFFECTIVE_CONFIG, map.encoded_len(), out);
                map.encode_raw(out);
            }
            Self::RemoteConfigStatus(status) => status.encode_content(out),
        }
    }

    fn content_len(&self) -> usize {
        match self {
            Self::Description(description) => description.encoded_len(),
            Self::EffectiveConfig(map) => wire::delimited_len(map.encoded_len()),
            Self::RemoteConfigStatus(status) => status.content_len(),
        }
    }
}

const CONFIG_MAP_IN_EFFECTIVE_CONFIG: u32 = 1;

impl RemoteConfigStatus {
    fn content_len(&self) -> usize {
        let state = if self.wire_state() == 0 { 0 } else { 2 };
        let text = |text: &[u8]| {
            if text.is_empty() {
                0
            } else {
                wire::delimited_len(text.len())
            }
        };
        text(self.hash()) + state + text(self.error().as_bytes())
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        wire::put_bytes(1, self.hash(), out);
        wire::put_number(2, self.wire_state(), out);
        wire::put_bytes(3, self.error().as_bytes(), out);
    }

    const fn wire_state(&self) -> u64 {
        let state = match self.state() {
            ConfigState::Unset => RemoteConfigStatuses::Unset,
            ConfigState::Applied => RemoteConfigStatuses::Applied,
            ConfigState::Applying => RemoteConfigStatuses::Applying,
            ConfigState::Failed => RemoteConfigStatuses::Failed,
        };
        state as u64
    }
}
