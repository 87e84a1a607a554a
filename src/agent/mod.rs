//! Joins the protocol core with a transport, a clock and the host: the client (what is true), the
//! agent (one running connection), the worker (the one loop) and the queue (what waits for the
//! host).

mod capabilities;
mod checks;
pub mod client;
mod clock;
pub mod config_map;
mod convert;
pub mod defaults;
pub mod error;
pub mod event;
mod exchange;
mod flush;
pub mod fork;
mod host_message;
mod identity;
mod journal;
pub mod life;
pub mod log;
mod mailbox;
pub mod panics;
mod queue;
pub mod reason;
mod run;
mod send;
pub mod snapshot;
mod stack;
mod start;
mod text;
mod worker;

pub use client::Client;
pub use config_map::{ConfigMap, ConfigMapBuilder, File};
pub use error::{Code, Error, Kind, Result};
pub use event::{Event, EventKind, HostRequest, Message};
pub use life::{Agent, Delivery, Host};
pub use log::Level;
pub use reason::Reason;
pub use snapshot::Snapshot;
pub(crate) use text::{free as free_text, shown};

pub use crate::transport::{
    ReachedServer,
    tls::{Identity, Roots},
};
