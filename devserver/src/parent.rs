//! Noticing that the process that wanted this server is gone.
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};
use tokio::sync::oneshot;

/// The process that started this one, unless that is init.
pub(crate) fn parent() -> Option<u32> {
    let parent = getppid()?.as_raw_nonzero().get();
    u32::try_from(parent).ok().filter(|pid| *pid > 1)
}

/// Returns when that process has ended, at once when there is none.
///
/// PR_SET_PDEATHSIG would not do: it follows the thread that started us, which in a test may end
/// early.
pub(crate) async fn ended(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(descriptor) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
        return;
    };
    let (tell, told) = oneshot::channel();
    // A thread of its own, which the end of the runtime does not wait for.
    thread::spawn(move || {
        let mut ends = [PollFd::new(&descriptor, PollFlags::IN)];
        while poll(&mut ends, None).is_err() {}
        let _ = tell.send(());
    });
    let _ = told.await;
}
