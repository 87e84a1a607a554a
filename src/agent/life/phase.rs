//! Where an agent stands between a start and the end of its stop: one phase, changed under one
//! lock.

use std::{
    sync::Arc,
    thread::{JoinHandle, ThreadId, current},
    time::Duration,
};

use super::{
    super::{
        defaults,
        error::{Error, Result},
        log::Level,
        mailbox::Leave,
        reason::Reason,
        run::Run,
    },
    Delivery,
};
use crate::transport::Resolver;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Idle,
    /// A thread makes a run.
    Starting,
    Running,
    /// It was asked to stop, or has ended by itself; nobody has joined its threads yet.
    Stopping,
    /// A thread joins them.
    Joining,
}

/// What the threads of an agent share; each change of the phase wakes those who wait for one.
pub(super) struct Life {
    pub(super) phase: Phase,
    /// Of the run begun last: who waits for its end is not to wait for that of a later one.
    pub(super) run_number: u64,
    /// A stop that came while it was starting.
    pub(super) asked: Option<Leave>,
    pub(super) setup: Setup,
    /// The last one is kept for the snapshot.
    pub(super) run: Option<Arc<Run>>,
    pub(super) worker: Thread,
    pub(super) deliverer: Thread,
    /// The thread that is in a callback, or in a dispatch.
    pub(super) delivering: Option<ThreadId>,
    pub(super) is_freed: bool,
    /// Freed in a callback: the thread that was in it carries the end out once the callback has
    /// returned.
    pub(super) owes_end: Option<ThreadId>,
}

/// What a start looks at.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) delivery: Delivery,
    pub(crate) log_level: Level,
    pub(crate) interval: Duration,
    /// Kept over restarts: a look-up can not be cancelled, only waited for.
    pub(crate) resolver: Resolver,
}

/// One of the library's two threads.
#[derive(Default)]
pub(super) struct Thread {
    pub(super) handle: Option<JoinHandle<()>>,
    /// It has something to do yet.
    pub(super) is_at_work: bool,
}

impl Thread {
    pub(super) fn at_work(handle: JoinHandle<()>) -> Self {
        Self {
            handle: Some(handle),
            is_at_work: true,
        }
    }

    fn is_here(&self) -> bool {
        let id = self.handle.as_ref().map(|handle| handle.thread().id());
        id == Some(current().id())
    }
}

impl Life {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Idle,
            run_number: 0,
            asked: None,
            setup: Setup {
                name: None,
                delivery: Delivery::Thread,
                log_level: Level::Off,
                interval: Duration::from_millis(defaults::INTERVAL_MS),
                resolver: Resolver::default(),
            },
            run: None,
            worker: Thread::default(),
            deliverer: Thread::default(),
            delivering: None,
            is_freed: false,
            owes_end: None,
        }
    }

    pub(super) fn begin(&mut self) -> Setup {
        self.phase = Phase::Starting;
        self.run_number += 1;
        self.asked = None;
        self.setup.clone()
    }

    /// Asks the run of now, if there is one, to stop; the number of what is then to be waited for.
    pub(super) fn ask(&mut self, leave: Leave) -> u64 {
        match self.phase {
            Phase::Idle | Phase::Joining => {}
            Phase::Starting => self.asked = Some(leave.merged(self.asked)),
            Phase::Running | Phase::Stopping => {
                self.phase = Phase::Stopping;
                if let Some(run) = &self.run {
                    run.mailbox
                        .put(|mail| mail.stop = Some(leave.merged(mail.stop)));
                }
            }
        }
        self.run_number
    }

    pub(super) fn running(&self) -> Result<&Arc<Run>> {
        match &self.run {
            Some(run) if self.worker.is_at_work => Ok(run),
            _ => Err(Error::state("the agent is not running").because(Reason::NotRunning)),
        }
    }

    pub(super) fn check_idle(&self) -> Result<()> {
        let text = match self.phase {
            Phase::Idle => return Ok(()),
            Phase::Starting => "the agent is being started",
            Phase::Running => "the agent is running",
            Phase::Stopping => "the agent is still stopping",
            Phase::Joining => "the agent has stopped, and another thread just takes that in",
        };
        Err(Error::state(text).because(Reason::AgentRunning))
    }

    /// Is this thread in a callback, or in a dispatch?
    pub(super) fn is_callback_here(&self) -> bool {
        self.delivering == Some(current().id()) || self.is_worker_here()
    }

    /// The worker runs code of the host's in the log callback alone.
    pub(super) fn is_worker_here(&self) -> bool {
        self.worker.is_here()
    }

    pub(super) fn takes_end_here(&mut self) -> bool {
        let is_owed = self.owes_end == Some(current().id());
        if is_owed {
            self.owes_end = None;
        }
        is_owed
    }

    /// Nothing is left to do but to join the threads.
    pub(super) fn is_over(&self) -> bool {
        let here = current().id();
        let is_free_of_calls = self.delivering.is_none_or(|thread| thread == here);
        let is_at_work = self.worker.is_at_work || self.deliverer.is_at_work;
        self.phase == Phase::Stopping && !is_at_work && is_free_of_calls
    }
}
