//! The transport over loopback sockets, against small scripted servers.

mod kit;

mod connection;
mod given_up;
mod host_stack;
mod http;
mod proxy;
mod redirect;
mod tls;
mod unix;
mod websocket;
