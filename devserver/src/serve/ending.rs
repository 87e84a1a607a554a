//! Why and how a connection ends.
use std::io;
use std::time::Duration;

use crate::serve::line::{Tripped, tripped};
use crate::vocabulary::cut::How;

/// How long a polite end may take.
pub(crate) const GOODBYE: Duration = Duration::from_secs(1);

/// Why a connection ended.
pub(crate) struct Ending {
    pub(crate) by: &'static str,
    pub(crate) reason: String,
    pub(crate) how: How,
    /// A request had begun and had no answer.
    pub(crate) is_loss: bool,
}

impl Ending {
    pub(crate) fn agent(reason: impl Into<String>) -> Self {
        Self {
            by: "agent",
            reason: reason.into(),
            how: How::Close,
            is_loss: false,
        }
    }

    pub(crate) fn server(reason: impl Into<String>) -> Self {
        Self {
            by: "server",
            ..Self::agent(reason)
        }
    }

    pub(crate) fn fault(rule: &str, how: How) -> Self {
        Self {
            by: "fault",
            reason: format!("rule {rule}"),
            how,
            is_loss: true,
        }
    }

    /// The end that an answer makes; it was a rule's answer or the request asked for it.
    pub(crate) fn answered(rule: &str, how: How) -> Self {
        match rule {
            "" => Self {
                how,
                ..Self::server("as the request asked")
            },
            rule => Self::fault(rule, how),
        }
    }

    /// The end that an error tells of.
    pub(crate) fn of(error: &io::Error) -> Self {
        match tripped(error) {
            Some(Tripped { rule, how }) => Self::fault(rule, *how),
            None => Self::agent(error.to_string()),
        }
    }

    pub(crate) fn lossy(self) -> Self {
        Self {
            is_loss: true,
            ..self
        }
    }
}
