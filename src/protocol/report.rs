//! Composes an AgentToServer. Bytes are built at the moment they leave, from what is true then.
//!
//! The message is written field by field from shared parts: a prost struct would want a copy of every map.
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint},
};

use super::{
    change::{ConfigState, RemoteConfigStatus},
    config::Uid,
    offers::digest,
    parts::{Part, Parts, Reported},
};
use crate::proto::{self, RemoteConfigStatuses};

/// The head and the parts of one message.
pub(super) struct Draft<'a> {
    pub(super) uid: &'a Uid,
    pub(super) sequence_num: u64,
    pub(super) parts: Parts,
    pub(super) goodbye: bool,
    pub(super) request_uid: bool,
    pub(super) reported: &'a Reported,
}

/// Field numbers of AgentToServer.
mod field {
    pub(super) const INSTANCE_UID: u32 = 1;
    pub(super) const SEQUENCE_NUM: u32 = 2;
    pub(super) const DESCRIPTION: u32 = 3;
    pub(super) const CAPABILITIES: u32 = 4;
    pub(super) const EFFECTIVE_CONFIG: u32 = 6;
    pub(super) const CONFIG_MAP_IN_EFFECTIVE_CONFIG: u32 = 1;
    pub(super) const REMOTE_CONFIG_STATUS: u32 = 7;
    pub(super) const DISCONNECT: u32 = 9;
    pub(super) const FLAGS: u32 = 10;
}

impl Draft<'_> {
    /// The length of the message, and of each part in it.
    pub(super) fn encoded_len(&self) -> usize {
        let parts: usize = self.parts.iter().map(|part| self.part_len(part)).sum();
        // The head is at most 18 bytes of uid, three varints, two flags.
        parts + self.head_len()
    }

    /// The length of the message with this part alone.
    pub(super) fn alone_len(&self, part: Part) -> usize {
        self.head_len() + self.part_len(part)
    }

    /// The part that takes the most room, to be left out when the whole is too large.
    pub(super) fn largest(&self) -> Option<Part> {
        let real = self.parts.iter().filter(|part| self.part_len(*part) > 0);
        real.max_by_key(|part| self.part_len(*part))
    }

    /// In the order of the field numbers.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(field::INSTANCE_UID, self.uid, out);
        put_number(field::SEQUENCE_NUM, self.sequence_num, out);
        self.put(Part::Description, out);
        put_number(field::CAPABILITIES, self.reported.capabilities, out);
        self.put(Part::EffectiveConfig, out);
        self.put(Part::RemoteConfigStatus, out);
        if self.goodbye {
            put_message(field::DISCONNECT, &proto::AgentDisconnect {}, out);
        }
        put_number(field::FLAGS, self.flags(), out);
    }

    fn part_len(&self, part: Part) -> usize {
        if self.parts.has(part) {
            len_of(self.reported, part)
        } else {
            0
        }
    }

    fn head_len(&self) -> usize {
        let number = |value: u64| {
            if value == 0 {
                0
            } else {
                1 + encoded_len_varint(value)
            }
        };
        let goodbye = if self.goodbye { 2 } else { 0 };
        delimited_len(self.uid.len())
            + number(self.sequence_num)
            + number(self.reported.capabilities)
            + number(self.flags())
            + goodbye
    }

    fn put(&self, part: Part, out: &mut Vec<u8>) {
        if self.parts.has(part) {
            put_part(self.reported, part, out);
        }
    }

    fn flags(&self) -> u64 {
        let flag = proto::AgentToServerFlags::RequestInstanceUid as u64;
        if self.request_uid { flag } else { 0 }
    }
}

/// How much room a part takes in a message.
pub(super) fn len_of(reported: &Reported, part: Part) -> usize {
    let length = match part {
        Part::Description => reported.description.as_ref().map(|it| it.encoded_len()),
        Part::EffectiveConfig => {
            let map = reported.effective_config.as_ref();
            map.map(|it| delimited_len(it.encoded_len()))
        }
        Part::RemoteConfigStatus => reported
            .status
            .as_ref()
            .map(RemoteConfigStatus::encoded_len),
        Part::Capabilities => None,
    };
    length.map_or(0, delimited_len)
}

/// Tells one value of a part from another.
pub(super) fn digest_of(reported: &Reported, part: Part) -> u64 {
    let mut bytes = Vec::with_capacity(len_of(reported, part));
    put_part(reported, part, &mut bytes);
    digest([&bytes[..]])
}

/// Nothing if it has no value.
fn put_part(reported: &Reported, part: Part, out: &mut Vec<u8>) {
    match part {
        Part::Description => {
            if let Some(description) = &reported.description {
                put_message(field::DESCRIPTION, &**description, out);
            }
        }
        Part::EffectiveConfig => {
            if let Some(map) = &reported.effective_config {
                encode_key(field::EFFECTIVE_CONFIG, WireType::LengthDelimited, out);
                encode_varint(delimited_len(map.encoded_len()) as u64, out);
                put_message(field::CONFIG_MAP_IN_EFFECTIVE_CONFIG, &**map, out);
            }
        }
        Part::RemoteConfigStatus => {
            if let Some(status) = &reported.status {
                encode_key(field::REMOTE_CONFIG_STATUS, WireType::LengthDelimited, out);
                encode_varint(status.encoded_len() as u64, out);
                status.encode(out);
            }
        }
        Part::Capabilities => {}
    }
}

fn put_message(field: u32, message: &impl Message, out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(message.encoded_len() as u64, out);
    message.encode_raw(out);
}

impl RemoteConfigStatus {
    fn encoded_len(&self) -> usize {
        let state = if self.wire_state() == 0 { 0 } else { 2 };
        let text = |text: &[u8]| {
            if text.is_empty() {
                0
            } else {
                delimited_len(text.len())
            }
        };
        text(self.hash()) + state + text(self.error().as_bytes())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(1, self.hash(), out);
        put_number(2, self.wire_state(), out);
        put_bytes(3, self.error().as_bytes(), out);
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

/// As zero below, the empty string is the default.
fn put_bytes(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        encode_key(field, WireType::LengthDelimited, out);
        encode_varint(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }
}

/// Zero is the default and not written.
fn put_number(field: u32, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        encode_key(field, WireType::Varint, out);
        encode_varint(value, out);
    }
}

/// With the one byte of the key: all our fields have numbers below 16.
fn delimited_len(content: usize) -> usize {
    1 + encoded_len_varint(content as u64) + content
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    #[test]
    fn a_draft_decodes_to_its_parts_and_has_the_length_it_says() {
        // given an agent with all parts
        let mut reported = Reported::new(Default::default());
        let word = proto::any_value::Value::StringValue("gateway".into());
        let attribute = proto::KeyValue {
            key: "service.name".into(),
            value: Some(proto::AnyValue { value: Some(word) }),
        };
        let description = proto::AgentDescription {
            identifying_attributes: vec![attribute],
            ..Default::default()
        };
        let file = proto::AgentConfigFile {
            body: Bytes::from(vec![7; 300]),
            ..Default::default()
        };
        let map = proto::AgentConfigMap {
            config_map: [(String::new(), file)].into(),
        };
        let text = "no such file".to_owned();
        let status = RemoteConfigStatus::new(b"hash", ConfigState::Failed, text).unwrap();
        reported.set_description(Arc::new(description.clone()));
        reported.set_effective_config(Arc::new(map.clone()));
        reported.set_status(&status);
        reported.set_capabilities(0x3007);
        // when a message with all of them is built
        let mut draft = Draft {
            uid: &[9; 16],
            sequence_num: 300,
            parts: Part::ALL.into_iter().collect(),
            goodbye: true,
            request_uid: true,
            reported: &reported,
        };
        let mut out = Vec::new();
        draft.encode(&mut out);
        // then it says what the generated type would say
        let message = proto::AgentToServer {
            instance_uid: vec![9; 16].into(),
            sequence_num: 300,
            agent_description: Some(description),
            capabilities: 0x3007,
            effective_config: Some(proto::EffectiveConfig {
                config_map: Some(map),
            }),
            remote_config_status: Some(proto::RemoteConfigStatus {
                last_remote_config_hash: Bytes::from_static(b"hash"),
                status: RemoteConfigStatuses::Failed.into(),
                error_message: "no such file".into(),
            }),
            agent_disconnect: Some(proto::AgentDisconnect {}),
            flags: 1,
            ..Default::default()
        };
        assert_eq!(out, message.encode_to_vec());
        assert_eq!(draft.encoded_len(), out.len());
        assert_eq!(draft.largest(), Some(Part::EffectiveConfig));
        // and a bare one has the head only [SYNC-15 is proven over a socket]
        (
            draft.parts,
            draft.goodbye,
            draft.request_uid,
            draft.sequence_num,
        ) = (Parts::NONE, false, false, 0);
        out.clear();
        draft.encode(&mut out);
        assert_eq!(
            (out.len(), draft.encoded_len(), draft.largest()),
            (21, 21, None)
        );
    }
}
