/* A restart after stop: the same uid, the number goes on, everything is reported again; a second agent on a running client is
 * refused and leaves the first alone; after a request to stop and the last event it starts again, too; settings of the connection are fixed while it runs, headers are not. [LIFE-09] [LIFE-16] [SYNC-01]
 * [SYNC-12] [HTTP-03] */
#include "kit.h"

int main(void) {
  opamp_client *client = kit_client();
  opamp_agent *agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL), *second;
  opamp_error *err = NULL;
  opamp_snapshot *snapshot = NULL;
  uint64_t before = 0, after = 0;
  char uid[37], again[37], condition[160];
  uint8_t bytes[16] = { 1 };
  kit_client_uid(client, uid);
  kit_start(agent);
  SAME(opamp_agent_start(agent, &err), OPAMP_E_STATE);
  opamp_error_free(err);
  second = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  SAME(opamp_agent_start(second, NULL), OPAMP_E_STATE);
  opamp_agent_free(second);
  SAME(opamp_client_set_endpoint(client, kit_endpoint(), NULL), OPAMP_E_STATE);
  SAME(opamp_client_set_instance_uid(client, bytes, 16, NULL), OPAMP_E_STATE);
  SAME(opamp_client_use_custom_transport(client, 1, NULL), OPAMP_E_STATE);
  SAME(opamp_client_set_ca_file(client, NULL, NULL), OPAMP_E_STATE);
  SAME(opamp_client_set_option(client, OPAMP_OPTION_STOP_GRACE_MS, 1, NULL), OPAMP_E_STATE);
  OK(opamp_client_set_header(client, "X-Fresh", "token-2", NULL));
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  /* What makes a request with headers. */
  if (kit_is_websocket()) {
    OK(opamp_agent_reconnect(agent));
    kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  } else {
    OK(opamp_agent_poll_now(agent));
    snprintf(condition, sizeof condition, "heartbeats%%3E%%3D1&agent=%s", uid);
    kit_wait(condition);
  }
  CHECK(kit_timeline_has(kit_requests(), "token-2"));
  OK(opamp_client_set_header(client, "X-Fresh", NULL, NULL));
  OK(opamp_agent_stop(agent, -1));
  OK(opamp_agent_snapshot(agent, &snapshot));
  OK(opamp_snapshot_number(snapshot, OPAMP_SNAPSHOT_SEQUENCE_NUM, &before));
  opamp_snapshot_free(snapshot);
  SAME(kit_api("DELETE", "timeline", NULL, NULL, 0), 200);
  kit_start(agent);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  kit_client_uid(client, again);
  CHECK(strcmp(uid, again) == 0);
  snprintf(condition, sizeof condition, "full&agent=%s", uid);
  kit_wait(condition);
  CHECK(!kit_timeline_has(kit_requests(), "token-2"));
  OK(opamp_agent_snapshot(agent, &snapshot));
  OK(opamp_snapshot_number(snapshot, OPAMP_SNAPSHOT_SEQUENCE_NUM, &after));
  opamp_snapshot_free(snapshot);
  CHECK(after > before);
  snprintf(condition, sizeof condition, "agent=%s&problem=1", uid);
  CHECK(!kit_timeline_has(condition, "SYNC-12"));
  /* As a host with an event loop does it: nobody waits for the end. */
  OK(opamp_agent_request_stop(agent));
  kit_event_gone(agent, OPAMP_EVENT_STOPPED);
  OK(opamp_agent_set_delivery(agent, OPAMP_DELIVERY_POLL, NULL));
  kit_start(agent);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  /* A detach is a stop, too, but the server is not told that the agent is gone; free does not make up for it. */
  SAME(kit_api("DELETE", "timeline", NULL, NULL, 0), 200);
  OK(opamp_agent_detach(agent, -1));
  OK(opamp_agent_detach(agent, 0));
  SAME(opamp_agent_poll_now(agent), OPAMP_E_STATE);
  opamp_agent_free(agent);
  opamp_client_unref(client);
  kit_wait("closed%3E%3D1");
  CHECK(!kit_timeline_has("kind=received", "agent_disconnect"));
  return 0;
}
