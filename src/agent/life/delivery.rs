//! How events come to the host: on a thread of the library, in its dispatch, or one at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    super::{
        convert,
        error::{Error, Result},
        event::{Event, EventKind},
        panics,
        queue::{Nothing, deadline_after},
        reason::Reason,
    },
    Agent, Delivery, Host,
};

impl Agent {
    /// A descriptor that is readable exactly while an event waits; valid until free.
    pub fn poll_fd(&self) -> Result<i32> {
        self.check_poll()?;
        self.queue
            .descriptor()
            .map_err(|why| convert::no_descriptor(&why))
    }

    /// The next event; the caller is its own handler.
    pub fn next_event(&self, timeout: Option<Duration>) -> Result<Event> {
        self.check_poll()?;
        self.queue
            .take(deadline_after(self.bounded(timeout)))
            .map_err(why_nothing)
    }

    /// Calls the host for what waited at entry, or for the first that comes within the time. How
    /// many it served.
    pub fn dispatch(&self, timeout: Option<Duration>) -> Result<u32> {
        self.check_poll()?;
        let host = self.enter_delivery()?;
        let waiting = self.queue.len().max(1);
        let mut served = 0;
        let mut until = deadline_after(self.bounded(timeout));
        let result = loop {
            match self.queue.take(until) {
                Ok(event) => {
                    self.call_host(host.as_ref(), event);
                    served += 1;
                }
                Err(_) if served > 0 => break Ok(served),
                Err(nothing) => break Err(why_nothing(nothing)),
            }
            if served as usize >= waiting || self.life.lock().is_freed {
                break Ok(served);
            }
            until = Some(Instant::now());
        };
        drop(host);
        if self.leave_delivery() {
            self.carry_out_free();
        }
        result
    }

    /// The delivery thread.
    pub(super) fn deliver_all(&self) {
        let mut is_freed = false;
        while let Ok(event) = self.queue.take(None) {
            let Ok(host) = self.enter_delivery() else {
                break;
            };
            let is_last = matches!(event.kind, EventKind::Stopped { .. });
            self.call_host(host.as_ref(), event);
            drop(host);
            is_freed = self.leave_delivery();
            if is_last || is_freed {
                break;
            }
        }
        self.life.lock().deliverer.is_at_work = false;
        self.changed.notify_all();
        if is_freed {
            self.carry_out_free();
        }
    }

    /// A bug of ours on the way to the host must leave the delivery in order.
    fn call_host(&self, host: &dyn Host, event: Event) {
        let called = panics::contain(|| {
            panics::plant("the delivery");
            host.on_event(event);
        });
        if let Err(bug) = called {
            self.set_poison(bug);
        }
    }

    /// How long a call may wait: the worker, in the log callback, must not wait for itself.
    pub(super) fn bounded(&self, timeout: Option<Duration>) -> Option<Duration> {
        match self.life.lock().is_worker_here() {
            true => Some(Duration::ZERO),
            false => timeout,
        }
    }

    fn check_poll(&self) -> Result<()> {
        match self.life.lock().setup.delivery {
            Delivery::Poll => Ok(()),
            Delivery::Thread => {
                let text = "events are delivered on a library thread (OPAMP_DELIVERY_THREAD)";
                Err(Error::state(text).because(Reason::WrongDelivery))
            }
        }
    }

    fn enter_delivery(&self) -> Result<Arc<dyn Host>> {
        let mut life = self.life.lock();
        if life.delivering.is_some() {
            return Err(Error::state("a dispatch is already running").because(Reason::Busy));
        }
        let host = self
            .host
            .lock()
            .clone()
            .ok_or_else(|| Error::state("the agent was freed").because(Reason::Ended))?;
        life.delivering = Some(std::thread::current().id());
        Ok(host)
    }

    /// `true`: the host freed the agent in the callback that just returned, and it is to be carried
    /// out now.
    fn leave_delivery(&self) -> bool {
        let mut life = self.life.lock();
        life.delivering = None;
        let is_freed = life.takes_end_here();
        drop(life);
        self.changed.notify_all();
        is_freed
    }
}

fn why_nothing(nothing: Nothing) -> Error {
    match nothing {
        Nothing::Timeout => convert::timeout("nothing waits"),
        Nothing::Closed => {
            let text = "the agent is not running, and its last event was taken";
            Error::state(text).because(Reason::NotRunning)
        }
    }
}
