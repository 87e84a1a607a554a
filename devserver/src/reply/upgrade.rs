//! The answer to a request for a WebSocket.
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::judge::websocket::judge_upgrade;
use crate::reply::compose::{Content, Reply};
use crate::vocabulary::action::On;
use crate::vocabulary::head::Head;
use crate::vocabulary::verdict::Verdict;
use crate::world::faults::Occasion;
use crate::world::state::State;
use crate::world::timeline::LinkInfo;

/// RFC 6455, section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

impl State {
    /// What is answered to the request, and what it shows of the conformance table.
    pub(crate) fn on_upgrade(
        &mut self,
        now: Duration,
        info: LinkInfo,
        head: &Head,
    ) -> (Reply, Vec<Verdict>) {
        let mut verdicts = judge_upgrade(self, now, info, head);
        let refusal = if self.wants_tls && info.transport == "ws" {
            Some((
                "TLS-01",
                400,
                "this server takes OpAMP over TLS only".to_owned(),
            ))
        } else {
            flaw(head).map(|(status, text)| ("WS-17", status, text))
        };
        let content = match refusal {
            None => {
                verdicts.push(Verdict::pass(
                    "WS-17",
                    "a GET with all that a handshake needs",
                ));
                Content::Upgrade(accept_key(head.header("sec-websocket-key").unwrap_or("")))
            }
            Some((row, status, text)) => {
                verdicts.push(Verdict::fail(row, text.clone()));
                Content::Refusal(status, text)
            }
        };
        let agent = head.instance_uid();
        let fault = self.faults.choose(&Occasion {
            on: On::Upgrade,
            agent,
            path: head.path(),
            transport: info.transport,
            parts: None,
        });
        let index = self.timeline.next();
        (
            Reply {
                index,
                agent,
                content,
                has_news: false,
                fault,
            },
            verdicts,
        )
    }
}

/// What is wrong with the handshake (RFC 6455, section 4.2.1), and the status that says so.
fn flaw(head: &Head) -> Option<(u16, String)> {
    let key = head
        .header("sec-websocket-key")
        .map(|key| STANDARD.decode(key.trim()));
    if head.method != "GET" {
        Some((405, format!("a {} where a handshake is a GET", head.method)))
    } else if head.version == 0 || head.header("host").is_none() {
        Some((400, "a handshake without a Host, or below HTTP/1.1".into()))
    } else if !head.lists("connection", "upgrade") {
        Some((400, "Connection does not list Upgrade".into()))
    } else if !key.is_some_and(|key| key.is_ok_and(|key| key.len() == 16)) {
        Some((400, "Sec-WebSocket-Key is not 16 bytes".into()))
    } else if head.header("sec-websocket-version") != Some("13") {
        Some((426, "Sec-WebSocket-Version is not 13".into()))
    } else {
        None
    }
}

fn accept_key(key: &str) -> String {
    let hash = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        format!("{}{GUID}", key.trim()).as_bytes(),
    );
    STANDARD.encode(hash)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_accept_key_is_the_one_of_the_rfc() {
        let key = super::accept_key("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
