//! ServerToAgents through the core, on both policies, with a clock that goes on.

use std::time::Duration;

use bytes::Bytes;
use opamp::protocol::{
    Action, AttemptId, Change, Config, Core, Event, Fact, FailKind, Failure, Input,
    PersistentState, Policy, ReachedServer, Time,
};

/// What asks for more than this at once asks for ever.
const MOST_ACTIONS: usize = 1000;

struct World {
    core: Core,
    now: Time,
    out: Vec<u8>,
    open: Option<AttemptId>,
    is_over: bool,
}

/// A byte that says what happens, and where that is a message, two for its length and the message.
pub(crate) fn messages(input: &[u8]) {
    let Some((&first, mut rest)) = input.split_first() else {
        return;
    };
    let is_http = first & 1 == 0;
    let mut config = Config::new(if is_http {
        Policy::Http
    } else {
        Policy::WebSocket
    });
    config.tell_every_answer = first & 2 != 0;
    config.receive_limit = 8 * 1024;
    config.field_limit = 500;
    let now = Time::from_micros(1_000_000_000_000);
    let mut core = Core::new(config, PersistentState::new([1; 16]), now, u64::from(first));
    core.handle(now, Input::Host(Change::Capabilities(0x3fff)));
    let mut world = World {
        core,
        now,
        out: Vec::new(),
        open: None,
        is_over: false,
    };
    world.feed(Input::Start);
    while let Some((&what, more)) = rest.split_first() {
        rest = more;
        match what & 7 {
            0 => world.now = world.now + Duration::from_millis(u64::from(what) * 100),
            1 => world.feed(Input::Deadline),
            2 if !is_http => world.fact(Fact::Opened),
            3 if !is_http => world.fact(Fact::Written),
            4 => {
                let kind = if what & 8 == 0 {
                    FailKind::Io
                } else {
                    FailKind::Status
                };
                let failure = Failure::new(kind, ReachedServer::Maybe, "over");
                world.end(Fact::Over(failure));
            }
            _ => {
                let (length, more) = rest.split_at(rest.len().min(2));
                let length = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
                let (message, more) = more.split_at(length.min(more.len()));
                rest = more;
                let fact = Fact::Message(Bytes::copy_from_slice(message));
                match is_http {
                    true => world.end(fact),
                    false => world.fact(fact),
                }
            }
        }
        let within = Duration::from_secs(1);
        if what == 0xff {
            world.feed(Input::Stop {
                within,
                goodbye: true,
            });
        }
    }
    let _ = world.core.snapshot();
    let _ = world.core.carry();
}

impl World {
    fn fact(&mut self, fact: Fact) {
        if let Some(id) = self.open {
            self.feed(Input::Link { id, fact });
        }
    }

    fn end(&mut self, fact: Fact) {
        if let Some(id) = self.open.take() {
            self.feed(Input::Link { id, fact });
        }
    }

    fn feed(&mut self, input: Input) {
        if self.is_over {
            return;
        }
        self.core.handle(self.now, input);
        for _ in 0..MOST_ACTIONS {
            match self.core.poll(&mut self.out) {
                Action::Wait(_) => return,
                Action::Connect { id } | Action::Send { id, .. } => self.open = Some(id),
                Action::Close { .. } => {}
                Action::Tell { event, .. } => self.is_over |= event == Event::Stopped,
            }
        }
        panic!("the core asks for ever");
    }
}
