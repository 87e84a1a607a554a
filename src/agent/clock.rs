//! The clock of the core: it also runs while the machine sleeps.

use std::time::{Duration, Instant};

use crate::protocol::Time;

/// Now, by CLOCK_BOOTTIME; no system call where the vDSO answers.
#[allow(unsafe_code)]
pub(crate) fn now() -> Time {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: one timespec that is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let micros = u64::try_from(time.tv_nsec / 1_000).unwrap_or_default();
    Time::from_micros(seconds * 1_000_000 + micros)
}

/// The same point in time for those who wait by [`Instant`].
pub(crate) fn instant_of(time: Time) -> Instant {
    let wait = time.since(now());
    let now = Instant::now();
    now.checked_add(wait)
        .unwrap_or(now + Duration::from_secs(86_400))
}
