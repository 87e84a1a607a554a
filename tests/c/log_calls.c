/* Every function may be called in the log callback, too, whatever it is told and on whichever thread: no lock of the library is held,
 * stop is a request, what would wait for the agent's own thread does not, and free is done when the callback has returned.
 * [LIFE-02] [LIFE-06] */
#include "kit.h"

static opamp_client *client;
static opamp_agent *agent;
static kit_flag lines = KIT_FLAG, destroyed = KIT_FLAG;
static pthread_t host;

static void on_line(int32_t level, const char *line, void *user) {
  opamp_snapshot *snapshot = NULL;
  uint8_t uid[16];
  (void)level, (void)line, (void)user;
  OK(opamp_agent_snapshot(agent, &snapshot));
  opamp_snapshot_free(snapshot);
  OK(opamp_client_instance_uid(client, uid, 16));
  OK(opamp_client_set_header(client, "X-A", "b", NULL));
  OK(opamp_agent_set_heartbeat_interval(agent, 10000, NULL));
  SAME(opamp_agent_start(agent, NULL), OPAMP_E_STATE);
  if (!pthread_equal(pthread_self(), host)) {
    opamp_status status = opamp_agent_flush(agent, -1, NULL);
    CHECK(status == OPAMP_OK || status == OPAMP_E_TIMEOUT || status == OPAMP_E_STATE);
    CHECK(opamp_agent_dispatch(agent, -1, NULL) != OPAMP_E_INVALID_ARG);
    SAME(opamp_agent_stop(agent, -1), OPAMP_E_TIMEOUT);
    SAME(opamp_agent_detach(agent, -1), OPAMP_E_TIMEOUT);
  }
  kit_add(&lines, 1);
}

static void on_line_free(int32_t level, const char *line, void *user) {
  (void)level, (void)line, (void)user;
  OK(opamp_set_log_callback(OPAMP_LOG_OFF, NULL, NULL));
  opamp_agent_free(agent);
  SAME(kit_value(&destroyed), 0);
}

static void on_connect(opamp_agent *a, opamp_client *c, void *user) { (void)a, (void)c, (void)user; }
static void destroy(void *user) { kit_add((kit_flag *)user, 1); }

static void make(int32_t delivery) {
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  callbacks.on_connect = on_connect;
  client = kit_client();
  /* Said at start, in the log. */
  if (getenv("OPAMP_TEST_CA")) OK(opamp_client_set_insecure_skip_verify(client, 1, NULL));
  OK(opamp_agent_new(client, &callbacks, &destroyed, destroy, &agent, NULL));
  OK(opamp_agent_set_delivery(agent, delivery, NULL));
}

int main(void) {
  int32_t delivery;
  host = pthread_self();
  alarm(6 * SOON_MS / 1000);
  for (delivery = OPAMP_DELIVERY_THREAD; delivery <= OPAMP_DELIVERY_POLL; delivery++) {
    make(delivery);
    OK(opamp_set_log_callback(OPAMP_LOG_DEBUG, on_line, NULL));
    lines.value = 0;
    kit_start(agent);
    kit_until(&lines, 1); /* which asked for a stop */
    OK(opamp_agent_stop(agent, -1));
    OK(opamp_set_log_callback(OPAMP_LOG_DEBUG, on_line_free, NULL));
    destroyed.value = 0;
    kit_start(agent);
    kit_until(&destroyed, 1);
    opamp_client_unref(client);
  }
  return 0;
}
