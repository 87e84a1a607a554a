//! The control API: calls that read and change the state, and conditions over it. README.md shows
//! each call.
pub(crate) mod api;
mod calls;
pub(crate) mod expect;
mod query;
mod wait;
