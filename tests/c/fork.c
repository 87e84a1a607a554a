/* A forked child: every call on an inherited handle answers E_FORKED, frees do nothing, messages and maps stay readable, a new
 * client works under its own uid; neither a map that another thread just read nor another thread's first call holds the child
 * up; the parent's session goes on untouched, also when the child exits, and when several children come while it is busy.
 * [LIFE-05] [native] */
#include "kit.h"

static opamp_client *client;
static opamp_agent *agent;
static opamp_message *message;
static opamp_config_map *map;
static opamp_event *event;
static opamp_snapshot *snapshot;

static void inherited(void) {
  opamp_slice hash, body;
  opamp_event *none = NULL;
  opamp_error *err = NULL;
  uint64_t number;
  uint8_t uid[16];
  int32_t fd;
  SAME(opamp_client_set_header(client, "X-A", "b", &err), OPAMP_E_FORKED);
  SAME(opamp_error_code(err), OPAMP_E_FORKED);
  opamp_error_free(err);
  SAME(opamp_client_instance_uid(client, uid, 16), OPAMP_E_FORKED);
  SAME(opamp_client_capabilities(client, &number), OPAMP_E_FORKED);
  CHECK(opamp_client_ref(client) == NULL);
  SAME(opamp_agent_new(client, NULL, NULL, NULL, &agent, NULL), OPAMP_E_FORKED);
  SAME(opamp_agent_start(agent, NULL), OPAMP_E_FORKED);
  SAME(opamp_agent_stop(agent, -1), OPAMP_E_FORKED);
  SAME(opamp_agent_detach(agent, -1), OPAMP_E_FORKED);
  SAME(opamp_agent_request_stop(agent), OPAMP_E_FORKED);
  SAME(opamp_agent_poll_now(agent), OPAMP_E_FORKED);
  SAME(opamp_agent_flush(agent, -1, NULL), OPAMP_E_FORKED);
  SAME(opamp_agent_dispatch(agent, -1, NULL), OPAMP_E_FORKED);
  SAME(opamp_agent_next_event(agent, -1, &none), OPAMP_E_FORKED);
  SAME(opamp_agent_poll_fd(agent, &fd), OPAMP_E_FORKED);
  SAME(opamp_agent_snapshot(agent, &snapshot), OPAMP_E_FORKED);
  opamp_agent_free(agent);
  opamp_client_unref(client);
  opamp_event_free(event);
  opamp_message_unref(message);
  opamp_message_unref(message); /* once too often: still nothing */
  opamp_config_map_unref(map);
  SAME(opamp_event_kind(event), OPAMP_EVENT_MESSAGE);
  CHECK(opamp_message_remote_config(message, &hash) == map && kit_is(hash, "v1"));
  OK(opamp_config_map_get(map, "a", 1, NULL, &body));
  CHECK(kit_is(body, "1"));
  OK(opamp_snapshot_number(snapshot, OPAMP_SNAPSHOT_STATE, &number));
  SAME(number, OPAMP_AGENT_CONNECTED);
}

static void of_its_own(const char *parent_uid) {
  opamp_client *mine = kit_client();
  opamp_agent *running;
  char uid[37];
  kit_client_uid(mine, uid);
  CHECK(strcmp(uid, parent_uid) != 0);
  running = kit_agent(mine, NULL, NULL, OPAMP_DELIVERY_POLL);
  kit_start(running);
  kit_event_gone(running, OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_stop(running, -1));
  opamp_agent_free(running);
  opamp_client_unref(mine);
}

static void children(int count, const char *uid, int work) {
  int i, status;
  pid_t pids[64];
  for (i = 0; i < count; i++) {
    pids[i] = fork();
    CHECK(pids[i] >= 0);
    if (pids[i] == 0) {
      inherited();
      if (work) of_its_own(uid);
      if (i % 2) _exit(0);
      exit(0); /* with whatever runs at exit */
    }
  }
  for (i = 0; i < count; i++) {
    CHECK(waitpid(pids[i], &status, 0) == pids[i]);
    SAME(status, 0);
  }
}

/* Some milliseconds of work for the first that asks for a position. */
enum { MANY = 60000 };

static void *read_first(void *started) {
  opamp_slice name;
  kit_add((kit_flag *)started, 1);
  OK(opamp_config_map_at(map, MANY - 1, &name, NULL, NULL));
  return NULL;
}

/* A fork in the middle of another thread's first look at a map: the child must not wait for a thread that it has not got. */
static void a_map_that_is_being_read(void) {
  static uint8_t encoded[MANY * 10];
  int i, round, status;
  for (i = 0; i < MANY; i++) { /* entry { key: six digits } */
    char entry[16];
    snprintf(entry, sizeof entry, "\x0a\x08\x0a\x06%06d", i);
    memcpy(encoded + 10 * i, entry, 10);
  }
  for (round = 0; round < 5; round++) {
    struct timespec pause = { 0, 400000 };
    kit_flag started = KIT_FLAG;
    pthread_t reader;
    pid_t child;
    OK(opamp_config_map_decode(encoded, sizeof encoded, &map, NULL));
    CHECK(pthread_create(&reader, NULL, read_first, &started) == 0);
    kit_until(&started, 1);
    nanosleep(&pause, NULL); /* wherever it is then: nothing may go wrong at any point */
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      alarm(SOON_MS / 1000);
      OK(opamp_config_map_at(map, 0, NULL, NULL, NULL));
      _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    SAME(status, 0);
    CHECK(pthread_join(reader, NULL) == 0);
    opamp_config_map_unref(map);
  }
}

static void *make_first(void *started) {
  opamp_client *mine = NULL;
  kit_add((kit_flag *)started, 1);
  OK(opamp_client_new("http://127.0.0.1:9/", &mine, NULL));
  opamp_client_unref(mine);
  return NULL;
}

/* In a process that has not called the library yet: a fork at some point of another thread's first call. */
static void fork_in_the_first_call(int wait) {
  kit_flag started = KIT_FLAG;
  opamp_client *mine = NULL;
  pthread_t first;
  volatile int turn;
  int status;
  pid_t child;
  CHECK(pthread_create(&first, NULL, make_first, &started) == 0);
  kit_until(&started, 1);
  for (turn = 0; turn < wait; turn++) continue;
  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(SOON_MS / 1000);
    OK(opamp_client_new("http://127.0.0.1:9/", &mine, NULL));
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child);
  SAME(status, 0);
  CHECK(pthread_join(first, NULL) == 0);
}

static void a_first_call_that_is_under_way(void) {
  int round, status;
  for (round = 0; round < 300; round++) {
    pid_t fresh = fork();
    CHECK(fresh >= 0);
    if (fresh == 0) {
      fork_in_the_first_call(round * 37 % 6000);
      _exit(0);
    }
    CHECK(waitpid(fresh, &status, 0) == fresh);
    SAME(status, 0);
  }
}

int main(void) {
  char uid[37], condition[160];
  a_first_call_that_is_under_way();
  a_map_that_is_being_read();
  client = kit_client();
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL));
  kit_client_uid(client, uid);
  kit_post("config", "{\"hash_text\": \"v1\", \"files\": [{\"name\": \"a\", \"body\": \"1\"}]}");
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  OK(opamp_agent_set_heartbeat_interval(agent, 20, NULL)); /* far below the hundred in a second that the server takes for a storm */
  kit_start(agent);
  event = kit_event(agent, OPAMP_EVENT_MESSAGE);
  message = opamp_message_ref(opamp_event_message(event));
  map = opamp_config_map_ref(opamp_message_remote_config(message, NULL));
  OK(opamp_agent_snapshot(agent, &snapshot));
  children(2, uid, 1);
  children(30, uid, 0); /* between and during the parent's polls, every 20 ms */
  /* One session from first to last: the same connection, no gap in the numbers, no goodbye. */
  snprintf(condition, sizeof condition, "heartbeats%%3E%%3D20&agent=%s", uid);
  kit_wait(condition);
  snprintf(condition, sizeof condition, "agent=%s", uid);
  CHECK(!kit_timeline_has(condition, "agent_disconnect"));
  CHECK(!kit_timeline_has("problem=1", uid));
  CHECK(!kit_timeline_has("kind=connection", "reset"));
  while (opamp_agent_next_event(agent, 0, &event) == OPAMP_OK) {
    CHECK(opamp_event_kind(event) != OPAMP_EVENT_CONNECT_FAILED);
    opamp_event_free(event);
  }
  OK(opamp_agent_stop(agent, -1));
  opamp_agent_free(agent);
  opamp_snapshot_free(snapshot);
  opamp_config_map_unref(map);
  opamp_message_unref(message);
  opamp_client_unref(client);
  return 0;
}
