//! Gives the touched but unused part of a thread's stack back before a long rest.

use std::mem::MaybeUninit;

/// Below the present frame this much is left alone: the calls that lead into the wait.
const MARGIN: usize = 8 << 10;

/// The lowest address of this thread's stack; asked for once per thread.
#[allow(unsafe_code)]
pub(crate) fn lowest() -> Option<usize> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut address, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes are initialised by getattr before they are read, and destroyed once.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let status = libc::pthread_attr_getstack(attributes.as_ptr(), &mut address, &mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        (status == 0).then_some(address as usize)
    }
}

/// Returns the pages between `lowest` and the present frame to the system. Only for a thread whose
/// stack begins at `lowest`.
#[allow(unsafe_code)]
#[inline(never)]
pub(crate) fn give_back(lowest: usize) {
    const PAGE: usize = 4096;
    let here = &raw const lowest as usize;
    let end = here.saturating_sub(MARGIN) & !(PAGE - 1);
    let start = lowest.next_multiple_of(PAGE);
    if end > start {
        // SAFETY: private anonymous memory of this thread's own stack, below everything in use; the kernel gives zeros
        // when it is touched again.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}
