/* The host's own messages: opamp_agent_send takes the parts over and ends each ticket once, confirmed or given up after so many
 * tries; opamp_client_exchange works without an agent and is refused beside one; flush answers when all is confirmed.
 * [LIFE-12] */
#include "kit.h"

/* AgentToServer { agent_description { identifying_attributes { key: "k", value { string_value: "sent-by-host" } } } } */
static const uint8_t MESSAGE[] = "\x1a\x17\x0a\x15\x0a\x01k\x12\x10\x0a\x0e" "sent-by-host!!";

/* Without an agent, over HTTP. */
static void exchanges(opamp_client *client) {
  opamp_message *answer = NULL;
  opamp_slice bytes;
  opamp_error *err = NULL;
  OK(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, SOON_MS, &answer, &err));
  CHECK(answer != NULL && err == NULL);
  opamp_message_bytes(answer, &bytes);
  CHECK(bytes.len > 0);
  CHECK(opamp_message_server_capabilities(answer) & OPAMP_SERVER_CAPABILITY_ACCEPTS_STATUS);
  CHECK(opamp_message_remote_config(answer, NULL) == NULL);
  opamp_message_unref(answer);
  OK(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, -1, NULL, NULL)); /* the answer is not wanted */
  CHECK(kit_timeline_has("kind=received", "sent-by-host!!"));
  kit_post("faults", "{\"rules\": [{\"do\": {\"status\": 404}}]}");
  answer = NULL;
  SAME(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, SOON_MS, &answer, &err), OPAMP_E_FAILED);
  CHECK(answer == NULL);
  SAME(opamp_error_kind(err), OPAMP_ERROR_HTTP_STATUS);
  SAME(opamp_error_http_status(err), 404);
  opamp_error_free(err);
  err = NULL;
  kit_post("faults", "{\"rules\": [{\"do\": {\"silent\": true}}]}");
  SAME(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, 50, &answer, &err), OPAMP_E_TIMEOUT);
  opamp_error_free(err);
  kit_post("faults", "{\"rules\": []}");
}

int main(void) {
  opamp_client *client = kit_client();
  opamp_agent *agent;
  opamp_event *event;
  opamp_attributes *who = NULL;
  uint64_t first = 0, second = 0, ended = 0;
  if (kit_is_websocket()) SAME(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, SOON_MS, NULL, NULL), OPAMP_E_UNSUPPORTED);
  else exchanges(client);
  OK(opamp_client_set_option(client, OPAMP_OPTION_FIRST_RETRY_SPREAD_MS, 10, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_BASE_MS, 10, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_MAX_MS, 10, NULL));
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  kit_start(agent);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  SAME(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, 0, NULL, NULL), OPAMP_E_STATE);
  SAME(opamp_agent_send(agent, (const uint8_t *)"\xff\xff", 2, 1, NULL, NULL), OPAMP_E_INVALID_ARG);
  OK(opamp_agent_send(agent, MESSAGE, sizeof MESSAGE - 1, 1, &first, NULL));
  event = kit_event(agent, OPAMP_EVENT_REPORT_DONE);
  OK(opamp_event_ticket(event, &ended));
  SAME(ended, first);
  CHECK(opamp_event_error(event) == NULL); /* confirmed */
  opamp_event_free(event);
  OK(opamp_agent_flush(agent, SOON_MS));
  kit_refuse("\"times\": \"always\", \"do\": {\"status\": 500}");
  if (kit_is_websocket()) kit_post("connections", "{\"how\": \"close\"}");
  OK(opamp_agent_send(agent, MESSAGE, sizeof MESSAGE - 1, 2, &second, NULL));
  CHECK(second != first);
  event = kit_event(agent, OPAMP_EVENT_REPORT_DONE);
  OK(opamp_event_ticket(event, &ended));
  SAME(ended, second);
  SAME(opamp_error_http_status(opamp_event_error(event)), 500);
  opamp_event_free(event);
  OK(opamp_agent_flush(agent, SOON_MS)); /* that message said nothing new, so nothing is owed */
  OK(opamp_attributes_new(&who));
  OK(opamp_attributes_set_string(who, "k", "new"));
  OK(opamp_client_set_description(client, who, NULL));
  opamp_attributes_free(who);
  SAME(opamp_agent_flush(agent, 10), OPAMP_E_TIMEOUT);
  OK(opamp_agent_stop(agent, -1));
  SAME(opamp_agent_flush(agent, -1), OPAMP_E_STATE);
  opamp_agent_free(agent);
  opamp_client_unref(client);
  return 0;
}
