//! From HTTP to WebSocket: one GET, and what its answer means.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use super::super::answer::{self, status_text};
use super::super::body::Body;
use super::super::head::{self, RawHead};
use super::super::http::user_agent;
use super::super::opening::authority;
use super::super::room::lengthen;
use super::super::wire::{Broken, MOST_HEAD, Wire};
use super::super::{Endpoint, FailKind, Failure, Headers, ReachedServer, Settings};

/// Room for the head of an answer.
const ROOM: usize = 4 * 1024;
/// RFC 6455, 1.3.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why there is no WebSocket.
pub(super) enum Refusal {
    /// The server answered with a status of its own, or with a wrong 101.
    Answer {
        failure: Failure,
        location: Option<String>,
    },
    Broken(Broken),
}

/// The upgrade of one connection.
pub(super) struct Upgrade<'a> {
    pub(super) settings: &'a Settings,
    /// The settings' own, or where redirects have led.
    pub(super) endpoint: &'a Endpoint,
    /// Another server than the host's own, which does not get its headers.
    pub(super) is_away: bool,
    pub(super) headers: &'a Headers,
    pub(super) instance_uid: &'a str,
}

impl Upgrade<'_> {
    /// Answers the bytes that came behind the 101; they are the first of the peer's frames.
    pub(super) fn over(&self, wire: &mut Wire<'_>) -> Result<Vec<u8>, Refusal> {
        let mut nonce = [0; 16];
        super::draw(&mut nonce)?;
        let key = STANDARD.encode(nonce);
        wire.send(&mut [&self.request(&key)])?;
        let (mut input, mut passed_over) = (Vec::new(), 0);
        loop {
            let end = input.len();
            if end + passed_over >= MOST_HEAD {
                return Err(Broken::LongHead.into());
            }
            lengthen(&mut input, end + ROOM);
            let n = wire.recv(&mut input[end..])?;
            input.truncate(end + n);
            if n == 0 {
                return Err(Broken::Ended.into());
            }
            let mut begin = 0;
            loop {
                head::tidy(&mut input[begin..]).map_err(Broken::Malformed)?;
                let mut slots = head::slots();
                let head = head::read(&input[begin..], &mut slots);
                let Some(head) = head.map_err(Broken::Malformed)? else {
                    break;
                };
                begin += head.len;
                let behind = &input[begin..];
                match head.status {
                    101 => return self.judge(&head, &key).map(|()| behind.to_vec()),
                    _ if head.is_interim() => {}
                    _ => return Err(self.refused(&head, behind, wire)),
                }
            }
            input.drain(..begin);
            passed_over += begin;
        }
    }

    fn request(&self, key: &str) -> Vec<u8> {
        let endpoint = self.endpoint;
        let none = Headers::default();
        let headers = if self.is_away { &none } else { self.headers };
        let path = endpoint.path_and_query();
        let slash = if path.starts_with('/') { "" } else { "/" };
        let mut request = format!("GET {slash}{path} HTTP/1.1\r\n").into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
                request.extend_from_slice(piece);
            }
        };
        let agent = user_agent(self.settings.user_agent_prefix.as_deref());
        for (name, value) in [("host", authority(endpoint)), ("user-agent", agent)] {
            // The host's own wins.
            if headers.iter().all(|(given, _)| given != name) {
                line(name, value.as_bytes());
            }
        }
        line("connection", b"Upgrade");
        line("upgrade", b"websocket");
        line("sec-websocket-version", b"13");
        line("sec-websocket-key", key.as_bytes());
        line("opamp-instance-uid", self.instance_uid.as_bytes());
        for (name, value) in headers.iter() {
            line(name, value);
        }
        request.extend_from_slice(b"\r\n");
        request
    }

    /// RFC 6455, 4.1; who upgrades to something else did not read what we asked for.
    fn judge(&self, head: &RawHead<'_, '_>, key: &str) -> Result<(), Refusal> {
        let is_empty = |name| {
            head.header(name)
                .is_none_or(|value| value.trim().is_empty())
        };
        let accept = head.header("sec-websocket-accept").map(str::trim);
        let wrong = if !head.lists("upgrade", "websocket") {
            "Upgrade is not websocket"
        } else if !head.lists("connection", "upgrade") {
            "Connection does not name upgrade"
        } else if accept != Some(&accept_of(key)) {
            "Sec-WebSocket-Accept is not the answer to our key"
        } else if !is_empty("sec-websocket-extensions") {
            "it has an extension that was not offered"
        } else if !is_empty("sec-websocket-protocol") {
            "it has a subprotocol that was not offered"
        } else {
            return Ok(());
        };
        let text = format!("WebSocket upgrade: HTTP 101, but {wrong}");
        Err(Refusal::Answer {
            failure: Failure::new(FailKind::Protocol, ReachedServer::No, text),
            location: None,
        })
    }

    /// Another status, with as much of its body as is worth showing.
    fn refused(&self, head: &RawHead<'_, '_>, behind: &[u8], wire: &mut Wire<'_>) -> Refusal {
        let location = head.header("location").map(str::to_owned);
        let framing = match head.framing() {
            Ok(framing) => framing,
            Err(why) => return Broken::Malformed(why).into(),
        };
        let head = head.judged(framing);
        let mut body = Body::new(wire, framing, behind);
        body.hurry();
        let come = answer::drain(&mut body, &head, self.settings.limits.message);
        let text = format!("WebSocket upgrade: {}", status_text(head.status));
        match head.shown(FailKind::Status, text, come, true) {
            Err(failure) => Refusal::Answer { failure, location },
            Ok(_) => Broken::Ended.into(),
        }
    }
}

impl<T: Into<Broken>> From<T> for Refusal {
    fn from(broken: T) -> Refusal {
        Refusal::Broken(broken.into())
    }
}

/// RFC 6455, 4.2.2: proof that the server has read the key; SHA-1 is no secret's keeper here.
fn accept_of(key: &str) -> String {
    let text = format!("{key}{MAGIC}");
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    STANDARD.encode(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_that_of_the_rfc() {
        assert_eq!(
            accept_of("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
