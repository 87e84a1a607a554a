enum opamp_option {
  OPAMP_OPTION_RESOLVE_TIMEOUT_MS = 1,
  OPAMP_OPTION_CONNECT_TIMEOUT_MS = 2,
  OPAMP_OPTION_TLS_TIMEOUT_MS = 3,
  OPAMP_OPTION_FIRST_BYTE_TIMEOUT_MS = 4,
  OPAMP_OPTION_EXCHANGE_TIMEOUT_MS = 5,
  OPAMP_OPTION_MESSAGE_LIMIT_BYTES = 6,
  OPAMP_OPTION_FIELD_LIMIT = 7,
  OPAMP_OPTION_FILE_LIMIT = 8,
  OPAMP_OPTION_STOP_GRACE_MS = 9,
  OPAMP_OPTION_APPLYING_TIMEOUT_MS = 10,
  OPAMP_OPTION_SERVER_INTERVAL_MIN_MS = 11,
  OPAMP_OPTION_SERVER_INTERVAL_MAX_MS = 12,
  OPAMP_OPTION_RETRY_AFTER_MAX_MS = 13,
  OPAMP_OPTION_RETRY_AFTER_JITTER_MS = 14,
  OPAMP_OPTION_RETRY_AFTER_MIN_MS = 15,
  OPAMP_OPTION_FIRST_RETRY_MAX_MS = 16,
  OPAMP_OPTION_BACKOFF_BASE_MS = 17,
  OPAMP_OPTION_BACKOFF_MAX_MS = 18,
  OPAMP_OPTION_CONNECTION_MAX_AGE_MS = 19,
  OPAMP_OPTION_CHANGE_BURST = 20,
  OPAMP_OPTION_CHANGE_INTERVAL_MS = 21,
  OPAMP_OPTION_DELIVER_EVERY_RESPONSE = 22,
  OPAMP_OPTION_REDELIVER_FAILED = 23,
  OPAMP_OPTION_PING_INTERVAL_MS = 24,
  OPAMP_OPTION_PONG_TIMEOUT_MS = 25,
  OPAMP_OPTION_CLOSE_TIMEOUT_MS = 26,
  OPAMP_OPTION_STABLE_CONNECTION_MS = 27,
  OPAMP_OPTION_PROXY_TIMEOUT_MS = 28,
  OPAMP_OPTION_REDIRECT_LIMIT = 29,
  OPAMP_OPTION_COMPRESS_ABOVE_BYTES = 30,
  OPAMP_OPTION_ACCEPT_EXPIRED_CA = 49
};
enum opamp_error_reason_code {
  OPAMP_REASON_NONE = 0,
  OPAMP_REASON_NULL_POINTER = 1,
  OPAMP_REASON_OUT_OF_RANGE = 2,
  OPAMP_REASON_BAD_UTF8 = 3,
  OPAMP_REASON_NUL_CHARACTER = 4,
  OPAMP_REASON_EMPTY = 5,
  OPAMP_REASON_TOO_LONG = 6,
  OPAMP_REASON_UNKNOWN_OPTION = 7,
  OPAMP_REASON_UNKNOWN_VALUE = 8,
  OPAMP_REASON_DUPLICATE_NAME = 9,
  OPAMP_REASON_UNDECODABLE = 10,
  OPAMP_REASON_TOO_DEEP = 11,
  OPAMP_REASON_CONTROL_CHARACTER = 12,
  OPAMP_REASON_AGENT_RUNNING = 20,
  OPAMP_REASON_NOT_RUNNING = 21,
  OPAMP_REASON_FROZEN = 22,
  OPAMP_REASON_BUSY = 23,
  OPAMP_REASON_HELD_BACK = 24,
  OPAMP_REASON_STOPPED = 25,
  OPAMP_REASON_TOO_MANY_WAITING = 26,
  OPAMP_REASON_WRONG_DELIVERY = 27,
  OPAMP_REASON_ENDED = 28,
  OPAMP_REASON_NO_DESCRIPTION = 40,
  OPAMP_REASON_UNKNOWN_CAPABILITY = 41,
  OPAMP_REASON_CAPABILITY_MISSING = 42,
  OPAMP_REASON_CAPABILITY_UNSUPPORTED = 43,
  OPAMP_REASON_CAPABILITY_UNDECLARED = 44,
  OPAMP_REASON_NEEDS_ON_MESSAGE = 45,
  OPAMP_REASON_NEEDS_ON_REQUEST = 46,
  OPAMP_REASON_UNSUPPORTED_PART = 47,
  OPAMP_REASON_UNSUPPORTED_TRANSPORT = 48,
  OPAMP_REASON_UNKNOWN_HASH = 49,
  OPAMP_REASON_TEXT_WITHOUT_FAILED = 50,
  OPAMP_REASON_UNSUPPORTED_CALLBACK = 51,
  OPAMP_REASON_URL_SYNTAX = 60,
  OPAMP_REASON_URL_SCHEME = 61,
  OPAMP_REASON_URL_HOST = 62,
  OPAMP_REASON_URL_PORT = 63,
  OPAMP_REASON_URL_USER_INFO = 64,
  OPAMP_REASON_URL_CHARACTER = 65,
  OPAMP_REASON_URL_FRAGMENT = 66,
  OPAMP_REASON_URL_SOCKET = 67,
  OPAMP_REASON_URL_PATH = 68,
  OPAMP_REASON_HEADER_NAME = 80,
  OPAMP_REASON_HEADER_VALUE = 81,
  OPAMP_REASON_HEADER_RESERVED = 82,
  OPAMP_REASON_FILE_NOT_FOUND = 90,
  OPAMP_REASON_FILE_UNREADABLE = 91,
  OPAMP_REASON_BAD_PEM = 92,
  OPAMP_REASON_NO_TRUST = 93,
  OPAMP_REASON_TLS_UNUSED = 94,
  OPAMP_REASON_PROXY_ENVIRONMENT = 95,
  OPAMP_REASON_NO_DESCRIPTOR = 100,
  OPAMP_REASON_NO_THREAD = 101
};
enum opamp_status_code {
  OPAMP_OK = 0,
  OPAMP_E_INVALID_ARG = -1,
  OPAMP_E_STATE = -2,
  OPAMP_E_TIMEOUT = -3,
  OPAMP_E_FORKED = -4,
  OPAMP_E_UNSUPPORTED = -5,
  OPAMP_E_TOO_LARGE = -6,
  OPAMP_E_AGAIN = -7,
  OPAMP_E_PANIC = -8,
  OPAMP_E_NOT_FOUND = -9,
  OPAMP_E_CAPABILITY = -10,
  OPAMP_E_RESOURCE = -11,
  OPAMP_E_FAILED = -12,
};
enum opamp_error_kind_code {
  OPAMP_ERROR_NONE = 0,
  OPAMP_ERROR_RESOLVE = 1,
  OPAMP_ERROR_CONNECT = 2,
  OPAMP_ERROR_TLS = 3,
  OPAMP_ERROR_PROXY = 4,
  OPAMP_ERROR_TIMEOUT = 5,
  OPAMP_ERROR_IO = 6,
  OPAMP_ERROR_HTTP_STATUS = 7,
  OPAMP_ERROR_DECODE = 8,
  OPAMP_ERROR_SIZE = 9,
  OPAMP_ERROR_PROTOCOL = 10,
  OPAMP_ERROR_SERVER = 11,
  OPAMP_ERROR_CUSTOM_TRANSPORT = 12,
  OPAMP_ERROR_BUG = 13,
  OPAMP_ERROR_ARGUMENT = 14,
};
enum opamp_event_kind_code {
  OPAMP_EVENT_CONNECTED = 1,
  OPAMP_EVENT_CONNECT_FAILED = 2,
  OPAMP_EVENT_SERVER_ERROR = 3,
  OPAMP_EVENT_MESSAGE = 4,
  OPAMP_EVENT_REQUEST = 5,
  OPAMP_EVENT_SEND_DONE = 6,
  OPAMP_EVENT_REDIRECT = 7,
  OPAMP_EVENT_NEW_INSTANCE_UID = 8,
  OPAMP_EVENT_WARNING = 9,
  OPAMP_EVENT_LOG = 10,
  OPAMP_EVENT_STOPPED = 11,
};
enum opamp_delivery {
  OPAMP_DELIVERY_THREAD = 0,
  OPAMP_DELIVERY_POLL = 1,
};
enum opamp_capability {
  OPAMP_CAPABILITY_REPORTS_STATUS = 1,
  OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG = 2,
  OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG = 4,
  OPAMP_CAPABILITY_ACCEPTS_PACKAGES = 8,
  OPAMP_CAPABILITY_REPORTS_PACKAGE_STATUSES = 16,
  OPAMP_CAPABILITY_REPORTS_OWN_TRACES = 32,
  OPAMP_CAPABILITY_REPORTS_OWN_METRICS = 64,
  OPAMP_CAPABILITY_REPORTS_OWN_LOGS = 128,
  OPAMP_CAPABILITY_ACCEPTS_OPAMP_CONNECTION_SETTINGS = 256,
  OPAMP_CAPABILITY_ACCEPTS_OTHER_CONNECTION_SETTINGS = 512,
  OPAMP_CAPABILITY_ACCEPTS_RESTART_COMMAND = 1024,
  OPAMP_CAPABILITY_REPORTS_HEALTH = 2048,
  OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG = 4096,
  OPAMP_CAPABILITY_REPORTS_HEARTBEAT = 8192,
  OPAMP_CAPABILITY_REPORTS_AVAILABLE_COMPONENTS = 16384,
  OPAMP_CAPABILITY_REPORTS_CONNECTION_SETTINGS_STATUS = 32768,
};
enum opamp_remote_config_state {
  OPAMP_REMOTE_CONFIG_UNSET = 0,
  OPAMP_REMOTE_CONFIG_APPLIED = 1,
  OPAMP_REMOTE_CONFIG_APPLYING = 2,
  OPAMP_REMOTE_CONFIG_FAILED = 3,
};
enum opamp_log_level {
  OPAMP_LOG_OFF = 0,
  OPAMP_LOG_ERROR = 1,
  OPAMP_LOG_WARN = 2,
  OPAMP_LOG_INFO = 3,
  OPAMP_LOG_DEBUG = 4,
};
enum opamp_message_part {
  OPAMP_MESSAGE_PART_REMOTE_CONFIG = 1,
};
enum opamp_message_flag {
  OPAMP_MESSAGE_FLAG_REPORT_FULL_STATE = 1,
  OPAMP_MESSAGE_FLAG_REPORT_AVAILABLE_COMPONENTS = 2,
};
enum opamp_server_capability {
  OPAMP_SERVER_CAPABILITY_ACCEPTS_STATUS = 1,
  OPAMP_SERVER_CAPABILITY_OFFERS_REMOTE_CONFIG = 2,
  OPAMP_SERVER_CAPABILITY_ACCEPTS_EFFECTIVE_CONFIG = 4,
  OPAMP_SERVER_CAPABILITY_OFFERS_PACKAGES = 8,
  OPAMP_SERVER_CAPABILITY_ACCEPTS_PACKAGES_STATUS = 16,
  OPAMP_SERVER_CAPABILITY_OFFERS_CONNECTION_SETTINGS = 32,
  OPAMP_SERVER_CAPABILITY_ACCEPTS_CONNECTION_SETTINGS_REQUEST = 64,
};
enum opamp_server_error_type {
  OPAMP_SERVER_ERROR_UNKNOWN = 0,
  OPAMP_SERVER_ERROR_BAD_REQUEST = 1,
  OPAMP_SERVER_ERROR_UNAVAILABLE = 2,
};
enum opamp_snapshot_field {
  OPAMP_SNAPSHOT_STATE = 1,
  OPAMP_SNAPSHOT_STATE_AGE_MS = 2,
  OPAMP_SNAPSHOT_NEXT_TRY_MS = 3,
  OPAMP_SNAPSHOT_NEXT_TRY_REASON = 4,
  OPAMP_SNAPSHOT_LAST_SUCCESS_AGE_MS = 5,
  OPAMP_SNAPSHOT_ATTEMPTS = 6,
  OPAMP_SNAPSHOT_FAILURES = 7,
  OPAMP_SNAPSHOT_MESSAGES_SENT = 8,
  OPAMP_SNAPSHOT_MESSAGES_RECEIVED = 9,
  OPAMP_SNAPSHOT_BYTES_SENT = 10,
  OPAMP_SNAPSHOT_BYTES_RECEIVED = 11,
  OPAMP_SNAPSHOT_SEQUENCE_NUM = 12,
  OPAMP_SNAPSHOT_SERVER_CAPABILITIES = 13,
  OPAMP_SNAPSHOT_PENDING = 14,
  OPAMP_SNAPSHOT_HELD_BACK = 15,
  OPAMP_SNAPSHOT_INTERVAL_MS = 16,
  OPAMP_SNAPSHOT_TRANSPORT = 17,
  OPAMP_SNAPSHOT_PENDING_OFFER = 18,
  OPAMP_SNAPSHOT_EVENTS_WAITING = 19,
  OPAMP_SNAPSHOT_CONNECTIONS = 20,
  OPAMP_SNAPSHOT_LAST_ERROR_AGE_MS = 21,
};
enum opamp_agent_state {
  OPAMP_AGENT_STOPPED = 0,
  OPAMP_AGENT_CONNECTING = 1,
  OPAMP_AGENT_CONNECTED = 2,
  OPAMP_AGENT_WAITING = 3,
  OPAMP_AGENT_STOPPING = 4,
};
enum opamp_wait_reason {
  OPAMP_WAIT_STOP = 1,
  OPAMP_WAIT_CLOSE = 2,
  OPAMP_WAIT_EXCHANGE = 3,
  OPAMP_WAIT_RESPONSE = 4,
  OPAMP_WAIT_CONFIG_STATUS = 5,
  OPAMP_WAIT_HEARTBEAT = 6,
  OPAMP_WAIT_CHANGE = 7,
  OPAMP_WAIT_FULL_REPORT = 8,
  OPAMP_WAIT_BACKOFF = 9,
  OPAMP_WAIT_NEXT_POLL = 10,
  OPAMP_WAIT_RETRY_AFTER = 11,
  OPAMP_WAIT_TELL = 12,
};
enum opamp_part {
  OPAMP_PART_DESCRIPTION = 1,
  OPAMP_PART_EFFECTIVE_CONFIG = 2,
  OPAMP_PART_REMOTE_CONFIG_STATUS = 4,
  OPAMP_PART_CAPABILITIES = 8,
};
enum opamp_transport {
  OPAMP_TRANSPORT_HTTP = 0,
  OPAMP_TRANSPORT_CUSTOM = 1,
  OPAMP_TRANSPORT_WEBSOCKET = 2,
};
typedef struct opamp_agent opamp_agent;
typedef struct opamp_array opamp_array;
typedef struct opamp_attributes opamp_attributes;
typedef struct opamp_client opamp_client;
typedef struct opamp_config_map opamp_config_map;
typedef struct opamp_error opamp_error;
typedef struct opamp_event opamp_event;
typedef struct opamp_message opamp_message;
typedef struct opamp_request opamp_request;
typedef struct opamp_snapshot opamp_snapshot;
typedef int32_t opamp_status;
typedef struct opamp_slice {
  const uint8_t *data;
  size_t len;
} opamp_slice;
typedef struct opamp_callbacks {
  size_t struct_size;
  void (*on_connect)(opamp_agent *agent, opamp_client *client, void *user);
  void (*on_connect_failed)(opamp_agent *agent,
                            opamp_client *client,
                            const opamp_error *why,
                            void *user);
  void (*on_error)(opamp_agent *agent,
                   opamp_client *client,
                   const opamp_error *from_server,
                   void *user);
  void (*on_message)(opamp_agent *agent,
                     opamp_client *client,
                     const opamp_message *message,
                     void *user);
  void (*on_request)(opamp_agent *agent,
                     opamp_client *client,
                     opamp_request *request,
                     void *user);
  void (*on_send_done)(opamp_agent *agent,
                       opamp_client *client,
                       uint64_t ticket,
                       const opamp_error *why_not,
                       void *user);
  void (*on_new_instance_uid)(opamp_agent *agent,
                              opamp_client *client,
                              const uint8_t *uid,
                              void *user);
  void (*on_warning)(opamp_agent *agent,
                     opamp_client *client,
                     const opamp_error *what,
                     void *user);
  void (*on_log)(opamp_agent *agent,
                 opamp_client *client,
                 int32_t level,
                 const char *line,
                 void *user);
  void (*on_stopped)(opamp_agent *agent, opamp_client *client, void *user);
  void (*on_redirect)(opamp_agent *agent,
                      opamp_client *client,
                      const char *from,
                      const char *to,
                      int32_t status,
                      void *user);
} opamp_callbacks;
const char *opamp_version(void);
const char *opamp_status_name(opamp_status status);
const char *opamp_error_kind_name(int32_t kind);
const char *opamp_error_reason_name(int32_t reason);
const char *opamp_event_kind_name(int32_t kind);
opamp_status opamp_set_log_callback(int32_t level, void (*callback)(int32_t level,
                                                                    const char *line,
                                                                    void *user), void *user);
opamp_status opamp_client_new(const char *endpoint,
                              opamp_client **out,
                              opamp_error **err);
opamp_client *opamp_client_ref(opamp_client *client);
void opamp_client_unref(opamp_client *client);
opamp_status opamp_client_set_endpoint(opamp_client *client,
                                       const char *endpoint,
                                       opamp_error **err);
opamp_status opamp_client_set_instance_uid(opamp_client *client,
                                           const uint8_t *uid,
                                           size_t len,
                                           opamp_error **err);
opamp_status opamp_client_instance_uid(const opamp_client *client, uint8_t *uid, size_t len);
opamp_status opamp_client_request_instance_uid(opamp_client *client,
                                               int32_t on,
                                               opamp_error **err);
opamp_status opamp_client_set_header(opamp_client *client,
                                     const char *name,
                                     const char *value,
                                     opamp_error **err);
opamp_status opamp_client_set_user_agent_prefix(opamp_client *client,
                                                const char *prefix,
                                                opamp_error **err);
opamp_status opamp_client_use_custom_transport(opamp_client *client,
                                               int32_t on,
                                               opamp_error **err);
opamp_status opamp_client_set_proxy(opamp_client *client,
                                    const char *url,
                                    opamp_error **err);
opamp_status opamp_client_set_proxy_header(opamp_client *client,
                                           const char *name,
                                           const char *value,
                                           opamp_error **err);
opamp_status opamp_client_use_proxy_environment(opamp_client *client,
                                                int32_t on,
                                                opamp_error **err);
opamp_status opamp_client_allow_redirect_to(opamp_client *client,
                                            const char *origin,
                                            opamp_error **err);
opamp_status opamp_client_set_ca_file(opamp_client *client,
                                      const char *path,
                                      opamp_error **err);
opamp_status opamp_client_set_ca_dir(opamp_client *client,
                                     const char *path,
                                     opamp_error **err);
opamp_status opamp_client_set_ca_pem(opamp_client *client,
                                     const uint8_t *pem,
                                     size_t len,
                                     opamp_error **err);
opamp_status opamp_client_set_client_certificate_files(opamp_client *client,
                                                       const char *certificate_path,
                                                       const char *key_path,
                                                       opamp_error **err);
opamp_status opamp_client_set_client_certificate_pem(opamp_client *client,
                                                     const uint8_t *certificate,
                                                     size_t certificate_len,
                                                     const uint8_t *key,
                                                     size_t key_len,
                                                     opamp_error **err);
opamp_status opamp_client_set_insecure_skip_verify(opamp_client *client,
                                                   int32_t on,
                                                   opamp_error **err);
opamp_status opamp_client_set_capabilities(opamp_client *client,
                                           uint64_t capabilities,
                                           opamp_error **err);
opamp_status opamp_client_capabilities(const opamp_client *client, uint64_t *out);
opamp_status opamp_client_set_description(opamp_client *client,
                                          const opamp_attributes *identifying,
                                          const opamp_attributes *non_identifying,
                                          opamp_error **err);
opamp_status opamp_client_set_effective_config(opamp_client *client,
                                               const opamp_config_map *config,
                                               opamp_error **err);
opamp_status opamp_client_set_remote_config_status(opamp_client *client,
                                                   const uint8_t *hash,
                                                   size_t hash_len,
                                                   int32_t state,
                                                   const char *error_text,
                                                   size_t error_text_len,
                                                   opamp_error **err);
opamp_status opamp_client_set_option(opamp_client *client,
                                     int32_t option,
                                     uint64_t value,
                                     opamp_error **err);
opamp_status opamp_client_option(const opamp_client *client, int32_t option, uint64_t *out);
opamp_status opamp_client_exchange(opamp_client *client,
                                   const uint8_t *agent_to_server,
                                   size_t len,
                                   int64_t timeout_ms,
                                   opamp_message **out,
                                   opamp_error **err);
opamp_status opamp_attributes_new(opamp_attributes **out);
void opamp_attributes_free(opamp_attributes *attributes);
opamp_status opamp_attributes_set_string(opamp_attributes *attributes,
                                         const char *key,
                                         const char *value,
                                         opamp_error **err);
opamp_status opamp_attributes_set_bool(opamp_attributes *attributes,
                                       const char *key,
                                       int32_t value,
                                       opamp_error **err);
opamp_status opamp_attributes_set_int(opamp_attributes *attributes,
                                      const char *key,
                                      int64_t value,
                                      opamp_error **err);
opamp_status opamp_attributes_set_double(opamp_attributes *attributes,
                                         const char *key,
                                         double value,
                                         opamp_error **err);
opamp_status opamp_attributes_set_bytes(opamp_attributes *attributes,
                                        const char *key,
                                        const uint8_t *value,
                                        size_t len,
                                        opamp_error **err);
opamp_status opamp_attributes_set_empty(opamp_attributes *attributes,
                                        const char *key,
                                        opamp_error **err);
opamp_status opamp_attributes_set_array(opamp_attributes *attributes,
                                        const char *key,
                                        const opamp_array *value,
                                        opamp_error **err);
opamp_status opamp_attributes_set_map(opamp_attributes *attributes,
                                      const char *key,
                                      const opamp_attributes *value,
                                      opamp_error **err);
opamp_status opamp_array_new(opamp_array **out);
void opamp_array_free(opamp_array *array);
opamp_status opamp_array_add_string(opamp_array *array,
                                    const char *value,
                                    opamp_error **err);
opamp_status opamp_array_add_bool(opamp_array *array,
                                  int32_t value,
                                  opamp_error **err);
opamp_status opamp_array_add_int(opamp_array *array,
                                 int64_t value,
                                 opamp_error **err);
opamp_status opamp_array_add_double(opamp_array *array,
                                    double value,
                                    opamp_error **err);
opamp_status opamp_array_add_bytes(opamp_array *array,
                                   const uint8_t *value,
                                   size_t len,
                                   opamp_error **err);
opamp_status opamp_array_add_empty(opamp_array *array, opamp_error **err);
opamp_status opamp_array_add_array(opamp_array *array,
                                   const opamp_array *value,
                                   opamp_error **err);
opamp_status opamp_array_add_map(opamp_array *array,
                                 const opamp_attributes *value,
                                 opamp_error **err);
opamp_status opamp_config_map_new(opamp_config_map **out);
opamp_status opamp_config_map_decode(const uint8_t *bytes,
                                     size_t len,
                                     opamp_config_map **out,
                                     opamp_error **err);
opamp_status opamp_config_map_add(opamp_config_map *map,
                                  const char *name,
                                  size_t name_len,
                                  const char *content_type,
                                  const uint8_t *body,
                                  size_t body_len,
                                  opamp_error **err);
opamp_config_map *opamp_config_map_ref(const opamp_config_map *map);
void opamp_config_map_unref(opamp_config_map *map);
size_t opamp_config_map_len(const opamp_config_map *map);
opamp_status opamp_config_map_at(const opamp_config_map *map,
                                 size_t index,
                                 opamp_slice *name,
                                 opamp_slice *content_type,
                                 opamp_slice *body);
opamp_status opamp_config_map_get(const opamp_config_map *map,
                                  const char *name,
                                  size_t name_len,
                                  opamp_slice *content_type,
                                  opamp_slice *body);
opamp_status opamp_error_code(const opamp_error *error);
int32_t opamp_error_kind(const opamp_error *error);
int32_t opamp_error_reason(const opamp_error *error);
uint64_t opamp_error_capabilities(const opamp_error *error);
opamp_status opamp_error_server_type(const opamp_error *error, int32_t *out);
const char *opamp_error_server_message(const opamp_error *error);
int32_t opamp_error_http_status(const opamp_error *error);
const char *opamp_error_text(const opamp_error *error);
opamp_status opamp_error_retry_in_ms(const opamp_error *error, uint64_t *out);
opamp_error *opamp_error_ref(const opamp_error *error);
void opamp_error_free(opamp_error *error);
opamp_status opamp_callbacks_init(opamp_callbacks *callbacks, size_t size);
opamp_status opamp_agent_new(opamp_client *client,
                             const opamp_callbacks *callbacks,
                             void *user,
                             void (*free_user)(void *user),
                             opamp_agent **out,
                             opamp_error **err);
void opamp_agent_free(opamp_agent *agent);
opamp_status opamp_agent_set_delivery(opamp_agent *agent,
                                      int32_t delivery,
                                      opamp_error **err);
opamp_status opamp_agent_set_name(opamp_agent *agent,
                                  const char *name,
                                  opamp_error **err);
opamp_status opamp_agent_set_log_events(opamp_agent *agent,
                                        int32_t level,
                                        opamp_error **err);
opamp_status opamp_agent_set_heartbeat_interval(opamp_agent *agent,
                                                uint64_t milliseconds,
                                                opamp_error **err);
opamp_status opamp_agent_start(opamp_agent *agent, opamp_error **err);
opamp_status opamp_agent_request_stop(opamp_agent *agent);
opamp_status opamp_agent_stop(opamp_agent *agent, int64_t timeout_ms);
opamp_status opamp_agent_detach(opamp_agent *agent, int64_t timeout_ms);
opamp_status opamp_agent_poll_now(opamp_agent *agent);
opamp_status opamp_agent_report_full_state(opamp_agent *agent);
opamp_status opamp_agent_reconnect(opamp_agent *agent);
opamp_status opamp_agent_flush(opamp_agent *agent,
                               int64_t timeout_ms,
                               opamp_error **err);
opamp_status opamp_agent_send(opamp_agent *agent,
                              const uint8_t *agent_to_server,
                              size_t len,
                              uint32_t tries,
                              uint64_t *ticket,
                              opamp_error **err);
opamp_status opamp_agent_poll_fd(opamp_agent *agent, int32_t *fd);
opamp_status opamp_agent_dispatch(opamp_agent *agent, int64_t timeout_ms, uint32_t *served);
opamp_status opamp_agent_next_event(opamp_agent *agent,
                                    int64_t timeout_ms,
                                    opamp_event **out);
opamp_status opamp_agent_snapshot(const opamp_agent *agent, opamp_snapshot **out);
int32_t opamp_event_kind(const opamp_event *event);
const opamp_message *opamp_event_message(const opamp_event *event);
const opamp_error *opamp_event_error(const opamp_event *event);
opamp_request *opamp_event_request(const opamp_event *event);
opamp_status opamp_event_ticket(const opamp_event *event, uint64_t *out);
opamp_status opamp_event_redirect(const opamp_event *event,
                                  const char **from,
                                  const char **to,
                                  int32_t *status);
opamp_status opamp_event_instance_uid(const opamp_event *event, opamp_slice *out);
opamp_status opamp_event_log(const opamp_event *event, int32_t *level, const char **line);
uint64_t opamp_event_missed(const opamp_event *event);
void opamp_event_free(opamp_event *event);
uint64_t opamp_message_parts(const opamp_message *message);
const opamp_config_map *opamp_message_remote_config(const opamp_message *message,
                                                           opamp_slice *hash);
uint64_t opamp_message_flags(const opamp_message *message);
uint64_t opamp_message_server_capabilities(const opamp_message *message);
void opamp_message_bytes(const opamp_message *message, opamp_slice *out);
opamp_message *opamp_message_ref(const opamp_message *message);
void opamp_message_unref(opamp_message *message);
void opamp_request_method(const opamp_request *request, opamp_slice *out);
void opamp_request_url(const opamp_request *request, opamp_slice *out);
opamp_status opamp_request_header_at(const opamp_request *request,
                                     size_t index,
                                     opamp_slice *name,
                                     opamp_slice *value);
void opamp_request_body(const opamp_request *request, opamp_slice *out);
opamp_status opamp_request_timeout_ms(const opamp_request *request, uint64_t *out);
opamp_status opamp_request_complete(opamp_request *request,
                                    int32_t http_status,
                                    const char *const *headers,
                                    size_t header_count,
                                    const uint8_t *body,
                                    size_t body_len,
                                    opamp_error **err);
opamp_status opamp_request_fail(opamp_request *request,
                                int32_t reached_server,
                                const char *text);
opamp_request *opamp_request_ref(opamp_request *request);
void opamp_request_unref(opamp_request *request);
void opamp_snapshot_free(opamp_snapshot *snapshot);
opamp_status opamp_snapshot_number(const opamp_snapshot *snapshot,
                                   int32_t what,
                                   uint64_t *out);
const opamp_error *opamp_snapshot_last_error(const opamp_snapshot *snapshot);
const char *opamp_snapshot_last_error_context(const opamp_snapshot *snapshot);
const char *opamp_snapshot_json(const opamp_snapshot *snapshot);
