//! `opamp_error`: why a call was refused, or what went wrong on the way to the server.

use std::{
    ffi::{CString, c_char},
    ptr,
    time::Duration,
};

use super::{
    calls, convert, guard,
    guard::{Handle, Life},
    status::{OPAMP_E_NOT_FOUND, Refusal, Why, opamp_status},
};
use crate::agent::{Error, Kind};

/// What went wrong: given to callbacks and events, or by the calls that explain. Immutable; any thread may read it.
pub struct opamp_error {
    life: Life,
    code: opamp_status,
    kind: opamp_error_kind,
    http_status: i32,
    retry_in: Option<Duration>,
    text: CString,
}

impl Handle for opamp_error {
    fn life(&self) -> &Life {
        &self.life
    }
}

impl opamp_error {
    pub(super) fn new(error: &Error) -> Self {
        let code = super::status::opamp_status_code::from(error.code) as opamp_status;
        Self {
            life: Life::new(),
            code,
            kind: error.kind.into(),
            http_status: error.http_status.map_or(0, i32::from),
            retry_in: error.retry_in,
            text: convert::line(&error.text),
        }
    }
}

/// An error for an out parameter: the host frees it.
pub(super) fn give(refusal: Refusal) -> *mut opamp_error {
    let error = match &refusal.why {
        Why::Error(error) => opamp_error {
            code: refusal.code as opamp_status,
            ..opamp_error::new(error)
        },
        Why::Text(kind, text) => opamp_error {
            life: Life::new(),
            code: refusal.code as opamp_status,
            kind: (*kind).into(),
            http_status: 0,
            retry_in: None,
            text: convert::line(text),
        },
    };
    Box::into_raw(Box::new(error))
}

/// Where it went wrong: what opamp_error_kind answers. Later releases may add kinds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_error_kind {
    /// Nowhere: no error.
    OPAMP_ERROR_NONE = 0,
    /// The look-up of the server's name.
    OPAMP_ERROR_RESOLVE = 1,
    /// Connecting.
    OPAMP_ERROR_CONNECT = 2,
    /// The TLS handshake, the certificates.
    OPAMP_ERROR_TLS = 3,
    /// A proxy on the way.
    OPAMP_ERROR_PROXY = 4,
    /// A bound on time passed.
    OPAMP_ERROR_TIMEOUT = 5,
    /// The connection was reset or closed.
    OPAMP_ERROR_IO = 6,
    /// The server's HTTP status; see opamp_error_http_status.
    OPAMP_ERROR_HTTP_STATUS = 7,
    /// The answer is no ServerToAgent.
    OPAMP_ERROR_DECODE = 8,
    /// A message beyond a limit.
    OPAMP_ERROR_SIZE = 9,
    /// The peer broke a rule of HTTP or of OpAMP.
    OPAMP_ERROR_PROTOCOL = 10,
    /// The server's own error_response.
    OPAMP_ERROR_SERVER = 11,
    /// The host's own transport.
    OPAMP_ERROR_HOST = 12,
    /// A bug in the library.
    OPAMP_ERROR_BUG = 13,
    /// An argument or a state that a call refused.
    OPAMP_ERROR_ARGUMENT = 14,
}

use opamp_error_kind::*;

impl From<Kind> for opamp_error_kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::None => OPAMP_ERROR_NONE,
            Kind::Resolve => OPAMP_ERROR_RESOLVE,
            Kind::Connect => OPAMP_ERROR_CONNECT,
            Kind::Tls => OPAMP_ERROR_TLS,
            Kind::Proxy => OPAMP_ERROR_PROXY,
            Kind::Timeout => OPAMP_ERROR_TIMEOUT,
            Kind::Io => OPAMP_ERROR_IO,
            Kind::HttpStatus => OPAMP_ERROR_HTTP_STATUS,
            Kind::Decode => OPAMP_ERROR_DECODE,
            Kind::Size => OPAMP_ERROR_SIZE,
            Kind::Protocol => OPAMP_ERROR_PROTOCOL,
            Kind::Server => OPAMP_ERROR_SERVER,
            Kind::Host => OPAMP_ERROR_HOST,
            Kind::Bug => OPAMP_ERROR_BUG,
            Kind::Argument => OPAMP_ERROR_ARGUMENT,
        }
    }
}

/// The status code that belongs to an error. For an error that an event or a callback brought it is the nearest one
/// (OPAMP_E_FAILED, OPAMP_E_TIMEOUT, ..); opamp_error_kind says more there. NULL: OPAMP_E_INVALID_ARG.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: as said. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_code(error: *const opamp_error) -> opamp_status {
    let mut code = 0;
    let refused = guard::call(&calls::ERROR_CODE, error, ptr::null_mut(), |error| {
        code = error.code;
        Ok(())
    });
    if refused < 0 { refused } else { code }
}

/// Where it went wrong: one of `enum opamp_error_kind`. NULL: OPAMP_ERROR_NONE.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_kind(error: *const opamp_error) -> i32 {
    guard::read(&calls::ERROR_KIND, error, 0, |error| error.kind as i32)
}

/// The HTTP status of the server's answer; 0: there was none. NULL: 0.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_http_status(error: *const opamp_error) -> i32 {
    guard::read(&calls::ERROR_HTTP_STATUS, error, 0, |error| {
        error.http_status
    })
}

/// One line for people: NUL-terminated, without control characters and without secrets; borrowed from the error. What it
/// quotes of a peer is printable, cut to 256 bytes, and left out where six characters in a row of a header's value or a
/// proxy's login stand in it. NULL: NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_text(error: *const opamp_error) -> *const c_char {
    guard::read(&calls::ERROR_TEXT, error, ptr::null(), |error| {
        error.text.as_ptr()
    })
}

/// When the next try comes, counted from the moment of the failure.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where no next try is known. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_retry_in_ms(
    error: *const opamp_error,
    out: *mut u64,
) -> opamp_status {
    guard::call(&calls::ERROR_RETRY_IN_MS, error, ptr::null_mut(), |error| {
        let Some(time) = error.retry_in else {
            return Err(Refusal::new(OPAMP_E_NOT_FOUND, "no next try is known"));
        };
        convert::put(out, convert::milliseconds(time));
        Ok(())
    })
}

/// Frees an error that an out parameter gave. Never one that was borrowed from an event, a callback or a snapshot.
///
/// Threads: any, once. Callbacks: yes. Blocks: no. NULL or, for one from before the fork, in a forked child: nothing. Since:
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_free(error: *mut opamp_error) {
    guard::release(&calls::ERROR_FREE, error, |error| {
        drop(Box::from_raw(error))
    });
}
