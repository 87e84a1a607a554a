//! A message made by the host: its parts become the client's state, and its end is told.

use super::{
    checks,
    client::{Client, is_empty},
    config_map::ConfigMap,
    error::{Code, Error, Kind, Result},
    host_message::{HostMessage, part},
    life::Agent,
    mailbox::Report,
    reason::Reason,
};
use crate::proto::{AgentDescription, EffectiveConfig, RemoteConfigStatus};

/// The number of MESSAGE_LIMIT_BYTES in the table of defaults.
const MESSAGE_LIMIT: i32 = 6;

impl Agent {
    /// Takes the parts of an encoded AgentToServer over and sends a message; uid, number and
    /// capabilities are the library's. Exactly one completion comes for the ticket: confirmed, or
    /// given up after so many failed tries.
    pub fn send(&self, message: &[u8], tries: Option<u32>) -> Result<u64> {
        let run = self.running()?;
        let limit = self.client().option(MESSAGE_LIMIT)?;
        if message.len() as u64 > limit {
            let text = format!(
                "the message has {} bytes, the limit is {limit}",
                message.len()
            );
            return Err(Error::new(Code::TooLarge, Kind::Size, text).because(Reason::TooLong));
        }
        let parts = decode(message)?;
        if !self.queue().reserve_report() {
            return Err(Error::new(
                Code::Again,
                Kind::Argument,
                "64 completions wait; take some first",
            )
            .because(Reason::TooManyWaiting));
        }
        if let Err(error) = take_over(self.client(), parts) {
            self.queue().release_report();
            return Err(error);
        }
        let ticket = self.next_ticket();
        let report = Report {
            ticket,
            tries,
            is_forced: true,
        };
        if !run.mailbox.put(|mail| mail.reports.push(report)) {
            self.queue().release_report();
            return Err(Error::state("the agent stopped meanwhile").because(Reason::Stopped));
        }
        Ok(ticket)
    }
}

/// The parts that this release reports.
struct Parts {
    status: Option<RemoteConfigStatus>,
    description: Option<AgentDescription>,
    config: Option<EffectiveConfig>,
}

/// Refuses what is no AgentToServer, and parts that this release does not report.
fn decode(message: &[u8]) -> Result<Parts> {
    let message = HostMessage::read(message)?;
    if let Some(name) = message.unsupported() {
        return Err(Error::new(
            Code::Unsupported,
            Kind::Argument,
            format!("the part {name} is not reported by this libopamp"),
        )
        .because(Reason::UnsupportedPart));
    }
    Ok(Parts {
        status: message
            .remote_config_status
            .as_ref()
            .map(part)
            .transpose()?,
        description: message.agent_description.as_ref().map(part).transpose()?,
        config: message.effective_config.as_ref().map(part).transpose()?,
    })
}

fn take_over(client: &Client, parts: Parts) -> Result<()> {
    // Whatever is refused is refused before anything changes: the status looks at its hash first.
    if parts.description.as_ref().is_some_and(is_empty) {
        return Err(checks::no_attribute());
    }
    if let Some(status) = parts.status {
        kept(client.set_remote_config_status(
            &status.last_remote_config_hash,
            status.status,
            status.error_message.as_bytes(),
        ))?;
    }
    if let Some(description) = parts.description {
        kept(client.set_description(description))?;
    }
    if let Some(config) = parts.config {
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
