//! A request comes in: what is wrong with it, what it says, what is remembered of it.
use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

use crate::agents::Agent;
use crate::faults::{Fault, Occasion, On};
use crate::http::Head;
use crate::reply::{Content, Reply};
use crate::state::State;
use crate::timeline::{LinkInfo, Received, What};
use crate::verdicts::{Facts, Verdict, is_full, judge};
use crate::wire::{AgentToServer, parts};

/// A gzip request body may not grow beyond that.
const INFLATED_LIMIT: u64 = 512 << 20;

impl State {
    /// A fault for a request of which only the head is read.
    pub(crate) fn early_fault(&mut self, link: LinkInfo, head: &Head) -> Option<Fault> {
        let agent = head.instance_uid();
        let (path, transport) = (head.path(), link.transport);
        let occasion = Occasion {
            on: On::Message,
            agent,
            path,
            transport,
            parts: None,
        };
        self.faults.choose(&occasion)
    }

    /// A whole HTTP request.
    pub(crate) fn on_request(
        &mut self,
        now: Duration,
        link: LinkInfo,
        head: Head,
        body: Bytes,
        early: Option<Fault>,
    ) -> Reply {
        let (body, refusal) = match plain_body(&head, body) {
            Ok(body) if self.wants_tls && link.transport == "http" => {
                let text = "this server takes OpAMP over TLS only";
                (
                    body,
                    Some(Refusal {
                        row: "TLS-01",
                        status: 400,
                        text: text.into(),
                    }),
                )
            }
            Ok(body) => (body, refusal(&head)),
            Err((body, refusal)) => (body, Some(refusal)),
        };
        if let Some(refusal) = refusal {
            return self.on_nonsense(now, link, Some(head), body, early, refusal);
        }
        self.on_message(now, link, Some(head), body, early)
    }

    /// Bytes that should be an AgentToServer, from whatever transport.
    pub(crate) fn on_message(
        &mut self,
        now: Duration,
        link: LinkInfo,
        http: Option<Head>,
        body: Bytes,
        early: Option<Fault>,
    ) -> Reply {
        let decoded = AgentToServer::decode(body.clone()).map_err(|error| error.to_string());
        let known = decoded.and_then(|message| match Uuid::from_slice(&message.instance_uid) {
            Ok(uid) => Ok((message, uid)),
            Err(_) => Err(format!("the uid has {} bytes", message.instance_uid.len())),
        });
        let (message, uid) = match known {
            Ok(known) => known,
            Err(text) => {
                let refusal = Refusal {
                    row: "HTTP-01",
                    status: 400,
                    text,
                };
                return self.on_nonsense(now, link, http, body, early, refusal);
            }
        };
        let uid = self.rename(uid);
        let (parts, full) = (parts(&message), is_full(&message, self.agents.get(&uid)));
        let verdicts = self.judge(now, uid, &message, &parts, full, http.as_ref());
        let is_gap = self.is_gap(uid, &message);
        let fault = early.or_else(|| {
            let path = http.as_ref().map_or("", Head::path);
            let (transport, parts) = (link.transport, Some(&parts[..]));
            let agent = Some(uid);
            self.faults.choose(&Occasion {
                on: On::Message,
                agent,
                path,
                transport,
                parts,
            })
        });
        let received = Received {
            http,
            body,
            message: Some(Box::new(message.clone())),
            parts,
            is_full: full,
            error: None,
        };
        let is_heartbeat = received.is_heartbeat();
        let what = What::Received(received);
        let index = self.push(now, Some(uid), Some(link), verdicts, what);
        self.remember(now, link, uid, &message, index, is_heartbeat);
        let asks_full = is_gap && !full;
        let again = fault.as_ref().is_some_and(|fault| fault.action.offer_again);
        let content = Content::Message(self.compose(uid, &message, asks_full, again).into());
        Reply {
            index,
            agent: Some(uid),
            content,
            fault,
        }
    }

    /// A request that carries no message.
    fn on_nonsense(
        &mut self,
        now: Duration,
        link: LinkInfo,
        http: Option<Head>,
        body: Bytes,
        early: Option<Fault>,
        refusal: Refusal,
    ) -> Reply {
        let fault = early.or_else(|| {
            let (path, transport) = (http.as_ref().map_or("", Head::path), link.transport);
            let occasion = Occasion {
                on: On::Message,
                agent: None,
                path,
                transport,
                parts: Some(&[]),
            };
            self.faults.choose(&occasion)
        });
        let Refusal { row, status, text } = refusal;
        let verdicts = vec![Verdict::fail(row, text.clone())];
        let received = Received {
            http,
            body,
            message: None,
            parts: Vec::new(),
            is_full: false,
            error: Some(text.clone()),
        };
        let index = self.push(now, None, Some(link), verdicts, What::Received(received));
        Reply {
            index,
            agent: None,
            content: Content::Refusal(status, text),
            fault,
        }
    }

    fn judge(
        &self,
        now: Duration,
        uid: Uuid,
        message: &AgentToServer,
        parts: &[&'static str],
        is_full: bool,
        http: Option<&Head>,
    ) -> Vec<Verdict> {
        judge(&Facts {
            now,
            message,
            parts,
            is_full,
            uid,
            header_uid: http.map(|head| head.header("opamp-instance-uid")),
            agent: self.agents.get(&uid),
            is_offered: &|hash| self.offers.has(hash),
        })
    }

    /// A message under a uid that was assigned makes that uid the agent's.
    fn rename(&mut self, uid: Uuid) -> Uuid {
        if let Some(former) = self.assigned.remove(&uid) {
            if let Some(mut agent) = self.agents.remove(&former) {
                agent.former.push(former);
                agent.uid = uid;
                // To itself it may be another agent now, which reports everything.
                agent.watch.excused = true;
                self.agents.insert(uid, agent);
            }
        }
        uid
    }

    /// Whether something is missing between what is known of the agent and this message.
    fn is_gap(&self, uid: Uuid, message: &AgentToServer) -> bool {
        let last = self.agents.get(&uid).map(|agent| agent.known.sequence_num);
        last.is_none_or(|last| message.sequence_num != last.wrapping_add(1))
    }

    fn remember(
        &mut self,
        now: Duration,
        link: LinkInfo,
        uid: Uuid,
        message: &AgentToServer,
        index: u64,
        is_heartbeat: bool,
    ) {
        let agent = self
            .agents
            .entry(uid)
            .or_insert_with(|| Agent::new(uid, now));
        agent.take(message, now);
        agent.heartbeats += u64::from(is_heartbeat);
        agent.peer = Some(link.peer);
        agent.transport = link.transport;
        let watch = &mut agent.watch;
        watch.lost = 0;
        watch.not_before = None;
        watch.last_index = index;
        watch.recent.push_back(now);
        while watch
            .recent
            .front()
            .is_some_and(|at| now - *at > Duration::from_secs(1))
        {
            watch.recent.pop_front();
        }
        if let Some(live) = self.links.get_mut(&link.number) {
            live.agent = Some(uid);
            live.info = link;
        }
    }
}

/// Why a request is not taken.
struct Refusal {
    row: &'static str,
    status: u16,
    text: String,
}

/// What is wrong with a request before its body is looked at.
fn refusal(head: &Head) -> Option<Refusal> {
    let refused = |status, text| {
        Some(Refusal {
            row: "HTTP-01",
            status,
            text,
        })
    };
    if head.method != "POST" {
        return refused(405, format!("a {} where OpAMP is a POST", head.method));
    }
    let content_type = head.header("content-type").unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/x-protobuf") {
        return None;
    }
    refused(
        415,
        format!("the content type is {content_type:?}, not application/x-protobuf"),
    )
}

/// The body without its content coding.
fn plain_body(head: &Head, body: Bytes) -> Result<Bytes, (Bytes, Refusal)> {
    let refused = |status, text| Refusal {
        row: "HTTP-01",
        status,
        text,
    };
    match head.header("content-encoding") {
        None | Some("identity") => Ok(body),
        Some("gzip") => {
            let mut plain = Vec::new();
            let gzip = flate2::read::GzDecoder::new(&body[..]);
            match gzip.take(INFLATED_LIMIT).read_to_end(&mut plain) {
                Ok(_) => Ok(plain.into()),
                Err(error) => Err((
                    body,
                    refused(400, format!("a gzip body that is none: {error}")),
                )),
            }
        }
        Some(other) => Err((
            body,
            refused(415, format!("Content-Encoding {other:?} is not taken here")),
        )),
    }
}
