//! What the server knows and how a good server answers.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::agents::Agent;
use crate::faults::{Fault, Faults, Occasion, On};
use crate::http::Head;
use crate::offers::Offers;
use crate::timeline::{Entry, LinkInfo, Received, Sent, Timeline, What};
use crate::verdicts::{Facts, Verdict, is_full, judge};
use crate::wire::proto::{
    AgentCapabilities, AgentIdentification, ServerCapabilities, ServerErrorResponse,
    ServerErrorResponseType, ServerToAgentFlags,
};
use crate::wire::{AgentToServer, ServerToAgent, answer_parts, parts};

/// All capabilities of the schema: what a server offers that was told nothing else.
const ALL_CAPABILITIES: u64 = 127;
/// A gzip request body may not grow beyond that.
const INFLATED_LIMIT: u64 = 512 << 20;

pub(crate) struct State {
    pub(crate) timeline: Timeline,
    pub(crate) agents: BTreeMap<Uuid, Agent>,
    /// Uids that were assigned and not used yet, each with its agent's present one.
    assigned: BTreeMap<Uuid, Uuid>,
    pub(crate) offers: Offers,
    pub(crate) capabilities: u64,
    pub(crate) faults: Faults,
    /// Answers that wait for the next message of whatever agent.
    pub(crate) next: Vec<Next>,
    pub(crate) links: BTreeMap<u64, Link>,
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    /// The certificate of TLS handshakes to come.
    pub(crate) certificate: String,
    pub(crate) is_listening: bool,
    /// OpAMP without TLS is refused.
    wants_tls: bool,
}

/// A live connection.
pub(crate) struct Link {
    pub(crate) info: LinkInfo,
    pub(crate) agent: Option<Uuid>,
    /// Ends it: true for a reset.
    pub(crate) end: mpsc::UnboundedSender<bool>,
}

/// An answer given once, in place of or over the usual one.
#[derive(Clone, Debug)]
pub(crate) struct Next {
    /// An encoded ServerToAgent.
    pub(crate) message: Vec<u8>,
    /// Nothing of the usual answer but the uid.
    pub(crate) is_alone: bool,
    /// These bytes and nothing else.
    pub(crate) is_raw: bool,
}

/// What shall be answered, before a fault is applied.
pub(crate) struct Reply {
    /// The index of the entry that is answered.
    pub(crate) index: u64,
    pub(crate) agent: Option<Uuid>,
    pub(crate) content: Content,
    pub(crate) fault: Option<Fault>,
}

pub(crate) enum Content {
    Message(Bytes),
    Refusal(u16, String),
}

impl State {
    pub(crate) fn new(wants_tls: bool) -> Self {
        Self {
            timeline: Timeline::default(),
            agents: BTreeMap::new(),
            assigned: BTreeMap::new(),
            offers: Offers::default(),
            capabilities: ALL_CAPABILITIES,
            faults: Faults::default(),
            next: Vec::new(),
            links: BTreeMap::new(),
            opened: 0,
            closed: 0,
            certificate: "server".into(),
            is_listening: true,
            wants_tls,
        }
    }

    /// Notes a control call.
    pub(crate) fn note(&mut self, now: Duration, agent: Option<Uuid>, text: String) {
        let what = What::Control(text);
        self.push(now, agent, None, Vec::new(), what);
    }

    pub(crate) fn push(
        &mut self,
        now: Duration,
        agent: Option<Uuid>,
        link: Option<LinkInfo>,
        verdicts: Vec<Verdict>,
        what: What,
    ) -> u64 {
        let gap = match &what {
            What::Received(_) => agent
                .and_then(|uid| self.agents.get(&uid))
                .and_then(|agent| {
                    (agent.messages > 0).then(|| now.saturating_sub(agent.last_seen))
                }),
            _ => None,
        };
        let make = |index| Entry {
            index,
            at: now,
            gap,
            agent,
            link,
            verdicts,
            what,
        };
        self.timeline.push(make).index
    }

    /// A fault for a request of which only the head is read.
    pub(crate) fn early_fault(&mut self, link: LinkInfo, head: &Head) -> Option<Fault> {
        let agent = head
            .header("opamp-instance-uid")
            .and_then(|uid| Uuid::parse_str(uid).ok());
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

    /// The answer of a good server, with what was asked to be answered next over it.
    fn compose(
        &mut self,
        uid: Uuid,
        message: &AgentToServer,
        asks_full: bool,
        again: bool,
    ) -> Vec<u8> {
        let goes = message.agent_disconnect.is_some();
        let next = if goes { None } else { self.take_next(uid) };
        if let Some(next) = next.as_ref().filter(|next| next.is_raw) {
            return next.message.clone();
        }
        let mut answer = ServerToAgent {
            instance_uid: Bytes::copy_from_slice(uid.as_bytes()),
            capabilities: self.capabilities,
            ..Default::default()
        };
        let is_alone = next.as_ref().is_some_and(|next| next.is_alone);
        if !goes && !is_alone {
            if asks_full {
                answer.flags |= ServerToAgentFlags::ReportFullState as u64;
            }
            if message.flags & 1 != 0 {
                let uid = Bytes::copy_from_slice(Uuid::now_v7().as_bytes());
                answer.agent_identification = Some(AgentIdentification {
                    new_instance_uid: uid,
                });
            }
            answer.remote_config = self.offer_for(uid, again);
        }
        if is_alone {
            answer.capabilities = 0;
        }
        let mut bytes = answer.encode_to_vec();
        if let Some(next) = next {
            bytes.extend_from_slice(&next.message);
            bytes = normalised(&bytes);
        }
        bytes
    }

    fn take_next(&mut self, uid: Uuid) -> Option<Next> {
        let own = self
            .agents
            .get_mut(&uid)
            .and_then(|agent| agent.next.pop_front());
        own.or_else(|| (!self.next.is_empty()).then(|| self.next.remove(0)))
    }

    fn offer_for(&self, uid: Uuid, again: bool) -> Option<crate::wire::proto::AgentRemoteConfig> {
        let agent = self.agents.get(&uid)?;
        let offers = self.capabilities & ServerCapabilities::OffersRemoteConfig as u64 != 0;
        let offer = self.offers.of(uid)?;
        let has_it = agent.has_answered(&offer.hash)
            || (!agent.can(AgentCapabilities::ReportsRemoteConfig)
                && agent.was_offered(&offer.hash)
                && agent.known.agent_disconnect.is_none());
        let wanted = offers && agent.can(AgentCapabilities::AcceptsRemoteConfig) && !has_it;
        (wanted || again).then(|| offer.message())
    }

    /// An answer is about to leave (or is withheld); `sent.message` is what the agent will understand of it.
    pub(crate) fn on_answer(
        &mut self,
        now: Duration,
        link: LinkInfo,
        reply: &Reply,
        sent: Sent,
        not_before: Option<(Duration, &'static str)>,
    ) {
        let is_spoiled = reply
            .fault
            .as_ref()
            .is_some_and(|fault| fault.action.is_spoiling());
        let answer = sent
            .message
            .clone()
            .and_then(|bytes| ServerToAgent::decode(bytes).ok());
        let mut verdicts = Vec::new();
        if let Some(agent) = reply.agent.and_then(|uid| self.agents.get_mut(&uid)) {
            if agent.watch.last_index > reply.index {
                let text = format!("answered after #{} had come", agent.watch.last_index);
                verdicts.push(Verdict::fail("HTTP-06", text));
            }
            agent.watch.excused = is_spoiled || answer.is_none();
            agent.watch.not_before = not_before;
        }
        if let (Some(uid), Some(answer)) = (reply.agent, answer) {
            self.on_told(now, uid, &answer, is_spoiled);
        }
        self.push(now, reply.agent, Some(link), verdicts, What::Sent(sent));
    }

    fn on_told(&mut self, now: Duration, uid: Uuid, answer: &ServerToAgent, is_spoiled: bool) {
        let Some(agent) = self.agents.get_mut(&uid) else {
            return;
        };
        if let Some(offer) = &answer.remote_config {
            agent.on_offered(&offer.config_hash, now);
            self.offers.on_used(&offer.config_hash);
        }
        let new = answer
            .agent_identification
            .as_ref()
            .map(|id| &id.new_instance_uid);
        if let Some(new) = new.and_then(|new| Uuid::from_slice(new).ok()) {
            if new != uid {
                self.assigned.insert(new, uid);
            }
        }
        if is_spoiled {
            return;
        }
        if answer.capabilities != 0 {
            agent.watch.told_capabilities = Some(answer.capabilities);
        }
        let asks = answer.flags & ServerToAgentFlags::ReportFullState as u64 != 0;
        agent.watch.asked_full = if asks { agent.watch.asked_full + 1 } else { 0 };
        let settings = answer.connection_settings.as_ref();
        let opamp = settings.and_then(|settings| settings.opamp.as_ref());
        let seconds = opamp.map_or(0, |opamp| opamp.heartbeat_interval_seconds);
        if seconds > 0 {
            agent.watch.interval = Some(Duration::from_secs(seconds));
        }
        if let Some(error) = &answer.error_response {
            agent.watch.not_before = silence(error).map(|span| (now + span, "RCV-01"));
            agent.watch.excused = true;
        }
    }

    /// An exchange that a message may have got lost in. Without a uid it may be anyone's.
    pub(crate) fn on_lost(&mut self, uid: Option<Uuid>) {
        let concerned = self
            .agents
            .values_mut()
            .filter(|a| uid.is_none_or(|uid| a.uid == uid));
        for agent in concerned {
            agent.watch.lost += 1;
            agent.watch.excused = true;
        }
    }

    /// Forgets every agent, as a server that was restarted without its memory.
    pub(crate) fn forget(&mut self) {
        self.agents.clear();
        self.assigned.clear();
    }

    pub(crate) fn show(&self) -> Json {
        let links = self.links.values().map(|link| {
            json!({
                "connection": link.info.number,
                "peer": link.info.peer.to_string(),
                "transport": link.info.transport,
                "agent": link.agent.map(|agent| agent.to_string()),
            })
        });
        json!({
            "next": self.timeline.next(),
            "capabilities": crate::codec::mask("ServerCapabilities", self.capabilities),
            "listening": self.is_listening,
            "certificate": self.certificate,
            "agents": self.agents.len(),
            "connections": links.collect::<Vec<_>>(),
            "opened": self.opened,
            "closed": self.closed,
        })
    }

    /// The agents that a control call means: one, or all.
    pub(crate) fn meant(&self, agent: Option<Uuid>) -> BTreeSet<Uuid> {
        let all = self.agents.keys().copied();
        all.filter(|uid| agent.is_none_or(|agent| agent == *uid))
            .collect()
    }
}

/// The same message with each field once, as an encoder writes it.
pub(crate) fn normalised(bytes: &[u8]) -> Vec<u8> {
    ServerToAgent::decode(bytes).map_or_else(|_| bytes.to_vec(), |answer| answer.encode_to_vec())
}

/// The names of an answer's parts, none when it can not be decoded.
pub(crate) fn parts_of(message: &Bytes) -> Vec<&'static str> {
    ServerToAgent::decode(message.clone()).map_or_else(|_| Vec::new(), |m| answer_parts(&m))
}

fn silence(error: &ServerErrorResponse) -> Option<Duration> {
    use crate::wire::proto::server_error_response::Details;
    let Some(Details::RetryInfo(info)) = &error.details else {
        return None;
    };
    let is_unavailable = error.r#type() == ServerErrorResponseType::Unavailable;
    let span = Duration::from_nanos(info.retry_after_nanoseconds);
    // Agents cap what is absurd.
    (is_unavailable && span <= Duration::from_secs(3600)).then_some(span)
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
