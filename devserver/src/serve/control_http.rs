//! Control calls on a connection: one after the other, each with its answer as JSON.
use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value as Json, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::control::api;
use crate::serve::ending::GOODBYE;
use crate::serve::http::{Stream, Wire};
use crate::serve::line::Line;
use crate::serve::steps::write;
use crate::vocabulary::head::Head;
use crate::world::server::Server;

/// Serves a connection of the control port.
pub(crate) async fn serve(server: Arc<Server>, tcp: TcpStream) {
    let _ = tcp.set_nodelay(true);
    let mut wire = Wire::new(Stream::Plain(Line::new(tcp)));
    loop {
        let head = match wire.read_head().await {
            Ok(Some(head)) => head,
            Ok(None) => return,
            Err(error) => return refuse(&mut wire, &error).await,
        };
        if is_refused(&server, &mut wire, &head).await {
            return;
        }
        let body = match wire.read_body(&head).await {
            Ok(body) => body,
            Err(error) => return refuse(&mut wire, &error).await,
        };
        if !answer(&server, &mut wire, &head, body).await {
            return;
        }
    }
}

/// Answers a control call; false when the connection shall end.
pub(crate) async fn answer(
    server: &Arc<Server>,
    wire: &mut Wire,
    head: &Head,
    body: Bytes,
) -> bool {
    let (status, json) = tokio::select! {
        answer = api::answer(server, head, &body) => answer,
        _ = wire.peer_gone() => return false,
    };
    let keeps_alive = head.keeps_alive();
    write_json(wire, status, &json, keeps_alive).await.is_ok() && keeps_alive
}

/// Whether a request may not be served here, on whichever port it came; then it was told so, and
/// the connection ends.
pub(crate) async fn is_refused(server: &Server, wire: &mut Wire, head: &Head) -> bool {
    let Some(reason) = server.hosts.refusal(head) else {
        return false;
    };
    server.change(|state, now| state.note(now, None, format!("403: {reason}")));
    last_word(wire, 403, &reason).await;
    true
}

/// Says what is wrong with a call that is no HTTP.
pub(crate) async fn refuse(wire: &mut Wire, error: &io::Error) {
    if error.kind() == ErrorKind::InvalidData {
        last_word(wire, 400, &error.to_string()).await;
    }
}

/// Lets the caller read it before the end.
async fn last_word(wire: &mut Wire, status: u16, error: &str) {
    let json = json!({"error": error});
    if write_json(wire, status, &json, false).await.is_ok() {
        let _ = wire.stream.shutdown().await;
        let _ = tokio::time::timeout(GOODBYE, wire.peer_gone()).await;
    }
}

async fn write_json(
    wire: &mut Wire,
    status: u16,
    json: &Json,
    keeps_alive: bool,
) -> io::Result<()> {
    let mut body = serde_json::to_vec_pretty(json).expect("JSON is serializable");
    body.push(b'\n');
    let connection = if keeps_alive { "keep-alive" } else { "close" };
    let head = format!(
        "HTTP/1.1 {status} API\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: {connection}\r\n\r\n",
        body.len()
    );
    write(wire, &[head.as_bytes(), &body].concat()).await
}
