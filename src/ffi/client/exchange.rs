//! One exchange without an agent, and the numbers that it and an agent go by.

use std::ptr;

use super::{
    super::{
        calls, convert,
        error::opamp_error,
        message::{self, opamp_message},
        status::opamp_status,
    },
    call, opamp_client,
};

/// Sets one of the numbers of `enum opamp_option`; their defaults and ranges stand in the table at
/// the top.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no such
/// option, or out of its range), OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_option(
    client: *mut opamp_client,
    option: i32,
    value: u64,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_OPTION, client, err, |client| {
        Ok(client.set_option(option, value)?)
    })
}

/// The present value of one of `enum opamp_option`.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no such option). Since:
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_option(
    client: *const opamp_client,
    option: i32,
    out: *mut u64,
) -> opamp_status {
    call(&calls::CLIENT_OPTION, client, ptr::null_mut(), |client| {
        convert::put(out, client.option(option)?);
        Ok(())
    })
}

/// One exchange, here and now, on a connection of its own: sends an encoded AgentToServer (its uid,
/// number and capabilities are replaced by the client's) and answers what the server said.
/// agent_to_server: copied. out: the answer, yours to opamp_message_unref; NULL: not wanted.
/// timeout_ms: -1 for no bound but the client's own. Over WebSocket a message has no answer of its
/// own, and a connection made for one message would show the server an agent that comes and goes:
/// run an agent there, or give the client an HTTP endpoint.
///
/// Threads: any. Callbacks: not while an agent runs on the client, see errors. Blocks: until the
/// answer or the bound. Errors: OPAMP_E_INVALID_ARG (undecodable, a time below -1, trust files, no
/// usable proxy in the environment), OPAMP_E_STATE (an agent runs, or the client uses the host's
/// transport), OPAMP_E_UNSUPPORTED (a WebSocket endpoint), OPAMP_E_TIMEOUT, OPAMP_E_FAILED (err
/// tells what went wrong on the way), OPAMP_E_TOO_LARGE, OPAMP_E_RESOURCE. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_exchange(
    client: *mut opamp_client,
    agent_to_server: *const u8,
    len: usize,
    timeout_ms: i64,
    out: *mut *mut opamp_message,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_EXCHANGE, client, err, |client| {
        let bytes = convert::bytes(agent_to_server, len, "message")?;
        let answer = client.exchange(bytes, convert::timeout(timeout_ms)?)?;
        if !out.is_null() {
            out.write(message::give(answer));
        }
        Ok(())
    })
}
