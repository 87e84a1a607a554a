//! Ends and limits: where the bytes of a connection stop or slow down, and how it ends.
use serde::Deserialize;

use crate::vocabulary::text::Span;

/// How a connection ends, or seems to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum How {
    Close,
    Reset,
    /// Not a packet comes back from now on, no FIN and no RST either.
    Vanish,
}

/// So many bytes go through.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    pub(crate) bytes: usize,
    pub(crate) how: CutHow,
}

/// So many bytes, then a pause.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pace {
    pub(crate) bytes: usize,
    pub(crate) every: Span,
}

/// Ends an answer before its end.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cut {
    pub(crate) after: CutAfter,
    #[serde(default)]
    pub(crate) how: CutHow,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CutAfter {
    Head,
    /// The head and half of the body.
    Half,
    /// That many bytes of the whole answer.
    Bytes(usize),
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CutHow {
    #[default]
    Close,
    Reset,
    /// Keeps the connection and sends nothing more.
    Stall,
    Vanish,
}

impl CutHow {
    pub(crate) fn how(self) -> Option<How> {
        match self {
            Self::Close => Some(How::Close),
            Self::Reset => Some(How::Reset),
            Self::Stall => None,
            Self::Vanish => Some(How::Vanish),
        }
    }
}
