//! `opamp_snapshot`: how an agent is doing, read at any time.

use std::{
    ffi::{CString, c_char},
    ptr,
    sync::Arc,
};

use super::{
    calls, convert,
    error::opamp_error,
    guard,
    guard::{Handle, Life},
    status::{OPAMP_E_NOT_FOUND, Refusal, opamp_status},
};
use crate::agent::Snapshot;

/// How an agent was doing at one moment. Immutable; any thread may read it.
pub struct opamp_snapshot {
    life: Life,
    snapshot: Snapshot,
    last_error: Option<Arc<opamp_error>>,
    context: Option<CString>,
    json: CString,
}

impl Handle for opamp_snapshot {
    fn life(&self) -> &Life {
        &self.life
    }
}

impl opamp_snapshot {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        let last_error = snapshot.last_error().map(opamp_error::new);
        let context = snapshot.last_error_context().map(convert::line);
        let json = convert::line(snapshot.json());
        Self {
            life: Life::new(),
            snapshot,
            last_error,
            context,
            json,
        }
    }
}

/// Frees a snapshot, and what was borrowed from it.
///
/// Threads: any, once. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_snapshot_free(snapshot: *mut opamp_snapshot) {
    guard::release(&calls::SNAPSHOT_FREE, snapshot, |snapshot| {
        drop(Box::from_raw(snapshot))
    });
}

/// One number of a snapshot: one of `enum opamp_snapshot_field`.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where there is none. Since:
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_snapshot_number(
    snapshot: *const opamp_snapshot,
    what: i32,
    out: *mut u64,
) -> opamp_status {
    guard::call(
        &calls::SNAPSHOT_NUMBER,
        snapshot,
        ptr::null_mut(),
        |snapshot| {
            let Some(number) = snapshot.snapshot.number(what) else {
                return Err(Refusal::new(
                    OPAMP_E_NOT_FOUND,
                    "the snapshot has no such number",
                ));
            };
            convert::put(out, number);
            Ok(())
        },
    )
}

/// The last failure of the present run, borrowed from the snapshot; NULL: there was none. Its kind,
/// HTTP status and text are those of opamp_error_kind, opamp_error_http_status and
/// opamp_error_text.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_snapshot_last_error(
    snapshot: *const opamp_snapshot,
) -> *const opamp_error {
    guard::read(
        &calls::SNAPSHOT_LAST_ERROR,
        snapshot,
        ptr::null(),
        |snapshot| {
            snapshot
                .last_error
                .as_ref()
                .map_or(ptr::null(), Arc::as_ptr)
        },
    )
}

/// Where the last failure of the present run happened: the endpoint's URL without its query, and
/// the proxy where there is one, as `last_error_context` of the JSON. NUL-terminated, borrowed from
/// the snapshot; NULL: there was none.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_snapshot_last_error_context(
    snapshot: *const opamp_snapshot,
) -> *const c_char {
    guard::read(
        &calls::SNAPSHOT_LAST_ERROR_CONTEXT,
        snapshot,
        ptr::null(),
        |snapshot| {
            let context = snapshot.context.as_ref();
            context.map_or(ptr::null(), |line| line.as_ptr())
        },
    )
}

/// The snapshot as one JSON object on one line: NUL-terminated, without secrets, borrowed from the
/// snapshot. NULL: NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_snapshot_json(snapshot: *const opamp_snapshot) -> *const c_char {
    guard::read(&calls::SNAPSHOT_JSON, snapshot, ptr::null(), |snapshot| {
        snapshot.json.as_ptr()
    })
}
