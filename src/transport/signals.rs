//! Threads of the library take no signal of the host's.

#![allow(unsafe_code)] // pthread_sigmask has no safe wrapper

use std::mem::MaybeUninit;

/// Runs `spawn` with every signal blocked in this thread, so that a thread made there has them
/// blocked from its first instruction; then puts the mask back.
pub fn with_all_blocked<T>(spawn: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are valid for writes; `all` is initialised by sigfillset before its use.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = spawn();
    // SAFETY: `before` was filled by the call above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    result
}
