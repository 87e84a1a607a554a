//! Messages as JSON and back, by their descriptors: every field of the schema, none by hand.
//!
//! Uids are UUID text, hashes are hexadecimal, other bytes are text where they are UTF-8 and
//! `NAME_base64` where not; enumerations and masks are names (numbers where they have none). On the
//! way in each bytes field takes `NAME_hex`, `NAME_base64` and `NAME_text` too.
use bytes::Bytes;
use prost::Message;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage, Value,
};
use serde_json::{Map, Number, Value as Json, json};
use uuid::Uuid;

use crate::vocabulary::text::{base64, from_base64, from_hex, hex};
use crate::vocabulary::wire::{bits, descriptor, short};

/// Decodes `bytes` as the message `name`. `detail` adds unknown fields.
pub(crate) fn show(name: &str, bytes: &[u8], detail: bool) -> Result<Json, String> {
    let message = DynamicMessage::decode(descriptor(name), bytes).map_err(|e| e.to_string())?;
    Ok(show_message(&message, detail))
}

/// Encodes JSON as the message `name`.
pub(crate) fn read(name: &str, json: &Json) -> Result<Vec<u8>, String> {
    read_message(descriptor(name), json, name).map(|message| message.encode_to_vec())
}

/// The names of a mask's bits; a bit without a name is its number.
pub(crate) fn mask(enumeration: &str, value: u64) -> Json {
    let named = bits(enumeration);
    let known = named.iter().fold(0, |all, (_, bit)| all | bit);
    let mut names: Vec<Json> = named
        .iter()
        .filter(|(_, bit)| value & bit != 0)
        .map(|(name, _)| json!(name))
        .collect();
    if value & !known != 0 {
        names.push(json!(value & !known));
    }
    Json::Array(names)
}

/// Reads a mask: a number, or a list of names and numbers.
pub(crate) fn read_mask(enumeration: &str, json: &Json) -> Result<u64, String> {
    let named = bits(enumeration);
    let one = |item: &Json| match item {
        Json::String(name) => named
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, bit)| *bit)
            .ok_or_else(|| format!("{enumeration} has no {name:?}")),
        item => item
            .as_u64()
            .ok_or_else(|| format!("{item} is no bit of {enumeration}")),
    };
    match json {
        Json::Array(items) => items.iter().try_fold(0, |all, item| Ok(all | one(item)?)),
        other => one(other),
    }
}

/// The enumeration whose bits a number field holds.
fn mask_of(field: &FieldDescriptor) -> Option<&'static str> {
    match field.full_name() {
        "opamp.proto.AgentToServer.capabilities" => Some("AgentCapabilities"),
        "opamp.proto.AgentToServer.flags" => Some("AgentToServerFlags"),
        "opamp.proto.ServerToAgent.capabilities" => Some("ServerCapabilities"),
        "opamp.proto.ServerToAgent.flags" => Some("ServerToAgentFlags"),
        _ => None,
    }
}

fn is_uid(name: &str) -> bool {
    name.ends_with("instance_uid")
}

fn is_hash(name: &str) -> bool {
    name.ends_with("hash")
}

fn show_message(message: &DynamicMessage, detail: bool) -> Json {
    let mut object = Map::new();
    for field in message.descriptor().fields() {
        if message.has_field(&field) || is_always_shown(&field) {
            show_field(&mut object, &field, &message.get_field(&field), detail);
        }
    }
    let unknown: Vec<Json> = message
        .unknown_fields()
        .filter(|_| detail)
        .map(|field| {
            let mut raw = Vec::new();
            field.encode(&mut raw);
            json!({"number": field.number(), "hex": hex(&raw)})
        })
        .collect();
    if !unknown.is_empty() {
        object.insert("unknown_fields".into(), Json::Array(unknown));
    }
    Json::Object(object)
}

/// Fields whose default says something: a state, a truth, the first number, an empty file.
fn is_always_shown(field: &FieldDescriptor) -> bool {
    let telling = matches!(field.kind(), Kind::Enum(_) | Kind::Bool)
        || matches!(field.name(), "sequence_num" | "body");
    telling && !field.supports_presence() && !field.is_list()
}

fn show_field(
    object: &mut Map<String, Json>,
    field: &FieldDescriptor,
    value: &Value,
    detail: bool,
) {
    let name = field.name();
    if let (Value::Bytes(bytes), false) = (value, field.is_list()) {
        let (suffix, text) = show_bytes(name, bytes);
        object.insert(format!("{name}{suffix}"), text);
        return;
    }
    let json = match value {
        Value::Map(map) => {
            let kind = field.kind();
            let entry = kind.as_message().expect("a map's kind is its entry");
            let inner = entry.map_entry_value_field();
            let pairs = map
                .iter()
                .map(|(key, value)| (key_text(key), one(&inner, value, detail)));
            Json::Object(pairs.collect())
        }
        Value::List(list) => list.iter().map(|value| one(field, value, detail)).collect(),
        value => one(field, value, detail),
    };
    object.insert(name.to_owned(), json);
}

fn show_bytes(name: &str, bytes: &Bytes) -> (&'static str, Json) {
    if is_uid(name) {
        return match Uuid::from_slice(bytes) {
            Ok(uid) => ("", json!(uid.to_string())),
            Err(_) => ("_hex", json!(hex(bytes))),
        };
    }
    if is_hash(name) {
        return ("", json!(hex(bytes)));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => ("", json!(text)),
        Err(_) => ("_base64", json!(base64(bytes))),
    }
}

fn key_text(key: &MapKey) -> String {
    key.as_str()
        .expect("all maps of the schema have text keys")
        .to_owned()
}

fn one(field: &FieldDescriptor, value: &Value, detail: bool) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::I32(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::U32(value) => json!(value),
        Value::U64(value) => match mask_of(field) {
            Some(enumeration) => mask(enumeration, *value),
            None => json!(value),
        },
        Value::F32(value) => json!(value),
        Value::F64(value) => {
            Number::from_f64(*value).map_or_else(|| Json::String(value.to_string()), Json::Number)
        }
        Value::String(value) => json!(value),
        Value::Bytes(value) => json!(base64(value)),
        Value::EnumNumber(number) => show_enum(field, *number),
        Value::Message(message) => show_message(message, detail),
        Value::List(_) | Value::Map(_) => unreachable!("no list of lists in protobuf"),
    }
}

fn show_enum(field: &FieldDescriptor, number: i32) -> Json {
    let kind = field.kind();
    let value = kind
        .as_enum()
        .and_then(|descriptor| descriptor.get_value(number));
    value.map_or(json!(number), |value| json!(short(value.name())))
}

fn read_message(
    descriptor: MessageDescriptor,
    json: &Json,
    at: &str,
) -> Result<DynamicMessage, String> {
    let object = json
        .as_object()
        .ok_or_else(|| format!("{at} is not an object: {json}"))?;
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, json) in object {
        let (field, form) =
            find_field(&descriptor, name).ok_or_else(|| format!("{at} has no field {name:?}"))?;
        let at = format!("{at}.{name}");
        let value = read_field(&field, form, json, &at)?;
        message
            .try_set_field(&field, value)
            .map_err(|error| format!("{at}: {error}"))?;
    }
    Ok(message)
}

/// The field of that name, or the bytes field with one of its suffixes.
fn find_field<'a>(
    descriptor: &MessageDescriptor,
    name: &'a str,
) -> Option<(FieldDescriptor, &'a str)> {
    if let Some(field) = descriptor.get_field_by_name(name) {
        return Some((field, ""));
    }
    let (stem, form) = name.rsplit_once('_')?;
    let field = descriptor.get_field_by_name(stem)?;
    let is_bytes = field.kind() == Kind::Bytes && matches!(form, "hex" | "base64" | "text");
    is_bytes.then_some((field, form))
}

fn read_field(field: &FieldDescriptor, form: &str, json: &Json, at: &str) -> Result<Value, String> {
    if field.is_map() {
        let kind = field.kind();
        let inner = kind
            .as_message()
            .expect("a map's kind is its entry")
            .map_entry_value_field();
        let object = json
            .as_object()
            .ok_or_else(|| format!("{at} is not an object: {json}"))?;
        let pairs = object.iter().map(|(key, json)| {
            let value = read_one(&inner, "", json, &format!("{at}.{key}"))?;
            Ok((MapKey::String(key.clone()), value))
        });
        return pairs.collect::<Result<_, String>>().map(Value::Map);
    }
    if field.is_list() {
        let list = json
            .as_array()
            .ok_or_else(|| format!("{at} is not a list: {json}"))?;
        let items = list.iter().map(|json| read_one(field, form, json, at));
        return items.collect::<Result<_, String>>().map(Value::List);
    }
    read_one(field, form, json, at)
}

fn read_one(field: &FieldDescriptor, form: &str, json: &Json, at: &str) -> Result<Value, String> {
    if let Some(enumeration) = mask_of(field) {
        return read_mask(enumeration, json).map(Value::U64);
    }
    let wrong = || format!("{at}: {json} does not fit");
    match field.kind() {
        Kind::Message(descriptor) => read_message(descriptor, json, at).map(Value::Message),
        Kind::Enum(descriptor) => read_enum(&descriptor, json).ok_or_else(wrong),
        Kind::Bytes => {
            let text = json.as_str().ok_or_else(wrong)?;
            let bytes = read_bytes(field.name(), form, text);
            bytes
                .map(|bytes| Value::Bytes(bytes.into()))
                .map_err(|error| format!("{at}: {error}"))
        }
        Kind::String => json
            .as_str()
            .map(|text| Value::String(text.into()))
            .ok_or_else(wrong),
        Kind::Bool => json.as_bool().map(Value::Bool).ok_or_else(wrong),
        Kind::Double => json.as_f64().map(Value::F64).ok_or_else(wrong),
        Kind::Int64 => json.as_i64().map(Value::I64).ok_or_else(wrong),
        Kind::Uint64 | Kind::Fixed64 => json.as_u64().map(Value::U64).ok_or_else(wrong),
        other => Err(format!("{at}: the schema has no {other:?}")),
    }
}

fn read_enum(descriptor: &EnumDescriptor, json: &Json) -> Option<Value> {
    let number = match json {
        Json::String(name) => descriptor
            .values()
            .find(|value| short(value.name()) == name)?
            .number(),
        other => i32::try_from(other.as_i64()?).ok()?,
    };
    Some(Value::EnumNumber(number))
}

fn read_bytes(name: &str, form: &str, text: &str) -> Result<Vec<u8>, String> {
    match form {
        "base64" => from_base64(text),
        "text" => Ok(text.into()),
        "" if is_uid(name) => Uuid::parse_str(text)
            .map(|uid| uid.into_bytes().into())
            .map_err(|error| format!("{error}; write {name}_hex for other bytes")),
        "" if !is_hash(name) => Ok(text.into()),
        _ => from_hex(text).map_err(|error| format!("{error}; write {name}_text for text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_comes_back_unchanged() {
        let json = json!({
            "instance_uid": "018f3c6e-7c00-7000-8000-000000000001",
            "flags": ["ReportFullState", 64],
            "remote_config": {
                "config": {"config_map": {"": {"body": "a: 1"}, "b": {"body_base64": "/w=="}}},
                "config_hash": "00ff",
            },
            "error_response": {
                "type": "Unavailable",
                "retry_info": {"retry_after_nanoseconds": 18_446_744_073_709_551_615_u64},
            },
            "agent_identification": {"new_instance_uid_hex": "0102"},
        });
        let bytes = read("ServerToAgent", &json).unwrap();
        assert_eq!(show("ServerToAgent", &bytes, true).unwrap(), json);
    }

    #[test]
    fn what_the_schema_lacks_is_refused_with_its_path() {
        for (json, text) in [
            (json!({"flag": 1}), "no field \"flag\""),
            (json!({"flags": ["Nonsense"]}), "Nonsense"),
            (json!({"instance_uid": "01"}), "instance_uid_hex"),
            (
                json!({"remote_config": {"config_hash": "v1"}}),
                "config_hash_text",
            ),
            (
                json!({"remote_config": 5}),
                "ServerToAgent.remote_config is not an object",
            ),
        ] {
            let error = read("ServerToAgent", &json).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn unknown_fields_show_on_demand() {
        // Field 99, varint 5, in an otherwise empty message.
        let bytes = [0x98, 0x06, 0x05];
        assert_eq!(show("ServerToAgent", &bytes, false).unwrap(), json!({}));
        let all = show("ServerToAgent", &bytes, true).unwrap();
        assert_eq!(
            all,
            json!({"unknown_fields": [{"number": 99, "hex": "980605"}]})
        );
    }
}
