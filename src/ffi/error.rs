//! `opamp_error`: why a call was refused, or what went wrong on the way to the server.

use std::{
    ffi::{CString, c_char},
    ptr,
    sync::Arc,
    time::Duration,
};

use super::{
    calls, convert, guard,
    guard::{Handle, Life},
    status::{OPAMP_E_NOT_FOUND, Refusal, Why, opamp_status},
};
use crate::agent::{Error, Kind, Reason};

/// What went wrong: given to callbacks and events, or by the calls that explain. Reference counted
/// and immutable; any thread may read it.
pub struct opamp_error {
    life: Life,
    code: opamp_status,
    kind: opamp_error_kind_code,
    reason: Reason,
    capabilities: u64,
    http_status: i32,
    retry_in: Option<Duration>,
    text: CString,
    /// Type and message of an error_response.
    server: Option<(i32, CString)>,
}

impl Handle for opamp_error {
    fn life(&self) -> &Life {
        &self.life
    }
}

impl opamp_error {
    pub(super) fn new(error: &Error) -> Arc<Self> {
        let code = super::status::opamp_status_code::from(error.code);
        Arc::new(Self::of(error, code as opamp_status))
    }

    fn of(error: &Error, code: opamp_status) -> Self {
        let server = error.server.as_ref();
        Self {
            life: Life::new(),
            code,
            kind: error.kind.into(),
            reason: error.reason,
            capabilities: error.capabilities,
            http_status: error.http_status.map_or(0, i32::from),
            retry_in: error.retry_in,
            text: convert::line(&error.text),
            server: server.map(|server| (server.kind, convert::line(&server.message))),
        }
    }
}

/// An error for an out parameter, with one reference.
pub(super) fn give(refusal: Refusal) -> *mut opamp_error {
    let code = refusal.code as opamp_status;
    let error = match &refusal.why {
        Why::Error(error) => opamp_error::of(error, code),
        Why::Text(kind, text) => opamp_error {
            life: Life::new(),
            code,
            kind: (*kind).into(),
            reason: refusal.reason,
            capabilities: 0,
            http_status: 0,
            retry_in: None,
            text: convert::line(text),
            server: None,
        },
    };
    Arc::into_raw(Arc::new(error)).cast_mut()
}

/// Where it went wrong: what opamp_error_kind answers. Later releases may add kinds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_error_kind_code {
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
    OPAMP_ERROR_CUSTOM_TRANSPORT = 12,
    /// A bug in the library.
    OPAMP_ERROR_BUG = 13,
    /// An argument or a state that a call refused.
    OPAMP_ERROR_ARGUMENT = 14,
}

use opamp_error_kind_code::*;

impl From<Kind> for opamp_error_kind_code {
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
            Kind::Host => OPAMP_ERROR_CUSTOM_TRANSPORT,
            Kind::Bug => OPAMP_ERROR_BUG,
            Kind::Argument => OPAMP_ERROR_ARGUMENT,
        }
    }
}

/// The status code that belongs to an error. For an error that an event or a callback brought it is
/// the nearest one (OPAMP_E_FAILED, OPAMP_E_TIMEOUT, ..); opamp_error_kind says more there. NULL:
/// OPAMP_E_INVALID_ARG.
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

/// Where it went wrong: one of `enum opamp_error_kind_code`. NULL: OPAMP_ERROR_NONE.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_kind(error: *const opamp_error) -> i32 {
    guard::read(&calls::ERROR_KIND, error, 0, |error| error.kind as i32)
}

/// Why, as a number that stays the same whatever the text says: one of `enum
/// opamp_error_reason_code`. Later releases may add reasons. NULL: OPAMP_REASON_NONE.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_reason(error: *const opamp_error) -> i32 {
    guard::read(&calls::ERROR_REASON, error, 0, |error| error.reason as i32)
}

/// The capabilities that the error is about (undeclared, unsupported, without its callback): bits
/// of `enum opamp_capability`; 0: it is about none. NULL: 0.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_capabilities(error: *const opamp_error) -> u64 {
    guard::read(&calls::ERROR_CAPABILITIES, error, 0, |error| {
        error.capabilities
    })
}

/// The type of the server's error_response: one of `enum opamp_server_error_type`. Only errors of
/// kind OPAMP_ERROR_SERVER that on_error or OPAMP_EVENT_SERVER_ERROR brought have one.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where there is none. Since:
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_server_type(
    error: *const opamp_error,
    out: *mut i32,
) -> opamp_status {
    guard::call(&calls::ERROR_SERVER_TYPE, error, ptr::null_mut(), |error| {
        let Some((kind, _)) = &error.server else {
            return Err(Refusal::new(
                OPAMP_E_NOT_FOUND,
                "not an error_response of the server",
            ));
        };
        convert::put(out, *kind);
        Ok(())
    })
}

/// The message of the server's error_response, without the type: NUL-terminated, cut to 256 bytes
/// and without control characters; borrowed from the error. opamp_event_message has the whole.
/// NULL: no error_response, or a NULL error.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_server_message(error: *const opamp_error) -> *const c_char {
    guard::read(&calls::ERROR_SERVER_MESSAGE, error, ptr::null(), |error| {
        let server = error.server.as_ref();
        server.map_or(ptr::null(), |(_, message)| message.as_ptr())
    })
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

/// One line for people: NUL-terminated, without control characters and without secrets; borrowed
/// from the error. What it quotes of a peer is printable, cut to 256 bytes, and left out where six
/// characters in a row of a header's value or a proxy's login stand in it. NULL: NULL.
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
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where no next try is known.
/// Since: 0.1.
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

/// Acquires a reference and returns the same error, which so outlives the callback, event or
/// snapshot that it was borrowed from; release it with opamp_error_free. NULL: NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_ref(error: *const opamp_error) -> *mut opamp_error {
    guard::read(&calls::ERROR_REF, error, ptr::null_mut(), |_| {
        Arc::increment_strong_count(error);
        error.cast_mut()
    })
}

/// Releases the reference that an out parameter or opamp_error_ref gave; the last one frees the
/// error. Never for one that is only borrowed from an event, a callback or a snapshot.
///
/// Threads: any. Callbacks: yes. Blocks: no. NULL or, for one from before the fork, in a forked
/// child: nothing. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_error_free(error: *mut opamp_error) {
    guard::release(&calls::ERROR_FREE, error, |error| {
        drop(Arc::from_raw(error))
    });
}
