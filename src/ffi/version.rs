//! Version and names: static texts.

use std::ffi::{CStr, c_char};

use super::{
    calls,
    error::opamp_error_kind_code as kind,
    event::opamp_event_kind_code as event,
    guard,
    status::{opamp_status, opamp_status_code as code},
};
use crate::agent::reason::NAMES;

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"unknown",
    };

/// The version of the library that is loaded, as "0.1.0": static.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn opamp_version() -> *const c_char {
    guard::name(&calls::VERSION, VERSION, || VERSION).as_ptr()
}

/// The name of a status code, as "OPAMP_E_STATE": static. An unknown code: "unknown".
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn opamp_status_name(status: opamp_status) -> *const c_char {
    guard::name(&calls::STATUS_NAME, UNKNOWN, || find(STATUS_NAMES, status)).as_ptr()
}

/// The name of an error kind, as "tls": static. An unknown kind: "unknown".
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn opamp_error_kind_name(kind: i32) -> *const c_char {
    guard::name(&calls::ERROR_KIND_NAME, UNKNOWN, || {
        find(ERROR_KIND_NAMES, kind)
    })
    .as_ptr()
}

/// The name of an error's reason, as "no_description": static. An unknown reason: "unknown".
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn opamp_error_reason_name(reason: i32) -> *const c_char {
    guard::name(&calls::ERROR_REASON_NAME, UNKNOWN, || find(NAMES, reason)).as_ptr()
}

/// The name of an event kind, as "connect_failed": static. An unknown kind: "unknown".
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn opamp_event_kind_name(kind: i32) -> *const c_char {
    guard::name(&calls::EVENT_KIND_NAME, UNKNOWN, || {
        find(EVENT_KIND_NAMES, kind)
    })
    .as_ptr()
}

type Names = &'static [(i32, &'static CStr)];

const UNKNOWN: &CStr = c"unknown";

fn find(names: Names, number: i32) -> &'static CStr {
    names
        .iter()
        .find(|(known, _)| *known == number)
        .map_or(UNKNOWN, |(_, name)| name)
}

const STATUS_NAMES: Names = &[
    (code::OPAMP_OK as i32, c"OPAMP_OK"),
    (code::OPAMP_E_INVALID_ARG as i32, c"OPAMP_E_INVALID_ARG"),
    (code::OPAMP_E_STATE as i32, c"OPAMP_E_STATE"),
    (code::OPAMP_E_TIMEOUT as i32, c"OPAMP_E_TIMEOUT"),
    (code::OPAMP_E_FORKED as i32, c"OPAMP_E_FORKED"),
    (code::OPAMP_E_UNSUPPORTED as i32, c"OPAMP_E_UNSUPPORTED"),
    (code::OPAMP_E_TOO_LARGE as i32, c"OPAMP_E_TOO_LARGE"),
    (code::OPAMP_E_AGAIN as i32, c"OPAMP_E_AGAIN"),
    (code::OPAMP_E_PANIC as i32, c"OPAMP_E_PANIC"),
    (code::OPAMP_E_NOT_FOUND as i32, c"OPAMP_E_NOT_FOUND"),
    (code::OPAMP_E_CAPABILITY as i32, c"OPAMP_E_CAPABILITY"),
    (code::OPAMP_E_RESOURCE as i32, c"OPAMP_E_RESOURCE"),
    (code::OPAMP_E_FAILED as i32, c"OPAMP_E_FAILED"),
];

const ERROR_KIND_NAMES: Names = &[
    (kind::OPAMP_ERROR_NONE as i32, c"none"),
    (kind::OPAMP_ERROR_RESOLVE as i32, c"resolve"),
    (kind::OPAMP_ERROR_CONNECT as i32, c"connect"),
    (kind::OPAMP_ERROR_TLS as i32, c"tls"),
    (kind::OPAMP_ERROR_PROXY as i32, c"proxy"),
    (kind::OPAMP_ERROR_TIMEOUT as i32, c"timeout"),
    (kind::OPAMP_ERROR_IO as i32, c"io"),
    (kind::OPAMP_ERROR_HTTP_STATUS as i32, c"http_status"),
    (kind::OPAMP_ERROR_DECODE as i32, c"decode"),
    (kind::OPAMP_ERROR_SIZE as i32, c"size"),
    (kind::OPAMP_ERROR_PROTOCOL as i32, c"protocol"),
    (kind::OPAMP_ERROR_SERVER as i32, c"server"),
    (kind::OPAMP_ERROR_CUSTOM_TRANSPORT as i32, c"host"),
    (kind::OPAMP_ERROR_BUG as i32, c"bug"),
    (kind::OPAMP_ERROR_ARGUMENT as i32, c"argument"),
];

const EVENT_KIND_NAMES: Names = &[
    (event::OPAMP_EVENT_CONNECTED as i32, c"connected"),
    (event::OPAMP_EVENT_CONNECT_FAILED as i32, c"connect_failed"),
    (event::OPAMP_EVENT_SERVER_ERROR as i32, c"server_error"),
    (event::OPAMP_EVENT_MESSAGE as i32, c"message"),
    (event::OPAMP_EVENT_REQUEST as i32, c"request"),
    (event::OPAMP_EVENT_SEND_DONE as i32, c"report_done"),
    (event::OPAMP_EVENT_REDIRECT as i32, c"redirect"),
    (event::OPAMP_EVENT_NEW_INSTANCE_UID as i32, c"new_uid"),
    (event::OPAMP_EVENT_WARNING as i32, c"warning"),
    (event::OPAMP_EVENT_LOG as i32, c"log"),
    (event::OPAMP_EVENT_STOPPED as i32, c"stopped"),
];
