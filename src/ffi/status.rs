//! Status codes and what a refused call carries with it.

use crate::agent::{Code, Error, Kind, Reason};

/// What a call answers: 0 is good, negative is bad, never positive. One of `enum
/// opamp_status_code`; later releases may add codes, so treat an unknown negative one as a failure.
#[allow(non_camel_case_types)]
pub type opamp_status = i32;

/// The codes of opamp_status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_status_code {
    /// Done.
    OPAMP_OK = 0,
    /// A pointer, length, text or value that can not be right.
    OPAMP_E_INVALID_ARG = -1,
    /// Not now: already started, not running, already ended, frozen, or settings are fixed while an
    /// agent runs.
    OPAMP_E_STATE = -2,
    /// The bound passed; the handle is good, call again.
    OPAMP_E_TIMEOUT = -3,
    /// The handle belongs to the process that this one was forked from.
    OPAMP_E_FORKED = -4,
    /// This build or this host lacks it.
    OPAMP_E_UNSUPPORTED = -5,
    /// Beyond a limit, or more memory than there is.
    OPAMP_E_TOO_LARGE = -6,
    /// A bounded queue is full; take some events first.
    OPAMP_E_AGAIN = -7,
    /// A bug in the library; the handle is good for its free function only.
    OPAMP_E_PANIC = -8,
    /// No entry of that name, position or number.
    OPAMP_E_NOT_FOUND = -9,
    /// The value is kept, but no declared capability covers it; it goes out once one does.
    OPAMP_E_CAPABILITY = -10,
    /// No descriptor or thread to be had.
    OPAMP_E_RESOURCE = -11,
    /// An exchange with the server failed; opamp_error_kind says where.
    OPAMP_E_FAILED = -12,
}

pub(super) use opamp_status_code::*;

impl From<Code> for opamp_status_code {
    fn from(code: Code) -> Self {
        match code {
            Code::InvalidArg => OPAMP_E_INVALID_ARG,
            Code::State => OPAMP_E_STATE,
            Code::Timeout => OPAMP_E_TIMEOUT,
            Code::Unsupported => OPAMP_E_UNSUPPORTED,
            Code::TooLarge => OPAMP_E_TOO_LARGE,
            Code::Again => OPAMP_E_AGAIN,
            Code::NotFound => OPAMP_E_NOT_FOUND,
            Code::Capability => OPAMP_E_CAPABILITY,
            Code::Resource => OPAMP_E_RESOURCE,
            Code::Failed => OPAMP_E_FAILED,
        }
    }
}

/// A call that did not do what it was asked: the code it answers, and the explanation for an
/// `opamp_error`.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: opamp_status_code,
    pub(super) reason: Reason,
    pub(super) why: Why,
}

#[derive(Debug)]
pub(super) enum Why {
    Error(Error),
    Text(Kind, String),
}

pub(super) type Outcome<T = ()> = Result<T, Refusal>;

impl Refusal {
    pub(super) fn new(code: opamp_status_code, text: impl Into<String>) -> Self {
        Self {
            code,
            reason: Reason::None,
            why: Why::Text(Kind::Argument, text.into()),
        }
    }

    pub(super) fn because(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }

    pub(super) fn argument(text: impl Into<String>) -> Self {
        Self::new(OPAMP_E_INVALID_ARG, text)
    }

    pub(super) fn bug(text: impl Into<String>) -> Self {
        Self {
            code: OPAMP_E_PANIC,
            reason: Reason::None,
            why: Why::Text(Kind::Bug, text.into()),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            code: error.code.into(),
            reason: error.reason,
            why: Why::Error(error),
        }
    }
}
