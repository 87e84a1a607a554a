//! An AgentToServer made by the host, its parts still encoded: what the library does not look into
//! is not decoded.

use super::{
    error::{Error, Result},
    reason::Reason,
};
use bytes::Bytes;

/// The fields of `AgentToServer` in proto/opamp.proto, each part as its bytes. A disconnect is left
/// out: only a stop says goodbye.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HostMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) instance_uid: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) sequence_num: u64,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) agent_description: Option<Bytes>,
    #[prost(uint64, tag = "4")]
    pub(crate) capabilities: u64,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub(crate) health: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub(crate) effective_config: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "7")]
    pub(crate) remote_config_status: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub(crate) package_statuses: Option<Bytes>,
    #[prost(uint64, tag = "10")]
    pub(crate) flags: u64,
    #[prost(bytes = "bytes", optional, tag = "11")]
    pub(crate) connection_settings_request: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "12")]
    pub(crate) custom_capabilities: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "13")]
    pub(crate) custom_message: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "14")]
    pub(crate) available_components: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "15")]
    pub(crate) connection_settings_status: Option<Bytes>,
}

impl HostMessage {
    /// Copies the bytes and takes them apart.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        part(&Bytes::copy_from_slice(bytes))
    }

    /// The first part that this release does not report, by its name in the schema.
    pub(crate) fn unsupported(&self) -> Option<&'static str> {
        let later = [
            ("health", &self.health),
            ("package_statuses", &self.package_statuses),
            (
                "connection_settings_request",
                &self.connection_settings_request,
            ),
            ("custom_capabilities", &self.custom_capabilities),
            ("custom_message", &self.custom_message),
            ("available_components", &self.available_components),
            (
                "connection_settings_status",
                &self.connection_settings_status,
            ),
        ];
        later
            .iter()
            .find(|(_, part)| part.is_some())
            .map(|(name, _)| *name)
    }
}

/// One part decoded.
pub(crate) fn part<T: prost::Message + Default>(bytes: &Bytes) -> Result<T> {
    T::decode(bytes.clone())
        .map_err(|_| Error::argument("not a valid AgentToServer").because(Reason::Undecodable))
}
