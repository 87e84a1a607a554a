//! `opamp_request`: an exchange that the host's own HTTP stack carries out.

use std::{
    ffi::{CStr, c_char},
    ptr, slice,
    sync::Arc,
};

use bytes::Bytes;

use super::{
    calls, convert,
    convert::opamp_slice,
    error::opamp_error,
    guard,
    guard::{Handle, Life},
    status::{OPAMP_E_NOT_FOUND, OPAMP_E_STATE, Outcome, Refusal, opamp_status},
};
use crate::agent::{HostRequest, ReachedServer, Reason, free_text, shown};

/// One exchange for the host's own HTTP stack (opamp_client_use_custom_transport). Borrowed in
/// on_request or from its event. Ended once, from any thread, by opamp_request_complete or
/// opamp_request_fail; to end it later keep it with opamp_request_ref. When the last reference goes
/// before it was ended it fails as not reached; one that is never ended meets its time.
/// Retry-After, limits and errors stay with the library.
pub struct opamp_request {
    life: Life,
    request: HostRequest,
}

impl Handle for opamp_request {
    fn life(&self) -> &Life {
        &self.life
    }
}

impl opamp_request {
    pub(super) fn new(request: HostRequest) -> Arc<Self> {
        Arc::new(Self {
            life: Life::new(),
            request,
        })
    }
}

unsafe fn slice(
    row: &calls::Call,
    request: *const opamp_request,
    out: *mut opamp_slice,
    part: impl FnOnce(&HostRequest) -> &[u8],
) {
    let empty = opamp_slice::of(&[]);
    let bytes = guard::read(row, request, empty, |request| {
        opamp_slice::of(part(&request.request))
    });
    convert::put(out, bytes);
}

/// The method: POST. Borrowed from the request; empty for a NULL request.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_request_method(
    request: *const opamp_request,
    out: *mut opamp_slice,
) {
    slice(&calls::REQUEST_METHOD, request, out, |request| {
        request.method().as_bytes()
    });
}

/// The URL. Borrowed from the request; empty for a NULL request.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_request_url(request: *const opamp_request, out: *mut opamp_slice) {
    slice(&calls::REQUEST_URL, request, out, |request| {
        request.url().as_bytes()
    });
}

/// The header at a position; send them all. Accept-Encoding is not among them: an HTTP stack that
/// asks for gzip undoes it. Outputs borrow from the request; each may be NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND past the end. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_request_header_at(
    request: *const opamp_request,
    index: usize,
    name: *mut opamp_slice,
    value: *mut opamp_slice,
) -> opamp_status {
    guard::call(
        &calls::REQUEST_HEADER_AT,
        request,
        ptr::null_mut(),
        |request| {
            let Some((its_name, its_value)) = request.request.headers().get(index) else {
                return Err(Refusal::new(
                    OPAMP_E_NOT_FOUND,
                    "no header at that position",
                ));
            };
            convert::put(name, opamp_slice::of(its_name.as_bytes()));
            convert::put(value, opamp_slice::of(its_value.as_ref()));
            Ok(())
        },
    )
}

/// The body. Borrowed from the request; empty for a NULL request.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_request_body(request: *const opamp_request, out: *mut opamp_slice) {
    slice(&calls::REQUEST_BODY, request, out, |request| request.body());
}

/// How long the exchange may still take; 0: its time is over.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: the common ones. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_request_timeout_ms(
    request: *const opamp_request,
    out: *mut u64,
) -> opamp_status {
    guard::call(
        &calls::REQUEST_TIMEOUT_MS,
        request,
        ptr::null_mut(),
        |request| {
            convert::put(out, convert::milliseconds(request.request.timeout()));
            Ok(())
        },
    )
}

/// Ends the request with the answer of the server, whatever its status. headers: `header_count`
/// names, each followed by its value, so 2 * header_count texts; those that count are Content-Type,
/// Content-Encoding and Retry-After. body: as the headers describe it. All is copied.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (a status outside 100 to
/// 999, a NULL text), OPAMP_E_STATE (ended before, or nobody waits any more: harmless). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_request_complete(
    request: *mut opamp_request,
    http_status: i32,
    headers: *const *const c_char,
    header_count: usize,
    body: *const u8,
    body_len: usize,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::call(&calls::REQUEST_COMPLETE, request, err, |request| {
        let status = u16::try_from(http_status)
            .ok()
            .filter(|status| (100..1000).contains(status))
            .ok_or_else(|| {
                let text = format!("HTTP status is {http_status}, must be 100 to 999");
                Refusal::argument(text).because(Reason::OutOfRange)
            })?;
        let headers = pairs(headers, header_count)?;
        let body = convert::bytes(body, body_len, "body")?;
        ended(
            request
                .request
                .complete(status, headers, Bytes::copy_from_slice(body)),
        )
    })
}

fn ended<E>(result: Result<(), E>) -> Outcome {
    result.map_err(|_| {
        Refusal::new(OPAMP_E_STATE, "the request was ended before").because(Reason::Ended)
    })
}

unsafe fn pairs(headers: *const *const c_char, count: usize) -> Outcome<Vec<(String, Vec<u8>)>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let texts = count
        .checked_mul(2)
        .filter(|texts| !headers.is_null() && *texts < isize::MAX as usize / size_of::<usize>())
        .ok_or_else(|| {
            let text = format!("header_count is {count}, but there are not so many headers");
            Refusal::argument(text).because(Reason::OutOfRange)
        })?;
    let mut texts = slice::from_raw_parts(headers, texts).iter();
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        let name = convert::text(*name, "header name")?;
        let value = value.as_ref().ok_or_else(|| {
            let text = format!("value of the header {:?} is NULL", shown(name));
            Refusal::argument(text).because(Reason::NullPointer)
        })?;
        pairs.push((name.to_owned(), CStr::from_ptr(value).to_bytes().to_vec()));
    }
    Ok(pairs)
}

/// Ends the request without an answer. reached_server: 0 when surely no byte of it came to the
/// server, else 1 (then its sequence number counts as used). text: why, copied; shown in events and
/// logs, cut to 256 bytes; NULL: nothing to say.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (not UTF-8), OPAMP_E_STATE
/// (ended before, or nobody waits any more: harmless). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_request_fail(
    request: *mut opamp_request,
    reached_server: i32,
    text: *const c_char,
) -> opamp_status {
    guard::call(&calls::REQUEST_FAIL, request, ptr::null_mut(), |request| {
        let text = match text.is_null() {
            true => String::new(),
            false => free_text(CStr::from_ptr(text).to_bytes()),
        };
        let reached = if reached_server == 0 {
            ReachedServer::No
        } else {
            ReachedServer::Maybe
        };
        ended(request.request.fail(reached, &text))
    })
}

/// Adds a reference and answers the same request, which so outlives its callback or event; NULL:
/// NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_request_ref(request: *mut opamp_request) -> *mut opamp_request {
    guard::read(&calls::REQUEST_REF, request, ptr::null_mut(), |_| {
        Arc::increment_strong_count(request.cast_const());
        request
    })
}

/// Gives a reference back; the last one frees the request, and fails it as not reached unless it
/// was ended.
///
/// Threads: any. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_request_unref(request: *mut opamp_request) {
    guard::release(&calls::REQUEST_UNREF, request, |request| {
        drop(Arc::from_raw(request))
    });
}
