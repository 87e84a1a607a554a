//! The C boundary: one file per C type, the largest with a folder. Each function checks (guard),
//! converts, calls one safe function of the agent, and converts back. Whatever it means is decided
//! elsewhere. The doc comments are the manual: build.rs makes opamp.h of them.
#![allow(non_camel_case_types)] // the names of C
#![allow(unsafe_code)] // pointers of C: what must hold of them is said once, in the manual at the top of the header
#![allow(unsafe_op_in_unsafe_fn)]
#![allow(unreachable_pub)] // they are reached from C
#![allow(clippy::missing_safety_doc)] // the header says it
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod agent;
mod array;
mod attributes;
mod callbacks;
mod calls;
#[cfg(test)]
mod calls_test;
mod client;
mod config_map;
mod constants;
#[cfg(test)]
mod constants_test;
mod convert;
mod error;
mod event;
mod guard;
mod log;
mod message;
mod request;
mod snapshot;
mod status;
mod version;

#[cfg(feature = "fuzzing")]
pub mod all {
    pub use super::agent::*;
    pub use super::array::*;
    pub use super::attributes::*;
    pub use super::client::{exchange::*, report::*, way::*, *};
    pub use super::config_map::*;
    pub use super::convert::*;
    pub use super::error::*;
    pub use super::event::*;
    pub use super::snapshot::*;
}
