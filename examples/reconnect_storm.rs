//! Draws how a fleet comes back to a server that was away for a minute:
//!
//!     cargo run --profile sim --example reconnect_storm [AGENTS]      (a million unless told otherwise)
#[path = "../tests/fleet/agent.rs"]
mod agent;

use std::{env, time::Duration};

use agent::{Server, requests_of};
use opamp::protocol::Policy;

const SECONDS: usize = 300;

fn main() {
    let asked = env::args()
        .nth(1)
        .map(|agents| agents.parse().expect("a number of agents"));
    let agents: u64 = asked.unwrap_or(1_000_000);
    let away = Duration::from_secs(60)..Duration::from_secs(120);
    let server = Server {
        away,
        put_off: None,
    };
    let mut requests = vec![0_u64; SECONDS + 1];
    for agent in 0..agents {
        // In its daily life the fleet is evenly spread over its interval.
        let starts = Duration::from_micros(30_000_000 * agent / agents);
        let ends = Duration::from_secs(SECONDS as u64);
        for at in requests_of((Policy::Http, agent), starts, ends, &server) {
            requests[at.as_secs() as usize] += 1;
        }
    }
    let most = requests.iter().max().copied().unwrap_or(1).max(1);
    println!("requests a second of {agents} agents; the server is away from 60 s to 120 s");
    for (second, count) in requests.iter().enumerate().skip(50).take(150) {
        let bar = "#".repeat((count * 60 / most) as usize);
        println!(
            "{second:>4} s {count:>8} {:>5.2} % {bar}",
            *count as f64 * 100.0 / agents as f64
        );
    }
}
