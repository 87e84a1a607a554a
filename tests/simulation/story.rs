//! What happened in one run, a line per input and action.
use crate::{choices::bytes_of, invariants::Violation, world::run};

/// A seed that failed: what broke, how to see it again, and how it came about.
pub(crate) fn of(seed: u64, violation: &Violation) -> String {
    let bytes = shortened(&bytes_of(seed), violation);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut lines = Vec::new();
    let _ = run(&bytes, Some(&mut lines));
    format!(
        "seed {seed}: {}: {}\nreplay: OPAMP_SIM_REPLAY={seed} cargo test --profile sim --test simulation replay -- \
         --nocapture\nbytes: {hex}\n{}",
        violation.rule,
        violation.text,
        lines.join("\n")
    )
}

/// A seed in decimal, or bytes in hex with `0x` before them.
pub(crate) fn replayed(what: &str) -> String {
    let bytes = match what.strip_prefix("0x") {
        Some(hex) => (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).expect("hex"))
            .collect(),
        None => bytes_of(what.parse().expect("a seed, or 0x and hex")),
    };
    let mut lines = Vec::new();
    let result = run(&bytes, Some(&mut lines));
    format!("{}\n{result:?}", lines.join("\n"))
}

/// The shortest beginning that breaks the same rule: what comes after it is calm.
fn shortened(bytes: &[u8], violation: &Violation) -> Vec<u8> {
    let breaks = |length: usize| matches!(run(&bytes[..length], None), Err(other) if other.rule == violation.rule);
    let length = (0..bytes.len())
        .find(|length| breaks(*length))
        .unwrap_or(bytes.len());
    bytes[..length].to_vec()
}
