//! The environment, where the program may believe it.

#![allow(unsafe_code)] // getauxval has no safe wrapper

use std::ffi::OsString;

/// A variable's value. A program that has more rights than its caller (set-user-id, set-group-id,
/// file capabilities) sees none, as by `secure_getenv`: its caller would choose whom it trusts and
/// through whom it speaks.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    // SAFETY: takes a number and reads what the kernel gave to the process.
    let is_secure = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    match is_secure {
        true => None,
        false => std::env::var_os(name),
    }
}
