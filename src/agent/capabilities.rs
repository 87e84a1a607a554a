//! Which capabilities this release knows, and what each needs of the host.

use super::{
    error::{Code, Error, Kind, Result},
    event::EventKind,
};
use crate::proto::AgentCapabilities as Wire;

pub(crate) const REPORTS_EFFECTIVE_CONFIG: u64 = Wire::ReportsEffectiveConfig as u64;
pub(crate) const REPORTS_REMOTE_CONFIG: u64 = Wire::ReportsRemoteConfig as u64;
const ACCEPTS_REMOTE_CONFIG: u64 = Wire::AcceptsRemoteConfig as u64;
const REPORTS_STATUS: u64 = Wire::ReportsStatus as u64;

/// Nothing that gives the server power is on by itself.
pub(crate) const DEFAULT: u64 = REPORTS_STATUS | Wire::ReportsHeartbeat as u64;

const BUILT: u64 =
    DEFAULT | ACCEPTS_REMOTE_CONFIG | REPORTS_EFFECTIVE_CONFIG | REPORTS_REMOTE_CONFIG;
const DEFINED: u64 = (1 << 16) - 1;

/// Are these bits a declaration that this release can honour?
pub(crate) fn check(bits: u64) -> Result<()> {
    if bits & !DEFINED != 0 {
        return Err(Error::argument("a capability bit is not defined"));
    }
    if bits & REPORTS_STATUS == 0 {
        return Err(Error::argument("capabilities must include ReportsStatus"));
    }
    if bits & !BUILT != 0 {
        return Err(Error::new(
            Code::Unsupported,
            Kind::Argument,
            "this release does not have a declared capability",
        ));
    }
    Ok(())
}

/// Can a host that hears these kinds of events serve them?
pub(crate) fn check_served(bits: u64, served: u64) -> Result<()> {
    if bits & !served != 0 {
        return Err(Error::argument("AcceptsRemoteConfig needs on_message"));
    }
    Ok(())
}

/// The capabilities that a host can serve which hears what `hears` says.
pub(crate) fn served_by(hears: impl Fn(i32) -> bool) -> u64 {
    let mut served = BUILT;
    if !hears(EventKind::MESSAGE) {
        served &= !ACCEPTS_REMOTE_CONFIG;
    }
    served
}
