//! WebSocket: the same messages, rules and timeline as over HTTP, with a connection that stays.
mod session;
pub(crate) mod upgrade;
