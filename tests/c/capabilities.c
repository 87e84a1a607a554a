/* What is declared: nothing that gives the server power by itself; a value that no capability covers is kept and goes out once one
 * does; a capability without its callback is refused at start and while running, where nothing changes then; an offer is not
 * delivered undeclared. [SYNC-08] [SYNC-20] [SYNC-21] [SYNC-22] [RCV-05] [HTTP-21] */
#include "kit.h"

static kit_flag messages = KIT_FLAG;

static void on_message(opamp_agent *agent, opamp_client *client, const opamp_message *message, void *user) {
  (void)agent, (void)client, (void)user;
  CHECK(opamp_message_remote_config(message, NULL) != NULL);
  kit_add(&messages, 1);
}

int main(void) {
  opamp_client *client = kit_client();
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_agent *agent = kit_agent(client, &callbacks, NULL, OPAMP_DELIVERY_THREAD);
  opamp_config_map *map = NULL;
  opamp_error *err = NULL;
  uint64_t bits = 0;
  char uid[37], condition[160];
  OK(opamp_client_capabilities(client, &bits));
  SAME(bits, OPAMP_CAPABILITY_REPORTS_STATUS | OPAMP_CAPABILITY_REPORTS_HEARTBEAT);
  kit_client_uid(client, uid);
  kit_post("config", "{\"files\": [{\"name\": \"a\", \"body\": \"offered-body\"}]}");
  OK(opamp_config_map_new(&map));
  OK(opamp_config_map_add(map, "own.yaml", 8, NULL, (const uint8_t *)"kept-until-declared", 19, NULL));
  SAME(opamp_client_set_effective_config(client, map, NULL), OPAMP_E_CAPABILITY);
  opamp_config_map_unref(map);
  kit_start(agent);
  OK(opamp_agent_flush(agent, SOON_MS, NULL));
  CHECK(!kit_timeline_has("kind=received", "kept-until-declared"));
  /* No on_message: refused while it runs, and what was declared before stays. */
  SAME(opamp_client_set_capabilities(client, KIT_ALL, &err), OPAMP_E_INVALID_ARG);
  CHECK(*opamp_error_text(err) != 0);
  opamp_error_free(err);
  OK(opamp_client_capabilities(client, &bits));
  SAME(bits, OPAMP_CAPABILITY_REPORTS_STATUS | OPAMP_CAPABILITY_REPORTS_HEARTBEAT);
  OK(opamp_client_set_capabilities(client, bits | OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG, NULL));
  OK(opamp_agent_flush(agent, SOON_MS, NULL));
  CHECK(kit_timeline_has("kind=received", "kept-until-declared"));
  /* The interval, while it runs: at once. */
  OK(opamp_agent_set_heartbeat_interval(agent, 20, NULL));
  snprintf(condition, sizeof condition, "heartbeats%%3E%%3D5&agent=%s", uid);
  kit_wait(condition);
  OK(opamp_agent_stop(agent, -1));
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL)); /* nobody runs: the start will see */
  SAME(opamp_agent_start(agent, NULL), OPAMP_E_INVALID_ARG);
  opamp_agent_free(agent);
  callbacks.on_message = on_message;
  agent = kit_agent(client, &callbacks, NULL, OPAMP_DELIVERY_THREAD);
  kit_start(agent);
  kit_until(&messages, 1);
  snprintf(condition, sizeof condition, "agent=%s&problem=1", uid);
  CHECK(!kit_timeline_has(condition, "SYNC-13"));
  opamp_agent_free(agent);
  opamp_client_unref(client);
  return 0;
}
