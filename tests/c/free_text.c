/* The text of a FAILED never keeps the status from the server: Latin-1, a character cut in two, NUL and 70 MB leave mended and cut at
 * 8 KiB, each for a known hash. [SYNC-23] */
#include "kit.h"

#define MUCH ((size_t)70 << 20)

static void report(opamp_client *client, opamp_agent *agent, const char *text, size_t len) {
  opamp_error *err = NULL;
  opamp_status status =
      opamp_client_set_remote_config_status(client, (const uint8_t *)"kept", 4, OPAMP_REMOTE_CONFIG_FAILED, text, len, &err);
  if (status) fprintf(stderr, "%s\n", opamp_error_text(err));
  OK(status);
  OK(opamp_agent_flush(agent, SOON_MS, NULL));
}

int main(void) {
  static const char cut_in_two[] = "begins \xe2\x82";
  static const char nul[] = "before\0behind";
  opamp_client *client = kit_client();
  opamp_agent *agent;
  char *much = (char *)malloc(MUCH);
  CHECK(much != NULL);
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL));
  OK(opamp_client_set_remote_config_status(client, (const uint8_t *)"kept", 4, OPAMP_REMOTE_CONFIG_APPLYING, NULL, 0, NULL));
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  kit_start(agent);
  OK(opamp_agent_flush(agent, SOON_MS, NULL));
  report(client, agent, "Latin-1: \xfc!", 11);
  CHECK(kit_timeline_has("part=remote_config_status", "Latin-1: \xef\xbf\xbd!"));
  report(client, agent, cut_in_two, sizeof cut_in_two - 1);
  CHECK(kit_timeline_has("part=remote_config_status", "begins \xef\xbf\xbd"));
  report(client, agent, nul, sizeof nul - 1);
  CHECK(kit_timeline_has("part=remote_config_status", "before\xef\xbf\xbd" "behind"));
  memset(much, 'x', MUCH);
  memcpy(much, "seventy megabytes", 17);
  report(client, agent, much, MUCH);
  CHECK(kit_timeline_has("part=remote_config_status", "seventy megabytes"));
  CHECK(kit_timeline_has("part=remote_config_status", "xxx [cut]"));
  OK(opamp_agent_stop(agent, -1));
  opamp_agent_free(agent);
  opamp_client_unref(client);
  free(much);
  return 0;
}
