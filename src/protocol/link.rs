//! What is open or on its way: at most one exchange or one connection (HTTP-06, WS-13).
use super::{failure::Failure, interface::AttemptId, reported::MessageIndex, time::Time};

/// RFC 6455: a normal end.
pub(super) const CLOSE_NORMAL: u16 = 1000;

#[derive(Default)]
pub(super) enum Link {
    #[default]
    Down,
    Exchange(Exchange),
    /// A WebSocket connection is being made.
    Opening {
        id: AttemptId,
        thawed: bool,
    },
    Open(Session),
    /// Closed or cut by us; its end is awaited.
    Closing(Closing),
}

/// One HTTP exchange.
pub(super) struct Exchange {
    pub(super) id: AttemptId,
    pub(super) mark: MessageIndex,
    /// A connection stands; a stop waits for the answer.
    pub(super) opened: bool,
    /// It repeats one that failed on a kept connection, or that a freeze cut (HTTP-14, LIFE-12).
    pub(super) repeats: bool,
    /// The process or the machine was frozen meanwhile.
    pub(super) thawed: bool,
    /// Nothing follows it but the end.
    pub(super) is_last: bool,
}

/// One WebSocket connection.
pub(super) struct Session {
    pub(super) id: AttemptId,
    pub(super) since: Time,
    /// The last `Send` is not in the kernel yet.
    pub(super) unwritten: bool,
    /// Messages built on this connection.
    pub(super) sent: u64,
    /// The message whose answer (and pong, if it carries news) is awaited for a moment before the
    /// next one leaves; a verdict does not wait.
    pub(super) awaited: Option<Awaited>,
    /// The last message with news.
    pub(super) last_news: MessageIndex,
    /// The last message with news that the peer has surely read.
    pub(super) ponged: MessageIndex,
    /// The last message with news when the peer spoke last.
    pub(super) heard_after: MessageIndex,
    /// The peer has read this one and has not spoken since: what it says next is about that.
    pub(super) unanswered: Option<MessageIndex>,
    /// The last message with news that the peer had read when its silence began to count.
    pub(super) silent_since: Option<MessageIndex>,
    /// It was given a second more after a freeze.
    pub(super) was_patient: bool,
    /// The peer has left news that it has read without an answer: nothing waits for its answers.
    pub(super) is_quiet: bool,
    /// The last message with news whose confirmation was asked for by one more message.
    pub(super) prodded: MessageIndex,
    /// Messages that have no answer yet.
    pub(super) owed: u32,
    /// None had when the last message came.
    pub(super) is_unasked: bool,
    /// A message left before the answer to the last one came: which one an answer belongs to is a
    /// guess from then on.
    pub(super) is_unclear: bool,
    /// A message could be decoded: one half of "stable".
    pub(super) answered: bool,
    pub(super) thawed: bool,
    pub(super) leaving: Option<Leaving>,
    /// Of the Close frame, when it comes to one.
    pub(super) code: u16,
    /// What the peer did that made us leave.
    pub(super) fault: Option<Failure>,
}

pub(super) struct Awaited {
    pub(super) mark: MessageIndex,
    pub(super) ponged: bool,
    pub(super) answered: bool,
    /// No longer than this.
    pub(super) until: Time,
}

/// The way out that we take on a working connection (WS-15).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    Wanted,
    /// The last message was built.
    Said,
}

pub(super) struct Closing {
    pub(super) id: AttemptId,
    /// We meant to: its end is no failure.
    pub(super) meant: bool,
    /// The failure is this one, whatever the end looks like.
    pub(super) fault: Option<Failure>,
    /// Nothing more to wait for than `Over`.
    pub(super) is_cut: bool,
    /// What the shell must still be told: a Close frame with this code, or a cut.
    pub(super) order: Option<Option<u16>>,
    unsent: bool,
    pub(super) thawed: bool,
    /// The exchange that was cut, should its answer have come in that moment.
    exchange: Option<Exchange>,
}

impl Closing {
    /// A Close frame, and the wait for the peer's.
    pub(super) fn of(session: &mut Session) -> Self {
        Self {
            id: session.id,
            meant: true,
            fault: session.fault.take(),
            is_cut: false,
            order: Some(Some(if planted!(CodeOfFaultLost) {
                CLOSE_NORMAL
            } else {
                session.code
            })),
            unsent: false,
            thawed: false,
            exchange: None,
        }
    }

    /// What is open is cut now. `meant`: it was to end anyway.
    fn cut(link: Link, meant: bool) -> Option<Self> {
        let mut cut = Self {
            id: link.id()?,
            meant,
            fault: None,
            is_cut: true,
            order: Some(None),
            unsent: link.has_unsent(),
            thawed: false,
            exchange: None,
        };
        match link {
            Link::Down => {}
            Link::Exchange(exchange) => {
                cut.thawed = exchange.thawed;
                cut.exchange = Some(exchange);
            }
            Link::Opening { thawed, .. } => cut.thawed = thawed,
            Link::Open(session) => {
                cut.meant |= session.leaving.is_some();
                cut.thawed = session.thawed;
                cut.fault = session.fault;
            }
            Link::Closing(closing) if closing.is_cut => return Some(closing),
            Link::Closing(closing) => {
                cut.meant = closing.meant;
                cut.thawed = closing.thawed;
                cut.fault = closing.fault;
            }
        }
        Some(cut)
    }
}

impl Link {
    pub(super) const fn id(&self) -> Option<AttemptId> {
        match self {
            Self::Down => None,
            Self::Exchange(Exchange { id, .. })
            | Self::Opening { id, .. }
            | Self::Open(Session { id, .. })
            | Self::Closing(Closing { id, .. }) => Some(*id),
        }
    }

    /// Whether the message built last may be one of which no byte has left.
    pub(super) const fn has_unsent(&self) -> bool {
        match self {
            Self::Down | Self::Opening { .. } => false,
            Self::Exchange(_) => true,
            Self::Open(session) => session.unwritten,
            Self::Closing(closing) => closing.unsent,
        }
    }

    /// No more waiting: the end of what is open is all that is awaited.
    pub(super) fn cut(&mut self, meant: bool) {
        *self = Closing::cut(std::mem::take(self), meant).map_or(Self::Down, Self::Closing);
    }

    /// An answer came, or a failure that the cut did not make: the exchange ends as any other.
    pub(super) fn uncut(&mut self, is_answer: bool) {
        if let Self::Closing(closing) = self {
            if let Some(exchange) = closing.exchange.take_if(|_| is_answer || !closing.meant) {
                *self = Self::Exchange(exchange);
            }
        }
    }

    /// WebSocket: the message that came last answers none of ours.
    pub(super) const fn is_unasked(&self) -> bool {
        matches!(self, Self::Open(session) if session.is_unasked)
    }

    /// The shell was told.
    pub(super) const fn on_close_ordered(&mut self) {
        if let Self::Closing(closing) = self {
            closing.order = None;
        }
    }

    /// The clock has jumped: what was open is probably dead.
    pub(super) fn on_thaw(&mut self) {
        match self {
            _ if planted!(FreezeIsFailure) => {}
            Self::Exchange(Exchange { thawed, .. }) | Self::Opening { thawed, .. } => {
                *thawed = true
            }
            Self::Open(session) => {
                session.thawed = true;
                // What the peer said meanwhile is still to be read.
                session.was_patient = false;
            }
            Self::Down | Self::Closing(_) => {}
        }
    }
}

impl Session {
    pub(super) const fn new(id: AttemptId, since: Time) -> Self {
        Self {
            id,
            since,
            unwritten: false,
            sent: 0,
            awaited: None,
            last_news: 0,
            ponged: 0,
            heard_after: 0,
            unanswered: None,
            silent_since: None,
            was_patient: false,
            is_quiet: false,
            prodded: 0,
            owed: 0,
            is_unasked: false,
            is_unclear: false,
            answered: false,
            thawed: false,
            leaving: None,
            code: CLOSE_NORMAL,
            fault: None,
        }
    }

    /// The peer spoke, whatever it said: the connection has outlived a freeze.
    pub(super) const fn on_heard(&mut self) {
        self.thawed = false;
        self.heard_after = self.last_news;
    }

    /// The peer has read the last news, and spoke before it said so: only what it says to another
    /// message confirms them.
    pub(super) const fn is_confirmation_late(&self) -> bool {
        self.prodded < self.last_news
            && self.ponged == self.last_news
            && self.heard_after == self.last_news
    }

    /// Something came that belongs to the awaited message; with both halves it is awaited no more.
    pub(super) fn on_awaited(&mut self, note: impl FnOnce(&mut Awaited)) {
        if let Some(awaited) = &mut self.awaited {
            note(awaited);
        }
        self.awaited
            .take_if(|awaited| awaited.ponged && awaited.answered);
    }

    /// Until when all but verdicts wait for the answer to the last message.
    pub(super) fn busy_until(&self) -> Option<Time> {
        self.awaited.as_ref().map(|awaited| awaited.until)
    }
}
