//! What a plan is made of.
use std::time::Duration;

use bytes::Bytes;

use crate::vocabulary::cut::{How, Pace};

/// One thing to do with a connection.
#[derive(Debug)]
pub(crate) enum Step {
    Write(Bytes),
    Pause(Duration),
    Dribble(Bytes, Pace),
    /// That piece again and again, without an end.
    Endless(Bytes, Duration),
    /// Nothing more, until the peer goes.
    Stall,
    End(How),
}
