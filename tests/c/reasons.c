/* Why a call failed: the code, the stable reason, the capabilities that it is about and a text that names what was given; an error that
 * was kept by _ref outlives what it came from; a refused call has changed nothing. [LIFE-06] [HTTP-17] [SYNC-19] [SYNC-20] [SYNC-23]
 * [no server] */
#include "kit.h"

/* The call fails with that code and reason, and its text holds these words. */
#define WHY(call, code, reason, words) \
  do { \
    opamp_error *err = NULL; \
    SAME(call, code); \
    CHECK(err != NULL); \
    if (strstr(opamp_error_text(err), words) == NULL) fprintf(stderr, "%s\n", opamp_error_text(err)); \
    CHECK(strstr(opamp_error_text(err), words) != NULL); \
    SAME(opamp_error_code(err), code); \
    SAME(opamp_error_reason(err), reason); \
    opamp_error_free(err); \
  } while (0)
#define BAD(call, reason, words) WHY(call, OPAMP_E_INVALID_ARG, reason, words)

#define TEN "0123456789"
#define LONG_NAME TEN TEN TEN TEN TEN TEN "01234"

static void endpoints(void) {
  static const struct {
    const char *given, *words;
    int32_t reason;
  } bad[] = {
    { "127.0.0.1:4320", "\"127.0.0.1:4320\" has no scheme, must begin with http://", OPAMP_REASON_URL_SCHEME },
    { "127.0.0.1:4320", "did you mean http://127.0.0.1:4320?", OPAMP_REASON_URL_SCHEME },
    { "ftp://127.0.0.1/", "scheme \"ftp\"", OPAMP_REASON_URL_SCHEME },
    { " http://127.0.0.1:4320", "begins with a blank; did you mean http://127.0.0.1:4320?", OPAMP_REASON_URL_CHARACTER },
    { "http://127.0.0.1:4320\n", "has a line break behind 21 characters; did you mean", OPAMP_REASON_URL_CHARACTER },
    { "http://127.0.0.1/v1#x", "has a fragment (#..), which is never sent; did you mean http://127.0.0.1/v1?", OPAMP_REASON_URL_FRAGMENT },
    { "http://::1:4320/", "did you mean http://[::1]:4320/?", OPAMP_REASON_URL_HOST },
    { "http://b\xc3\xbc" "cher.example/", "use its xn-- form", OPAMP_REASON_URL_HOST },
    { "http:///v1", "no host", OPAMP_REASON_URL_HOST },
    { "http://127.0.0.1:0/", "port", OPAMP_REASON_URL_PORT },
    { "http://me:pa55word@127.0.0.1/", "user info", OPAMP_REASON_URL_USER_INFO },
    { "http+unix://run/", "socket", OPAMP_REASON_URL_SOCKET },
    { "\xff", "endpoint is not UTF-8 at byte 0", OPAMP_REASON_BAD_UTF8 },
    { NULL, "endpoint is NULL", OPAMP_REASON_NULL_POINTER },
  };
  size_t i;
  opamp_client *client = NULL;
  for (i = 0; i < sizeof bad / sizeof *bad; i++) BAD(opamp_client_new(bad[i].given, &client, &err), bad[i].reason, bad[i].words);
  CHECK(client == NULL);
}

static void settings(opamp_client *client) {
  const uint8_t uid[16] = { 0 };
  uint64_t value = 0;
  char name[] = "/tmp/opamp-reasons-XXXXXX";
  int fd = mkstemp(name);
  CHECK(fd >= 0 && write(fd, "no PEM", 6) == 6);
  BAD(opamp_client_set_option(client, 9999, 1, &err), OPAMP_REASON_UNKNOWN_OPTION, "9999");
  BAD(opamp_client_set_option(client, OPAMP_OPTION_FIELD_LIMIT, 1, &err), OPAMP_REASON_OUT_OF_RANGE,
      "FIELD_LIMIT is 1, must be 100 to 100000000");
  OK(opamp_client_option(client, OPAMP_OPTION_FIELD_LIMIT, &value));
  SAME(value, 200000);
  BAD(opamp_client_set_instance_uid(client, uid, 15, &err), OPAMP_REASON_OUT_OF_RANGE, "15 bytes long, must be 16");
  BAD(opamp_client_set_instance_uid(client, uid, 16, &err), OPAMP_REASON_OUT_OF_RANGE, "zeros");
  BAD(opamp_client_set_header(client, "X Y", "v", &err), OPAMP_REASON_HEADER_NAME, "header name");
  BAD(opamp_client_set_header(client, "X-Y", "a\nb", &err), OPAMP_REASON_HEADER_VALUE, "x-y");
  BAD(opamp_client_set_header(client, "X-Y", "\xff", &err), OPAMP_REASON_BAD_UTF8, "value of the header \"X-Y\"");
  BAD(opamp_client_set_header(client, "Content-Length", "1", &err), OPAMP_REASON_HEADER_RESERVED, "content-length");
  BAD(opamp_client_set_insecure_skip_verify(client, 1, &err), OPAMP_REASON_TLS_UNUSED, "http://");
  BAD(opamp_client_set_ca_file(client, "/nonexistent/ca.pem", &err), OPAMP_REASON_FILE_NOT_FOUND, "/nonexistent/ca.pem");
  BAD(opamp_client_set_ca_dir(client, "/nonexistent", &err), OPAMP_REASON_FILE_NOT_FOUND, "/nonexistent");
  BAD(opamp_client_set_ca_file(client, "/dev/null", &err), OPAMP_REASON_FILE_UNREADABLE, "/dev/null");
  BAD(opamp_client_set_ca_file(client, name, &err), OPAMP_REASON_BAD_PEM, name);
  BAD(opamp_client_set_client_certificate_files(client, name, "/nonexistent/key.pem", &err), OPAMP_REASON_FILE_NOT_FOUND,
      "/nonexistent/key.pem");
  BAD(opamp_client_set_client_certificate_files(client, NULL, name, &err), OPAMP_REASON_NULL_POINTER, "private key without");
  BAD(opamp_client_set_ca_pem(client, (const uint8_t *)"x", 1, &err), OPAMP_REASON_BAD_PEM, "");
  BAD(opamp_client_allow_redirect_to(client, "https://127.0.0.1/v1", &err), OPAMP_REASON_URL_PATH, "scheme, host and port");
  unlink(name);
  close(fd);
}

static void proxies(opamp_client *client) {
  static const struct {
    const char *given, *words;
    int32_t reason;
  } bad[] = {
    { "ftp://127.0.0.1:3128", "proxy scheme must be http", OPAMP_REASON_URL_SCHEME },
    { "http://:3128", "proxy has no host", OPAMP_REASON_URL_HOST },
    { "http://[::1", "proxy URL must be scheme, user info, host", OPAMP_REASON_URL_HOST },
    { "127.0.0.1:0", "proxy port must be 1 to 65535", OPAMP_REASON_URL_PORT },
    { "127.0.0.1:3128/way", "proxy URL must be", OPAMP_REASON_URL_PATH },
    { "127.0.0.1?way", "proxy URL must be", OPAMP_REASON_URL_PATH },
    { "127.0.0.1 ", "proxy URL must be", OPAMP_REASON_URL_CHARACTER },
    { "127.0.0.1\\x", "proxy URL must be", OPAMP_REASON_URL_CHARACTER },
    { "a%20b", "proxy URL must be", OPAMP_REASON_URL_CHARACTER },
    { "http://me%3A:x@127.0.0.1", "user name must not contain a colon", OPAMP_REASON_URL_USER_INFO },
    { "socks5://:x@127.0.0.1", "user name must be 1 to 255", OPAMP_REASON_URL_USER_INFO },
    { "\xff", "not UTF-8", OPAMP_REASON_BAD_UTF8 },
  };
  size_t i;
  for (i = 0; i < sizeof bad / sizeof *bad; i++)
    BAD(opamp_client_set_proxy(client, bad[i].given, &err), bad[i].reason, bad[i].words);
}

static void builders(opamp_client *client) {
  opamp_attributes *who = NULL;
  opamp_array *array = NULL;
  opamp_config_map *map = NULL;
  OK(opamp_attributes_new(&who));
  OK(opamp_array_new(&array));
  OK(opamp_config_map_new(&map));
  BAD(opamp_client_set_description(client, who, NULL, &err), OPAMP_REASON_NO_DESCRIPTION, "at least one attribute");
  BAD(opamp_attributes_set_string(who, "host.name", "caf\xe9", &err), OPAMP_REASON_BAD_UTF8,
      "value of the key \"host.name\" is not UTF-8 at byte 3");
  BAD(opamp_attributes_set_string(who, "host.name", NULL, &err), OPAMP_REASON_NULL_POINTER, "\"host.name\" is NULL");
  BAD(opamp_attributes_set_bytes(who, "host.id", NULL, 3, &err), OPAMP_REASON_NULL_POINTER, "\"host.id\"");
  BAD(opamp_attributes_set_int(who, "k\xff", 3, &err), OPAMP_REASON_BAD_UTF8, "key is not UTF-8 at byte 1");
  BAD(opamp_attributes_set_array(who, "list", NULL, &err), OPAMP_REASON_NULL_POINTER, "\"list\"");
  BAD(opamp_array_add_string(array, "\xff", &err), OPAMP_REASON_BAD_UTF8, "value");
  BAD(opamp_config_map_add(map, "a.yaml", 6, "text\xff", NULL, 0, &err), OPAMP_REASON_BAD_UTF8, "content type of the file \"a.yaml\"");
  BAD(opamp_config_map_add(map, "a\xff", 2, NULL, NULL, 0, &err), OPAMP_REASON_BAD_UTF8, "name is not UTF-8 at byte 1");
  OK(opamp_config_map_add(map, "a.yaml", 6, NULL, NULL, 0, NULL));
  BAD(opamp_config_map_add(map, "a.yaml", 6, NULL, NULL, 0, &err), OPAMP_REASON_DUPLICATE_NAME, "\"a.yaml\"");
  BAD(opamp_config_map_decode((const uint8_t *)"\x0a\x05", 2, NULL, &err), OPAMP_REASON_NULL_POINTER, "output");
  WHY(opamp_client_set_effective_config(client, map, &err), OPAMP_E_CAPABILITY, OPAMP_REASON_CAPABILITY_UNDECLARED,
      "REPORTS_EFFECTIVE_CONFIG");
  WHY(opamp_config_map_add(map, "b", 1, NULL, NULL, 0, &err), OPAMP_E_STATE, OPAMP_REASON_FROZEN, "frozen");
  opamp_config_map_unref(map);
  map = NULL;
  BAD(opamp_config_map_decode((const uint8_t *)"\x0a\x05", 2, &map, &err), OPAMP_REASON_UNDECODABLE, "AgentConfigMap");
  OK(opamp_attributes_set_string(who, "service.name", "reasons", NULL));
  OK(opamp_client_set_description(client, who, NULL, NULL));
  opamp_attributes_free(who);
  opamp_array_free(array);
}

static void statuses(opamp_client *client) {
  const uint8_t hash[4] = { 1, 2, 3, 4 };
  BAD(opamp_client_set_remote_config_status(client, hash, 4, 99, NULL, 0, &err), OPAMP_REASON_UNKNOWN_VALUE, "99");
  BAD(opamp_client_set_remote_config_status(client, hash, 0, OPAMP_REMOTE_CONFIG_APPLIED, NULL, 0, &err), OPAMP_REASON_EMPTY, "hash");
  BAD(opamp_client_set_remote_config_status(client, hash, 4, OPAMP_REMOTE_CONFIG_APPLIED, "x", 1, &err),
      OPAMP_REASON_TEXT_WITHOUT_FAILED, "FAILED");
  BAD(opamp_client_set_remote_config_status(client, hash, 4, OPAMP_REMOTE_CONFIG_FAILED, NULL, 1, &err), OPAMP_REASON_NULL_POINTER,
      "error text");
}

static void capabilities(opamp_client *client) {
  opamp_error *err = NULL, *kept;
  char text[512];
  BAD(opamp_client_set_capabilities(client, 1 | (uint64_t)1 << 40, &err), OPAMP_REASON_UNKNOWN_CAPABILITY, "0x10000000000");
  BAD(opamp_client_set_capabilities(client, 0, &err), OPAMP_REASON_CAPABILITY_MISSING, "REPORTS_STATUS");
  SAME(opamp_client_set_capabilities(client, KIT_ALL | OPAMP_CAPABILITY_ACCEPTS_PACKAGES | OPAMP_CAPABILITY_REPORTS_OWN_LOGS, &err),
       OPAMP_E_UNSUPPORTED);
  SAME(opamp_error_reason(err), OPAMP_REASON_CAPABILITY_UNSUPPORTED);
  SAME(opamp_error_capabilities(err), OPAMP_CAPABILITY_ACCEPTS_PACKAGES | OPAMP_CAPABILITY_REPORTS_OWN_LOGS);
  CHECK(strstr(opamp_error_text(err), "ACCEPTS_PACKAGES, REPORTS_OWN_LOGS") != NULL);
  CHECK(opamp_error_server_message(err) == NULL);
  snprintf(text, sizeof text, "%s", opamp_error_text(err));
  kept = opamp_error_ref(err);
  CHECK(kept == err);
  opamp_error_free(err);
  CHECK(strcmp(opamp_error_text(kept), text) == 0);
  opamp_error_free(kept);
}

static void agents(opamp_client *client) {
  opamp_callbacks none = OPAMP_CALLBACKS_INIT;
  opamp_agent *agent = NULL;
  opamp_client *bare = NULL;
  OK(opamp_client_new("http://127.0.0.1:9/", &bare, NULL));
  agent = kit_agent(bare, &none, NULL, OPAMP_DELIVERY_POLL);
  BAD(opamp_agent_start(agent, &err), OPAMP_REASON_NO_DESCRIPTION, "description");
  opamp_agent_free(agent);
  opamp_client_unref(bare);
  agent = kit_agent(client, &none, NULL, OPAMP_DELIVERY_POLL);
  BAD(opamp_agent_set_delivery(agent, 7, &err), OPAMP_REASON_UNKNOWN_VALUE, "7");
  BAD(opamp_agent_set_log_events(agent, 7, &err), OPAMP_REASON_UNKNOWN_VALUE, "7");
  BAD(opamp_agent_set_heartbeat_interval(agent, 3, &err), OPAMP_REASON_OUT_OF_RANGE, "10 ms");
  BAD(opamp_agent_set_name(agent, "a\nb", &err), OPAMP_REASON_CONTROL_CHARACTER,
      "control character at byte 1");
  BAD(opamp_agent_set_name(agent, LONG_NAME, &err), OPAMP_REASON_TOO_LONG, "at most 64");
  BAD(opamp_agent_flush(agent, -3, &err), OPAMP_REASON_OUT_OF_RANGE, "-3");
  WHY(opamp_agent_flush(agent, 0, &err), OPAMP_E_STATE, OPAMP_REASON_NOT_RUNNING, "not running");
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL));
  BAD(opamp_agent_start(agent, &err), OPAMP_REASON_NEEDS_ON_MESSAGE, "ACCEPTS_REMOTE_CONFIG needs the callback on_message");
  OK(opamp_client_set_capabilities(client, OPAMP_CAPABILITY_REPORTS_STATUS, NULL));
  OK(opamp_client_use_custom_transport(client, 1, NULL));
  BAD(opamp_agent_start(agent, &err), OPAMP_REASON_NEEDS_ON_REQUEST, "on_request");
  OK(opamp_client_use_custom_transport(client, 0, NULL));
  setenv("http_proxy", "ftp://127.0.0.1", 1);
  WHY(opamp_agent_start(agent, &err), OPAMP_E_INVALID_ARG, OPAMP_REASON_PROXY_ENVIRONMENT,
      "http_proxy: proxy scheme must be http");
  BAD(opamp_agent_start(agent, &err), OPAMP_REASON_PROXY_ENVIRONMENT,
      "opamp_client_use_proxy_environment(client, 0, NULL)");
  unsetenv("http_proxy");
  OK(opamp_agent_start(agent, NULL));
  WHY(opamp_agent_start(agent, &err), OPAMP_E_STATE, OPAMP_REASON_AGENT_RUNNING, "running");
  WHY(opamp_client_set_endpoint(client, "http://127.0.0.1:9/", &err), OPAMP_E_STATE, OPAMP_REASON_AGENT_RUNNING, "running");
  OK(opamp_agent_stop(agent, -1));
  opamp_agent_free(agent);
}

static void names(void) {
  int32_t parts[3] = { -1, -1, -1 };
#if OPAMP_VERSION_NUM >= 0x000100
  SAME(sscanf(opamp_version(), "%d.%d.%d", &parts[0], &parts[1], &parts[2]), 3);
#endif
  SAME(parts[0] * 65536 + parts[1] * 256 + parts[2], OPAMP_VERSION_NUM);
  CHECK(strcmp(opamp_error_reason_name(OPAMP_REASON_NONE), "none") == 0);
  CHECK(strcmp(opamp_error_reason_name(OPAMP_REASON_NO_DESCRIPTION), "no_description") == 0);
  CHECK(strcmp(opamp_error_reason_name(12345), "unknown") == 0);
}

int main(void) {
  opamp_client *client = NULL;
  endpoints();
  OK(opamp_client_new("http://127.0.0.1:9/v1/opamp", &client, NULL));
  settings(client);
  proxies(client);
  statuses(client);
  builders(client);
  capabilities(client);
  agents(client);
  names();
  opamp_client_unref(client);
  return 0;
}
