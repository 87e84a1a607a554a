/* The host's own HTTP stack: each exchange is handed out as a request with method, URL, headers, body and time, and ended once,
 * from any thread; a second end, and one after stop, is E_STATE and harmless; one that is dropped fails as not reached, so its
 * sequence number is used again. [HTTP-01] [HTTP-02] [SYNC-12] [no server] */
#include "kit.h"

static void check_request(const opamp_request *request, const opamp_client *client) {
  opamp_slice name, value;
  size_t i;
  int content = 0, uid = 0;
  uint64_t left = 0;
  char text[37];
  kit_client_uid(client, text);
  opamp_request_method(request, &value);
  CHECK(kit_is(value, "POST"));
  opamp_request_url(request, &value);
  CHECK(kit_is(value, "http://opamp.example/v1/opamp?x=1"));
  opamp_request_body(request, &value);
  CHECK(value.len > 20);
  OK(opamp_request_timeout_ms(request, &left));
  CHECK(left > 0 && left <= 60000);
  for (i = 0; opamp_request_header_at(request, i, &name, &value) == OPAMP_OK; i++) {
    if (name.len == 12 && strncasecmp((const char *)name.data, "Content-Type", 12) == 0) content += kit_is(value, "application/x-protobuf");
    if (name.len == 18 && strncasecmp((const char *)name.data, "OpAMP-Instance-UID", 18) == 0) uid += kit_is(value, text);
  }
  CHECK(i >= 2);
  SAME(content, 1);
  SAME(uid, 1);
}

/* sequence_num is field 2 of AgentToServer, behind the uid of 16 bytes; 0 is left out. */
static int sequence_num(const opamp_request *request) {
  opamp_slice body;
  opamp_request_body(request, &body);
  CHECK(body.data[0] == 0x0a && body.data[1] == 16);
  return body.data[18] == 0x10 ? body.data[19] : 0;
}

static opamp_request *next(opamp_agent *agent) {
  opamp_event *event = kit_event(agent, OPAMP_EVENT_REQUEST);
  opamp_request *request = opamp_request_ref(opamp_event_request(event));
  opamp_event_free(event);
  return request;
}

static void *complete(void *request) {
  static const char *const headers[] = { "Content-Type", "application/x-protobuf" };
  OK(opamp_request_complete((opamp_request *)request, 200, headers, 1, NULL, 0, NULL));
  return NULL;
}

static kit_flag handed_out = KIT_FLAG;

static void on_request(opamp_agent *agent, opamp_client *client, opamp_request *request, void *user) {
  (void)agent, (void)user;
  check_request(request, client);
  complete(request);
  SAME(opamp_request_fail(request, 1, "late"), OPAMP_E_STATE);
  kit_add(&handed_out, 1);
}

static void in_callbacks(opamp_client *client) {
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_agent *agent = kit_agent(client, &callbacks, NULL, OPAMP_DELIVERY_THREAD);
  opamp_error *err = NULL;
  SAME(opamp_agent_start(agent, &err), OPAMP_E_INVALID_ARG); /* nobody takes the requests */
  opamp_error_free(err);
  opamp_agent_free(agent);
  callbacks.on_request = on_request;
  agent = kit_agent(client, &callbacks, NULL, OPAMP_DELIVERY_THREAD);
  kit_start(agent);
  OK(opamp_agent_flush(agent, SOON_MS, NULL));
  OK(opamp_agent_stop(agent, -1));
  SAME(kit_value(&handed_out), 2); /* the report and the goodbye */
  opamp_agent_free(agent);
}

int main(void) {
  opamp_client *client = kit_client_at("http://opamp.example/v1/opamp?x=1");
  opamp_agent *agent;
  opamp_request *request, *last;
  opamp_event *event;
  const opamp_error *why;
  pthread_t thread;
  uint64_t retry;
  static const char *const busy[] = { "Retry-After", "0", "Content-Type", "text/html" };
  static const char *const null_text[] = { "Content-Type", NULL };
  OK(opamp_client_use_custom_transport(client, 1, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_FIRST_RETRY_MAX_MS, 10, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_BASE_MS, 10, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_MAX_MS, 10, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_STOP_GRACE_MS, 50, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_RETRY_AFTER_JITTER_MS, 0, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_RETRY_AFTER_MIN_MS, 10, NULL));
  SAME(opamp_client_exchange(client, NULL, 0, 0, NULL, NULL), OPAMP_E_STATE);
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  kit_start(agent);
  /* Not reached: the number is used again. */
  request = next(agent);
  check_request(request, client);
  SAME(sequence_num(request), 0);
  SAME(opamp_request_complete(request, 0, NULL, 0, NULL, 0, NULL), OPAMP_E_INVALID_ARG);
  SAME(opamp_request_complete(request, 200, null_text, 1, NULL, 0, NULL), OPAMP_E_INVALID_ARG);
  SAME(opamp_request_complete(request, 200, NULL, 1, NULL, 0, NULL), OPAMP_E_INVALID_ARG);
  SAME(opamp_request_complete(request, 200, NULL, 0, NULL, 1, NULL), OPAMP_E_INVALID_ARG);
  OK(opamp_request_fail(request, 0, "no route to\n\xff the server"));
  SAME(opamp_request_fail(request, 0, NULL), OPAMP_E_STATE);
  SAME(opamp_request_complete(request, 200, NULL, 0, NULL, 0, NULL), OPAMP_E_STATE);
  opamp_request_unref(request);
  event = kit_event(agent, OPAMP_EVENT_CONNECT_FAILED);
  why = opamp_event_error(event);
  SAME(opamp_error_kind(why), OPAMP_ERROR_CUSTOM_TRANSPORT);
  CHECK(strstr(opamp_error_text(why), "no route to") != NULL && strchr(opamp_error_text(why), '\n') == NULL);
  CHECK(strstr(opamp_error_text(why), "\xef\xbf\xbd the server") != NULL);
  OK(opamp_error_retry_in_ms(why, &retry));
  opamp_event_free(event);
  /* Dropped without an end: the same. */
  request = next(agent);
  SAME(sequence_num(request), 0);
  opamp_request_unref(request);
  /* Perhaps reached: the number is used up. */
  request = next(agent);
  SAME(sequence_num(request), 0);
  OK(opamp_request_fail(request, 1, NULL));
  opamp_request_unref(request);
  /* A busy server. */
  request = next(agent);
  SAME(sequence_num(request), 1);
  OK(opamp_request_complete(request, 503, busy, 2, (const uint8_t *)"later", 5, NULL));
  opamp_request_unref(request);
  /* An answer, from another thread. */
  request = next(agent);
  SAME(sequence_num(request), 2);
  CHECK(pthread_create(&thread, NULL, complete, request) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  opamp_request_unref(request);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  /* One that is under way when the agent stops, and one that outlives everything. */
  OK(opamp_agent_poll_now(agent));
  last = next(agent);
  OK(opamp_agent_stop(agent, -1));
  SAME(opamp_request_complete(last, 200, NULL, 0, NULL, 0, NULL), OPAMP_E_STATE);
  opamp_agent_free(agent);
  OK(opamp_client_set_option(client, OPAMP_OPTION_STOP_GRACE_MS, SOON_MS, NULL)); /* the goodbye is waited for */
  in_callbacks(client);
  opamp_client_unref(client);
  SAME(opamp_request_fail(last, 0, NULL), OPAMP_E_STATE);
  opamp_request_unref(last);
  return 0;
}
