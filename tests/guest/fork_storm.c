/* A thousand forks in C, from four threads, while the parent sends large reports over TLS, shakes hands anew, looks up a name and is
 * refused: the parent's session stays one connection without a gap or a goodbye; each child hears E_FORKED, has none of the library's
 * descriptors, and says nothing, however it ends; a client of its own works there. [GUEST-07] [LIFE-05] [https] */
#include "kit.h"

enum { FORKERS = 4, FORKS = 250, BODY = 64 << 10, OWN_EVERY = 100 };

static opamp_client *clients[3];
static opamp_agent *agents[3];
static kit_flag done = KIT_FLAG;

static void of_its_own(void) {
  opamp_client *mine = kit_client();
  opamp_agent *running = kit_agent(mine, NULL, NULL, OPAMP_DELIVERY_POLL);
  kit_start(running);
  kit_event_gone(running, OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_stop(running, -1));
  opamp_agent_free(running);
  opamp_client_unref(mine);
}

static void in_child(int number) {
  int i;
  for (i = 0; i < 3; i++) {
    SAME(opamp_client_set_header(clients[i], "X-A", "b", NULL), OPAMP_E_FORKED);
    SAME(opamp_agent_stop(agents[i], -1), OPAMP_E_FORKED);
    opamp_agent_free(agents[i]);
    opamp_client_unref(clients[i]);
  }
  if (number % OWN_EVERY == 0) of_its_own();
  if (number % 2) _exit(0);
  exit(0);
}

static void *fork_on(void *first) {
  int i, status;
  for (i = 0; i < FORKS; i++) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) in_child(*(int *)first + i);
    CHECK(waitpid(child, &status, 0) == child);
    SAME(status, 0);
  }
  kit_add(&done, 1);
  return NULL;
}

static opamp_agent *running(opamp_client *client, uint64_t interval_ms) {
  int32_t option;
  opamp_agent *agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  for (option = OPAMP_OPTION_FIRST_RETRY_MAX_MS; option <= OPAMP_OPTION_BACKOFF_MAX_MS; option++)
    OK(opamp_client_set_option(client, option, 1, NULL));
  /* With a beat each 20 ms below the hundred messages in a second that the server takes for a storm, however fast the machine is. */
  OK(opamp_client_set_option(client, OPAMP_OPTION_CHANGE_INTERVAL_MS, 20, NULL));
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL));
  OK(opamp_agent_set_heartbeat_interval(agent, interval_ms, NULL));
  kit_start(agent);
  return agent;
}

/* A child of a calm parent has exactly the descriptors that the process had before. */
static void descriptors_are_gone(int before) {
  int status;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    SAME(kit_entries("/proc/self/fd"), before);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child);
  SAME(status, 0);
}

static void report(uint8_t *body, int number) {
  opamp_config_map *map = NULL;
  memset(body, number, BODY);
  OK(opamp_config_map_new(&map));
  OK(opamp_config_map_add(map, "a", 1, "text/plain", body, BODY, NULL));
  OK(opamp_client_set_effective_config(clients[0], map, NULL));
  opamp_config_map_unref(map);
}

static uint64_t number_of(opamp_agent *agent, int32_t id) {
  opamp_snapshot *snapshot = NULL;
  uint64_t number = 0;
  OK(opamp_agent_snapshot(agent, &snapshot));
  OK(opamp_snapshot_number(snapshot, id, &number));
  opamp_snapshot_free(snapshot);
  return number;
}

int main(void) {
  static int first[FORKERS];
  static uint8_t body[BODY];
  pthread_t forkers[FORKERS];
  char uid[37], query[160];
  uint64_t looked;
  int i, before = kit_entries("/proc/self/fd");
  clients[0] = kit_client();
  kit_client_uid(clients[0], uid);
  agents[0] = running(clients[0], 86400000);
  kit_event_gone(agents[0], OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_flush(agents[0], SOON_MS, NULL));
  descriptors_are_gone(before);
  OK(opamp_agent_set_heartbeat_interval(agents[0], 20, NULL));
  clients[1] = kit_client();
  agents[1] = running(clients[1], 10);
  clients[2] = kit_client_at("http://localhost:9/v1/opamp"); /* the port of "discard": refused */
  agents[2] = running(clients[2], 10);
  for (i = 0; i < FORKERS; i++) {
    first[i] = i * FORKS;
    CHECK(pthread_create(&forkers[i], NULL, fork_on, &first[i]) == 0);
  }
  for (i = 0; kit_value(&done) < FORKERS; i++) {
    report(body, i);
    OK(opamp_agent_reconnect(agents[1]));
    (void)opamp_agent_flush(agents[0], 20, NULL);
  }
  for (i = 0; i < FORKERS; i++) CHECK(pthread_join(forkers[i], NULL) == 0);
  /* there was traffic of each kind, and it goes on */
  OK(opamp_agent_flush(agents[0], SOON_MS, NULL));
  CHECK(number_of(agents[1], OPAMP_SNAPSHOT_CONNECTIONS) > 5);
  looked = number_of(agents[2], OPAMP_SNAPSHOT_ATTEMPTS);
  CHECK(looked > 50);
  while (number_of(agents[2], OPAMP_SNAPSHOT_ATTEMPTS) <= looked) (void)poll(NULL, 0, 1);
  SAME(number_of(agents[0], OPAMP_SNAPSHOT_CONNECTIONS), 1);
  SAME(number_of(agents[0], OPAMP_SNAPSHOT_FAILURES), 0);
  snprintf(query, sizeof query, "agent=%s&part=agent_disconnect", uid);
  CHECK(!kit_timeline_has(query, "agent_disconnect\""));
  snprintf(query, sizeof query, "agent=%s&problem=1", uid);
  CHECK(!kit_timeline_has(query, "verdicts"));
  for (i = 0; i < 3; i++) {
    OK(opamp_agent_stop(agents[i], -1));
    opamp_agent_free(agents[i]);
    opamp_client_unref(clients[i]);
  }
  snprintf(query, sizeof query, "agent=%s&part=agent_disconnect", uid);
  CHECK(kit_timeline_has(query, "agent_disconnect\""));
  SAME(kit_entries("/proc/self/fd"), before);
  return 0;
}
