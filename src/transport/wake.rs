//! One eventfd per agent: how other threads get the worker's attention.

#![allow(unsafe_code)] // eventfd, read, write, ppoll: each call is one line with owned descriptors

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::fds;

/// Wakes the one thread that waits on it. Clones share the descriptor.
#[derive(Clone, Debug)]
pub struct Wake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    fd: OwnedFd,
    raised: AtomicBool,
}

impl Wake {
    /// Fails when the process has no descriptor left.
    pub fn new() -> io::Result<Wake> {
        // SAFETY: eventfd takes no pointer, and its result is nobody's yet.
        let fd = unsafe { fds::adopt(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))? };
        Ok(Wake(Arc::new(Inner {
            fd,
            raised: AtomicBool::new(false),
        })))
    }

    /// Callable from any thread. One `write`, and only when nobody has woken the worker since its
    /// last [`clear`](Wake::clear).
    pub fn wake(&self) {
        if self.0.raised.swap(true, Ordering::AcqRel) {
            return;
        }
        let one = 1u64;
        // SAFETY: eight readable bytes. The counter can not be full, so the call does not block.
        unsafe { libc::write(self.0.fd.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Takes the wake-up back. What was changed before a `wake` is visible afterwards: look at the
    /// shared state after this call, never before it.
    pub fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: eight writable bytes; the descriptor is non-blocking.
        unsafe { libc::read(self.0.fd.as_raw_fd(), (&raw mut count).cast(), 8) };
        // Read first: the other way round, a `wake` between the two would leave the flag raised
        // over an empty descriptor, and no later one would get through.
        self.0.raised.swap(false, Ordering::AcqRel);
    }

    /// Whether someone has woken the worker; no system call.
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// Sleeps until a wake-up (then cleared, `true`) or until `limit` has passed (`false`; `None`:
    /// no limit). One system call when it was the time.
    pub fn wait(&self, limit: Option<Duration>) -> bool {
        let mut set = [poll_entry(self.raw_fd(), libc::POLLIN)];
        let woken = matches!(ppoll(&mut set, limit), Ok(n) if n > 0);
        if woken {
            self.clear();
        }
        woken
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.0.fd.as_raw_fd()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        fds::remove(self.fd.as_raw_fd());
    }
}

pub(crate) fn poll_entry(fd: RawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}

/// `ppoll` without a change of the signal mask. `None` waits for ever; EINTR counts as "nothing
/// yet" (0 entries), which every caller treats as a reason to look at its clock again.
pub(crate) fn ppoll(set: &mut [libc::pollfd], limit: Option<Duration>) -> io::Result<usize> {
    let time = limit.map(|d| libc::timespec {
        tv_sec: d.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: d.subsec_nanos() as _,
    });
    let time_at = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the slice is valid for its length, the time is null or outlives the call.
    let ready = unsafe { libc::ppoll(set.as_mut_ptr(), set.len() as _, time_at, std::ptr::null()) };
    if ready >= 0 {
        return Ok(ready as usize);
    }
    match io::Error::last_os_error() {
        e if e.kind() == io::ErrorKind::Interrupted => Ok(0),
        e => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_before_and_after_clear_is_seen() {
        let wake = Wake::new().unwrap();
        assert!(!wake.wait(Some(Duration::ZERO)));
        wake.wake();
        wake.wake();
        assert!(wake.is_raised());
        assert!(wake.wait(None));
        assert!(!wake.is_raised());
        assert!(!wake.wait(Some(Duration::ZERO)));
        wake.wake();
        assert!(wake.wait(None));
    }

    #[test]
    fn another_thread_ends_an_endless_wait() {
        let wake = Wake::new().unwrap();
        let other = wake.clone();
        let thread = std::thread::spawn(move || other.wake());
        assert!(wake.wait(None));
        thread.join().unwrap();
    }
}
