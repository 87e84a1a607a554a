//! The simulation tested: each known bug, one changed line of the core, is found by an invariant that knows nothing of it.
use opamp::protocol::planted::{Bug, plant};

use crate::{choices::bytes_of, world::run};

const SEEDS: u64 = 1000;

#[test]
fn each_planted_bug_is_found_within_1000_seeds() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        plant(Some(bug));
        let found = (0..SEEDS).find_map(|seed| Some((seed, run(&bytes_of(seed), None).err()?)));
        plant(None);
        match found {
            Some((seed, rule)) => println!("{bug:?}: seed {seed}, \"{rule}\""),
            None => missed.push(bug),
        }
    }
    assert!(
        missed.is_empty(),
        "not found within {SEEDS} seeds: {missed:?}"
    );
}
