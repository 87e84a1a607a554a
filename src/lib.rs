//! An OpAMP client (Open Agent Management Protocol) behind a C ABI. What a C program sees is
//! `include/opamp.h`.

pub mod agent;
mod ffi;
mod locks;
mod order;
pub mod proto;
pub mod protocol;
pub mod transport;

/// The functions of the C boundary, for `fuzz/`.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use ffi::all as c;
