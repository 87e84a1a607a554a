//! Which capabilities this release knows, and what each needs of the host.

use super::{
    error::{Code, Error, Kind, Result},
    event::EventKind,
    reason::Reason,
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

/// The names by bit, as in the header behind `OPAMP_CAPABILITY_`.
const NAMES: [&str; 16] = [
    "REPORTS_STATUS",
    "ACCEPTS_REMOTE_CONFIG",
    "REPORTS_EFFECTIVE_CONFIG",
    "ACCEPTS_PACKAGES",
    "REPORTS_PACKAGE_STATUSES",
    "REPORTS_OWN_TRACES",
    "REPORTS_OWN_METRICS",
    "REPORTS_OWN_LOGS",
    "ACCEPTS_OPAMP_CONNECTION_SETTINGS",
    "ACCEPTS_OTHER_CONNECTION_SETTINGS",
    "ACCEPTS_RESTART_COMMAND",
    "REPORTS_HEALTH",
    "REPORTS_REMOTE_CONFIG",
    "REPORTS_HEARTBEAT",
    "REPORTS_AVAILABLE_COMPONENTS",
    "REPORTS_CONNECTION_SETTINGS_STATUS",
];

/// The names of these bits, as `A, B`.
pub(crate) fn names(bits: u64) -> String {
    let is_set = |(bit, _): &(usize, &&str)| bits & (1 << bit) != 0;
    let names = NAMES.iter().enumerate().filter(is_set);
    names.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

/// Are these bits a declaration that this release can honour?
pub(crate) fn check(bits: u64) -> Result<()> {
    if bits & !DEFINED != 0 {
        let text = format!("capability bits {:#x} are undefined", bits & !DEFINED);
        return Err(Error::argument(text)
            .because(Reason::UnknownCapability)
            .about(bits & !DEFINED));
    }
    if bits & REPORTS_STATUS == 0 {
        let text = "capabilities must include REPORTS_STATUS";
        return Err(Error::argument(text)
            .because(Reason::CapabilityMissing)
            .about(REPORTS_STATUS));
    }
    if bits & !BUILT != 0 {
        let text = format!(
            "libopamp {} does not have the capability {}",
            env!("CARGO_PKG_VERSION"),
            names(bits & !BUILT)
        );
        return Err(Error::new(Code::Unsupported, Kind::Argument, text)
            .because(Reason::CapabilityUnsupported)
            .about(bits & !BUILT));
    }
    Ok(())
}

/// Can a host that hears these kinds of events serve them?
pub(crate) fn check_served(bits: u64, served: u64) -> Result<()> {
    if bits & !served != 0 {
        let text = "the capability ACCEPTS_REMOTE_CONFIG needs the callback on_message";
        return Err(Error::argument(text)
            .because(Reason::NeedsOnMessage)
            .about(bits & !served));
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
