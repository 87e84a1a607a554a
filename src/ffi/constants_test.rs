//! The header's numbers are the agent's and the protocol's.

use super::{constants::*, error::opamp_error_kind_code::*, event::opamp_event_kind_code::*};
use crate::{
    agent::{
        EventKind, Kind, Level,
        snapshot::{Field, part_bits, wait_reason},
    },
    proto::{
        AgentCapabilities, RemoteConfigStatuses, ServerCapabilities, ServerErrorResponseType,
        ServerToAgentFlags,
    },
    protocol::{MessageParts, Part, Parts, Timer},
};

macro_rules! same {
    ($($ours:expr => $theirs:expr;)*) => {
        $(assert_eq!($ours as u64, $theirs as u64, stringify!($ours));)*
    };
}

#[test]
fn capabilities_are_those_of_the_wire() {
    use opamp_capability::*;
    same! {
        OPAMP_CAPABILITY_REPORTS_STATUS => AgentCapabilities::ReportsStatus;
        OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG => AgentCapabilities::AcceptsRemoteConfig;
        OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG => AgentCapabilities::ReportsEffectiveConfig;
        OPAMP_CAPABILITY_ACCEPTS_PACKAGES => AgentCapabilities::AcceptsPackages;
        OPAMP_CAPABILITY_REPORTS_PACKAGE_STATUSES => AgentCapabilities::ReportsPackageStatuses;
        OPAMP_CAPABILITY_REPORTS_OWN_TRACES => AgentCapabilities::ReportsOwnTraces;
        OPAMP_CAPABILITY_REPORTS_OWN_METRICS => AgentCapabilities::ReportsOwnMetrics;
        OPAMP_CAPABILITY_REPORTS_OWN_LOGS => AgentCapabilities::ReportsOwnLogs;
        OPAMP_CAPABILITY_ACCEPTS_OPAMP_CONNECTION_SETTINGS => AgentCapabilities::AcceptsOpAmpConnectionSettings;
        OPAMP_CAPABILITY_ACCEPTS_OTHER_CONNECTION_SETTINGS => AgentCapabilities::AcceptsOtherConnectionSettings;
        OPAMP_CAPABILITY_ACCEPTS_RESTART_COMMAND => AgentCapabilities::AcceptsRestartCommand;
        OPAMP_CAPABILITY_REPORTS_HEALTH => AgentCapabilities::ReportsHealth;
        OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG => AgentCapabilities::ReportsRemoteConfig;
        OPAMP_CAPABILITY_REPORTS_HEARTBEAT => AgentCapabilities::ReportsHeartbeat;
        OPAMP_CAPABILITY_REPORTS_AVAILABLE_COMPONENTS => AgentCapabilities::ReportsAvailableComponents;
        OPAMP_CAPABILITY_REPORTS_CONNECTION_SETTINGS_STATUS => AgentCapabilities::ReportsConnectionSettingsStatus;
    }
}

#[test]
fn what_a_server_says_is_as_on_the_wire() {
    use {
        opamp_message_flag::*, opamp_remote_config_state::*, opamp_server_capability::*,
        opamp_server_error_type::*,
    };
    same! {
        OPAMP_SERVER_CAPABILITY_ACCEPTS_STATUS => ServerCapabilities::AcceptsStatus;
        OPAMP_SERVER_CAPABILITY_OFFERS_REMOTE_CONFIG => ServerCapabilities::OffersRemoteConfig;
        OPAMP_SERVER_CAPABILITY_ACCEPTS_EFFECTIVE_CONFIG => ServerCapabilities::AcceptsEffectiveConfig;
        OPAMP_SERVER_CAPABILITY_OFFERS_PACKAGES => ServerCapabilities::OffersPackages;
        OPAMP_SERVER_CAPABILITY_ACCEPTS_PACKAGES_STATUS => ServerCapabilities::AcceptsPackagesStatus;
        OPAMP_SERVER_CAPABILITY_OFFERS_CONNECTION_SETTINGS => ServerCapabilities::OffersConnectionSettings;
        OPAMP_SERVER_CAPABILITY_ACCEPTS_CONNECTION_SETTINGS_REQUEST => ServerCapabilities::AcceptsConnectionSettingsRequest;
        OPAMP_MESSAGE_FLAG_REPORT_FULL_STATE => ServerToAgentFlags::ReportFullState;
        OPAMP_MESSAGE_FLAG_REPORT_AVAILABLE_COMPONENTS => ServerToAgentFlags::ReportAvailableComponents;
        OPAMP_SERVER_ERROR_UNKNOWN => ServerErrorResponseType::Unknown;
        OPAMP_SERVER_ERROR_BAD_REQUEST => ServerErrorResponseType::BadRequest;
        OPAMP_SERVER_ERROR_UNAVAILABLE => ServerErrorResponseType::Unavailable;
        OPAMP_REMOTE_CONFIG_UNSET => RemoteConfigStatuses::Unset;
        OPAMP_REMOTE_CONFIG_APPLIED => RemoteConfigStatuses::Applied;
        OPAMP_REMOTE_CONFIG_APPLYING => RemoteConfigStatuses::Applying;
        OPAMP_REMOTE_CONFIG_FAILED => RemoteConfigStatuses::Failed;
        opamp_message_part::OPAMP_MESSAGE_PART_REMOTE_CONFIG => MessageParts::REMOTE_CONFIG.0;
    }
}

#[test]
fn events_levels_and_errors_are_the_agents() {
    use opamp_log_level::*;
    same! {
        OPAMP_EVENT_CONNECTED => EventKind::CONNECTED;
        OPAMP_EVENT_CONNECT_FAILED => EventKind::CONNECT_FAILED;
        OPAMP_EVENT_SERVER_ERROR => EventKind::SERVER_ERROR;
        OPAMP_EVENT_MESSAGE => EventKind::MESSAGE;
        OPAMP_EVENT_REQUEST => EventKind::REQUEST;
        OPAMP_EVENT_SEND_DONE => EventKind::SEND_DONE;
        OPAMP_EVENT_REDIRECT => EventKind::REDIRECT;
        OPAMP_EVENT_NEW_INSTANCE_UID => EventKind::NEW_UID;
        OPAMP_EVENT_WARNING => EventKind::WARNING;
        OPAMP_EVENT_LOG => EventKind::LOG;
        OPAMP_EVENT_STOPPED => EventKind::STOPPED;
        OPAMP_ERROR_NONE => Kind::None;
        OPAMP_ERROR_TLS => Kind::Tls;
        OPAMP_ERROR_HTTP_STATUS => Kind::HttpStatus;
        OPAMP_ERROR_ARGUMENT => Kind::Argument;
        OPAMP_LOG_OFF => Level::Off;
        OPAMP_LOG_ERROR => Level::Error;
        OPAMP_LOG_WARN => Level::Warn;
        OPAMP_LOG_INFO => Level::Info;
        OPAMP_LOG_DEBUG => Level::Debug;
    }
}

#[test]
fn snapshots_have_the_cores_numbers() {
    use {opamp_part::*, opamp_snapshot_field::*, opamp_wait_reason::*};
    same! {
        OPAMP_SNAPSHOT_STATE => Field::State;
        OPAMP_SNAPSHOT_NEXT_TRY_MS => Field::NextMs;
        OPAMP_SNAPSHOT_NEXT_TRY_REASON => Field::NextReason;
        OPAMP_SNAPSHOT_SEQUENCE_NUM => Field::SequenceNum;
        OPAMP_SNAPSHOT_HELD_BACK => Field::HeldBack;
        OPAMP_SNAPSHOT_EVENTS_WAITING => Field::EventsWaiting;
        OPAMP_SNAPSHOT_CONNECTIONS => Field::Connections;
        OPAMP_SNAPSHOT_LAST_ERROR_AGE_MS => Field::LastErrorAgeMs;
        OPAMP_PART_DESCRIPTION => part_bits(Parts::of(Part::Description));
        OPAMP_PART_EFFECTIVE_CONFIG => part_bits(Parts::of(Part::EffectiveConfig));
        OPAMP_PART_REMOTE_CONFIG_STATUS => part_bits(Parts::of(Part::RemoteConfigStatus));
        OPAMP_PART_CAPABILITIES => part_bits(Parts::of(Part::Capabilities));
        OPAMP_WAIT_STOP => wait_reason(Timer::Stop).0;
        OPAMP_WAIT_CLOSE => wait_reason(Timer::CloseWait).0;
        OPAMP_WAIT_EXCHANGE => wait_reason(Timer::Exchange).0;
        OPAMP_WAIT_RESPONSE => wait_reason(Timer::Response).0;
        OPAMP_WAIT_CONFIG_STATUS => wait_reason(Timer::ConfigStatus).0;
        OPAMP_WAIT_HEARTBEAT => wait_reason(Timer::Heartbeat).0;
        OPAMP_WAIT_CHANGE => wait_reason(Timer::Change).0;
        OPAMP_WAIT_FULL_REPORT => wait_reason(Timer::FullReport).0;
        OPAMP_WAIT_BACKOFF => wait_reason(Timer::Backoff).0;
        OPAMP_WAIT_NEXT_POLL => wait_reason(Timer::NextPoll).0;
        OPAMP_WAIT_RETRY_AFTER => wait_reason(Timer::RetryAfter).0;
        OPAMP_WAIT_TELL => wait_reason(Timer::Tell).0;
    }
}
