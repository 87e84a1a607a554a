//! Another Rust static library of the same toolchain: it panics, catches, and tells from a thread.
use std::{panic, thread};

#[unsafe(no_mangle)]
pub extern "C" fn other_caught() -> i32 {
    panic::set_hook(Box::new(|_| {}));
    let caught = thread::spawn(|| panic::catch_unwind(|| panic!("{:?}", thread::current().id())));
    i32::from(caught.join().is_ok_and(|it| it.is_err()))
}
