//! The C boundary: what a host hands over, and calls in any order from several threads, with forks
//! in between.
#![allow(unsafe_code)] // as from C

use std::ffi::{CString, c_char};
use std::ptr::{null, null_mut};
use std::thread;

use opamp::c::*;

/// Nobody listens there.
const NOWHERE: &std::ffi::CStr = c"http+unix://%2Fnonexistent%2Fsocket/v1/opamp";
const SNIPPETS: usize = 64;

/// Texts, messages and maps, in every setter that takes them.
pub(crate) fn host(input: &[u8]) {
    let (first, rest) = input.split_at(input.len() / 2);
    let text = CString::new(first.split(|b| *b == 0).next().unwrap_or_default()).unwrap();
    let other = CString::new(rest.split(|b| *b == 0).next().unwrap_or_default()).unwrap();
    let (text, other) = (text.as_ptr(), other.as_ptr());
    // SAFETY: what the manual at the top of the header asks for.
    unsafe {
        let (mut client, mut map, mut err) = (null_mut(), null_mut(), null_mut());
        assert_eq!(
            opamp_client_new(NOWHERE.as_ptr(), &mut client, null_mut()),
            0
        );
        if opamp_config_map_decode(input.as_ptr(), input.len(), &mut map, &mut err) == 0 {
            read_map(map);
            opamp_client_set_effective_config(client, map, null_mut());
        } else {
            let told = std::ffi::CStr::from_ptr(opamp_error_text(err));
            crate::parsers::check_words(told.to_str().unwrap());
            opamp_error_free(err);
            assert_eq!(opamp_config_map_new(&mut map), 0);
        }
        let (name, body) = (first.as_ptr().cast::<c_char>(), rest.as_ptr());
        opamp_config_map_add(map, name, first.len(), other, body, rest.len(), null_mut());
        read_map(map);
        opamp_config_map_unref(map);
        for call in [
            opamp_client_set_endpoint,
            opamp_client_set_proxy,
            opamp_client_allow_redirect_to,
            opamp_client_set_user_agent_prefix,
        ] {
            call(client, text, null_mut());
        }
        opamp_client_set_header(client, text, other, null_mut());
        opamp_client_set_proxy_header(client, text, other, null_mut());
        opamp_client_set_ca_pem(client, first.as_ptr(), first.len(), null_mut());
        opamp_client_set_instance_uid(client, first.as_ptr(), first.len(), null_mut());
        attributes(client, input, text, other);
        opamp_client_unref(client);
        message(input);
    }
}

/// One exchange with nobody: the message is judged before.
unsafe fn message(input: &[u8]) {
    let (mut client, mut answer, mut err) = (null_mut(), null_mut(), null_mut());
    assert_eq!(
        unsafe { opamp_client_new(NOWHERE.as_ptr(), &mut client, null_mut()) },
        0
    );
    let (data, len) = (input.as_ptr(), input.len());
    let status = unsafe { opamp_client_exchange(client, data, len, 1000, &mut answer, &mut err) };
    assert_ne!(status, 0);
    unsafe {
        opamp_error_free(err);
        opamp_client_unref(client);
    }
}

unsafe fn read_map(map: *const opamp_config_map) {
    let empty = || opamp_slice {
        data: null(),
        len: 0,
    };
    for index in 0..unsafe { opamp_config_map_len(map) } + 1 {
        let (mut name, mut kind, mut body) = (empty(), empty(), empty());
        let status = unsafe { opamp_config_map_at(map, index, &mut name, &mut kind, &mut body) };
        if status == 0 {
            let bytes = [name, kind, body].map(|slice| {
                // SAFETY: borrowed from the map, never NULL.
                let bytes = unsafe { std::slice::from_raw_parts(slice.data, slice.len) };
                bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte))
            });
            std::hint::black_box(bytes);
        }
    }
}

unsafe fn attributes(
    client: *mut opamp_client,
    input: &[u8],
    text: *const c_char,
    other: *const c_char,
) {
    let (mut all, mut list) = (null_mut(), null_mut());
    unsafe {
        assert_eq!(opamp_attributes_new(&mut all), 0);
        assert_eq!(opamp_array_new(&mut list), 0);
        for (n, byte) in input.iter().take(SNIPPETS).enumerate() {
            let (key, bytes) = ([text, other][usize::from(byte & 1)], &input[n..]);
            match byte >> 1 & 7 {
                0 => opamp_attributes_set_string(all, key, other, null_mut()),
                1 => opamp_attributes_set_bytes(all, key, bytes.as_ptr(), bytes.len(), null_mut()),
                2 => opamp_attributes_set_array(all, key, list, null_mut()),
                3 => opamp_attributes_set_map(all, key, all, null_mut()),
                4 => opamp_array_add_string(list, key, null_mut()),
                5 => opamp_array_add_array(list, list, null_mut()),
                6 => opamp_array_add_map(list, all, null_mut()),
                _ => opamp_attributes_set_double(all, key, f64::from(*byte), null_mut()),
            };
            // Doubled each time, it is soon larger than any memory.
            if n % 8 == 7 {
                opamp_attributes_free(all);
                opamp_array_free(list);
                opamp_attributes_new(&mut all);
                opamp_array_new(&mut list);
            }
        }
        opamp_client_set_description(client, all, null(), null_mut());
        opamp_attributes_free(all);
        opamp_array_free(list);
    }
}

/// A pointer that goes to another thread: what it points to is made for that.
#[derive(Clone, Copy)]
struct Shared(*mut opamp_client, *mut opamp_agent);

// SAFETY: the header says of each call made here that any thread may make it.
unsafe impl Send for Shared {}

/// One client and one agent; each byte is a call, made by one of three threads.
pub(crate) fn calls(input: &[u8]) {
    // SAFETY: what the manual at the top of the header asks for; each object outlives its calls.
    unsafe {
        let mut client = null_mut();
        assert_eq!(
            opamp_client_new(NOWHERE.as_ptr(), &mut client, null_mut()),
            0
        );
        let mut all = null_mut();
        opamp_attributes_new(&mut all);
        opamp_attributes_set_string(all, c"service.name".as_ptr(), c"fuzz".as_ptr(), null_mut());
        assert_eq!(
            opamp_client_set_description(client, all, null(), null_mut()),
            0
        );
        opamp_attributes_free(all);
        let mut agent = null_mut();
        let made = opamp_agent_new(client, null(), null_mut(), None, &mut agent, null_mut());
        assert_eq!(made, 0);
        opamp_agent_set_delivery(agent, 1, null_mut());
        let shared = Shared(client, agent);
        let input = &input[..input.len().min(200)];
        let threads = [0, 1, 2].map(|which| {
            let own: Vec<u8> = input.iter().skip(which).step_by(3).copied().collect();
            thread::spawn(move || {
                let shared = shared;
                own.iter()
                    .enumerate()
                    .for_each(|(n, byte)| call(shared, *byte, &own[n..]));
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(
            opamp_agent_stop(agent, -1),
            0,
            "the stop of an idle or a running agent"
        );
        opamp_agent_free(agent);
        opamp_client_unref(client);
    }
}

unsafe fn call(Shared(client, agent): Shared, byte: u8, rest: &[u8]) {
    let (none, data, len) = (null_mut(), rest.as_ptr(), rest.len());
    unsafe {
        let _any = match byte % 20 {
            0 | 1 => opamp_agent_start(agent, none),
            2 => opamp_agent_stop(agent, i64::from(byte) - 100),
            3 => opamp_agent_request_stop(agent),
            4 => opamp_agent_poll_now(agent),
            5 => opamp_agent_report_full_state(agent),
            6 => opamp_agent_reconnect(agent),
            7 => opamp_agent_flush(agent, 1, none),
            8 => opamp_agent_send(agent, data, len, 1, null_mut(), none),
            9 => opamp_agent_dispatch(agent, 0, null_mut()),
            10 => next_event(agent),
            11 => snapshot(agent),
            12 => {
                let interval = u64::from(byte) * 1000;
                opamp_agent_set_heartbeat_interval(agent, interval, none)
            }
            13 => opamp_client_set_instance_uid(client, data, len.min(16), none),
            14 => opamp_client_set_capabilities(client, u64::from(byte) << 6 | 1, none),
            15 => {
                let (header, value) = (c"X-Key".as_ptr(), c"a value".as_ptr());
                opamp_client_set_header(client, header, value, none)
            }
            16 => {
                let state = i32::from(byte & 3);
                opamp_client_set_remote_config_status(
                    client,
                    data,
                    len,
                    state,
                    data.cast(),
                    len,
                    none,
                )
            }
            17 => opamp_client_set_option(client, i32::from(byte), len as u64, none),
            18 => {
                opamp_client_unref(opamp_client_ref(client));
                0
            }
            // A fork costs as much as many calls.
            _ if byte >= 200 => fork(Shared(client, agent)),
            _ => opamp_agent_request_stop(agent),
        };
    }
}

unsafe fn next_event(agent: *mut opamp_agent) -> i32 {
    let mut event = null_mut();
    unsafe {
        if opamp_agent_next_event(agent, 0, &mut event) == 0 {
            let error = opamp_event_error(event);
            std::hint::black_box(opamp_error_text(error));
            opamp_event_free(event);
        }
    }
    0
}

unsafe fn snapshot(agent: *const opamp_agent) -> i32 {
    let mut snapshot = null_mut();
    unsafe {
        if opamp_agent_snapshot(agent, &mut snapshot) == 0 {
            std::hint::black_box(opamp_snapshot_json(snapshot));
            opamp_snapshot_free(snapshot);
        }
    }
    0
}

/// A child whose handles are refused, and which can end as it likes.
unsafe fn fork(Shared(client, agent): Shared) -> i32 {
    // SAFETY: the child calls nothing but the library, then ends without destructors.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            // A child that hangs ends, too: by its own alarm, which is a find of the parent's.
            libc::alarm(30);
            const FORKED: i32 = -4;
            let refusals = [
                opamp_agent_start(agent, null_mut()),
                opamp_agent_stop(agent, -1),
                opamp_agent_poll_now(agent),
                opamp_client_set_capabilities(client, 1, null_mut()),
            ];
            opamp_agent_free(agent);
            opamp_client_unref(client);
            libc::_exit(i32::from(refusals != [FORKED; 4]));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        assert_eq!(status, 0, "a forked child ended otherwise");
        status
    }
}
