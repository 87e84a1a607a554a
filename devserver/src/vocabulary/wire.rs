//! The schema: typed messages for the rules, descriptors for what is shown and written as JSON.
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MessageDescriptor};

/// The typed messages.
#[allow(unreachable_pub, clippy::all)]
pub(crate) mod proto {
    include!(concat!(env!("OUT_DIR"), "/opamp.proto.rs"));
}

pub(crate) use proto::{AgentToServer, ServerToAgent};

static SCHEMA: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let bytes: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/schema.bin"));
    DescriptorPool::decode(bytes).expect("build.rs wrote a schema")
});

/// The descriptor of a message by its short name, e.g. `AgentToServer`.
pub(crate) fn descriptor(name: &str) -> MessageDescriptor {
    SCHEMA
        .get_message_by_name(&format!("opamp.proto.{name}"))
        .expect("a message of the schema")
}

/// The bits of an enumeration used as a mask, as (short name, bit).
pub(crate) fn bits(enumeration: &str) -> Vec<(String, u64)> {
    let descriptor = SCHEMA
        .get_enum_by_name(&format!("opamp.proto.{enumeration}"))
        .expect("an enumeration of the schema");
    let values = descriptor.values().filter(|value| value.number() != 0);
    values
        .map(|v| (short(v.name()).to_owned(), v.number() as u64))
        .collect()
}

/// Every capability bit of an agent that the schema defines.
pub(crate) fn agent_capabilities() -> u64 {
    static ALL: LazyLock<u64> = LazyLock::new(|| {
        bits("AgentCapabilities")
            .iter()
            .fold(0, |all, (_, bit)| all | bit)
    });
    *ALL
}

/// `RemoteConfigStatuses_APPLIED` is `APPLIED` in JSON.
pub(crate) fn short(value: &str) -> &str {
    value.split_once('_').map_or(value, |(_, rest)| rest)
}

/// Refuses what is no part of a message, of an agent or of a server: nothing would ever have it.
pub(crate) fn check_part(name: &str) -> Result<(), String> {
    let is_field = |message| descriptor(message).get_field_by_name(name).is_some();
    let is_part = !matches!(name, "instance_uid" | "sequence_num" | "capabilities")
        && (is_field("AgentToServer") || is_field("ServerToAgent"));
    is_part
        .then_some(())
        .ok_or_else(|| format!("no message has a part {name:?}"))
}

/// The names of the parts that a message carries: all but uid, number and capabilities.
pub(crate) fn parts(m: &AgentToServer) -> Vec<&'static str> {
    let present = [
        ("agent_description", m.agent_description.is_some()),
        ("health", m.health.is_some()),
        ("effective_config", m.effective_config.is_some()),
        ("remote_config_status", m.remote_config_status.is_some()),
        ("package_statuses", m.package_statuses.is_some()),
        ("agent_disconnect", m.agent_disconnect.is_some()),
        ("flags", m.flags != 0),
        (
            "connection_settings_request",
            m.connection_settings_request.is_some(),
        ),
        ("custom_capabilities", m.custom_capabilities.is_some()),
        ("custom_message", m.custom_message.is_some()),
        ("available_components", m.available_components.is_some()),
        (
            "connection_settings_status",
            m.connection_settings_status.is_some(),
        ),
    ];
    present
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(name, _)| name)
        .collect()
}

/// The names of the parts that an answer carries: all but uid and capabilities.
pub(crate) fn answer_parts(m: &ServerToAgent) -> Vec<&'static str> {
    let present = [
        ("error_response", m.error_response.is_some()),
        ("remote_config", m.remote_config.is_some()),
        ("connection_settings", m.connection_settings.is_some()),
        ("packages_available", m.packages_available.is_some()),
        ("flags", m.flags != 0),
        ("agent_identification", m.agent_identification.is_some()),
        ("command", m.command.is_some()),
        ("custom_capabilities", m.custom_capabilities.is_some()),
        ("custom_message", m.custom_message.is_some()),
    ];
    present
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(name, _)| name)
        .collect()
}
