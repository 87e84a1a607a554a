//! What each exported function answers where a call is not plain sailing: one row each. The guard
//! obeys the last three columns; a test makes every call live and checks all five, and another
//! fails for an exported symbol without a row.

/// Inside a callback of the same agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Callback {
    Works,
    /// OPAMP_E_STATE: the agent runs, or this thread is inside its dispatch.
    Busy,
    /// Becomes a request; OPAMP_E_TIMEOUT at once.
    Asks,
    /// Is done when the callback has returned.
    Later,
}

/// On an agent that was stopped, or on a client whose agents were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stopped {
    Works,
    /// OPAMP_E_STATE.
    Refused,
}

/// With a handle that a fork brought along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Child {
    Works,
    /// OPAMP_E_FORKED; functions without a status answer NULL or 0, or do nothing.
    Refused,
}

/// With a NULL handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Null {
    /// OPAMP_E_INVALID_ARG.
    Refused,
    /// NULL, 0 or nothing.
    Nothing,
    /// It takes no handle.
    Absent,
}

/// On a handle that a bug poisoned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Poisoned {
    Works,
    /// OPAMP_E_PANIC; functions without a status answer NULL or 0.
    Refused,
}

/// The row of one exported function.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: &'static str,
    #[cfg_attr(not(test), allow(dead_code))] // the agent answers; the test compares
    pub(super) callback: Callback,
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) stopped: Stopped,
    pub(super) child: Child,
    pub(super) null: Null,
    pub(super) poisoned: Poisoned,
}

macro_rules! calls {
    ($($row:ident $name:literal $callback:ident $stopped:ident $child:ident $null:ident $poisoned:ident;)*) => {
        $(pub(super) static $row: Call = Call {
            name: $name,
            callback: Callback::$callback,
            stopped: Stopped::$stopped,
            child: Child::$child,
            null: Null::$null,
            poisoned: Poisoned::$poisoned,
        };)*

        /// All rows, in the header's order.
        #[cfg(test)]
        pub(super) static TABLE: &[&Call] = &[$(&$row),*];
    };
}

#[rustfmt::skip]
calls! {
    // row                               function                                       callback
    // stopped child NULL  poisoned
    VERSION                              "opamp_version"                                Works Works   Works   Absent  Works;
    STATUS_NAME                          "opamp_status_name"                            Works Works   Works   Absent  Works;
    ERROR_KIND_NAME                      "opamp_error_kind_name"                        Works Works   Works   Absent  Works;
    ERROR_REASON_NAME                    "opamp_error_reason_name"                      Works Works   Works   Absent  Works;
    EVENT_KIND_NAME                      "opamp_event_kind_name"                        Works Works   Works   Absent  Works;
    SET_LOG                              "opamp_set_log_callback"                                Works Works   Works   Absent  Works;
    CLIENT_NEW                           "opamp_client_new"                             Works Works   Works   Absent  Works;
    CLIENT_REF                           "opamp_client_ref"                             Works Works   Refused Nothing Refused;
    CLIENT_UNREF                         "opamp_client_unref"                           Works Works   Refused Nothing Works;
    CLIENT_SET_ENDPOINT                  "opamp_client_set_endpoint"                    Busy  Works   Refused Refused Refused;
    CLIENT_SET_INSTANCE_UID              "opamp_client_set_instance_uid"                Busy  Works   Refused Refused Refused;
    CLIENT_INSTANCE_UID                  "opamp_client_instance_uid"                    Works Works   Refused Refused Refused;
    CLIENT_REQUEST_INSTANCE_UID          "opamp_client_request_instance_uid"            Works Works   Refused Refused Refused;
    CLIENT_SET_HEADER                    "opamp_client_set_header"                      Works Works   Refused Refused Refused;
    CLIENT_SET_USER_AGENT_PREFIX         "opamp_client_set_user_agent_prefix"           Busy  Works   Refused Refused Refused;
    CLIENT_USE_HOST_TRANSPORT            "opamp_client_use_custom_transport"              Busy  Works   Refused Refused Refused;
    CLIENT_SET_PROXY                     "opamp_client_set_proxy"                       Busy  Works   Refused Refused Refused;
    CLIENT_SET_PROXY_HEADER              "opamp_client_set_proxy_header"                Busy  Works   Refused Refused Refused;
    CLIENT_USE_PROXY_ENVIRONMENT         "opamp_client_use_proxy_environment"           Busy  Works   Refused Refused Refused;
    CLIENT_ALLOW_REDIRECT_TO             "opamp_client_allow_redirect_to"               Busy  Works   Refused Refused Refused;
    CLIENT_SET_CA_FILE                   "opamp_client_set_ca_file"                     Busy  Works   Refused Refused Refused;
    CLIENT_SET_CA_DIR                    "opamp_client_set_ca_dir"                      Busy  Works   Refused Refused Refused;
    CLIENT_SET_CA_PEM                    "opamp_client_set_ca_pem"                      Busy  Works   Refused Refused Refused;
    CLIENT_SET_CLIENT_CERTIFICATE_FILES  "opamp_client_set_client_certificate_files"    Busy  Works   Refused Refused Refused;
    CLIENT_SET_CLIENT_CERTIFICATE_PEM    "opamp_client_set_client_certificate_pem"      Busy  Works   Refused Refused Refused;
    CLIENT_SET_INSECURE_SKIP_VERIFY      "opamp_client_set_insecure_skip_verify"        Busy  Works   Refused Refused Refused;
    CLIENT_SET_CAPABILITIES              "opamp_client_set_capabilities"                Works Works   Refused Refused Refused;
    CLIENT_CAPABILITIES                  "opamp_client_capabilities"                    Works Works   Refused Refused Refused;
    CLIENT_SET_DESCRIPTION               "opamp_client_set_description"                 Works Works   Refused Refused Refused;
    CLIENT_SET_EFFECTIVE_CONFIG          "opamp_client_set_effective_config"            Works Works   Refused Refused Refused;
    CLIENT_SET_REMOTE_CONFIG_STATUS      "opamp_client_set_remote_config_status"        Works Works   Refused Refused Refused;
    CLIENT_SET_OPTION                    "opamp_client_set_option"                      Busy  Works   Refused Refused Refused;
    CLIENT_OPTION                        "opamp_client_option"                          Works Works   Refused Refused Refused;
    CLIENT_EXCHANGE                      "opamp_client_exchange"                        Busy  Works   Refused Refused Refused;
    ATTRIBUTES_NEW                       "opamp_attributes_new"                         Works Works   Works   Absent  Works;
    ATTRIBUTES_FREE                      "opamp_attributes_free"                        Works Works   Refused Nothing Works;
    ATTRIBUTES_SET_STRING                "opamp_attributes_set_string"                  Works Works   Works   Refused Refused;
    ATTRIBUTES_SET_BOOL                  "opamp_attributes_set_bool"                    Works Works   Works   Refused Refused;
    ATTRIBUTES_SET_INT                   "opamp_attributes_set_int"                     Works Works   Works   Refused Refused;
    ATTRIBUTES_SET_DOUBLE                "opamp_attributes_set_double"                  Works Works   Works   Refused Refused;
    ATTRIBUTES_SET_BYTES                 "opamp_attributes_set_bytes"                   Works Works   Works   Refused Refused;
    ATTRIBUTES_SET_EMPTY                 "opamp_attributes_set_empty"                   Works Works   Works   Refused Refused;
    ATTRIBUTES_SET_ARRAY                 "opamp_attributes_set_array"                   Works Works   Works   Refused Refused;
    ATTRIBUTES_SET_MAP                   "opamp_attributes_set_map"                     Works Works   Works   Refused Refused;
    ARRAY_NEW                            "opamp_array_new"                              Works Works   Works   Absent  Works;
    ARRAY_FREE                           "opamp_array_free"                             Works Works   Refused Nothing Works;
    ARRAY_ADD_STRING                     "opamp_array_add_string"                       Works Works   Works   Refused Refused;
    ARRAY_ADD_BOOL                       "opamp_array_add_bool"                         Works Works   Works   Refused Refused;
    ARRAY_ADD_INT                        "opamp_array_add_int"                          Works Works   Works   Refused Refused;
    ARRAY_ADD_DOUBLE                     "opamp_array_add_double"                       Works Works   Works   Refused Refused;
    ARRAY_ADD_BYTES                      "opamp_array_add_bytes"                        Works Works   Works   Refused Refused;
    ARRAY_ADD_EMPTY                      "opamp_array_add_empty"                        Works Works   Works   Refused Refused;
    ARRAY_ADD_ARRAY                      "opamp_array_add_array"                        Works Works   Works   Refused Refused;
    ARRAY_ADD_MAP                        "opamp_array_add_map"                          Works Works   Works   Refused Refused;
    CONFIG_MAP_NEW                       "opamp_config_map_new"                         Works Works   Works   Absent  Works;
    CONFIG_MAP_DECODE                    "opamp_config_map_decode"                      Works Works   Works   Absent  Works;
    CONFIG_MAP_ADD                       "opamp_config_map_add"                         Works Works   Works   Refused Refused;
    CONFIG_MAP_REF                       "opamp_config_map_ref"                         Works Works   Works   Nothing Refused;
    CONFIG_MAP_UNREF                     "opamp_config_map_unref"                       Works Works   Refused Nothing Works;
    CONFIG_MAP_LEN                       "opamp_config_map_len"                         Works Works   Works   Nothing Refused;
    CONFIG_MAP_AT                        "opamp_config_map_at"                          Works Works   Works   Refused Refused;
    CONFIG_MAP_GET                       "opamp_config_map_get"                         Works Works   Works   Refused Refused;
    ERROR_CODE                           "opamp_error_code"                             Works Works   Works   Refused Refused;
    ERROR_KIND                           "opamp_error_kind"                             Works Works   Works   Nothing Refused;
    ERROR_REASON                         "opamp_error_reason"                           Works Works   Works   Nothing Refused;
    ERROR_CAPABILITIES                   "opamp_error_capabilities"                     Works Works   Works   Nothing Refused;
    ERROR_SERVER_TYPE                    "opamp_error_server_type"                      Works Works   Works   Refused Refused;
    ERROR_SERVER_MESSAGE                 "opamp_error_server_message"                   Works Works   Works   Nothing Refused;
    ERROR_HTTP_STATUS                    "opamp_error_http_status"                      Works Works   Works   Nothing Refused;
    ERROR_TEXT                           "opamp_error_text"                             Works Works   Works   Nothing Refused;
    ERROR_RETRY_IN_MS                    "opamp_error_retry_in_ms"                      Works Works   Works   Refused Refused;
    ERROR_REF                            "opamp_error_ref"                              Works Works   Works   Nothing Refused;
    ERROR_FREE                           "opamp_error_free"                             Works Works   Refused Nothing Works;
    CALLBACKS_INIT                       "opamp_callbacks_init"                         Works Works   Works   Absent  Works;
    AGENT_NEW                            "opamp_agent_new"                              Works Works   Refused Refused Refused;
    AGENT_FREE                           "opamp_agent_free"                             Later Works   Refused Nothing Works;
    AGENT_SET_DELIVERY                   "opamp_agent_set_delivery"                     Busy  Works   Refused Refused Refused;
    AGENT_SET_NAME                       "opamp_agent_set_name"                         Busy  Works   Refused Refused Refused;
    AGENT_SET_LOG_EVENTS                 "opamp_agent_set_log_events"                   Busy  Works   Refused Refused Refused;
    AGENT_SET_INTERVAL                   "opamp_agent_set_heartbeat_interval"                     Works Works   Refused Refused Refused;
    AGENT_START                          "opamp_agent_start"                            Busy  Works   Refused Refused Refused;
    AGENT_REQUEST_STOP                   "opamp_agent_request_stop"                     Works Works   Refused Refused Refused;
    AGENT_STOP                           "opamp_agent_stop"                             Asks  Works   Refused Refused Refused;
    AGENT_DETACH                         "opamp_agent_detach"                           Asks  Works   Refused Refused Refused;
    AGENT_POLL_NOW                       "opamp_agent_poll_now"                         Works Refused Refused Refused Refused;
    AGENT_REPORT_FULL_STATE              "opamp_agent_report_full_state"                Works Refused Refused Refused Refused;
    AGENT_RECONNECT                      "opamp_agent_reconnect"                        Works Refused Refused Refused Refused;
    AGENT_FLUSH                          "opamp_agent_flush"                            Works Refused Refused Refused Refused;
    AGENT_SEND                           "opamp_agent_send"                             Works Refused Refused Refused Refused;
    AGENT_POLL_FD                        "opamp_agent_poll_fd"                          Works Works   Refused Refused Refused;
    AGENT_DISPATCH                       "opamp_agent_dispatch"                         Busy  Refused Refused Refused Works;
    AGENT_NEXT_EVENT                     "opamp_agent_next_event"                       Works Refused Refused Refused Works;
    AGENT_SNAPSHOT                       "opamp_agent_snapshot"                         Works Works   Refused Refused Refused;
    EVENT_KIND                           "opamp_event_kind"                             Works Works   Works   Nothing Refused;
    EVENT_MESSAGE                        "opamp_event_message"                          Works Works   Works   Nothing Refused;
    EVENT_ERROR                          "opamp_event_error"                            Works Works   Works   Nothing Refused;
    EVENT_REQUEST                        "opamp_event_request"                          Works Works   Works   Nothing Refused;
    EVENT_TICKET                         "opamp_event_ticket"                           Works Works   Works   Refused Refused;
    EVENT_REDIRECT                       "opamp_event_redirect"                         Works Works   Works   Refused Refused;
    EVENT_UID                            "opamp_event_instance_uid"                              Works Works   Works   Refused Refused;
    EVENT_LOG                            "opamp_event_log"                              Works Works   Works   Refused Refused;
    EVENT_MISSED                         "opamp_event_missed"                           Works Works   Works   Nothing Refused;
    EVENT_FREE                           "opamp_event_free"                             Works Works   Refused Nothing Works;
    MESSAGE_PARTS                        "opamp_message_parts"                          Works Works   Works   Nothing Refused;
    MESSAGE_REMOTE_CONFIG                "opamp_message_remote_config"                  Works Works   Works   Nothing Refused;
    MESSAGE_FLAGS                        "opamp_message_flags"                          Works Works   Works   Nothing Refused;
    MESSAGE_SERVER_CAPABILITIES          "opamp_message_server_capabilities"            Works Works   Works   Nothing Refused;
    MESSAGE_BYTES                        "opamp_message_bytes"                          Works Works   Works   Nothing Refused;
    MESSAGE_REF                          "opamp_message_ref"                            Works Works   Works   Nothing Refused;
    MESSAGE_UNREF                        "opamp_message_unref"                          Works Works   Refused Nothing Works;
    REQUEST_METHOD                       "opamp_request_method"                         Works Works   Works   Nothing Refused;
    REQUEST_URL                          "opamp_request_url"                            Works Works   Works   Nothing Refused;
    REQUEST_HEADER_AT                    "opamp_request_header_at"                      Works Works   Works   Refused Refused;
    REQUEST_BODY                         "opamp_request_body"                           Works Works   Works   Nothing Refused;
    REQUEST_TIMEOUT_MS                   "opamp_request_timeout_ms"                     Works Works   Works   Refused Refused;
    REQUEST_COMPLETE                     "opamp_request_complete"                       Works Works   Refused Refused Refused;
    REQUEST_FAIL                         "opamp_request_fail"                           Works Works   Refused Refused Refused;
    REQUEST_REF                          "opamp_request_ref"                            Works Works   Works   Nothing Refused;
    REQUEST_UNREF                        "opamp_request_unref"                          Works Works   Refused Nothing Works;
    SNAPSHOT_FREE                        "opamp_snapshot_free"                          Works Works   Refused Nothing Works;
    SNAPSHOT_NUMBER                      "opamp_snapshot_number"                        Works Works   Works   Refused Refused;
    SNAPSHOT_LAST_ERROR                  "opamp_snapshot_last_error"                    Works Works   Works   Nothing Refused;
    SNAPSHOT_LAST_ERROR_CONTEXT          "opamp_snapshot_last_error_context"            Works Works   Works   Nothing Refused;
    SNAPSHOT_JSON                        "opamp_snapshot_json"                          Works Works   Works   Nothing Refused;
}
