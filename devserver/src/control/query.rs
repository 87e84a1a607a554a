//! The query string of a control call, and what a call is answered.
use serde_json::Value as Json;
use uuid::Uuid;

use crate::vocabulary::text::from_percent;
use crate::vocabulary::wire::check_part;

/// A status and the JSON that goes with it, or the text of what is wrong.
pub(crate) type Answer = Result<(u16, Json), (u16, String)>;

/// The answer to a call that can not be understood.
pub(crate) fn bad(text: impl Into<String>) -> (u16, String) {
    (400, text.into())
}

/// A query string's pairs.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "1"));
            (from_percent(name), from_percent(value))
        });
        Self(pairs.collect())
    }

    /// Refuses keys that the call does not know: it would answer something else than was asked.
    pub(crate) fn only(self, known: &[&str]) -> Result<Self, (u16, String)> {
        match self
            .0
            .iter()
            .find(|(key, _)| !known.contains(&key.as_str()))
        {
            Some((key, _)) => Err(bad(format!("{key:?} is no key here: {}", known.join(", ")))),
            None => Ok(self),
        }
    }

    /// A part of messages to look for.
    pub(crate) fn part(&self) -> Result<Option<&str>, (u16, String)> {
        let part = self.value("part");
        part.map_or(Ok(()), check_part).map_err(bad)?;
        Ok(part)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn agent(&self) -> Result<Option<Uuid>, (u16, String)> {
        let agent = self.value("agent").filter(|text| !text.is_empty());
        agent
            .map(|text| Uuid::parse_str(text).map_err(|e| bad(e.to_string())))
            .transpose()
    }

    pub(crate) fn number(&self, name: &str, default: u64) -> Result<u64, (u16, String)> {
        let number = self.value(name).map(|text| text.parse());
        number
            .unwrap_or(Ok(default))
            .map_err(|_| bad(format!("{name} is no number")))
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.value(name)
            .is_some_and(|value| !matches!(value, "" | "0" | "false"))
    }
}
