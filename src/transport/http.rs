//! Plain HTTP: one POST at a time over a kept connection.

use std::sync::Arc;

use super::{Answer, FailKind, Failure, Reached, Request, Settings, Traffic, Wake, Watch};

/// The transport for http and https endpoints. Used by one thread, the worker.
pub struct Http {
    traffic: Arc<Traffic>,
    _settings: Settings,
    _wake: Wake,
    _watch: Arc<dyn Watch>,
}

impl Http {
    /// Opens nothing; the first exchange connects.
    pub fn new(settings: Settings, wake: Wake, watch: Arc<dyn Watch>) -> Http {
        Http {
            traffic: Arc::default(),
            _settings: settings,
            _wake: wake,
            _watch: watch,
        }
    }

    /// Blocks until the answer, a failure, a deadline, or the watch's `Break`. On a kept connection
    /// when there is one; else it connects.
    pub fn exchange(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        let _ = request;
        self.traffic.on_exchange();
        Err(Failure::new(
            FailKind::Connect,
            Reached::No,
            "not connected",
        ))
    }

    /// Drops the kept connection and what is known of the server's addresses; the next exchange
    /// connects anew.
    pub fn forget(&mut self) {}

    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }
}
