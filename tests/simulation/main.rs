//! The protocol core against a hostile world: whatever happens on the way, in the end both sides agree.
//!
//!     cargo test --profile sim --test simulation                              20,000 seeds
//!     OPAMP_SIM_SEEDS=1000000 cargo test --profile sim --test simulation      more of them
//!     OPAMP_SIM_REPLAY=17 cargo test --profile sim --test simulation replay -- --nocapture
//!                                                  one seed (or the bytes of one, in hex) as a story
mod choices;
mod faults;
mod fleet;
mod host;
mod invariants;
#[cfg(feature = "planted-bugs")]
mod planted;
mod server;
mod story;
mod world;

use std::{
    env, fs,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use choices::bytes_of;
use faults::Fault;
use host::Act;
use world::{Stats, run};

const SEEDS: u64 = 20_000;

fn seeds() -> u64 {
    let asked = env::var("OPAMP_SIM_SEEDS").ok();
    asked.map_or(SEEDS, |asked| {
        asked.parse().expect("OPAMP_SIM_SEEDS is a number")
    })
}

/// [SYNC-16]: what a failed message carried is in the next one, what was refused is not, over random fault schedules.
#[test]
fn both_sides_agree_in_the_end_whatever_goes_wrong() {
    let (seeds, began) = (seeds(), Instant::now());
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let next = AtomicU64::new(0);
    let (mut total, mut busy) = (Stats::ZERO, 0.0);
    thread::scope(|scope| {
        let work = || {
            let mut total = Stats::ZERO;
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return (total, thread_seconds());
                }
                match run(&bytes_of(seed), None) {
                    Ok(stats) => total.add(&stats),
                    Err(violation) => panic!("{}", story::of(seed, &violation)),
                }
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (part, seconds) = worker.join().expect("a seed failed, see above");
            total.add(&part);
            busy += seconds;
        }
    });
    println!(
        "{seeds} seeds in {:.1} s on {threads} threads, {:.0} a second of one core",
        began.elapsed().as_secs_f64(),
        seeds as f64 / busy
    );
    check(seeds, &total);
}

/// The processor time of this thread so far: what others do on the machine does not count.
fn thread_seconds() -> f64 {
    let times = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let nanos = times
        .split(' ')
        .next()
        .and_then(|nanos| nanos.parse::<f64>().ok());
    nanos.expect("a number first") / 1e9
}

/// Enough happened, and everything that can happen did.
fn check(seeds: u64, total: &Stats) {
    println!(
        "{} inputs, {} sends a seed",
        total.inputs / seeds,
        total.sends / seeds
    );
    let mut never = Vec::new();
    let mut line = |name: String, count: u64| {
        println!("{count:>12} {name}");
        if count == 0 {
            never.push(name);
        }
    };
    let faults = Fault::ALL.iter().zip(total.faults);
    faults.for_each(|(fault, count)| line(format!("{fault:?}"), count));
    let acts = Act::ALL.iter().zip(total.acts);
    acts.for_each(|(act, count)| line(format!("host: {act:?}"), count));
    let timers = total.timers.iter().enumerate();
    timers.for_each(|(timer, count)| line(format!("timer {timer}"), *count));
    let completions = total.completions.iter().enumerate();
    completions.for_each(|(how, count)| line(format!("report ended {how}"), *count));
    assert!(
        seeds < 1000 || never.is_empty(),
        "never happened: {never:?}"
    );
    assert!(
        total.inputs >= 60 * seeds && total.sends >= 50 * seeds,
        "too little happened"
    );
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
    run(&[], None).expect("nothing goes wrong");
}

#[test]
fn replay() {
    if let Ok(what) = env::var("OPAMP_SIM_REPLAY") {
        println!("{}", story::replayed(&what));
    }
}
