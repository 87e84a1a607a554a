/* A snapshot at any time: before the start, connected, failing, stopped; numbers, the last error, and all of it as one line of JSON
 * without secrets. It stays what it was. [LOG-04] [LOG-03] */
#include "kit.h"

static opamp_snapshot *take(opamp_agent *agent) {
  opamp_snapshot *snapshot = NULL;
  OK(opamp_agent_snapshot(agent, &snapshot));
  CHECK(opamp_snapshot_json(snapshot)[0] == '{');
  CHECK(strchr(opamp_snapshot_json(snapshot), '\n') == NULL);
  return snapshot;
}

static uint64_t number(const opamp_snapshot *snapshot, int32_t what) {
  uint64_t value = 0;
  OK(opamp_snapshot_number(snapshot, what, &value));
  return value;
}

int main(void) {
  opamp_client *client = kit_client();
  opamp_agent *agent;
  opamp_snapshot *now, *old;
  opamp_event *event;
  opamp_attributes *who = NULL;
  uint64_t value = 77;
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL));
  OK(opamp_client_set_header(client, "Authorization", "Bearer top-secret", NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_FIRST_RETRY_MAX_MS, 100, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_BASE_MS, 60000, NULL));
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  now = take(agent);
  SAME(number(now, OPAMP_SNAPSHOT_STATE), OPAMP_AGENT_STOPPED);
  SAME(opamp_snapshot_number(now, OPAMP_SNAPSHOT_LAST_SUCCESS_AGE_MS, &value), OPAMP_E_NOT_FOUND);
  SAME(opamp_snapshot_number(now, 0, &value), OPAMP_E_NOT_FOUND);
  SAME(opamp_snapshot_number(now, 12345, &value), OPAMP_E_NOT_FOUND);
  SAME(opamp_snapshot_number(now, -1, &value), OPAMP_E_NOT_FOUND);
  SAME(value, 77);
  CHECK(opamp_snapshot_last_error(now) == NULL);
  CHECK(opamp_snapshot_last_error_context(now) == NULL);
  old = now;
  kit_post("config", "{\"files\": [{\"name\": \"a\", \"body\": \"1\"}]}");
  kit_start(agent);
  event = kit_event(agent, OPAMP_EVENT_MESSAGE);
  OK(opamp_agent_flush(agent, SOON_MS, NULL));
  now = take(agent);
  SAME(number(now, OPAMP_SNAPSHOT_STATE), OPAMP_AGENT_CONNECTED);
  SAME(number(now, OPAMP_SNAPSHOT_TRANSPORT), kit_is_websocket() ? OPAMP_TRANSPORT_WEBSOCKET : OPAMP_TRANSPORT_HTTP);
  SAME(number(now, OPAMP_SNAPSHOT_INTERVAL_MS), 30000);
  SAME(number(now, OPAMP_SNAPSHOT_NEXT_TRY_REASON), OPAMP_WAIT_HEARTBEAT);
  SAME(number(now, OPAMP_SNAPSHOT_FAILURES), 0);
  SAME(number(now, OPAMP_SNAPSHOT_PENDING_OFFER), 1);
  SAME(number(now, OPAMP_SNAPSHOT_PENDING), 0);
  SAME(number(now, OPAMP_SNAPSHOT_HELD_BACK), 0);
  CHECK(number(now, OPAMP_SNAPSHOT_NEXT_TRY_MS) <= 33000);
  CHECK(number(now, OPAMP_SNAPSHOT_MESSAGES_SENT) >= 1 && number(now, OPAMP_SNAPSHOT_MESSAGES_RECEIVED) >= 1);
  SAME(number(now, OPAMP_SNAPSHOT_SEQUENCE_NUM), number(now, OPAMP_SNAPSHOT_MESSAGES_SENT));
  CHECK(number(now, OPAMP_SNAPSHOT_BYTES_SENT) > 100 && number(now, OPAMP_SNAPSHOT_BYTES_RECEIVED) > 50);
  CHECK(number(now, OPAMP_SNAPSHOT_SERVER_CAPABILITIES) & OPAMP_SERVER_CAPABILITY_ACCEPTS_STATUS);
  CHECK(strstr(opamp_snapshot_json(now), "\"connected\"") != NULL);
  CHECK(strstr(opamp_snapshot_json(now), "top-secret") == NULL);
  opamp_snapshot_free(now);
  opamp_event_free(event);
  kit_post("listen", "{\"listening\": false, \"connections\": \"reset\"}");
  OK(opamp_attributes_new(&who));
  OK(opamp_attributes_set_string(who, "service.name", "another", NULL));
  OK(opamp_client_set_description(client, who, NULL, NULL));
  opamp_attributes_free(who);
  /* The loss of the connection comes first; the second failure, a refused connect, has a long wait behind it. */
  kit_event_gone(agent, OPAMP_EVENT_CONNECT_FAILED);
  for (now = take(agent); number(now, OPAMP_SNAPSHOT_FAILURES) < 2; now = take(agent)) {
    opamp_snapshot_free(now);
    kit_event_gone(agent, OPAMP_EVENT_CONNECT_FAILED);
  }
  SAME(number(now, OPAMP_SNAPSHOT_STATE), OPAMP_AGENT_WAITING);
  SAME(number(now, OPAMP_SNAPSHOT_NEXT_TRY_REASON), OPAMP_WAIT_BACKOFF);
  SAME(number(now, OPAMP_SNAPSHOT_FAILURES), 2);
  CHECK(number(now, OPAMP_SNAPSHOT_PENDING) & OPAMP_PART_DESCRIPTION);
  SAME(opamp_error_kind(opamp_snapshot_last_error(now)), OPAMP_ERROR_CONNECT);
  SAME(opamp_error_http_status(opamp_snapshot_last_error(now)), 0);
  CHECK(opamp_snapshot_last_error_context(now) != NULL);
  CHECK(strcmp(opamp_snapshot_last_error_context(now), getenv("OPAMP_TEST_ENDPOINT")) == 0);
  CHECK(strstr(opamp_snapshot_json(now), opamp_snapshot_last_error_context(now)) != NULL);
  opamp_snapshot_free(now);
  OK(opamp_agent_stop(agent, -1));
  now = take(agent);
  SAME(number(now, OPAMP_SNAPSHOT_STATE), OPAMP_AGENT_STOPPED);
  opamp_snapshot_free(now);
  opamp_agent_free(agent);
  opamp_client_unref(client);
  SAME(number(old, OPAMP_SNAPSHOT_STATE), OPAMP_AGENT_STOPPED); /* still what it was */
  CHECK(opamp_snapshot_last_error(old) == NULL);
  CHECK(opamp_snapshot_last_error_context(old) == NULL);
  opamp_snapshot_free(old);
  return 0;
}
