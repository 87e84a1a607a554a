//! Named configuration files, as an offer brings them or as the host reports them. Frozen and
//! shared without a copy.

use std::{collections::btree_map::Entry, sync::Arc};

use bytes::Bytes;
use once_cell::race::OnceBox;
use prost::Message as _;

use super::{
    error::{Error, Result},
    reason::Reason,
    text::shown,
};
use crate::proto::{AgentConfigFile, AgentConfigMap};

/// A frozen set of files in the order of their names. A clone shares it.
#[derive(Clone, Debug)]
pub struct ConfigMap(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Arc<AgentConfigMap>,
    /// The names by position, for iteration by index; made when somebody first asks. Nobody waits
    /// for it: whoever makes it may be a thread that a fork left behind.
    names: OnceBox<Vec<Box<str>>>,
}

/// One file, borrowed from its map.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    pub name: &'a str,
    /// Empty where there is none.
    pub content_type: &'a str,
    pub body: &'a [u8],
}

impl ConfigMap {
    pub(crate) fn new(files: Arc<AgentConfigMap>) -> Self {
        Self(Arc::new(Inner {
            files,
            names: OnceBox::new(),
        }))
    }

    /// The map of an encoded AgentConfigMap, which is copied once.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        AgentConfigMap::decode(Bytes::copy_from_slice(bytes))
            .map(|files| Self::new(Arc::new(files)))
            .map_err(|_| Error::argument("not a valid AgentConfigMap").because(Reason::Undecodable))
    }

    pub(crate) fn proto(&self) -> &Arc<AgentConfigMap> {
        &self.0.files
    }

    pub fn len(&self) -> usize {
        self.0.files.config_map.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file at a position, in the order of the names.
    pub fn at(&self, index: usize) -> Option<File<'_>> {
        let names = self.0.names.get_or_init(|| {
            let names = self.0.files.config_map.keys();
            Box::new(names.map(|name| name.as_str().into()).collect())
        });
        self.find(names.get(index)?)
    }

    /// The file of that name.
    pub fn find(&self, name: &str) -> Option<File<'_>> {
        self.0.files.config_map.get_key_value(name).map(File::new)
    }
}

impl<'a> File<'a> {
    fn new((name, file): (&'a String, &'a AgentConfigFile)) -> Self {
        Self {
            name,
            content_type: &file.content_type,
            body: &file.body,
        }
    }
}

/// Collects files until the map is frozen.
#[derive(Default, Debug)]
pub struct ConfigMapBuilder(AgentConfigMap);

impl ConfigMapBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies a file into the map; a name can stand in it once.
    pub fn add(&mut self, name: &str, content_type: &str, body: &[u8]) -> Result<()> {
        match self.0.config_map.entry(name.to_owned()) {
            Entry::Occupied(_) => {
                let text = format!("a file {:?} is already in the map", shown(name));
                Err(Error::argument(text).because(Reason::DuplicateName))
            }
            Entry::Vacant(place) => {
                place.insert(AgentConfigFile {
                    body: Bytes::copy_from_slice(body),
                    content_type: content_type.to_owned(),
                });
                Ok(())
            }
        }
    }

    pub fn len(&self) -> usize {
        self.0.config_map.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file at a position, in the order of the names. What it borrows stays where it is when
    /// others are added.
    pub fn at(&self, index: usize) -> Option<File<'_>> {
        self.0.config_map.iter().nth(index).map(File::new)
    }

    /// The file of that name.
    pub fn find(&self, name: &str) -> Option<File<'_>> {
        self.0.config_map.get_key_value(name).map(File::new)
    }

    pub fn freeze(self) -> ConfigMap {
        ConfigMap::new(Arc::new(self.0))
    }
}
