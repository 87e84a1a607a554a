//! An OpAMP client (Open Agent Management Protocol) behind a C ABI. What a C program sees is `include/opamp.h`.

pub mod agent;
mod ffi;
mod locks;
pub mod proto;
pub mod protocol;
pub mod transport;
