//! The protocol core against a hostile world: whatever happens on the way, in the end both sides
//! agree.
//!
//!     cargo test --profile sim --test simulation                              20,000 seeds
//!     OPAMP_SIM_SEEDS=1000000 cargo test --profile sim --test simulation      more of them
//!     OPAMP_SIM_REPLAY=17 cargo test --profile sim --test simulation replay -- --nocapture
//!                                                  one seed (or the bytes of one, in hex) as a story
//!
//! The world is in `world.rs` and `network.rs`, the faults in `faults.rs`, what must hold at every
//! step in `invariants.rs` and in the end in `calm.rs`, the story in `story.rs`.
mod calm;
mod faults;
mod host;
mod invariants;
mod network;
mod refusals;
mod server;
mod stats;
mod story;
mod told;
mod world;

use std::{env, fs, thread, time::Instant};

use faults::bytes_of;
use stats::Stats;
use world::run;

const SEEDS: u64 = 20_000;

/// [SYNC-16]: what a failed message carried is in the next one, what was refused is not, over
/// random fault schedules.
#[test]
fn both_sides_agree_in_the_end_whatever_goes_wrong() {
    let asked = env::var("OPAMP_SIM_SEEDS").ok();
    let seeds = asked.map_or(SEEDS, |asked| asked.parse().expect("a number of seeds"));
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let began = Instant::now();
    let work = |first| {
        let (mut total, mut failed) = (Stats::ZERO, Vec::new());
        for seed in (first as u64..seeds).step_by(threads) {
            match run(&bytes_of(seed), None) {
                Ok(stats) => total.add(&stats),
                Err(rule) => failed.push((seed, rule)),
            }
        }
        (total, failed, thread_seconds())
    };
    let (mut total, mut failed, mut busy) = (Stats::ZERO, Vec::new(), 0.0);
    thread::scope(|scope| {
        let start = |first| scope.spawn(move || work(first));
        for worker in (0..threads).map(start).collect::<Vec<_>>() {
            let (part, mut broken, seconds) = worker.join().expect("no seed panics");
            total.add(&part);
            failed.append(&mut broken);
            busy += seconds;
        }
    });
    let (elapsed, rate) = (began.elapsed(), seeds as f64 / busy);
    println!("{seeds} seeds in {elapsed:.1?} on {threads} threads, {rate:.0} a second of one core");
    if let Some((seed, rule)) = failed.iter().min() {
        panic!("{}\nall that failed: {failed:?}", story::of(*seed, rule));
    }
    check(seeds, &total);
}

/// The processor time of this thread so far: what others do on the machine does not count.
fn thread_seconds() -> f64 {
    let times = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let nanos = times.split(' ').next().map(str::parse::<f64>);
    nanos.and_then(Result::ok).expect("a number first") / 1e9
}

/// Enough happened, and everything that can happen did.
fn check(seeds: u64, total: &Stats) {
    let (inputs, sends) = (total.inputs / seeds, total.sends / seeds);
    println!("{inputs} inputs, {sends} sends a seed");
    let mut is_complete = true;
    for (what, count) in total.histogram() {
        println!("{count:>12} {what}");
        is_complete &= count > 0;
    }
    assert!(is_complete || seeds < 1000, "something never happened");
    assert!(inputs >= 60 && sends >= 50, "too little happened");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..50 {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        let _ = run(&bytes_of(seed), Some(&mut one));
        let _ = run(&bytes_of(seed), Some(&mut two));
        assert_eq!(one, two);
    }
}

#[test]
fn an_empty_string_is_a_calm_world() {
    assert!(run(&[], None).is_ok(), "nothing goes wrong");
}

/// The simulation tested: an invariant that knows nothing of a bug, one changed line of the core,
/// finds it.
#[cfg(feature = "planted-bugs")]
#[test]
fn each_planted_bug_is_found_within_1000_seeds() {
    use opamp::protocol::planted_bugs::{Bug, enable};
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        enable(Some(bug));
        let found = (0..1000).find_map(|seed| Some((seed, run(&bytes_of(seed), None).err()?)));
        enable(None);
        match found {
            Some((seed, rule)) => println!("{bug:?}: seed {seed}, \"{rule}\""),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn replay() {
    if let Ok(what) = env::var("OPAMP_SIM_REPLAY") {
        println!("{}", story::replayed(&what));
    }
}
