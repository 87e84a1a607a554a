//! The request that makes a connection a WebSocket.
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::reply::answer::{Plan, plan};
use crate::reply::compose::Content;
use crate::serve::ending::Ending;
use crate::serve::http::Wire;
use crate::serve::steps::take_all;
use crate::serve::websocket::session::Session;
use crate::vocabulary::head::Head;
use crate::world::server::Server;
use crate::world::socket::Socket;
use crate::world::timeline::{LinkInfo, Upgrade, Way, What};

/// Whether this request asks for a WebSocket.
pub(crate) fn is_wanted(head: &Head) -> bool {
    head.method != "POST" && head.lists("upgrade", "websocket")
}

/// Answers the request and serves what becomes of the connection; none when it stays plain HTTP.
pub(crate) async fn serve(
    server: &Arc<Server>,
    mut info: LinkInfo,
    wire: &mut Wire,
    head: Head,
) -> Option<Ending> {
    if let Err(error) = wire.read_body(&head).await {
        return Some(Ending::agent(error.to_string()).lossy());
    }
    info.transport = if info.transport == "https" {
        "wss"
    } else {
        "ws"
    };
    let (reply, verdicts) = server.change(|state, now| state.on_upgrade(now, info, &head));
    let action = reply
        .fault
        .as_ref()
        .map(|fault| fault.action.clone())
        .unwrap_or_default();
    let error = match &reply.content {
        Content::Refusal(_, text) => Some(text.clone()),
        _ => None,
    };
    let Plan {
        steps,
        sent,
        silence,
    } = plan(&reply, head.keeps_alive());
    let (status, headers) = match sent.way {
        Way::Http(status, headers) => (status, headers),
        Way::Frames(_) => (None, Vec::new()),
    };
    let (orders, ordered) = mpsc::unbounded_channel();
    let (path, uid) = (head.path().to_owned(), head.instance_uid());
    let is_excused = reply.fault.is_some();
    server.change(|state, now| {
        let upgrade = Upgrade {
            head,
            error,
            status,
            headers,
            fault: sent.fault,
        };
        state.push(now, uid, Some(info), verdicts, What::Upgrade(upgrade));
        let told = uid.and_then(|uid| state.agents.get_mut(&uid));
        if let (Some(agent), Some(span)) = (told, silence) {
            agent.watch.not_before = Some((now + span, "WS-12"));
        }
        if let Some(link) = state
            .links
            .get_mut(&info.number)
            .filter(|_| status == Some(101))
        {
            link.info = info;
            link.agent = uid;
            let is_excused = is_excused || link.is_spoilt;
            link.socket = Some(Socket::new(path, uid, orders, now, is_excused));
        }
    });
    if let Some(span) = action.wait {
        tokio::select! {
            () = tokio::time::sleep(span.0) => {}
            error = wire.peer_gone() => return Some(Ending::agent(error.to_string()).lossy()),
        }
    }
    match take_all(wire, steps).await {
        Err(error) => return Some(Ending::of(&error).lossy()),
        Ok(Some(how)) => return Some(Ending::answered(reply.rule(), how)),
        Ok(None) => {}
    }
    if status != Some(101) {
        return None;
    }
    Some(
        Session::new(server, info, wire, ordered, &action)
            .run(reply.rule())
            .await,
    )
}
