/* What the hosts of the library share: a client that says the same of itself, and its agent. */
#include <opamp.h>

#include "common.h"

static inline void must(opamp_status status, const char *what) {
  if (status == OPAMP_OK) return;
  (void)fprintf(stderr, "%s: %s\n", what, opamp_status_name(status));
  exit(1);
}

/* BENCH_CA names the authority of a server with TLS. */
static inline opamp_client *new_client(const char *url) {
  opamp_client *client = NULL;
  opamp_attributes *about = NULL;
  must(opamp_client_new(url, &client, NULL), "client");
  if (getenv("BENCH_CA") != NULL) must(opamp_client_set_ca_file(client, getenv("BENCH_CA"), NULL), "ca");
  must(opamp_attributes_new(&about), "attributes");
  must(opamp_attributes_set_string(about, "service.name", "bench", NULL), "attributes");
  must(opamp_client_set_description(client, about, NULL, NULL), "description");
  opamp_attributes_free(about);
  must(opamp_client_set_capabilities(client,
                                     OPAMP_CAPABILITY_REPORTS_STATUS | OPAMP_CAPABILITY_REPORTS_HEARTBEAT |
                                         OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG | OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG,
                                     NULL),
       "capabilities");
  return client;
}

static inline opamp_agent *new_agent(opamp_client *client, const opamp_callbacks *callbacks, int is_poll, uint64_t interval_ms) {
  opamp_agent *agent = NULL;
  must(opamp_agent_new(client, callbacks, NULL, NULL, &agent, NULL), "agent");
  if (is_poll) must(opamp_agent_set_delivery(agent, OPAMP_DELIVERY_POLL, NULL), "delivery");
  must(opamp_agent_set_heartbeat_interval(agent, interval_ms, NULL), "interval");
  return agent;
}
