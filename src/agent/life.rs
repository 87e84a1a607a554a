//! One running connection for one client: start, stop, and what the host calls in between.

mod delivery;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::{JoinHandle, ThreadId},
    time::{Duration, Instant},
};

use crate::locks::{Condvar, Mutex, MutexGuard};

use super::{
    client::Client,
    convert, defaults,
    error::{Code, Error, Kind, Result},
    event::{Event, EventKind},
    log::Level,
    queue::{Queue, deadline_after},
    run::Run,
    snapshot::Snapshot,
    start,
};
use crate::transport::{Resolver, signals};

/// What the host hears. Called by one thread at a time, with no lock of the library held; dropped after the last call
/// has returned.
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

/// Shared by its handle and its own threads. Every method may be called from any thread and in every callback.
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

pub(crate) struct Life {
    pub(crate) delivery: Delivery,
    pub(crate) log_level: Level,
    pub(crate) interval: Duration,
    /// Kept over restarts: a look-up can not be cancelled, only waited for.
    pub(crate) resolver: Resolver,
    /// From a start until its stop was seen through; the last one is kept for the snapshot.
    pub(crate) run: Option<Arc<Run>>,
    pub(crate) is_running: bool,
    is_worker_over: bool,
    is_delivery_over: bool,
    worker: Option<JoinHandle<()>>,
    deliverer: Option<JoinHandle<()>>,
    /// Somebody joins the threads just now.
    is_joining: bool,
    /// The thread that is in a callback, or in a dispatch.
    delivering: Option<ThreadId>,
    is_freed: bool,
    /// Freed in a callback: the thread that was in it carries the end out once the callback has returned.
    owes_end: Option<ThreadId>,
}

impl Agent {
    pub fn new(client: Arc<Client>, host: Box<dyn Host>) -> Arc<Self> {
        let life = Life {
            delivery: Delivery::Thread,
            log_level: Level::Off,
            interval: Duration::from_millis(defaults::INTERVAL_MS),
            resolver: Resolver::default(),
            run: None,
            is_running: false,
            is_worker_over: true,
            is_delivery_over: true,
            worker: None,
            deliverer: None,
            is_joining: false,
            delivering: None,
            is_freed: false,
            owes_end: None,
        };
        Arc::new(Self {
            client,
            queue: Arc::default(),
            host: Mutex::new(Some(Arc::from(host))),
            life: Mutex::new(life),
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
        self.idle()?.delivery = delivery;
        Ok(())
    }

    /// Log lines up to this level come as events, too. Before start.
    pub fn set_log_events(&self, level: Level) -> Result<()> {
        self.idle()?.log_level = level;
        Ok(())
    }

    /// At once, counted from the last message. Longer than a day is a day; zero, over WebSocket alone, is never.
    pub fn set_interval(&self, interval: Duration) -> Result<()> {
        let is_websocket = self.client.state().endpoint.scheme().is_websocket();
        let is_off = is_websocket && interval.is_zero();
        if interval < Duration::from_millis(defaults::INTERVAL_MIN_MS) && !is_off {
            return Err(Error::argument(if is_websocket {
                "an interval is 0 or at least 10 ms"
            } else {
                "an interval over HTTP has at least 10 ms"
            }));
        }
        let interval = interval.min(Duration::from_millis(defaults::INTERVAL_MAX_MS));
        let mut life = self.life.lock();
        life.interval = interval;
        if let Ok(run) = life.running() {
            run.mailbox.put(|mail| mail.interval = Some(interval));
        }
        Ok(())
    }

    /// Starts the worker; returns at once and touches no network.
    pub fn start(self: &Arc<Self>) -> Result<()> {
        let mut life = self.idle()?;
        if life.is_freed {
            return Err(Error::state("the agent was freed"));
        }
        let Some(host) = self.host.lock().clone() else {
            return Err(Error::state("the agent was freed"));
        };
        let plan = start::plan(&self.client, &self.queue, &life, host.as_ref())?;
        life.run = Some(plan.run.clone());
        life.is_running = true;
        life.is_worker_over = false;
        life.is_delivery_over = life.delivery == Delivery::Poll;
        let result = self.spawn_all(&mut life, plan);
        if result.is_err() {
            self.queue.close();
            life.is_worker_over = true;
        }
        drop(life);
        if result.is_err() {
            self.see_through(None)?;
        }
        result
    }

    fn spawn_all(self: &Arc<Self>, life: &mut Life, plan: start::Plan) -> Result<()> {
        if life.delivery == Delivery::Thread {
            let agent = self.clone();
            match spawn("opamp-events", move || agent.deliver_all()) {
                Ok(thread) => life.deliverer = Some(thread),
                Err(error) => {
                    life.is_delivery_over = true;
                    plan.run.end();
                    return Err(error);
                }
            }
        }
        let agent = self.clone();
        let run = plan.run.clone();
        let thread = spawn("opamp-worker", move || agent.work(plan)).inspect_err(|_| run.end())?;
        life.worker = Some(thread);
        Ok(())
    }

    /// Asks for a stop; returns at once. Without a run there is nothing to do.
    pub fn request_stop(&self) -> Result<()> {
        let grace = self.client.stop_grace();
        if let Ok(run) = self.life.lock().running() {
            run.mailbox.put(|mail| mail.stop = Some(grace));
        }
        Ok(())
    }

    /// Stops and waits for the end: joined, closed, no callback running or to come. Inside a callback it is a request.
    pub fn stop(&self, timeout: Option<Duration>) -> Result<()> {
        self.request_stop()?;
        if self.life.lock().is_callback_here() {
            return Err(convert::timeout("inside a callback a stop is a request"));
        }
        self.see_through(deadline_after(timeout))
    }

    /// Ends everything within the stop grace and a second; waits for a callback that runs on another thread. Inside a
    /// callback it happens when that has returned. Afterwards only the memory is left.
    pub fn free(&self) {
        let grace = self.client.stop_grace();
        let _ = self.request_stop();
        let mut life = self.life.lock();
        life.is_freed = true;
        if life.is_callback_here() {
            // The thread that calls back carries it out, and nobody is left to join it.
            if life.is_worker_here() {
                life.worker = None;
            } else {
                life.deliverer = None;
            }
            life.owes_end = Some(std::thread::current().id());
            return;
        }
        drop(life);
        self.finish(grace);
    }

    fn finish(&self, grace: Duration) {
        let _ = self.see_through(deadline_after(Some(grace + Duration::from_secs(1))));
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

    /// Waits until everything that was set before is confirmed; `Code::State` when a part of it is held back.
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
        let (run, is_running) = (life.run.clone(), life.is_running);
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
        let _ = self.poison.set(text);
        let _ = self.request_stop();
    }

    pub(crate) fn running(&self) -> Result<Arc<Run>> {
        self.life.lock().running().cloned()
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    fn idle(&self) -> Result<MutexGuard<'_, Life>> {
        let life = self.life.lock();
        let is_ended = life.is_running && life.is_over() && !life.is_callback_here();
        drop(life);
        if is_ended {
            // By a request, or by a bug: nobody has joined its threads yet. Late is who finds a new run there.
            let _ = self.see_through(Some(Instant::now()));
        }
        let life = self.life.lock();
        if life.is_running {
            return Err(Error::state("the agent runs"));
        }
        Ok(life)
    }

    /// Waits for the end of a run and joins its threads.
    fn see_through(&self, deadline: Option<Instant>) -> Result<()> {
        let mut life = self.life.lock();
        while !life.is_over() || life.is_joining {
            if self.changed.is_late(&mut life, deadline) && !life.is_over() {
                return Err(convert::timeout("the agent has not stopped yet"));
            }
        }
        let threads = [life.worker.take(), life.deliverer.take()];
        life.is_joining = true;
        drop(life);
        for thread in threads.into_iter().flatten() {
            let _ = thread.join();
        }
        let mut life = self.life.lock();
        life.is_joining = false;
        life.is_running = false;
        drop(life);
        self.changed.notify_all();
        Ok(())
    }

    /// The worker thread.
    fn work(&self, plan: start::Plan) {
        let run = plan.run;
        for warning in plan.warnings {
            run.say(Level::Warn, || warning);
        }
        let bug = super::worker::work(&run, plan.link).err();
        run.end();
        let error = bug.map(|text| {
            let _ = self.poison.set(text.clone());
            Error::new(Code::Failed, Kind::Bug, text)
        });
        let mut life = self.life.lock();
        self.queue.push_stopped(
            EventKind::Stopped { error },
            life.delivery == Delivery::Thread,
        );
        life.is_worker_over = true;
        let is_freed = life.takes_end_here();
        drop(life);
        self.changed.notify_all();
        if is_freed {
            self.carry_out_free();
        }
    }

    /// Owed since a free in a callback.
    fn carry_out_free(&self) {
        // Not within the call: the client must not be locked meanwhile.
        let grace = self.client.stop_grace();
        self.finish(grace);
    }
}

impl Life {
    fn running(&self) -> Result<&Arc<Run>> {
        match &self.run {
            Some(run) if self.is_running && !self.is_worker_over => Ok(run),
            _ => Err(Error::state("the agent does not run")),
        }
    }

    /// Is this thread in a callback, or in a dispatch?
    fn is_callback_here(&self) -> bool {
        self.delivering == Some(std::thread::current().id()) || self.is_worker_here()
    }

    /// The worker runs code of the host's in the log callback alone.
    fn is_worker_here(&self) -> bool {
        let worker = self.worker.as_ref().map(|worker| worker.thread().id());
        worker == Some(std::thread::current().id())
    }

    fn takes_end_here(&mut self) -> bool {
        let is_owed = self.owes_end == Some(std::thread::current().id());
        if is_owed {
            self.owes_end = None;
        }
        is_owed
    }

    fn is_over(&self) -> bool {
        let here = std::thread::current().id();
        let is_free_of_calls = self.delivering.is_none_or(|thread| thread == here);
        self.is_worker_over && self.is_delivery_over && is_free_of_calls
    }
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
    signals::with_all_blocked(|| builder.spawn(work))
        .map_err(|why| Error::new(Code::Resource, Kind::Io, format!("thread: {why}")))
}
