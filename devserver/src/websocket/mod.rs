//! WebSocket: the same messages, rules and timeline as over HTTP, with a connection that stays.
mod session;
mod upgrade;

pub(crate) use upgrade::{is_wanted, serve};
