//! What crosses the boundary: text, bytes, slices, times. Every pointer is checked for NULL here
//! and nowhere else.

use std::{
    ffi::{CStr, CString, OsStr, c_char},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    slice,
    time::Duration,
};

use super::status::{Outcome, Refusal};
use crate::agent::Reason;

/// Borrowed bytes: how long they live is said where they are given. Not NUL-terminated. `data` is
/// never NULL on success.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct opamp_slice {
    pub data: *const u8,
    pub len: usize,
}

/// An empty slice points here, so that a host may hand it to memcpy.
static NOTHING: [u8; 1] = [0];

impl opamp_slice {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let data = if bytes.is_empty() {
            NOTHING.as_ptr()
        } else {
            bytes.as_ptr()
        };
        Self {
            data,
            len: bytes.len(),
        }
    }
}

/// A NUL-terminated UTF-8 text that must be there.
///
/// # Safety
/// `pointer` is NULL or a NUL-terminated text that outlives the call.
pub(super) unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Outcome<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { text_or_none(pointer, what) }?.ok_or_else(|| null(what))
}

fn null(what: &str) -> Refusal {
    Refusal::argument(format!("{what} is NULL")).because(Reason::NullPointer)
}

fn not_utf8(what: &str, at: usize) -> Refusal {
    Refusal::argument(format!("{what} is not UTF-8 at byte {at}")).because(Reason::BadUtf8)
}

/// The same, where NULL means none.
///
/// # Safety
/// As `text`.
pub(super) unsafe fn text_or_none<'a>(
    pointer: *const c_char,
    what: &str,
) -> Outcome<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and NUL-terminated, says the caller.
    let text = unsafe { CStr::from_ptr(pointer) }.to_str();
    text.map(Some)
        .map_err(|why| not_utf8(what, why.valid_up_to()))
}

/// A path: any bytes but NUL, as the system has them.
///
/// # Safety
/// As `text`.
pub(super) unsafe fn path_or_none(pointer: *const c_char) -> Option<PathBuf> {
    // SAFETY: checked for NULL, and NUL-terminated, says the caller.
    (!pointer.is_null()).then(|| {
        PathBuf::from(OsStr::from_bytes(
            unsafe { CStr::from_ptr(pointer) }.to_bytes(),
        ))
    })
}

/// A pointer and a length; (NULL, 0) is empty.
///
/// # Safety
/// `data` is NULL or `len` readable bytes that outlive the call.
pub(super) unsafe fn bytes<'a>(data: *const u8, len: usize, what: &str) -> Outcome<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        let text = format!("{what} is NULL with a length of {len}");
        return Err(Refusal::argument(text).because(Reason::NullPointer));
    }
    if isize::try_from(len).is_err() {
        let text = format!("{what} is longer than memory can be");
        return Err(Refusal::argument(text).because(Reason::TooLong));
    }
    // SAFETY: not NULL, and `len` bytes, says the caller.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

/// A text given by pointer and length, as names of files are.
///
/// # Safety
/// As `bytes`.
pub(super) unsafe fn name<'a>(data: *const c_char, len: usize, what: &str) -> Outcome<&'a str> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(data.cast(), len, what) }?;
    std::str::from_utf8(bytes).map_err(|why| not_utf8(what, why.valid_up_to()))
}

/// An object that a call takes as an argument beside its handle.
///
/// # Safety
/// `pointer` is NULL or valid for the call.
pub(super) unsafe fn object<'a, T>(pointer: *const T, what: &str) -> Outcome<&'a T> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(what))
}

/// An output that makes no sense to leave out.
pub(super) fn wanted<T>(out: *mut T) -> Outcome {
    match out.is_null() {
        true => Err(null("output")),
        false => Ok(()),
    }
}

/// Writes an output, unless the caller does not want it.
///
/// # Safety
/// `out` is NULL or valid for a write.
pub(super) unsafe fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: the caller's promise.
        unsafe { out.write(value) };
    }
}

/// A bound on a wait: -1 is none.
pub(super) fn timeout(milliseconds: i64) -> Outcome<Option<Duration>> {
    match u64::try_from(milliseconds) {
        Ok(milliseconds) => Ok(Some(Duration::from_millis(milliseconds))),
        Err(_) if milliseconds == -1 => Ok(None),
        Err(_) => {
            let text = format!("timeout is {milliseconds}, must be -1 or at least 0");
            Err(Refusal::argument(text).because(Reason::OutOfRange))
        }
    }
}

/// Whole milliseconds, rounded up: what is asked to wait that long has waited long enough.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// A text of ours for the host: without control characters, so NUL-terminated without loss.
pub(super) fn line(text: &str) -> CString {
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    CString::new(clean).unwrap_or_default()
}
