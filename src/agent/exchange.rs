//! One synchronous exchange on a connection of its own, for a host that wants no agent.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use prost::Message as _;

use super::{
    client::Client,
    config_map::ConfigMap,
    convert, defaults,
    error::{Code, Error, Kind, Result},
    event::{Content, Message},
    host_message::HostMessage,
    identity,
    reason::Reason,
    start,
};
use crate::{
    proto::ServerToAgent,
    protocol,
    transport::{ReachedServer, Request, Wake, Watch, http::Http},
};

/// Ends the exchange when the caller's time is over.
struct Until(Option<Instant>);

impl Watch for Until {
    fn check(&self) -> ControlFlow<(), Option<Instant>> {
        match self.0 {
            Some(end) if Instant::now() >= end => ControlFlow::Break(()),
            end => ControlFlow::Continue(end),
        }
    }
}

impl Client {
    /// Sends the parts of an encoded AgentToServer under this client's uid, number and
    /// capabilities, and waits for the answer. Nothing of the answer is acted on. Not while an
    /// agent runs, and not with the host's own transport.
    pub fn exchange(&self, message: &[u8], timeout: Option<Duration>) -> Result<Message> {
        let mut parts = HostMessage::read(message)?;
        let end = super::queue::deadline_after(timeout);
        let wake = Wake::new().map_err(|why| convert::no_descriptor(&why))?;
        let (settings, headers, field_limit) = {
            let mut state = self.state();
            state.check_idle()?;
            if state.is_host_transport {
                let text =
                    "the application's own transport carries out the exchanges of this client";
                return Err(Error::state(text).because(Reason::UnsupportedTransport));
            }
            if state.endpoint.scheme().is_websocket() {
                let text = "over WebSocket a message has no response of its own: run an agent";
                return Err(Error::new(Code::Unsupported, Kind::Argument, text)
                    .because(Reason::UnsupportedTransport));
            }
            let settings = start::settings_of(&state, identity::new_seed()?)?;
            parts.instance_uid = Bytes::copy_from_slice(&state.carry.instance_uid);
            parts.capabilities = state.capabilities;
            parts.sequence_num = state.carry.sequence_num;
            // Given up as the bytes leave; a try that reached nobody gives it back.
            state.carry.sequence_num += 1;
            (
                settings,
                state.headers.clone(),
                u32::try_from(state.number(defaults::FIELD_LIMIT)).unwrap_or(u32::MAX),
            )
        };
        let mut http = Http::new(settings, wake, Arc::new(Until(end)));
        let uid: [u8; 16] = parts.instance_uid.as_ref().try_into().unwrap_or_default();
        let request = Request {
            headers: &headers,
            instance_uid: &identity::uid_text(&uid),
            body: &parts.encode_to_vec(),
        };
        match http.exchange(&request) {
            Ok(answer) => read(answer.body, field_limit),
            Err(failure) => {
                if failure.reached == ReachedServer::No {
                    self.give_back_number(parts.sequence_num);
                }
                Err(convert::error_of(&convert::failure_of(failure)))
            }
        }
    }

    fn give_back_number(&self, number: u64) {
        let mut state = self.state();
        if state.carry.sequence_num == number + 1 {
            state.carry.sequence_num = number;
        }
    }
}

/// The answer as the host sees it; every part passes, because the host asked for it.
fn read(bytes: Bytes, field_limit: u32) -> Result<Message> {
    if !protocol::has_field_count_at_most(field_limit, &bytes) {
        let text = format!("the answer has more than {field_limit} fields");
        return Err(Error::new(Code::TooLarge, Kind::Size, text));
    }
    let answer = ServerToAgent::decode(bytes.clone())
        .map_err(|_| Error::new(Code::Failed, Kind::Decode, "the answer is no ServerToAgent"))?;
    if let Some(problem) = protocol::long_hash(&answer) {
        return Err(Error::new(Code::Failed, Kind::Decode, problem));
    }
    let offer = answer.remote_config;
    let parts = match offer {
        Some(_) => protocol::MessageParts::REMOTE_CONFIG,
        None => protocol::MessageParts::NONE,
    };
    Ok(Message::new(Content {
        parts: parts.0.into(),
        remote_config: offer.map(|offer| {
            let files = offer.config.unwrap_or_default();
            (
                ConfigMap::new(files.into()),
                Bytes::copy_from_slice(&offer.config_hash),
            )
        }),
        flags: answer.flags,
        server_capabilities: answer.capabilities,
        bytes,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{AgentRemoteConfig, ConnectionSettingsOffers, PackagesAvailable};

    fn with_hashes(length: usize) -> [ServerToAgent; 3] {
        let hash = Bytes::from(vec![7; length]);
        let mut all: [ServerToAgent; 3] = Default::default();
        all[0].remote_config = Some(AgentRemoteConfig {
            config_hash: hash.clone(),
            ..Default::default()
        });
        all[1].connection_settings = Some(ConnectionSettingsOffers {
            hash: hash.clone(),
            ..Default::default()
        });
        all[2].packages_available = Some(PackagesAvailable {
            all_packages_hash: hash,
            ..Default::default()
        });
        all
    }

    #[test]
    fn a_hash_of_more_than_a_kilobyte_makes_an_answer_malformed() {
        for answer in with_hashes(1024) {
            assert!(read(answer.encode_to_vec().into(), 100).is_ok());
        }
        for answer in with_hashes(1025) {
            let error = read(answer.encode_to_vec().into(), 100).expect_err("too long");
            assert_eq!((error.code, error.kind), (Code::Failed, Kind::Decode));
            assert!(error.text.contains("1025 bytes"), "{error}");
        }
    }
}
