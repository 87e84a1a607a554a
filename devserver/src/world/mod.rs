//! What the server knows: its state behind one lock, what is in it, and what it may show and serve.
pub(crate) mod agents;
pub(crate) mod allowed_hosts;
mod authority;
pub(crate) mod faults;
pub(crate) mod offers;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod state;
pub(crate) mod timeline;
pub(crate) mod tls;
