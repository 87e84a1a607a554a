/* A host whose timer interrupts every system call each millisecond, without SA_RESTART: each blocking call does its whole work, waits its
 * whole time, and no longer. [GUEST-02] [LIFE-12] [http] */
#include "kit.h"

#include <sys/time.h>

static volatile sig_atomic_t ticks;
static void on_alarm(int signal) { ticks = ticks + (signal == SIGALRM); }

static void tick_every_ms(long microseconds) {
  struct itimerval every;
  memset(&every, 0, sizeof every);
  every.it_interval.tv_usec = every.it_value.tv_usec = microseconds;
  CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The kit's own socket calls know nothing of EINTR. */
static void calmly_post(const char *path, const char *json) {
  tick_every_ms(0);
  kit_post(path, json);
  tick_every_ms(1000);
}

static void waits_its_whole_time(opamp_agent *agent, int is_dispatch) {
  opamp_event *event = NULL;
  uint32_t served = 0;
  int64_t begin;
  int seen = ticks;
  while (opamp_agent_next_event(agent, 0, &event) == OPAMP_OK) opamp_event_free(event);
  begin = now_ms();
  SAME(is_dispatch ? opamp_agent_dispatch(agent, 300, &served) : opamp_agent_next_event(agent, 300, &event), OPAMP_E_TIMEOUT);
  CHECK(now_ms() - begin >= 299);
  CHECK(ticks - seen > 5);
}

static void ask(opamp_client *client) {
  static const uint8_t heartbeat[] = { 0x0a, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
  opamp_message *answer = NULL;
  int seen = ticks;
  OK(opamp_client_exchange(client, heartbeat, sizeof heartbeat, SOON_MS, &answer, NULL));
  CHECK(answer != NULL && ticks - seen > 5);
  opamp_message_unref(answer);
}

int main(void) {
  struct sigaction action;
  sigset_t nothing;
  opamp_client *client = kit_client(), *other = kit_client();
  opamp_agent *agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  opamp_config_map *map = NULL;
  char uid[37], query[120];
  int round, seen;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  sigemptyset(&nothing);
  CHECK(sigprocmask(SIG_SETMASK, &nothing, NULL) == 0);
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL));
  for (round = 0; round < 3; round++) {
    tick_every_ms(1000);
    kit_start(agent);
    kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
    waits_its_whole_time(agent, 0);
    waits_its_whole_time(agent, 1);
    calmly_post("faults", "{\"rules\": [{\"times\": \"always\", \"do\": {\"wait\": \"200ms\"}}]}");
    OK(opamp_config_map_new(&map));
    OK(opamp_config_map_add(map, "a", 1, "", (const uint8_t *)&round, sizeof round, NULL));
    OK(opamp_client_set_effective_config(client, map, NULL));
    opamp_config_map_unref(map);
    seen = ticks;
    OK(opamp_agent_flush(agent, SOON_MS, NULL));
    CHECK(ticks - seen > 5);
    ask(other);
    seen = ticks;
    OK(opamp_agent_stop(agent, SOON_MS)); /* its goodbye is answered late, too */
    CHECK(ticks - seen > 5);
    calmly_post("faults", "{\"rules\": []}");
  }
  tick_every_ms(0);
  kit_client_uid(client, uid);
  snprintf(query, sizeof query, "agent=%s&problem=1", uid);
  CHECK(!kit_timeline_has(query, "verdicts"));
  opamp_agent_free(agent);
  opamp_client_unref(client);
  opamp_client_unref(other);
  return 0;
}
