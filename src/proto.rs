//! The messages of `proto/`, as prost makes them.
#![allow(clippy::all)]

include!(concat!(env!("OUT_DIR"), "/opamp.proto.rs"));
