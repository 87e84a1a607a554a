//! Names to addresses. `getaddrinfo` can not be cancelled, so it runs on a thread of its own that
//! is left alone when nobody waits any more, and whose late result serves the next try.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::locks::Mutex;

use super::Wake;
use super::signals::with_all_blocked;
use super::vigil::{Cut, Step, Vigil};

/// getaddrinfo's modules are the host's, and some use a lot.
const STACK: usize = 256 * 1024;
/// A look-up that came too late for its own try is good enough for the next one until then.
const LATE_RESULT_AGE: Duration = Duration::from_secs(600);

type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Looks up one name at a time. Clones share the look-up under way, so an agent that is started
/// again does not add a second one.
#[derive(Clone)]
pub struct Resolver {
    lookup: Arc<Lookup>,
    running: Arc<Mutex<Option<Arc<Running>>>>,
}

struct Running {
    host: String,
    port: u16,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Who waits; nobody is woken for a result that nobody waits for.
    waiter: Option<Wake>,
    result: Option<(Instant, io::Result<Vec<SocketAddr>>)>,
}

/// Why there is no address.
pub(crate) enum ResolveError {
    Cut(Cut),
    Failed(String),
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver::new(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
    }
}

impl Resolver {
    /// With another way to look up than the system's; it may block as long as it likes.
    pub fn new(
        lookup: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Resolver {
        Resolver {
            lookup: Arc::new(lookup),
            running: Arc::default(),
        }
    }

    /// Forgets a late result; a look-up under way goes on.
    pub fn forget(&self) {
        let mut running = self.running.lock();
        if running
            .as_ref()
            .is_some_and(|r| r.state.lock().result.is_some())
        {
            *running = None;
        }
    }

    pub(crate) fn resolve(
        &self,
        host: &str,
        port: u16,
        wake: &Wake,
        vigil: &mut Vigil,
        bound: Duration,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        vigil.enter(Step::Resolve, Some(bound));
        loop {
            let running = self.under_way(host, port).map_err(ResolveError::Failed)?;
            let ended = running.await_end(wake, vigil).map_err(ResolveError::Cut)?;
            let mut slot = self.running.lock();
            if slot.as_ref().is_some_and(|r| Arc::ptr_eq(r, &running)) {
                *slot = None;
            }
            drop(slot);
            // Only one at a time: another name's look-up was waited for, now comes ours.
            if running.host != host || running.port != port {
                continue;
            }
            return match ended {
                Ok(addresses) if addresses.is_empty() => {
                    Err(ResolveError::Failed(format!("{host} has no address")))
                }
                Ok(addresses) => Ok(addresses),
                Err(e) => Err(ResolveError::Failed(format!("{host}: {}", reason(&e)))),
            };
        }
    }

    /// The look-up that runs or has ended usefully, else a new one.
    fn under_way(&self, host: &str, port: u16) -> Result<Arc<Running>, String> {
        let mut slot = self.running.lock();
        if let Some(running) = slot.as_ref().filter(|r| r.is_useful(host, port)) {
            return Ok(running.clone());
        }
        let running = Arc::new(Running {
            host: host.to_owned(),
            port,
            state: Mutex::default(),
        });
        let (lookup, mine) = (self.lookup.clone(), running.clone());
        let thread = thread::Builder::new()
            .name("opamp-dns".to_owned())
            .stack_size(STACK);
        with_all_blocked(|| {
            thread.spawn(move || {
                let result = lookup(&mine.host, mine.port);
                mine.on_end(result);
            })
        })
        .map_err(|e| format!("no thread for the look-up of {host}: {e}"))?;
        *slot = Some(running.clone());
        Ok(running)
    }
}

impl Running {
    fn is_useful(&self, host: &str, port: u16) -> bool {
        match &self.state.lock().result {
            None => true,
            Some((at, result)) => {
                let is_ours = self.host == host && self.port == port;
                is_ours && result.is_ok() && at.elapsed() < LATE_RESULT_AGE
            }
        }
    }

    fn on_end(&self, result: io::Result<Vec<SocketAddr>>) {
        let mut state = self.state.lock();
        state.result = Some((Instant::now(), result));
        let waiter = state.waiter.take();
        drop(state);
        if let Some(wake) = waiter {
            wake.wake();
        }
    }

    fn await_end(
        &self,
        wake: &Wake,
        vigil: &mut Vigil,
    ) -> Result<io::Result<Vec<SocketAddr>>, Cut> {
        loop {
            let mut state = self.state.lock();
            if let Some((_, result)) = state.result.take() {
                return Ok(result);
            }
            state.waiter = Some(wake.clone());
            drop(state);
            if let Err(cut) = vigil.wait_any(&mut [], None) {
                self.state.lock().waiter = None;
                return Err(cut);
            }
        }
    }
}

/// std puts a sentence of its own before getaddrinfo's.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.strip_prefix("failed to lookup address information: ") {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}
