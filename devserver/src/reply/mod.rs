//! What becomes of a message or a request: taken in, answered as a good server would, then spoiled
//! as a rule wants. Bytes in, steps out; nothing here reads or writes a connection.
pub(crate) mod answer;
mod bodies;
pub(crate) mod compose;
pub(crate) mod frames;
mod receive;
pub(crate) mod step;
mod told;
pub(crate) mod upgrade;
