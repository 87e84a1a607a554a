//! The process-wide log callback.

use std::{
    ffi::{c_char, c_void},
    ptr,
};

use super::{
    calls, convert, guard,
    status::{Outcome, Refusal, opamp_status},
};
use crate::agent::{
    Reason,
    log::{self, Level, Sink},
};

pub(super) fn level(number: i32) -> Outcome<Level> {
    Level::from_number(number).ok_or_else(|| {
        let text = format!("log level is {number}, must be 0 to 4");
        Refusal::argument(text).because(Reason::UnknownValue)
    })
}

/// The host's pointer, handed back to its own callback and never looked at.
struct User(*mut c_void);

// SAFETY: the header says that the log callback may come from any thread, with this pointer.
unsafe impl Send for User {}
unsafe impl Sync for User {}

impl User {
    fn pointer(&self) -> *mut c_void {
        self.0
    }
}

/// Sets the log callback of the process, up to a level of `enum opamp_log_level`. OPAMP_LOG_OFF or
/// a NULL callback, as at the beginning: silence. Lines are NUL-terminated, without control
/// characters, secrets and configuration bodies, and borrowed for the call. The callback may come
/// from any thread, several at once; it is the one callback outside the delivery (for lines inside
/// it see opamp_agent_set_log_events). Inside it opamp_agent_stop and opamp_agent_free are what
/// they are in any callback, and where the line came on the agent's own thread no call on that
/// agent waits (opamp_agent_flush, opamp_agent_dispatch, opamp_agent_next_event: as with a timeout
/// of 0). A call of the former callback that already runs may still be ending when this returns:
/// keep `user` until the agents are stopped. A forked child begins with silence.
///
/// Threads: any. Callbacks: yes, the log callback included. Blocks: no. Errors: OPAMP_E_INVALID_ARG
/// for an unknown level. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_set_log_callback(
    level: i32,
    callback: Option<unsafe extern "C" fn(level: i32, line: *const c_char, user: *mut c_void)>,
    user: *mut c_void,
) -> opamp_status {
    guard::open(&calls::SET_LOG, ptr::null_mut(), || {
        let level = self::level(level)?;
        let user = User(user);
        let sink = callback.map(|callback| -> Sink {
            Box::new(move |level, line| {
                let line = convert::line(line);
                callback(level as i32, line.as_ptr(), user.pointer());
            })
        });
        Ok(log::set(level, sink)?)
    })
}
