//! `opamp_message`: what the server sent.

use std::{ptr, sync::Arc};

use super::{
    calls,
    config_map::opamp_config_map,
    convert,
    convert::opamp_slice,
    guard,
    guard::{Handle, Life},
};
use crate::agent::Message;

/// What a ServerToAgent asks the host to act on. Borrowed in on_message or from its event, kept
/// with opamp_message_ref; it may outlive client and agent. Immutable; any thread may read it.
pub struct opamp_message {
    life: Life,
    message: Message,
    remote_config: Option<Arc<opamp_config_map>>,
}

impl Handle for opamp_message {
    fn life(&self) -> &Life {
        &self.life
    }
}

impl opamp_message {
    pub(super) fn new(message: Message) -> Arc<Self> {
        let remote_config = message
            .remote_config()
            .map(|(map, _)| opamp_config_map::received(map.clone()));
        Arc::new(Self {
            life: Life::new(),
            message,
            remote_config,
        })
    }
}

/// A message for an out parameter, with one reference.
pub(super) fn give(message: Message) -> *mut opamp_message {
    Arc::into_raw(opamp_message::new(message)).cast_mut()
}

/// What the message brought that passed the filters (declared capabilities, unchanged offers): bits
/// of `enum opamp_message_part`. NULL: 0.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_message_parts(message: *const opamp_message) -> u64 {
    guard::read(&calls::MESSAGE_PARTS, message, 0, |message| {
        message.message.parts()
    })
}

/// The offered configuration, borrowed from the message (keep it with opamp_config_map_ref); NULL:
/// none is offered. A map without files is an offer too: it withdraws all. hash: names the offer in
/// opamp_client_set_remote_config_status, borrowed from the message; may be NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_message_remote_config(
    message: *const opamp_message,
    hash: *mut opamp_slice,
) -> *const opamp_config_map {
    guard::read(
        &calls::MESSAGE_REMOTE_CONFIG,
        message,
        ptr::null(),
        |message| match (message.message.remote_config(), &message.remote_config) {
            (Some((_, its_hash)), Some(map)) => {
                convert::put(hash, opamp_slice::of(its_hash));
                Arc::as_ptr(map)
            }
            _ => ptr::null(),
        },
    )
}

/// What the message asked of the library: bits of `enum opamp_message_flag`, unknown ones included.
/// NULL: 0.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_message_flags(message: *const opamp_message) -> u64 {
    guard::read(&calls::MESSAGE_FLAGS, message, 0, |message| {
        message.message.flags()
    })
}

/// What the server can do as this message said it: bits of `enum opamp_server_capability`; 0: it
/// did not say. NULL: 0.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_message_server_capabilities(message: *const opamp_message) -> u64 {
    guard::read(&calls::MESSAGE_SERVER_CAPABILITIES, message, 0, |message| {
        message.message.server_capabilities()
    })
}

/// The whole ServerToAgent as it came, for hosts with a protobuf library: borrowed from the
/// message. Not filtered. NULL message: an empty slice.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_message_bytes(message: *const opamp_message, out: *mut opamp_slice) {
    let empty = opamp_slice::of(&[]);
    let bytes = guard::read(&calls::MESSAGE_BYTES, message, empty, |message| {
        opamp_slice::of(message.message.bytes())
    });
    convert::put(out, bytes);
}

/// Adds a reference and answers the same message, which so outlives its callback or event; NULL:
/// NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_message_ref(message: *const opamp_message) -> *mut opamp_message {
    guard::read(&calls::MESSAGE_REF, message, ptr::null_mut(), |_| {
        Arc::increment_strong_count(message);
        message.cast_mut()
    })
}

/// Gives a reference back; the last one frees the message.
///
/// Threads: any. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_message_unref(message: *mut opamp_message) {
    guard::release(&calls::MESSAGE_UNREF, message, |message| {
        drop(Arc::from_raw(message))
    });
}
