//! Locks that a fork can not break: a mutex and a condition variable that are one word each and
//! wait in the kernel (futex).
//!
//! Locks with a list of waiters for the whole process (parking_lot) are no use here: a forked child
//! inherits that list with the parent's threads in it, whose memory its own threads are given. And
//! std's are built without the sanitizer that must see them.

#![allow(unsafe_code)] // futex has no wrapper in libc

use std::{
    ptr,
    sync::atomic::{
        AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::{Duration, Instant},
};

use lock_api::{GuardSend, RawMutex};

pub(crate) type Mutex<T> = lock_api::Mutex<Word, T>;
pub(crate) type MutexGuard<'a, T> = lock_api::MutexGuard<'a, Word, T>;

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody sleeps until it is not.
const AWAITED: u32 = 2;
/// What is held only for moments is mostly free again before a sleep would have begun.
const SPINS: u32 = 100;

#[derive(Debug)]
pub(crate) struct Word(AtomicU32);

// SAFETY: only one thread at a time changes the word from FREE to something else, with Acquire, and it alone sets it free, with
// Release.
unsafe impl RawMutex for Word {
    #[allow(clippy::declare_interior_mutable_const)] // the trait's way to begin
    const INIT: Self = Self(AtomicU32::new(FREE));
    type GuardMarker = GuardSend;

    fn lock(&self) {
        if !self.try_lock() {
            self.lock_later();
        }
    }

    fn try_lock(&self) -> bool {
        let taken = self.0.compare_exchange(FREE, HELD, Acquire, Relaxed);
        taken.is_ok()
    }

    unsafe fn unlock(&self) {
        if self.0.swap(FREE, Release) == AWAITED {
            wake(&self.0, 1);
        }
    }
}

impl Word {
    #[cold]
    fn lock_later(&self) {
        for _ in 0..SPINS {
            if self.0.load(Relaxed) == FREE && self.try_lock() {
                return;
            }
            std::hint::spin_loop();
        }
        // From here on it counts as awaited, by this thread or by others that it can not know of.
        while self.0.swap(AWAITED, Acquire) != FREE {
            sleep(&self.0, AWAITED, None);
        }
    }
}

/// For one mutex, under which what is waited for changes. A waiter may wake without a reason, so it
/// looks again.
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    notified: AtomicU32,
    /// Counted under the mutex: who changed something under it afterwards sees whom to wake, and
    /// mostly that there is nobody.
    waiting: AtomicU32,
}

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self {
            notified: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
        }
    }

    pub(crate) fn notify_one(&self) {
        self.notify(1);
    }

    pub(crate) fn notify_all(&self) {
        self.notify(i32::MAX);
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_at_most(guard, None);
    }

    /// Waits; `true`: the time was over, which it never is without a deadline.
    pub(crate) fn is_late<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Option<Instant>,
    ) -> bool {
        let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
        self.wait_at_most(guard, left); // lets others have the mutex even when nothing is left
        deadline.is_some_and(|end| Instant::now() >= end)
    }

    fn notify(&self, count: i32) {
        self.notified.fetch_add(1, Relaxed);
        if self.waiting.load(Relaxed) > 0 {
            wake(&self.notified, count);
        }
    }

    /// A notification between the unlock and the sleep changes the word, so that the sleep does not
    /// begin.
    fn wait_at_most<T>(&self, guard: &mut MutexGuard<'_, T>, limit: Option<Duration>) {
        let before = self.notified.load(Relaxed);
        self.waiting.fetch_add(1, Relaxed);
        MutexGuard::unlocked(guard, || sleep(&self.notified, before, limit));
        self.waiting.fetch_sub(1, Relaxed);
    }
}

/// Until a wake-up, unless the word is another one by now; also ends early, for a signal.
fn sleep(word: &AtomicU32, expected: u32, limit: Option<Duration>) {
    let time = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: limit.subsec_nanos() as _,
    });
    let time_at = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    let call = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word outlives the call; the time is null or outlives it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), call, expected, time_at) };
}

fn wake(word: &AtomicU32, count: i32) {
    let call = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel only looks for who waits at this address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), call, count) };
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn one_thread_at_a_time_holds_it() {
        let sum = Arc::new(Mutex::new((0u64, 0u64)));
        let adders: Vec<_> = (0..4)
            .map(|_| {
                let sum = sum.clone();
                thread::spawn(move || {
                    for _ in 0..20_000 {
                        let mut held = sum.lock();
                        held.0 += 1;
                        held.1 = held.0;
                    }
                })
            })
            .collect();
        for adder in adders {
            adder.join().unwrap();
        }
        assert_eq!(*sum.lock(), (80_000, 80_000));
        let held = sum.lock();
        assert!(sum.try_lock().is_none());
        drop(held);
        assert!(sum.try_lock().is_some());
    }

    #[test]
    fn a_notification_is_never_missed() {
        let shared = Arc::new((Mutex::new(0u32), Condvar::new()));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            for turn in 0..10_000 {
                let mut at = other.0.lock();
                while *at != 2 * turn + 1 {
                    assert!(!other.1.is_late(&mut at, Some(Instant::now() + SOON)));
                }
                *at += 1;
                other.1.notify_all();
            }
        });
        for turn in 0..10_000 {
            let mut at = shared.0.lock();
            while *at != 2 * turn {
                shared.1.wait(&mut at);
            }
            *at += 1;
            shared.1.notify_one();
        }
        thread.join().unwrap();
        assert_eq!(*shared.0.lock(), 20_000);
    }

    #[test]
    fn a_wait_without_a_notification_ends_at_its_time() {
        let (mutex, changed) = (Mutex::new(()), Condvar::new());
        let mut guard = mutex.lock();
        let deadline = Instant::now() + Duration::from_millis(20);
        while !changed.is_late(&mut guard, Some(deadline)) {}
        assert!(Instant::now() >= deadline);
        assert!(changed.is_late(&mut guard, Some(deadline)));
    }
}
