//! The two ports: OpAMP, which can go down and come back, and the control port, which can not.
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

use crate::connection::{serve, serve_api};
use crate::server::Server;

const BACKLOG: u32 = 1024;
/// The pause after a failed accept: mostly descriptors have run out.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(20);

/// A port that is ours but refuses connections.
pub(crate) struct Bound {
    socket: TcpSocket,
}

impl Bound {
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self { socket })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(crate) fn listen(self) -> io::Result<TcpListener> {
        self.socket.listen(BACKLOG)
    }
}

/// Accepts OpAMP connections, for as long as the server shall listen. While it shall not, the port stays
/// ours without listening, so that nobody else gets it and connections are refused.
pub(crate) async fn opamp(server: Arc<Server>, mut listener: TcpListener) -> io::Result<()> {
    loop {
        let mut wanted = server.listening.subscribe();
        tokio::select! {
            accepted = listener.accept() => {
                match accepted {
                    Ok((tcp, peer)) => drop(tokio::spawn(serve(Arc::clone(&server), tcp, peer))),
                    Err(_) => tokio::time::sleep(OUT_OF_DESCRIPTORS).await,
                }
                continue;
            }
            _ = wanted.wait_for(|wanted| !wanted) => {}
        }
        drop(listener);
        let bound = Bound::new(server.address)?;
        server.change(|state, _| state.is_listening = false);
        let _ = server
            .listening
            .subscribe()
            .wait_for(|wanted| *wanted)
            .await;
        listener = bound.listen()?;
        server.change(|state, _| state.is_listening = true);
    }
}

/// Accepts control calls.
pub(crate) async fn control(server: Arc<Server>, listener: TcpListener) -> io::Result<()> {
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(serve_api(Arc::clone(&server), tcp));
    }
}
