//! The one guard in front of every exported function: pointer, process, poison, then the call
//! itself with panics caught. The process is recognised before any lock is taken: in a forked child
//! a lock may be held for ever.

use std::sync::{Arc, OnceLock};

use super::{
    calls::{Call, Child, Null, Poisoned},
    error::{self, opamp_error},
    status::{OPAMP_E_FORKED, OPAMP_OK, Outcome, Refusal, opamp_status},
};
use crate::agent::{
    Reason,
    fork::{self, Token},
    log::{self, Level},
    panics,
};

/// What every handle carries: the process it was made in, and the bug that poisoned it.
#[derive(Debug)]
pub(super) struct Life {
    /// `None` only where the system had no memory for the mark; such a handle counts as this
    /// process's own.
    process: Option<Token>,
    bug: OnceLock<Arc<str>>,
}

impl Life {
    pub(super) fn new() -> Self {
        Self {
            process: fork::process().ok(),
            bug: OnceLock::new(),
        }
    }

    pub(super) fn is_here(&self) -> bool {
        self.process.is_none_or(fork::is_here)
    }
}

pub(super) trait Handle {
    fn life(&self) -> &Life;

    /// The text of the bug that poisoned it.
    fn bug(&self) -> Option<Arc<str>> {
        self.life().bug.get().cloned()
    }

    fn poison(&self, text: &str) {
        let _ = self.life().bug.set(text.into());
    }
}

/// A call on a handle that answers a status. `err` may be NULL.
///
/// # Safety
/// `handle` and `err` are NULL or valid, as the header says.
pub(super) unsafe fn call<H: Handle>(
    row: &Call,
    handle: *const H,
    err: *mut *mut opamp_error,
    body: impl FnOnce(&H) -> Outcome,
) -> opamp_status {
    // SAFETY: the caller's promise.
    let result = match unsafe { admit(row, handle) } {
        Ok(handle) => contain(row, || body(handle)).unwrap_or_else(|bug| poisoned(handle, bug)),
        Err(refusal) => Err(refusal),
    };
    // SAFETY: the caller's promise.
    unsafe { answer(result, err) }
}

#[cold]
#[inline(never)]
fn poisoned<H: Handle>(handle: &H, bug: String) -> Outcome {
    handle.poison(&bug);
    Err(Refusal::bug(bug))
}

/// A call without a handle that answers a status.
///
/// # Safety
/// `err` is NULL or valid.
pub(super) unsafe fn open(
    row: &Call,
    err: *mut *mut opamp_error,
    body: impl FnOnce() -> Outcome,
) -> opamp_status {
    let result = contain(row, body).unwrap_or_else(|bug| Err(Refusal::bug(bug)));
    // SAFETY: the caller's promise.
    unsafe { answer(result, err) }
}

/// A call on a handle that answers a value; where it can not, `otherwise`.
///
/// # Safety
/// `handle` is NULL or valid.
pub(super) unsafe fn read<H: Handle, T>(
    row: &Call,
    handle: *const H,
    otherwise: T,
    body: impl FnOnce(&H) -> T,
) -> T {
    // SAFETY: the caller's promise.
    let Ok(handle) = (unsafe { admit(row, handle) }) else {
        return otherwise;
    };
    match contain(row, || body(handle)) {
        Ok(value) => value,
        Err(bug) => {
            handle.poison(&bug);
            otherwise
        }
    }
}

/// A call without a handle that answers a value.
pub(super) fn name<T>(row: &Call, otherwise: T, body: impl FnOnce() -> T) -> T {
    contain(row, body).unwrap_or(otherwise)
}

/// Takes a handle away: nothing for NULL, and nothing in a forked child, which must not drop what
/// its parent made.
///
/// # Safety
/// `handle` is NULL or valid, and the caller's own.
pub(super) unsafe fn release<H: Handle>(row: &Call, handle: *mut H, body: impl FnOnce(*mut H)) {
    // SAFETY: the caller's promise.
    if unsafe { admit(row, handle.cast_const()) }.is_ok() {
        // The handle is gone: there is nothing left to poison.
        let _ = contain(row, || body(handle));
    }
}

/// Is the call legal with this handle? As the row says. (Not a copy in each function: there are
/// more than a hundred.)
#[inline(never)]
unsafe fn admit<'a, H: Handle>(row: &Call, handle: *const H) -> Outcome<&'a H> {
    debug_assert!(row.null != Null::Absent, "{} has no handle", row.name);
    // SAFETY: NULL or valid, says the caller.
    let Some(handle) = (unsafe { handle.as_ref() }) else {
        return Err(Refusal::argument("handle is NULL").because(Reason::NullPointer));
    };
    if row.child != Child::Works && !handle.life().is_here() {
        return Err(Refusal::new(
            OPAMP_E_FORKED,
            "the handle belongs to the process that this one was forked from",
        ));
    }
    if row.poisoned == Poisoned::Refused {
        if let Some(bug) = handle.bug() {
            return Err(Refusal::bug(bug.as_ref()));
        }
    }
    Ok(handle)
}

/// Runs the call. A handle that saw a panic is poisoned, so nobody looks at what it left half done.
pub(super) fn contain<T>(row: &Call, body: impl FnOnce() -> T) -> Result<T, String> {
    panics::contain(|| {
        plant(row);
        body()
    })
    .map_err(|text| internal_error(row, &text))
}

#[cold]
#[inline(never)]
fn internal_error(row: &Call, text: &str) -> String {
    let text = format!("internal error in {}: {text}", row.name);
    log::line(Level::Error, &text);
    text
}

#[inline(never)]
unsafe fn answer(result: Outcome, err: *mut *mut opamp_error) -> opamp_status {
    let Err(refusal) = result else {
        return OPAMP_OK as opamp_status;
    };
    let code = refusal.code as opamp_status;
    // SAFETY: NULL or valid, says the caller.
    if let Some(err) = unsafe { err.as_mut() } {
        *err = error::give(refusal);
    }
    code
}

#[cfg(test)]
thread_local! {
    /// The function that panics on this thread.
    pub(super) static PLANTED: std::cell::Cell<&'static str> = const { std::cell::Cell::new("") };
}

#[cfg(test)]
#[allow(clippy::panic)]
fn plant(row: &Call) {
    if PLANTED.get() == row.name {
        panic!("planted");
    }
}

#[cfg(not(test))]
fn plant(row: &Call) {
    panics::plant(row.name);
}
