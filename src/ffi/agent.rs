//! `opamp_agent`: one running connection for one client.

use std::{
    ffi::{c_char, c_void},
    ptr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{
    callbacks::{Listener, User, opamp_callbacks},
    calls,
    client::opamp_client,
    convert,
    error::opamp_error,
    event::opamp_event,
    guard,
    guard::{Handle, Life},
    log,
    snapshot::opamp_snapshot,
    status::{Outcome, Refusal, opamp_status},
};
use crate::agent::{Agent, Code, Delivery, Error, Reason};

/// One running connection for one client: worker, retries, heartbeats, events. new, start, stop,
/// free; a restart after stop is allowed. Holds a reference on its client.
pub struct opamp_agent {
    life: Life,
    agent: Arc<Agent>,
    pub(super) client: Arc<opamp_client>,
}

impl Handle for opamp_agent {
    fn life(&self) -> &Life {
        &self.life
    }

    /// The agent keeps it itself: its worker may find a bug too.
    fn bug(&self) -> Option<Arc<str>> {
        self.agent.poison().map(Arc::from)
    }

    fn poison(&self, text: &str) {
        self.agent.set_poison(text.to_owned());
    }
}

/// A call during which the host may free the handle, on another thread or in a callback: behind the
/// guard only the agent itself is touched, also after a panic.
unsafe fn call(
    row: &calls::Call,
    agent: *const opamp_agent,
    err: *mut *mut opamp_error,
    body: impl FnOnce(&Arc<Agent>) -> Outcome,
) -> opamp_status {
    guard::call(row, agent, err, |handle| {
        let agent = handle.agent.clone();
        guard::contain(row, || body(&agent)).unwrap_or_else(|bug| {
            agent.set_poison(bug.clone());
            Err(Refusal::bug(bug))
        })
    })
}

/// An agent that a bug ended gives its events up to STOPPED; behind it comes the bug, like from
/// every other call.
fn up_to_stopped<T>(agent: &Agent, result: Result<T, Error>) -> Outcome<T> {
    result.map_err(|why| match (why.code, agent.poison()) {
        (Code::State, Some(bug)) => Refusal::bug(bug),
        _ => why.into(),
    })
}

/// Makes an agent for a client, and adds a reference to it. callbacks: copied; NULL: the host takes
/// events with opamp_agent_next_event, or hears nothing. user: handed to every callback. free_user:
/// called with `user` exactly once, after the last callback returned (in opamp_agent_free, or later
/// if that was called in a callback), unless this call fails; may be NULL. out: yours to
/// opamp_agent_free.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no struct_size of any
/// release), OPAMP_E_UNSUPPORTED (a callback of a later release), OPAMP_E_RESOURCE. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_new(
    client: *mut opamp_client,
    callbacks: *const opamp_callbacks,
    user: *mut c_void,
    free_user: Option<unsafe extern "C" fn(user: *mut c_void)>,
    out: *mut *mut opamp_agent,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::call(&calls::AGENT_NEW, client, err, |_| {
        convert::wanted(out)?;
        let callbacks = match callbacks.is_null() {
            true => None,
            false => Some(opamp_callbacks::read(callbacks)?),
        };
        let user = User::new(user, free_user);
        let place = Arc::new(OnceLock::new());
        let listener = Box::new(Listener::new(callbacks, place.clone(), user.clone()));
        Arc::increment_strong_count(client.cast_const());
        let client = Arc::from_raw(client.cast_const());
        let agent = Agent::new(client.client.clone(), listener);
        let handle = Arc::new(opamp_agent {
            life: Life::new(),
            agent,
            client,
        });
        let _ = place.set(Arc::downgrade(&handle));
        user.take_over();
        out.write(Arc::into_raw(handle).cast_mut());
        Ok(())
    })
}

/// Stops the agent and frees it: no callback runs once this has returned, and free_user has been
/// called. Inside a callback of its own it is done when that callback has returned; no other
/// follows then. The client lives on while others hold it. To be called once; other calls on the
/// handle must not begin any more.
///
/// Threads: any, once. Callbacks: yes, done later. Blocks: for the stop grace and a second at most,
/// and for a callback that runs on another thread. NULL or in a forked child: nothing. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_free(agent: *mut opamp_agent) {
    guard::release(&calls::AGENT_FREE, agent, |agent| {
        let handle = Arc::from_raw(agent);
        handle.agent.free();
    });
}

/// Chooses where events go: one of `enum opamp_delivery`. Before start.
///
/// Threads: any. Callbacks: see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (an unknown
/// delivery), OPAMP_E_STATE while it runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_set_delivery(
    agent: *mut opamp_agent,
    delivery: i32,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::AGENT_SET_DELIVERY, agent, err, |agent| {
        let delivery = match delivery {
            0 => Delivery::Thread,
            1 => Delivery::Poll,
            _ => {
                let text = format!("delivery is {delivery}, must be 0 (THREAD) or 1 (POLL)");
                return Err(Refusal::argument(text).because(Reason::UnknownValue));
            }
        };
        Ok(agent.set_delivery(delivery)?)
    })
}

/// Names the agent in its log lines, of the callback and as events, and in the names of its threads
/// (`opamp-NAME`, as far as 15 bytes go). name: UTF-8 of at most 64 bytes without control
/// characters, copied; NULL or empty, as at the beginning: its lines have the instance uid. Before
/// start.
///
/// Threads: any. Callbacks: see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (too long, a
/// control character, not UTF-8), OPAMP_E_STATE while it runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_set_name(
    agent: *mut opamp_agent,
    name: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::AGENT_SET_NAME, agent, err, |agent| {
        let name = convert::text_or_none(name, "name")?;
        Ok(agent.set_name(name.unwrap_or_default())?)
    })
}

/// Asks for the agent's log lines as events, up to a level of `enum opamp_log_level`;
/// OPAMP_LOG_OFF, the default: none. For hosts that can not take the callback of
/// opamp_set_log_callback from any thread. Before start.
///
/// Threads: any. Callbacks: see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (an unknown level),
/// OPAMP_E_STATE while it runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_set_log_events(
    agent: *mut opamp_agent,
    level: i32,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::AGENT_SET_LOG_EVENTS, agent, err, |agent| {
        Ok(agent.set_log_events(log::level(level)?)?)
    })
}

/// Sets the time between two polls or heartbeats, counted from the last message; a server's
/// heartbeat interval overrides it. Takes effect at once while the agent runs. Above 24 h it is
/// clamped. 0 turns heartbeats off, over WebSocket alone: HTTP must poll, and opamp_agent_start
/// refuses it there.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG below 10 ms. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_set_heartbeat_interval(
    agent: *mut opamp_agent,
    milliseconds: u64,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::AGENT_SET_INTERVAL, agent, err, |agent| {
        Ok(agent.set_heartbeat_interval(Duration::from_millis(milliseconds))?)
    })
}

/// Starts the agent. Never fails because of the network, which is not touched here: a server that
/// comes up later is joined. What is set on the client until then is what the first message says.
/// After a stop it starts again with the same instance uid, a sequence number that goes on, and
/// everything unconfirmed; so it does after opamp_agent_request_stop once OPAMP_EVENT_STOPPED was
/// taken. Events of the former run that nobody took are gone.
///
/// Threads: any. Callbacks: see errors. Blocks: no (trust files and the environment are read).
/// Errors: OPAMP_E_STATE (it runs already, or another agent runs on the client),
/// OPAMP_E_INVALID_ARG (no description; a capability without the callback it needs, or the host's
/// transport without on_request; an interval of 0 over HTTP; SERVER_INTERVAL_MIN_MS above
/// SERVER_INTERVAL_MAX_MS; no certificate in the trust store; a bad certificate file; no usable
/// proxy in the environment), OPAMP_E_RESOURCE (no thread or descriptor). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_start(
    agent: *mut opamp_agent,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::AGENT_START, agent, err, |agent| Ok(agent.start()?))
}

/// Asks the agent to stop and does not wait. Repeated, or on an agent that does not run: OPAMP_OK.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: the common ones. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_request_stop(agent: *mut opamp_agent) -> opamp_status {
    call(
        &calls::AGENT_REQUEST_STOP,
        agent,
        ptr::null_mut(),
        |agent| Ok(agent.request_stop()?),
    )
}

/// Stops the agent: says goodbye to the server within the stop grace, closes, joins. OPAMP_OK: its
/// threads are gone and no callback runs or will (with OPAMP_DELIVERY_POLL, none outside a
/// dispatch: what waits may still be taken, up to OPAMP_EVENT_STOPPED). timeout_ms only bounds your
/// wait; -1: no bound. Inside a callback or a dispatch it is a request and answers OPAMP_E_TIMEOUT
/// at once. On an agent that does not run: OPAMP_OK.
///
/// Threads: any, several at once. Callbacks: yes, as a request. Blocks: up to timeout_ms. Errors:
/// OPAMP_E_TIMEOUT (call again), OPAMP_E_INVALID_ARG (a time below -1). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_stop(
    agent: *mut opamp_agent,
    timeout_ms: i64,
) -> opamp_status {
    call(&calls::AGENT_STOP, agent, ptr::null_mut(), |agent| {
        Ok(agent.stop(convert::timeout(timeout_ms)?)?)
    })
}

/// Stops the agent without telling the server that it is gone (no AgentDisconnect; WebSocket closes
/// with 1001), for an application that replaces itself: a reload or exec whose new process goes on
/// under the same instance uid, whichever of the two leaves or connects first. What is pending is
/// still reported within the stop grace. Otherwise as opamp_agent_stop; a stop that is called later
/// does not make up for the goodbye, and a detach during a stop takes back a goodbye that has not
/// left yet. If no process goes on, the server has to notice by itself.
///
/// Threads: any, several at once. Callbacks: yes, as a request. Blocks: up to timeout_ms. Errors:
/// OPAMP_E_TIMEOUT (call again), OPAMP_E_INVALID_ARG (a time below -1). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_detach(
    agent: *mut opamp_agent,
    timeout_ms: i64,
) -> opamp_status {
    call(&calls::AGENT_DETACH, agent, ptr::null_mut(), |agent| {
        Ok(agent.detach(convert::timeout(timeout_ms)?)?)
    })
}

/// Sends a poll now instead of at the next interval, unless the server asked to wait or a failure
/// is waited out.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_STATE when it does not run. Since:
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_poll_now(agent: *mut opamp_agent) -> opamp_status {
    call(&calls::AGENT_POLL_NOW, agent, ptr::null_mut(), |agent| {
        Ok(agent.poll_now()?)
    })
}

/// Reports the full state with the next message, which leaves now as in opamp_agent_poll_now. What
/// the server refused before is tried again.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_STATE when it does not run. Since:
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_report_full_state(agent: *mut opamp_agent) -> opamp_status {
    call(
        &calls::AGENT_REPORT_FULL_STATE,
        agent,
        ptr::null_mut(),
        |agent| Ok(agent.report_full_state()?),
    )
}

/// Drops the connection and makes a new one, as after a change of the network.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_STATE when it does not run. Since:
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_reconnect(agent: *mut opamp_agent) -> opamp_status {
    call(&calls::AGENT_RECONNECT, agent, ptr::null_mut(), |agent| {
        Ok(agent.reconnect()?)
    })
}

/// Waits until everything that was set before this call is confirmed by the server. timeout_ms: -1
/// for no bound.
///
/// Threads: any. Callbacks: yes, but the events behind this one wait. Blocks: up to timeout_ms.
/// Errors: OPAMP_E_TIMEOUT, OPAMP_E_STATE (it does not run, or the server refused a part of it,
/// which is held back), OPAMP_E_AGAIN (64 threads wait in one already), OPAMP_E_INVALID_ARG (a time
/// below -1). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_flush(
    agent: *mut opamp_agent,
    timeout_ms: i64,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::AGENT_FLUSH, agent, err, |agent| {
        Ok(agent.flush(convert::timeout(timeout_ms)?)?)
    })
}

/// Sends a host-made AgentToServer: its parts become the client's state; uid, number and
/// capabilities are the library's, and a disconnect in it is ignored. agent_to_server: encoded,
/// copied. tries: how often it is tried; 0: no bound. ticket: names its end, which comes once as
/// on_send_done or OPAMP_EVENT_SEND_DONE, unless it is still on its way when an agent with
/// OPAMP_DELIVERY_THREAD stops; may be NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (undecodable, or a part
/// that its setter would refuse), OPAMP_E_UNSUPPORTED (a part that this release does not report),
/// OPAMP_E_TOO_LARGE (over MESSAGE_LIMIT_BYTES), OPAMP_E_STATE when it does not run, OPAMP_E_AGAIN
/// (64 were asked for whose ends were not taken). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_send(
    agent: *mut opamp_agent,
    agent_to_server: *const u8,
    len: usize,
    tries: u32,
    ticket: *mut u64,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::AGENT_SEND, agent, err, |agent| {
        let bytes = convert::bytes(agent_to_server, len, "message")?;
        let tries = (tries > 0).then_some(tries);
        convert::put(ticket, agent.send(bytes, tries)?);
        Ok(())
    })
}

/// A descriptor that is readable exactly while an event waits: for epoll, poll, libuv, asyncio. It
/// belongs to the agent and stays the same from the first call until opamp_agent_free, through
/// restarts; never read or close it. An edge-triggered loop drains to OPAMP_E_TIMEOUT. Also
/// readable when the agent has ended and OPAMP_EVENT_STOPPED waits.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_STATE with OPAMP_DELIVERY_THREAD,
/// OPAMP_E_RESOURCE. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_poll_fd(
    agent: *mut opamp_agent,
    fd: *mut i32,
) -> opamp_status {
    call(&calls::AGENT_POLL_FD, agent, ptr::null_mut(), |agent| {
        convert::wanted(fd)?;
        fd.write(agent.poll_fd()?);
        Ok(())
    })
}

/// Calls the callbacks, on this thread, for what waits: at most what waited at entry. With nothing
/// waiting it waits for the first event up to timeout_ms (-1: no bound). served: how many; may be
/// NULL. Events without a callback count.
///
/// Threads: any, one at a time. Callbacks: no (OPAMP_E_STATE). Blocks: up to timeout_ms, and for
/// the callbacks. Errors: OPAMP_E_TIMEOUT (nothing waited, also for 0), OPAMP_E_STATE
/// (OPAMP_DELIVERY_THREAD; a dispatch runs already; the agent does not run and OPAMP_EVENT_STOPPED
/// was taken), OPAMP_E_INVALID_ARG (a time below -1). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_dispatch(
    agent: *mut opamp_agent,
    timeout_ms: i64,
    served: *mut u32,
) -> opamp_status {
    call(&calls::AGENT_DISPATCH, agent, ptr::null_mut(), |agent| {
        let timeout = convert::timeout(timeout_ms)?;
        convert::put(served, up_to_stopped(agent, agent.dispatch(timeout))?);
        Ok(())
    })
}

/// Takes the next event, waiting for it up to timeout_ms (-1: no bound). out: yours to
/// opamp_event_free. Any number of threads may wait at once; no callback is called.
///
/// Threads: any. Callbacks: yes. Blocks: up to timeout_ms. Errors: OPAMP_E_TIMEOUT (nothing waits,
/// also for 0), OPAMP_E_STATE (OPAMP_DELIVERY_THREAD; the agent does not run and
/// OPAMP_EVENT_STOPPED was taken), OPAMP_E_INVALID_ARG (a time below -1). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_next_event(
    agent: *mut opamp_agent,
    timeout_ms: i64,
    out: *mut *mut opamp_event,
) -> opamp_status {
    call(&calls::AGENT_NEXT_EVENT, agent, ptr::null_mut(), |agent| {
        convert::wanted(out)?;
        let timeout = convert::timeout(timeout_ms)?;
        let event = up_to_stopped(agent, agent.next_event(timeout))?;
        out.write(Box::into_raw(Box::new(opamp_event::new(event))));
        Ok(())
    })
}

/// How the agent is doing now, running or not. out: yours to opamp_snapshot_free.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: the common ones. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_agent_snapshot(
    agent: *const opamp_agent,
    out: *mut *mut opamp_snapshot,
) -> opamp_status {
    call(&calls::AGENT_SNAPSHOT, agent, ptr::null_mut(), |agent| {
        convert::wanted(out)?;
        out.write(Box::into_raw(Box::new(opamp_snapshot::new(
            agent.snapshot(),
        ))));
        Ok(())
    })
}
