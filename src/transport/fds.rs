//! Which descriptors are ours, so that a forked child can close its copies.
//!
//! A bitmap over descriptor numbers, without locks or allocation, because it is read between fork
//! and exec of a process whose other threads are gone. It lies in zero pages until used.

#![allow(unsafe_code)] // close() of descriptors by number is the purpose

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

/// Descriptors above this are not closed in a child; none is ever above without a raised
/// `RLIMIT_NOFILE`.
const MOST: usize = 1 << 20;

/// Below are standard input, output and error.
const LOWEST: RawFd = 3;

static OURS: [AtomicU64; MOST / 64] = [const { AtomicU64::new(0) }; MOST / 64];
/// One past the highest word ever used, so that a walk is short.
static USED: AtomicUsize = AtomicUsize::new(0);

/// What a system call just made becomes ours, under a number of 3 or more: a host that closed its
/// standard descriptors may still print to 1 and 2, and that must not reach a server.
///
/// # Safety
/// A descriptor that nobody else owns, or the negative result of a call that set errno.
pub(crate) unsafe fn adopt(made: RawFd) -> io::Result<OwnedFd> {
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller's promise.
    let mut fd = unsafe { OwnedFd::from_raw_fd(made) };
    if made < LOWEST {
        // SAFETY: no pointer is passed; a non-negative result is a descriptor of ours alone.
        fd = unsafe {
            match libc::fcntl(made, libc::F_DUPFD_CLOEXEC, LOWEST) {
                moved if moved >= 0 => OwnedFd::from_raw_fd(moved),
                _ => return Err(io::Error::last_os_error()),
            }
        };
    }
    add(fd.as_raw_fd());
    Ok(fd)
}

fn add(fd: RawFd) {
    if let Some((word, bit)) = place(fd) {
        USED.fetch_max(word + 1, SeqCst);
        OURS[word].fetch_or(bit, SeqCst);
    }
}

/// To be called right before a descriptor is closed.
pub fn remove(fd: RawFd) {
    if let Some((word, bit)) = place(fd) {
        OURS[word].fetch_and(!bit, SeqCst);
    }
}

/// Closes all of them. Only for a child right after fork, where nobody else uses them any more;
/// async-signal-safe. The objects that owned them must never be dropped afterwards.
pub fn close_all_in_child() {
    for (index, word) in OURS[..USED.load(SeqCst)].iter().enumerate() {
        let mut bits = word.swap(0, SeqCst);
        while bits != 0 {
            let fd = index * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            // SAFETY: the number is ours by the registry, and this process has one thread.
            unsafe { libc::close(fd as RawFd) };
        }
    }
}

/// Whether this descriptor is one of the library's; async-signal-safe.
pub fn is_ours(fd: RawFd) -> bool {
    place(fd).is_some_and(|(word, bit)| OURS[word].load(SeqCst) & bit != 0)
}

/// How many are open now; for tests of leaks.
pub fn count() -> usize {
    OURS[..USED.load(SeqCst)]
        .iter()
        .map(|w| w.load(SeqCst).count_ones() as usize)
        .sum()
}

fn place(fd: RawFd) -> Option<(usize, u64)> {
    let fd = usize::try_from(fd).ok().filter(|&fd| fd < MOST)?;
    Some((fd / 64, 1 << (fd % 64)))
}
