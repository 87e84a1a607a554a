//! How far the server knows each reported part.
//!
//! What is pending is computed from four generations, never stored: a send takes nothing out, so a
//! send that failed has nothing to put back.
use super::{
    digest::digest,
    parts::{Part, Parts, TooLarge},
    value::Value,
};

/// How far one part came. GenerationSet count the changes of its value; 0 is "never".
#[derive(Clone, Copy, Default)]
struct ReportState {
    wanted: u64,
    sent: u64,
    /// The message that carried it last.
    sent_in: MessageIndex,
    confirmed: u64,
    refused: u64,
    /// The message that was refused, while it may be that the peer has not read it; else 0.
    refused_in: MessageIndex,
    /// It was the largest of a message too large for the way: it goes alone, behind the others
    /// (HTTP-24).
    goes_alone: bool,
    /// It went alone when it was sent last.
    went_alone: bool,
    /// It was refused for its size, alone: a digest of that value. A server that wants all does not
    /// get it.
    too_large: Option<u64>,
}

/// A message, counted from 1 in the order of building. Unlike a sequence number it is never given
/// twice.
pub(super) type MessageIndex = u64;

/// GenerationSet at one moment: what a report waits for.
pub(super) type GenerationSet = [u64; Part::COUNT];

/// The values that the host set, and what the server knows of them.
pub(super) struct ReportedState {
    known: [ReportState; Part::COUNT],
    /// Of parts that this run has not been given yet.
    carried: TooLarge,
    values: [Option<Value>; Part::COUNT],
    pub(super) capabilities: u64,
    /// 0: not told yet.
    pub(super) server_capabilities: u64,
}

impl ReportedState {
    pub(super) fn new(carried: TooLarge) -> Self {
        Self {
            known: Default::default(),
            carried,
            values: Default::default(),
            capabilities: 0,
            server_capabilities: 0,
        }
    }

    /// Nothing changes where the value says the same as before.
    pub(super) fn set(&mut self, value: Value) {
        let part = value.part();
        let present = &mut self.values[part as usize];
        if !present.as_ref().is_some_and(|old| old.is_same(&value)) {
            *present = Some(value);
            self.on_changed(part);
        }
    }

    pub(super) const fn value(&self, part: Part) -> Option<&Value> {
        self.values[part as usize].as_ref()
    }

    /// How much room a part takes in a message.
    pub(super) fn len_of(&self, part: Part) -> usize {
        self.value(part).map_or(0, Value::encoded_len)
    }

    pub(super) fn set_capabilities(&mut self, value: u64) {
        let before = self.allowed();
        if std::mem::replace(&mut self.capabilities, value) != value {
            self.known[Part::Capabilities as usize].wanted += 1;
            self.renew_returned(before);
        }
    }

    /// What the server tells of itself; 0 is "as before" (SYNC-14).
    pub(super) fn set_server_capabilities(&mut self, value: u64) {
        let before = self.allowed();
        if value != 0 {
            self.server_capabilities = value;
            self.renew_returned(before);
        }
    }

    /// Whether a part may be sent at all (SYNC-13, SYNC-14).
    pub(super) fn is_allowed(&self, part: Part) -> bool {
        part.is_allowed(self.capabilities, self.server_capabilities)
    }

    /// What the next message carries: changed, and neither on its way nor held back. One that goes
    /// alone comes when there is nothing else to carry.
    pub(super) fn pending(&self) -> Parts {
        let pending = self.all_pending();
        let alone = self.going_alone(pending);
        let Some(first) = alone.iter().next() else {
            return pending;
        };
        let others = pending.without_all(alone);
        if others.with_values().is_empty() {
            others | Parts::of(first)
        } else {
            others
        }
    }

    /// What a message carries that must not be refused.
    pub(super) fn pending_safe(&self) -> Parts {
        let pending = self.all_pending();
        pending.without_all(self.going_alone(pending))
    }

    /// What is pending and not in such a message.
    pub(super) fn left_out(&self) -> Parts {
        self.going_alone(self.all_pending())
    }

    /// Whether that message carried values, and the server has not taken them in.
    pub(super) fn has_values_in(&self, mark: MessageIndex) -> bool {
        let is_in = |part: &Part| {
            let known = &self.known[*part as usize];
            known.sent != known.confirmed && known.sent_in == mark
        };
        let found: Parts = Part::all().filter(is_in).collect();
        !found.with_values().is_empty()
    }

    fn all_pending(&self) -> Parts {
        self.which(|known| known.wanted != known.sent && known.wanted != known.refused)
    }

    fn going_alone(&self, of: Parts) -> Parts {
        of.iter()
            .filter(|part| self.known[*part as usize].goes_alone)
            .collect()
    }

    /// Changed and not confirmed, be it on its way or not.
    pub(super) fn unconfirmed(&self) -> Parts {
        self.which(|known| known.wanted != known.confirmed && known.wanted != known.refused)
    }

    pub(super) fn held_back(&self) -> Parts {
        self.which(|known| known.wanted != known.confirmed && known.wanted == known.refused)
    }

    pub(super) fn on_built(&mut self, parts: Parts, mark: MessageIndex) {
        let is_alone = parts.with_values().iter().count() == 1;
        for part in parts.iter() {
            let known = &mut self.known[part as usize];
            (known.sent, known.sent_in) = (known.wanted, mark);
            known.went_alone = is_alone;
            if planted!(ConfirmedBeforeAnswered) {
                known.confirmed = known.sent;
            }
        }
    }

    /// The server has taken in all messages up to this one.
    pub(super) fn on_confirmed(&mut self, upto: MessageIndex) {
        for known in &mut self.known {
            if known.sent_in <= upto {
                known.confirmed = known.sent;
            }
        }
    }

    /// The server refuses what this message carried: held back until it changes. Answers which
    /// parts these are.
    pub(super) fn on_refused(&mut self, mark: MessageIndex) -> Parts {
        self.refuse(|known| known.sent_in == mark)
    }

    /// The server refuses something that it has read, and that was not in its newest message.
    pub(super) fn on_refused_upto(&mut self, mark: MessageIndex) -> Parts {
        self.refuse(|known| known.sent_in <= mark)
    }

    fn refuse(&mut self, is_meant: impl Fn(&ReportState) -> bool) -> Parts {
        let mut refused = Parts::NONE;
        for part in Part::all() {
            let known = &mut self.known[part as usize];
            if known.sent != known.confirmed && is_meant(known) {
                known.refused = if planted!(ResendAfterRefusal) {
                    0
                } else {
                    known.sent
                };
                known.refused_in = known.sent_in;
                known.too_large = None;
                known.sent = known.confirmed;
                refused |= Parts::of(part);
            }
        }
        refused
    }

    /// A refusal names no message, so one that the peer has perhaps never read may have been blamed
    /// for another: what was in it is not held back any longer than the connection lasted.
    pub(super) fn on_lost_unread(&mut self, read: MessageIndex) {
        for known in &mut self.known {
            if std::mem::take(&mut known.refused_in) > read {
                known.refused = 0;
            }
        }
    }

    /// The message is over our own limit: its largest part goes alone, or, where it would be too
    /// large then, is held back.
    pub(super) fn on_over_limit(&mut self, part: Part, fits_alone: bool) {
        if fits_alone {
            self.known[part as usize].goes_alone = true;
        } else {
            self.hold_back(part, self.known[part as usize].wanted);
        }
    }

    /// A message was too large for the way; its largest part goes alone from now on, or, if it did
    /// so, is held back until it changes: this one is answered. Which message it was may be a
    /// guess, of these that had no confirmation yet: the largest was too large if any was, and is
    /// held back if that is said of it again.
    pub(super) fn on_too_large(
        &mut self,
        is_suspect: impl Fn(MessageIndex) -> bool,
    ) -> Option<Part> {
        // Also what may not be sent just now.
        let is_meant = |part: &Part| {
            let known = &self.known[*part as usize];
            known.sent != known.confirmed && is_suspect(known.sent_in)
        };
        let suspects: Parts = Part::all().filter(is_meant).collect();
        let suspects = suspects.with_values();
        let mark_of = |part: Part| self.known[part as usize].sent_in;
        let message_of = |part: &Part| {
            let with_it = suspects.iter().filter(|it| mark_of(*it) == mark_of(*part));
            with_it.map(|it| self.len_of(it)).sum::<usize>()
        };
        let largest = suspects
            .iter()
            .max_by_key(|part| (message_of(part), self.len_of(*part)));
        let Some(part) = largest else {
            self.refuse(|known| is_suspect(known.sent_in));
            return None;
        };
        let is_clear = suspects.iter().all(|it| mark_of(it) == mark_of(part));
        let known = &mut self.known[part as usize];
        let is_found = known.went_alone && (is_clear || known.goes_alone);
        let sent = known.sent;
        known.sent = known.confirmed;
        if planted!(LargestStays) {
            self.refuse(|known| is_suspect(known.sent_in));
            return None;
        }
        if is_found {
            self.hold_back(part, sent);
            return (self.known[part as usize].wanted == sent).then_some(part);
        }
        // A newer verdict waits for no other part.
        known.goes_alone = known.wanted == sent || part != Part::RemoteConfigStatus;
        None
    }

    fn hold_back(&mut self, part: Part, value: u64) {
        let digest = self.digest_of(part);
        let known = &mut self.known[part as usize];
        (known.refused, known.refused_in) = (value, 0);
        known.too_large = (known.wanted == value).then_some(digest);
    }

    pub(super) fn try_too_large(&mut self) {
        self.carried = TooLarge::default();
        for known in &mut self.known {
            if known.too_large.take().is_some() {
                (known.refused, known.refused_in) = (0, 0);
            }
        }
    }

    /// What a restart keeps.
    pub(super) fn too_large(&self) -> TooLarge {
        let mut all = self.carried;
        for (kept, known) in all.iter_mut().zip(&self.known) {
            let held = known.too_large.filter(|_| known.wanted == known.refused);
            *kept = held.or(*kept);
        }
        all
    }

    /// A part has another value.
    fn on_changed(&mut self, part: Part) {
        let carried = self.carried[part as usize].take();
        let is_carried = carried.is_some_and(|digest| digest == self.digest_of(part));
        let known = &mut self.known[part as usize];
        // What was confirmed at last is small enough, alone or not: the next value is judged
        // afresh. A new verdict waits for no other part.
        let is_verdict = part == Part::RemoteConfigStatus;
        known.goes_alone &= known.wanted != known.confirmed && !is_verdict;
        known.wanted += 1;
        known.too_large = carried.filter(|_| is_carried);
        if is_carried {
            (known.refused, known.refused_in) = (known.wanted, 0);
        }
    }

    /// These may be the wrong ones: they are held back no longer than the connection lasts.
    pub(super) fn on_refused_by_guess(&mut self, parts: Parts) {
        for part in parts.iter() {
            self.known[part as usize].refused_in = MessageIndex::MAX;
        }
    }

    /// What was on its way may be lost.
    pub(super) fn on_lost(&mut self) {
        for known in &mut self.known {
            known.sent = known.confirmed;
        }
    }

    /// The server knows nothing of us, or wants to hear it all again, but for what it can not take;
    /// or the host wants to try that, too.
    pub(super) fn on_full_wanted(&mut self, by_host: bool) {
        for known in &mut self.known {
            (known.sent, known.confirmed) = (0, 0);
            if by_host || known.too_large.is_none() || planted!(SizeForgotten) {
                (known.refused, known.refused_in, known.too_large) = (0, 0, None);
            }
        }
    }

    pub(super) fn generations(&self) -> GenerationSet {
        self.known.map(|known| known.wanted)
    }

    /// Of what was set up to `upto`: what is not confirmed yet, and whether some of it is held
    /// back.
    pub(super) fn missing(&self, upto: &GenerationSet) -> (Parts, bool) {
        let missing = |part: &Part| {
            self.is_allowed(*part) && self.known[*part as usize].confirmed < upto[*part as usize]
        };
        let parts: Parts = Part::all().filter(missing).collect();
        let held = self.held_back();
        (parts, parts.iter().any(|part| held.has(part)))
    }

    /// Tells one value of a part from another.
    fn digest_of(&self, part: Part) -> u64 {
        let mut bytes = Vec::with_capacity(self.len_of(part));
        if let Some(value) = self.value(part) {
            value.encode(&mut bytes);
        }
        digest([&bytes[..]])
    }

    fn allowed(&self) -> Parts {
        Part::all().filter(|part| self.is_allowed(*part)).collect()
    }

    fn which(&self, says: impl Fn(&ReportState) -> bool) -> Parts {
        let mut parts = Parts::NONE;
        for (part, known) in Part::all().zip(&self.known) {
            if says(known) && self.is_allowed(part) {
                parts |= Parts::of(part);
            }
        }
        parts
    }

    /// What may be sent again, after it might not for a while, is reported afresh, if it was not
    /// refused.
    fn renew_returned(&mut self, before: Parts) {
        for part in Part::all() {
            if self.is_allowed(part) && !before.has(part) {
                let known = &mut self.known[part as usize];
                // What is on its way just now is fresh.
                if known.sent == known.confirmed {
                    known.sent = 0;
                }
                known.confirmed = 0;
            }
        }
    }
}
