//! The two ports: OpAMP, which can go down and come back, and the control port, which can not.
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::serve::connection::serve;
use crate::serve::control_http;
use crate::world::server::Server;
use crate::world::state::Port;

const BACKLOG: u32 = 1024;
/// The pause after a failed accept: mostly descriptors have run out.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(20);
/// A connection to ourselves that takes longer than that has no answer.
const NO_ANSWER: Duration = Duration::from_millis(100);

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
        socket.bind(address).map_err(at(address))?;
        Ok(Self { socket })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(crate) fn listen(self) -> io::Result<TcpListener> {
        let address = self.address()?;
        self.socket.listen(BACKLOG).map_err(at(address))
    }
}

/// Says which of the two ports an error is about.
fn at(address: SocketAddr) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{address}: {error}"))
}

/// Accepts OpAMP connections, for as long as the server shall. While it shall not, the port stays
/// ours, so that nobody else gets it.
pub(crate) async fn opamp(server: Arc<Server>, mut listener: TcpListener) -> io::Result<()> {
    let mut wanted = server.port.subscribe();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                match accepted {
                    Ok((tcp, peer)) => drop(tokio::spawn(serve(Arc::clone(&server), tcp, peer))),
                    Err(_) => tokio::time::sleep(OUT_OF_DESCRIPTORS).await,
                }
                continue;
            }
            changed = wanted.changed() => changed.map_err(io::Error::other)?,
        }
        drop(listener);
        listener = loop {
            let port = *wanted.borrow_and_update();
            let bound = Bound::new(server.address)?;
            if port == Port::Accepts {
                break bound.listen()?;
            }
            let held = match port {
                Port::Hangs => Held::Queue(hang(bound).await?),
                _ => Held::Port(bound),
            };
            server.change(|state, _| state.port = port);
            let changed = wanted.changed().await;
            drop(held);
            changed.map_err(io::Error::other)?;
        };
        server.change(|state, _| state.port = Port::Accepts);
    }
}

/// What keeps the port ours while nobody is accepted.
#[expect(dead_code, reason = "held, not used")]
enum Held {
    Port(Bound),
    Queue((TcpListener, Vec<TcpStream>)),
}

/// Listens without accepting and fills the queue, so that the next connection gets no answer to its
/// SYN.
async fn hang(bound: Bound) -> io::Result<(TcpListener, Vec<TcpStream>)> {
    let address = bound.address()?;
    let listener = bound.socket.listen(1)?;
    let mut filling = Vec::new();
    while let Ok(connected) = timeout(NO_ANSWER, TcpStream::connect(address)).await {
        filling.push(connected?);
    }
    Ok((listener, filling))
}

/// Accepts control calls.
pub(crate) async fn control(server: Arc<Server>, listener: TcpListener) -> io::Result<()> {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => drop(tokio::spawn(control_http::serve(Arc::clone(&server), tcp))),
            Err(_) => tokio::time::sleep(OUT_OF_DESCRIPTORS).await,
        }
    }
}
