//! Panics are bugs of ours: caught, told to the host as an error, never printed.

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::atomic::{AtomicBool, Ordering},
};

thread_local! {
    /// This thread runs code of ours whose panics are caught.
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Runs our code; its panic comes back as a text.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    silence();
    let before = IS_CONTAINED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    IS_CONTAINED.set(before);
    result.map_err(|panic| text_of(panic.as_ref()))
}

/// In a test build, the place that `OPAMP_PLANTED_PANIC` names panics.
#[cfg(all(feature = "planted-panic", not(test)))]
#[allow(clippy::panic, clippy::disallowed_methods)]
pub fn plant(place: &str) {
    if std::env::var("OPAMP_PLANTED_PANIC").is_ok_and(|name| name == place) {
        panic!("planted");
    }
}

#[cfg(not(all(feature = "planted-panic", not(test))))]
pub fn plant(_place: &str) {}

/// From the first call on, contained panics are not printed; all others go to the hook that was
/// there before.
fn silence() {
    static IS_SILENT: AtomicBool = AtomicBool::new(false);
    // Not in the middle of a panic, where no hook can be set.
    let is_done = || IS_SILENT.load(Ordering::Relaxed) || std::thread::panicking();
    if is_done() || IS_SILENT.swap(true, Ordering::Relaxed) {
        return;
    }
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !IS_CONTAINED.get() {
            before(info);
        }
    }));
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a bug in the library".to_owned())
}
