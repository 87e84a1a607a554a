//! `opamp_client`: who the agent is, where the server is, and what is true of the agent now. Here:
//! the client itself, its server and its uid.

pub(super) mod exchange;
pub(super) mod report;
pub(super) mod way;

use std::{ffi::c_char, ptr, sync::Arc};

use super::{
    calls, convert,
    error::opamp_error,
    guard,
    guard::{Handle, Life},
    status::{Outcome, Refusal, opamp_status},
};
use crate::agent::{Client, Reason};

/// Who the agent is, where the server is, how to get there, and what is true of the agent now.
/// Reference counted; it has no thread and no socket. Connection settings are fixed while an agent
/// runs on it, headers excepted; what is true of the agent may be set at any time, from any thread
/// and any callback. One agent at a time runs on a client.
pub struct opamp_client {
    life: Life,
    pub(super) client: Arc<Client>,
}

impl Handle for opamp_client {
    fn life(&self) -> &Life {
        &self.life
    }
}

unsafe fn call(
    row: &calls::Call,
    client: *const opamp_client,
    err: *mut *mut opamp_error,
    body: impl FnOnce(&Client) -> Outcome,
) -> opamp_status {
    guard::call(row, client, err, |client| body(&client.client))
}

/// Makes a client for a server: `http://host[:port][/path][?query]`, `https://..`, `ws://..` or
/// `wss://..`, used as given, nothing added; or one behind a unix socket,
/// `http+unix://%2Frun%2Fopamp.sock/path` or `ws+unix://..`: the socket's absolute path, of at most
/// 107 bytes and percent-encoded, stands in the place of the host (requests then name the host
/// `localhost`, and go through no proxy). The scheme alone selects the transport: HTTP polls,
/// WebSocket keeps one connection on which the server speaks when it likes; nothing else that a
/// host calls or hears is different. endpoint: copied. out: the new client, one reference, yours to
/// opamp_client_unref. err: may be NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no URL, a scheme of
/// another world, no host, user info in it, a bad path of a socket), OPAMP_E_RESOURCE. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_new(
    endpoint: *const c_char,
    out: *mut *mut opamp_client,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::open(&calls::CLIENT_NEW, err, || {
        convert::wanted(out)?;
        let client = Client::new(convert::text(endpoint, "endpoint")?)?;
        let handle = Arc::new(opamp_client {
            life: Life::new(),
            client,
        });
        convert::put(out, Arc::into_raw(handle).cast_mut());
        Ok(())
    })
}

/// Adds a reference and answers the same client; NULL: NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. In a forked child: NULL. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_ref(client: *mut opamp_client) -> *mut opamp_client {
    guard::read(&calls::CLIENT_REF, client, ptr::null_mut(), |_| {
        Arc::increment_strong_count(client.cast_const());
        client
    })
}

/// Gives a reference back; the last one frees the client. An agent holds one of its own, so the
/// order of frees does not matter.
///
/// Threads: any. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_unref(client: *mut opamp_client) {
    guard::release(&calls::CLIENT_UNREF, client, |client| {
        drop(Arc::from_raw(client))
    });
}

/// Sets another server, as in opamp_client_new. endpoint: copied.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: as opamp_client_new, and
/// OPAMP_E_STATE while an agent runs; nothing changes then. TLS settings on a http endpoint are
/// refused here or by their setter, whichever comes second. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_endpoint(
    client: *mut opamp_client,
    endpoint: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_ENDPOINT, client, err, |client| {
        Ok(client.set_endpoint(convert::text(endpoint, "endpoint")?)?)
    })
}

/// Sets the instance uid: 16 bytes, not all zero, usually a UUID. Without it the library makes a
/// version 7 one. uid: copied. A host that wants to be the same agent after a restart keeps the uid
/// itself (see opamp_client_instance_uid and on_new_instance_uid) and sets it here. It keeps the
/// last remote config status, too, and reports it before start
/// (opamp_client_set_remote_config_status), or UNSET: a server remembers the one of the earlier
/// run, and offers what it speaks of no more.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG,
/// OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_instance_uid(
    client: *mut opamp_client,
    uid: *const u8,
    len: usize,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_INSTANCE_UID, client, err, |client| {
        Ok(client.set_instance_uid(convert::bytes(uid, len, "instance uid")?)?)
    })
}

/// Writes the present instance uid to `uid`, which has room for `len` = 16 bytes. The server may
/// have assigned another one since (on_new_instance_uid).
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG for NULL or another
/// length. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_instance_uid(
    client: *const opamp_client,
    uid: *mut u8,
    len: usize,
) -> opamp_status {
    call(
        &calls::CLIENT_INSTANCE_UID,
        client,
        ptr::null_mut(),
        |client| {
            convert::wanted(uid)?;
            if len != 16 {
                return Err(Refusal::argument("instance uid must be 16 bytes long")
                    .because(Reason::OutOfRange));
            }
            uid.cast::<[u8; 16]>()
                .write_unaligned(client.instance_uid());
            Ok(())
        },
    )
}

/// Asks the server (1) or no longer (0) to assign an instance uid; until it has, the present one
/// counts as temporary.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_STATE for 0 while an agent runs.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_request_instance_uid(
    client: *mut opamp_client,
    on: i32,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_REQUEST_INSTANCE_UID, client, err, |client| {
        Ok(client.request_instance_uid(on != 0)?)
    })
}
