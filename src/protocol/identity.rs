//! The instance uid, and the full report that another one wants: to the server it is another agent.
use super::{
    config::Uid,
    core::Core,
    event::{Event, WarningKind},
};

impl Core {
    /// SYNC-10, RCV-16.
    pub(super) fn on_identification(&mut self, new: &[u8]) {
        match Uid::try_from(new) {
            Ok(uid) if uid == self.state.identity.uid => self.state.identity.wanted = false,
            Ok(uid) if uid != [0; 16] => {
                self.state.identity.adopt(uid);
                self.want_full_report();
                self.events.push(Event::NewUid(uid), self.now);
            }
            _ => {
                let text = format!("a new instance uid of {} bytes was ignored", new.len());
                self.warn(WarningKind::BadNewUid, &text);
            }
        }
    }

    pub(super) fn on_uid_of_host(&mut self, uid: Uid) {
        if uid != self.state.identity.uid && uid != [0; 16] {
            self.state.identity.adopt(uid);
            self.want_all_by_host();
        }
    }

    pub(super) fn want_full_report(&mut self) {
        self.upstream.requests.full_by_server = true;
        if self.state.limits.full_report.is_first_limited(self.now) {
            self.warn(
                WarningKind::ServerAsksTooOften,
                "full state is asked for again and again",
            );
        }
    }

    /// Also what was too large for the way is tried once more, be it by the next run.
    pub(super) fn want_all_by_host(&mut self) {
        self.upstream.requests.full_by_host = true;
        self.state.reported.try_too_large();
    }
}
