//! The words of scripts, calls and the schema, and their text: no state, no socket.
pub(crate) mod action;
pub(crate) mod codec;
pub(crate) mod cut;
pub(crate) mod frame;
pub(crate) mod head;
pub(crate) mod text;
pub(crate) mod verdict;
pub(crate) mod wire;
