//! The patience of one exchange: every wait goes through here, so every wait can be cut.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::wake::{poll_entry, ppoll};
use super::{Wake, Watch};

/// What an exchange is doing, and with it which bound applies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Resolve,
    Connect,
    Tls,
    Proxy,
    Send,
    FirstByte,
    Body,
    /// WebSocket: a sign of life.
    Pong,
    HostStack,
}

/// Why a blocking call ended without its result.
#[derive(Debug)]
pub(crate) enum Cut {
    GivenUp,
    Timeout(Step),
    /// The peer ended the connection: EOF, reset, broken pipe.
    Closed(&'static str),
    Tls(String),
    Io(io::Error),
}

/// Asked for a new instant at once, a watch would keep the processor busy.
const SHORTEST_REST: Duration = Duration::from_millis(1);

pub(crate) struct Vigil {
    wake: Wake,
    watch: Arc<dyn Watch>,
    ask_at: Option<Instant>,
    whole_end: Instant,
    step: Step,
    step_end: Instant,
}

impl Vigil {
    /// Asks the watch for the first time; `whole` bounds everything that follows.
    pub(crate) fn begin(wake: Wake, watch: Arc<dyn Watch>, whole: Duration) -> Result<Vigil, Cut> {
        let whole_end = later(Instant::now(), whole);
        let mut vigil = Vigil {
            wake,
            watch,
            ask_at: None,
            whole_end,
            step: Step::Send,
            step_end: whole_end,
        };
        vigil.ask()?;
        Ok(vigil)
    }

    /// What follows is `step`, with a bound of its own from now on.
    pub(crate) fn enter(&mut self, step: Step, bound: Option<Duration>) {
        self.step = step;
        self.step_end = match bound {
            Some(bound) => later(Instant::now(), bound).min(self.whole_end),
            None => self.whole_end,
        };
    }

    pub(crate) fn whole_end(&self) -> Instant {
        self.whole_end
    }

    /// Without a system call unless somebody woke us: for loops that move bytes without waiting.
    /// Answers whether somebody did.
    pub(crate) fn look(&mut self) -> Result<bool, Cut> {
        let woken = self.wake.is_raised();
        if woken {
            self.wake.clear();
            self.ask()?;
        }
        let now = Instant::now();
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask()?;
        }
        if self.step_end <= now {
            return Err(Cut::Timeout(self.step));
        }
        Ok(woken)
    }

    /// Waits until `fd` has one of `events` (or an error) and answers what it has.
    pub(crate) fn wait(&mut self, fd: RawFd, events: libc::c_short) -> Result<libc::c_short, Cut> {
        let mut set = [poll_entry(fd, events)];
        self.wait_any(&mut set, None)?;
        Ok(set[0].revents)
    }

    /// Waits until one of `set` is ready (`true`) or `until` has come (`false`). With an empty set:
    /// until a wake-up (`true`), which is how results from other threads are awaited.
    pub(crate) fn wait_any(
        &mut self,
        set: &mut [libc::pollfd],
        until: Option<Instant>,
    ) -> Result<bool, Cut> {
        let mut all = [poll_entry(self.wake.raw_fd(), libc::POLLIN); MOST_WAITED + 1];
        let all = &mut all[..set.len() + 1];
        all[1..].copy_from_slice(set);
        loop {
            // A result may have come, and its wake-up been seen here, before the wait begins.
            if self.look()? && set.is_empty() {
                return Ok(true);
            }
            let now = Instant::now();
            if until.is_some_and(|until| until <= now) {
                return Ok(false);
            }
            let end = [self.ask_at, until]
                .into_iter()
                .flatten()
                .fold(self.step_end, Instant::min);
            ppoll(all, Some(end.saturating_duration_since(now))).map_err(Cut::Io)?;
            let woken = all[0].revents != 0;
            if woken {
                self.wake.clear();
                self.ask()?;
            }
            if all[1..].iter().any(|entry| entry.revents != 0) || (woken && set.is_empty()) {
                set.copy_from_slice(&all[1..]);
                return Ok(true);
            }
        }
    }

    fn ask(&mut self) -> Result<(), Cut> {
        match self.watch.check() {
            ControlFlow::Break(()) => Err(Cut::GivenUp),
            ControlFlow::Continue(at) => {
                self.ask_at = at.map(|at| at.max(Instant::now() + SHORTEST_REST));
                Ok(())
            }
        }
    }
}

/// Sockets waited for at once: attempts to connect that run side by side.
pub(crate) const MOST_WAITED: usize = 16;

impl Step {
    /// In the words of an error text: "no answer ..." is put together with this.
    pub(crate) fn overdue(self) -> &'static str {
        match self {
            Step::Resolve => "the name was not resolved in time",
            Step::Connect => "no address answered in time",
            Step::Tls => "the TLS handshake was not finished in time",
            Step::Proxy => "it did not open the way in time",
            Step::Send => "the server did not take the request in time",
            Step::FirstByte => "the server did not begin to answer in time",
            Step::Body => "the server did not finish its answer in time",
            Step::Pong => "the server is silent, a ping was not answered in time",
            Step::HostStack => "the host's HTTP stack did not end the request in time",
        }
    }
}

impl std::fmt::Debug for Vigil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vigil").field("step", &self.step).finish()
    }
}

/// A bound of centuries is "never", not an overflow.
fn later(now: Instant, bound: Duration) -> Instant {
    now + bound.min(Duration::from_secs(100 * 365 * 86_400))
}
