//! What the agent says in the log: changes of state, not every step. A first failure, a new reason,
//! then ever more rarely, then recovery.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use super::{
    flush,
    log::{self, Level},
};
use crate::{
    protocol::{
        ConfigState, Event, Fact, FailKind, Failure, Outcome, RemoteConfigStatus, ServerErrorKind,
        Time, UpdateRateLimit,
    },
    transport::{Facts, Hop},
};

/// A failure whose reason stays the same is told again after this time.
const TOLD_AGAIN: Duration = Duration::from_secs(600);
/// A server may change its mind about the interval as often as it answers.
const INTERVAL_TOLD_AGAIN: Duration = Duration::from_secs(30);
/// Bytes of a hash that are shown.
const HASH_SHOWN: usize = 32;

/// Collects lines while the agent's state is locked; they are handed out afterwards.
#[derive(Default)]
pub(crate) struct Journal {
    /// The most that anybody wants to hear as events.
    events_level: Option<Level>,
    about: About,
    failures: u64,
    last_failure: Option<ToldFailure>,
    /// The host's last word on an offer, until the server has confirmed it.
    verdict: Option<RemoteConfigStatus>,
    interval: Option<Duration>,
    interval_told: Option<Time>,
    /// Of lines about offers at INFO: who answers each at once is offered the next as fast.
    offer_lines: UpdateRateLimit,
    is_offer_quiet: bool,
    /// So many of the kind of the next line were left out.
    left_out: u64,
    lines: Vec<(Level, Arc<str>)>,
}

/// Which agent it is, and where its server is.
#[derive(Default)]
pub(crate) struct About {
    pub(crate) name: Option<Arc<str>>,
    /// Stands for a name.
    pub(crate) uid: String,
    /// The server's URL and the proxy, without secrets.
    pub(crate) way: Arc<str>,
    /// In force since an earlier run.
    pub(crate) interval: Option<Duration>,
}

struct ToldFailure {
    kind: FailKind,
    status: Option<u16>,
    text: Arc<str>,
    /// How often it came in a row.
    times: u64,
    told: Time,
}

impl Journal {
    pub(crate) fn new(events_level: Level, about: About) -> Self {
        let events_level = (events_level > Level::Off).then_some(events_level);
        Self {
            events_level,
            interval: about.interval,
            about,
            ..Self::default()
        }
    }

    pub(crate) fn way(&self) -> Arc<str> {
        self.about.way.clone()
    }

    /// Are lines of this level asked for as events?
    pub(crate) fn is_event(&self, level: Level) -> bool {
        self.events_level.is_some_and(|most| level <= most)
    }

    pub(crate) fn take(&mut self) -> Vec<(Level, Arc<str>)> {
        std::mem::take(&mut self.lines)
    }

    /// Each line names its agent.
    pub(crate) fn say(&mut self, level: Level, line: impl FnOnce() -> String) {
        if log::is_wanted(level) || self.is_event(level) {
            let who = self.about.name.as_deref().unwrap_or(&self.about.uid);
            let mut line = format!("[{who}] {}", line());
            let left_out = std::mem::take(&mut self.left_out);
            if left_out > 0 {
                let _ = write!(line, " ({left_out} more like this were left out)");
            }
            self.lines.push((level, line.into()));
        }
    }

    fn offer_level(&self) -> Level {
        match self.is_offer_quiet {
            true => Level::Debug,
            false => Level::Info,
        }
    }

    /// Of the event that is told next.
    pub(crate) const fn note_left_out(&mut self, count: u64) {
        self.left_out = count;
    }

    /// Paths and queries stay out: they may hold a token.
    pub(crate) fn on_redirect(&mut self, hop: &Hop) {
        let origin = |url: &str| url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        self.say(Level::Debug, || {
            let (from, to) = (origin(&hop.from), origin(&hop.to));
            format!("redirected from {from} to {to} (HTTP {})", hop.status)
        });
    }

    pub(crate) fn on_fact(&mut self, fact: &Fact) {
        if let Fact::Message(bytes) = fact {
            let length = bytes.len();
            self.say(Level::Debug, || format!("message received: {length} bytes"));
        }
    }

    /// The host's word on an offer, as far as the core took it.
    pub(crate) fn on_verdict(&mut self, verdict: RemoteConfigStatus) {
        self.say(self.offer_level(), || {
            let (state, hash) = (name_of(verdict.state()), shown(verdict.hash()));
            format!("remote configuration {state}: hash {hash}")
        });
        self.verdict = Some(verdict);
    }

    /// The server knows the status of the last offer, and its own interval is in force.
    pub(crate) fn on_news(&mut self, now: Time, is_status_known: bool, interval: Option<Duration>) {
        if let Some(verdict) = self.verdict.take_if(|_| is_status_known) {
            self.say(self.offer_level(), || {
                let (state, hash) = (name_of(verdict.state()), shown(verdict.hash()));
                format!("server confirmed remote configuration {state}: hash {hash}")
            });
        }
        if self.interval == interval {
            return;
        }
        self.interval = interval;
        let Some(interval) = interval else { return };
        let is_soon = |told: Time| now.since(told) < INTERVAL_TOLD_AGAIN;
        let level = if self.interval_told.is_some_and(is_soon) {
            Level::Debug
        } else {
            self.interval_told = Some(now);
            Level::Info
        };
        self.say(level, || {
            format!(
                "heartbeat interval set by the server: {}",
                seconds(interval)
            )
        });
    }

    pub(crate) fn on_event(
        &mut self,
        now: Time,
        event: &Event,
        facts: impl FnOnce() -> Option<Facts>,
    ) {
        match event {
            Event::Connected { after_failures } => {
                self.failures = 0;
                self.last_failure = None;
                self.say(Level::Info, || connected(*after_failures, facts()));
            }
            Event::Answered => {}
            Event::ConnectFailed { failure, retry_in } => self.on_failure(now, failure, *retry_in),
            Event::ServerError { kind, text, .. } => self.say(Level::Warn, || {
                let kind = match kind {
                    ServerErrorKind::Unknown => "UNKNOWN",
                    ServerErrorKind::BadRequest => "BAD_REQUEST",
                    ServerErrorKind::Unavailable => "UNAVAILABLE",
                };
                format!("server error {kind}: {text}")
            }),
            Event::Message(message) => {
                if let Some(offer) = &message.remote_config {
                    self.is_offer_quiet = self.offer_lines.next() > now;
                    self.offer_lines.spend(now);
                    self.say(self.offer_level(), || {
                        let files = offer.files.config_map.len();
                        let hash = shown(&offer.hash);
                        format!("remote configuration offered: {files} files, hash {hash}")
                    });
                }
            }
            Event::NewUid(uid) => {
                let uid = super::identity::uid_text(uid);
                self.say(Level::Info, || {
                    format!("new instance uid assigned by the server: {uid}")
                });
                self.about.uid = uid;
            }
            Event::Warning { text, .. } => self.say(Level::Warn, || text.to_string()),
            Event::SendDone { ticket, outcome } => self.say(Level::Debug, || {
                let what = match flush::is_flush(*ticket) {
                    true => "flush".to_owned(),
                    false => format!("report {ticket}"),
                };
                match outcome {
                    Outcome::Confirmed => format!("{what} confirmed"),
                    _ => format!("{what} not confirmed"),
                }
            }),
            Event::Stopped => self.say(Level::Info, || "stopped".into()),
        }
    }

    /// Told: a new reason, its 2nd, 4th, 8th time (a server that stays away for a day fills no
    /// disk), and the first after a while.
    fn on_failure(&mut self, now: Time, failure: &Failure, retry_in: Option<Duration>) {
        self.failures += 1;
        let is_same = |last: &&mut ToldFailure| {
            (last.kind, last.status) == (failure.kind, failure.status) && last.text == failure.text
        };
        let is_told = match self.last_failure.as_mut().filter(is_same) {
            Some(last) => {
                last.times += 1;
                let is_due = now.since(last.told) >= TOLD_AGAIN;
                let is_told = last.times.is_power_of_two() || is_due;
                if is_told {
                    last.told = now;
                }
                is_told
            }
            None => {
                self.last_failure = Some(ToldFailure {
                    kind: failure.kind,
                    status: failure.status,
                    text: failure.text.clone(),
                    times: 1,
                    told: now,
                });
                true
            }
        };
        let level = if is_told { Level::Warn } else { Level::Debug };
        let (count, way) = (self.failures, self.about.way.clone());
        self.say(level, || {
            let text = &failure.text;
            let mut line = format!("attempt failed ({count} in a row): ");
            // Some texts begin with it.
            if !text.starts_with(&*way) {
                let _ = write!(line, "{way}: ");
            }
            line.push_str(text);
            match retry_in {
                None => {}
                Some(wait) if wait < Duration::from_millis(1) => line.push_str("; retrying now"),
                Some(wait) => {
                    let _ = write!(line, "; retrying in {}", seconds(wait));
                }
            }
            line
        });
    }
}

fn connected(after_failures: u32, facts: Option<Facts>) -> String {
    let mut line = String::from("connected");
    if let Some(Facts {
        peer: Some(peer),
        tls,
        ..
    }) = facts
    {
        let _ = write!(line, " to {peer}");
        if let Some(version) = tls {
            let _ = write!(line, " with {version}");
        }
    }
    match after_failures {
        0 => {}
        1 => line.push_str(" after 1 failed attempt"),
        more => {
            let _ = write!(line, " after {more} failed attempts");
        }
    }
    line
}

fn name_of(state: ConfigState) -> &'static str {
    match state {
        ConfigState::Unset => "UNSET",
        ConfigState::Applied => "APPLIED",
        ConfigState::Applying => "APPLYING",
        ConfigState::Failed => "FAILED",
    }
}

/// Hexadecimal digits of a hash, not more than a line has room for.
fn shown(hash: &[u8]) -> String {
    let mut text = String::new();
    for byte in hash.iter().take(HASH_SHOWN) {
        let _ = write!(text, "{byte:02x}");
    }
    if hash.len() > HASH_SHOWN {
        text.push_str("..");
    }
    text
}

/// `20 ms` or `1.5 s`.
fn seconds(time: Duration) -> String {
    match time.as_millis() {
        0..1000 => format!("{} ms", time.as_millis()),
        _ => format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    use crate::protocol::{Message, MessageParts, ReachedServer, RemoteConfig};

    const START: Time = Time::from_micros(1_000_000);

    fn journal() -> Journal {
        let about = About {
            name: Some("shop".into()),
            way: "http://a:1/x through the proxy b:2".into(),
            ..About::default()
        };
        Journal::new(Level::Debug, about)
    }

    fn fail(journal: &mut Journal, now: Time, kind: FailKind, text: &str) -> (Level, String) {
        let failure = Failure::new(kind, ReachedServer::No, text);
        let retry_in = Some(Duration::from_millis(20));
        journal.on_event(now, &Event::ConnectFailed { failure, retry_in }, || None);
        let (level, line) = journal.take().pop().unwrap();
        (level, line.to_string())
    }

    #[test]
    fn changed_failure_reason_is_warned() {
        let mut journal = journal();
        let (level, line) = fail(&mut journal, START, FailKind::Connect, "refused");
        assert_eq!(level, Level::Warn);
        let way = "http://a:1/x through the proxy b:2";
        let said = format!("[shop] attempt failed (1 in a row): {way}: refused; retrying in 20 ms");
        assert_eq!(line, said);
        let mut levels = Vec::new();
        for text in ["refused", "refused", "reset", "reset", "reset", "refused"] {
            levels.push(fail(&mut journal, START, FailKind::Connect, text).0);
        }
        use Level::{Debug, Warn};
        assert_eq!(levels, [Warn, Debug, Warn, Warn, Debug, Warn]);
        let (level, line) = fail(&mut journal, START, FailKind::Tls, "refused");
        assert_eq!(level, Warn);
        assert!(line.contains("(8 in a row)"), "{line}");
    }

    #[test]
    fn same_failure_is_warned_again_after_ten_minutes() {
        let mut journal = journal();
        let at = |seconds| START + Duration::from_secs(seconds);
        let mut warned = Vec::new();
        for seconds in (0..2000).step_by(10) {
            let (level, _) = fail(&mut journal, at(seconds), FailKind::Connect, "refused");
            if level == Level::Warn {
                warned.push(seconds);
            }
        }
        assert_eq!(warned, [0, 10, 30, 70, 150, 310, 630, 1230, 1270, 1870]);
    }

    #[test]
    fn recovery_counts_failed_attempts() {
        let line = |after_failures| connected(after_failures, None);
        assert_eq!(line(0), "connected");
        assert_eq!(line(1), "connected after 1 failed attempt");
        assert_eq!(line(2), "connected after 2 failed attempts");
    }

    #[test]
    fn server_interval_is_told_once() {
        let mut journal = journal();
        let second = |number| Some(Duration::from_secs(number));
        journal.on_news(START, true, second(10));
        journal.on_news(START, true, second(10));
        journal.on_news(START, true, second(20));
        journal.on_news(START + INTERVAL_TOLD_AGAIN, true, second(10));
        let lines = journal.take();
        let levels: Vec<_> = lines.iter().map(|(level, _)| *level).collect();
        assert_eq!(levels, [Level::Info, Level::Debug, Level::Info]);
        assert_eq!(
            &*lines[0].1,
            "[shop] heartbeat interval set by the server: 10.0 s"
        );
    }

    #[test]
    fn flush_is_no_report_with_a_number() {
        let mut journal = journal();
        let ticket = 1 | 1 << 63;
        let outcome = Outcome::Confirmed;
        journal.on_event(START, &Event::SendDone { ticket, outcome }, || None);
        assert_eq!(&*journal.take()[0].1, "[shop] flush confirmed");
    }

    /// [LOG-11]
    #[test]
    fn offers_without_end_are_told_at_debug() {
        let mut journal = journal();
        for _ in 0..100 {
            let offer = Message {
                parts: MessageParts::REMOTE_CONFIG,
                remote_config: Some(RemoteConfig {
                    files: Arc::default(),
                    hash: Bytes::from_static(b"one"),
                }),
                flags: 0,
                capabilities: 0,
                raw: Bytes::new(),
            };
            journal.on_event(START, &Event::Message(offer), || None);
        }
        let lines = journal.take();
        let count = lines.iter().filter(|(level, _)| *level == Level::Info);
        assert_eq!((lines.len(), count.count()), (100, 32));
    }
}
