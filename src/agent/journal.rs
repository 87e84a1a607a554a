//! What the agent says in the log: changes of state, not every step. First failure, then ever more rarely, then recovery.

use std::sync::Arc;

use super::log::{self, Level};
use crate::{
    protocol::{Event, Outcome},
    transport::Hop,
};

/// Collects lines while the agent's state is locked; they are handed out afterwards.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// The most that anybody wants to hear as events.
    events_level: Option<Level>,
    failures: u64,
    lines: Vec<(Level, Arc<str>)>,
}

impl Journal {
    pub(crate) fn new(events_level: Level) -> Self {
        let events_level = (events_level > Level::Off).then_some(events_level);
        Self {
            events_level,
            ..Self::default()
        }
    }

    /// Are lines of this level asked for as events?
    pub(crate) fn is_event(&self, level: Level) -> bool {
        self.events_level.is_some_and(|most| level <= most)
    }

    pub(crate) fn take(&mut self) -> Vec<(Level, Arc<str>)> {
        std::mem::take(&mut self.lines)
    }

    pub(crate) fn say(&mut self, level: Level, line: impl FnOnce() -> String) {
        if log::is_wanted(level) || self.is_event(level) {
            self.lines.push((level, line().into()));
        }
    }

    /// Paths and queries stay out: they may hold a token.
    pub(crate) fn on_redirect(&mut self, hop: &Hop) {
        let origin = |url: &str| url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        self.say(Level::Info, || {
            let (from, to) = (origin(&hop.from), origin(&hop.to));
            format!("redirected from {from} to {to} (HTTP {})", hop.status)
        });
    }

    pub(crate) fn on_event(&mut self, event: &Event) {
        match event {
            Event::Connected { after_failures: 0 } => {
                self.failures = 0;
                self.say(Level::Info, || "connected".into());
            }
            Event::Connected { after_failures } => {
                self.failures = 0;
                self.say(Level::Info, || {
                    format!("connected after {after_failures} failures")
                });
            }
            Event::ConnectFailed { failure, retry_in } => {
                self.failures += 1;
                let (count, text) = (self.failures, &failure.text);
                // 1, 2, 4, 8, ..: a server that stays away for a day fills no disk.
                let level = if count.is_power_of_two() {
                    Level::Warn
                } else {
                    Level::Debug
                };
                self.say(level, || match retry_in {
                    Some(wait) => format!(
                        "failure {count}: {text}; next try in {}.{} s",
                        wait.as_secs(),
                        wait.subsec_millis() / 100
                    ),
                    None => format!("failure {count}: {text}"),
                });
            }
            Event::ServerError { kind, text, .. } => {
                self.say(Level::Warn, || {
                    format!("the server answered {kind:?}: {text}")
                });
            }
            Event::Message(message) => self.say(Level::Debug, || match &message.remote_config {
                Some(offer) => {
                    format!(
                        "a configuration of {} files was offered",
                        offer.files.config_map.len()
                    )
                }
                None => format!("a message of {} bytes", message.raw.len()),
            }),
            Event::NewUid(uid) => self.say(Level::Info, || {
                format!(
                    "the server assigned the instance uid {}",
                    super::identity::uid_text(uid)
                )
            }),
            Event::Warning { text, .. } => self.say(Level::Warn, || text.to_string()),
            Event::ReportDone { ticket, outcome } => {
                self.say(Level::Debug, || match outcome {
                    Outcome::Confirmed => format!("report {ticket} is confirmed"),
                    _ => format!("report {ticket} ended without a confirmation"),
                });
            }
            Event::Stopped => self.say(Level::Info, || "stopped".into()),
        }
    }
}
