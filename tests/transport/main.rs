//! The transport over loopback sockets, against small scripted servers.

mod key_files;
mod kit;

mod connection;
mod flood;
mod framing;
mod given_up;
mod host_stack;
mod http;
mod proxy;
mod records;
mod redirect;
mod tls;
mod trust;
mod unix;
mod websocket;
