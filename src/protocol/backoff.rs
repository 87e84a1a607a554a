//! How long to wait after the n-th failure in a row.
use std::time::Duration;

use super::{
    config::Config,
    random::{Purpose, Random},
};

/// The first retry comes within the spread, so that a fleet that lost one server comes back evenly;
/// the later ones wait half of a growing top and up to the same again.
pub(super) fn delay(config: &Config, failures: u32, random: &mut Random) -> Duration {
    if failures <= 1 {
        return random.up_to(Purpose::Backoff, config.first_retry_spread);
    }
    let doublings = (failures - 2).min(31);
    let top = config
        .backoff_base
        .saturating_mul(1 << doublings)
        .min(config.backoff_top);
    top / 2 + random.up_to(Purpose::Backoff, top / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Policy;

    #[test]
    fn the_waits_grow_to_the_top_and_stay_there() {
        let config = Config::new(Policy::Http);
        let tops = [5, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300];
        for seed in 0..200 {
            let mut random = Random::new(seed);
            for (failures, top) in (1..).zip(tops) {
                let wait = delay(&config, failures, &mut random);
                let least = if failures == 1 { 0 } else { top * 500 };
                assert!(
                    wait.as_millis() >= least && wait.as_millis() <= top * 1000,
                    "{wait:?}"
                );
            }
            assert!(delay(&config, u32::MAX, &mut random) <= config.backoff_top);
        }
    }
}
