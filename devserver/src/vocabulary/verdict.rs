//! A verdict: a row of the conformance table, and whether it was kept.
use serde_json::{Value as Json, json};

#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) row: &'static str,
    pub(crate) ok: bool,
    pub(crate) text: String,
}

impl Verdict {
    pub(crate) fn pass(row: &'static str, text: impl Into<String>) -> Self {
        Self {
            row,
            ok: true,
            text: text.into(),
        }
    }

    pub(crate) fn fail(row: &'static str, text: impl Into<String>) -> Self {
        Self {
            row,
            ok: false,
            text: text.into(),
        }
    }

    pub(crate) fn show(&self) -> Json {
        json!({"row": self.row, "ok": self.ok, "text": self.text})
    }
}
