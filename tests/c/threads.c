/* Any function from any thread at once: setters, snapshots, polls, flushes, events, starts and stops in any order; every answer is
 * one of the documented ones. Also: a free on one thread waits for the callback that runs on another. [LIFE-02] [LIFE-06] */
#include "kit.h"

static opamp_client *client;
static opamp_agent *agent;
static kit_flag over = KIT_FLAG;

static int is_legal(opamp_status status) {
  return status == OPAMP_OK || status == OPAMP_E_STATE || status == OPAMP_E_TIMEOUT || status == OPAMP_E_CAPABILITY || status == OPAMP_E_AGAIN;
}

static void *change(void *number) {
  int i, which = *(int *)number;
  for (i = 0; !kit_value(&over); i++) {
    char value[32];
    opamp_attributes *who = NULL;
    opamp_config_map *map = NULL;
    uint8_t uid[16];
    snprintf(value, sizeof value, "%d-%d", which, i);
    OK(opamp_client_set_header(client, "X-Count", value, NULL));
    OK(opamp_attributes_new(&who));
    OK(opamp_attributes_set_string(who, "service.name", value, NULL));
    OK(opamp_client_set_description(client, who, NULL, NULL));
    opamp_attributes_free(who);
    OK(opamp_config_map_new(&map));
    OK(opamp_config_map_add(map, value, strlen(value), NULL, (const uint8_t *)value, strlen(value), NULL));
    CHECK(is_legal(opamp_client_set_effective_config(client, map, NULL)));
    opamp_config_map_unref(map);
    OK(opamp_client_instance_uid(client, uid, 16));
    opamp_client_unref(opamp_client_ref(client));
  }
  return NULL;
}

static void *drive(void *unused) {
  int32_t fd;
  (void)unused;
  while (!kit_value(&over)) {
    opamp_snapshot *snapshot = NULL;
    CHECK(is_legal(opamp_agent_poll_now(agent)));
    CHECK(is_legal(opamp_agent_report_full_state(agent)));
    CHECK(is_legal(opamp_agent_reconnect(agent)));
    CHECK(is_legal(opamp_agent_flush(agent, 5, NULL)));
    CHECK(is_legal(opamp_agent_send(agent, NULL, 0, 1, NULL, NULL)));
    OK(opamp_agent_set_heartbeat_interval(agent, 50, NULL));
    OK(opamp_agent_poll_fd(agent, &fd));
    OK(opamp_agent_snapshot(agent, &snapshot));
    CHECK(opamp_snapshot_json(snapshot)[0] == '{');
    opamp_snapshot_free(snapshot);
  }
  return NULL;
}

static void *take(void *unused) {
  (void)unused;
  while (!kit_value(&over)) {
    opamp_event *event = NULL;
    opamp_status status = opamp_agent_next_event(agent, 5, &event);
    CHECK(is_legal(status));
    if (status == OPAMP_OK) opamp_event_free(event);
    CHECK(is_legal(opamp_agent_dispatch(agent, 0, NULL)));
  }
  return NULL;
}

static void at_once(void) {
  static int numbers[2] = { 0, 1 };
  pthread_t threads[6];
  int i;
  client = kit_client();
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_STOP_GRACE_MS, 200, NULL));
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  kit_start(agent);
  for (i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, change, &numbers[i]) == 0);
  for (; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, drive, NULL) == 0);
  for (; i < 6; i++) CHECK(pthread_create(&threads[i], NULL, take, NULL) == 0);
  for (i = 0; i < 5; i++) {
    kit_wait("messages%3E%3D1");
    CHECK(is_legal(opamp_agent_stop(agent, i % 2 ? -1 : 1)));
    OK(opamp_agent_stop(agent, -1));
    kit_start(agent);
  }
  kit_add(&over, 1);
  for (i = 0; i < 6; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  OK(opamp_agent_stop(agent, -1));
  opamp_agent_free(agent);
  opamp_client_unref(client);
}

typedef struct slow {
  kit_flag entered, leave, destroyed;
  int has_left;
} slow;

static void on_connect(opamp_agent *a, opamp_client *c, void *user) {
  slow *s = (slow *)user;
  (void)a, (void)c;
  kit_add(&s->entered, 1);
  kit_until(&s->leave, 1);
  s->has_left = 1;
}

static void destroy(void *user) { kit_add(&((slow *)user)->destroyed, 1); }

static void *let_go(void *user) {
  slow *s = (slow *)user;
  struct timespec while_free_waits = { 0, 50000000 };
  nanosleep(&while_free_waits, NULL);
  SAME(kit_value(&s->destroyed), 0);
  kit_add(&s->leave, 1);
  return NULL;
}

static void free_waits_for_a_callback(void) {
  static slow s = { KIT_FLAG, KIT_FLAG, KIT_FLAG, 0 };
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_agent *mine = NULL;
  opamp_client *c = kit_client();
  pthread_t thread;
  callbacks.on_connect = on_connect;
  OK(opamp_agent_new(c, &callbacks, &s, destroy, &mine, NULL));
  kit_start(mine);
  kit_until(&s.entered, 1);
  CHECK(pthread_create(&thread, NULL, let_go, &s) == 0);
  opamp_agent_free(mine);
  SAME(s.has_left, 1);
  SAME(kit_value(&s.destroyed), 1);
  CHECK(pthread_join(thread, NULL) == 0);
  opamp_client_unref(c);
}

int main(void) {
  free_waits_for_a_callback();
  at_once();
  return 0;
}
