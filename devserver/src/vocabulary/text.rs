//! Bytes, uids and times as the text that stands in JSON, files and URLs.
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer};

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2);
        pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
    });
    pairs
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{text:?} is not hexadecimal"))
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(text)
        .map_err(|error| format!("not base64: {error}"))
}

/// At most `limit` bytes of a text, cut between characters.
pub(crate) fn excerpt(bytes: &[u8], limit: usize) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(limit)]);
    if bytes.len() > limit {
        format!("{text}...")
    } else {
        text.into_owned()
    }
}

/// Undoes percent encoding; `+` is a space as in a query.
pub(crate) fn from_percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = bytes
            .get(at + 1..at + 3)
            .and_then(|two| std::str::from_utf8(two).ok());
        match (
            bytes[at],
            escaped.and_then(|two| u8::from_str_radix(two, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                at += 2;
            }
            (b'+', _) => plain.push(b' '),
            (byte, _) => plain.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// A time span as it stands in JSON and URLs: `250ms`, `1.5s`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let end = text
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let seconds = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(format!("{text:?} is no time: write 250ms, 1.5s, 2m or 1h")),
        };
        let number: f64 = number.parse().map_err(|_| format!("{text:?} is no time"))?;
        let span = Duration::try_from_secs_f64(number * seconds);
        span.map(Self).map_err(|error| format!("{text:?}: {error}"))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Milliseconds with three decimals, as all times stand in JSON.
pub(crate) fn millis(span: Duration) -> f64 {
    span.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units() {
        assert_eq!(Span::parse("1.5s"), Ok(Span(Duration::from_millis(1500))));
        assert_eq!(Span::parse("250ms"), Ok(Span(Duration::from_millis(250))));
        for bad in ["5", "s", "-1s", "1 week", ""] {
            assert!(Span::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hex_and_percent_come_back() {
        assert_eq!(from_hex(&hex(&[0, 15, 255])), Ok(vec![0, 15, 255]));
        assert!(from_hex("abc").is_err() && from_hex("zz").is_err());
        assert_eq!(from_percent("a%3E%3D3+b%zz"), "a>=3 b%zz");
    }
}
