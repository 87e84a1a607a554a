//! `opamp_event`: one thing that happened, owned by whoever took it.

use std::{
    ffi::{CString, c_char},
    ptr,
    sync::Arc,
};

use super::{
    calls, convert,
    convert::opamp_slice,
    error::opamp_error,
    guard,
    guard::{Handle, Life},
    message::opamp_message,
    request::opamp_request,
    status::{OPAMP_E_NOT_FOUND, Outcome, Refusal, opamp_status},
};
use crate::agent::{Event, EventKind};

/// One thing that happened, owned by whoever took it with opamp_agent_next_event. What its
/// accessors answer is borrowed from it. Immutable; any thread may read it.
pub struct opamp_event {
    life: Life,
    kind: i32,
    missed: u64,
    pub(super) content: Content,
}

/// What an event brings.
pub(super) enum Content {
    Nothing,
    Error(Arc<opamp_error>),
    Refusal {
        error: Arc<opamp_error>,
        message: Option<Arc<opamp_message>>,
    },
    Message(Arc<opamp_message>),
    Request(Arc<opamp_request>),
    Report {
        ticket: u64,
        why_not: Option<Arc<opamp_error>>,
    },
    Redirect {
        from: CString,
        to: CString,
        status: i32,
    },
    Uid([u8; 16]),
    Log {
        level: i32,
        line: CString,
    },
}

impl Handle for opamp_event {
    fn life(&self) -> &Life {
        &self.life
    }
}

impl opamp_event {
    pub(super) fn new(event: Event) -> Self {
        let kind = event.kind.number();
        Self {
            life: Life::new(),
            kind,
            missed: event.missed,
            content: Content::new(event.kind),
        }
    }

    pub(super) fn kind(&self) -> i32 {
        self.kind
    }

    pub(super) fn error(&self) -> *const opamp_error {
        match &self.content {
            Content::Error(error)
            | Content::Refusal { error, .. }
            | Content::Report {
                why_not: Some(error),
                ..
            } => Arc::as_ptr(error),
            _ => ptr::null(),
        }
    }
}

impl Content {
    fn new(kind: EventKind) -> Self {
        match kind {
            EventKind::Connected | EventKind::Stopped { error: None } => Self::Nothing,
            EventKind::ConnectFailed(error)
            | EventKind::Warning(error)
            | EventKind::Stopped { error: Some(error) } => Self::Error(opamp_error::new(&error)),
            EventKind::ServerError { error, message } => Self::Refusal {
                error: opamp_error::new(&error),
                message: message.map(opamp_message::new),
            },
            EventKind::Message(message) => Self::Message(opamp_message::new(message)),
            EventKind::Request(request) => Self::Request(opamp_request::new(request)),
            EventKind::SendDone { ticket, error } => Self::Report {
                ticket,
                why_not: error.as_ref().map(opamp_error::new),
            },
            EventKind::Redirect(hop) => Self::Redirect {
                from: convert::line(&hop.from),
                to: convert::line(&hop.to),
                status: hop.status.into(),
            },
            EventKind::NewUid(uid) => Self::Uid(uid),
            EventKind::Log { level, line } => Self::Log {
                level: level as i32,
                line: convert::line(&line),
            },
        }
    }
}

/// What happened. Later releases append kinds: leave alone what you do not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_event_kind_code {
    /// The first decoded answer after start or after a failure. on_connect.
    OPAMP_EVENT_CONNECTED = 1,
    /// One failed try: brings an error. on_connect_failed.
    OPAMP_EVENT_CONNECT_FAILED = 2,
    /// The server answered with an error_response: brings an error and its message. on_error.
    OPAMP_EVENT_SERVER_ERROR = 3,
    /// Something to act on: brings a message. on_message.
    OPAMP_EVENT_MESSAGE = 4,
    /// An exchange for the host's own HTTP stack: brings a request. on_request.
    OPAMP_EVENT_REQUEST = 5,
    /// The end of an opamp_agent_send: brings its ticket, and an error unless it was confirmed.
    /// on_send_done.
    OPAMP_EVENT_SEND_DONE = 6,
    /// The running try goes on at another place: brings where from, where to and the status.
    /// on_redirect.
    OPAMP_EVENT_REDIRECT = 7,
    /// The server assigned another instance uid: brings it. on_new_instance_uid.
    OPAMP_EVENT_NEW_INSTANCE_UID = 8,
    /// Something the host should know although all goes on: brings an error. on_warning.
    OPAMP_EVENT_WARNING = 9,
    /// A log line, where they were asked for: brings level and line. on_log.
    OPAMP_EVENT_LOG = 10,
    /// The last event. Brings an error only where a bug ended the agent. on_stopped.
    OPAMP_EVENT_STOPPED = 11,
}

/// What happened: one of `enum opamp_event_kind_code`. NULL: 0.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_event_kind(event: *const opamp_event) -> i32 {
    guard::read(&calls::EVENT_KIND, event, 0, opamp_event::kind)
}

/// The message, borrowed from the event (keep it with opamp_message_ref); NULL: its kind brings
/// none. With OPAMP_EVENT_SERVER_ERROR it holds the error_response as it came, for hosts with a
/// protobuf library (opamp_message_bytes; it brings no parts); NULL there: together with what
/// waited it was over MESSAGE_LIMIT_BYTES.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_event_message(event: *const opamp_event) -> *const opamp_message {
    guard::read(
        &calls::EVENT_MESSAGE,
        event,
        ptr::null(),
        |event| match &event.content {
            Content::Message(message)
            | Content::Refusal {
                message: Some(message),
                ..
            } => Arc::as_ptr(message),
            _ => ptr::null(),
        },
    )
}

/// The error, borrowed from the event; NULL: it brings none.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_event_error(event: *const opamp_event) -> *const opamp_error {
    guard::read(&calls::EVENT_ERROR, event, ptr::null(), opamp_event::error)
}

/// The request, borrowed from the event (keep it with opamp_request_ref); NULL: its kind brings
/// none.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_event_request(event: *const opamp_event) -> *mut opamp_request {
    guard::read(
        &calls::EVENT_REQUEST,
        event,
        ptr::null_mut(),
        |event| match &event.content {
            Content::Request(request) => Arc::as_ptr(request).cast_mut(),
            _ => ptr::null_mut(),
        },
    )
}

fn not_found<T>() -> Outcome<T> {
    Err(Refusal::new(
        OPAMP_E_NOT_FOUND,
        "the event brings no such thing",
    ))
}

/// The ticket of the opamp_agent_send that ended.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where the kind brings none.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_event_ticket(
    event: *const opamp_event,
    out: *mut u64,
) -> opamp_status {
    guard::call(
        &calls::EVENT_TICKET,
        event,
        ptr::null_mut(),
        |event| match &event.content {
            Content::Report { ticket, .. } => {
                convert::put(out, *ticket);
                Ok(())
            }
            _ => not_found(),
        },
    )
}

/// One redirect that is followed: the URL that was asked, the URL that is asked next, and the
/// status that said so. Both are whole, path and query included, but for a URL that repeats a
/// header's value or a proxy's login: of that one only the origin is told. NUL-terminated and
/// borrowed from the event. Any output may be NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where the kind brings none.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_event_redirect(
    event: *const opamp_event,
    from: *mut *const c_char,
    to: *mut *const c_char,
    status: *mut i32,
) -> opamp_status {
    guard::call(
        &calls::EVENT_REDIRECT,
        event,
        ptr::null_mut(),
        |event| match &event.content {
            Content::Redirect {
                from: its_from,
                to: its_to,
                status: its_status,
            } => {
                convert::put(from, its_from.as_ptr());
                convert::put(to, its_to.as_ptr());
                convert::put(status, *its_status);
                Ok(())
            }
            _ => not_found(),
        },
    )
}

/// The new instance uid: 16 bytes, borrowed from the event.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where the kind brings none.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_event_instance_uid(
    event: *const opamp_event,
    out: *mut opamp_slice,
) -> opamp_status {
    guard::call(
        &calls::EVENT_UID,
        event,
        ptr::null_mut(),
        |event| match &event.content {
            Content::Uid(uid) => {
                convert::put(out, opamp_slice::of(uid));
                Ok(())
            }
            _ => not_found(),
        },
    )
}

/// The log line and its level (`enum opamp_log_level`). The line is NUL-terminated and borrowed
/// from the event. Either output may be NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where the kind brings none.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_event_log(
    event: *const opamp_event,
    level: *mut i32,
    line: *mut *const c_char,
) -> opamp_status {
    guard::call(
        &calls::EVENT_LOG,
        event,
        ptr::null_mut(),
        |event| match &event.content {
            Content::Log {
                level: its_level,
                line: its_line,
            } => {
                convert::put(level, *its_level);
                convert::put(line, its_line.as_ptr());
                Ok(())
            }
            _ => not_found(),
        },
    )
}

/// How many older events of its kind this one stands for: the queue is bounded and keeps the
/// newest, and of what a server can provoke (bad messages, errors, new uids, known offers in turn)
/// the host hears three at once, then one after 1, 2, 4 .. 30 s, until a minute was calm.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. NULL: 0. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_event_missed(event: *const opamp_event) -> u64 {
    guard::read(&calls::EVENT_MISSED, event, 0, |event| event.missed)
}

/// Frees an event, and what was borrowed from it and not kept.
///
/// Threads: any, once. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_event_free(event: *mut opamp_event) {
    guard::release(&calls::EVENT_FREE, event, |event| {
        drop(Box::from_raw(event))
    });
}
