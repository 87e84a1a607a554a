//! Composes an AgentToServer. Bytes are built at the moment they leave, from what is true then.
//!
//! The message is written field by field from shared parts: a prost struct would want a copy of
//! every map.
use std::ops::Range;

use super::{
    config::Uid,
    parts::{Part, Parts},
    reported::ReportedState,
    wire,
};
use crate::proto;

/// The head and the parts of one message.
pub(super) struct Draft<'a> {
    pub(super) uid: &'a Uid,
    pub(super) sequence_num: u64,
    pub(super) parts: Parts,
    pub(super) goodbye: bool,
    pub(super) request_uid: bool,
    pub(super) reported: &'a ReportedState,
}

/// Field numbers of AgentToServer, beside those of the parts.
mod field {
    pub(super) const INSTANCE_UID: u32 = 1;
    pub(super) const SEQUENCE_NUM: u32 = 2;
    pub(super) const CAPABILITIES: u32 = 4;
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
        wire::put_bytes(field::INSTANCE_UID, self.uid, out);
        wire::put_number(field::SEQUENCE_NUM, self.sequence_num, out);
        self.put_parts(field::SEQUENCE_NUM..field::CAPABILITIES, out);
        wire::put_number(field::CAPABILITIES, self.reported.capabilities, out);
        self.put_parts(field::CAPABILITIES..field::DISCONNECT, out);
        if self.goodbye {
            wire::put_head(field::DISCONNECT, 0, out);
        }
        wire::put_number(field::FLAGS, self.flags(), out);
        self.put_parts(field::FLAGS..u32::MAX, out);
    }

    fn put_parts(&self, fields: Range<u32>, out: &mut Vec<u8>) {
        for part in self
            .parts
            .iter()
            .filter(|part| fields.contains(&part.field()))
        {
            if let Some(value) = self.reported.value(part) {
                value.encode(out);
            }
        }
    }

    fn part_len(&self, part: Part) -> usize {
        if self.parts.has(part) {
            self.reported.len_of(part)
        } else {
            0
        }
    }

    fn head_len(&self) -> usize {
        let goodbye = if self.goodbye { 2 } else { 0 };
        wire::delimited_len(self.uid.len())
            + wire::number_len(self.sequence_num)
            + wire::number_len(self.reported.capabilities)
            + wire::number_len(self.flags())
            + goodbye
    }

    fn flags(&self) -> u64 {
        let flag = proto::AgentToServerFlags::RequestInstanceUid as u64;
        if self.request_uid { flag } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use prost::Message;

    use super::*;
    use crate::{
        proto::RemoteConfigStatuses,
        protocol::{
            change::{ConfigState, RemoteConfigStatus},
            value::Value,
        },
    };

    #[test]
    fn a_draft_decodes_to_its_parts_and_has_the_length_it_says() {
        // given an agent with all parts
        let mut reported = ReportedState::new(Default::default());
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
        reported.set(Value::Description(Arc::new(description.clone())));
        reported.set(Value::EffectiveConfig(Arc::new(map.clone())));
        reported.set(Value::RemoteConfigStatus(status));
        reported.set_capabilities(0x3007);
        // when a message with all of them is built
        let mut draft = Draft {
            uid: &[9; 16],
            sequence_num: 300,
            parts: Part::all().collect(),
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
