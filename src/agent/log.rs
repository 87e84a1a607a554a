//! The process-wide log sink. Silent until the host sets one; a line never holds a secret or a
//! configuration body.

use std::{
    ptr,
    sync::{
        Arc,
        atomic::{AtomicPtr, AtomicU8, Ordering},
    },
};

use super::{
    error::Result,
    fork::{self, Token},
};
use crate::locks::Mutex;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Level {
    Off = 0,
    Error = 1,
    Warn = 2,
    Info = 3,
    Debug = 4,
}

impl Level {
    /// The level of that number.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug]
            .into_iter()
            .find(|level| i32::from(*level as u8) == number)
    }
}

/// Gets each line; called by any thread of the library, and by several at once.
pub type Sink = Box<dyn Fn(Level, &str) + Send + Sync>;

/// The sink of one process. A forked child makes its own, because the parent's lock may have been
/// held at the fork; the parent's is left where it is.
struct Slot {
    process: Token,
    sink: Mutex<Option<Arc<Sink>>>,
}

static LEVEL: AtomicU8 = AtomicU8::new(0);
static SLOT: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());

/// Sets the sink of this process, or with `Off` or no sink takes it away. May be called inside a
/// sink. A call of the old sink that runs on another thread may still be ending when this returns.
pub fn set(level: Level, sink: Option<Sink>) -> Result<()> {
    let slot = match slot() {
        Some(slot) => slot,
        None => make_slot()?,
    };
    let (level, sink) = match sink {
        Some(sink) if level > Level::Off => (level, Some(Arc::new(sink))),
        _ => (Level::Off, None),
    };
    let old = std::mem::replace(&mut *slot.sink.lock(), sink);
    LEVEL.store(level as u8, Ordering::Relaxed);
    drop(old);
    Ok(())
}

/// Would a line of this level reach anybody?
pub(crate) fn is_wanted(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Hands a line to the sink; no lock is held meanwhile.
pub(crate) fn line(level: Level, text: &str) {
    if !is_wanted(level) {
        return;
    }
    let sink = slot().and_then(|slot| slot.sink.lock().clone());
    if let Some(sink) = sink {
        sink(level, text);
    }
}

#[allow(unsafe_code)]
fn slot() -> Option<&'static Slot> {
    // SAFETY: a non-null pointer came from `Box::leak` in `make_slot` and is never freed.
    let slot = unsafe { SLOT.load(Ordering::Acquire).as_ref() }?;
    fork::is_here(slot.process).then_some(slot)
}

fn make_slot() -> Result<&'static Slot> {
    let old = SLOT.load(Ordering::Acquire);
    let fresh = Box::into_raw(Box::new(Slot {
        process: fork::process()?,
        sink: Mutex::new(None),
    }));
    let won = SLOT
        .compare_exchange(old, fresh, Ordering::AcqRel, Ordering::Acquire)
        .is_ok();
    if !won {
        discard(fresh);
    }
    match slot() {
        Some(slot) => Ok(slot),
        None => make_slot(),
    }
}

#[allow(unsafe_code)]
fn discard(slot: *mut Slot) {
    // SAFETY: made by `Box::into_raw` just now and seen by nobody else.
    drop(unsafe { Box::from_raw(slot) });
}
