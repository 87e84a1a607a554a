//! Walks the table of calls and makes each one live: inside a callback, after stop, in a forked
//! child, with NULL. [LIFE-02] [LIFE-05] [LIFE-06]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
#![allow(clippy::unit_arg)] // `done` is the answer of what answers nothing

use std::{
    collections::BTreeSet,
    ffi::{c_char, c_int, c_void},
    ptr::{null, null_mut},
    sync::atomic::{AtomicU32, Ordering},
};

use super::{
    agent::*,
    array::*,
    attributes::*,
    callbacks::*,
    calls::{Call, Callback, Child, Null, Poisoned, Stopped, TABLE},
    client::{exchange::*, report::*, way::*, *},
    config_map::*,
    error::*,
    event::*,
    guard::PLANTED,
    log::*,
    message::*,
    request::*,
    snapshot::*,
    status::*,
    version::*,
};
use crate::agent::{Code, Error, Event, EventKind, Kind, Message, event::Content};

/// One of each kind of handle; all NULL in the NULL scene.
struct Scene {
    client: *mut opamp_client,
    agent: *mut opamp_agent,
    attributes: *mut opamp_attributes,
    array: *mut opamp_array,
    map: *mut opamp_config_map,
    error: *mut opamp_error,
    event: *mut opamp_event,
    message: *mut opamp_message,
    request: *mut opamp_request,
    snapshot: *mut opamp_snapshot,
}

/// What a call answered.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Answer {
    Status(i32),
    /// A value: is it something?
    Value(bool),
    Nothing,
}

use Answer::Nothing;

fn status(status: opamp_status) -> Answer {
    Answer::Status(status)
}

fn number(value: u64) -> Answer {
    Answer::Value(value != 0)
}

fn pointer<T>(value: *const T) -> Answer {
    Answer::Value(!value.is_null())
}

fn done(_: ()) -> Answer {
    Nothing
}

impl Scene {
    const NULL: Self = Self {
        client: null_mut(),
        agent: null_mut(),
        attributes: null_mut(),
        array: null_mut(),
        map: null_mut(),
        error: null_mut(),
        event: null_mut(),
        message: null_mut(),
        request: null_mut(),
        snapshot: null_mut(),
    };

    /// Everything but agent and request, for a client with the host's transport.
    unsafe fn new() -> Self {
        let mut scene = Self::NULL;
        let uri = c"http://127.0.0.1:9/v1/opamp".as_ptr();
        assert_eq!(opamp_client_new(uri, &mut scene.client, null_mut()), 0);
        assert_eq!(opamp_attributes_new(&mut scene.attributes), 0);
        let (key, value) = (c"service.name".as_ptr(), c"test".as_ptr());
        assert_eq!(
            opamp_attributes_set_string(scene.attributes, key, value, null_mut()),
            0
        );
        assert_eq!(opamp_array_new(&mut scene.array), 0);
        assert_eq!(opamp_config_map_new(&mut scene.map), 0);
        assert_eq!(
            opamp_client_set_description(scene.client, scene.attributes, null(), null_mut()),
            0
        );
        assert_eq!(
            opamp_client_use_custom_transport(scene.client, 1, null_mut()),
            0
        );
        let refused = opamp_client_set_option(scene.client, 0, 0, &mut scene.error);
        assert!(refused < 0 && !scene.error.is_null());
        let message = Message::new(Content {
            parts: 1,
            remote_config: None,
            flags: 1,
            server_capabilities: 1,
            bytes: bytes::Bytes::from_static(b"x"),
        });
        scene.message = super::message::give(message.clone());
        let event = Event {
            kind: EventKind::Message(message),
            missed: 3,
        };
        scene.event = Box::into_raw(Box::new(opamp_event::new(event)));
        scene
    }

    unsafe fn free(self) {
        opamp_snapshot_free(self.snapshot);
        opamp_request_unref(self.request);
        opamp_message_unref(self.message);
        opamp_event_free(self.event);
        opamp_error_free(self.error);
        opamp_config_map_unref(self.map);
        opamp_array_free(self.array);
        opamp_attributes_free(self.attributes);
        opamp_agent_free(self.agent);
        opamp_client_unref(self.client);
    }

    fn is_null(&self) -> bool {
        self.client.is_null()
    }
}

/// One call of that function; `None`: nobody wrote one.
#[rustfmt::skip]
unsafe fn live(name: &str, s: &Scene) -> Option<Answer> {
    let key: *const c_char = if s.is_null() { null() } else { c"key".as_ptr() };
    let (client, agent, attributes, array, map) = (s.client, s.agent, s.attributes, s.array, s.map);
    let mut u = 0u64;
    let out: *mut u64 = &mut u;
    let uid = [7u8; 16];
    Some(match name {
        "opamp_version" => pointer(opamp_version()),
        "opamp_status_name" => pointer(opamp_status_name(-1)),
        "opamp_error_kind_name" => pointer(opamp_error_kind_name(1)),
        "opamp_error_reason_name" => pointer(opamp_error_reason_name(1)),
        "opamp_event_kind_name" => pointer(opamp_event_kind_name(1)),
        "opamp_set_log_callback" => status(opamp_set_log_callback(0, None, null_mut())),

        "opamp_client_new" => {
            let mut new = null_mut();
            let answer = opamp_client_new(c"http://127.0.0.1:9/".as_ptr(), if s.is_null() { null_mut() } else { &mut new }, null_mut());
            opamp_client_unref(new);
            status(answer)
        }
        "opamp_client_ref" => pointer(opamp_client_ref(client)),
        "opamp_client_unref" => done(opamp_client_unref(opamp_client_ref(client))),
        "opamp_client_set_endpoint" => status(opamp_client_set_endpoint(client, c"http://127.0.0.1:9/".as_ptr(), null_mut())),
        "opamp_client_set_instance_uid" => status(opamp_client_set_instance_uid(client, uid.as_ptr(), 16, null_mut())),
        "opamp_client_instance_uid" => status(opamp_client_instance_uid(client, [0u8; 16].as_mut_ptr(), 16)),
        "opamp_client_request_instance_uid" => status(opamp_client_request_instance_uid(client, 1, null_mut())),
        "opamp_client_set_header" => status(opamp_client_set_header(client, c"X-A".as_ptr(), c"b".as_ptr(), null_mut())),
        "opamp_client_set_user_agent_prefix" => status(opamp_client_set_user_agent_prefix(client, c"a/1".as_ptr(), null_mut())),
        "opamp_client_use_custom_transport" => status(opamp_client_use_custom_transport(client, 0, null_mut())),
        "opamp_client_set_proxy" => status(opamp_client_set_proxy(client, null(), null_mut())),
        "opamp_client_set_proxy_header" => status(opamp_client_set_proxy_header(client, c"X-A".as_ptr(), c"b".as_ptr(), null_mut())),
        "opamp_client_use_proxy_environment" => status(opamp_client_use_proxy_environment(client, 1, null_mut())),
        "opamp_client_allow_redirect_to" => status(opamp_client_allow_redirect_to(client, c"https://127.0.0.1:9".as_ptr(), null_mut())),
        "opamp_client_set_ca_file" => status(opamp_client_set_ca_file(client, null(), null_mut())),
        "opamp_client_set_ca_dir" => status(opamp_client_set_ca_dir(client, null(), null_mut())),
        "opamp_client_set_ca_pem" => status(opamp_client_set_ca_pem(client, null(), 0, null_mut())),
        "opamp_client_set_client_certificate_files" => status(opamp_client_set_client_certificate_files(client, null(), null(), null_mut())),
        "opamp_client_set_client_certificate_pem" => status(opamp_client_set_client_certificate_pem(client, null(), 0, null(), 0, null_mut())),
        "opamp_client_set_insecure_skip_verify" => status(opamp_client_set_insecure_skip_verify(client, 0, null_mut())),
        "opamp_client_set_capabilities" => status(opamp_client_set_capabilities(client, 8193, null_mut())),
        "opamp_client_capabilities" => status(opamp_client_capabilities(client, out)),
        "opamp_client_set_description" => status(opamp_client_set_description(client, attributes, null(), null_mut())),
        "opamp_client_set_effective_config" => status(opamp_client_set_effective_config(client, map, null_mut())),
        "opamp_client_set_remote_config_status" => status(opamp_client_set_remote_config_status(client, uid.as_ptr(), 16, 1, null(), 0, null_mut())),
        "opamp_client_set_option" => status(opamp_client_set_option(client, 9, 100, null_mut())),
        "opamp_client_option" => status(opamp_client_option(client, 9, out)),
        "opamp_client_exchange" => status(opamp_client_exchange(client, null(), 0, 1_000, null_mut(), null_mut())),

        "opamp_attributes_new" => {
            let mut new = null_mut();
            let answer = opamp_attributes_new(if s.is_null() { null_mut() } else { &mut new });
            opamp_attributes_free(new);
            status(answer)
        }
        "opamp_attributes_free" => done(opamp_attributes_free(if s.is_null() { null_mut() } else { fresh(|new| opamp_attributes_new(new)) })),
        "opamp_attributes_set_string" => status(opamp_attributes_set_string(attributes, key, key, null_mut())),
        "opamp_attributes_set_bool" => status(opamp_attributes_set_bool(attributes, key, 1, null_mut())),
        "opamp_attributes_set_int" => status(opamp_attributes_set_int(attributes, key, 1, null_mut())),
        "opamp_attributes_set_double" => status(opamp_attributes_set_double(attributes, key, 1.0, null_mut())),
        "opamp_attributes_set_bytes" => status(opamp_attributes_set_bytes(attributes, key, null(), 0, null_mut())),
        "opamp_attributes_set_empty" => status(opamp_attributes_set_empty(attributes, key, null_mut())),
        "opamp_attributes_set_array" => status(opamp_attributes_set_array(attributes, key, array, null_mut())),
        "opamp_attributes_set_map" => status(opamp_attributes_set_map(attributes, key, attributes, null_mut())),
        "opamp_array_new" => {
            let mut new = null_mut();
            let answer = opamp_array_new(if s.is_null() { null_mut() } else { &mut new });
            opamp_array_free(new);
            status(answer)
        }
        "opamp_array_free" => done(opamp_array_free(if s.is_null() { null_mut() } else { fresh(|new| opamp_array_new(new)) })),
        "opamp_array_add_string" => status(opamp_array_add_string(array, key, null_mut())),
        "opamp_array_add_bool" => status(opamp_array_add_bool(array, 1, null_mut())),
        "opamp_array_add_int" => status(opamp_array_add_int(array, 1, null_mut())),
        "opamp_array_add_double" => status(opamp_array_add_double(array, 1.0, null_mut())),
        "opamp_array_add_bytes" => status(opamp_array_add_bytes(array, null(), 0, null_mut())),
        "opamp_array_add_empty" => status(opamp_array_add_empty(array, null_mut())),
        "opamp_array_add_array" => status(opamp_array_add_array(array, array, null_mut())),
        "opamp_array_add_map" => status(opamp_array_add_map(array, attributes, null_mut())),

        "opamp_config_map_new" => {
            let mut new = null_mut();
            let answer = opamp_config_map_new(if s.is_null() { null_mut() } else { &mut new });
            opamp_config_map_unref(new);
            status(answer)
        }
        "opamp_config_map_decode" => {
            let mut new = null_mut();
            let answer = opamp_config_map_decode(null(), 0, if s.is_null() { null_mut() } else { &mut new }, null_mut());
            opamp_config_map_unref(new);
            status(answer)
        }
        "opamp_config_map_add" => {
            let own = if s.is_null() { null_mut() } else { fresh(|new| opamp_config_map_new(new)) };
            let answer = opamp_config_map_add(own, null(), 0, null(), null(), 0, null_mut());
            opamp_config_map_unref(own);
            status(answer)
        }
        "opamp_config_map_ref" => pointer(opamp_config_map_ref(map)),
        "opamp_config_map_unref" => done(opamp_config_map_unref(opamp_config_map_ref(map))),
        "opamp_config_map_len" => number(opamp_config_map_len(map) as u64),
        "opamp_config_map_at" => status(opamp_config_map_at(map, 0, null_mut(), null_mut(), null_mut())),
        "opamp_config_map_get" => status(opamp_config_map_get(map, null(), 0, null_mut(), null_mut())),

        "opamp_error_code" => status(opamp_error_code(s.error)),
        "opamp_error_kind" => number(opamp_error_kind(s.error) as u64),
        "opamp_error_reason" => number(opamp_error_reason(s.error) as u64),
        "opamp_error_capabilities" => number(opamp_error_capabilities(s.error)),
        "opamp_error_server_type" => status(opamp_error_server_type(s.error, null_mut())),
        "opamp_error_server_message" => pointer(opamp_error_server_message(s.error)),
        "opamp_error_http_status" => number(opamp_error_http_status(s.error) as u64),
        "opamp_error_text" => pointer(opamp_error_text(s.error)),
        "opamp_error_retry_in_ms" => status(opamp_error_retry_in_ms(s.error, out)),
        "opamp_error_ref" => {
            let same = opamp_error_ref(s.error);
            opamp_error_free(same);
            pointer(same)
        }
        "opamp_error_free" => done(opamp_error_free(if s.is_null() { null_mut() } else { an_error() })),
        "opamp_callbacks_init" => {
            let mut callbacks = std::mem::zeroed::<opamp_callbacks>();
            status(opamp_callbacks_init(if s.is_null() { null_mut() } else { &mut callbacks }, size_of::<opamp_callbacks>()))
        }

        "opamp_agent_new" => {
            let mut new = null_mut();
            let answer = opamp_agent_new(client, null(), null_mut(), None, if s.is_null() { null_mut() } else { &mut new }, null_mut());
            opamp_agent_free(new);
            status(answer)
        }
        "opamp_agent_free" => done(opamp_agent_free(agent)),
        "opamp_agent_set_delivery" => status(opamp_agent_set_delivery(agent, 1, null_mut())),
        "opamp_agent_set_name" => status(opamp_agent_set_name(agent, null(), null_mut())),
        "opamp_agent_set_log_events" => status(opamp_agent_set_log_events(agent, 0, null_mut())),
        "opamp_agent_set_heartbeat_interval" => status(opamp_agent_set_heartbeat_interval(agent, 30_000, null_mut())),
        "opamp_agent_start" => status(opamp_agent_start(agent, null_mut())),
        "opamp_agent_request_stop" => status(opamp_agent_request_stop(agent)),
        "opamp_agent_stop" => status(opamp_agent_stop(agent, 10_000)),
        "opamp_agent_detach" => status(opamp_agent_detach(agent, 10_000)),
        "opamp_agent_poll_now" => status(opamp_agent_poll_now(agent)),
        "opamp_agent_report_full_state" => status(opamp_agent_report_full_state(agent)),
        "opamp_agent_reconnect" => status(opamp_agent_reconnect(agent)),
        "opamp_agent_flush" => status(opamp_agent_flush(agent, 0, null_mut())),
        "opamp_agent_send" => status(opamp_agent_send(agent, null(), 0, 1, out, null_mut())),
        "opamp_agent_poll_fd" => status(opamp_agent_poll_fd(agent, &mut 0)),
        "opamp_agent_dispatch" => status(opamp_agent_dispatch(agent, 0, null_mut())),
        "opamp_agent_next_event" => {
            let mut event = null_mut();
            let answer = opamp_agent_next_event(agent, 0, &mut event);
            opamp_event_free(event);
            status(answer)
        }
        "opamp_agent_snapshot" => {
            let mut snapshot = null_mut();
            let answer = opamp_agent_snapshot(agent, &mut snapshot);
            opamp_snapshot_free(snapshot);
            status(answer)
        }

        "opamp_event_kind" => number(opamp_event_kind(s.event) as u64),
        "opamp_event_message" => pointer(opamp_event_message(s.event)),
        "opamp_event_error" => pointer(opamp_event_error(s.event)),
        "opamp_event_request" => pointer(opamp_event_request(s.event)),
        "opamp_event_ticket" => status(opamp_event_ticket(s.event, out)),
        "opamp_event_instance_uid" => status(opamp_event_instance_uid(s.event, null_mut())),
        "opamp_event_redirect" => status(opamp_event_redirect(s.event, null_mut(), null_mut(), null_mut())),
        "opamp_event_log" => status(opamp_event_log(s.event, null_mut(), null_mut())),
        "opamp_event_missed" => number(opamp_event_missed(s.event)),
        "opamp_event_free" => done(opamp_event_free(if s.is_null() { null_mut() } else { an_event() })),

        "opamp_message_parts" => number(opamp_message_parts(s.message)),
        "opamp_message_remote_config" => pointer(opamp_message_remote_config(s.message, null_mut())),
        "opamp_message_flags" => number(opamp_message_flags(s.message)),
        "opamp_message_server_capabilities" => number(opamp_message_server_capabilities(s.message)),
        "opamp_message_bytes" => done(opamp_message_bytes(s.message, null_mut())),
        "opamp_message_ref" => pointer(opamp_message_ref(s.message)),
        "opamp_message_unref" => done(opamp_message_unref(opamp_message_ref(s.message))),

        "opamp_request_method" => done(opamp_request_method(s.request, null_mut())),
        "opamp_request_url" => done(opamp_request_url(s.request, null_mut())),
        "opamp_request_header_at" => status(opamp_request_header_at(s.request, 0, null_mut(), null_mut())),
        "opamp_request_body" => done(opamp_request_body(s.request, null_mut())),
        "opamp_request_timeout_ms" => status(opamp_request_timeout_ms(s.request, out)),
        "opamp_request_complete" => status(opamp_request_complete(s.request, 503, null(), 0, null(), 0, null_mut())),
        "opamp_request_fail" => status(opamp_request_fail(s.request, 0, null())),
        "opamp_request_ref" => pointer(opamp_request_ref(s.request)),
        "opamp_request_unref" => done(opamp_request_unref(opamp_request_ref(s.request))),

        "opamp_snapshot_free" => done(opamp_snapshot_free(if s.is_null() { null_mut() } else { fresh(|new| opamp_agent_snapshot(agent, new)) })),
        "opamp_snapshot_number" => status(opamp_snapshot_number(s.snapshot, 1, out)),
        "opamp_snapshot_last_error" => pointer(opamp_snapshot_last_error(s.snapshot)),
        "opamp_snapshot_last_error_context" => pointer(opamp_snapshot_last_error_context(s.snapshot)),
        "opamp_snapshot_json" => pointer(opamp_snapshot_json(s.snapshot)),
        _ => return None,
    })
}

/// An object that the call itself made; NULL where it could not.
fn fresh<T>(make: impl FnOnce(*mut *mut T) -> opamp_status) -> *mut T {
    let mut new = null_mut();
    make(&mut new);
    new
}

fn an_error() -> *mut opamp_error {
    super::error::give(Error::new(Code::State, Kind::Argument, "x").into())
}

fn an_event() -> *mut opamp_event {
    let event = Event {
        kind: EventKind::Connected,
        missed: 0,
    };
    Box::into_raw(Box::new(opamp_event::new(event)))
}

/// What a walk found wrong: one line per row.
fn walk(scene: &Scene, judge: impl Fn(&Call, Answer) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in TABLE.iter().filter(|row| !ENDS.contains(&row.name)) {
        check(row, scene, &judge, &mut wrong);
    }
    wrong
}

/// What ends the agent or the request comes after everything else.
const ENDS: [&str; 6] = [
    "opamp_request_complete",
    "opamp_request_fail",
    "opamp_agent_request_stop",
    "opamp_agent_stop",
    "opamp_agent_detach",
    "opamp_agent_free",
];

fn check(
    row: &Call,
    scene: &Scene,
    judge: impl Fn(&Call, Answer) -> bool,
    wrong: &mut Vec<String>,
) {
    match unsafe { live(row.name, scene) } {
        Some(answer) if judge(row, answer) => {}
        Some(answer) => wrong.push(format!("{}: {answer:?}", row.name)),
        None => wrong.push(format!("{}: nobody calls it", row.name)),
    }
}

const STATE: i32 = OPAMP_E_STATE as i32;

fn is_as_in_a_callback(row: &Call, answer: Answer) -> bool {
    match (row.callback, answer) {
        (Callback::Works, Answer::Status(status)) => {
            ![STATE, OPAMP_E_PANIC as i32, OPAMP_E_FORKED as i32].contains(&status)
        }
        (Callback::Busy, Answer::Status(status)) => status == STATE,
        (Callback::Asks, Answer::Status(status)) => status == OPAMP_E_TIMEOUT as i32,
        (Callback::Works | Callback::Later, _) => true,
        _ => false,
    }
}

fn is_as_after_stop(row: &Call, answer: Answer) -> bool {
    match answer {
        Answer::Status(status) => (status == STATE) == (row.stopped == Stopped::Refused),
        _ => row.stopped == Stopped::Works,
    }
}

fn is_as_in_a_child(row: &Call, answer: Answer) -> bool {
    match (row.child, answer) {
        (Child::Refused, Answer::Status(status)) => status == OPAMP_E_FORKED as i32,
        (Child::Refused, Answer::Value(is_something)) => !is_something,
        (Child::Works, Answer::Status(status)) => status != OPAMP_E_FORKED as i32,
        (_, Nothing) | (Child::Works, Answer::Value(_)) => true,
    }
}

fn is_as_with_null(row: &Call, answer: Answer) -> bool {
    match (row.null, answer) {
        (Null::Refused, answer) => answer == Answer::Status(OPAMP_E_INVALID_ARG as i32),
        (Null::Nothing, Answer::Status(_)) => false,
        (Null::Nothing, answer) => answer != Answer::Value(true),
        (Null::Absent, _) => true,
    }
}

#[test]
fn every_exported_function_has_a_row_and_every_row_a_function() {
    let mut written = BTreeSet::new();
    let mut folders = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/ffi"
    ))];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                &mut folders
            } else {
                &mut files
            }
            .push(path);
        }
    }
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for line in text.lines().filter(|line| line.starts_with("pub ")) {
            if let Some((_, rest)) = line.split_once("extern \"C\" fn ") {
                written.insert(rest.split('(').next().unwrap().to_owned());
            }
        }
    }
    let rows: BTreeSet<_> = TABLE.iter().map(|row| row.name.to_owned()).collect();
    assert_eq!(rows.len(), TABLE.len(), "a row stands twice");
    assert_eq!(rows, written);
}

#[test]
fn with_null_each_call_answers_as_its_row_says() {
    let mut wrong = walk(&Scene::NULL, is_as_with_null);
    for name in ENDS {
        let row = TABLE.iter().find(|row| row.name == name).unwrap();
        check(row, &Scene::NULL, is_as_with_null, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

static CALLED: AtomicU32 = AtomicU32::new(0);

/// Walks all rows inside the callback, those that end something last, and the free of the agent at
/// the very end.
unsafe extern "C" fn walk_inside(
    agent: *mut opamp_agent,
    _: *mut opamp_client,
    request: *mut opamp_request,
    user: *mut c_void,
) {
    if CALLED.fetch_add(1, Ordering::SeqCst) > 0 {
        return;
    }
    let (scene, wrong) = &mut *user.cast::<(Scene, Vec<String>)>();
    scene.agent = agent;
    scene.request = opamp_request_ref(request);
    scene.snapshot = fresh(|new| opamp_agent_snapshot(agent, new));
    *wrong = walk(scene, is_as_in_a_callback);
    for name in ENDS
        .into_iter()
        .filter(|name| *name != "opamp_request_fail")
    {
        let row = TABLE.iter().find(|row| row.name == name).unwrap();
        check(row, scene, is_as_in_a_callback, wrong);
    }
    scene.agent = null_mut(); // it has been freed, as soon as this returns
}

#[test]
fn in_a_callback_each_call_answers_as_its_row_says() {
    unsafe {
        let mut state = (Scene::new(), vec!["no callback came".to_owned()]);
        let mut callbacks = std::mem::zeroed::<opamp_callbacks>();
        assert_eq!(
            opamp_callbacks_init(&mut callbacks, size_of::<opamp_callbacks>()),
            0
        );
        callbacks.on_request = Some(walk_inside);
        let mut agent = null_mut();
        let user = (&raw mut state).cast();
        let client = state.0.client;
        assert_eq!(
            opamp_agent_new(client, &callbacks, user, None, &mut agent, null_mut()),
            0
        );
        assert_eq!(opamp_agent_set_delivery(agent, 1, null_mut()), 0);
        assert_eq!(opamp_agent_start(agent, null_mut()), 0);
        while CALLED.load(Ordering::SeqCst) == 0 {
            assert_eq!(opamp_agent_dispatch(agent, 10_000, null_mut()), 0);
        }
        assert!(state.1.is_empty(), "{:#?}", state.1);
        state.0.free();
    }
}

/// A running agent that was never asked for an event, and a request of it.
unsafe fn running() -> Scene {
    let mut scene = Scene::new();
    assert_eq!(
        opamp_agent_new(
            scene.client,
            null(),
            null_mut(),
            None,
            &mut scene.agent,
            null_mut()
        ),
        0
    );
    assert_eq!(opamp_agent_set_delivery(scene.agent, 1, null_mut()), 0);
    assert_eq!(opamp_agent_start(scene.agent, null_mut()), 0);
    loop {
        let mut event = null_mut();
        assert_eq!(opamp_agent_next_event(scene.agent, 10_000, &mut event), 0);
        scene.request = opamp_request_ref(opamp_event_request(event));
        opamp_event_free(event);
        if !scene.request.is_null() {
            break;
        }
    }
    scene.snapshot = fresh(|new| opamp_agent_snapshot(scene.agent, new));
    scene
}

unsafe fn drain(agent: *mut opamp_agent) {
    let mut event = null_mut();
    while opamp_agent_next_event(agent, 10_000, &mut event) == 0 {
        opamp_event_free(event);
    }
}

#[test]
fn after_stop_each_call_answers_as_its_row_says() {
    unsafe {
        let scene = running();
        assert_eq!(opamp_request_fail(scene.request, 0, null()), 0);
        assert_eq!(opamp_agent_stop(scene.agent, 10_000), 0);
        drain(scene.agent);
        let mut wrong = Vec::new();
        for row in TABLE.iter().filter(|row| row.name != "opamp_agent_free") {
            let is_of_the_request = ENDS[..2].contains(&row.name);
            check(
                row,
                &scene,
                |row, answer| is_of_the_request || is_as_after_stop(row, answer),
                &mut wrong,
            );
            if row.name == "opamp_agent_start" {
                assert_eq!(opamp_agent_stop(scene.agent, 10_000), 0);
                drain(scene.agent);
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        scene.free();
    }
}

#[test]
fn in_a_forked_child_each_call_answers_as_its_row_says() {
    unsafe {
        let scene = running();
        let mut pipe = [0 as c_int; 2];
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            let mut wrong = walk(&scene, is_as_in_a_child);
            for row in TABLE.iter().filter(|row| ENDS.contains(&row.name)) {
                check(row, &scene, is_as_in_a_child, &mut wrong);
            }
            // A free that did something would have taken these away.
            for free in [
                opamp_event_kind(scene.event),
                i32::from(!opamp_error_text(scene.error).is_null()),
            ] {
                if free == 0 {
                    wrong.push("what a fork brought along is unreadable".to_owned());
                }
            }
            let text = wrong.join("\n");
            libc::write(pipe[1], text.as_ptr().cast(), text.len());
            libc::_exit(0);
        }
        libc::close(pipe[1]);
        let mut text = [0u8; 4096];
        let len = libc::read(pipe[0], text.as_mut_ptr().cast(), text.len());
        libc::close(pipe[0]);
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        let text = String::from_utf8_lossy(&text[..len.max(0) as usize]);
        assert_eq!((text.as_ref(), status), ("", 0));
        assert_eq!(opamp_agent_poll_now(scene.agent), 0, "the parent goes on");
        scene.free();
    }
}

fn is_as_in_a_panic(row: &Call, answer: Answer) -> bool {
    match answer {
        Answer::Status(status) => status == OPAMP_E_PANIC as i32,
        // A name is never NULL.
        Answer::Value(is_something) => is_something == (row.null == Null::Absent),
        Nothing => true,
    }
}

fn is_as_when_poisoned(row: &Call, answer: Answer) -> bool {
    match row.poisoned {
        Poisoned::Refused => is_as_in_a_panic(row, answer),
        Poisoned::Works => answer != Answer::Status(OPAMP_E_FORKED as i32),
    }
}

/// A panic in any call is answered, and poisons the handle; everything can be freed, so no lock was
/// left held. [LIFE-06]
#[test]
fn a_panic_in_any_call_is_contained() {
    let mut wrong = Vec::new();
    for row in TABLE {
        unsafe {
            let is_of_a_request = row.name.starts_with("opamp_request_");
            let mut scene = if is_of_a_request {
                running()
            } else {
                Scene::new()
            };
            if !is_of_a_request {
                let (client, agent) = (scene.client, &mut scene.agent);
                assert_eq!(
                    opamp_agent_new(client, null(), null_mut(), None, agent, null_mut()),
                    0
                );
                scene.snapshot = fresh(|new| opamp_agent_snapshot(scene.agent, new));
            }
            PLANTED.set(row.name);
            check(row, &scene, is_as_in_a_panic, &mut wrong);
            PLANTED.set("");
            if row.name == "opamp_agent_free" {
                scene.agent = null_mut(); // gone, as far as the host is concerned
            } else if makes_its_own(row.name) {
                check(
                    row,
                    &scene,
                    |_, answer| answer != Answer::Status(OPAMP_E_PANIC as i32),
                    &mut wrong,
                );
            } else {
                check(row, &scene, is_as_when_poisoned, &mut wrong);
            }
            if is_of_a_request {
                opamp_request_fail(scene.request, 0, null());
            }
            scene.free();
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Rows whose live call works on an object of its own, or on none.
fn makes_its_own(name: &str) -> bool {
    let row = TABLE.iter().find(|row| row.name == name).unwrap();
    row.null == Null::Absent || name == "opamp_config_map_add"
}

#[test]
fn a_poisoned_agent_says_so_until_it_is_freed_but_gives_its_events_up_to_stopped() {
    unsafe {
        let mut scene = running();
        PLANTED.set("opamp_agent_set_heartbeat_interval");
        assert_eq!(
            opamp_agent_set_heartbeat_interval(scene.agent, 1_000, null_mut()),
            OPAMP_E_PANIC as i32
        );
        PLANTED.set("");
        let mut error = null_mut();
        assert_eq!(
            opamp_agent_start(scene.agent, &mut error),
            OPAMP_E_PANIC as i32
        );
        assert_eq!(
            opamp_error_kind(error),
            opamp_error_kind_code::OPAMP_ERROR_BUG as i32
        );
        let text = std::ffi::CStr::from_ptr(opamp_error_text(error))
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            text.contains("opamp_agent_set_heartbeat_interval") && text.contains("planted"),
            "{text}"
        );
        opamp_error_free(error);
        opamp_request_fail(scene.request, 0, null());
        let mut last = 0;
        loop {
            let mut event = null_mut();
            match opamp_agent_next_event(scene.agent, 10_000, &mut event) {
                0 => last = opamp_event_kind(event),
                status => {
                    assert_eq!(status, OPAMP_E_PANIC as i32);
                    break;
                }
            }
            opamp_event_free(event);
        }
        assert_eq!(last, opamp_event_kind_code::OPAMP_EVENT_STOPPED as i32);
        assert_eq!(
            opamp_agent_dispatch(scene.agent, 0, null_mut()),
            OPAMP_E_PANIC as i32
        );
        assert_eq!(
            opamp_client_set_header(scene.client, c"X-A".as_ptr(), null(), null_mut()),
            0
        );
        opamp_agent_free(std::mem::replace(&mut scene.agent, null_mut()));
        scene.free();
    }
}
