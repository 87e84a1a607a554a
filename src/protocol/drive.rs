//! The two calls that drive a core: `handle` takes in what happened, `poll` gives what is to be
//! done.
use super::{
    core::Core,
    interface::{Action, Input, SUSPENSION_GAP},
    plan::Step,
    time::Time,
    timers::Timer,
};

impl Core {
    /// Takes in what happened at `now`.
    pub fn handle(&mut self, now: Time, input: Input) {
        debug_assert!(
            self.is_drained || !self.is_started,
            "poll until Wait comes before handle"
        );
        self.is_drained = false;
        self.now = self.now.max(now);
        if self
            .asleep_until
            .take()
            .is_some_and(|at| self.now > at + SUSPENSION_GAP)
        {
            self.upstream.link.on_thaw();
        }
        if self.is_stopped() {
            return;
        }
        self.fire_timers();
        self.take_in(input);
        self.fire_timers();
        self.settle();
    }

    /// The next thing to do. `out` is cleared, and filled for [`Action::Send`] only.
    pub fn poll(&mut self, out: &mut Vec<u8>) -> Action {
        out.clear();
        loop {
            if let Some((event, left_out)) = self.events.pop() {
                return Action::Tell { event, left_out };
            }
            match self.step() {
                Step::Connect => return self.connect(),
                Step::Build { goodbye } => {
                    if let Some(action) = self.build(goodbye, out) {
                        return action;
                    }
                }
                Step::Reconnect => self.leave_to_reconnect(),
                Step::CloseNow => self.begin_close(),
                Step::Close { id, code } => {
                    self.upstream.link.on_close_ordered();
                    return Action::Close { id, code };
                }
                Step::Finish => self.finish(),
                Step::Rest(deadline) => {
                    debug_assert!(
                        deadline.is_none_or(|deadline| deadline.at > self.now)
                            || planted!(TimerInThePast),
                        "a deadline in the past: {deadline:?} at {:?}",
                        self.now
                    );
                    self.is_drained = true;
                    self.asleep_until = deadline.map(|deadline| deadline.at);
                    return Action::Wait(deadline);
                }
            }
        }
    }

    fn take_in(&mut self, input: Input) {
        match input {
            Input::Start => self.on_start(),
            Input::Deadline => {}
            Input::Host(change) => self.on_change(change),
            Input::Stop { within, goodbye } => self.on_stop(within, goodbye),
            Input::Link { id, fact }
                if self.upstream.link.id() == Some(id) || planted!(StaleAnswerAccepted) =>
            {
                self.on_fact(fact);
            }
            Input::Link { .. } => self.journal.stale_facts += 1,
        }
    }

    /// What the last run was applying is still not finished (LOG-05).
    fn on_start(&mut self) {
        self.is_started = true;
        let overdue = self.config.applying_overdue;
        self.expect_verdict(self.state.offers.is_host_busy().then_some(overdue));
    }

    fn fire_timers(&mut self) {
        while let Some(timer) = self.timers.take_due(self.now) {
            match timer {
                Timer::Stop | Timer::CloseWait | Timer::Exchange => self.cut(),
                Timer::Response => self.on_response_timeout(),
                Timer::ConfigStatus => self.on_verdict_overdue(),
                // Computed, never set.
                _ => {}
            }
        }
        self.events.release(self.now);
        self.deliver_due();
    }
}
