//! A message made by the host: its parts become the client's state, and its end is told.

use prost::Message as _;

use super::{
    client::Client,
    config_map::ConfigMap,
    error::{Code, Error, Kind, Result},
    life::Agent,
    mailbox::Report,
};
use crate::proto::AgentToServer;

impl Agent {
    /// Takes the parts of an encoded AgentToServer over and sends a message; uid, number and capabilities are the library's.
    /// Exactly one completion comes for the ticket: confirmed, or given up after so many failed tries.
    pub fn send(&self, message: &[u8], tries: Option<u32>) -> Result<u64> {
        let run = self.running()?;
        let parts = decode(message)?;
        if !self.queue().reserve_report() {
            return Err(Error::new(
                Code::Again,
                Kind::Argument,
                "64 completions wait; take some first",
            ));
        }
        if let Err(error) = take_over(self.client(), parts) {
            self.queue().release_report();
            return Err(error);
        }
        let ticket = self.next_ticket();
        run.mailbox.put(|mail| {
            mail.reports.push(Report {
                ticket,
                tries,
                is_forced: true,
            })
        });
        Ok(ticket)
    }
}

/// Refuses what is no AgentToServer, and parts that this release does not report.
fn decode(message: &[u8]) -> Result<AgentToServer> {
    let parts = AgentToServer::decode(message)
        .map_err(|_| Error::argument("the bytes are no AgentToServer"))?;
    let later = [
        ("health", parts.health.is_some()),
        ("package_statuses", parts.package_statuses.is_some()),
        (
            "connection_settings_request",
            parts.connection_settings_request.is_some(),
        ),
        ("custom_capabilities", parts.custom_capabilities.is_some()),
        ("custom_message", parts.custom_message.is_some()),
        ("available_components", parts.available_components.is_some()),
        (
            "connection_settings_status",
            parts.connection_settings_status.is_some(),
        ),
    ];
    match later.iter().find(|(_, is_there)| *is_there) {
        None => Ok(parts),
        Some((name, _)) => Err(Error::new(
            Code::Unsupported,
            Kind::Argument,
            format!("this release does not report {name}"),
        )),
    }
}

fn take_over(client: &Client, parts: AgentToServer) -> Result<()> {
    if let Some(status) = parts.remote_config_status {
        let error = (!status.error_message.is_empty()).then_some(status.error_message.as_str());
        kept(client.set_remote_config_status(
            &status.last_remote_config_hash,
            status.status,
            error,
        ))?;
    }
    if let Some(description) = parts.agent_description {
        kept(client.set_description(description))?;
    }
    if let Some(config) = parts.effective_config {
        let files = config.config_map.unwrap_or_default();
        kept(client.set_effective_config(ConfigMap::new(files.into())))?;
    }
    Ok(())
}

/// A value that no declared capability covers is kept, which is good enough here.
fn kept(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.code == Code::Capability => Ok(()),
        other => other,
    }
}
