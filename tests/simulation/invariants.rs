//! What must hold on the wire at every step, judged from what the agent does and what it was told, never from its inside.
use std::time::Duration;

use opamp::{
    proto::{AgentCapabilities, AgentToServer},
    protocol::{Deadline, Policy, Time, TryId},
};

use crate::server::{Meaning, Told};

/// A broken rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) text: String,
}

pub(crate) type Verdict = Result<(), Violation>;

pub(crate) fn broken<T>(rule: &'static str, text: impl Into<String>) -> Result<T, Violation> {
    Err(Violation {
        rule,
        text: text.into(),
    })
}

/// Per second: the host's burst and its one a second, three full reports, a heartbeat, two retries, and one for luck.
const SENDS_A_SECOND: usize = 18;
/// WS-10.
const CONNECTS_A_MINUTE: usize = 12;
/// Per input, completions of reports apart.
const ACTIONS: usize = 12;
const CAP: Duration = Duration::from_secs(3600);
const OVERLOAD: Duration = Duration::from_secs(30);
const STABLE: Duration = Duration::from_secs(30);
/// How fast the shell ends what the agent cuts.
pub(crate) const CUT: Duration = Duration::from_millis(5);

pub(crate) struct Watch {
    policy: Policy,
    /// The exchange or connection that the shell carries out.
    pub(crate) open: Option<TryId>,
    next_number: u64,
    /// The last message may still turn out to have reached nobody.
    is_unsent: bool,
    not_before: Time,
    said_goodbye: bool,
    /// A close is under way that we began or that the server asked for.
    pub(crate) is_leaving: bool,
    pub(crate) stop_by: Option<Time>,
    pub(crate) is_stopped: bool,
    sends: Vec<Time>,
    connects: Vec<Time>,
    /// The next try repeats one that a freeze or a kept connection ended, or the host asked for it.
    is_excused: bool,
    repeats: bool,
    /// What the server refused and nobody asked for again.
    refused: Told,
    /// The server has refused something, perhaps new capabilities, which are in every later message anyway.
    pub(crate) has_refused: bool,
    /// Refused on this connection; WebSocket names no message, so it is sure only with the pong behind it.
    refused_here: Told,
    refused_read: Told,
    /// The newest that was refused, whether it may be sent again or not.
    refused_once: Told,
    /// The next full report brings back what was refused.
    full_wanted: Option<Time>,
    last_status: Option<(u32, i32)>,
    /// Set since the last one was sent.
    has_new_status: bool,
    failures: u32,
    opened: Option<Time>,
    is_answered: bool,
    is_thawed: bool,
    is_cut: bool,
    pub(crate) is_narrow: bool,
}

impl Watch {
    pub(crate) fn new(policy: Policy, next_number: u64, not_before: Time) -> Self {
        Self {
            policy,
            open: None,
            next_number,
            is_unsent: false,
            not_before,
            said_goodbye: false,
            is_leaving: false,
            stop_by: None,
            is_stopped: false,
            sends: Vec::with_capacity(64),
            connects: Vec::with_capacity(16),
            is_excused: false,
            repeats: false,
            refused: Told::default(),
            has_refused: false,
            refused_here: Told::default(),
            refused_read: Told::default(),
            refused_once: Told::default(),
            full_wanted: None,
            last_status: None,
            has_new_status: false,
            failures: 0,
            opened: None,
            is_answered: false,
            is_thawed: false,
            is_cut: false,
            is_narrow: false,
        }
    }

    /// A goodbye would have a way now.
    pub(crate) const fn is_settled(&self) -> bool {
        let has_way = match self.policy {
            Policy::Http => self.open.is_none() && self.is_answered,
            Policy::WebSocket => self.opened.is_some() && !self.is_leaving && !self.said_goodbye,
        };
        has_way && !self.is_cut && self.stop_by.is_none()
    }

    pub(crate) const fn has_sent_status(&self) -> bool {
        self.last_status.is_some()
    }

    pub(crate) const fn has_unsent(&self) -> bool {
        self.is_unsent
    }

    pub(crate) fn on_connect(&mut self, now: Time, id: TryId) -> Verdict {
        self.begin(now, id)?;
        if !std::mem::take(&mut self.is_excused) {
            self.connects
                .retain(|at| now.since(*at) < Duration::from_secs(60));
            self.connects.push(now);
            if self.connects.len() > CONNECTS_A_MINUTE {
                return broken("connects a minute", format!("{:?}", self.connects));
            }
        }
        self.said_goodbye = false;
        self.is_leaving = false;
        Ok(())
    }

    pub(crate) fn on_send(
        &mut self,
        now: Time,
        id: TryId,
        message: &AgentToServer,
        told: &Told,
    ) -> Verdict {
        if self.said_goodbye {
            return broken("nothing after the goodbye", format!("{message:?}"));
        }
        match self.policy {
            Policy::Http => self.begin(now, id)?,
            Policy::WebSocket if self.open != Some(id) => {
                return broken("one connection", format!("{id:?} beside {:?}", self.open));
            }
            Policy::WebSocket if now < self.not_before && message.agent_disconnect.is_none() => {
                return broken(
                    "nothing before the gate",
                    format!("until {:?}", self.not_before),
                );
            }
            Policy::WebSocket => {}
        }
        if message.sequence_num != self.next_number {
            let text = format!("{} after {}", message.sequence_num, self.next_number);
            return broken("sequence numbers rise by one", text);
        }
        self.next_number += 1;
        self.is_unsent = true;
        self.said_goodbye = message.agent_disconnect.is_some();
        if self.said_goodbye && self.policy == Policy::Http && self.stop_by.is_none() {
            return broken("a goodbye is an end", "nobody asked for it");
        }
        self.check_parts(now, message, told)?;
        self.check_rate(now, told)
    }

    fn check_parts(&mut self, now: Time, message: &AgentToServer, told: &Told) -> Verdict {
        // The agent may serve such a wish up to half a minute later, and something else before it.
        if let (Some(_), Some(at)) = (told.description, self.full_wanted) {
            self.forgive();
            self.full_wanted = Some(at).filter(|at| now.since(*at) < OVERLOAD);
        }
        let refused = self.refused.or(&self.refused_here);
        let again = told.description.is_some() && told.description == refused.description
            || told.effective.is_some() && told.effective == refused.effective
            || told.status.is_some() && told.status == refused.status;
        if again {
            return broken("what was refused is held back", format!("{told:?}"));
        }
        let lacks = |bit: AgentCapabilities| message.capabilities & bit as u64 == 0;
        let undeclared = told.effective.is_some()
            && lacks(AgentCapabilities::ReportsEffectiveConfig)
            || told.status.is_some() && lacks(AgentCapabilities::ReportsRemoteConfig)
            || lacks(AgentCapabilities::ReportsStatus);
        if undeclared {
            return broken(
                "only what is declared",
                format!("{:#x}", message.capabilities),
            );
        }
        if self.is_narrow && told.effective.is_some() {
            return broken("only what the server accepts", "an effective config");
        }
        Ok(())
    }

    fn check_rate(&mut self, now: Time, told: &Told) -> Verdict {
        let is_news = told.status.is_some() && told.status != self.last_status;
        self.last_status = told.status.or(self.last_status);
        self.has_new_status &= told.status.is_none();
        // Verdicts are exempt.
        if is_news || self.policy == Policy::Http && std::mem::take(&mut self.is_excused) {
            return Ok(());
        }
        self.sends
            .retain(|at| now.since(*at) < Duration::from_secs(1));
        self.sends.push(now);
        match self.sends.len() {
            0..=SENDS_A_SECOND => Ok(()),
            count => broken("sends a second", count.to_string()),
        }
    }

    fn begin(&mut self, now: Time, id: TryId) -> Verdict {
        if let Some(open) = self.open {
            return broken(
                "one exchange or connection",
                format!("{id:?} beside {open:?}"),
            );
        }
        if now < self.not_before {
            return broken(
                "nothing before the gate",
                format!("until {:?}", self.not_before),
            );
        }
        if self.is_stopped {
            return broken("nothing after the end", format!("{id:?}"));
        }
        self.open = Some(id);
        self.opened = None;
        self.is_answered = false;
        self.is_thawed = false;
        self.is_cut = false;
        Ok(())
    }

    pub(crate) const fn on_opened(&mut self, now: Time) {
        self.opened = Some(now);
    }

    pub(crate) const fn on_written(&mut self) {
        self.is_unsent = false;
    }

    /// The connection outlived the freeze.
    pub(crate) const fn on_alive(&mut self) {
        self.is_thawed &= self.is_cut;
    }

    /// The agent waits for nothing but its end.
    pub(crate) const fn on_close(&mut self) {
        self.is_cut = true;
    }

    /// A message of the server's reaches the agent on the open try.
    pub(crate) fn on_message(&mut self, now: Time, meaning: &Meaning) {
        if let Some(wait) = meaning.put_off {
            self.close_gate(now, wait);
            self.is_leaving = self.policy == Policy::WebSocket;
        }
        self.has_refused |= meaning.refused.is_some();
        if let Some(told) = &meaning.refused {
            self.refused_once = told.or(&self.refused_once);
        }
        let refused = meaning.refused.map(|told| self.still(&told));
        match (refused, self.policy) {
            (Some(refused), Policy::Http) => self.refused = refused.or(&self.refused),
            (Some(refused), Policy::WebSocket) => {
                // On the way out the agent listens no more.
                if meaning.is_prompt && !self.is_leaving && !self.said_goodbye {
                    self.refused_here = refused.or(&self.refused_here);
                    self.note_sure();
                }
            }
            (None, _) => {}
        }
        if meaning.asks_full || meaning.new_uid {
            self.on_full_wanted(now);
        }
        self.on_alive();
        if meaning.offers {
            self.on_new_status();
        }
        if meaning.good {
            self.is_answered = true;
            // After the goodbye nobody listens.
            self.is_narrow = meaning.narrows && !self.said_goodbye;
        }
        if self.policy == Policy::Http {
            self.is_unsent = false;
            self.open = None;
            self.repeats = false;
            match meaning {
                Meaning { good: true, .. }
                | Meaning {
                    refused: Some(_), ..
                } => self.failures = 0,
                Meaning {
                    put_off: Some(_), ..
                } => {}
                // Neither: garbage, or somebody else's.
                _ => self.on_failure(now),
            }
        }
    }

    /// A 413.
    pub(crate) fn on_refused(&mut self, told: &Told) {
        self.refused_once = told.or(&self.refused_once);
        self.refused = self.still(told).or(&self.refused);
    }

    /// Of what was refused, that which has not changed meanwhile.
    fn still(&self, told: &Told) -> Told {
        Told {
            status: told.status.filter(|_| !self.has_new_status),
            ..*told
        }
    }

    /// What the server itself did not want.
    pub(crate) const fn held_back(&self) -> Told {
        self.refused_once
    }

    /// What was refused may be sent again.
    fn forgive(&mut self) {
        (self.refused, self.refused_here) = (Told::default(), Told::default());
        self.refused_read = Told::default();
    }

    /// A status that changed and changed back is news.
    pub(crate) const fn on_new_status(&mut self) {
        self.refused.status = None;
        self.refused_here.status = None;
        self.refused_read.status = None;
        self.has_new_status = true;
    }

    /// The pong behind a refused message: together with the refusal it makes sure that this message was meant, unless the
    /// server also speaks unasked.
    pub(crate) fn on_refused_read(&mut self, told: &Told, is_clear: bool) {
        // On the way out the agent listens no more.
        if is_clear && !self.is_leaving && !self.said_goodbye {
            self.refused_read = self.still(told).or(&self.refused_read);
            self.note_sure();
        }
    }

    fn note_sure(&mut self) {
        let (here, read) = (&self.refused_here, &self.refused_read);
        let sure = Told {
            description: here
                .description
                .filter(|_| here.description == read.description),
            effective: here.effective.filter(|_| here.effective == read.effective),
            status: here.status.filter(|_| here.status == read.status),
        };
        self.refused = sure.or(&self.refused);
    }

    pub(crate) const fn on_full_wanted(&mut self, now: Time) {
        self.full_wanted = Some(now);
    }

    /// The open try has ended. `waits`: the status asks for another wait than the backoff.
    pub(crate) fn on_over(&mut self, now: Time, reached: bool, reused: bool, waits: bool) {
        if !reached && self.is_unsent {
            self.next_number -= 1;
        }
        self.is_unsent = false;
        (self.refused_here, self.refused_read) = (Told::default(), Told::default());
        self.open = None;
        let opened = self.opened.take();
        if opened.is_some_and(|at| now.since(at) >= STABLE) && self.is_answered {
            self.failures = 0;
        }
        let repeated = std::mem::take(&mut self.repeats);
        if !waits && (self.is_thawed || reused && !repeated) {
            self.repeats = true;
            self.is_excused = true;
            return;
        }
        if self.is_leaving || self.said_goodbye || waits {
            return;
        }
        self.on_failure(now);
    }

    fn on_failure(&mut self, now: Time) {
        self.failures += 1;
        if self.failures >= 2 {
            let top = Duration::from_secs(1 << self.failures.min(9) >> 1);
            self.not_before = self
                .not_before
                .max(now + top.min(Duration::from_secs(300)) / 2);
        }
    }

    /// A put-off without a time, or with none to speak of, counts as 30 s and as nothing.
    pub(crate) fn close_gate(&mut self, now: Time, wait: Duration) {
        self.not_before = self.not_before.max(now + wait.min(CAP));
    }

    pub(crate) fn on_overload(&mut self, now: Time) {
        self.close_gate(now, OVERLOAD);
    }

    /// The host asked for something that may make one more try.
    pub(crate) const fn excuse(&mut self) {
        self.is_excused = true;
    }

    pub(crate) fn on_suspend(&mut self, jump: Duration) {
        self.is_thawed = true;
        if let Some(by) = &mut self.stop_by {
            *by = *by + jump;
        }
    }

    pub(crate) fn on_stop(&mut self, by: Time) {
        self.stop_by = Some(self.stop_by.map_or(by, |earlier| earlier.min(by)));
    }

    pub(crate) fn on_wait(&self, now: Time, deadline: Option<Deadline>, actions: usize) -> Verdict {
        if deadline.is_some_and(|deadline| deadline.at <= now) {
            return broken(
                "deadlines lie in the future",
                format!("{deadline:?} at {now:?}"),
            );
        }
        if actions > ACTIONS {
            return broken("bounded actions", actions.to_string());
        }
        Ok(())
    }

    pub(crate) fn check_stop(&self, now: Time) -> Verdict {
        match self.stop_by {
            Some(by) if !self.is_stopped && now > by + CUT * 2 => {
                broken("stop within its bound", format!("{by:?} passed at {now:?}"))
            }
            _ => Ok(()),
        }
    }
}
