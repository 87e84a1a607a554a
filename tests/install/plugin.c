/* A plugin that embeds the archive: one agent comes up, tries to connect, and goes; or is made and never started. */
#include <opamp.h>

int plugin_run(int starts);
const char *plugin_version(void);

int plugin_run(int starts) {
  opamp_client *client = NULL;
  opamp_agent *agent = NULL;
  opamp_attributes *about = NULL;
  opamp_status status = opamp_client_new("http://127.0.0.1:9/v1/opamp", &client, NULL);
  if (status == OPAMP_OK) status = opamp_attributes_new(&about);
  if (status == OPAMP_OK) status = opamp_attributes_set_string(about, "service.name", "plugin", NULL);
  if (status == OPAMP_OK) status = opamp_client_set_description(client, about, NULL, NULL);
  if (status == OPAMP_OK) status = opamp_agent_new(client, NULL, NULL, NULL, &agent, NULL);
  if (status == OPAMP_OK) status = opamp_agent_set_delivery(agent, OPAMP_DELIVERY_POLL, NULL);
  if (status == OPAMP_OK && starts) status = opamp_agent_start(agent, NULL);
  if (status == OPAMP_OK && starts) status = opamp_agent_stop(agent, 5000);
  opamp_agent_free(agent);
  opamp_attributes_free(about);
  opamp_client_unref(client);
  return status;
}

const char *plugin_version(void) {
  return opamp_version();
}
