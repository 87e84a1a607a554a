//! What an outage may cost. A binary of its own, because it counts every byte that the test's
//! thread allocates (the runner's own threads allocate meanwhile).
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
};

use opamp::{
    proto::{AgentConfigFile, AgentConfigMap},
    protocol::{
        Action, Change, Config, Core, Fact, FailKind, Failure, Input, PersistentState, Policy,
        ReachedServer, Time,
    },
};

struct Counting;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
}

#[allow(unsafe_code)] // an allocator
// SAFETY: everything is passed on to the system's allocator; only sizes are added up.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        NOW.set(NOW.get().wrapping_add(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        NOW.set(NOW.get().wrapping_sub(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One input, and all that comes of it; answers the try of the last send.
fn feed(core: &mut Core, now: Time, input: Input, out: &mut Vec<u8>) -> Option<Input> {
    core.handle(now, input);
    let mut answer = None;
    loop {
        match core.poll(out) {
            Action::Send { id, .. } => {
                let failure = Failure::new(FailKind::Connect, ReachedServer::No, "refused");
                answer = Some(Input::Link {
                    id,
                    fact: Fact::Over(failure),
                });
            }
            Action::Wait(_) => return answer,
            _ => {}
        }
    }
}

/// Given a server that is away, when the host sets 10,000 configurations and the tries go on
/// failing, then memory stays where it was after the first few.
#[test]
fn memory_is_flat_over_10000_changes_while_offline() {
    let start = Time::from_micros(1_000_000_000_000);
    let mut core = Core::new(
        Config::new(Policy::Http),
        PersistentState::new([1; 16]),
        start,
        1,
    );
    let mut out = Vec::with_capacity(4096);
    let mut answer = feed(
        &mut core,
        start,
        Input::Host(Change::Capabilities(0x3007)),
        &mut out,
    );
    answer = answer.or(feed(&mut core, start, Input::Start, &mut out));
    let (mut early, mut late) = (0, 0);
    for count in 0..10_000_u64 {
        let now = start + std::time::Duration::from_secs(count);
        let body = vec![count as u8; 1000].into();
        let file = AgentConfigFile {
            body,
            content_type: String::new(),
        };
        let map = AgentConfigMap {
            config_map: [("main".to_owned(), file)].into(),
        };
        let change = Change::EffectiveConfig(Arc::new(map));
        answer = answer.or(feed(&mut core, now, Input::Host(change), &mut out));
        if let Some(failure) = answer.take() {
            answer = feed(&mut core, now, failure, &mut out);
        }
        match count {
            100 => early = NOW.get(),
            9_999 => late = NOW.get(),
            _ => {}
        }
    }
    assert!(core.snapshot().attempts > 20, "tries went on");
    // The text of one failure, more or less.
    assert!(
        late <= early + 512,
        "{early} bytes after 100 changes, {late} after 10,000"
    );
}
