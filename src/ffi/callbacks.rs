//! `opamp_callbacks`: the only public struct that may grow, and the host as the agent sees it.

use std::{
    ffi::{c_char, c_void},
    mem::{MaybeUninit, offset_of},
    ptr,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    agent::opamp_agent,
    calls,
    client::opamp_client,
    error::opamp_error,
    event::{Content, opamp_event},
    guard,
    message::opamp_message,
    request::opamp_request,
    status::{OPAMP_E_UNSUPPORTED, Outcome, Refusal, opamp_status},
};
use crate::agent::{Event, EventKind, Host, Reason};

/// What the host hears: every slot may be NULL. Serial per agent, on a library thread
/// (OPAMP_DELIVERY_THREAD) or inside opamp_agent_dispatch (OPAMP_DELIVERY_POLL), with no lock of
/// the library held. Every function may be called inside; stop is a request there, and free is done
/// when the callback has returned. A callback must return: no C++ exception, longjmp or thread exit
/// may leave it. Handles are borrowed for the call; keep messages, maps and requests with _ref.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct opamp_callbacks {
    /// sizeof(opamp_callbacks) as the host was compiled; set by OPAMP_CALLBACKS_INIT or
    /// opamp_callbacks_init.
    pub struct_size: usize,
    /// The first decoded answer after start or after a failure.
    pub on_connect: Option<
        unsafe extern "C" fn(agent: *mut opamp_agent, client: *mut opamp_client, user: *mut c_void),
    >,
    /// One failed try; opamp_error_retry_in_ms says when the next one comes.
    pub on_connect_failed: Option<
        unsafe extern "C" fn(
            agent: *mut opamp_agent,
            client: *mut opamp_client,
            why: *const opamp_error,
            user: *mut c_void,
        ),
    >,
    /// The server answered with an error_response.
    pub on_error: Option<
        unsafe extern "C" fn(
            agent: *mut opamp_agent,
            client: *mut opamp_client,
            from_server: *const opamp_error,
            user: *mut c_void,
        ),
    >,
    /// Something to act on; always after on_connect.
    pub on_message: Option<
        unsafe extern "C" fn(
            agent: *mut opamp_agent,
            client: *mut opamp_client,
            message: *const opamp_message,
            user: *mut c_void,
        ),
    >,
    /// An exchange for the host's own HTTP stack.
    pub on_request: Option<
        unsafe extern "C" fn(
            agent: *mut opamp_agent,
            client: *mut opamp_client,
            request: *mut opamp_request,
            user: *mut c_void,
        ),
    >,
    /// The end of one opamp_agent_send; why_not NULL: confirmed.
    pub on_send_done: Option<
        unsafe extern "C" fn(
            agent: *mut opamp_agent,
            client: *mut opamp_client,
            ticket: u64,
            why_not: *const opamp_error,
            user: *mut c_void,
        ),
    >,
    /// The server assigned another instance uid: 16 bytes.
    pub on_new_instance_uid: Option<
        unsafe extern "C" fn(
            agent: *mut opamp_agent,
            client: *mut opamp_client,
            uid: *const u8,
            user: *mut c_void,
        ),
    >,
    /// Something the host should know although all goes on.
    pub on_warning: Option<
        unsafe extern "C" fn(
            agent: *mut opamp_agent,
            client: *mut opamp_client,
            what: *const opamp_error,
            user: *mut c_void,
        ),
    >,
    /// A log line, where opamp_agent_set_log_events asked for them.
    pub on_log: Option<
        unsafe extern "C" fn(
            agent: *mut opamp_agent,
            client: *mut opamp_client,
            level: i32,
            line: *const c_char,
            user: *mut c_void,
        ),
    >,
    /// The last callback of a run.
    pub on_stopped: Option<
        unsafe extern "C" fn(agent: *mut opamp_agent, client: *mut opamp_client, user: *mut c_void),
    >,
    /// The running try goes on at another place: as opamp_event_redirect.
    pub on_redirect: Option<
        unsafe extern "C" fn(
            agent: *mut opamp_agent,
            client: *mut opamp_client,
            from: *const c_char,
            to: *const c_char,
            status: i32,
            user: *mut c_void,
        ),
    >,
}

/// The size in the first release: no caller is smaller.
const FIRST_SIZE: usize = offset_of!(opamp_callbacks, on_stopped) + size_of::<usize>();
/// A caller of a later release is larger, but never as large as garbage.
const LARGEST_SIZE: usize = 4096;

impl opamp_callbacks {
    const NONE: Self = Self {
        struct_size: size_of::<Self>(),
        on_connect: None,
        on_connect_failed: None,
        on_error: None,
        on_message: None,
        on_request: None,
        on_send_done: None,
        on_new_instance_uid: None,
        on_warning: None,
        on_log: None,
        on_stopped: None,
        on_redirect: None,
    };

    /// What a caller gave, of whatever release it is: known slots are taken over, the rest must be
    /// NULL.
    ///
    /// # Safety
    /// `callbacks` points to as many readable bytes as its first member says.
    pub(super) unsafe fn read(callbacks: *const Self) -> Outcome<Self> {
        // SAFETY: the size comes first in every release.
        let size = unsafe { callbacks.cast::<usize>().read() };
        check_size(size)?;
        let ours = size_of::<Self>();
        for offset in ours..size {
            // SAFETY: within the caller's struct.
            if unsafe { callbacks.cast::<u8>().add(offset).read() } != 0 {
                return Err(Refusal::new(
                    OPAMP_E_UNSUPPORTED,
                    format!(
                        "a callback of a later release than {}",
                        env!("CARGO_PKG_VERSION")
                    ),
                )
                .because(Reason::UnsupportedCallback));
            }
        }
        let mut copy = MaybeUninit::new(Self::NONE);
        // SAFETY: at most the size of either, and every slot is a word that may have any value or NULL.
        let mut copy = unsafe {
            ptr::copy_nonoverlapping(
                callbacks.cast::<u8>(),
                copy.as_mut_ptr().cast::<u8>(),
                size.min(ours),
            );
            copy.assume_init()
        };
        copy.struct_size = ours;
        Ok(copy)
    }
}

fn check_size(size: usize) -> Outcome {
    match size {
        FIRST_SIZE..=LARGEST_SIZE if size % size_of::<usize>() == 0 => Ok(()),
        _ => {
            let text = format!("struct_size is {size}, not a valid size of opamp_callbacks");
            Err(Refusal::argument(text).because(Reason::OutOfRange))
        }
    }
}

/// Sets all slots to NULL and struct_size to `size`, which is sizeof(opamp_callbacks): for
/// languages without the macro OPAMP_CALLBACKS_INIT. Writes `size` bytes.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (NULL, or no size of any
/// release). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_callbacks_init(
    callbacks: *mut opamp_callbacks,
    size: usize,
) -> opamp_status {
    guard::open(&calls::CALLBACKS_INIT, ptr::null_mut(), || {
        super::convert::wanted(callbacks)?;
        check_size(size)?;
        callbacks.cast::<u8>().write_bytes(0, size);
        callbacks.cast::<usize>().write(size);
        Ok(())
    })
}

/// The host's pointer and its destructor.
pub(super) struct User {
    pointer: *mut c_void,
    free: Option<unsafe extern "C" fn(user: *mut c_void)>,
    /// Set once the agent was made: before, the pointer is still the host's own business.
    is_ours: AtomicBool,
}

// SAFETY: the pointer is only handed back; the header says on which threads.
unsafe impl Send for User {}
unsafe impl Sync for User {}

impl User {
    pub(super) fn new(
        pointer: *mut c_void,
        free: Option<unsafe extern "C" fn(user: *mut c_void)>,
    ) -> Arc<Self> {
        Arc::new(Self {
            pointer,
            free,
            is_ours: AtomicBool::new(false),
        })
    }

    pub(super) fn take_over(&self) {
        self.is_ours.store(true, Ordering::Release);
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if let (Some(free), true) = (self.free, self.is_ours.load(Ordering::Acquire)) {
            // SAFETY: the host gave both, and this is the last use of the pointer.
            unsafe { free(self.pointer) };
        }
    }
}

/// The host, as the agent sees it.
pub(super) struct Listener {
    /// `None`: the host takes events one at a time.
    callbacks: Option<opamp_callbacks>,
    handle: Arc<OnceLock<Weak<opamp_agent>>>,
    user: Arc<User>,
}

impl Listener {
    pub(super) fn new(
        callbacks: Option<opamp_callbacks>,
        handle: Arc<OnceLock<Weak<opamp_agent>>>,
        user: Arc<User>,
    ) -> Self {
        Self {
            callbacks,
            handle,
            user,
        }
    }
}

impl Host for Listener {
    fn hears(&self, kind: i32) -> bool {
        let Some(slots) = &self.callbacks else {
            return true;
        };
        match kind {
            EventKind::CONNECTED => slots.on_connect.is_some(),
            EventKind::CONNECT_FAILED => slots.on_connect_failed.is_some(),
            EventKind::SERVER_ERROR => slots.on_error.is_some(),
            EventKind::MESSAGE => slots.on_message.is_some(),
            EventKind::REQUEST => slots.on_request.is_some(),
            EventKind::SEND_DONE => slots.on_send_done.is_some(),
            EventKind::NEW_UID => slots.on_new_instance_uid.is_some(),
            EventKind::WARNING => slots.on_warning.is_some(),
            EventKind::LOG => slots.on_log.is_some(),
            EventKind::STOPPED => slots.on_stopped.is_some(),
            EventKind::REDIRECT => slots.on_redirect.is_some(),
            _ => false,
        }
    }

    fn on_event(&self, event: Event) {
        // A handle that was freed in a callback hears nothing more. While one is held here, a free
        // inside the callback leaves it in place until the callback has returned.
        let handle = self.handle.get().and_then(Weak::upgrade);
        if let (Some(slots), Some(handle)) = (&self.callbacks, handle) {
            // SAFETY: the host promised working functions when it gave them.
            unsafe { deliver(slots, &handle, &opamp_event::new(event), self.user.pointer) };
        }
    }
}

/// Calls the slot of an event's kind.
unsafe fn deliver(
    slots: &opamp_callbacks,
    handle: &Arc<opamp_agent>,
    event: &opamp_event,
    user: *mut c_void,
) {
    let agent = Arc::as_ptr(handle).cast_mut();
    let client = Arc::as_ptr(&handle.client).cast_mut();
    macro_rules! call {
        ($slot:ident $(, $argument:expr)*) => {
            if let Some(slot) = slots.$slot {
                slot(agent, client, $($argument,)* user);
            }
        };
    }
    match (event.kind(), &event.content) {
        (EventKind::CONNECTED, _) => call!(on_connect),
        (EventKind::CONNECT_FAILED, Content::Error(why)) => {
            call!(on_connect_failed, Arc::as_ptr(why))
        }
        (_, Content::Refusal { error, .. }) => call!(on_error, Arc::as_ptr(error)),
        (EventKind::WARNING, Content::Error(what)) => call!(on_warning, Arc::as_ptr(what)),
        (_, Content::Message(message)) => call!(on_message, Arc::as_ptr(message)),
        (_, Content::Request(request)) => call!(on_request, Arc::as_ptr(request).cast_mut()),
        (_, Content::Report { ticket, .. }) => call!(on_send_done, *ticket, event.error()),
        (_, Content::Uid(uid)) => call!(on_new_instance_uid, uid.as_ptr()),
        (_, Content::Redirect { from, to, status }) => {
            call!(on_redirect, from.as_ptr(), to.as_ptr(), *status);
        }
        (_, Content::Log { level, line }) => call!(on_log, *level, line.as_ptr()),
        (EventKind::STOPPED, _) => call!(on_stopped),
        _ => {}
    }
}
