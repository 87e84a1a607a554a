use std::{sync::mpsc, thread, time::Duration};

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
    let (done, is_done) = mpsc::channel();
    let stopping = thread::spawn({
        let agent = agent.clone();
        move || {
            agent.request_stop().expect("asked for");
            let late = agent.stop(Some(Duration::ZERO));
            done.send(late.map_err(|error| error.code)).expect("a test");
        }
    });
    let answer = is_done.recv_timeout(Duration::from_secs(20));
    drop(reading);
    assert_eq!(answer, Ok(Err(Code::Timeout)));
    stopping.join().expect("no panic");
    // and the start, once it has read, ends at once
    starting.join().expect("no panic").expect("a start");
    agent.stop(None).expect("stopped");
    assert_eq!(agent.life.lock().phase, Phase::Idle);
}
