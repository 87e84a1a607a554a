//! What agents show of the conformance table: facts in, verdicts out.
pub(crate) mod facts;
pub(crate) mod message;
pub(crate) mod websocket;
