//! Counts the fields of a ServerToAgent before it is decoded, without allocating (RCV-10).
//!
//! Two bytes on the wire can become a struct of hundreds in memory, so it is their number that must
//! be bounded, not only their length. What is malformed is left to the decoder, which says where.

/// The fields of a message type that hold messages themselves, and for how many fields such a one
/// counts: a map entry with a large value costs more memory than its two bytes let fear.
struct Type(&'static [(u64, &'static Self, u32)]);

static SERVER_TO_AGENT: Type = Type(&[
    (2, &ERROR, 1),
    (3, &REMOTE_CONFIG, 1),
    (4, &OFFERS, 1),
    (5, &PACKAGES, 1),
    (8, &LEAF, 1),
    (9, &LEAF, 1),
    (10, &LEAF, 1),
    (11, &LEAF, 1),
]);
static LEAF: Type = Type(&[]);
static ERROR: Type = Type(&[(3, &LEAF, 1)]);
static REMOTE_CONFIG: Type = Type(&[(1, &CONFIG_MAP, 1)]);
static CONFIG_MAP: Type = Type(&[(1, &CONFIG_ENTRY, 1)]);
static CONFIG_ENTRY: Type = Type(&[(2, &LEAF, 1)]);
static OFFERS: Type = Type(&[
    (2, &OPAMP, 1),
    (3, &TELEMETRY, 1),
    (4, &TELEMETRY, 1),
    (5, &TELEMETRY, 1),
    (6, &OTHER_ENTRY, 4),
]);
static OPAMP: Type = Type(&[
    (2, &HEADERS, 1),
    (3, &LEAF, 1),
    (5, &LEAF, 1),
    (6, &PROXY, 1),
]);
static TELEMETRY: Type = Type(&[
    (2, &HEADERS, 1),
    (3, &LEAF, 1),
    (4, &LEAF, 1),
    (5, &PROXY, 1),
]);
static OTHER_ENTRY: Type = Type(&[(2, &OTHER, 1)]);
static OTHER: Type = Type(&[
    (2, &HEADERS, 1),
    (3, &LEAF, 1),
    (4, &LEAF, 1),
    (5, &LEAF, 1),
    (6, &PROXY, 1),
]);
static PROXY: Type = Type(&[(2, &HEADERS, 1)]);
static HEADERS: Type = Type(&[(1, &LEAF, 1)]);
static PACKAGES: Type = Type(&[(1, &PACKAGE_ENTRY, 4)]);
static PACKAGE_ENTRY: Type = Type(&[(2, &PACKAGE, 1)]);
static PACKAGE: Type = Type(&[(3, &FILE, 1)]);
static FILE: Type = Type(&[(4, &HEADERS, 1)]);

/// Whether the message has at most `limit` fields, at any depth. Stops where the bytes make no
/// sense.
pub fn has_field_count_at_most(limit: u32, message: &[u8]) -> bool {
    // The dearest field counts for four and has two bytes: most messages are too short for too
    // many.
    if message.len() <= limit as usize / 2 {
        return true;
    }
    let mut left = limit;
    fields(&SERVER_TO_AGENT, message, &mut left).is_some()
}

/// `None`: more than were left.
fn fields(of: &Type, mut bytes: &[u8], left: &mut u32) -> Option<()> {
    while let Some(key) = varint(&mut bytes) {
        let child = of.0.iter().find(|(field, ..)| *field == key >> 3);
        *left = left.checked_sub(child.map_or(1, |(_, _, weight)| *weight))?;
        let length = match key & 7 {
            0 => {
                varint(&mut bytes);
                0
            }
            1 => 8,
            2 => varint(&mut bytes).map_or(usize::MAX, |length| length as usize),
            5 => 4,
            // Groups count by their two ends; 6 and 7 are none of protobuf's.
            _ => 0,
        };
        let Some((value, rest)) = bytes.split_at_checked(length) else {
            break;
        };
        if let (2, Some((_, child, _))) = (key & 7, child) {
            fields(child, value, left)?;
        }
        bytes = rest;
    }
    Some(())
}

/// `None` at the end of the bytes, and for more than ten of them.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto;

    #[test]
    fn fields_count_at_every_depth() {
        // uid, error (type, text, retry_info (nanoseconds)): 6 fields
        let details = proto::server_error_response::Details::RetryInfo(proto::RetryInfo {
            retry_after_nanoseconds: 5,
        });
        let message = proto::ServerToAgent {
            instance_uid: vec![1; 16].into(),
            error_response: Some(proto::ServerErrorResponse {
                r#type: 2,
                error_message: "no".into(),
                details: Some(details),
            }),
            ..Default::default()
        };
        let bytes = message.encode_to_vec();
        assert!(has_field_count_at_most(6, &bytes));
        assert!(!has_field_count_at_most(5, &bytes));
    }

    #[test]
    fn two_byte_strings_are_counted_one_by_one() {
        // given custom_capabilities with 1,000 empty strings
        let capabilities = vec![String::new(); 1000];
        let message = proto::ServerToAgent {
            custom_capabilities: Some(proto::CustomCapabilities { capabilities }),
            ..Default::default()
        };
        let bytes = message.encode_to_vec();
        assert!(has_field_count_at_most(1001, &bytes));
        assert!(!has_field_count_at_most(1000, &bytes));
    }

    #[test]
    fn a_config_file_counts_its_entry_name_and_contents() {
        let file = proto::AgentConfigFile {
            body: vec![1].into(),
            content_type: "text/yaml".into(),
        };
        let map = proto::AgentConfigMap {
            config_map: [("a".into(), file)].into(),
        };
        let config = proto::AgentRemoteConfig {
            config: Some(map),
            config_hash: vec![1].into(),
        };
        let message = proto::ServerToAgent {
            remote_config: Some(config),
            ..Default::default()
        };
        // remote_config, config, entry, key, value, body, content_type, hash
        assert!(has_field_count_at_most(8, &message.encode_to_vec()));
        assert!(!has_field_count_at_most(7, &message.encode_to_vec()));
    }

    #[test]
    fn nonsense_ends_the_walk() {
        for bytes in [
            &[0xFF; 40][..],
            &[0x0A, 0xFF],
            &[0x0B],
            &[0x08],
            &[0x0A, 5, 1],
            &[7, 7],
        ] {
            assert!(has_field_count_at_most(50, bytes));
        }
    }
}
