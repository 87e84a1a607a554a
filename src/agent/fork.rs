//! Which process this is. A handle that a fork brought along is recognised before any lock is
//! taken.

use std::{
    num::NonZeroU64,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use once_cell::race::OnceRef;

use super::error::{Code, Error, Kind, Result};
use crate::transport;

/// Marks the process in which a handle was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token(NonZeroU64);

/// A child inherits the count, so its token differs from that of every process it descends from.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Tried again by the next client when the system had no memory for it. Nobody waits for whoever
/// makes it, which may be a thread that a fork left behind: of two the first counts.
static PAGE: OnceRef<'static, AtomicU64> = OnceRef::new();

/// This process's token. The first call maps the page and registers the handler that runs in forked
/// children.
pub fn process() -> Result<Token> {
    let no_page = || {
        Error::new(
            Code::Resource,
            Kind::Bug,
            "no memory for the page that notices a fork",
        )
    };
    let page = PAGE.get_or_try_init(|| make_page().ok_or_else(no_page))?;
    let mut now = page.load(Ordering::Relaxed);
    if now == 0 {
        let fresh = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        now = match page.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => fresh,
            Err(other) => other,
        };
    }
    NonZeroU64::new(now)
        .map(Token)
        .ok_or_else(|| Error::new(Code::Resource, Kind::Bug, "the process has no token"))
}

/// Was the token given out by this very process? Takes no lock and makes no system call.
pub fn is_here(token: Token) -> bool {
    PAGE.get()
        .is_some_and(|page| page.load(Ordering::Relaxed) == token.0.get())
}

/// A page that the kernel gives to a forked child as zeros. The handler zeroes it too, for kernels
/// before 4.14.
#[allow(unsafe_code)]
fn make_page() -> Option<&'static AtomicU64> {
    const LEN: usize = 4096;
    // SAFETY: a private anonymous mapping of our own, zeroed by the kernel, aligned to a page and never unmapped; an
    // atomic of eight zero bytes is valid.
    let page = unsafe {
        let at = libc::mmap(
            ptr::null_mut(),
            LEN,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if at == libc::MAP_FAILED {
            return None;
        }
        libc::madvise(at, LEN, libc::MADV_WIPEONFORK);
        &*at.cast::<AtomicU64>()
    };
    // SAFETY: the handler is a plain function that lives as long as the process (the library is
    // linked nodelete, the archive pins itself).
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    Some(page)
}

/// The child keeps no descriptor of ours open; everything else of the parent's stays untouched and
/// unused.
extern "C" fn in_child() {
    if let Some(page) = PAGE.get() {
        page.store(0, Ordering::Relaxed);
    }
    transport::fds::close_all_in_child();
}
