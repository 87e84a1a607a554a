//! Configurations on offer: one for all agents, or one for a single agent, and all that were
//! before.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use ring::digest::{Context, SHA256};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::vocabulary::text::{from_base64, from_hex, hex, millis};
use crate::vocabulary::wire::proto::{AgentConfigFile, AgentConfigMap, AgentRemoteConfig};

#[derive(Default)]
pub(crate) struct Offers {
    for_all: Option<Offer>,
    for_one: BTreeMap<Uuid, Offer>,
    history: Vec<Offer>,
    /// Hashes that were in an answer, also by way of a queued answer.
    used: BTreeSet<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) hash: Vec<u8>,
    pub(crate) files: AgentConfigMap,
    pub(crate) at: Duration,
    pub(crate) agent: Option<Uuid>,
}

/// The body of `POST /api/config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfferSpec {
    #[serde(default)]
    agent: Option<Uuid>,
    files: Vec<FileSpec>,
    /// Hexadecimal (`hash_hex` is the same); without either the SHA-256 of names, types and bodies.
    #[serde(default, alias = "hash_hex")]
    hash: Option<String>,
    #[serde(default)]
    hash_text: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSpec {
    #[serde(default)]
    name: String,
    #[serde(default)]
    content_type: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    body_base64: Option<String>,
}

impl Offers {
    /// What that agent should have.
    pub(crate) fn of(&self, agent: Uuid) -> Option<&Offer> {
        self.for_one.get(&agent).or(self.for_all.as_ref())
    }

    pub(crate) fn put(&mut self, offer: Offer) {
        self.history.push(offer.clone());
        match offer.agent {
            Some(agent) => drop(self.for_one.insert(agent, offer)),
            None => self.for_all = Some(offer),
        }
    }

    pub(crate) fn withdraw(&mut self, agent: Option<Uuid>) {
        match agent {
            Some(agent) => drop(self.for_one.remove(&agent)),
            None => {
                self.for_all = None;
                self.for_one.clear();
            }
        }
    }

    pub(crate) fn on_used(&mut self, hash: &[u8]) {
        self.used.insert(hash.to_vec());
    }

    /// Whether that hash ever stood in an offer.
    pub(crate) fn has(&self, hash: &[u8]) -> bool {
        self.used.contains(hash) || self.history.iter().any(|offer| offer.hash == hash)
    }

    pub(crate) fn show(&self) -> Json {
        json!({
            "current": self.for_all.as_ref().map(Offer::show),
            "agents": self.for_one.values().map(Offer::show).collect::<Vec<_>>(),
            "history": self.history.iter().map(Offer::show).collect::<Vec<_>>(),
        })
    }
}

impl Offer {
    pub(crate) fn read(spec: OfferSpec, now: Duration) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        for file in spec.files {
            let body = match (file.body, file.body_base64) {
                (Some(_), Some(_)) => return Err("body or body_base64, not both".into()),
                (Some(text), None) => Bytes::from(text),
                (None, Some(text)) => Bytes::from(from_base64(&text)?),
                (None, None) => Bytes::new(),
            };
            let content_type = file.content_type;
            if files
                .insert(file.name.clone(), AgentConfigFile { body, content_type })
                .is_some()
            {
                return Err(format!("two files are named {:?}", file.name));
            }
        }
        let hash = match (spec.hash, spec.hash_text) {
            (Some(_), Some(_)) => return Err("hash or hash_text, not both".into()),
            (Some(text), None) => from_hex(&text)?,
            (None, Some(text)) => text.into_bytes(),
            (None, None) => hash_of(&files),
        };
        Ok(Self {
            hash,
            files: AgentConfigMap { config_map: files },
            at: now,
            agent: spec.agent,
        })
    }

    pub(crate) fn message(&self) -> AgentRemoteConfig {
        let config = Some(self.files.clone());
        AgentRemoteConfig {
            config,
            config_hash: self.hash.clone().into(),
        }
    }

    pub(crate) fn show(&self) -> Json {
        let files = self.files.config_map.iter().map(|(name, file)| {
            json!({"name": name, "content_type": file.content_type, "size": file.body.len()})
        });
        json!({
            "hash": hex(&self.hash),
            "at_ms": millis(self.at),
            "agent": self.agent.map(|agent| agent.to_string()),
            "files": files.collect::<Vec<_>>(),
        })
    }
}

/// The SHA-256 over every name, type and body, each with its length in front.
pub(crate) fn hash_of(files: &BTreeMap<String, AgentConfigFile>) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for (name, file) in files {
        for piece in [
            name.as_bytes(),
            file.content_type.as_bytes(),
            &file.body[..],
        ] {
            context.update(&(piece.len() as u64).to_be_bytes());
            context.update(piece);
        }
    }
    context.finish().as_ref().to_vec()
}
