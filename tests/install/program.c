/* Uses the installed header and library: makes a client, an agent, and takes them away. */
#include <opamp.h>
#include <stdio.h>

int main(void) {
  opamp_client *client = NULL;
  opamp_agent *agent = NULL;
  if (opamp_client_new("http://127.0.0.1:9/v1/opamp", &client, NULL) != OPAMP_OK) return 1;
  if (opamp_agent_new(client, NULL, NULL, NULL, &agent, NULL) != OPAMP_OK) return 2;
  opamp_agent_free(agent);
  opamp_client_unref(client);
  return printf("%s\n", opamp_version()) > 0 ? 0 : 3;
}
