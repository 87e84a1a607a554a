use std::{
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::proto::{AgentDescription, KeyValue};

struct Deaf;

impl Host for Deaf {
    fn hears(&self, _kind: i32) -> bool {
        false
    }

    fn on_event(&self, _event: Event) {}
}

/// LIFE-03: the client is locked as by a start that reads its trust files from a slow disk.
#[test]
fn a_stop_is_asked_for_while_a_start_reads_files() {
    let client = Client::new("http://127.0.0.1:9/").expect("a client");
    let description = AgentDescription {
        identifying_attributes: vec![KeyValue::default()],
        ..Default::default()
    };
    client.set_description(description).expect("one attribute");
    let agent = Agent::new(client.clone(), Box::new(Deaf));
    let reading = client.state();
    let starting = thread::spawn({
        let agent = agent.clone();
        move || agent.start()
    });
    while agent.life.lock().phase != Phase::Starting {
        thread::yield_now();
    }
    let stopping = thread::spawn({
        let agent = agent.clone();
        move || {
            agent.request_stop().expect("asked for");
            agent.stop(Some(Duration::ZERO)).map_err(|error| error.code)
        }
    });
    let patience = Instant::now() + Duration::from_secs(20);
    while !stopping.is_finished() && Instant::now() < patience {
        thread::yield_now();
    }
    let has_returned = stopping.is_finished();
    drop(reading);
    assert!(has_returned, "it waits for the start");
    let answer = stopping.join().expect("no panic");
    assert_eq!(answer, Err(Code::Timeout));
    // and the start, once it has read, ends at once
    starting.join().expect("no panic").expect("a start");
    agent.stop(None).expect("stopped");
    assert_eq!(agent.life.lock().phase, Phase::Idle);
}
