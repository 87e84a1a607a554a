//! What happened in one run, a line per input and action.
use opamp::{proto::ServerToAgent, protocol::*};
use prost::Message as _;

use crate::{faults::bytes_of, world::run};

/// A seed that failed: what broke, how to see it again, and how it came about.
pub(crate) fn of(seed: u64, rule: &str) -> String {
    let bytes = shortened(&bytes_of(seed), rule);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "seed {seed}: {rule}\nreplay: OPAMP_SIM_REPLAY={seed} cargo test --profile sim --test simulation replay -- \
         --nocapture\nbytes: 0x{hex}\n{}",
        told(&bytes)
    )
}

/// A seed in decimal, or bytes in hex with `0x` before them.
pub(crate) fn replayed(what: &str) -> String {
    let Some(hex) = what.strip_prefix("0x") else {
        return told(&bytes_of(what.parse().expect("a seed, or 0x and hex")));
    };
    let bytes = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16));
    told(&bytes.collect::<Result<Vec<_>, _>>().expect("hex"))
}

/// An input in one line.
pub(crate) fn brief(input: &Input) -> String {
    match input {
        Input::Host(Change::Description(_)) => "a new description".into(),
        Input::Host(Change::EffectiveConfig(_)) => "a new effective config".into(),
        Input::Link {
            id,
            fact: Fact::Message(bytes),
        } => match ServerToAgent::decode(&bytes[..]) {
            Ok(message) => format!("{id:?} {message:?}"),
            Err(_) => format!("{id:?} no message: {bytes:?}"),
        },
        input => format!("{input:?}"),
    }
}

fn told(bytes: &[u8]) -> String {
    let mut lines = Vec::new();
    let end = run(bytes, Some(&mut lines)).err();
    lines.push(format!("broken: {}", end.unwrap_or("nothing")));
    lines.join("\n")
}

/// The shortest beginning that breaks the same rule: what comes after it is calm.
fn shortened(bytes: &[u8], rule: &str) -> Vec<u8> {
    let breaks = |length: &usize| run(&bytes[..*length], None).err() == Some(rule);
    let length = (0..bytes.len()).find(breaks).unwrap_or(bytes.len());
    bytes[..length].to_vec()
}
