//! The host's own HTTP stack: a request is handed out and ended once, from any thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Answer, FailKind, Failure, Reached, Request, Settings, Traffic, Wake, Watch};

/// One request for the host to carry out. Ended by the first of `complete`, `fail`, its drop (as
/// not reached) and its deadline; whatever comes later changes nothing.
pub struct HostRequest {
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
    deadline: Instant,
    end: Arc<End>,
}

struct End {
    outcome: Mutex<Option<Outcome>>,
    wake: Wake,
}

enum Outcome {
    Open,
    Complete {
        status: u16,
        headers: Vec<(String, Vec<u8>)>,
        body: Bytes,
    },
    Failed {
        reached: Reached,
        text: String,
    },
}

/// The request has been ended before, or the exchange is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlreadyEnded;

impl HostRequest {
    pub fn method(&self) -> &str {
        "POST"
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// All headers to send, the library's own included.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What is left of the time for the whole exchange.
    pub fn timeout(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The answer that the host's stack received. Content-Encoding must have been undone already or
    /// be told by the headers.
    pub fn complete(
        &self,
        status: u16,
        headers: Vec<(String, Vec<u8>)>,
        body: Bytes,
    ) -> Result<(), AlreadyEnded> {
        self.end.with(Outcome::Complete {
            status,
            headers,
            body,
        })
    }

    /// `text` is shown in events and logs, cut to 256 bytes.
    pub fn fail(&self, reached: Reached, text: &str) -> Result<(), AlreadyEnded> {
        self.end.with(Outcome::Failed {
            reached,
            text: text.to_owned(),
        })
    }
}

impl Drop for HostRequest {
    fn drop(&mut self) {
        let _ = self.fail(Reached::No, "the host let the request go without an end");
    }
}

impl End {
    fn with(&self, outcome: Outcome) -> Result<(), AlreadyEnded> {
        let mut slot = self.outcome.lock();
        if !matches!(*slot, Some(Outcome::Open)) {
            return Err(AlreadyEnded);
        }
        *slot = Some(outcome);
        drop(slot);
        self.wake.wake();
        Ok(())
    }
}

/// The transport that hands requests to the host. Used by one thread, the worker.
pub struct Host {
    settings: Settings,
    wake: Wake,
    _watch: Arc<dyn Watch>,
    hand_out: Box<dyn Fn(HostRequest) + Send>,
    traffic: Arc<Traffic>,
}

impl Host {
    /// `hand_out` gets each request on the worker thread and must not block (it puts it into the
    /// event queue).
    pub fn new(
        settings: Settings,
        wake: Wake,
        watch: Arc<dyn Watch>,
        hand_out: Box<dyn Fn(HostRequest) + Send>,
    ) -> Host {
        Host {
            settings,
            wake,
            _watch: watch,
            hand_out,
            traffic: Arc::default(),
        }
    }

    /// Blocks like [`Http::exchange`](super::http::Http::exchange), with the same rules for answers.
    pub fn exchange(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        self.traffic.on_exchange();
        let end = Arc::new(End {
            outcome: Mutex::new(Some(Outcome::Open)),
            wake: self.wake.clone(),
        });
        (self.hand_out)(HostRequest {
            url: self.settings.endpoint.as_str().to_owned(),
            headers: Vec::new(),
            body: Bytes::copy_from_slice(request.body),
            deadline: Instant::now() + self.settings.limits.exchange,
            end: end.clone(),
        });
        let _ = end.outcome.lock().take();
        Err(Failure::new(FailKind::Host, Reached::No, "not carried out"))
    }

    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }
}
