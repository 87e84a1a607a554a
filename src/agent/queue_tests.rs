//! What waits for the host, and what of it is kept.

use std::{sync::Arc, thread, time::Duration};

use bytes::Bytes;

use super::*;
use crate::{
    agent::{
        config_map::ConfigMap,
        error::{Code, Error, Kind},
        event::Content,
        log::Level,
    },
    proto::AgentConfigMap,
};

fn open() -> Queue {
    let queue = Queue::default();
    queue.open(1_000);
    queue
}

fn message(text: &'static str, has_offer: bool) -> EventKind {
    let files = || {
        (
            ConfigMap::new(AgentConfigMap::default().into()),
            Bytes::from_static(b"hash"),
        )
    };
    EventKind::Message(Message::new(Content {
        parts: 0,
        remote_config: has_offer.then(files),
        flags: 0,
        server_capabilities: 0,
        bytes: Bytes::from_static(text.as_bytes()),
    }))
}

fn failed(text: &str) -> EventKind {
    EventKind::ConnectFailed(Error::new(Code::Failed, Kind::Io, text))
}

fn hop(number: u32) -> EventKind {
    EventKind::Redirect(crate::transport::Hop {
        from: String::new(),
        to: String::new(),
        status: 307,
        number,
    })
}

/// [HTTP-22]
#[test]
fn each_hop_of_the_running_try_waits_and_stands_for_those_of_earlier_ones() {
    let queue = open();
    for number in [1, 2, 3, 1, 2] {
        queue.push(hop(number));
    }
    let taken = drain(&queue);
    let missed: Vec<u64> = taken.iter().map(|(_, missed, _)| *missed).collect();
    assert_eq!(missed, [3, 0]);
}

fn now() -> Option<Instant> {
    Some(Instant::now())
}

/// Everything that waits, as (kind, missed, text of a message).
fn drain(queue: &Queue) -> Vec<(i32, u64, String)> {
    let mut taken = Vec::new();
    while let Ok(event) = queue.take(now()) {
        let text = match &event.kind {
            EventKind::Message(message) => String::from_utf8_lossy(message.bytes()).into_owned(),
            EventKind::ConnectFailed(error) => error.text.to_string(),
            _ => String::new(),
        };
        taken.push((event.kind.number(), event.missed, text));
    }
    taken
}

#[test]
fn the_newest_of_a_kind_waits_and_tells_how_many_it_replaced() {
    let queue = open();
    for text in ["first", "second", "third"] {
        queue.push(failed(text));
    }
    assert_eq!(
        drain(&queue),
        [(EventKind::CONNECT_FAILED, 2, "third".into())]
    );
}

#[test]
fn a_refusal_waits_without_its_message_where_the_bound_has_no_room_for_it() {
    let refusal = |text: &'static str| EventKind::ServerError {
        error: Error::new(Code::Failed, Kind::Server, "refused"),
        message: match message(text, false) {
            EventKind::Message(message) => Some(message),
            _ => None,
        },
    };
    let has_message = |queue: &Queue| match queue.take(now()).map(|event| event.kind) {
        Ok(EventKind::ServerError { message, .. }) => message.is_some(),
        _ => panic!("no refusal waits"),
    };
    let queue = Queue::default();
    queue.open(10);
    queue.push(refusal("ten bytes."));
    assert!(has_message(&queue));
    queue.push(message("offer", true));
    queue.push(refusal("ten bytes."));
    assert!(queue.take(now()).is_ok());
    assert!(!has_message(&queue));
}

/// [LOG-06] [LIFE-09] A host that needs longer for each answer than the next one takes hears of
/// messages all the same.
#[test]
fn of_answers_that_overtake_a_slow_host_it_takes_connections_and_messages_in_turn() {
    let queue = open();
    let mut taken = Vec::new();
    for has_offer in [true, false, false, false, false, false] {
        queue.push(EventKind::Connected);
        queue.push(message(
            if has_offer { "offer" } else { "plain" },
            has_offer,
        ));
        taken.extend(queue.take(now()).map(|event| event.kind.number()));
    }
    let (connected, message) = (EventKind::CONNECTED, EventKind::MESSAGE);
    assert_eq!(
        taken,
        [connected, message, connected, message, connected, message]
    );
}

/// [LOG-06] [RCV-01] Of errors as well; the message that follows stays behind its connection.
#[test]
fn of_errors_that_overtake_a_slow_host_it_takes_connections_and_errors_in_turn() {
    let queue = open();
    let refusal = || EventKind::ServerError {
        error: Error::new(Code::Failed, Kind::Server, "refused"),
        message: None,
    };
    let mut taken = Vec::new();
    for _ in 0..4 {
        queue.push(EventKind::Connected);
        queue.push(refusal());
        taken.extend(queue.take(now()).map(|event| event.kind.number()));
    }
    queue.push(message("plain", false));
    taken.extend(drain(&queue).iter().map(|(kind, _, _)| *kind));
    let (connected, error) = (EventKind::CONNECTED, EventKind::SERVER_ERROR);
    assert_eq!(
        taken,
        [
            connected,
            error,
            connected,
            error,
            connected,
            EventKind::MESSAGE
        ]
    );
}

/// A message after a failure stays behind the connection that it came on.
#[test]
fn no_message_goes_before_the_connection_that_ended_a_failure() {
    let queue = open();
    queue.push(EventKind::Connected);
    assert!(queue.take(now()).is_ok());
    queue.push(failed("lost"));
    queue.push(EventKind::Connected);
    queue.push(message("plain", false));
    let kinds: Vec<_> = drain(&queue).iter().map(|(kind, _, _)| *kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::CONNECT_FAILED,
            EventKind::CONNECTED,
            EventKind::MESSAGE
        ]
    );
}

#[test]
fn a_message_with_an_offer_and_one_without_both_wait() {
    let queue = open();
    queue.push(message("offer 1", true));
    queue.push(message("plain", false));
    queue.push(message("offer 2", true));
    let taken = drain(&queue);
    assert_eq!(
        taken,
        [
            (EventKind::MESSAGE, 0, "plain".into()),
            (EventKind::MESSAGE, 1, "offer 2".into())
        ]
    );
}

#[test]
fn together_messages_stay_within_the_limit() {
    let queue = Queue::default();
    queue.open(10);
    queue.push(message("plain..", false));
    queue.push(message("offer...", true));
    assert_eq!(drain(&queue), [(EventKind::MESSAGE, 0, "offer...".into())]);
}

#[test]
fn a_newer_connection_stays_before_the_message_that_waits() {
    let queue = open();
    queue.push(EventKind::Connected);
    queue.push(message("offer", true));
    queue.push(failed("lost"));
    queue.push(EventKind::Connected);
    let kinds: Vec<i32> = drain(&queue).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::CONNECT_FAILED,
            EventKind::CONNECTED,
            EventKind::MESSAGE
        ]
    );
}

#[test]
fn log_lines_beyond_the_bound_are_counted_on_the_next_one() {
    let queue = open();
    let line = || EventKind::Log {
        level: Level::Info,
        line: "line".into(),
    };
    for _ in 0..LINES_MAX + 5 {
        queue.push(line());
    }
    assert_eq!(drain(&queue).len(), LINES_MAX);
    queue.push(line());
    assert_eq!(drain(&queue), [(EventKind::LOG, 5, String::new())]);
}

#[test]
fn completions_are_asked_for_up_to_their_bound() {
    let queue = open();
    assert!((0..REPORTS_MAX).all(|_| queue.reserve_report()));
    assert!(!queue.reserve_report());
    queue.push(EventKind::SendDone {
        ticket: 1,
        error: None,
    });
    assert!(queue.take(now()).is_ok());
    assert!(queue.reserve_report());
}

#[test]
fn nothing_follows_the_last_event() {
    let queue = open();
    queue.push(failed("before"));
    queue.push_stopped(EventKind::Stopped { error: None }, false);
    assert_eq!(
        queue.take(now()).map(|event| event.kind.number()),
        Ok(EventKind::CONNECT_FAILED)
    );
    assert_eq!(
        queue.take(now()).map(|event| event.kind.number()),
        Ok(EventKind::STOPPED)
    );
    queue.push(failed("after"));
    assert_eq!(
        queue.take(None).map(|event| event.kind.number()),
        Err(Nothing::Closed)
    );
}

#[test]
fn everyone_who_waits_is_woken_by_the_end() {
    let queue = Arc::new(open());
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            thread::spawn(move || queue.take(None).map(|event| event.kind.number()))
        })
        .collect();
    queue.push_stopped(EventKind::Stopped { error: None }, true);
    let results: Vec<_> = waiters
        .into_iter()
        .filter_map(|waiter| waiter.join().ok())
        .collect();
    assert_eq!(
        results
            .iter()
            .filter(|result| **result == Ok(EventKind::STOPPED))
            .count(),
        1
    );
    assert_eq!(
        results
            .iter()
            .filter(|result| **result == Err(Nothing::Closed))
            .count(),
        2
    );
}

#[test]
fn waiting_ends_with_its_time() {
    let soon = deadline_after(Some(Duration::from_millis(1)));
    assert_eq!(
        open().take(soon).map(|event| event.missed),
        Err(Nothing::Timeout)
    );
}
