//! One running connection for one client: start, stop, and what the host calls in between.

mod delivery;
mod phase;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::locks::{Condvar, Mutex, MutexGuard};

use super::{
    client::Client,
    convert, defaults,
    error::{Code, Error, Kind, Result},
    event::{Event, EventKind},
    log::Level,
    mailbox::Leave,
    queue::{Queue, deadline_after},
    reason::Reason,
    run::Run,
    snapshot::Snapshot,
    start,
};
pub(crate) use phase::Setup;
use phase::{Life, Phase, Thread};

use crate::transport::signals;

/// Bytes of an agent's name, and what the system keeps of a thread's.
const NAME_MAX: usize = 64;
const THREAD_NAME_MAX: usize = 15;

/// What the host hears. Called by one thread at a time, with no lock of the library held; dropped
/// after the last call has returned.
pub trait Host: Send + Sync {
    /// Would an event of this kind (its number) reach anybody?
    fn hears(&self, kind: i32) -> bool;
    fn on_event(&self, event: Event);
}

/// Who calls the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// A thread of the library.
    Thread,
    /// The host's own thread, in `dispatch` or by taking events.
    Poll,
}

/// Shared by its handle and its own threads. Every method may be called from any thread and in
/// every callback.
pub struct Agent {
    client: Arc<Client>,
    queue: Arc<Queue>,
    host: Mutex<Option<Arc<dyn Host>>>,
    life: Mutex<Life>,
    changed: Condvar,
    tickets: AtomicU64,
    /// The text of the panic that ended it.
    poison: OnceLock<String>,
}

impl Agent {
    pub fn new(client: Arc<Client>, host: Box<dyn Host>) -> Arc<Self> {
        Arc::new(Self {
            client,
            queue: Arc::default(),
            host: Mutex::new(Some(Arc::from(host))),
            life: Mutex::new(Life::new()),
            changed: Condvar::new(),
            tickets: AtomicU64::new(1),
            poison: OnceLock::new(),
        })
    }

    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Before start.
    pub fn set_delivery(&self, delivery: Delivery) -> Result<()> {
        let mut life = self.idle()?;
        if life.delivering.is_some() {
            return Err(Error::state("a dispatch is under way").because(Reason::Busy));
        }
        life.setup.delivery = delivery;
        Ok(())
    }

    /// Log lines up to this level come as events, too. Before start.
    pub fn set_log_events(&self, level: Level) -> Result<()> {
        self.idle()?.setup.log_level = level;
        Ok(())
    }

    /// Stands in its log lines and, as far as it has room there, in the names of its threads;
    /// empty: none. Before start.
    pub fn set_name(&self, name: &str) -> Result<()> {
        if name.len() > NAME_MAX {
            let text = format!(
                "name is {} bytes long, must be at most {NAME_MAX}",
                name.len()
            );
            return Err(Error::argument(text).because(Reason::TooLong));
        }
        if let Some((at, _)) = name.char_indices().find(|(_, c)| c.is_control()) {
            let text = format!("name has a control character at byte {at}");
            return Err(Error::argument(text).because(Reason::ControlCharacter));
        }
        self.idle()?.setup.name = (!name.is_empty()).then(|| name.into());
        Ok(())
    }

    /// At once, counted from the last message. Longer than a day is a day; zero, over WebSocket
    /// alone, is never.
    pub fn set_heartbeat_interval(&self, interval: Duration) -> Result<()> {
        let is_websocket = self.client.state().endpoint.scheme().is_websocket();
        let is_off = is_websocket && interval.is_zero();
        if interval < Duration::from_millis(defaults::INTERVAL_MIN_MS) && !is_off {
            let text = if is_websocket {
                "interval must be 0 or at least 10 ms"
            } else {
                "interval over HTTP must be at least 10 ms"
            };
            return Err(Error::argument(text).because(Reason::OutOfRange));
        }
        let interval = interval.min(Duration::from_millis(defaults::INTERVAL_MAX_MS));
        let mut life = self.life.lock();
        life.setup.interval = interval;
        if let Ok(run) = life.running() {
            run.mailbox.put(|mail| mail.interval = Some(interval));
        }
        Ok(())
    }

    /// Starts the worker; returns at once and touches no network.
    pub fn start(self: &Arc<Self>) -> Result<()> {
        let mut life = self.idle()?;
        if life.is_freed {
            return Err(Error::state("the agent was freed").because(Reason::Ended));
        }
        let setup = life.begin();
        let run_number = life.run_number;
        drop(life);
        let agent = &**self;
        let _starting = Starting { agent, run_number };
        let Some(host) = self.host.lock().clone() else {
            return Err(Error::state("the agent was freed").because(Reason::Ended));
        };
        let plan = start::plan(&self.client, &self.queue, &setup, host.as_ref())?;
        let mut life = self.life.lock();
        let run = plan.run.clone();
        life.run = Some(run.clone());
        life.phase = Phase::Running;
        let result = self.spawn_all(&mut life, plan);
        if result.is_err() {
            run.end();
            self.queue.close();
            life.phase = Phase::Stopping;
            let _ = self.see_through(life, run_number, None);
            return result;
        }
        // What came meanwhile.
        let interval = life.setup.interval;
        if interval != setup.interval {
            run.mailbox.put(|mail| mail.interval = Some(interval));
        }
        if let Some(leave) = life.asked {
            life.ask(leave);
        }
        Ok(())
    }

    fn spawn_all(self: &Arc<Self>, life: &mut Life, plan: start::Plan) -> Result<()> {
        if life.setup.delivery == Delivery::Thread {
            let agent = self.clone();
            let thread = spawn(&thread_name(life, "events"), move || agent.deliver_all())?;
            life.deliverer = Thread::at_work(thread);
        }
        let agent = self.clone();
        let thread = spawn(&thread_name(life, "worker"), move || agent.work(plan))?;
        life.worker = Thread::at_work(thread);
        Ok(())
    }

    /// Asks for a stop; returns at once. Without a run there is nothing to do.
    pub fn request_stop(&self) -> Result<()> {
        let leave = self.leave(true);
        self.life.lock().ask(leave);
        Ok(())
    }

    /// Stops and waits for the end: joined, closed, no callback running or to come. Inside a
    /// callback it is a request.
    pub fn stop(&self, timeout: Option<Duration>) -> Result<()> {
        self.end(true, timeout)
    }

    /// A stop that does not tell the server that the agent is gone: another process goes on under
    /// its instance uid.
    pub fn detach(&self, timeout: Option<Duration>) -> Result<()> {
        self.end(false, timeout)
    }

    fn end(&self, goodbye: bool, timeout: Option<Duration>) -> Result<()> {
        let leave = self.leave(goodbye);
        let mut life = self.life.lock();
        let number = life.ask(leave);
        if life.is_callback_here() {
            return Err(convert::timeout("inside a callback a stop is a request"));
        }
        self.see_through(life, number, deadline_after(timeout))
    }

    /// Ends everything within the stop grace and a second; waits for a callback that runs on
    /// another thread. Inside a callback it happens when that has returned. Afterwards only the
    /// memory is left.
    pub fn free(&self) {
        let leave = self.leave(true);
        let mut life = self.life.lock();
        life.ask(leave);
        life.is_freed = true;
        if life.is_callback_here() {
            // The thread that calls back carries it out, and nobody is left to join it.
            if life.is_worker_here() {
                life.worker.handle = None;
            } else {
                life.deliverer.handle = None;
            }
            life.owes_end = Some(std::thread::current().id());
            return;
        }
        self.finish(life, leave.within);
    }

    fn leave(&self, goodbye: bool) -> Leave {
        let within = self.client.stop_grace();
        Leave { within, goodbye }
    }

    fn finish(&self, life: MutexGuard<'_, Life>, grace: Duration) {
        let number = life.run_number;
        let deadline = deadline_after(Some(grace + Duration::from_secs(1)));
        let _ = self.see_through(life, number, deadline);
        self.queue.close();
        let mut life = self.life.lock();
        while life.delivering.is_some() {
            self.changed.wait(&mut life);
        }
        // With `life` locked, so that no callback begins in between.
        let host = self.host.lock().take();
        drop(life);
        drop(host);
    }

    /// Sends a message now.
    pub fn poll_now(&self) -> Result<()> {
        self.running()?.mailbox.put(|mail| mail.poll_now = true);
        Ok(())
    }

    /// Reports everything once more.
    pub fn report_full_state(&self) -> Result<()> {
        self.running()?
            .mailbox
            .put(|mail| mail.report_full_state = true);
        Ok(())
    }

    /// The next message goes over a new connection, now.
    pub fn reconnect(&self) -> Result<()> {
        self.running()?.mailbox.put(|mail| mail.reconnect = true);
        Ok(())
    }

    /// Waits until everything that was set before is confirmed; `Code::State` when a part of it is
    /// held back.
    pub fn flush(&self, timeout: Option<Duration>) -> Result<()> {
        let run = self.running()?;
        run.flush(self.next_ticket(), self.bounded(timeout))
    }

    pub(crate) fn next_ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Ordering::Relaxed)
    }

    /// What is known of the connection; of the last run when none runs.
    pub fn snapshot(&self) -> Snapshot {
        let life = self.life.lock();
        let has_run = !matches!(life.phase, Phase::Idle | Phase::Starting);
        let (run, is_running) = (life.run.clone(), has_run);
        drop(life);
        // Not within the call: it locks the core, whose thread locks the client.
        let transport = self.client.state().transport();
        Snapshot::new(run.as_deref(), is_running, self.queue.len(), transport)
    }

    /// The panic that ended this agent, if one did.
    pub fn poison(&self) -> Option<&str> {
        self.poison.get().map(String::as_str)
    }

    /// After a panic that was caught in one of its calls.
    pub fn set_poison(&self, text: String) {
        let is_first = self.poison.set(text).is_ok();
        if let Some(run) = self.running().ok().filter(|_| is_first) {
            let text = self.poison().unwrap_or_default();
            run.say(Level::Error, || {
                format!("stopping because of an internal error: {text}")
            });
        }
        let _ = self.request_stop();
    }

    pub(crate) fn running(&self) -> Result<Arc<Run>> {
        self.life.lock().running().cloned()
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    fn idle(&self) -> Result<MutexGuard<'_, Life>> {
        let mut life = self.life.lock();
        if life.is_over() && !life.is_callback_here() {
            // By a request, or by a bug: nobody has joined its threads yet.
            life = self.join(life);
        }
        life.check_idle()?;
        Ok(life)
    }

    /// Waits for the end of the run of that number, and joins its threads unless somebody else
    /// does.
    fn see_through(
        &self,
        mut life: MutexGuard<'_, Life>,
        number: u64,
        deadline: Option<Instant>,
    ) -> Result<()> {
        let mut is_late = false;
        while life.phase != Phase::Idle && life.run_number == number {
            if life.is_over() {
                drop(self.join(life));
                return Ok(());
            }
            if is_late {
                return Err(convert::timeout("the agent has not stopped yet"));
            }
            is_late = self.changed.is_late(&mut life, deadline);
        }
        Ok(())
    }

    /// Joins the threads of a run that is over; nobody else does so or starts meanwhile.
    fn join<'a>(&'a self, mut life: MutexGuard<'a, Life>) -> MutexGuard<'a, Life> {
        life.phase = Phase::Joining;
        let threads = [life.worker.handle.take(), life.deliverer.handle.take()];
        drop(life);
        for thread in threads.into_iter().flatten() {
            let _ = thread.join();
        }
        let mut life = self.life.lock();
        life.phase = Phase::Idle;
        self.changed.notify_all();
        life
    }

    /// The worker thread.
    fn work(&self, plan: start::Plan) {
        let run = plan.run;
        run.say(Level::Info, || plan.about);
        for warning in plan.warnings {
            run.say(Level::Warn, || warning);
        }
        let bug = super::worker::work(&run, plan.link).err();
        if let Some(text) = &bug {
            // First: whoever reads the line finds the agent poisoned.
            let _ = self.poison.set(text.clone());
            run.say(Level::Error, || {
                format!("stopped by an internal error: {text}")
            });
        }
        run.end();
        let error = bug.map(|text| Error::new(Code::Failed, Kind::Bug, text));
        let mut life = self.life.lock();
        self.queue.push_stopped(
            EventKind::Stopped { error },
            life.setup.delivery == Delivery::Thread,
        );
        life.phase = Phase::Stopping;
        life.worker.is_at_work = false;
        let is_freed = life.takes_end_here();
        drop(life);
        self.changed.notify_all();
        if is_freed {
            self.carry_out_free();
        }
    }

    /// Owed since a free in a callback.
    fn carry_out_free(&self) {
        let grace = self.client.stop_grace();
        self.finish(self.life.lock(), grace);
    }
}

/// A start that fails, or panics, leaves the agent idle.
struct Starting<'a> {
    agent: &'a Agent,
    run_number: u64,
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let mut life = self.agent.life.lock();
        // A later start is none of its business.
        if life.phase == Phase::Starting && life.run_number == self.run_number {
            life.phase = Phase::Idle;
            self.agent.changed.notify_all();
        }
    }
}

/// Of the agent, else of what the thread does.
fn thread_name(life: &Life, work: &str) -> String {
    let mut name = format!("opamp-{}", life.setup.name.as_deref().unwrap_or(work));
    while name.len() > THREAD_NAME_MAX {
        name.pop();
    }
    name
}

/// A thread that no signal of the host's reaches.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    // Deflate keeps 64 KiB there, several times over in a build without optimisation.
    const STACK: usize = if cfg!(debug_assertions) {
        1 << 20
    } else {
        256 << 10
    };
    let builder = std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK);
    signals::with_all_blocked(|| builder.spawn(work)).map_err(|why| {
        Error::new(Code::Resource, Kind::Io, format!("thread: {why}")).because(Reason::NoThread)
    })
}
