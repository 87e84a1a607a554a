//! What must hold on the wire at every step, judged from what the agent does and what it was told,
//! never from its inside.
use std::time::Duration;

use opamp::{proto::AgentCapabilities, proto::AgentToServer, protocol::*};

use crate::{
    refusals::Refusals,
    server::Said,
    told::{Told, Version, version_in},
};

/// Or the rule that was broken; the story has the rest.
pub(crate) type Verdict = Result<(), &'static str>;

macro_rules! rule {
    ($rule:literal: $holds:expr) => {
        if !$holds {
            return Err($rule);
        }
    };
}
pub(crate) use rule;

/// Per second: the host's burst and its one a second, three full reports, a heartbeat, two retries,
/// and one for luck.
const SENDS_A_SECOND: usize = 18;
/// A burst of three, then after 1, 2, 4, 8 and 16 s.
const HEARD_A_MINUTE: usize = 8;
/// WS-10.
const CONNECTS_A_MINUTE: usize = 12;
/// Per input, completions of reports apart.
pub(crate) const ACTIONS: usize = 12;
/// A put-off is believed up to this, and is this long when it names no time.
const CAP: Duration = Duration::from_secs(3600);
pub(crate) const OVERLOAD: Duration = Duration::from_secs(30);
const STABLE: Duration = Duration::from_secs(30);
/// How fast the shell ends what the agent cuts.
pub(crate) const CUT: Duration = Duration::from_millis(5);

#[derive(Default)]
pub(crate) struct Watch {
    is_http: bool,
    /// The exchange or connection that the shell carries out.
    pub(crate) open: Option<AttemptId>,
    pub(crate) this: Try,
    /// The HTTP connection may be used again.
    pub(crate) is_kept: bool,
    next_number: u64,
    /// The last message may still turn out to have reached nobody.
    pub(crate) is_unsent: bool,
    not_before: Option<Time>,
    failures: u32,
    /// The next try repeats one that a freeze or a kept connection ended, or the host asked for it.
    pub(crate) is_excused: bool,
    repeats: bool,
    /// The host must not hear of the loss.
    pub(crate) is_silent: bool,
    pub(crate) stop_by: Option<Time>,
    /// The stop is a detach.
    is_detached: bool,
    pub(crate) is_stopped: bool,
    sends: Vec<Time>,
    connects: Vec<Time>,
    pub(crate) refusals: Refusals,
    pub(crate) last_status: u32,
    /// A goodbye was in a message too large for the way.
    pub(crate) is_end_too_large: bool,
    /// The server takes no effective configuration.
    pub(crate) is_narrow: bool,
    /// When the host heard of what a peer can provoke, by kind.
    heard: Vec<(usize, Vec<Time>)>,
    /// Offers that the host has heard of.
    offers: Vec<Version>,
    /// The last one that came back: statuses of such have the peer's rate limit.
    repeated: Version,
    /// The host's word on an offer that came but once, not sent yet.
    pub(crate) verdict_due: Version,
}

/// The last exchange or connection.
#[derive(Default)]
pub(crate) struct Try {
    /// What its last message says.
    pub(crate) told: Told,
    opened: Option<Time>,
    /// Nothing arrives any more, either way.
    pub(crate) is_severed: bool,
    is_answered: bool,
    is_thawed: bool,
    said_goodbye: bool,
    /// With a goodbye, or by a detach.
    said_last: bool,
    /// All that was sent on this connection, and that the peer has not shown to have read.
    outstanding: Told,
    /// Messages that have no answer yet, and whether there have ever been two at a time.
    unanswered: u32,
    is_unclear: bool,
    /// A close is under way that we began or that the server asked for.
    is_leaving: bool,
    /// The agent waits for nothing but its end.
    is_closed: bool,
    /// The code of the peer's fault, and whether it makes this try a failure.
    code: Option<u16>,
    is_faulty: bool,
}

impl Try {
    /// The agent listens no more.
    const fn is_on_the_way_out(&self) -> bool {
        self.is_leaving || self.said_last
    }

    /// The connection outlived the freeze.
    const fn on_alive(&mut self) {
        self.is_thawed &= self.is_closed;
    }
}

// What the agent does.
impl Watch {
    pub(crate) fn new(is_http: bool, next_number: u64, not_before: Option<Time>) -> Self {
        Self {
            is_http,
            next_number,
            not_before,
            ..Self::default()
        }
    }

    pub(crate) fn on_connect(&mut self, now: Time, id: AttemptId) -> Verdict {
        self.begin(now, id)?;
        let is_excused = std::mem::take(&mut self.is_excused);
        let mut count = || count_within(Duration::from_secs(60), &mut self.connects, now);
        rule! { "connects a minute": is_excused || count() <= CONNECTS_A_MINUTE }
        Ok(())
    }

    pub(crate) fn on_send(&mut self, now: Time, id: AttemptId, message: &AgentToServer) -> Verdict {
        let is_goodbye = message.agent_disconnect.is_some();
        rule! { "nothing after the last words": !self.this.said_last }
        rule! { "a detach says no goodbye": !is_goodbye || !self.is_detached }
        if self.is_http {
            self.begin(now, id)?;
            rule! { "a goodbye is an end": self.stop_by.is_some() || !is_goodbye }
        } else {
            rule! { "one connection": self.open == Some(id) }
            rule! { "nothing before the gate": self.is_allowed(now) || is_goodbye }
        }
        rule! { "sequence numbers rise by one": message.sequence_num == self.next_number }
        self.next_number += 1;
        self.is_unsent = true;
        self.this.is_unclear |= self.this.unanswered > 0;
        self.this.unanswered += 1;
        self.this.said_goodbye = is_goodbye;
        self.this.said_last = is_goodbye || self.is_detached;
        let told = Told::by(message);
        self.this.told = told;
        self.this.outstanding = told.or(self.this.outstanding);
        rule! { "what was refused is held back": self.refusals.allow(now, told) }
        let declares = |bit: AgentCapabilities| message.capabilities & bit as u64 != 0;
        let is_declared = declares(AgentCapabilities::ReportsStatus)
            && (told.effective == 0 || declares(AgentCapabilities::ReportsEffectiveConfig))
            && (told.status == 0 || declares(AgentCapabilities::ReportsRemoteConfig));
        rule! { "only what is declared": is_declared }
        rule! { "only what the server accepts": told.effective == 0 || !self.is_narrow }
        self.check_rate(now, told)
    }

    fn begin(&mut self, now: Time, id: AttemptId) -> Verdict {
        rule! { "one exchange or connection": self.open.replace(id).is_none() }
        rule! { "nothing before the gate": self.is_allowed(now) }
        self.this = Try::default();
        rule! { "nothing after the end": !self.is_stopped }
        Ok(())
    }

    fn is_allowed(&self, now: Time) -> bool {
        self.not_before.is_none_or(|at| now >= at)
    }

    /// What a peer can make the host hear has a budget per kind.
    pub(crate) fn on_heard(&mut self, now: Time, event: &Event) -> Verdict {
        if matches!(
            event,
            Event::Warning {
                kind: WarningKind::ServerAsksTooOften,
                ..
            }
        ) {
            // The peer's rate limit has bitten: statuses of what it repeats wait for it.
            self.verdict_due = 0;
        }
        let kind = match event {
            Event::Warning { kind, .. } => *kind as usize,
            Event::ServerError { kind, .. } if *kind != ServerErrorKind::Unavailable => 100,
            Event::NewUid(_) => 101,
            Event::Message(Message {
                remote_config: Some(offer),
                ..
            }) => {
                let offer = version_in(&offer.hash);
                if !self.offers.contains(&offer) {
                    self.offers.push(offer);
                    return Ok(());
                }
                self.repeated = offer;
                102
            }
            _ => return Ok(()),
        };
        let at = self.heard.iter().position(|(of, _)| *of == kind);
        let at = at.unwrap_or_else(|| {
            self.heard.push((kind, Vec::new()));
            self.heard.len() - 1
        });
        let count = count_within(Duration::from_secs(60), &mut self.heard[at].1, now);
        // At the end nothing is kept back.
        rule! { "no storms into the host": count <= HEARD_A_MINUTE || self.stop_by.is_some() }
        Ok(())
    }

    /// The host has given its word on the offer that it heard last.
    pub(crate) fn on_verdict(&mut self, offer: Version, status: Version) {
        let is_first = self.offers.last() == Some(&offer) && self.repeated != offer;
        let is_new = is_first && status != self.last_status;
        self.verdict_due = if is_new { status } else { 0 };
    }

    fn check_verdict(&self, now: Time) -> Verdict {
        let has_way = !self.is_http
            && self.this.opened.is_some()
            && !self.is_unsent
            && !self.this.is_on_the_way_out()
            && !self.this.is_closed
            && self.stop_by.is_none()
            && self.is_allowed(now);
        rule! { "a verdict waits for no answer": self.verdict_due == 0 || !has_way }
        Ok(())
    }

    fn check_rate(&mut self, now: Time, told: Told) -> Verdict {
        if told.status != 0 {
            self.verdict_due = 0;
        }
        let is_verdict = told.status != 0 && told.status != self.last_status;
        if is_verdict {
            self.last_status = told.status;
        }
        let is_exempt = is_verdict || self.is_http && std::mem::take(&mut self.is_excused);
        let mut count = || count_within(Duration::from_secs(1), &mut self.sends, now);
        rule! { "sends a second": is_exempt || count() <= SENDS_A_SECOND }
        Ok(())
    }

    pub(crate) fn on_close(&mut self, code: Option<u16>, is_overdue: bool) -> Verdict {
        let this = &mut self.this;
        this.is_closed = true;
        this.is_leaving |= !is_overdue;
        let is_silent = self.is_detached && !this.said_goodbye;
        let normal = if is_silent { 1001 } else { 1000 };
        let is_last = this.said_goodbye || is_silent;
        let is_right = code.is_none() || is_last && code == this.code.or(Some(normal));
        rule! { "a close is a goodbye, then its code": is_right }
        Ok(())
    }

    pub(crate) fn on_wait(&mut self, now: Time, wait: Option<Deadline>) -> Verdict {
        self.is_silent = false;
        rule! { "deadlines lie in the future": wait.is_none_or(|wait| wait.at > now) }
        self.check_verdict(now)?;
        let is_late = self.stop_by.is_some_and(|by| now > by + CUT * 2);
        rule! { "stop within its bound": self.is_stopped || !is_late }
        Ok(())
    }

    /// A goodbye would have a way now.
    pub(crate) const fn is_settled(&self) -> bool {
        let has_way = if self.is_http {
            self.open.is_none() && self.this.is_answered
        } else {
            self.this.opened.is_some() && !self.this.is_on_the_way_out()
        };
        has_way && !self.this.is_closed && self.stop_by.is_none()
    }
}

// What it is told.
impl Watch {
    /// What the transport saw of the open try reaches the agent.
    pub(crate) fn on_fact(&mut self, now: Time, fact: &Fact, said: Said) -> Verdict {
        let this = &mut self.this;
        if let (Fact::Over(_), Said::TooLarge(told)) = (fact, said) {
            let is_one = !this.is_unclear && this.outstanding == told;
            let is_clear = !this.is_on_the_way_out() && is_one;
            let outstanding = (!is_clear).then_some(this.outstanding);
            let converges = self.refusals.on_too_large(told, outstanding);
            rule! { "what is too large is not sent for ever": converges }
            // Over HTTP the last words may leave again without what was too large.
            this.said_last &= !self.is_http || told.is_nothing();
        }
        if let (Fact::Message(_) | Fact::Over(_), Said::Refused(told, is_read)) = (fact, said) {
            let is_clear = !this.is_on_the_way_out() && !this.is_unclear;
            self.refusals.on_refused(told, is_clear, is_read);
        }
        match fact {
            Fact::Opened => this.opened = Some(now),
            Fact::Written => self.is_unsent = false,
            Fact::Broken { code, .. } => {
                // While a frame is on its way, the agent may be leaving already.
                let is_leaving = this.is_on_the_way_out() || self.stop_by.is_some();
                this.code = Some(*code);
                this.is_faulty = !is_leaving && !self.is_unsent;
            }
            Fact::Pong { .. } => {
                this.outstanding = this.told;
                this.on_alive();
            }
            Fact::Skipped(_) => this.on_alive(),
            Fact::Message(_) => self.on_message(now, said),
            Fact::Over(failure) => self.on_over(now, failure),
            Fact::Thawed => {}
        }
        Ok(())
    }

    fn on_message(&mut self, now: Time, said: Said) {
        self.this.on_alive();
        self.this.unanswered = self.this.unanswered.saturating_sub(1);
        match said {
            Said::Nothing | Said::Refused(..) | Said::TooLarge(_) => {}
            Said::PutOff(wait) => {
                self.close_gate(now, wait);
                self.this.is_leaving = !self.is_http;
            }
            Said::Good {
                wants_full,
                offers,
                narrows,
            } => {
                if wants_full {
                    self.refusals.full_wanted = Some(now);
                }
                if offers {
                    self.refusals.on_new_status();
                }
                self.this.is_answered = true;
                let is_deaf = self.this.said_last || !self.is_http && self.this.is_leaving;
                self.is_narrow = narrows && !is_deaf;
            }
        }
        if self.is_http {
            (self.open, self.is_unsent, self.repeats) = (None, false, false);
            self.is_kept = true;
            match said {
                Said::Good { .. } | Said::Refused(..) => self.failures = 0,
                Said::PutOff(_) => {}
                Said::Nothing | Said::TooLarge(_) => self.on_failure(now),
            }
        }
    }

    fn on_over(&mut self, now: Time, failure: &Failure) {
        // Such a status asks for another wait than the backoff.
        let waits = failure.status.is_some_and(|status| status != 500);
        if let Some(429 | 503) = failure.status {
            self.close_gate(now, failure.retry_after.unwrap_or(OVERLOAD));
        }
        let is_unsent = std::mem::take(&mut self.is_unsent);
        self.next_number -= u64::from(failure.reached == ReachedServer::No && is_unsent);
        self.refusals.on_over();
        (self.open, self.is_kept) = (None, false);
        let opened = self.this.opened.take();
        if opened.is_some_and(|at| now.since(at) >= STABLE) && self.this.is_answered {
            self.failures = 0;
        }
        let repeated = std::mem::take(&mut self.repeats);
        if self.this.is_faulty {
            self.on_failure(now);
        } else if !waits && (self.this.is_thawed || failure.reused && !repeated) {
            (self.repeats, self.is_excused) = (true, true);
            let is_meant = self.this.is_closed || self.stop_by.is_some();
            self.is_silent = !self.is_http && !is_meant && self.this.code.is_none();
        } else if !self.this.is_on_the_way_out() && !waits {
            self.on_failure(now);
        }
    }

    /// The first retry may come at once, the later ones not before half of a growing time.
    fn on_failure(&mut self, now: Time) {
        self.failures += 1;
        if self.failures >= 2 {
            let top = (1 << (self.failures - 1).min(9)).min(300);
            self.close_gate(now, Duration::from_secs(top) / 2);
        }
    }

    fn close_gate(&mut self, now: Time, wait: Duration) {
        self.not_before = self.not_before.max(Some(now + wait.min(CAP)));
    }

    pub(crate) fn on_suspend(&mut self, jump: Duration) {
        self.this.is_thawed = true;
        self.stop_by = self.stop_by.map(|by| by + jump);
    }

    pub(crate) fn on_stop(&mut self, by: Time, goodbye: bool) {
        self.is_detached |= !goodbye;
        self.stop_by = Some(self.stop_by.map_or(by, |earlier| earlier.min(by)));
    }
}

/// Adds `now`; how many of these times are within the last while.
fn count_within(long: Duration, times: &mut Vec<Time>, now: Time) -> usize {
    times.retain(|at| now.since(*at) < long);
    times.push(now);
    times.len()
}
