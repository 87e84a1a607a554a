//! Randomness without a generator: each draw is a function of the seed, its purpose and how often
//! it was drawn before.
use std::time::Duration;

use super::time::micros;

/// Each purpose has a sequence of its own, so that a new one never shifts the others.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Backoff,
    RetryAfter,
    Heartbeat,
}

pub(super) struct Random {
    seed: u64,
    drawn: [u64; 3],
}

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            seed,
            drawn: [0; 3],
        }
    }

    /// Uniform in `0 ..= most`.
    pub(super) fn up_to(&mut self, purpose: Purpose, most: Duration) -> Duration {
        let count = &mut self.drawn[purpose as usize];
        *count += 1;
        let draw = mix(self.seed, purpose as u64, *count);
        let most = micros(most);
        let wide = u128::from(draw) * (u128::from(most) + 1);
        Duration::from_micros((wide >> 64) as u64)
    }
}

/// Three numbers to one that looks like chance (the finaliser of SplitMix64, twice).
const fn mix(seed: u64, purpose: u64, count: u64) -> u64 {
    stir(stir(seed ^ (purpose + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(count))
}

const fn stir(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_fill_their_range_evenly_and_repeat_with_the_seed() {
        let (mut one, mut same) = (Random::new(7), Random::new(7));
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let draw = one.up_to(Purpose::Backoff, Duration::from_micros(99));
            assert_eq!(
                draw,
                same.up_to(Purpose::Backoff, Duration::from_micros(99))
            );
            tenths[draw.as_micros() as usize / 10] += 1;
        }
        assert!(
            tenths.iter().all(|count| (850..1150).contains(count)),
            "{tenths:?}"
        );
    }
}
