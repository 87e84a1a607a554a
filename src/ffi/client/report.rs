//! What the agent does, and what is true of it now.

use std::{ffi::c_char, ptr};

use super::{
    super::{
        attributes::{self, opamp_attributes},
        calls,
        config_map::opamp_config_map,
        convert,
        error::opamp_error,
        status::opamp_status,
    },
    call, opamp_client,
};
use crate::proto;

/// Declares what the agent does: bits of `enum opamp_capability`. Nothing that gives the server
/// power is declared unless it is asked for here. While an agent runs the change is reported, and
/// starts or stops what it governs.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (an undefined bit, no
/// OPAMP_CAPABILITY_REPORTS_STATUS, or while running a capability without the callback it needs),
/// OPAMP_E_UNSUPPORTED (not in this release); nothing changes then. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_capabilities(
    client: *mut opamp_client,
    capabilities: u64,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_CAPABILITIES, client, err, |client| {
        Ok(client.set_capabilities(capabilities)?)
    })
}

/// What is declared now: bits of `enum opamp_capability`.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: the common ones. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_capabilities(
    client: *const opamp_client,
    out: *mut u64,
) -> opamp_status {
    call(
        &calls::CLIENT_CAPABILITIES,
        client,
        ptr::null_mut(),
        |client| {
            convert::put(out, client.capabilities());
            Ok(())
        },
    )
}

/// Sets the agent description; needed before start. Identifying attributes are those that tell it
/// from others (`service.name`, `service.instance.id`, ..). Both are copied and stay yours; each
/// may be NULL, but not both empty.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no attribute of either
/// kind), OPAMP_E_STATE (another thread is inside a builder). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_description(
    client: *mut opamp_client,
    identifying: *const opamp_attributes,
    non_identifying: *const opamp_attributes,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_DESCRIPTION, client, err, |client| {
        Ok(client.set_description(proto::AgentDescription {
            identifying_attributes: attributes::pairs(identifying.as_ref())?,
            non_identifying_attributes: attributes::pairs(non_identifying.as_ref())?,
        })?)
    })
}

/// Sets the configuration that is in force, as it is reported to the server. The map is shared
/// without a copy and frozen by this call; your reference stays yours. The map of an offer may be
/// given as it came.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG for a NULL map,
/// OPAMP_E_CAPABILITY (kept, goes out once OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG is declared).
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_effective_config(
    client: *mut opamp_client,
    config: *const opamp_config_map,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_EFFECTIVE_CONFIG, client, err, |client| {
        Ok(client.set_effective_config(convert::object(config, "map")?.freeze()?)?)
    })
}

/// Gives the verdict on an offered configuration, named by its hash: one of `enum
/// opamp_remote_config_state`. An offer is applied only when the host says so here: APPLYING when
/// it takes time, then APPLIED or FAILED with the reason. hash, error_text: copied; the text goes
/// with FAILED only, (NULL, 0): none. Before the first offer a verdict from the host's own storage
/// may be set. There OPAMP_REMOTE_CONFIG_UNSET, with (NULL, 0) as hash, says that there is none: a
/// server that remembers one of an earlier run under this instance uid then offers again. A verdict
/// leaves at once, whatever the options for changes say, and waits for no answer to an earlier
/// message; only where offers that came before come in turn again and again (two servers that do
/// not agree) it waits up to 30 s.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no hash, but for
/// OPAMP_REMOTE_CONFIG_UNSET, or one with it; an unknown state; a text without FAILED; a hash that
/// is neither the last offer's nor the last reported one), OPAMP_E_CAPABILITY (kept, goes out once
/// OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG is declared). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_remote_config_status(
    client: *mut opamp_client,
    hash: *const u8,
    hash_len: usize,
    state: i32,
    error_text: *const c_char,
    error_text_len: usize,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(
        &calls::CLIENT_SET_REMOTE_CONFIG_STATUS,
        client,
        err,
        |client| {
            let hash = convert::bytes(hash, hash_len, "hash")?;
            let text = convert::bytes(error_text.cast(), error_text_len, "error text")?;
            Ok(client.set_remote_config_status(hash, state, text)?)
        },
    )
}
