//! A request comes in: what is wrong with it, what it says, what is remembered of it.
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

use crate::judge::facts::Facts;
use crate::judge::message::{is_full, judge};
use crate::judge::websocket::overlap;
use crate::reply::compose::{Content, Reply};
use crate::vocabulary::action::On;
use crate::vocabulary::head::Head;
use crate::vocabulary::verdict::Verdict;
use crate::vocabulary::wire::{AgentToServer, parts};
use crate::world::agents::Agent;
use crate::world::faults::{Fault, Occasion};
use crate::world::state::State;
use crate::world::timeline::{Carrier, LinkInfo, Received, What};

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
            return self.on_nonsense(now, link, Carrier::Http(head), body, early, refusal);
        }
        self.on_message(now, link, Carrier::Http(head), body, early)
    }

    /// A whole WebSocket message; `sizes` are those of its frames.
    pub(crate) fn on_socket_message(
        &mut self,
        now: Duration,
        link: LinkInfo,
        payload: Bytes,
        sizes: Vec<usize>,
        is_text: bool,
    ) -> Reply {
        let carrier = Carrier::Frames(sizes);
        let refused = |text: &str| Refusal::of_socket(text.to_owned());
        let refusal = match payload.first() {
            _ if is_text => Some(refused("a text message")),
            Some(0) => None,
            Some(_) => Some(refused("the header in front of the message is not 0")),
            None => Some(refused("no header in front of the message")),
        };
        match refusal {
            Some(refusal) => self.on_nonsense(now, link, carrier, payload, None, refusal),
            None => self.on_message(now, link, carrier, payload.slice(1..), None),
        }
    }

    /// Bytes that should be an AgentToServer, from whatever transport.
    fn on_message(
        &mut self,
        now: Duration,
        link: LinkInfo,
        carrier: Carrier,
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
                let refusal = match &carrier {
                    Carrier::Frames(_) => Refusal::of_socket(text),
                    Carrier::Http(_) => Refusal {
                        row: "HTTP-01",
                        status: 400,
                        text,
                    },
                };
                return self.on_nonsense(now, link, carrier, body, early, refusal);
            }
        };
        let uid = self.rename(uid);
        let run = self.run(uid, &message, &body);
        let (parts, full) = (parts(&message), is_full(&message, self.agents.get(&uid)));
        let verdicts = self.judge(now, link, uid, &message, &parts, full, run, carrier.head());
        let is_gap = !run.is_new && !run.is_repeated && self.is_gap(uid, &message);
        let fault = self.message_fault(link, &carrier, Some(uid), &parts, early);
        let has_news = !parts.is_empty();
        let received = Received {
            carrier,
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
        if let Some(agent) = self.agents.get_mut(&uid) {
            agent.watch.last_body = Some(run.body);
        }
        if let Some(agent) = self.agents.get_mut(&uid).filter(|_| full) {
            agent.watch.owes_full = false;
        }
        let asks_full = is_gap && !full;
        let again = fault.as_ref().is_some_and(|fault| fault.action.offer_again);
        let content = Content::Message(self.compose(uid, &message, asks_full, again).into());
        Reply {
            index,
            agent: Some(uid),
            content,
            has_news,
            fault,
        }
    }

    fn message_fault(
        &mut self,
        link: LinkInfo,
        carrier: &Carrier,
        agent: Option<Uuid>,
        parts: &[&'static str],
        early: Option<Fault>,
    ) -> Option<Fault> {
        let own = self
            .socket(link.number)
            .map_or(String::new(), |socket| socket.path.clone());
        let path = carrier.head().map_or(own.as_str(), Head::path);
        let (transport, parts) = (link.transport, Some(parts));
        let fault = early.or_else(|| {
            self.faults.choose(&Occasion {
                on: On::Message,
                agent,
                path,
                transport,
                parts,
            })
        });
        if let Some(socket) = self.socket(link.number) {
            socket.is_excused |= fault.is_some();
        }
        fault
    }

    /// A request that carries no message.
    fn on_nonsense(
        &mut self,
        now: Duration,
        link: LinkInfo,
        carrier: Carrier,
        body: Bytes,
        early: Option<Fault>,
        refusal: Refusal,
    ) -> Reply {
        let fault = self.message_fault(link, &carrier, None, &[], early);
        let Refusal { row, status, text } = refusal;
        let verdicts = vec![Verdict::fail(row, text.clone())];
        let received = Received {
            carrier,
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
            has_news: false,
            fault,
        }
    }

    /// The agent broke the framing itself.
    pub(crate) fn on_breach(&mut self, now: Duration, link: LinkInfo, text: String) {
        let received = Received {
            carrier: Carrier::Frames(Vec::new()),
            body: Bytes::new(),
            message: None,
            parts: Vec::new(),
            is_full: false,
            error: Some(text.clone()),
        };
        let agent = self.links.get(&link.number).and_then(|link| link.agent);
        let verdicts = vec![Verdict::fail("WS-01", text)];
        self.push(now, agent, Some(link), verdicts, What::Received(received));
    }

    #[expect(clippy::too_many_arguments, reason = "the facts of one message")]
    fn judge(
        &self,
        now: Duration,
        link: LinkInfo,
        uid: Uuid,
        message: &AgentToServer,
        parts: &[&'static str],
        is_full: bool,
        run: Run,
        http: Option<&Head>,
    ) -> Vec<Verdict> {
        let live = self.links.get(&link.number);
        let mut verdicts = judge(&Facts {
            now,
            message,
            parts,
            is_full,
            uid,
            header_uid: http.map(|head| head.header("opamp-instance-uid")),
            is_new_run: run.is_new,
            is_repeated: run.is_repeated,
            agent: self.agents.get(&uid),
            is_offered: &|hash| self.offers.has(hash),
            socket: live.and_then(|link| link.socket.as_ref()),
        });
        verdicts.extend(live.and_then(|link| overlap(self, now, link)));
        verdicts
    }

    /// Where in the agent's life the message stands; with a new run the former one's report is
    /// forgotten.
    fn run(&mut self, uid: Uuid, message: &AgentToServer, body: &Bytes) -> Run {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let body = hasher.finish();
        let Some(agent) = self.agents.get_mut(&uid) else {
            return Run {
                is_new: false,
                is_repeated: false,
                body,
            };
        };
        let is_repeated = agent.is_repeated(body);
        let is_new = !is_repeated && agent.is_new_run(message);
        if is_new {
            agent.begin_run();
        }
        Run {
            is_new,
            is_repeated,
            body,
        }
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
        agent.connection = link.number;
        let watch = &mut agent.watch;
        watch.lost = 0;
        // The goodbye before such a silence does not break it.
        watch.not_before = watch
            .not_before
            .filter(|_| message.agent_disconnect.is_some());
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
            if let Some(socket) = &mut live.socket {
                socket.messages += 1;
                socket.has_goodbye |= message.agent_disconnect.is_some();
            }
        }
    }
}

/// What a message is to the ones before it.
#[derive(Clone, Copy)]
struct Run {
    is_new: bool,
    is_repeated: bool,
    /// A hash of its bytes.
    body: u64,
}

/// Why a request is not taken.
struct Refusal {
    row: &'static str,
    status: u16,
    text: String,
}

impl Refusal {
    fn of_socket(text: String) -> Self {
        Self {
            row: "WS-01",
            status: 400,
            text,
        }
    }
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
