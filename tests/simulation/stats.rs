//! What happened in a run, counted.
use opamp::protocol::{Outcome, Timer};

use crate::{faults::Fault, host::Act};

const TIMERS: usize = Timer::Tell as usize + 1;
const OUTCOMES: [&str; 4] = ["confirmed", "held back", "given up", "stopped"];

// Where in the counts each kind begins; the faults are the first.
pub(crate) const ACT: usize = Fault::COUNT;
pub(crate) const TIMER: usize = ACT + Act::COUNT;
pub(crate) const OUTCOME: usize = TIMER + TIMERS;

pub(crate) struct Stats {
    pub(crate) inputs: u64,
    pub(crate) sends: u64,
    pub(crate) counts: [u64; OUTCOME + OUTCOMES.len()],
}

impl Stats {
    pub(crate) const ZERO: Self = Self {
        inputs: 0,
        sends: 0,
        counts: [0; OUTCOME + OUTCOMES.len()],
    };

    pub(crate) const fn report(&mut self, outcome: &Outcome) {
        let which = match outcome {
            Outcome::Confirmed => 0,
            Outcome::HeldBack => 1,
            Outcome::GaveUp(_) => 2,
            Outcome::Stopped => 3,
        };
        self.counts[OUTCOME + which] += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.inputs += other.inputs;
        self.sends += other.sends;
        let counts = self.counts.iter_mut().zip(&other.counts);
        counts.for_each(|(count, more)| *count += more);
    }

    /// How often each thing happened that can happen.
    pub(crate) fn histogram(&self) -> impl Iterator<Item = (String, u64)> {
        let faults = Fault::ALL.iter().map(|fault| format!("fault {fault:?}"));
        let acts = Act::ALL.iter().map(|act| format!("host {act:?}"));
        let timers = (0..TIMERS).map(|timer| format!("timer {timer}"));
        let outcomes = OUTCOMES.iter().map(|outcome| format!("report {outcome}"));
        let names = faults.chain(acts).chain(timers).chain(outcomes);
        names.zip(self.counts)
    }
}
