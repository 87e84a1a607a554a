//! What a fault rule does, key by key; keys combine.
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use crate::codec;
use crate::text::{Span, from_base64, from_hex};

/// The `do` of a rule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Action {
    // Of a connection.
    pub(crate) accept: Option<Accept>,
    /// The certificate of the TLS handshake, by its name in the folder of --tls.
    pub(crate) certificate: Option<String>,
    // Before the answer.
    pub(crate) wait_before_reading: Option<Span>,
    pub(crate) drop: Option<Drop>,
    pub(crate) wait: Option<Span>,
    /// Never answers, and keeps the connection.
    pub(crate) silent: bool,
    // What the answer says.
    pub(crate) status: Option<u16>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) retry_after: Option<RetryAfter>,
    /// Location of a redirect, 307 unless `status` says otherwise.
    pub(crate) redirect: Option<String>,
    /// Another content type; null leaves the header out.
    #[serde(deserialize_with = "given")]
    pub(crate) content_type: Option<Option<String>>,
    /// Parts of a ServerToAgent, over the ones that a good server would send.
    pub(crate) answer: Option<Json>,
    /// The present configuration, whether the agent has it or not.
    pub(crate) offer_again: bool,
    pub(crate) body: Option<Body>,
    pub(crate) encoding: Option<Encoding>,
    /// Declares that length, whatever the body has.
    pub(crate) content_length: Option<u64>,
    pub(crate) chunked: bool,
    // How it is delivered.
    /// Between the head and the body.
    pub(crate) wait_between: Option<Span>,
    pub(crate) dribble: Option<Pace>,
    pub(crate) cut: Option<Cut>,
    /// A chunked body of zero bytes without an end, after the body.
    pub(crate) endless: Option<Pace>,
    pub(crate) close: Option<Close>,
}

/// What becomes of a connection at once.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Accept {
    Close,
    Reset,
    /// Not a byte in return, no TLS handshake either.
    Silent,
    CloseAfterTls,
    ResetAfterTls,
    SilentAfterTls,
}

/// Where a request is dropped.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Drop {
    /// With the head read and the body not.
    Unread,
    Unanswered,
    ResetUnread,
    ResetUnanswered,
}

impl Drop {
    pub(crate) fn is_unread(self) -> bool {
        matches!(self, Self::Unread | Self::ResetUnread)
    }

    pub(crate) fn is_reset(self) -> bool {
        matches!(self, Self::ResetUnread | Self::ResetUnanswered)
    }
}

/// A body in place of the good one.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    Empty,
    /// A page as a proxy would send it, with its content type.
    Html,
    /// Bytes that are no protobuf.
    Garbage,
    /// The good answer without its last bytes.
    Truncated,
    /// The good answer with a string that is no UTF-8.
    InvalidUtf8,
    /// The good answer with fields, enumeration values and flag bits that nobody knows.
    UnknownFields,
    Text(String),
    Base64(String),
    Hex(String),
    /// The good answer, filled up to exactly that many bytes.
    Size(u64),
    /// That many zero bytes.
    Zeros(u64),
    /// That many bytes of empty two-byte fields.
    ManyFields(u64),
    /// A custom component map nested that deep.
    Nested(u32),
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Encoding {
    Gzip,
    /// Says gzip and sends the body as it is.
    FalseGzip,
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
}

/// Closes a kept connection after a whole answer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Close {
    /// With `Connection: close`.
    Announced,
    Silent,
    /// Without a word, by a reset.
    Reset,
}

/// The value of a Retry-After header.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Json")]
pub(crate) enum RetryAfter {
    Text(String),
    /// An HTTP-date that many seconds from now.
    Date(i64),
}

impl TryFrom<Json> for RetryAfter {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        if let Json::Number(number) = &json {
            return Ok(Self::Text(number.to_string()));
        }
        let text = json
            .as_str()
            .ok_or("retry_after is a number of seconds or a text")?;
        let seconds = text
            .strip_suffix('s')
            .filter(|text| text.starts_with(['+', '-']));
        match seconds.and_then(|seconds| seconds.parse().ok()) {
            Some(seconds) => Ok(Self::Date(seconds)),
            None => Ok(Self::Text(text.to_owned())),
        }
    }
}

impl RetryAfter {
    pub(crate) fn value(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Date(seconds) => {
                let span = Duration::from_secs(seconds.unsigned_abs());
                let now = SystemTime::now();
                httpdate::fmt_http_date(if *seconds < 0 { now - span } else { now + span })
            }
        }
    }
}

impl Action {
    /// Whether it acts before the body is read.
    pub(crate) fn is_early(&self) -> bool {
        self.wait_before_reading.is_some() || self.drop.is_some_and(Drop::is_unread)
    }

    /// Whether an agent may rightly believe that its message did not arrive, or was not understood.
    pub(crate) fn is_spoiling(&self) -> bool {
        self.drop.is_some()
            || self.silent
            || self.status.is_some()
            || self.redirect.is_some()
            || self.content_type.is_some()
            || self.body.is_some()
            || self.encoding == Some(Encoding::FalseGzip)
            || self.content_length.is_some()
            || self.cut.is_some()
            || self.endless.is_some()
            || self.dribble.is_some()
            || self.wait.is_some()
            || self.wait_between.is_some()
            || self.wait_before_reading.is_some()
            || self
                .answer
                .as_ref()
                .is_some_and(|answer| answer.get("error_response").is_some())
    }

    /// Refuses what can not work, when it is loaded and not when it is needed.
    pub(crate) fn check(&self, of_connection: bool) -> Result<(), String> {
        let connection_only = self.accept.is_some() || self.certificate.is_some();
        if connection_only != of_connection {
            return Err("accept and certificate belong to \"on\": \"connection\"".into());
        }
        if let Some(answer) = &self.answer {
            codec::read("ServerToAgent", answer)?;
        }
        match &self.body {
            Some(Body::Base64(text)) => from_base64(text).map(drop),
            Some(Body::Hex(text)) => from_hex(text).map(drop),
            _ => Ok(()),
        }
    }
}

/// Tells a null from an absent key.
fn given<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(source).map(Some)
}
