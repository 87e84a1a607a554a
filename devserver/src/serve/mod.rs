//! Ports and connections: bytes in and out, with TLS, HTTP and WebSocket.
mod connection;
mod control_http;
mod ending;
mod http;
mod line;
pub(crate) mod listen;
mod steps;
mod websocket;
