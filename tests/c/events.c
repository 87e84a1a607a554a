/* Every kind of event by next_event: CONNECTED before its MESSAGE, CONNECT_FAILED with kind, status, text and the time of the
 * next try, SERVER_ERROR, NEW_UID, SEND_DONE, LOG, STOPPED last; accessors of other kinds answer "not here"; an older
 * event that waited is replaced by the newest of its kind and counted. [LOG-01] [LOG-06] [SYNC-10] [GUEST-05] */
#include "kit.h"

static void only(const opamp_event *event, int message, int error, int ticket, int uid, int log) {
  uint64_t number = 9;
  opamp_slice slice = { NULL, 9 };
  int32_t level = 9;
  const char *line = NULL;
  SAME(opamp_event_message(event) != NULL, message);
  SAME(opamp_event_error(event) != NULL, error);
  CHECK(opamp_event_request(event) == NULL);
  SAME(opamp_event_ticket(event, &number), ticket ? OPAMP_OK : OPAMP_E_NOT_FOUND);
  SAME(opamp_event_instance_uid(event, &slice), uid ? OPAMP_OK : OPAMP_E_NOT_FOUND);
  SAME(opamp_event_log(event, &level, &line), log ? OPAMP_OK : OPAMP_E_NOT_FOUND);
  if (!ticket) SAME(number, 9);
  if (uid) SAME(slice.len, 16);
  if (!uid) SAME(slice.len, 9);
  SAME(line != NULL, log);
}

static void failures_and_recovery(void) {
  opamp_client *client = kit_client();
  opamp_agent *agent;
  opamp_event *event;
  const opamp_error *why;
  opamp_slice whole;
  uint64_t retry = 0;
  int32_t type = -5;
  opamp_error *kept;
  OK(opamp_client_set_option(client, OPAMP_OPTION_FIRST_RETRY_MAX_MS, 100, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_BASE_MS, 50, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_MAX_MS, 50, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_RETRY_AFTER_JITTER_MS, 0, NULL));
  kit_refuse(kit_is_websocket() ? "\"times\": 5, \"do\": {\"status\": 500}}, {\"on\": \"upgrade\", \"do\": {\"status\": 503, \"retry_after\": 1}"
                                : "\"times\": 5, \"do\": {\"status\": 500}}, {\"do\": {\"status\": 503, \"retry_after\": 1}");
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  OK(opamp_agent_set_log_events(agent, OPAMP_LOG_DEBUG, NULL));
  kit_start(agent);
  event = kit_event(agent, OPAMP_EVENT_LOG);
  only(event, 0, 0, 0, 0, 1);
  opamp_event_free(event);
  kit_wait("fault%3Drule-2&since=0"); /* nobody took an event meanwhile: the newest waits, with a count */
  do {
    event = kit_event(agent, OPAMP_EVENT_CONNECT_FAILED);
    only(event, 0, 1, 0, 0, 0);
    why = opamp_event_error(event);
    SAME(opamp_error_kind(why), OPAMP_ERROR_HTTP_STATUS);
    CHECK(*opamp_error_text(why) != 0);
    OK(opamp_error_retry_in_ms(why, &retry));
    if (opamp_error_http_status(why) == 500) {
      CHECK(retry <= 100);
      opamp_event_free(event);
      event = NULL;
    }
  } while (event == NULL);
  SAME(opamp_error_http_status(why), 503);
  SAME(opamp_error_server_type(why, &type), OPAMP_E_NOT_FOUND);
  CHECK(opamp_error_server_message(why) == NULL && type == -5);
  CHECK(retry >= 900 && retry <= 1100);
  opamp_event_free(event);
  event = kit_event(agent, OPAMP_EVENT_CONNECTED);
  only(event, 0, 0, 0, 0, 0);
  opamp_event_free(event);
  /* An error_response. */
  kit_post("next", "{\"answer\": {\"error_response\": {\"type\": \"BadRequest\", \"error_message\": \"not\\nlike this\"}}}");
  OK(opamp_agent_poll_now(agent));
  event = kit_event(agent, OPAMP_EVENT_SERVER_ERROR);
  only(event, 1, 1, 0, 0, 0);
  SAME(opamp_error_kind(opamp_event_error(event)), OPAMP_ERROR_SERVER);
  SAME(opamp_error_reason(opamp_event_error(event)), OPAMP_REASON_NONE);
  OK(opamp_error_server_type(opamp_event_error(event), &type));
  SAME(type, OPAMP_SERVER_ERROR_BAD_REQUEST);
  CHECK(strcmp(opamp_error_server_message(opamp_event_error(event)), "not like this") == 0);
  kept = opamp_error_ref(opamp_event_error(event));
  /* Its message is the answer as it came, with the text that the error's own line may not show. [RCV-01] */
  SAME(opamp_message_parts(opamp_event_message(event)), 0);
  opamp_message_bytes(opamp_event_message(event), &whole);
  CHECK(memmem(whole.data, whole.len, "not\nlike this", 13) != NULL);
  CHECK(strstr(opamp_error_text(opamp_event_error(event)), "like this") != NULL);
  CHECK(strchr(opamp_error_text(opamp_event_error(event)), '\n') == NULL);
  opamp_event_free(event);
  OK(opamp_agent_stop(agent, -1));
  event = kit_event(agent, OPAMP_EVENT_STOPPED);
  only(event, 0, 0, 0, 0, 0);
  opamp_event_free(event);
  event = NULL;
  CHECK(strstr(opamp_error_text(kept), "BAD_REQUEST: not like this") != NULL); /* outlives its event */
  opamp_error_free(kept);
  SAME(opamp_agent_next_event(agent, -1, &event), OPAMP_E_STATE);
  opamp_agent_free(agent);
  opamp_client_unref(client);
}

static kit_flag told = KIT_FLAG;
static opamp_error *kept_of_callback;

static void on_error(opamp_agent *agent, opamp_client *client, const opamp_error *error, void *user) {
  int32_t type = -5;
  (void)agent, (void)client, (void)user;
  OK(opamp_error_server_type(error, &type));
  SAME(type, OPAMP_SERVER_ERROR_UNAVAILABLE);
  CHECK(strcmp(opamp_error_server_message(error), "not now") == 0);
  kept_of_callback = opamp_error_ref(error);
  kit_add(&told, 1);
}

/* The same by on_error, whose error outlives the call once it is kept. */
static void by_callback(int32_t delivery) {
  opamp_client *client = kit_client();
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_agent *agent;
  int before = kit_value(&told);
  callbacks.on_error = on_error;
  agent = kit_agent(client, &callbacks, NULL, delivery);
  kit_post("next", "{\"answer\": {\"error_response\": {\"type\": \"Unavailable\", \"error_message\": \"not now\"}}}");
  kit_start(agent);
  while (delivery == OPAMP_DELIVERY_POLL && kit_value(&told) == before) OK(opamp_agent_dispatch(agent, SOON_MS, NULL));
  kit_until(&told, before + 1);
  OK(opamp_agent_stop(agent, -1));
  opamp_agent_free(agent);
  opamp_client_unref(client);
  CHECK(strcmp(opamp_error_server_message(kept_of_callback), "not now") == 0);
  opamp_error_free(kept_of_callback);
}

static void another_uid(void) {
  static const uint8_t assigned[16] = { 1, 0x8f, 0x3c, 0x6e, 0x7c, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x22 };
  opamp_client *client = kit_client();
  opamp_agent *agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  opamp_event *event;
  opamp_slice uid;
  uint8_t now[16];
  kit_post("next", "{\"answer\": {\"agent_identification\": {\"new_instance_uid\": \"018f3c6e-7c00-7000-8000-000000000022\"}}}");
  kit_start(agent);
  event = kit_event(agent, OPAMP_EVENT_NEW_INSTANCE_UID);
  only(event, 0, 0, 0, 1, 0);
  OK(opamp_event_instance_uid(event, &uid));
  CHECK(memcmp(uid.data, assigned, 16) == 0);
  opamp_event_free(event);
  OK(opamp_client_instance_uid(client, now, 16));
  CHECK(memcmp(now, assigned, 16) == 0);
  OK(opamp_agent_poll_now(agent));
  kit_wait("messages%3E%3D1&agent=018f3c6e-7c00-7000-8000-000000000022");
  opamp_agent_free(agent);
  opamp_client_unref(client);
}

int main(void) {
  failures_and_recovery();
  by_callback(OPAMP_DELIVERY_POLL);
  by_callback(OPAMP_DELIVERY_THREAD);
  another_uid();
  return 0;
}
