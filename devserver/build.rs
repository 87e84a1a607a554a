//! Compiles the schema: typed messages for the rules, the descriptors for JSON.
use std::{env, fs, path::PathBuf};

use prost::Message;

fn main() {
    println!("cargo::rerun-if-changed=../proto");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let files = protox::compile(["opamp.proto", "anyvalue.proto"], ["../proto"])
        .expect("../proto compiles");
    fs::write(out.join("schema.bin"), files.encode_to_vec()).expect("the build folder is writable");
    prost_build::Config::new()
        .bytes(["."])
        .btree_map(["."])
        .out_dir(out)
        .compile_fds(files)
        .expect("prost writes the messages");
}
