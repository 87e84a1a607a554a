//! Nothing goes wrong any more: in the end both sides agree, and the agent says goodbye or goes
//! without a word.
use std::time::Duration;

use opamp::{proto::AgentCapabilities, protocol::*};

use crate::faults::Pongs;
use crate::invariants::{Verdict, rule};
use crate::network::{Net, PAUSE};
use crate::told::{Told, status_of};
use crate::world::World;

/// By then both sides agree: twice the longest interval that a server can set, because a refusal of
/// the credentials and then one of the size can each wait for the next poll.
const CALM: Duration = Duration::from_secs(2 * 27 * 3600);
const CALM_STEPS: u32 = 4000;

impl World<'_> {
    pub(crate) fn calm_down(&mut self) -> Verdict {
        self.tell(|_| "all is calm".into());
        let (end, mut steps) = (self.now + CALM, 0..CALM_STEPS);
        while !self.is_agreed() {
            if self.now > end || steps.next().is_none() {
                self.tell(|world| format!("{:?}, not {:?}", world.server.view, world.truth()));
                return Err("in the end both sides agree");
            }
            self.calm_step()?;
        }
        let goodbye = self.choices.below(2) == 0;
        if !goodbye {
            // What is pending is reported, and the server is not told of an end.
            let change = self.host.describe();
            self.feed(Input::Host(change))?;
        }
        self.stop(goodbye)?;
        while !self.watch.is_stopped {
            self.advance()?;
        }
        let is_gone = self.server.view.is_gone || self.watch.is_end_too_large;
        rule! { "a stop says goodbye, a detach does not": is_gone == goodbye }
        let has_all = self.truth().unlike(self.server.view.told);
        let has_all = has_all.unlike(self.watch.refusals.ever).is_nothing();
        rule! { "a detach reports what is pending": goodbye || has_all }
        Ok(())
    }

    fn calm_step(&mut self) -> Verdict {
        if self.watch.is_stopped {
            return self.restart();
        }
        if self.host.offer.is_some_and(|(_, is_done)| !is_done) {
            let change = self.host.verdict(ConfigState::Applied, &self.core);
            self.watch.refusals.on_new_status();
            return change.map_or(Ok(()), |change| self.feed(Input::Host(change)));
        }
        // Without heartbeats a server over WebSocket must speak first, also one that has refused
        // the first report.
        let is_quiet = self.net.is_empty() && self.wait.is_none();
        if let Some(id) = self.watch.open.filter(|_| is_quiet) {
            self.speak(id, PAUSE, self.watch.refusals.are_some);
        }
        self.advance()
    }

    /// Whether the server knows all that is true of the agent, but for what it refused, and a
    /// goodbye would have a way.
    fn is_agreed(&self) -> bool {
        let ends = |net: &Net| matches!(net, Net::ToAgent(_, Fact::Over(_), _));
        // Who never pongs confirms nothing that waits for it.
        let ends_reports = self.swarm.is_http || self.swarm.pongs != Pongs::Never;
        if ends_reports && !self.host.tickets.is_empty() {
            return false;
        }
        let is_doomed = self.watch.this.is_severed && self.watch.open.is_some();
        if is_doomed || !self.watch.is_settled() || self.net.iter().any(|(_, net)| ends(net)) {
            return false;
        }
        let (view, refusals) = (&self.server.view, &self.watch.refusals);
        let reports = self.host.declares(AgentCapabilities::ReportsRemoteConfig);
        let owes_verdict = reports && self.server.offer != 0 && refusals.ever.status == 0;
        let is_declared = view.capabilities == self.host.capabilities || refusals.are_some;
        let differs = self.truth().unlike(view.told).unlike(refusals.ever);
        view.uid == self.core.instance_uid()[..]
            && is_declared
            && differs.is_nothing()
            && (!owes_verdict || view.told.offer() == self.server.offer)
    }

    /// What the server should know of the agent's parts.
    fn truth(&self) -> Told {
        let mut truth = self.all_parts();
        let reports = self.host.declares(AgentCapabilities::ReportsRemoteConfig);
        let verdict = self.core.carry().verdict.filter(|_| reports);
        truth.status = verdict.map_or(0, |it| status_of(it.hash(), it.state() as i32));
        truth
    }
}
