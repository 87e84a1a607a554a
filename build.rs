//! Compiles the schema and sets what the linker must know.
use std::{env, path::PathBuf};

#[path = "include/header.rs"]
mod header;

/// Of its own, not the crate's version: it changes when the ABI does.
const SOVERSION: &str = "0";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    compile_schema(&out);
    header::write(&out);
    // For cargo's own shared library; the one that is shipped is linked by packaging/library.py.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libopamp.so.{SOVERSION}");
    // A thread that once called into Rust runs destructors of this library when it ends, perhaps
    // after a dlclose.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}

fn compile_schema(out: &PathBuf) {
    println!("cargo::rerun-if-changed=proto");
    let files =
        protox::compile(["opamp.proto", "anyvalue.proto"], ["proto"]).expect("proto/ compiles");
    prost_build::Config::new()
        .bytes(["."]) // bodies borrow from the received buffer
        .btree_map(["."]) // one order on the wire, whatever the process
        .out_dir(out)
        .compile_fds(files)
        .expect("prost writes the messages");
}
