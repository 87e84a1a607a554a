//! One run of an agent, from start to stop: the core with all that it needs, shared by the worker
//! and the calls.

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use crate::locks::Mutex;

use super::{
    client::Client,
    clock, convert,
    error::Result,
    event::EventKind,
    flush::{self, Flushes},
    identity,
    journal::Journal,
    log,
    mailbox::Mailbox,
    queue::Queue,
};
use crate::{
    protocol::{
        self, Action, AttemptId, Core, Deadline, Fact, FailKind, Input, Outcome, ServerRateLimit,
        Snapshot,
    },
    transport::{Facts, Headers, Hop, Proxies, Secrets, Traffic, Watch},
};

/// Buffers of messages larger than this are given back after use.
const KEPT_BUFFER: usize = 64 << 10;

/// Shared by the worker, the client's setters (through the mailbox) and the agent's calls.
pub(crate) struct Run {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) queue: Arc<Queue>,
    traffic: OnceLock<Arc<Traffic>>,
    is_host_transport: bool,
    client: Arc<Client>,
    shell: Mutex<Shell>,
    flushes: Flushes,
}

/// What the core is and what it wants; locked for moments only, never across a wait or a call of
/// the host.
struct Shell {
    core: Core,
    journal: Journal,
    headers: Arc<Headers>,
    /// Those of the last request: what its answer must not bring into an event or a log.
    shown: Arc<Headers>,
    proxies: Proxies,
    /// The last error_response's text, without them.
    refusal: Arc<str>,
    /// Where the core writes the next message.
    out: Vec<u8>,
    /// What the transport is still to be told; all of it concerns the present try.
    orders: VecDeque<Order>,
    /// The kept connection, and what is known of the server's addresses, is not to be used any
    /// more.
    must_forget: bool,
    /// The exchange or connection that is open or about to be, and what is known of it.
    present: Option<Try>,
    next: Option<Deadline>,
    /// The host was told something since the last exchange; its answer is likely to come soon.
    is_answer_likely: bool,
    /// The client has had the carry since the last news.
    is_shared: bool,
    is_over: bool,
    hops: Hops,
}

/// A server that redirects each try is told of ever more rarely (LOG-11).
#[derive(Default)]
struct Hops {
    budget: ServerRateLimit,
    /// Those of the present try are told.
    are_told: bool,
    left_out: u64,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    id: AttemptId,
    /// The core knows that there is a connection, or will be told by the transport.
    is_opened: bool,
    must_end: bool,
}

enum Order {
    Exchange(AttemptId, Vec<u8>),
    Connect(AttemptId),
    Send(Vec<u8>, Option<u64>),
    Close(AttemptId, Option<u16>),
}

/// A try to begin, and what its request shows of us.
pub(crate) struct Begin {
    pub(crate) id: AttemptId,
    pub(crate) headers: Arc<Headers>,
    pub(crate) instance_uid: String,
    pub(crate) on_new_connection: bool,
}

/// What the worker does next.
pub(crate) enum Next {
    /// HTTP: send this message and wait for its answer.
    Exchange(Begin, Vec<u8>),
    /// WebSocket: the same in pieces.
    Connect(Begin),
    Send {
        body: Vec<u8>,
        marker: Option<u64>,
    },
    Close {
        id: AttemptId,
        code: Option<u16>,
    },
    Rest {
        limit: Option<Duration>,
        is_answer_likely: bool,
    },
    Over,
}

impl Run {
    pub(crate) fn new(
        (client, queue, mailbox): (&Arc<Client>, &Arc<Queue>, Arc<Mailbox>),
        core: Core,
        journal: Journal,
        (headers, proxies): (Arc<Headers>, Proxies),
        is_host_transport: bool,
    ) -> Arc<Self> {
        let shell = Shell {
            core,
            journal,
            shown: headers.clone(),
            headers,
            proxies,
            refusal: Arc::default(),
            out: Vec::new(),
            orders: VecDeque::new(),
            must_forget: false,
            present: None,
            next: None,
            is_answer_likely: false,
            is_shared: false,
            is_over: false,
            hops: Hops::default(),
        };
        Arc::new(Self {
            mailbox,
            queue: queue.clone(),
            traffic: OnceLock::new(),
            is_host_transport,
            client: client.clone(),
            shell: Mutex::new(shell),
            flushes: Flushes::default(),
        })
    }

    /// Told once, before the worker begins.
    pub(crate) fn set_traffic(&self, traffic: Arc<Traffic>) {
        let _ = self.traffic.set(traffic);
    }

    /// What the transport knows of its connection.
    pub(crate) fn traffic(&self) -> Option<Facts> {
        self.traffic.get().map(|traffic| traffic.facts())
    }

    /// The first input: from now on the core wants things.
    pub(crate) fn begin(&self) {
        self.with_shell(|shell| self.feed(shell, Input::Start));
    }

    /// Takes in what the host's threads left, and the time; says what to do now.
    pub(crate) fn turn(&self) -> Next {
        self.with_shell(|shell| {
            self.take_in(shell);
            if let Some(order) = shell.orders.pop_front() {
                return match order {
                    Order::Exchange(id, body) => Next::Exchange(shell.begin(id), body),
                    Order::Connect(id) => Next::Connect(shell.begin(id)),
                    Order::Send(body, marker) => {
                        shell.is_answer_likely = false;
                        Next::Send { body, marker }
                    }
                    Order::Close(id, code) => Next::Close { id, code },
                };
            }
            match shell.next {
                _ if shell.is_over => Next::Over,
                next => Next::Rest {
                    limit: next.map(|deadline| deadline.at.since(clock::now())),
                    is_answer_likely: shell.is_answer_likely,
                },
            }
        })
    }

    /// The exchange has ended.
    pub(crate) fn on_exchange_over(&self, id: AttemptId, buffer: Vec<u8>, fact: Fact) {
        self.with_shell(|shell| {
            shell.take_back(buffer);
            shell.end_try();
            shell.is_answer_likely = false;
            shell.journal.on_fact(&fact);
            self.feed_news(shell, Input::Link { id, fact });
        });
    }

    /// WebSocket: what was seen of the connection, and a buffer that is not needed any more.
    pub(crate) fn on_fact(&self, id: AttemptId, fact: Fact, buffer: Vec<u8>) {
        self.with_shell(|shell| {
            shell.take_back(buffer);
            if let Fact::Over(_) = fact {
                shell.end_try();
            }
            shell.journal.on_fact(&fact);
            match fact {
                Fact::Message(_) => self.feed_news(shell, Input::Link { id, fact }),
                fact => self.feed(shell, Input::Link { id, fact }),
            }
        });
    }

    pub(crate) fn say(&self, level: log::Level, line: impl FnOnce() -> String) {
        self.with_shell(|shell| shell.journal.say(level, line));
    }

    /// The server's URL and the proxy to it.
    pub(crate) fn way(&self) -> Arc<str> {
        self.shell.lock().journal.way()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let shell = self.shell.lock();
        let mut snapshot = shell.core.snapshot();
        if let Some((_, failure)) = &mut snapshot.last_error {
            if failure.kind == FailKind::Server {
                failure.text = shell.refusal.clone();
            }
        }
        snapshot
    }

    /// Leaves everything that a restart needs with the client.
    pub(crate) fn end(&self) {
        let carry = self.shell.lock().core.carry();
        // Setters put their mail with the client locked: what they say goes to this run or stays
        // with the client.
        let mut state = self.client.state();
        let mut unread = self.mailbox.close();
        let late = std::mem::take(&mut unread.reports);
        state.detach(carry, unread);
        drop(state);
        for report in late.iter().filter(|report| !flush::is_flush(report.ticket)) {
            let error = convert::error_of_outcome(Outcome::Stopped);
            let ticket = report.ticket;
            self.queue.push(EventKind::SendDone { ticket, error });
        }
        self.flushes.end();
    }

    /// Waits until all that was set before is confirmed.
    pub(crate) fn flush(&self, ticket: u64, timeout: Option<Duration>) -> Result<()> {
        self.flushes.wait(&self.mailbox, ticket, timeout)
    }

    /// Locks the core, then hands out what was logged meanwhile.
    fn with_shell<T>(&self, work: impl FnOnce(&mut Shell) -> T) -> T {
        let mut shell = self.shell.lock();
        let result = work(&mut shell);
        let lines = shell.journal.take();
        if lines.is_empty() {
            return result;
        }
        let as_events: Vec<bool> = lines
            .iter()
            .map(|(level, _)| shell.journal.is_event(*level))
            .collect();
        drop(shell);
        for ((level, line), is_event) in lines.into_iter().zip(as_events) {
            log::line(level, &line);
            if is_event {
                self.queue.push(EventKind::Log { level, line });
            }
        }
        result
    }

    /// Is a server likely to read what is being sent? Of the host's own stack nothing else can be
    /// known.
    fn is_connected(&self) -> bool {
        self.is_host_transport || self.traffic.get().is_some_and(|t| t.is_connected())
    }

    fn feed(&self, shell: &mut Shell, input: Input) {
        shell.core.handle(clock::now(), input);
        loop {
            match shell.core.poll(&mut shell.out) {
                Action::Connect { id } => {
                    shell.begin_try(id, true);
                    shell.orders.push_back(Order::Connect(id));
                }
                Action::Send { id, marker } => {
                    let body = std::mem::take(&mut shell.out);
                    // On a connection, or an exchange that begins with it.
                    let order = if shell.is_present(id) {
                        Order::Send(body, marker)
                    } else {
                        shell.begin_try(id, false);
                        Order::Exchange(id, body)
                    };
                    shell.orders.push_back(order);
                }
                Action::Close { id, code } => {
                    if let Some(present) = shell.present.as_mut().filter(|p| p.id == id) {
                        present.must_end = true;
                        shell.orders.push_back(Order::Close(id, code));
                    }
                }
                Action::Tell { event, left_out } => {
                    shell.journal.note_left_out(left_out);
                    self.tell(shell, event, left_out);
                }
                Action::Wait(next) => {
                    shell.next = next;
                    return;
                }
            }
        }
    }

    fn take_in(&self, shell: &mut Shell) {
        if shell.is_over {
            return; // what comes now is for `end`: the core has told of its last
        }
        let mail = self.mailbox.collect();
        let verdict = mail.as_ref().and_then(|mail| mail.verdict.clone());
        if let Some(mail) = mail {
            if let Some(headers) = &mail.headers {
                shell.headers = headers.clone();
            }
            shell.must_forget |= mail.reconnect;
            for input in convert::inputs_of(*mail) {
                self.feed(shell, input);
            }
        }
        if shell.next.is_some_and(|next| next.at <= clock::now()) {
            self.feed(shell, Input::Deadline);
        }
        if let Some(verdict) = verdict {
            self.share(shell);
            if self.client.state().carry.verdict.as_ref() == Some(&verdict) {
                shell.journal.on_verdict(verdict);
            }
        }
    }

    /// Feeds what may change the carry. Once the host was told, it is shared already, and the
    /// host's own thread, which may answer just now, is not to wait for the client's lock.
    fn feed_news(&self, shell: &mut Shell, input: Input) {
        shell.is_shared = false;
        self.feed(shell, input);
        if !shell.is_shared {
            self.share(shell);
        }
        let (is_known, interval) = (shell.core.is_status_known(), shell.core.server_interval());
        shell.journal.on_news(clock::now(), is_known, interval);
    }

    /// The client judges by it which verdicts and uids the host may set.
    fn share(&self, shell: &mut Shell) {
        self.client.state().carry = shell.core.carry();
        shell.is_shared = true;
    }

    fn tell(&self, shell: &mut Shell, mut event: protocol::Event, left_out: u64) {
        shell.hide_secrets(&mut event);
        shell
            .journal
            .on_event(clock::now(), &event, || self.traffic());
        match event {
            protocol::Event::Stopped => {
                shell.is_over = true;
            }
            protocol::Event::SendDone { ticket, outcome } => {
                if flush::is_flush(ticket) {
                    self.flushes.on_done(ticket, outcome);
                } else {
                    let error = convert::error_of_outcome(outcome);
                    self.queue.push(EventKind::SendDone { ticket, error });
                }
            }
            other => {
                // The host may answer an offer the moment it sees it, so the client must know it
                // before.
                if matches!(
                    other,
                    protocol::Event::Message(_) | protocol::Event::NewUid(_)
                ) {
                    self.share(shell);
                    shell.is_answer_likely = true;
                }
                if let Some(kind) = convert::event_kind(other) {
                    self.queue.push_after(kind, left_out);
                }
            }
        }
    }
}

/// What an exchange asks while it blocks: the core lives on, and may want the exchange to end.
pub(crate) struct Lifeline(pub(crate) Arc<Run>);

impl Watch for Lifeline {
    fn check(&self) -> ControlFlow<(), Option<Instant>> {
        let run = &self.0;
        run.with_shell(|shell| {
            let news = shell
                .present
                .as_mut()
                .filter(|present| !present.is_opened && run.is_connected());
            if let Some(present) = news {
                present.is_opened = true;
                let id = present.id;
                let fact = Fact::Opened;
                run.feed(shell, Input::Link { id, fact });
            }
            run.take_in(shell);
            match shell.present {
                Some(Try { must_end: true, .. }) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(shell.next.map(|next| clock::instant_of(next.at))),
            }
        })
    }

    fn on_redirect(&self, hop: Hop) {
        let left_out = self.0.with_shell(|shell| {
            let left_out = shell.hops.on_hop(hop.number)?;
            shell.journal.note_left_out(left_out);
            shell.journal.on_redirect(&hop);
            Some(left_out)
        });
        if let Some(left_out) = left_out {
            self.0.queue.push_after(EventKind::Redirect(hop), left_out);
        }
    }
}

impl Hops {
    /// How many were left out before the one that is told now; `None`: this one is, too.
    fn on_hop(&mut self, number: u32) -> Option<u64> {
        let now = clock::now();
        if number <= 1 {
            self.are_told = self.budget.next() <= now;
            if self.are_told {
                self.budget.spend(now);
            }
        }
        if self.are_told {
            return Some(std::mem::take(&mut self.left_out));
        }
        self.left_out += 1;
        None
    }
}

impl Shell {
    fn is_present(&self, id: AttemptId) -> bool {
        self.present.is_some_and(|present| present.id == id)
    }

    /// From here on: a stop that comes before the worker takes it up must find it.
    fn begin_try(&mut self, id: AttemptId, is_opened: bool) {
        self.present = Some(Try {
            id,
            is_opened,
            must_end: false,
        });
    }

    /// What was still to be told of it is of no use any more.
    fn end_try(&mut self) {
        self.present = None;
        self.orders.clear();
    }

    fn begin(&mut self, id: AttemptId) -> Begin {
        self.shown = self.headers.clone();
        Begin {
            id,
            headers: self.headers.clone(),
            instance_uid: identity::uid_text(self.core.instance_uid()),
            on_new_connection: std::mem::take(&mut self.must_forget),
        }
    }

    fn take_back(&mut self, mut buffer: Vec<u8>) {
        if self.out.capacity() == 0 {
            buffer.clear();
            buffer.shrink_to(KEPT_BUFFER);
            self.out = buffer;
        }
    }

    /// Some servers show the request that they refuse, its headers included.
    fn hide_secrets(&mut self, event: &mut protocol::Event) {
        let secrets = Secrets::new(&self.shown, &self.proxies);
        match event {
            protocol::Event::ServerError { text, .. } => {
                *text = secrets.quoted(text).into();
                self.refusal = text.clone();
            }
            protocol::Event::SendDone {
                outcome: Outcome::GaveUp(failure),
                ..
            } if failure.kind == FailKind::Server => {
                failure.text = secrets.quoted(&failure.text).into();
            }
            _ => {}
        }
    }
}
