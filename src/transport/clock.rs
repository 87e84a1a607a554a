//! Whether the machine slept: the difference of two clocks.

#![allow(unsafe_code)] // clock_gettime has no safe wrapper for these clocks

use std::time::Duration;

/// How long the machine has been suspended since it was started. No system call (vDSO).
pub(crate) fn suspended() -> Duration {
    clock(libc::CLOCK_BOOTTIME).saturating_sub(clock(libc::CLOCK_MONOTONIC))
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a timespec that is valid for writes; it stays zero should the clock not exist.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    Duration::new(
        time.tv_sec.max(0) as u64,
        time.tv_nsec.clamp(0, 999_999_999) as u32,
    )
}
