//! What the server knows.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::vocabulary::codec;
use crate::vocabulary::cut::How;
use crate::vocabulary::verdict::Verdict;
use crate::world::agents::{Agent, Next};
use crate::world::faults::Faults;
use crate::world::offers::Offers;
use crate::world::socket::Socket;
use crate::world::timeline::{Entry, LinkInfo, Timeline, What};

/// All capabilities of the schema: what a server offers that was told nothing else.
const ALL_CAPABILITIES: u64 = 127;

pub(crate) struct State {
    pub(crate) timeline: Timeline,
    pub(crate) agents: BTreeMap<Uuid, Agent>,
    /// Uids that were assigned and not used yet, each with its agent's present one.
    pub(crate) assigned: BTreeMap<Uuid, Uuid>,
    pub(crate) offers: Offers,
    pub(crate) capabilities: u64,
    pub(crate) faults: Faults,
    /// Answers that wait for the next message of whatever agent.
    pub(crate) next: Vec<Next>,
    pub(crate) links: BTreeMap<u64, Link>,
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    /// When each agent asked for a WebSocket in the last minute.
    pub(crate) upgrades: BTreeMap<Uuid, VecDeque<Duration>>,
    /// The certificate of TLS handshakes to come.
    pub(crate) certificate: String,
    pub(crate) port: Port,
    /// OpAMP without TLS is refused.
    pub(crate) wants_tls: bool,
}

/// What the OpAMP port does with who wants to connect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Port {
    Accepts,
    /// The port is down.
    Refuses,
    /// The host does not answer.
    Hangs,
}

/// A live connection.
pub(crate) struct Link {
    pub(crate) info: LinkInfo,
    pub(crate) agent: Option<Uuid>,
    /// Ends it.
    pub(crate) end: mpsc::UnboundedSender<How>,
    /// A rule of connections met it.
    pub(crate) is_spoilt: bool,
    /// Set once it is a WebSocket.
    pub(crate) socket: Option<Socket>,
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
            upgrades: BTreeMap::new(),
            certificate: "server".into(),
            port: Port::Accepts,
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

    /// A WebSocket is no more: nobody is there to push to, unless another process has gone on under
    /// the same uid.
    pub(crate) fn on_socket_gone(&mut self, now: Duration, agent: Option<Uuid>, number: u64) {
        let other = self
            .links
            .values()
            .filter(|link| link.socket.is_some() && agent.is_some() && link.agent == agent)
            .map(|link| link.info.number)
            .find(|other| *other != number);
        let agent = agent.and_then(|uid| self.agents.get_mut(&uid));
        let Some(agent) = agent.filter(|agent| agent.connection == number) else {
            return;
        };
        match other {
            Some(other) => agent.connection = other,
            None => {
                agent.gone.get_or_insert((now, "connection ended"));
            }
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
            "capabilities": codec::mask("ServerCapabilities", self.capabilities),
            "listening": self.port == Port::Accepts,
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
    /// The live WebSocket connections of one agent or all, or the one of that number.
    pub(crate) fn sockets(
        &self,
        agent: Option<Uuid>,
        connection: Option<u64>,
    ) -> impl Iterator<Item = (&Link, &Socket)> {
        let meant = self.links.values().filter(move |link| {
            agent.is_none_or(|agent| link.agent == Some(agent))
                && connection.is_none_or(|number| link.info.number == number)
        });
        meant.filter_map(|link| link.socket.as_ref().map(|socket| (link, socket)))
    }

    pub(crate) fn socket(&mut self, number: u64) -> Option<&mut Socket> {
        self.links
            .get_mut(&number)
            .and_then(|link| link.socket.as_mut())
    }
}
