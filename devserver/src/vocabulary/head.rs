//! A request's head, and how much may follow it.
use std::io::{self, ErrorKind};

use serde_json::{Value as Json, json};
use uuid::Uuid;

/// The most that a body or a message may have.
pub(crate) const BODY_LIMIT: usize = 512 << 20;

/// A request's head as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: u8,
    pub(crate) headers: Vec<(String, String)>,
    /// Bytes up to and including the empty line.
    pub(crate) size: usize,
}

impl Head {
    /// The first header of that name, whatever its case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The uid that OpAMP's own header names.
    pub(crate) fn instance_uid(&self) -> Option<Uuid> {
        self.header("opamp-instance-uid")
            .and_then(|uid| Uuid::parse_str(uid).ok())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or(&self.target)
    }

    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// Whether the first header of that name lists that token.
    pub(crate) fn lists(&self, name: &str, token: &str) -> bool {
        let mut listed = self.header(name).unwrap_or("").split(',');
        listed.any(|one| one.trim().eq_ignore_ascii_case(token))
    }

    pub(crate) fn keeps_alive(&self) -> bool {
        if self.version == 0 {
            self.lists("connection", "keep-alive")
        } else {
            !self.lists("connection", "close")
        }
    }

    pub(crate) fn show(&self) -> Json {
        json!({
            "method": self.method,
            "path": self.target,
            "version": format!("1.{}", self.version),
            "headers": self.headers,
            "head_size": self.size,
        })
    }

    pub(crate) fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let mut slots = [httparse::EMPTY_HEADER; 128];
        let mut request = httparse::Request::new(&mut slots);
        let size = match request.parse(bytes).map_err(|e| invalid(&e.to_string()))? {
            httparse::Status::Complete(size) => size,
            httparse::Status::Partial => return Ok(None),
        };
        let headers = request.headers.iter().map(|header| {
            (
                header.name.to_owned(),
                String::from_utf8_lossy(header.value).into_owned(),
            )
        });
        Ok(Some(Self {
            headers: headers.collect(),
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            version: request.version.unwrap_or(1),
            size,
        }))
    }
}

pub(crate) fn invalid(text: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text.to_owned())
}
