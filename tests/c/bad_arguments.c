/* NULL and arguments that can not be right, for every function: an error code, outputs untouched, an opamp_error with a text
 * exactly where the call can explain and fails; nothing printed. [LIFE-06] [HTTP-17] [SYNC-09] [SYNC-19] [SYNC-23] [no server] */
#include "kit.h"

#define UNTOUCHED ((uintptr_t)0x5a5a5a5a)

/* The call fails with that code and explains itself. */
#define REFUSED(call, code) \
  do { \
    opamp_error *err = NULL; \
    SAME(call, code); \
    CHECK(err != NULL && *opamp_error_text(err) != 0); \
    SAME(opamp_error_code(err), code); \
    opamp_error_free(err); \
  } while (0)

static void endpoints(void) {
  static const char *const bad[] = { "", "127.0.0.1", "ftp://127.0.0.1/", "http://", "http:///path", "http://user@127.0.0.1/",
                                     "http://user:secret@127.0.0.1/", "http://127.0.0.1:99999/", "\xff\xfe", "file:///etc/passwd",
                                     "http+unix:///v1/opamp", "http+unix://run%2Fopamp.sock/", "http+unix://%2Frun%2Fa%00b/" };
  size_t i;
  opamp_client *client = (opamp_client *)UNTOUCHED;
  for (i = 0; i < sizeof bad / sizeof *bad; i++) {
    opamp_error *err = NULL;
    SAME(opamp_client_new(bad[i], &client, &err), OPAMP_E_INVALID_ARG);
    CHECK(err != NULL && client == (opamp_client *)UNTOUCHED);
    CHECK(strstr(opamp_error_text(err), "secret") == NULL);
    SAME(opamp_error_kind(err), OPAMP_ERROR_ARGUMENT);
    opamp_error_free(err);
  }
  REFUSED(opamp_client_new(NULL, &client, &err), OPAMP_E_INVALID_ARG);
  SAME(opamp_client_new("http://127.0.0.1:9/", NULL, NULL), OPAMP_E_INVALID_ARG);
  CHECK(client == (opamp_client *)UNTOUCHED);
}

/* [PROXY-04] */
static void proxies(opamp_client *client) {
  static const char *const bad[] = { "", "http://", "socks5://:1080", "user:secret@", "http://127.0.0.1:0", "http://127.0.0.1:99999", "ftp://127.0.0.1",
                                     "http://127.0.0.1/path", "http://a b", "socks5://:secret@127.0.0.1", "http://[::1", "http://127.0.0.1?q", "\xff" };
  static const char *const good[] = { "127.0.0.1", "127.0.0.1:3128", "http://127.0.0.1:3128/", "https://user:p%40ss%3A@[::1]:1", "SOCKS5h://u@host", "socks5://h" };
  size_t i;
  for (i = 0; i < sizeof bad / sizeof *bad; i++) {
    opamp_error *err = NULL;
    SAME(opamp_client_set_proxy(client, bad[i], &err), OPAMP_E_INVALID_ARG);
    CHECK(err != NULL && strstr(opamp_error_text(err), "secret") == NULL);
    opamp_error_free(err);
  }
  for (i = 0; i < sizeof good / sizeof *good; i++) OK(opamp_client_set_proxy(client, good[i], NULL));
  REFUSED(opamp_client_set_proxy_header(client, NULL, "x", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_proxy_header(client, "X Y", "x", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_proxy_header(client, "X-Y", "a\r\nb: c", &err), OPAMP_E_INVALID_ARG);
  OK(opamp_client_set_proxy_header(client, "Proxy-Authorization", "Bearer x", NULL));
  OK(opamp_client_set_proxy_header(client, "Proxy-Authorization", NULL, NULL));
  OK(opamp_client_use_proxy_environment(client, 0, NULL));
  /* On a http endpoint TLS settings need an https proxy, and the proxy stays while they are there. [TLS-01] */
  OK(opamp_client_set_proxy(client, "https://127.0.0.1", NULL));
  OK(opamp_client_set_insecure_skip_verify(client, 1, NULL));
  REFUSED(opamp_client_set_proxy(client, NULL, &err), OPAMP_E_INVALID_ARG);
  OK(opamp_client_set_insecure_skip_verify(client, 0, NULL));
  OK(opamp_client_set_proxy(client, NULL, NULL));
}

/* [HTTP-22] */
static void redirects(opamp_client *client) {
  static const char *const bad[] = { "", "127.0.0.1", "https://", "https://user:secret@127.0.0.1", "https://127.0.0.1/path", "https://127.0.0.1?q",
                                     "ftp://127.0.0.1", "http+unix://%2Frun%2Fa", "\xff" };
  size_t i;
  for (i = 0; i < sizeof bad / sizeof *bad; i++) {
    opamp_error *err = NULL;
    SAME(opamp_client_allow_redirect_to(client, bad[i], &err), OPAMP_E_INVALID_ARG);
    CHECK(err != NULL && strstr(opamp_error_text(err), "secret") == NULL);
    opamp_error_free(err);
  }
  OK(opamp_client_allow_redirect_to(client, "http://127.0.0.1:9/", NULL));
  /* On a http endpoint TLS settings need an https origin, which stays while they are there. [TLS-01] */
  REFUSED(opamp_client_set_insecure_skip_verify(client, 1, &err), OPAMP_E_INVALID_ARG);
  OK(opamp_client_allow_redirect_to(client, "https://127.0.0.1", NULL));
  OK(opamp_client_set_insecure_skip_verify(client, 1, NULL));
  REFUSED(opamp_client_allow_redirect_to(client, NULL, &err), OPAMP_E_INVALID_ARG);
  OK(opamp_client_set_insecure_skip_verify(client, 0, NULL));
  OK(opamp_client_allow_redirect_to(client, NULL, NULL));
  REFUSED(opamp_client_set_option(client, OPAMP_OPTION_REDIRECT_LIMIT, 21, &err), OPAMP_E_INVALID_ARG);
}

static void clients(opamp_client *client) {
  uint8_t uid[17] = { 0 };
  uint64_t value = 42;
  opamp_error *untouched = (opamp_error *)UNTOUCHED;
  opamp_attributes *none = NULL;
  opamp_config_map *map = NULL;
  /* err is written only on failure */
  OK(opamp_client_set_header(client, "X-Ok", "1", &untouched));
  CHECK(untouched == (opamp_error *)UNTOUCHED);
  REFUSED(opamp_client_set_endpoint(client, "nonsense", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_endpoint(client, NULL, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_instance_uid(client, uid, 15, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_instance_uid(client, uid, 17, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_instance_uid(client, uid, 16, &err), OPAMP_E_INVALID_ARG); /* all zeros */
  REFUSED(opamp_client_set_instance_uid(client, NULL, 16, &err), OPAMP_E_INVALID_ARG);
  SAME(opamp_client_instance_uid(client, uid, 15), OPAMP_E_INVALID_ARG);
  SAME(opamp_client_instance_uid(client, NULL, 16), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_header(client, NULL, "x", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_header(client, "", "x", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_header(client, "X Y", "x", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_header(client, "X-Y", "a\r\nb: c", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_user_agent_prefix(client, "a\nb", &err), OPAMP_E_INVALID_ARG);
  OK(opamp_client_set_user_agent_prefix(client, NULL, NULL));
  REFUSED(opamp_client_set_ca_file(client, "/nonexistent/ca.pem", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_ca_dir(client, "/nonexistent", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_ca_pem(client, (const uint8_t *)"no pem", 6, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_ca_pem(client, NULL, 6, &err), OPAMP_E_INVALID_ARG);
  OK(opamp_client_set_ca_pem(client, NULL, 0, NULL));
  REFUSED(opamp_client_set_client_certificate_files(client, "/nonexistent/c.pem", NULL, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_client_certificate_files(client, NULL, "/nonexistent/k.pem", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_client_certificate_pem(client, NULL, 0, uid, 3, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_client_certificate_pem(client, uid, 3, uid, 3, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_insecure_skip_verify(client, 1, &err), OPAMP_E_INVALID_ARG); /* http */
  REFUSED(opamp_client_set_capabilities(client, 0, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_capabilities(client, OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_capabilities(client, 1 + ((uint64_t)1 << 40), &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_capabilities(client, 1 + OPAMP_CAPABILITY_ACCEPTS_PACKAGES, &err), OPAMP_E_UNSUPPORTED);
  OK(opamp_client_capabilities(client, &value));
  SAME(value, OPAMP_CAPABILITY_REPORTS_STATUS | OPAMP_CAPABILITY_REPORTS_HEARTBEAT);
  OK(opamp_attributes_new(&none));
  REFUSED(opamp_client_set_description(client, NULL, NULL, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_description(client, none, none, &err), OPAMP_E_INVALID_ARG);
  opamp_attributes_free(none);
  REFUSED(opamp_client_set_effective_config(client, NULL, &err), OPAMP_E_INVALID_ARG);
  OK(opamp_config_map_new(&map));
  REFUSED(opamp_client_set_effective_config(client, map, &err), OPAMP_E_CAPABILITY);
  opamp_config_map_unref(map);
  REFUSED(opamp_client_set_remote_config_status(client, NULL, 0, OPAMP_REMOTE_CONFIG_APPLIED, NULL, 0, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_remote_config_status(client, NULL, 3, OPAMP_REMOTE_CONFIG_APPLIED, NULL, 0, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_remote_config_status(client, uid, 3, 9, NULL, 0, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_remote_config_status(client, uid, 3, OPAMP_REMOTE_CONFIG_APPLIED, "text", 4, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_remote_config_status(client, uid, 3, OPAMP_REMOTE_CONFIG_FAILED, "\xff", 1, &err), OPAMP_E_CAPABILITY); /* mended and kept */
  CHECK(opamp_client_set_option(client, 0, 1, NULL) < 0);
  CHECK(opamp_client_set_option(client, 9999, 1, NULL) < 0);
  REFUSED(opamp_client_set_option(client, OPAMP_OPTION_CONNECT_TIMEOUT_MS, 0, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_option(client, OPAMP_OPTION_DELIVER_EVERY_RESPONSE, 2, &err), OPAMP_E_INVALID_ARG);
  CHECK(opamp_client_option(client, 9999, &value) < 0);
  OK(opamp_client_option(client, OPAMP_OPTION_CONNECT_TIMEOUT_MS, &value));
  SAME(value, 5000);
  REFUSED(opamp_client_exchange(client, uid, 3, -2, NULL, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_exchange(client, (const uint8_t *)"\xff\xff", 2, 100, NULL, &err), OPAMP_E_INVALID_ARG);
}

/* What has no sense over WebSocket, and what has sense there alone. [WS-08] */
static void websocket(void) {
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_attributes *who = NULL;
  opamp_client *client = NULL;
  opamp_agent *agent = NULL;
  OK(opamp_client_new("ws://127.0.0.1:9/", &client, NULL));
  REFUSED(opamp_client_use_custom_transport(client, 1, &err), OPAMP_E_UNSUPPORTED);
  REFUSED(opamp_client_exchange(client, (const uint8_t *)"", 0, 100, NULL, &err), OPAMP_E_UNSUPPORTED);
  REFUSED(opamp_client_set_insecure_skip_verify(client, 1, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_client_set_header(client, "Sec-WebSocket-Protocol", "x", &err), OPAMP_E_INVALID_ARG);
  OK(opamp_client_set_endpoint(client, "wss://127.0.0.1:9/", NULL));
  OK(opamp_client_set_insecure_skip_verify(client, 1, NULL));
  REFUSED(opamp_client_set_endpoint(client, "ws://127.0.0.1:9/", &err), OPAMP_E_INVALID_ARG);
  OK(opamp_client_set_insecure_skip_verify(client, 0, NULL));
  OK(opamp_client_set_endpoint(client, "http://127.0.0.1:9/", NULL));
  OK(opamp_client_use_custom_transport(client, 1, NULL));
  REFUSED(opamp_client_set_endpoint(client, "ws://127.0.0.1:9/", &err), OPAMP_E_UNSUPPORTED);
  OK(opamp_client_use_custom_transport(client, 0, NULL));
  OK(opamp_client_set_endpoint(client, "ws://127.0.0.1:9/", NULL));
  OK(opamp_attributes_new(&who));
  OK(opamp_attributes_set_empty(who, "x", NULL));
  OK(opamp_client_set_description(client, who, NULL, NULL));
  opamp_attributes_free(who);
  OK(opamp_agent_new(client, &callbacks, NULL, NULL, &agent, NULL));
  REFUSED(opamp_agent_set_heartbeat_interval(agent, 9, &err), OPAMP_E_INVALID_ARG);
  OK(opamp_agent_set_heartbeat_interval(agent, 0, NULL));
  OK(opamp_client_set_endpoint(client, "http://127.0.0.1:9/", NULL));
  REFUSED(opamp_agent_start(agent, &err), OPAMP_E_INVALID_ARG);
  OK(opamp_client_set_endpoint(client, "ws://127.0.0.1:9/", NULL));
  OK(opamp_agent_start(agent, NULL));
  OK(opamp_agent_stop(agent, -1));
  opamp_agent_free(agent);
  opamp_client_unref(client);
}

static void builders(void) {
  opamp_attributes *attributes = NULL, *inner = NULL;
  opamp_array *array = NULL;
  opamp_config_map *map = NULL;
  opamp_slice slice = { (const uint8_t *)UNTOUCHED, 7 };
  int i;
  OK(opamp_attributes_new(&attributes));
  OK(opamp_attributes_new(&inner));
  OK(opamp_array_new(&array));
  REFUSED(opamp_attributes_set_string(attributes, NULL, "x", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_attributes_set_string(attributes, "x", NULL, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_attributes_set_string(attributes, "x", "\xc3", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_attributes_set_bytes(attributes, "x", NULL, 1, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_attributes_set_array(attributes, "x", NULL, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_attributes_set_map(attributes, "x", NULL, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_array_add_string(array, NULL, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_array_add_bytes(array, NULL, 1, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_array_add_array(array, NULL, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_array_add_map(array, NULL, &err), OPAMP_E_INVALID_ARG);
  /* an object may be given to itself: it is copied */
  for (i = 0; i < 32; i++) OK(opamp_attributes_set_map(attributes, "self", attributes, NULL));
  REFUSED(opamp_attributes_set_map(attributes, "self", attributes, &err), OPAMP_E_TOO_LARGE);
  REFUSED(opamp_array_add_map(array, attributes, &err), OPAMP_E_TOO_LARGE);
  OK(opamp_attributes_set_map(inner, "flat", inner, NULL));
  opamp_attributes_free(attributes);
  opamp_attributes_free(inner);
  opamp_array_free(array);
  OK(opamp_config_map_new(&map));
  REFUSED(opamp_config_map_add(map, NULL, 3, NULL, NULL, 0, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_config_map_add(map, "\xff", 1, NULL, NULL, 0, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_config_map_add(map, "a", 1, "\xff", NULL, 0, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_config_map_add(map, "a", 1, NULL, NULL, 9, &err), OPAMP_E_INVALID_ARG);
  SAME(opamp_config_map_len(map), 0);
  SAME(opamp_config_map_at(map, 0, &slice, &slice, &slice), OPAMP_E_NOT_FOUND);
  SAME(opamp_config_map_at(map, (size_t)-1, &slice, &slice, &slice), OPAMP_E_NOT_FOUND);
  SAME(opamp_config_map_get(map, "\xff", 1, &slice, &slice), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_config_map_decode((const uint8_t *)"\x0a\x05", 2, &map, &err), OPAMP_E_INVALID_ARG); /* cut off */
  REFUSED(opamp_config_map_decode((const uint8_t *)"\x0a\x03\x0a\x01\xff", 5, &map, &err), OPAMP_E_INVALID_ARG); /* not UTF-8 */
  REFUSED(opamp_config_map_decode(NULL, 9, &map, &err), OPAMP_E_INVALID_ARG);
  CHECK(slice.data == (const uint8_t *)UNTOUCHED && slice.len == 7);
  opamp_config_map_unref(map);
}

static void agents(opamp_client *client) {
  opamp_agent *agent = NULL;
  opamp_attributes *who = NULL;
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_event *event = (opamp_event *)UNTOUCHED;
  uint64_t ticket = 5;
  OK(opamp_agent_new(client, &callbacks, NULL, NULL, &agent, NULL));
  REFUSED(opamp_agent_set_delivery(agent, 2, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_agent_set_delivery(agent, -1, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_agent_set_log_events(agent, 5, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_agent_set_name(agent, "a\nb", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_agent_set_name(agent, "\xff", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_agent_set_name(agent, "0123456789012345678901234567890123456789012345678901234567890123456", &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_agent_set_heartbeat_interval(agent, 0, &err), OPAMP_E_INVALID_ARG);
  REFUSED(opamp_agent_set_heartbeat_interval(agent, 9, &err), OPAMP_E_INVALID_ARG);
  OK(opamp_agent_set_heartbeat_interval(agent, UINT64_MAX, NULL)); /* clamped */
  REFUSED(opamp_agent_start(agent, &err), OPAMP_E_INVALID_ARG); /* no description */
  OK(opamp_attributes_new(&who));
  OK(opamp_attributes_set_empty(who, "x", NULL));
  OK(opamp_client_set_description(client, NULL, who, NULL));
  opamp_attributes_free(who);
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL));
  REFUSED(opamp_agent_start(agent, &err), OPAMP_E_INVALID_ARG); /* no on_message */
  OK(opamp_client_set_capabilities(client, OPAMP_CAPABILITY_REPORTS_STATUS, NULL));
  /* each in its range, together without a sense */
  OK(opamp_client_set_option(client, OPAMP_OPTION_SERVER_INTERVAL_MIN_MS, 60000, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_SERVER_INTERVAL_MAX_MS, 59999, NULL));
  REFUSED(opamp_agent_start(agent, &err), OPAMP_E_INVALID_ARG);
  OK(opamp_client_set_option(client, OPAMP_OPTION_SERVER_INTERVAL_MAX_MS, 60000, NULL));
  SAME(opamp_agent_stop(agent, -2), OPAMP_E_INVALID_ARG);
  SAME(opamp_agent_detach(agent, -2), OPAMP_E_INVALID_ARG);
  OK(opamp_agent_stop(agent, 0)); /* it does not run */
  REFUSED(opamp_agent_flush(agent, 0, &err), OPAMP_E_STATE);
  REFUSED(opamp_agent_flush(agent, -7, &err), OPAMP_E_INVALID_ARG);
  SAME(opamp_agent_poll_now(agent), OPAMP_E_STATE);
  SAME(opamp_agent_send(agent, NULL, 0, 1, &ticket, NULL), OPAMP_E_STATE);
  SAME(opamp_agent_send(agent, NULL, 1, 1, &ticket, NULL), OPAMP_E_INVALID_ARG);
  SAME(ticket, 5);
  OK(opamp_agent_set_delivery(agent, OPAMP_DELIVERY_POLL, NULL));
  SAME(opamp_agent_next_event(agent, 0, &event), OPAMP_E_STATE);
  SAME(opamp_agent_next_event(agent, -3, &event), OPAMP_E_INVALID_ARG);
  SAME(opamp_agent_next_event(agent, 0, NULL), OPAMP_E_INVALID_ARG);
  SAME(opamp_agent_dispatch(agent, -3, NULL), OPAMP_E_INVALID_ARG);
  SAME(opamp_agent_poll_fd(agent, NULL), OPAMP_E_INVALID_ARG);
  SAME(opamp_agent_snapshot(agent, NULL), OPAMP_E_INVALID_ARG);
  CHECK(event == (opamp_event *)UNTOUCHED);
  opamp_agent_free(agent);
}

static void names(void) {
  CHECK(strcmp(opamp_status_name(OPAMP_OK), "OPAMP_OK") == 0);
  CHECK(strcmp(opamp_status_name(OPAMP_E_RESOURCE), "OPAMP_E_RESOURCE") == 0);
  CHECK(strcmp(opamp_status_name(-12345), "unknown") == 0);
  CHECK(strcmp(opamp_error_kind_name(OPAMP_ERROR_TLS), "tls") == 0);
  CHECK(strcmp(opamp_event_kind_name(OPAMP_EVENT_STOPPED), "stopped") == 0);
  CHECK(strcmp(opamp_event_kind_name(0), "unknown") == 0);
  CHECK(strncmp(opamp_version(), "0.", 2) == 0);
  SAME(opamp_set_log_callback(5, NULL, NULL), OPAMP_E_INVALID_ARG);
  SAME(opamp_set_log_callback(-1, NULL, NULL), OPAMP_E_INVALID_ARG);
}

int main(void) {
  opamp_client *client = NULL;
  endpoints();
  websocket();
  builders();
  names();
  OK(opamp_client_new("http://127.0.0.1:9/v1/opamp", &client, NULL));
  proxies(client);
  redirects(client);
  clients(client);
  agents(client);
  opamp_client_unref(client);
  return 0;
}
