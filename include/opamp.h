/*
 * opamp.h: libopamp 0.1.0, an OpAMP (Open Agent Management Protocol) client library for C.
 *
 * A minimal program: accepts and acknowledges remote configurations until Enter is pressed.
 *
 *     #include <opamp.h>
 *     #include <stdio.h>
 *
 *     static void on_message(opamp_agent *agent, opamp_client *client,
 *                            const opamp_message *message, void *user) {
 *       opamp_slice hash, name, type, body;
 *       const opamp_config_map *offer = opamp_message_remote_config(message, &hash);
 *       opamp_error *err = NULL;
 *       size_t i;
 *       (void)agent, (void)user;
 *       if (!offer) return;
 *       for (i = 0; opamp_config_map_at(offer, i, &name, &type, &body) == OPAMP_OK; i++)
 *         printf("%.*s: %zu bytes\n", (int)name.len, (const char *)name.data, body.len);
 *       if (opamp_client_set_effective_config(client, offer, &err) ||
 *           opamp_client_set_remote_config_status(client, hash.data, hash.len,
 *                                                 OPAMP_REMOTE_CONFIG_APPLIED, NULL, 0, &err))
 *         fprintf(stderr, "opamp: %s\n", opamp_error_text(err));
 *       opamp_error_free(err);
 *     }
 *
 *     int main(void) {
 *       opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
 *       opamp_attributes *who = NULL;
 *       opamp_client *client = NULL;
 *       opamp_agent *agent = NULL;
 *       opamp_error *err = NULL;
 *       opamp_status status;
 *       callbacks.on_message = on_message;
 *       if ((status = opamp_attributes_new(&who)) ||
 *           (status = opamp_attributes_set_string(who, "service.name", "example", &err)) ||
 *           (status = opamp_client_new("http://127.0.0.1:4320/v1/opamp", &client, &err)) ||
 *           (status = opamp_client_set_description(client, who, NULL, &err)) ||
 *           (status = opamp_client_set_capabilities(
 *                client, OPAMP_CAPABILITY_REPORTS_STATUS | OPAMP_CAPABILITY_REPORTS_HEARTBEAT |
 *                        OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG |
 *                        OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG |
 *                        OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG, &err)) ||
 *           (status = opamp_agent_new(client, &callbacks, NULL, NULL, &agent, &err)) ||
 *           (status = opamp_agent_start(agent, &err))) {
 *         fprintf(stderr, "opamp: %s\n", err ? opamp_error_text(err) : opamp_status_name(status));
 *       } else {
 *         getchar();
 *         status = opamp_agent_stop(agent, -1);
 *       }
 *       opamp_agent_free(agent);
 *       opamp_client_unref(client);
 *       opamp_attributes_free(who);
 *       opamp_error_free(err);
 *       return status == OPAMP_OK ? 0 : 1;
 *     }
 *
 * Conventions, unless a function's comment says otherwise. Each comment ends with: Threads (any:
 * thread-safe; one at a time: the caller serializes), Callbacks (may be called from one), Blocks,
 * Errors (beyond the common ones), Since.
 *
 * OWNERSHIP. The caller owns what a function stores in an output parameter or returns from _ref,
 * and releases it with the matching _free or _unref. Callback arguments and accessor results are
 * borrowed: they stay valid as long as the object they come from. Arguments are copied before the
 * call returns; you may then change or free them. _free and _unref accept NULL. Objects may be
 * freed in any order.
 *
 * STRINGS AND BYTES. String parameters are NUL-terminated UTF-8 (paths: any bytes). Byte
 * parameters are a pointer and a length; (NULL, 0) is empty. Data from a peer or from you is
 * returned as an opamp_slice: never NULL, not NUL-terminated. Text by the library itself (errors,
 * names, log lines, JSON) is a NUL-terminated string without control characters and without
 * secrets: no header values, no keys, no configuration bodies.
 *
 * OUTPUT PARAMETERS come last and are written on success only; NULL is allowed where the comment
 * says so and where a function has several. A function that can fail for more than one reason
 * takes an `opamp_error **err` behind them: it may be NULL, and is written on failure only; free
 * the error. Never pass `f(.., &err)` and `err` as arguments of one call: C may read the pointer
 * before f has written it.
 *
 * ERRORS. Functions return OPAMP_OK (0) or a negative status, never a positive one. Besides the
 * errors listed, every function with a handle may return OPAMP_E_INVALID_ARG (NULL handle, or an
 * invalid pointer, length or string), OPAMP_E_FORKED or OPAMP_E_PANIC. A call that fails changes
 * nothing (OPAMP_E_CAPABILITY stores the value; OPAMP_E_TIMEOUT of a stop has requested it). The
 * library never prints. The text of an error may change with each release; its opamp_error_reason
 * does not. Later releases may add status codes, reasons, and kinds of errors and events: treat an
 * unknown negative status as a failure and ignore unknown events.
 *
 * THREADS. Clients and agents are thread-safe. Messages, frozen maps, errors, events and snapshots
 * are immutable. Builders (attributes, arrays, maps not yet set) may be used by one thread at a
 * time. Library threads have names beginning with "opamp", block all signals, and run no
 * application code except callbacks. All file descriptors are close-on-exec, and the library never
 * raises SIGPIPE. Loading the library has no side effects.
 *
 * CALLBACKS of one agent never overlap, run without library locks held, and may call any function.
 * They run on a library thread (OPAMP_DELIVERY_THREAD) or inside opamp_agent_dispatch
 * (OPAMP_DELIVERY_POLL), or you take events with opamp_agent_next_event and use none. A callback
 * may block: heartbeats continue, and the bounded event queue keeps the newest event of each kind.
 * In a callback, opamp_agent_stop only requests a stop, and opamp_agent_free acts when the
 * callback returns. None runs after opamp_agent_stop has returned OPAMP_OK or opamp_agent_free has
 * returned.
 *
 * TRANSPORTS. The scheme of the endpoint alone selects the transport; functions and events are the
 * same for both. HTTP polls at the heartbeat interval, so a server's message waits until the next
 * poll; a response without an error confirms what its request carried. WebSocket keeps one
 * connection: messages arrive immediately, a ping after each period of silence detects a dead
 * peer, and data is confirmed by the pong to a ping sent after it followed by a message.
 * OPAMP_EVENT_CONNECTED is reported once per WebSocket connection, at the end of the opening
 * handshake and before the server has taken any message (opamp_agent_flush tells when it has);
 * over HTTP, with the first response after a start or a failure.
 *
 * STOP AND RESTART. A process that exits without opamp_agent_stop sends no AgentDisconnect: the
 * server sees a connection that closes, or over HTTP nothing more. To be the same agent after a
 * restart, keep three things and set them again before the start: the instance uid
 * (opamp_client_instance_uid, and on_new_instance_uid when the server assigns another), the hash
 * of the last offer and the status reported for it (opamp_client_set_remote_config_status).
 * Without them the server sees a new agent, or offers the same configuration again.
 *
 * TIMING. Each interval between polls or heartbeats varies by up to 10 %, so that a fleet does not
 * fall into step. The log thins out repeated failures: the first is logged, then the same one ever
 * more rarely; each failed attempt is an event, however many there are.
 *
 * C++. The header can be included from C++. A callback must not throw, longjmp or end its thread.
 *
 * FORK. In a forked child, calls on clients, agents and requests created before the fork return
 * OPAMP_E_FORKED (or NULL, 0 or nothing if they return no status); _free and _unref of objects
 * created before the fork do nothing; messages, maps, errors and snapshots stay readable. The
 * parent's connection is not affected. New clients and agents work in the child and get their own
 * instance uid.
 *
 * RESOURCES. Running out of memory ends the process; sizes chosen by a peer are checked first and
 * cause OPAMP_E_TOO_LARGE or an error event. Out of file descriptors or threads: OPAMP_E_RESOURCE.
 *
 * INTERNAL ERRORS. A bug that would have ended the process is caught at this boundary: the call
 * returns OPAMP_E_PANIC, and so do all later calls on that handle, except its free function and,
 * until OPAMP_EVENT_STOPPED has been taken, opamp_agent_next_event and opamp_agent_dispatch.
 *
 * ABI. Within libopamp.so.0 functions, constants, and callbacks at the end of opamp_callbacks may
 * be added; nothing else changes. The first member of opamp_callbacks holds the size it was
 * compiled with; no other struct grows. For languages without the C preprocessor there are
 * opamp.ffi.h, opamp_callbacks_init, and opamp_agent_next_event instead of callbacks.
 *
 * TIME is in milliseconds. A timeout of -1 means no timeout, 0 means do not wait; other negative
 * values are invalid.
 *
 * Defaults (name without OPAMP_OPTION_, default, range, meaning):
 *
 *   (heartbeat interval)      30000  10 .. 86400000     time between heartbeats; over HTTP, polls
 *   RESOLVE_TIMEOUT_MS         5000  1 .. 86400000      name resolution
 *   CONNECT_TIMEOUT_MS         5000  1 .. 86400000      TCP connect, over all addresses together
 *   TLS_TIMEOUT_MS             5000  1 .. 86400000      TLS handshake
 *   FIRST_BYTE_TIMEOUT_MS     10000  1 .. 86400000      last byte of request to first byte of
 *                                                       response
 *   EXCHANGE_TIMEOUT_MS       60000  1 .. 86400000      whole exchange, including connecting
 *   MESSAGE_LIMIT_BYTES    67108864  1024 .. 2147483648 message size, both directions, after
 *                                                       decompression
 *   FIELD_LIMIT              200000  100 .. 100000000   most protobuf fields in a received message
 *   FILE_LIMIT                10000  1 .. 10000000      most files in a remote configuration
 *   STOP_GRACE_MS              2000  0 .. 86400000      how long a stop may wait for the server
 *   APPLYING_TIMEOUT_MS      600000  1 .. 2592000000    after this, APPLYING becomes FAILED
 *   SERVER_INTERVAL_MIN_MS     1000  10 .. 86400000     smallest interval accepted from a server
 *   SERVER_INTERVAL_MAX_MS 86400000  10 .. 86400000     largest interval accepted from a server
 *   RETRY_AFTER_MAX_MS      3600000  0 .. 86400000      longest delay accepted from a server
 *   RETRY_AFTER_JITTER_MS     30000  0 .. 86400000      jitter added to a delay from a server
 *   RETRY_AFTER_MIN_MS        30000  0 .. 86400000      least delay after 429, 503, UNAVAILABLE
 *                                                       without one
 *   FIRST_RETRY_MAX_MS         5000  0 .. 86400000      longest delay of the first retry
 *   BACKOFF_BASE_MS            2000  1 .. 86400000      longest delay of the second retry, doubled
 *                                                       per retry
 *   BACKOFF_MAX_MS           300000  1 .. 86400000      longest delay of any retry
 *   CONNECTION_MAX_AGE_MS   3600000  1 .. 2592000000    age at which HTTP reconnects, 10 % jitter
 *   CHANGE_BURST                 10  1 .. 1000          messages that updates may trigger at once
 *   CHANGE_INTERVAL_MS         1000  0 .. 86400000      after such a burst, one message per
 *   DELIVER_EVERY_RESPONSE        0  0 .. 1             1: on_connect and on_message for every
 *                                                       response
 *   REDELIVER_FAILED              0  0 .. 1             1: deliver offers again that FAILED before
 *   PING_INTERVAL_MS          30000  10 .. 86400000     WebSocket: ping after this much silence
 *   PONG_TIMEOUT_MS           10000  10 .. 86400000     WebSocket: then for any traffic, at most
 *                                                       PING_INTERVAL_MS
 *   CLOSE_TIMEOUT_MS           1000  0 .. 86400000      WebSocket: for the server's Close, after
 *                                                       ours
 *   STABLE_CONNECTION_MS      30000  0 .. 86400000      WebSocket: connection age that resets the
 *                                                       backoff
 *   PROXY_TIMEOUT_MS           5000  1 .. 86400000      time for a proxy to open the tunnel
 *   REDIRECT_LIMIT                5  0 .. 20            redirects followed per attempt; 0: none
 *   COMPRESS_ABOVE_BYTES          0  0 .. 2147483648    gzip larger HTTP requests that shrink,
 *                                                       until a server refuses; 0: never
 *   ACCEPT_EXPIRED_CA             0  0 .. 1             1: expired CA certificates that are
 *                                                       trusted stay trusted
 *
 * Capabilities: OPAMP_CAPABILITY_REPORTS_STATUS and OPAMP_CAPABILITY_REPORTS_HEARTBEAT. Delivery:
 * OPAMP_DELIVERY_THREAD. Logging: off.
 */

#ifndef OPAMP_H
#define OPAMP_H

#include <stddef.h>
#include <stdint.h>

/**
 * The version of this header for `#if`: 0x010203 is 1.2.3. Not in opamp.ffi.h;
 * opamp_version has that of the library.
 */
#define OPAMP_VERSION_NUM 0x000100

/** What opamp_client_set_option sets; defaults and ranges stand at the top. */
enum opamp_option {
  /** name resolution */
  OPAMP_OPTION_RESOLVE_TIMEOUT_MS = 1,
  /** TCP connect, over all addresses together */
  OPAMP_OPTION_CONNECT_TIMEOUT_MS = 2,
  /** TLS handshake */
  OPAMP_OPTION_TLS_TIMEOUT_MS = 3,
  /** last byte of request to first byte of response */
  OPAMP_OPTION_FIRST_BYTE_TIMEOUT_MS = 4,
  /** whole exchange, including connecting */
  OPAMP_OPTION_EXCHANGE_TIMEOUT_MS = 5,
  /** message size, both directions, after decompression */
  OPAMP_OPTION_MESSAGE_LIMIT_BYTES = 6,
  /** most protobuf fields in a received message */
  OPAMP_OPTION_FIELD_LIMIT = 7,
  /** most files in a remote configuration */
  OPAMP_OPTION_FILE_LIMIT = 8,
  /** how long a stop may wait for the server */
  OPAMP_OPTION_STOP_GRACE_MS = 9,
  /** after this, APPLYING becomes FAILED */
  OPAMP_OPTION_APPLYING_TIMEOUT_MS = 10,
  /** smallest interval accepted from a server */
  OPAMP_OPTION_SERVER_INTERVAL_MIN_MS = 11,
  /** largest interval accepted from a server */
  OPAMP_OPTION_SERVER_INTERVAL_MAX_MS = 12,
  /** longest delay accepted from a server */
  OPAMP_OPTION_RETRY_AFTER_MAX_MS = 13,
  /** jitter added to a delay from a server */
  OPAMP_OPTION_RETRY_AFTER_JITTER_MS = 14,
  /** least delay after 429, 503, UNAVAILABLE without one */
  OPAMP_OPTION_RETRY_AFTER_MIN_MS = 15,
  /** longest delay of the first retry */
  OPAMP_OPTION_FIRST_RETRY_MAX_MS = 16,
  /** longest delay of the second retry, doubled per retry */
  OPAMP_OPTION_BACKOFF_BASE_MS = 17,
  /** longest delay of any retry */
  OPAMP_OPTION_BACKOFF_MAX_MS = 18,
  /** age at which HTTP reconnects, 10 % jitter */
  OPAMP_OPTION_CONNECTION_MAX_AGE_MS = 19,
  /** messages that updates may trigger at once */
  OPAMP_OPTION_CHANGE_BURST = 20,
  /** after such a burst, one message per */
  OPAMP_OPTION_CHANGE_INTERVAL_MS = 21,
  /** 1: on_connect and on_message for every response */
  OPAMP_OPTION_DELIVER_EVERY_RESPONSE = 22,
  /** 1: deliver offers again that FAILED before */
  OPAMP_OPTION_REDELIVER_FAILED = 23,
  /** WebSocket: ping after this much silence */
  OPAMP_OPTION_PING_INTERVAL_MS = 24,
  /** WebSocket: then for any traffic, at most PING_INTERVAL_MS */
  OPAMP_OPTION_PONG_TIMEOUT_MS = 25,
  /** WebSocket: for the server's Close, after ours */
  OPAMP_OPTION_CLOSE_TIMEOUT_MS = 26,
  /** WebSocket: connection age that resets the backoff */
  OPAMP_OPTION_STABLE_CONNECTION_MS = 27,
  /** time for a proxy to open the tunnel */
  OPAMP_OPTION_PROXY_TIMEOUT_MS = 28,
  /** redirects followed per attempt; 0: none */
  OPAMP_OPTION_REDIRECT_LIMIT = 29,
  /** gzip larger HTTP requests that shrink, until a server refuses; 0: never */
  OPAMP_OPTION_COMPRESS_ABOVE_BYTES = 30,
  /** 1: expired CA certificates that are trusted stay trusted */
  OPAMP_OPTION_ACCEPT_EXPIRED_CA = 49
};

/** Why a call failed: what opamp_error_reason returns. Later releases may add some. */
enum opamp_error_reason_code {
  /** None of its own: code, kind and text say all. */
  OPAMP_REASON_NONE = 0,
  /** A pointer is NULL. */
  OPAMP_REASON_NULL_POINTER = 1,
  /** A number, length or time is outside its range. */
  OPAMP_REASON_OUT_OF_RANGE = 2,
  /** A string is not UTF-8. */
  OPAMP_REASON_BAD_UTF8 = 3,
  /** A string has a NUL character. */
  OPAMP_REASON_NUL_CHARACTER = 4,
  /** Something is empty that must not be. */
  OPAMP_REASON_EMPTY = 5,
  /** Longer than its limit. */
  OPAMP_REASON_TOO_LONG = 6,
  /** No option has that number. */
  OPAMP_REASON_UNKNOWN_OPTION = 7,
  /** Not a value of its enumeration. */
  OPAMP_REASON_UNKNOWN_VALUE = 8,
  /** The name is already there. */
  OPAMP_REASON_DUPLICATE_NAME = 9,
  /** The bytes are not a valid message of the protocol. */
  OPAMP_REASON_UNDECODABLE = 10,
  /** More levels of arrays and maps than the limit. */
  OPAMP_REASON_TOO_DEEP = 11,
  /** A string has a control character. */
  OPAMP_REASON_CONTROL_CHARACTER = 12,
  /** An agent is running. */
  OPAMP_REASON_AGENT_RUNNING = 20,
  /** The agent is not running. */
  OPAMP_REASON_NOT_RUNNING = 21,
  /** The map is frozen. */
  OPAMP_REASON_FROZEN = 22,
  /** Another thread or call is inside. */
  OPAMP_REASON_BUSY = 23,
  /** The server refused a part of it, or it is over a limit. */
  OPAMP_REASON_HELD_BACK = 24,
  /** The agent stopped first. */
  OPAMP_REASON_STOPPED = 25,
  /** As many as can wait are waiting. */
  OPAMP_REASON_TOO_MANY_WAITING = 26,
  /** Not with the delivery that was chosen. */
  OPAMP_REASON_WRONG_DELIVERY = 27,
  /** It was ended or freed before. */
  OPAMP_REASON_ENDED = 28,
  /** The agent description has no attribute. */
  OPAMP_REASON_NO_DESCRIPTION = 40,
  /** A capability bit is undefined. */
  OPAMP_REASON_UNKNOWN_CAPABILITY = 41,
  /** OPAMP_CAPABILITY_REPORTS_STATUS must be declared. */
  OPAMP_REASON_CAPABILITY_MISSING = 42,
  /** The library does not have the capability yet. */
  OPAMP_REASON_CAPABILITY_UNSUPPORTED = 43,
  /** The value is kept; the capability that reports it is not declared. */
  OPAMP_REASON_CAPABILITY_UNDECLARED = 44,
  /** A declared capability needs the callback on_message. */
  OPAMP_REASON_NEEDS_ON_MESSAGE = 45,
  /** The application's own transport needs the callback on_request. */
  OPAMP_REASON_NEEDS_ON_REQUEST = 46,
  /** The library does not report that part of a message yet. */
  OPAMP_REASON_UNSUPPORTED_PART = 47,
  /** Not over this transport. */
  OPAMP_REASON_UNSUPPORTED_TRANSPORT = 48,
  /** The hash is neither the last offer's nor the last reported one. */
  OPAMP_REASON_UNKNOWN_HASH = 49,
  /** An error text goes with OPAMP_REMOTE_CONFIG_FAILED only. */
  OPAMP_REASON_TEXT_WITHOUT_FAILED = 50,
  /** A callback of a later release. */
  OPAMP_REASON_UNSUPPORTED_CALLBACK = 51,
  /** A URL that cannot be taken apart. */
  OPAMP_REASON_URL_SYNTAX = 60,
  /** A URL without a scheme, or with an unsupported one. */
  OPAMP_REASON_URL_SCHEME = 61,
  /** A URL whose host is missing or malformed. */
  OPAMP_REASON_URL_HOST = 62,
  /** A URL's port is not 1 to 65535. */
  OPAMP_REASON_URL_PORT = 63,
  /** A URL has user info; a proxy's is malformed. */
  OPAMP_REASON_URL_USER_INFO = 64,
  /** A URL has a character that no URL has. */
  OPAMP_REASON_URL_CHARACTER = 65,
  /** A URL has a fragment. */
  OPAMP_REASON_URL_FRAGMENT = 66,
  /** The path of a URL's unix socket is malformed. */
  OPAMP_REASON_URL_SOCKET = 67,
  /** More than scheme, host and port. */
  OPAMP_REASON_URL_PATH = 68,
  /** Not a header name. */
  OPAMP_REASON_HEADER_NAME = 80,
  /** A header's value has a control or non-ASCII character. */
  OPAMP_REASON_HEADER_VALUE = 81,
  /** The library itself sets this header. */
  OPAMP_REASON_HEADER_RESERVED = 82,
  /** A file or directory does not exist. */
  OPAMP_REASON_FILE_NOT_FOUND = 90,
  /** A file or directory cannot be read. */
  OPAMP_REASON_FILE_UNREADABLE = 91,
  /** Certificate or key cannot be used; the text says which and why. */
  OPAMP_REASON_BAD_PEM = 92,
  /** No trusted CA certificate. */
  OPAMP_REASON_NO_TRUST = 93,
  /** TLS settings where no TLS is spoken. */
  OPAMP_REASON_TLS_UNUSED = 94,
  /** A variable of the environment names no usable proxy. */
  OPAMP_REASON_PROXY_ENVIRONMENT = 95,
  /** No file descriptor. */
  OPAMP_REASON_NO_DESCRIPTOR = 100,
  /** No thread. */
  OPAMP_REASON_NO_THREAD = 101
};

/** The codes of opamp_status. */
enum opamp_status_code {
  /** Done. */
  OPAMP_OK = 0,
  /** A pointer, length, text or value that can not be right. */
  OPAMP_E_INVALID_ARG = -1,
  /**
   * Not now: already started, not running, already ended, frozen, or settings are fixed while an
   * agent runs.
   */
  OPAMP_E_STATE = -2,
  /** The bound passed; the handle is good, call again. */
  OPAMP_E_TIMEOUT = -3,
  /** The handle belongs to the process that this one was forked from. */
  OPAMP_E_FORKED = -4,
  /** This build or this host lacks it. */
  OPAMP_E_UNSUPPORTED = -5,
  /** Beyond a limit, or more memory than there is. */
  OPAMP_E_TOO_LARGE = -6,
  /** A bounded queue is full; take some events first. */
  OPAMP_E_AGAIN = -7,
  /** A bug in the library; the handle is good for its free function only. */
  OPAMP_E_PANIC = -8,
  /** No entry of that name, position or number. */
  OPAMP_E_NOT_FOUND = -9,
  /** The value is kept, but no declared capability covers it; it goes out once one does. */
  OPAMP_E_CAPABILITY = -10,
  /** No descriptor or thread to be had. */
  OPAMP_E_RESOURCE = -11,
  /** An exchange with the server failed; opamp_error_kind says where. */
  OPAMP_E_FAILED = -12,
};

/** Where it went wrong: what opamp_error_kind answers. Later releases may add kinds. */
enum opamp_error_kind_code {
  /** Nowhere: no error. */
  OPAMP_ERROR_NONE = 0,
  /** The look-up of the server's name. */
  OPAMP_ERROR_RESOLVE = 1,
  /** Connecting. */
  OPAMP_ERROR_CONNECT = 2,
  /** The TLS handshake, the certificates. */
  OPAMP_ERROR_TLS = 3,
  /** A proxy on the way. */
  OPAMP_ERROR_PROXY = 4,
  /** A bound on time passed. */
  OPAMP_ERROR_TIMEOUT = 5,
  /** The connection was reset or closed. */
  OPAMP_ERROR_IO = 6,
  /** The server's HTTP status; see opamp_error_http_status. */
  OPAMP_ERROR_HTTP_STATUS = 7,
  /** The answer is no ServerToAgent. */
  OPAMP_ERROR_DECODE = 8,
  /** A message beyond a limit. */
  OPAMP_ERROR_SIZE = 9,
  /** The peer broke a rule of HTTP or of OpAMP. */
  OPAMP_ERROR_PROTOCOL = 10,
  /** The server's own error_response. */
  OPAMP_ERROR_SERVER = 11,
  /** The host's own transport. */
  OPAMP_ERROR_CUSTOM_TRANSPORT = 12,
  /** A bug in the library. */
  OPAMP_ERROR_BUG = 13,
  /** An argument or a state that a call refused. */
  OPAMP_ERROR_ARGUMENT = 14,
};

/** What happened. Later releases append kinds: leave alone what you do not know. */
enum opamp_event_kind_code {
  /** The first decoded answer after start or after a failure. on_connect. */
  OPAMP_EVENT_CONNECTED = 1,
  /** One failed try: brings an error. on_connect_failed. */
  OPAMP_EVENT_CONNECT_FAILED = 2,
  /** The server answered with an error_response: brings an error and its message. on_error. */
  OPAMP_EVENT_SERVER_ERROR = 3,
  /** Something to act on: brings a message. on_message. */
  OPAMP_EVENT_MESSAGE = 4,
  /** An exchange for the host's own HTTP stack: brings a request. on_request. */
  OPAMP_EVENT_REQUEST = 5,
  /**
   * The end of an opamp_agent_send: brings its ticket, and an error unless it was confirmed.
   * on_send_done.
   */
  OPAMP_EVENT_SEND_DONE = 6,
  /**
   * The running try goes on at another place: brings where from, where to and the status.
   * on_redirect.
   */
  OPAMP_EVENT_REDIRECT = 7,
  /** The server assigned another instance uid: brings it. on_new_instance_uid. */
  OPAMP_EVENT_NEW_INSTANCE_UID = 8,
  /** Something the host should know although all goes on: brings an error. on_warning. */
  OPAMP_EVENT_WARNING = 9,
  /** A log line, where they were asked for: brings level and line. on_log. */
  OPAMP_EVENT_LOG = 10,
  /** The last event. Brings an error only where a bug ended the agent. on_stopped. */
  OPAMP_EVENT_STOPPED = 11,
};

/** Where events go. */
enum opamp_delivery {
  /** To the callbacks, on a thread of the library. The default. */
  OPAMP_DELIVERY_THREAD = 0,
  /** To whoever calls opamp_agent_dispatch or opamp_agent_next_event. */
  OPAMP_DELIVERY_POLL = 1,
};

/** What an agent may declare with opamp_client_set_capabilities: AgentCapabilities. */
enum opamp_capability {
  /** Must be there. On by default. */
  OPAMP_CAPABILITY_REPORTS_STATUS = 1,
  /** The server may offer configurations; gives it power over the host. */
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
  /** The verdicts on offered configurations are reported. */
  OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG = 4096,
  /** On by default. */
  OPAMP_CAPABILITY_REPORTS_HEARTBEAT = 8192,
  OPAMP_CAPABILITY_REPORTS_AVAILABLE_COMPONENTS = 16384,
  OPAMP_CAPABILITY_REPORTS_CONNECTION_SETTINGS_STATUS = 32768,
};

/** The host's verdict on an offered configuration: RemoteConfigStatuses of the protocol. */
enum opamp_remote_config_state {
  /** There is none. Set before the first offer alone, without a hash. */
  OPAMP_REMOTE_CONFIG_UNSET = 0,
  OPAMP_REMOTE_CONFIG_APPLIED = 1,
  OPAMP_REMOTE_CONFIG_APPLYING = 2,
  /** Goes with an error text. */
  OPAMP_REMOTE_CONFIG_FAILED = 3,
};

/** How much is told; a level includes those before it. */
enum opamp_log_level {
  OPAMP_LOG_OFF = 0,
  OPAMP_LOG_ERROR = 1,
  OPAMP_LOG_WARN = 2,
  OPAMP_LOG_INFO = 3,
  OPAMP_LOG_DEBUG = 4,
};

/** What a message brought: bits of opamp_message_parts. */
enum opamp_message_part {
  /** An offered configuration. */
  OPAMP_MESSAGE_PART_REMOTE_CONFIG = 1,
};

/** What a message asked of the library, which has acted on it: ServerToAgentFlags. */
enum opamp_message_flag {
  OPAMP_MESSAGE_FLAG_REPORT_FULL_STATE = 1,
  OPAMP_MESSAGE_FLAG_REPORT_AVAILABLE_COMPONENTS = 2,
};

/** What a server said of itself: ServerCapabilities of the protocol. */
enum opamp_server_capability {
  OPAMP_SERVER_CAPABILITY_ACCEPTS_STATUS = 1,
  OPAMP_SERVER_CAPABILITY_OFFERS_REMOTE_CONFIG = 2,
  OPAMP_SERVER_CAPABILITY_ACCEPTS_EFFECTIVE_CONFIG = 4,
  OPAMP_SERVER_CAPABILITY_OFFERS_PACKAGES = 8,
  OPAMP_SERVER_CAPABILITY_ACCEPTS_PACKAGES_STATUS = 16,
  OPAMP_SERVER_CAPABILITY_OFFERS_CONNECTION_SETTINGS = 32,
  OPAMP_SERVER_CAPABILITY_ACCEPTS_CONNECTION_SETTINGS_REQUEST = 64,
};

/** What a server's error_response says it is: ServerErrorResponseType of the protocol. */
enum opamp_server_error_type {
  OPAMP_SERVER_ERROR_UNKNOWN = 0,
  /**
   * What was reported is held back until it changes, or until the application asks for a full
   * report.
   */
  OPAMP_SERVER_ERROR_BAD_REQUEST = 1,
  /** The library tries again when the server asked for it, else after a delay. */
  OPAMP_SERVER_ERROR_UNAVAILABLE = 2,
};

/** The numbers of a snapshot. Counters are of the present run. */
enum opamp_snapshot_field {
  /** One of `enum opamp_agent_state`. */
  OPAMP_SNAPSHOT_STATE = 1,
  /** How long it has been in that state. */
  OPAMP_SNAPSHOT_STATE_AGE_MS = 2,
  /** When it will do something by itself; not found: never. */
  OPAMP_SNAPSHOT_NEXT_TRY_MS = 3,
  /** Why then: one of `enum opamp_wait_reason`. */
  OPAMP_SNAPSHOT_NEXT_TRY_REASON = 4,
  /** How long ago the server last answered well; not found: never. */
  OPAMP_SNAPSHOT_LAST_SUCCESS_AGE_MS = 5,
  /** Exchanges tried. */
  OPAMP_SNAPSHOT_ATTEMPTS = 6,
  /** Failures in a row; 0 after a success. */
  OPAMP_SNAPSHOT_FAILURES = 7,
  OPAMP_SNAPSHOT_MESSAGES_SENT = 8,
  OPAMP_SNAPSHOT_MESSAGES_RECEIVED = 9,
  OPAMP_SNAPSHOT_BYTES_SENT = 10,
  OPAMP_SNAPSHOT_BYTES_RECEIVED = 11,
  /** The number of the next message. */
  OPAMP_SNAPSHOT_SEQUENCE_NUM = 12,
  /** Bits of `enum opamp_server_capability`; 0: the server has not said. */
  OPAMP_SNAPSHOT_SERVER_CAPABILITIES = 13,
  /** What the server has not confirmed yet: bits of `enum opamp_part`. */
  OPAMP_SNAPSHOT_PENDING = 14,
  /**
   * What the server refused, held back until it changes or until the application asks for a full
   * report: bits of `enum opamp_part`.
   */
  OPAMP_SNAPSHOT_HELD_BACK = 15,
  /** Between two messages, as in force. */
  OPAMP_SNAPSHOT_INTERVAL_MS = 16,
  /** One of `enum opamp_transport`. */
  OPAMP_SNAPSHOT_TRANSPORT = 17,
  /** 1: the host has not answered the last offer. */
  OPAMP_SNAPSHOT_PENDING_OFFER = 18,
  /** Events that wait for the host. */
  OPAMP_SNAPSHOT_EVENTS_WAITING = 19,
  /** Connections made. */
  OPAMP_SNAPSHOT_CONNECTIONS = 20,
  /** How long ago the last failure was; not found: there was none. */
  OPAMP_SNAPSHOT_LAST_ERROR_AGE_MS = 21,
};

/** Where an agent stands. */
enum opamp_agent_state {
  OPAMP_AGENT_STOPPED = 0,
  /** The server has not answered since the start or the last failure, and a try is on its way. */
  OPAMP_AGENT_CONNECTING = 1,
  /** The last try succeeded. */
  OPAMP_AGENT_CONNECTED = 2,
  /** The last try failed; the next one comes after a wait. */
  OPAMP_AGENT_WAITING = 3,
  OPAMP_AGENT_STOPPING = 4,
};

/** What an agent waits for. */
enum opamp_wait_reason {
  /** The end of the stop grace. */
  OPAMP_WAIT_STOP = 1,
  /** The peer's end of a close. */
  OPAMP_WAIT_CLOSE = 2,
  /** The answer of an exchange. */
  OPAMP_WAIT_EXCHANGE = 3,
  /** A peer that leaves a message without an answer. */
  OPAMP_WAIT_RESPONSE = 4,
  /** The host's verdict on an offer. */
  OPAMP_WAIT_CONFIG_STATUS = 5,
  /** The next poll. */
  OPAMP_WAIT_HEARTBEAT = 6,
  /** The budget of changes by the host. */
  OPAMP_WAIT_CHANGE = 7,
  /** The budget of full reports that the server asks for. */
  OPAMP_WAIT_FULL_REPORT = 8,
  /** A retry after a failure. */
  OPAMP_WAIT_BACKOFF = 9,
  /** The next poll, because the last answer would only repeat itself. */
  OPAMP_WAIT_NEXT_POLL = 10,
  /** The server asked to wait. */
  OPAMP_WAIT_RETRY_AFTER = 11,
  /** An event or offer that the server provokes too often waits for its budget. */
  OPAMP_WAIT_TELL = 12,
};

/** A part of what an agent reports. */
enum opamp_part {
  OPAMP_PART_DESCRIPTION = 1,
  OPAMP_PART_EFFECTIVE_CONFIG = 2,
  OPAMP_PART_REMOTE_CONFIG_STATUS = 4,
  OPAMP_PART_CAPABILITIES = 8,
};

/** What carries the messages. */
enum opamp_transport {
  OPAMP_TRANSPORT_HTTP = 0,
  /** The host's own HTTP stack. */
  OPAMP_TRANSPORT_CUSTOM = 1,
  OPAMP_TRANSPORT_WEBSOCKET = 2,
};

/**
 * One running connection for one client: worker, retries, heartbeats, events. new, start, stop,
 * free; a restart after stop is allowed. Holds a reference on its client.
 */
typedef struct opamp_agent opamp_agent;

/**
 * Builds an array of typed values, in the order of adding. Belongs to one thread at a time. Every
 * call copies.
 */
typedef struct opamp_array opamp_array;

/**
 * Builds typed attributes. They leave in the order in which the keys were set first; a key set
 * again keeps its place and gets the new value. Belongs to one thread at a time. Every call
 * copies, so what was built may be changed or freed after it was handed over.
 */
typedef struct opamp_attributes opamp_attributes;

/**
 * Who the agent is, where the server is, how to get there, and what is true of the agent now.
 * Reference counted; it has no thread and no socket. Connection settings are fixed while an agent
 * runs on it, headers excepted; what is true of the agent may be set at any time, from any thread
 * and any callback. One agent at a time runs on a client.
 */
typedef struct opamp_client opamp_client;

/**
 * Named files: for each name a content type and a body. Received ones, and those that were set,
 * are frozen: immutable, to be read by any thread. One that is being built belongs to one thread
 * at a time. Reference counted; it may outlive the message, client and agent that it came from.
 */
typedef struct opamp_config_map opamp_config_map;

/**
 * What went wrong: given to callbacks and events, or by the calls that explain. Reference counted
 * and immutable; any thread may read it.
 */
typedef struct opamp_error opamp_error;

/**
 * One thing that happened, owned by whoever took it with opamp_agent_next_event. What its
 * accessors answer is borrowed from it. Immutable; any thread may read it.
 */
typedef struct opamp_event opamp_event;

/**
 * What a ServerToAgent asks the host to act on. Borrowed in on_message or from its event, kept
 * with opamp_message_ref; it may outlive client and agent. Immutable; any thread may read it.
 */
typedef struct opamp_message opamp_message;

/**
 * One exchange for the host's own HTTP stack (opamp_client_use_custom_transport). Borrowed in
 * on_request or from its event. Ended once, from any thread, by opamp_request_complete or
 * opamp_request_fail; to end it later keep it with opamp_request_ref. When the last reference goes
 * before it was ended it fails as not reached; one that is never ended meets its time.
 * Retry-After, limits and errors stay with the library.
 */
typedef struct opamp_request opamp_request;

/** How an agent was doing at one moment. Immutable; any thread may read it. */
typedef struct opamp_snapshot opamp_snapshot;

/**
 * What a call answers: 0 is good, negative is bad, never positive. One of `enum
 * opamp_status_code`; later releases may add codes, so treat an unknown negative one as a failure.
 */
typedef int32_t opamp_status;

/**
 * Borrowed bytes: how long they live is said where they are given. Not NUL-terminated. `data` is
 * never NULL on success.
 */
typedef struct opamp_slice {
  const uint8_t *data;
  size_t len;
} opamp_slice;

/**
 * What the host hears: every slot may be NULL. Serial per agent, on a library thread
 * (OPAMP_DELIVERY_THREAD) or inside opamp_agent_dispatch (OPAMP_DELIVERY_POLL), with no lock of
 * the library held. Every function may be called inside; stop is a request there, and free is done
 * when the callback has returned. A callback must return: no C++ exception, longjmp or thread exit
 * may leave it. Handles are borrowed for the call; keep messages, maps and requests with _ref.
 */
typedef struct opamp_callbacks {
  /**
   * sizeof(opamp_callbacks) as the host was compiled; set by OPAMP_CALLBACKS_INIT or
   * opamp_callbacks_init.
   */
  size_t struct_size;
  /** The first decoded answer after start or after a failure. */
  void (*on_connect)(opamp_agent *agent, opamp_client *client, void *user);
  /** One failed try; opamp_error_retry_in_ms says when the next one comes. */
  void (*on_connect_failed)(opamp_agent *agent,
                            opamp_client *client,
                            const opamp_error *why,
                            void *user);
  /** The server answered with an error_response. */
  void (*on_error)(opamp_agent *agent,
                   opamp_client *client,
                   const opamp_error *from_server,
                   void *user);
  /** Something to act on; always after on_connect. */
  void (*on_message)(opamp_agent *agent,
                     opamp_client *client,
                     const opamp_message *message,
                     void *user);
  /** An exchange for the host's own HTTP stack. */
  void (*on_request)(opamp_agent *agent,
                     opamp_client *client,
                     opamp_request *request,
                     void *user);
  /** The end of one opamp_agent_send; why_not NULL: confirmed. */
  void (*on_send_done)(opamp_agent *agent,
                       opamp_client *client,
                       uint64_t ticket,
                       const opamp_error *why_not,
                       void *user);
  /** The server assigned another instance uid: 16 bytes. */
  void (*on_new_instance_uid)(opamp_agent *agent,
                              opamp_client *client,
                              const uint8_t *uid,
                              void *user);
  /** Something the host should know although all goes on. */
  void (*on_warning)(opamp_agent *agent,
                     opamp_client *client,
                     const opamp_error *what,
                     void *user);
  /** A log line, where opamp_agent_set_log_events asked for them. */
  void (*on_log)(opamp_agent *agent,
                 opamp_client *client,
                 int32_t level,
                 const char *line,
                 void *user);
  /** The last callback of a run. */
  void (*on_stopped)(opamp_agent *agent, opamp_client *client, void *user);
  /** The running try goes on at another place: as opamp_event_redirect. */
  void (*on_redirect)(opamp_agent *agent,
                      opamp_client *client,
                      const char *from,
                      const char *to,
                      int32_t status,
                      void *user);
} opamp_callbacks;

/**
 * No callbacks yet:
 * `opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT; callbacks.on_message = ..;`
 */
#define OPAMP_CALLBACKS_INIT \
  { sizeof(opamp_callbacks), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that is loaded, as "0.1.0": static.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const char *opamp_version(void);

/**
 * The name of a status code, as "OPAMP_E_STATE": static. An unknown code: "unknown".
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const char *opamp_status_name(opamp_status status);

/**
 * The name of an error kind, as "tls": static. An unknown kind: "unknown".
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const char *opamp_error_kind_name(int32_t kind);

/**
 * The name of an error's reason, as "no_description": static. An unknown reason: "unknown".
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const char *opamp_error_reason_name(int32_t reason);

/**
 * The name of an event kind, as "connect_failed": static. An unknown kind: "unknown".
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const char *opamp_event_kind_name(int32_t kind);

/**
 * Sets the log callback of the process, up to a level of `enum opamp_log_level`. OPAMP_LOG_OFF or
 * a NULL callback, as at the beginning: silence. Lines are NUL-terminated, without control
 * characters, secrets and configuration bodies, and borrowed for the call. The callback may come
 * from any thread, several at once; it is the one callback outside the delivery (for lines inside
 * it see opamp_agent_set_log_events). Inside it opamp_agent_stop and opamp_agent_free are what
 * they are in any callback, and where the line came on the agent's own thread no call on that
 * agent waits (opamp_agent_flush, opamp_agent_dispatch, opamp_agent_next_event: as with a timeout
 * of 0). A call of the former callback that already runs may still be ending when this returns:
 * keep `user` until the agents are stopped. A forked child begins with silence.
 *
 * Threads: any. Callbacks: yes, the log callback included. Blocks: no. Errors: OPAMP_E_INVALID_ARG
 * for an unknown level. Since: 0.1.
 */
opamp_status opamp_set_log_callback(int32_t level, void (*callback)(int32_t level,
                                                                    const char *line,
                                                                    void *user), void *user);

/**
 * Makes a client for a server: `http://host[:port][/path][?query]`, `https://..`, `ws://..` or
 * `wss://..`, used as given, nothing added; or one behind a unix socket,
 * `http+unix://%2Frun%2Fopamp.sock/path` or `ws+unix://..`: the socket's absolute path, of at most
 * 107 bytes and percent-encoded, stands in the place of the host (requests then name the host
 * `localhost`, and go through no proxy). The scheme alone selects the transport: HTTP polls,
 * WebSocket keeps one connection on which the server speaks when it likes; nothing else that a
 * host calls or hears is different. endpoint: copied. out: the new client, one reference, yours to
 * opamp_client_unref. err: may be NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no URL, a scheme of
 * another world, no host, user info in it, a bad path of a socket), OPAMP_E_RESOURCE. Since: 0.1.
 */
opamp_status opamp_client_new(const char *endpoint,
                              opamp_client **out,
                              opamp_error **err);

/**
 * Adds a reference and answers the same client; NULL: NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. In a forked child: NULL. Since: 0.1.
 */
opamp_client *opamp_client_ref(opamp_client *client);

/**
 * Gives a reference back; the last one frees the client. An agent holds one of its own, so the
 * order of frees does not matter.
 *
 * Threads: any. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
 */
void opamp_client_unref(opamp_client *client);

/**
 * Sets another server, as in opamp_client_new. endpoint: copied.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: as opamp_client_new, and
 * OPAMP_E_STATE while an agent runs; nothing changes then. TLS settings on a http endpoint are
 * refused here or by their setter, whichever comes second. Since: 0.1.
 */
opamp_status opamp_client_set_endpoint(opamp_client *client,
                                       const char *endpoint,
                                       opamp_error **err);

/**
 * Sets the instance uid: 16 bytes, not all zero, usually a UUID. Without it the library makes a
 * version 7 one. uid: copied. A host that wants to be the same agent after a restart keeps the uid
 * itself (see opamp_client_instance_uid and on_new_instance_uid) and sets it here. It keeps the
 * last remote config status, too, and reports it before start
 * (opamp_client_set_remote_config_status), or UNSET: a server remembers the one of the earlier
 * run, and offers what it speaks of no more.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG,
 * OPAMP_E_STATE while an agent runs. Since: 0.1.
 */
opamp_status opamp_client_set_instance_uid(opamp_client *client,
                                           const uint8_t *uid,
                                           size_t len,
                                           opamp_error **err);

/**
 * Writes the present instance uid to `uid`, which has room for `len` = 16 bytes. The server may
 * have assigned another one since (on_new_instance_uid).
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG for NULL or another
 * length. Since: 0.1.
 */
opamp_status opamp_client_instance_uid(const opamp_client *client, uint8_t *uid, size_t len);

/**
 * Asks the server (1) or no longer (0) to assign an instance uid; until it has, the present one
 * counts as temporary.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_STATE for 0 while an agent runs.
 * Since: 0.1.
 */
opamp_status opamp_client_request_instance_uid(opamp_client *client,
                                               int32_t on,
                                               opamp_error **err);

/**
 * Sets a header of every request, or with a NULL value takes it away. Used from the next request
 * on, so a fresh token may be set while an agent runs; after a 401 or 403 it is tried at once.
 * Over WebSocket only a new connection has a request: opamp_agent_reconnect makes one. A
 * `User-Agent` replaces the library's own. name, value: copied; the value is in no log line or
 * error text.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (not legal in HTTP, or a
 * header that the library itself must set). Since: 0.1.
 */
opamp_status opamp_client_set_header(opamp_client *client,
                                     const char *name,
                                     const char *value,
                                     opamp_error **err);

/**
 * Sets what stands before the library's own name in `User-Agent`, as "my-agent/1.2"; NULL:
 * nothing. prefix: copied.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG,
 * OPAMP_E_STATE while an agent runs. Since: 0.1.
 */
opamp_status opamp_client_set_user_agent_prefix(opamp_client *client,
                                                const char *prefix,
                                                opamp_error **err);

/**
 * Chooses the host's own HTTP stack (1) or the library's (0, the default): each exchange then
 * comes as an opamp_request. WebSocket has no exchanges, so it is for HTTP endpoints alone.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_UNSUPPORTED (a
 * WebSocket endpoint), OPAMP_E_STATE while an agent runs. Since: 0.1.
 */
opamp_status opamp_client_use_custom_transport(opamp_client *client,
                                               int32_t on,
                                               opamp_error **err);

/**
 * Reaches the server through a proxy, whatever the environment says:
 * `[scheme://][user[:password]@]host[:port]`, the scheme one of http (also without one), https,
 * socks5 (names are looked up here) and socks5h (by the proxy); ports 80, 443 and 1080 where none
 * is given. User and password are percent-decoded and in no log line or error text. An http or
 * https proxy passes on the requests of a http:// endpoint itself; for all others it is asked to
 * CONNECT. TLS with an https proxy uses this client's own authorities and client certificate,
 * which may then be set for a http:// endpoint, too. The host's own transport takes no notice of
 * it. NULL: no proxy of the host's own, so that the environment decides
 * (opamp_client_use_proxy_environment). url: copied.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no host,
 * another scheme, a path, a login that the proxy's protocol can not say; or, on a http://
 * endpoint, TLS settings that would then have no effect), OPAMP_E_STATE while an agent runs;
 * nothing changes then. Since: 0.1.
 */
opamp_status opamp_client_set_proxy(opamp_client *client,
                                    const char *url,
                                    opamp_error **err);

/**
 * Sets a header for http and https proxies alone, or with a NULL value takes it away: sent with
 * CONNECT and with each request that the proxy passes on itself, never to the server through an
 * opened way. A `Proxy-Authorization` replaces the login in the proxy's URL. name, value: copied;
 * the value is in no log line or error text.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (as
 * opamp_client_set_header), OPAMP_E_STATE while an agent runs. Since: 0.1.
 */
opamp_status opamp_client_set_proxy_header(opamp_client *client,
                                           const char *name,
                                           const char *value,
                                           opamp_error **err);

/**
 * Whether, without opamp_client_set_proxy, the environment names the proxy (1, the default) or
 * nobody does (0). It is read by opamp_agent_start (and opamp_client_exchange), on the caller's
 * thread: http_proxy for http and ws, https_proxy or HTTPS_PROXY for https and wss, else all_proxy
 * or ALL_PROXY; not where no_proxy or NO_PROXY excepts the server with `*`, a name (and all under
 * it), an address, a network such as 10.0.0.0/8, each with `:port` or without. Loopback is
 * excepted only there. `socks://` is SOCKS5 here. A variable that names no usable proxy makes the
 * start fail, with its name. A program with more rights than its caller (set-user-id,
 * set-group-id, file capabilities) reads none of them, nor SSL_CERT_FILE and SSL_CERT_DIR.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_STATE while an agent
 * runs. Since: 0.1.
 */
opamp_status opamp_client_use_proxy_environment(opamp_client *client,
                                                int32_t on,
                                                opamp_error **err);

/**
 * Lets a redirect lead to this scheme, host and port as well (`https://gateway.example:8443`);
 * NULL: from now on again to none but the endpoint's own. A 307 or 308 sends the message there;
 * 301, 302 and 303 are followed only by a WebSocket's request. Another origin than the endpoint's
 * gets neither the headers of opamp_client_set_header nor the client certificate, nor does the
 * endpoint's own server when the chain comes back to it, except at the very path and query of the
 * endpoint; nothing is ever followed from TLS to plaintext; OPAMP_OPTION_REDIRECT_LIMIT bounds the
 * chain, 0 follows none. The host is told of each (on_redirect); one that is not followed is a
 * failed try, repeated with the backoff, and the endpoint stays the place where the next one
 * begins. ws and wss count as http and https. origin: copied.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no URL,
 * or more than scheme, host and port; NULL where TLS settings would then have no effect),
 * OPAMP_E_STATE while an agent runs. Since: 0.1.
 */
opamp_status opamp_client_allow_redirect_to(opamp_client *client,
                                            const char *origin,
                                            opamp_error **err);

/**
 * Trusts the certificates in a PEM file, and no others. The three opamp_client_set_ca_* replace
 * each other; NULL: back to the system's. The file is read here to check it, at start, and again
 * at each new connection. A CA certificate vouches for servers within its dates
 * (OPAMP_OPTION_ACCEPT_EXPIRED_CA); any other certificate is a pin: accepted only from the server
 * itself, with its name and dates. Revocation is not checked. path: copied; any bytes; a regular
 * file.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: for reading the file. Errors:
 * OPAMP_E_INVALID_ARG (a http endpoint, no certificate there, or a damaged one), OPAMP_E_STATE
 * while an agent runs. Since: 0.1.
 */
opamp_status opamp_client_set_ca_file(opamp_client *client,
                                      const char *path,
                                      opamp_error **err);

/**
 * Trusts the certificates in the PEM files of a folder, and no others. Otherwise as
 * opamp_client_set_ca_file.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: for reading the files. Errors: as
 * opamp_client_set_ca_file. Since: 0.1.
 */
opamp_status opamp_client_set_ca_dir(opamp_client *client,
                                     const char *path,
                                     opamp_error **err);

/**
 * Trusts the certificates in a PEM text, and no others. pem: copied; (NULL, 0): back to the
 * system's. Otherwise as opamp_client_set_ca_file.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: as opamp_client_set_ca_file,
 * and OPAMP_E_INVALID_ARG for a text without a certificate. Since: 0.1.
 */
opamp_status opamp_client_set_ca_pem(opamp_client *client,
                                     const uint8_t *pem,
                                     size_t len,
                                     opamp_error **err);

/**
 * Shows the server a client certificate: a PEM file with its chain, and one with its key (NULL:
 * the same file). Read here to check them, at start, and again at each new connection, so a
 * rotated pair is used. A NULL certificate: none. Paths: copied; any bytes.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: for reading the files. Errors:
 * OPAMP_E_INVALID_ARG (a http endpoint, a key without a certificate, unreadable files, an
 * encrypted key, or not a pair), OPAMP_E_STATE while an agent runs. Since: 0.1.
 */
opamp_status opamp_client_set_client_certificate_files(opamp_client *client,
                                                       const char *certificate_path,
                                                       const char *key_path,
                                                       opamp_error **err);

/**
 * Shows the server a client certificate from PEM texts. Both are copied; an empty key means that
 * it stands in the certificate's text; both empty: none.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (http
 * endpoint, no certificate or key in the texts, or not a pair), OPAMP_E_STATE while an agent runs.
 * Since: 0.1.
 */
opamp_status opamp_client_set_client_certificate_pem(opamp_client *client,
                                                     const uint8_t *certificate,
                                                     size_t certificate_len,
                                                     const uint8_t *key,
                                                     size_t key_len,
                                                     opamp_error **err);

/**
 * Disables certificate verification (1): any certificate of any kind is accepted, so whoever sits
 * on the way can read and change everything. For trials only. Default: 0.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG on a http
 * endpoint, OPAMP_E_STATE while an agent runs. Since: 0.1.
 */
opamp_status opamp_client_set_insecure_skip_verify(opamp_client *client,
                                                   int32_t on,
                                                   opamp_error **err);

/**
 * Declares what the agent does: bits of `enum opamp_capability`. Nothing that gives the server
 * power is declared unless it is asked for here. While an agent runs the change is reported, and
 * starts or stops what it governs.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (an undefined bit, no
 * OPAMP_CAPABILITY_REPORTS_STATUS, or while running a capability without the callback it needs),
 * OPAMP_E_UNSUPPORTED (not in this release); nothing changes then. Since: 0.1.
 */
opamp_status opamp_client_set_capabilities(opamp_client *client,
                                           uint64_t capabilities,
                                           opamp_error **err);

/**
 * What is declared now: bits of `enum opamp_capability`.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: the common ones. Since: 0.1.
 */
opamp_status opamp_client_capabilities(const opamp_client *client, uint64_t *out);

/**
 * Sets the agent description; needed before start. Identifying attributes are those that tell it
 * from others (`service.name`, `service.instance.id`, ..). Both are copied and stay yours; each
 * may be NULL, but not both empty.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no attribute of either
 * kind), OPAMP_E_STATE (another thread is inside a builder). Since: 0.1.
 */
opamp_status opamp_client_set_description(opamp_client *client,
                                          const opamp_attributes *identifying,
                                          const opamp_attributes *non_identifying,
                                          opamp_error **err);

/**
 * Sets the configuration that is in force, as it is reported to the server. The map is shared
 * without a copy and frozen by this call; your reference stays yours. The map of an offer may be
 * given as it came.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG for a NULL map,
 * OPAMP_E_CAPABILITY (kept, goes out once OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG is declared).
 * Since: 0.1.
 */
opamp_status opamp_client_set_effective_config(opamp_client *client,
                                               const opamp_config_map *config,
                                               opamp_error **err);

/**
 * Gives the verdict on an offered configuration, named by its hash: one of `enum
 * opamp_remote_config_state`. An offer is applied only when the host says so here: APPLYING when
 * it takes time, then APPLIED or FAILED with the reason. hash, error_text: copied; the text goes
 * with FAILED only, (NULL, 0): none. Before the first offer a verdict from the host's own storage
 * may be set. There OPAMP_REMOTE_CONFIG_UNSET, with (NULL, 0) as hash, says that there is none: a
 * server that remembers one of an earlier run under this instance uid then offers again. A verdict
 * leaves at once, whatever the options for changes say, and waits for no answer to an earlier
 * message; only where offers that came before come in turn again and again (two servers that do
 * not agree) it waits up to 30 s.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no hash, but for
 * OPAMP_REMOTE_CONFIG_UNSET, or one with it; an unknown state; a text without FAILED; a hash that
 * is neither the last offer's nor the last reported one), OPAMP_E_CAPABILITY (kept, goes out once
 * OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG is declared). Since: 0.1.
 */
opamp_status opamp_client_set_remote_config_status(opamp_client *client,
                                                   const uint8_t *hash,
                                                   size_t hash_len,
                                                   int32_t state,
                                                   const char *error_text,
                                                   size_t error_text_len,
                                                   opamp_error **err);

/**
 * Sets one of the numbers of `enum opamp_option`; their defaults and ranges stand in the table at
 * the top.
 *
 * Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no such
 * option, or out of its range), OPAMP_E_STATE while an agent runs. Since: 0.1.
 */
opamp_status opamp_client_set_option(opamp_client *client,
                                     int32_t option,
                                     uint64_t value,
                                     opamp_error **err);

/**
 * The present value of one of `enum opamp_option`.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no such option). Since:
 * 0.1.
 */
opamp_status opamp_client_option(const opamp_client *client, int32_t option, uint64_t *out);

/**
 * One exchange, here and now, on a connection of its own: sends an encoded AgentToServer (its uid,
 * number and capabilities are replaced by the client's) and answers what the server said.
 * agent_to_server: copied. out: the answer, yours to opamp_message_unref; NULL: not wanted.
 * timeout_ms: -1 for no bound but the client's own. Over WebSocket a message has no answer of its
 * own, and a connection made for one message would show the server an agent that comes and goes:
 * run an agent there, or give the client an HTTP endpoint.
 *
 * Threads: any. Callbacks: not while an agent runs on the client, see errors. Blocks: until the
 * answer or the bound. Errors: OPAMP_E_INVALID_ARG (undecodable, a time below -1, trust files, no
 * usable proxy in the environment), OPAMP_E_STATE (an agent runs, or the client uses the host's
 * transport), OPAMP_E_UNSUPPORTED (a WebSocket endpoint), OPAMP_E_TIMEOUT, OPAMP_E_FAILED (err
 * tells what went wrong on the way), OPAMP_E_TOO_LARGE, OPAMP_E_RESOURCE. Since: 0.1.
 */
opamp_status opamp_client_exchange(opamp_client *client,
                                   const uint8_t *agent_to_server,
                                   size_t len,
                                   int64_t timeout_ms,
                                   opamp_message **out,
                                   opamp_error **err);

/**
 * Makes an empty set of attributes. out: yours to opamp_attributes_free.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_attributes_new(opamp_attributes **out);

/**
 * Frees attributes.
 *
 * Threads: any, once. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
 */
void opamp_attributes_free(opamp_attributes *attributes);

/**
 * Sets a key to a text. key: UTF-8, copied. value: UTF-8, copied.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (NULL, not
 * UTF-8). Since: 0.1.
 */
opamp_status opamp_attributes_set_string(opamp_attributes *attributes,
                                         const char *key,
                                         const char *value,
                                         opamp_error **err);

/**
 * Sets a key to a truth value. key: UTF-8, copied. value: 0 is false, any other true.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_attributes_set_bool(opamp_attributes *attributes,
                                       const char *key,
                                       int32_t value,
                                       opamp_error **err);

/**
 * Sets a key to an integer. key: UTF-8, copied.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_attributes_set_int(opamp_attributes *attributes,
                                      const char *key,
                                      int64_t value,
                                      opamp_error **err);

/**
 * Sets a key to a floating point number. key: UTF-8, copied.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_attributes_set_double(opamp_attributes *attributes,
                                         const char *key,
                                         double value,
                                         opamp_error **err);

/**
 * Sets a key to bytes. key: UTF-8, copied. value: copied; (NULL, 0) is empty.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_attributes_set_bytes(opamp_attributes *attributes,
                                        const char *key,
                                        const uint8_t *value,
                                        size_t len,
                                        opamp_error **err);

/**
 * Sets a key to a value that is none. key: UTF-8, copied.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_attributes_set_empty(opamp_attributes *attributes,
                                        const char *key,
                                        opamp_error **err);

/**
 * Sets a key to a copy of an array. key: UTF-8, copied. value: stays yours.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG,
 * OPAMP_E_TOO_LARGE (more than 32 levels). Since: 0.1.
 */
opamp_status opamp_attributes_set_array(opamp_attributes *attributes,
                                        const char *key,
                                        const opamp_array *value,
                                        opamp_error **err);

/**
 * Sets a key to a copy of attributes as a map. key: UTF-8, copied. value: stays yours.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG,
 * OPAMP_E_TOO_LARGE (more than 32 levels). Since: 0.1.
 */
opamp_status opamp_attributes_set_map(opamp_attributes *attributes,
                                      const char *key,
                                      const opamp_attributes *value,
                                      opamp_error **err);

/**
 * Makes an empty array. out: yours to opamp_array_free.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_array_new(opamp_array **out);

/**
 * Frees an array.
 *
 * Threads: any, once. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
 */
void opamp_array_free(opamp_array *array);

/**
 * Appends a text. value: UTF-8, copied.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (NULL, not
 * UTF-8). Since: 0.1.
 */
opamp_status opamp_array_add_string(opamp_array *array,
                                    const char *value,
                                    opamp_error **err);

/**
 * Appends a truth value. value: 0 is false, any other true.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_array_add_bool(opamp_array *array,
                                  int32_t value,
                                  opamp_error **err);

/**
 * Appends an integer.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_array_add_int(opamp_array *array,
                                 int64_t value,
                                 opamp_error **err);

/**
 * Appends a floating point number.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_array_add_double(opamp_array *array,
                                    double value,
                                    opamp_error **err);

/**
 * Appends bytes. value: copied; (NULL, 0) is empty.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_array_add_bytes(opamp_array *array,
                                   const uint8_t *value,
                                   size_t len,
                                   opamp_error **err);

/**
 * Appends a value that is none.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_array_add_empty(opamp_array *array, opamp_error **err);

/**
 * Appends a copy of an array. value: stays yours.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG,
 * OPAMP_E_TOO_LARGE (more than 32 levels). Since: 0.1.
 */
opamp_status opamp_array_add_array(opamp_array *array,
                                   const opamp_array *value,
                                   opamp_error **err);

/**
 * Appends a copy of attributes as a map. value: stays yours.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG,
 * OPAMP_E_TOO_LARGE (more than 32 levels). Since: 0.1.
 */
opamp_status opamp_array_add_map(opamp_array *array,
                                 const opamp_attributes *value,
                                 opamp_error **err);

/**
 * Makes an empty map. out: one reference, yours to opamp_config_map_unref.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
 */
opamp_status opamp_config_map_new(opamp_config_map **out);

/**
 * Makes a map from an encoded AgentConfigMap of the protocol, for hosts with a protobuf library:
 * one call for many files. bytes: copied. out: frozen, one reference, yours to
 * opamp_config_map_unref. Of a name that comes twice the last counts.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (undecodable, a text that
 * is not UTF-8). Since: 0.1.
 */
opamp_status opamp_config_map_decode(const uint8_t *bytes,
                                     size_t len,
                                     opamp_config_map **out,
                                     opamp_error **err);

/**
 * Copies a file into a map. name: UTF-8, may be empty ((NULL, 0) is); content_type: may be NULL;
 * body: any bytes.
 *
 * Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (not UTF-8, or
 * the name is already there), OPAMP_E_STATE (the map is frozen, or another thread is inside it).
 * Since: 0.1.
 */
opamp_status opamp_config_map_add(opamp_config_map *map,
                                  const char *name,
                                  size_t name_len,
                                  const char *content_type,
                                  const uint8_t *body,
                                  size_t body_len,
                                  opamp_error **err);

/**
 * Adds a reference and answers the same map, which so outlives what it was borrowed from; NULL:
 * NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Since: 0.1.
 */
opamp_config_map *opamp_config_map_ref(const opamp_config_map *map);

/**
 * Gives a reference back; the last one frees the map.
 *
 * Threads: any. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
 */
void opamp_config_map_unref(opamp_config_map *map);

/**
 * How many files there are. NULL: 0.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
size_t opamp_config_map_len(const opamp_config_map *map);

/**
 * The file at a position, in the order of the names' bytes. Outputs borrow from the map and live
 * as long; each may be NULL; an empty content type means none. While the map is built a new file
 * may change positions, not slices.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND past the end. Since: 0.1.
 */
opamp_status opamp_config_map_at(const opamp_config_map *map,
                                 size_t index,
                                 opamp_slice *name,
                                 opamp_slice *content_type,
                                 opamp_slice *body);

/**
 * The file of a name. Outputs as in opamp_config_map_at.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND, OPAMP_E_INVALID_ARG (not
 * UTF-8). Since: 0.1.
 */
opamp_status opamp_config_map_get(const opamp_config_map *map,
                                  const char *name,
                                  size_t name_len,
                                  opamp_slice *content_type,
                                  opamp_slice *body);

/**
 * The status code that belongs to an error. For an error that an event or a callback brought it is
 * the nearest one (OPAMP_E_FAILED, OPAMP_E_TIMEOUT, ..); opamp_error_kind says more there. NULL:
 * OPAMP_E_INVALID_ARG.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: as said. Since: 0.1.
 */
opamp_status opamp_error_code(const opamp_error *error);

/**
 * Where it went wrong: one of `enum opamp_error_kind_code`. NULL: OPAMP_ERROR_NONE.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
int32_t opamp_error_kind(const opamp_error *error);

/**
 * Why, as a number that stays the same whatever the text says: one of `enum
 * opamp_error_reason_code`. Later releases may add reasons. NULL: OPAMP_REASON_NONE.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
int32_t opamp_error_reason(const opamp_error *error);

/**
 * The capabilities that the error is about (undeclared, unsupported, without its callback): bits
 * of `enum opamp_capability`; 0: it is about none. NULL: 0.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
uint64_t opamp_error_capabilities(const opamp_error *error);

/**
 * The type of the server's error_response: one of `enum opamp_server_error_type`. Only errors of
 * kind OPAMP_ERROR_SERVER that on_error or OPAMP_EVENT_SERVER_ERROR brought have one.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where there is none. Since:
 * 0.1.
 */
opamp_status opamp_error_server_type(const opamp_error *error, int32_t *out);

/**
 * The message of the server's error_response, without the type: NUL-terminated, cut to 256 bytes
 * and without control characters; borrowed from the error. opamp_event_message has the whole.
 * NULL: no error_response, or a NULL error.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const char *opamp_error_server_message(const opamp_error *error);

/**
 * The HTTP status of the server's answer; 0: there was none. NULL: 0.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
int32_t opamp_error_http_status(const opamp_error *error);

/**
 * One line for people: NUL-terminated, without control characters and without secrets; borrowed
 * from the error. What it quotes of a peer is printable, cut to 256 bytes, and left out where six
 * characters in a row of a header's value or a proxy's login stand in it. NULL: NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const char *opamp_error_text(const opamp_error *error);

/**
 * When the next try comes, counted from the moment of the failure.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where no next try is known.
 * Since: 0.1.
 */
opamp_status opamp_error_retry_in_ms(const opamp_error *error, uint64_t *out);

/**
 * Acquires a reference and returns the same error, which so outlives the callback, event or
 * snapshot that it was borrowed from; release it with opamp_error_free. NULL: NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Since: 0.1.
 */
opamp_error *opamp_error_ref(const opamp_error *error);

/**
 * Releases the reference that an out parameter or opamp_error_ref gave; the last one frees the
 * error. Never for one that is only borrowed from an event, a callback or a snapshot.
 *
 * Threads: any. Callbacks: yes. Blocks: no. NULL or, for one from before the fork, in a forked
 * child: nothing. Since: 0.1.
 */
void opamp_error_free(opamp_error *error);

/**
 * Sets all slots to NULL and struct_size to `size`, which is sizeof(opamp_callbacks): for
 * languages without the macro OPAMP_CALLBACKS_INIT. Writes `size` bytes.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (NULL, or no size of any
 * release). Since: 0.1.
 */
opamp_status opamp_callbacks_init(opamp_callbacks *callbacks, size_t size);

/**
 * Makes an agent for a client, and adds a reference to it. callbacks: copied; NULL: the host takes
 * events with opamp_agent_next_event, or hears nothing. user: handed to every callback. free_user:
 * called with `user` exactly once, after the last callback returned (in opamp_agent_free, or later
 * if that was called in a callback), unless this call fails; may be NULL. out: yours to
 * opamp_agent_free.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no struct_size of any
 * release), OPAMP_E_UNSUPPORTED (a callback of a later release), OPAMP_E_RESOURCE. Since: 0.1.
 */
opamp_status opamp_agent_new(opamp_client *client,
                             const opamp_callbacks *callbacks,
                             void *user,
                             void (*free_user)(void *user),
                             opamp_agent **out,
                             opamp_error **err);

/**
 * Stops the agent and frees it: no callback runs once this has returned, and free_user has been
 * called. Inside a callback of its own it is done when that callback has returned; no other
 * follows then. The client lives on while others hold it. To be called once; other calls on the
 * handle must not begin any more.
 *
 * Threads: any, once. Callbacks: yes, done later. Blocks: for the stop grace and a second at most,
 * and for a callback that runs on another thread. NULL or in a forked child: nothing. Since: 0.1.
 */
void opamp_agent_free(opamp_agent *agent);

/**
 * Chooses where events go: one of `enum opamp_delivery`. Before start.
 *
 * Threads: any. Callbacks: see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (an unknown
 * delivery), OPAMP_E_STATE while it runs. Since: 0.1.
 */
opamp_status opamp_agent_set_delivery(opamp_agent *agent,
                                      int32_t delivery,
                                      opamp_error **err);

/**
 * Names the agent in its log lines, of the callback and as events, and in the names of its threads
 * (`opamp-NAME`, as far as 15 bytes go). name: UTF-8 of at most 64 bytes without control
 * characters, copied; NULL or empty, as at the beginning: its lines have the instance uid. Before
 * start.
 *
 * Threads: any. Callbacks: see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (too long, a
 * control character, not UTF-8), OPAMP_E_STATE while it runs. Since: 0.1.
 */
opamp_status opamp_agent_set_name(opamp_agent *agent,
                                  const char *name,
                                  opamp_error **err);

/**
 * Asks for the agent's log lines as events, up to a level of `enum opamp_log_level`;
 * OPAMP_LOG_OFF, the default: none. For hosts that can not take the callback of
 * opamp_set_log_callback from any thread. Before start.
 *
 * Threads: any. Callbacks: see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (an unknown level),
 * OPAMP_E_STATE while it runs. Since: 0.1.
 */
opamp_status opamp_agent_set_log_events(opamp_agent *agent,
                                        int32_t level,
                                        opamp_error **err);

/**
 * Sets the time between two polls or heartbeats, counted from the last message; a server's
 * heartbeat interval overrides it. Takes effect at once while the agent runs. Above 24 h it is
 * clamped. 0 turns heartbeats off, over WebSocket alone: HTTP must poll, and opamp_agent_start
 * refuses it there.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG below 10 ms. Since: 0.1.
 */
opamp_status opamp_agent_set_heartbeat_interval(opamp_agent *agent,
                                                uint64_t milliseconds,
                                                opamp_error **err);

/**
 * Starts the agent. Never fails because of the network, which is not touched here: a server that
 * comes up later is joined. What is set on the client until then is what the first message says.
 * After a stop it starts again with the same instance uid, a sequence number that goes on, and
 * everything unconfirmed; so it does after opamp_agent_request_stop once OPAMP_EVENT_STOPPED was
 * taken. Events of the former run that nobody took are gone.
 *
 * Threads: any. Callbacks: see errors. Blocks: no (trust files and the environment are read).
 * Errors: OPAMP_E_STATE (it runs already, or another agent runs on the client),
 * OPAMP_E_INVALID_ARG (no description; a capability without the callback it needs, or the host's
 * transport without on_request; an interval of 0 over HTTP; SERVER_INTERVAL_MIN_MS above
 * SERVER_INTERVAL_MAX_MS; no certificate in the trust store; a bad certificate file; no usable
 * proxy in the environment), OPAMP_E_RESOURCE (no thread or descriptor). Since: 0.1.
 */
opamp_status opamp_agent_start(opamp_agent *agent, opamp_error **err);

/**
 * Asks the agent to stop and does not wait. Repeated, or on an agent that does not run: OPAMP_OK.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: the common ones. Since: 0.1.
 */
opamp_status opamp_agent_request_stop(opamp_agent *agent);

/**
 * Stops the agent: says goodbye to the server within the stop grace, closes, joins. OPAMP_OK: its
 * threads are gone and no callback runs or will (with OPAMP_DELIVERY_POLL, none outside a
 * dispatch: what waits may still be taken, up to OPAMP_EVENT_STOPPED). timeout_ms only bounds your
 * wait; -1: no bound. Inside a callback or a dispatch it is a request and answers OPAMP_E_TIMEOUT
 * at once. On an agent that does not run: OPAMP_OK.
 *
 * Threads: any, several at once. Callbacks: yes, as a request. Blocks: up to timeout_ms. Errors:
 * OPAMP_E_TIMEOUT (call again), OPAMP_E_INVALID_ARG (a time below -1). Since: 0.1.
 */
opamp_status opamp_agent_stop(opamp_agent *agent, int64_t timeout_ms);

/**
 * Stops the agent without telling the server that it is gone (no AgentDisconnect; WebSocket closes
 * with 1001), for an application that replaces itself: a reload or exec whose new process goes on
 * under the same instance uid, whichever of the two leaves or connects first. What is pending is
 * still reported within the stop grace. Otherwise as opamp_agent_stop; a stop that is called later
 * does not make up for the goodbye, and a detach during a stop takes back a goodbye that has not
 * left yet. If no process goes on, the server has to notice by itself.
 *
 * Threads: any, several at once. Callbacks: yes, as a request. Blocks: up to timeout_ms. Errors:
 * OPAMP_E_TIMEOUT (call again), OPAMP_E_INVALID_ARG (a time below -1). Since: 0.1.
 */
opamp_status opamp_agent_detach(opamp_agent *agent, int64_t timeout_ms);

/**
 * Sends a poll now instead of at the next interval, unless the server asked to wait or a failure
 * is waited out.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_STATE when it does not run. Since:
 * 0.1.
 */
opamp_status opamp_agent_poll_now(opamp_agent *agent);

/**
 * Reports the full state with the next message, which leaves now as in opamp_agent_poll_now. What
 * the server refused before is tried again.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_STATE when it does not run. Since:
 * 0.1.
 */
opamp_status opamp_agent_report_full_state(opamp_agent *agent);

/**
 * Drops the connection and makes a new one, as after a change of the network.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_STATE when it does not run. Since:
 * 0.1.
 */
opamp_status opamp_agent_reconnect(opamp_agent *agent);

/**
 * Waits until everything that was set before this call is confirmed by the server. timeout_ms: -1
 * for no bound.
 *
 * Threads: any. Callbacks: yes, but the events behind this one wait. Blocks: up to timeout_ms.
 * Errors: OPAMP_E_TIMEOUT, OPAMP_E_STATE (it does not run, or the server refused a part of it,
 * which is held back), OPAMP_E_AGAIN (64 threads wait in one already), OPAMP_E_INVALID_ARG (a time
 * below -1). Since: 0.1.
 */
opamp_status opamp_agent_flush(opamp_agent *agent,
                               int64_t timeout_ms,
                               opamp_error **err);

/**
 * Sends a host-made AgentToServer: its parts become the client's state; uid, number and
 * capabilities are the library's, and a disconnect in it is ignored. agent_to_server: encoded,
 * copied. tries: how often it is tried; 0: no bound. ticket: names its end, which comes once as
 * on_send_done or OPAMP_EVENT_SEND_DONE, unless it is still on its way when an agent with
 * OPAMP_DELIVERY_THREAD stops; may be NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (undecodable, or a part
 * that its setter would refuse), OPAMP_E_UNSUPPORTED (a part that this release does not report),
 * OPAMP_E_TOO_LARGE (over MESSAGE_LIMIT_BYTES), OPAMP_E_STATE when it does not run, OPAMP_E_AGAIN
 * (64 were asked for whose ends were not taken). Since: 0.1.
 */
opamp_status opamp_agent_send(opamp_agent *agent,
                              const uint8_t *agent_to_server,
                              size_t len,
                              uint32_t tries,
                              uint64_t *ticket,
                              opamp_error **err);

/**
 * A descriptor that is readable exactly while an event waits: for epoll, poll, libuv, asyncio. It
 * belongs to the agent and stays the same from the first call until opamp_agent_free, through
 * restarts; never read or close it. An edge-triggered loop drains to OPAMP_E_TIMEOUT. Also
 * readable when the agent has ended and OPAMP_EVENT_STOPPED waits.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_STATE with OPAMP_DELIVERY_THREAD,
 * OPAMP_E_RESOURCE. Since: 0.1.
 */
opamp_status opamp_agent_poll_fd(opamp_agent *agent, int32_t *fd);

/**
 * Calls the callbacks, on this thread, for what waits: at most what waited at entry. With nothing
 * waiting it waits for the first event up to timeout_ms (-1: no bound). served: how many; may be
 * NULL. Events without a callback count.
 *
 * Threads: any, one at a time. Callbacks: no (OPAMP_E_STATE). Blocks: up to timeout_ms, and for
 * the callbacks. Errors: OPAMP_E_TIMEOUT (nothing waited, also for 0), OPAMP_E_STATE
 * (OPAMP_DELIVERY_THREAD; a dispatch runs already; the agent does not run and OPAMP_EVENT_STOPPED
 * was taken), OPAMP_E_INVALID_ARG (a time below -1). Since: 0.1.
 */
opamp_status opamp_agent_dispatch(opamp_agent *agent, int64_t timeout_ms, uint32_t *served);

/**
 * Takes the next event, waiting for it up to timeout_ms (-1: no bound). out: yours to
 * opamp_event_free. Any number of threads may wait at once; no callback is called.
 *
 * Threads: any. Callbacks: yes. Blocks: up to timeout_ms. Errors: OPAMP_E_TIMEOUT (nothing waits,
 * also for 0), OPAMP_E_STATE (OPAMP_DELIVERY_THREAD; the agent does not run and
 * OPAMP_EVENT_STOPPED was taken), OPAMP_E_INVALID_ARG (a time below -1). Since: 0.1.
 */
opamp_status opamp_agent_next_event(opamp_agent *agent,
                                    int64_t timeout_ms,
                                    opamp_event **out);

/**
 * How the agent is doing now, running or not. out: yours to opamp_snapshot_free.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: the common ones. Since: 0.1.
 */
opamp_status opamp_agent_snapshot(const opamp_agent *agent, opamp_snapshot **out);

/**
 * What happened: one of `enum opamp_event_kind_code`. NULL: 0.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
int32_t opamp_event_kind(const opamp_event *event);

/**
 * The message, borrowed from the event (keep it with opamp_message_ref); NULL: its kind brings
 * none. With OPAMP_EVENT_SERVER_ERROR it holds the error_response as it came, for hosts with a
 * protobuf library (opamp_message_bytes; it brings no parts); NULL there: together with what
 * waited it was over MESSAGE_LIMIT_BYTES.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const opamp_message *opamp_event_message(const opamp_event *event);

/**
 * The error, borrowed from the event; NULL: it brings none.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const opamp_error *opamp_event_error(const opamp_event *event);

/**
 * The request, borrowed from the event (keep it with opamp_request_ref); NULL: its kind brings
 * none.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
opamp_request *opamp_event_request(const opamp_event *event);

/**
 * The ticket of the opamp_agent_send that ended.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where the kind brings none.
 * Since: 0.1.
 */
opamp_status opamp_event_ticket(const opamp_event *event, uint64_t *out);

/**
 * One redirect that is followed: the URL that was asked, the URL that is asked next, and the
 * status that said so. Both are whole, path and query included, but for a URL that repeats a
 * header's value or a proxy's login: of that one only the origin is told. NUL-terminated and
 * borrowed from the event. Any output may be NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where the kind brings none.
 * Since: 0.1.
 */
opamp_status opamp_event_redirect(const opamp_event *event,
                                  const char **from,
                                  const char **to,
                                  int32_t *status);

/**
 * The new instance uid: 16 bytes, borrowed from the event.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where the kind brings none.
 * Since: 0.1.
 */
opamp_status opamp_event_instance_uid(const opamp_event *event, opamp_slice *out);

/**
 * The log line and its level (`enum opamp_log_level`). The line is NUL-terminated and borrowed
 * from the event. Either output may be NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where the kind brings none.
 * Since: 0.1.
 */
opamp_status opamp_event_log(const opamp_event *event, int32_t *level, const char **line);

/**
 * How many older events of its kind this one stands for: the queue is bounded and keeps the
 * newest, and of what a server can provoke (bad messages, errors, new uids, known offers in turn)
 * the host hears three at once, then one after 1, 2, 4 .. 30 s, until a minute was calm.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. NULL: 0. Since: 0.1.
 */
uint64_t opamp_event_missed(const opamp_event *event);

/**
 * Frees an event, and what was borrowed from it and not kept.
 *
 * Threads: any, once. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
 */
void opamp_event_free(opamp_event *event);

/**
 * What the message brought that passed the filters (declared capabilities, unchanged offers): bits
 * of `enum opamp_message_part`. NULL: 0.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
uint64_t opamp_message_parts(const opamp_message *message);

/**
 * The offered configuration, borrowed from the message (keep it with opamp_config_map_ref); NULL:
 * none is offered. A map without files is an offer too: it withdraws all. hash: names the offer in
 * opamp_client_set_remote_config_status, borrowed from the message; may be NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const opamp_config_map *opamp_message_remote_config(const opamp_message *message,
                                                           opamp_slice *hash);

/**
 * What the message asked of the library: bits of `enum opamp_message_flag`, unknown ones included.
 * NULL: 0.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
uint64_t opamp_message_flags(const opamp_message *message);

/**
 * What the server can do as this message said it: bits of `enum opamp_server_capability`; 0: it
 * did not say. NULL: 0.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
uint64_t opamp_message_server_capabilities(const opamp_message *message);

/**
 * The whole ServerToAgent as it came, for hosts with a protobuf library: borrowed from the
 * message. Not filtered. NULL message: an empty slice.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
void opamp_message_bytes(const opamp_message *message, opamp_slice *out);

/**
 * Adds a reference and answers the same message, which so outlives its callback or event; NULL:
 * NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Since: 0.1.
 */
opamp_message *opamp_message_ref(const opamp_message *message);

/**
 * Gives a reference back; the last one frees the message.
 *
 * Threads: any. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
 */
void opamp_message_unref(opamp_message *message);

/**
 * The method: POST. Borrowed from the request; empty for a NULL request.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
void opamp_request_method(const opamp_request *request, opamp_slice *out);

/**
 * The URL. Borrowed from the request; empty for a NULL request.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
void opamp_request_url(const opamp_request *request, opamp_slice *out);

/**
 * The header at a position; send them all. Accept-Encoding is not among them: an HTTP stack that
 * asks for gzip undoes it. Outputs borrow from the request; each may be NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND past the end. Since: 0.1.
 */
opamp_status opamp_request_header_at(const opamp_request *request,
                                     size_t index,
                                     opamp_slice *name,
                                     opamp_slice *value);

/**
 * The body. Borrowed from the request; empty for a NULL request.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
void opamp_request_body(const opamp_request *request, opamp_slice *out);

/**
 * How long the exchange may still take; 0: its time is over.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: the common ones. Since: 0.1.
 */
opamp_status opamp_request_timeout_ms(const opamp_request *request, uint64_t *out);

/**
 * Ends the request with the answer of the server, whatever its status. headers: `header_count`
 * names, each followed by its value, so 2 * header_count texts; those that count are Content-Type,
 * Content-Encoding and Retry-After. body: as the headers describe it. All is copied.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (a status outside 100 to
 * 999, a NULL text), OPAMP_E_STATE (ended before, or nobody waits any more: harmless). Since: 0.1.
 */
opamp_status opamp_request_complete(opamp_request *request,
                                    int32_t http_status,
                                    const char *const *headers,
                                    size_t header_count,
                                    const uint8_t *body,
                                    size_t body_len,
                                    opamp_error **err);

/**
 * Ends the request without an answer. reached_server: 0 when surely no byte of it came to the
 * server, else 1 (then its sequence number counts as used). text: why, copied; shown in events and
 * logs, cut to 256 bytes; NULL: nothing to say.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (not UTF-8), OPAMP_E_STATE
 * (ended before, or nobody waits any more: harmless). Since: 0.1.
 */
opamp_status opamp_request_fail(opamp_request *request,
                                int32_t reached_server,
                                const char *text);

/**
 * Adds a reference and answers the same request, which so outlives its callback or event; NULL:
 * NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Since: 0.1.
 */
opamp_request *opamp_request_ref(opamp_request *request);

/**
 * Gives a reference back; the last one frees the request, and fails it as not reached unless it
 * was ended.
 *
 * Threads: any. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
 */
void opamp_request_unref(opamp_request *request);

/**
 * Frees a snapshot, and what was borrowed from it.
 *
 * Threads: any, once. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
 */
void opamp_snapshot_free(opamp_snapshot *snapshot);

/**
 * One number of a snapshot: one of `enum opamp_snapshot_field`.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND where there is none. Since:
 * 0.1.
 */
opamp_status opamp_snapshot_number(const opamp_snapshot *snapshot,
                                   int32_t what,
                                   uint64_t *out);

/**
 * The last failure of the present run, borrowed from the snapshot; NULL: there was none. Its kind,
 * HTTP status and text are those of opamp_error_kind, opamp_error_http_status and
 * opamp_error_text.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const opamp_error *opamp_snapshot_last_error(const opamp_snapshot *snapshot);

/**
 * Where the last failure of the present run happened: the endpoint's URL without its query, and
 * the proxy where there is one, as `last_error_context` of the JSON. NUL-terminated, borrowed from
 * the snapshot; NULL: there was none.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const char *opamp_snapshot_last_error_context(const opamp_snapshot *snapshot);

/**
 * The snapshot as one JSON object on one line: NUL-terminated, without secrets, borrowed from the
 * snapshot. NULL: NULL.
 *
 * Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
 */
const char *opamp_snapshot_json(const opamp_snapshot *snapshot);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* OPAMP_H */
