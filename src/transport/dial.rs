//! A TCP connection to the first address that answers, or one to a unix socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::socket::Socket;
use super::vigil::{Cut, MOST_WAITED, Step, Vigil};
use super::wake::poll_entry;

/// How long an address may stay silent before the next one is tried beside it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);
/// Between two looks at a unix socket whose backlog is full: the kernel does not tell when it has
/// room again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// Reasons named in an error text.
const MOST_REASONS: usize = 4;

pub(crate) enum DialError {
    Cut(Cut),
    /// Every address refused; the text names them.
    Refused(String),
}

/// Tries the addresses in order, side by side where one is silent, all within one bound.
pub(crate) fn dial(
    addresses: &[SocketAddr],
    vigil: &mut Vigil,
    bound: Duration,
) -> Result<(Socket, SocketAddr), DialError> {
    vigil.enter(Step::Connect, Some(bound));
    let mut waiting = addresses.iter().take(MOST_WAITED);
    let mut attempts: Vec<(Socket, SocketAddr)> = Vec::new();
    let mut refusals = Vec::new();
    let mut next_at = None;
    loop {
        if next_at.is_none_or(|at| at <= Instant::now()) {
            next_at = None;
            if let Some(address) = waiting.next() {
                match Socket::connecting(address) {
                    Ok(socket) => attempts.push((socket, *address)),
                    Err(e) => refusals.push(refusal(address, &e)),
                }
                if waiting.len() > 0 && !attempts.is_empty() {
                    next_at = Some(Instant::now() + STAGGER);
                }
            }
        }
        if attempts.is_empty() {
            if waiting.len() == 0 {
                return Err(DialError::Refused(together(&refusals, addresses.len())));
            }
            continue;
        }
        let mut set = [poll_entry(-1, libc::POLLOUT); MOST_WAITED];
        let set = &mut set[..attempts.len()];
        for (entry, (socket, _)) in set.iter_mut().zip(&attempts) {
            entry.fd = socket.raw_fd();
        }
        vigil.wait_any(set, next_at).map_err(DialError::Cut)?;
        for index in (0..set.len()).rev().filter(|&i| set[i].revents != 0) {
            let (socket, address) = attempts.remove(index);
            match socket.connected() {
                Ok(()) => return Ok((socket, address)),
                Err(e) => {
                    refusals.push(refusal(&address, &e));
                    next_at = None;
                }
            }
        }
    }
}

/// The same for a unix socket.
pub(crate) fn dial_unix(
    path: &Path,
    vigil: &mut Vigil,
    bound: Duration,
) -> Result<Socket, DialError> {
    vigil.enter(Step::Connect, Some(bound));
    let mut pause = SHORTEST_PAUSE;
    loop {
        match Socket::connect_unix(path) {
            Ok(socket) => return Ok(socket),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => {
                let place = format_args!("the socket {}", path.display());
                return Err(DialError::Refused(refusal(&place, &e)));
            }
        }
        let until = Instant::now() + pause;
        vigil
            .wait_any(&mut [], Some(until))
            .map_err(DialError::Cut)?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn refusal(place: &dyn fmt::Display, error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("{place}: {text}")
}

fn together(refusals: &[String], addresses: usize) -> String {
    let shown = refusals
        .iter()
        .take(MOST_REASONS)
        .map(String::as_str)
        .collect::<Vec<_>>();
    match addresses.saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}
