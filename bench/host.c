/* A host of the library, as small as can be.
 * usage: host beat|offers|start|big|cycles|idle|memory|none thread|poll URL COUNT
 *   beat     COUNT heartbeats at 20 a second          -> heartbeats, CPU ns
 *   offers   COUNT offers, each answered by APPLIED   -> offers, CPU ns
 *   start    starts COUNT agents one after the other  -> monotonic ns before each start
 *   big      one big offer                            -> CPU ns from the last byte to the callback, CPU ns of one memcpy of it,
 *                                                        resident KiB before, at the peak, after
 *   cycles   COUNT starts and stops, each connected   -> resident KiB, descriptors, threads: before and after
 *   idle     one connected, idle agent for COUNT seconds
 *   memory   one connected, idle agent                -> private dirty KiB (none: the same without an agent) */
#define _POSIX_C_SOURCE 200809L
#include "library.h"

#include <dirent.h>
#include <semaphore.h>

enum { WARM_UP = 20, BEAT_MS = 50 };

static opamp_client *client;
static opamp_agent *agent;
static sem_t arrived;
static volatile long offers_seen, connects_seen, wanted_offers, wanted_connects; /* no waking of the main thread before */
static long long cpu_at_callback;
static size_t body_bytes;
static int is_big;

static void on_connect(opamp_agent *on_agent, opamp_client *on_client, void *user) {
  (void)on_agent, (void)on_client, (void)user;
  connects_seen = connects_seen + 1;
  if (connects_seen >= wanted_connects) (void)sem_post(&arrived);
}

static void on_message(opamp_agent *on_agent, opamp_client *on_client, const opamp_message *message, void *user) {
  opamp_slice hash, body;
  const opamp_config_map *config = opamp_message_remote_config(message, &hash);
  if (config == NULL) return;
  if (is_big) {
    cpu_at_callback = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    opamp_message_bytes(message, &body);
    body_bytes = body.len;
  }
  (void)opamp_client_set_remote_config_status(on_client, hash.data, hash.len, OPAMP_REMOTE_CONFIG_APPLIED, NULL, 0, NULL);
  offers_seen = offers_seen + 1;
  if (offers_seen >= wanted_offers) (void)sem_post(&arrived);
  (void)on_agent, (void)user;
}

static void make(const char *url, int is_poll, uint64_t interval_ms) {
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  callbacks.on_connect = on_connect;
  callbacks.on_message = on_message;
  client = new_client(url);
  agent = new_agent(client, &callbacks, is_poll, interval_ms);
}

static void wait_for(int is_poll, volatile long *count, volatile long *threshold, long wanted) {
  *threshold = wanted;
  while (*count < wanted) {
    if (is_poll) must(opamp_agent_dispatch(agent, -1, NULL), "dispatch");
    else (void)sem_wait(&arrived);
  }
}

static uint64_t number(int32_t what) {
  opamp_snapshot *snapshot = NULL;
  uint64_t value = 0;
  must(opamp_agent_snapshot(agent, &snapshot), "snapshot");
  (void)opamp_snapshot_number(snapshot, what, &value);
  opamp_snapshot_free(snapshot);
  return value;
}

static void end(void) {
  must(opamp_agent_stop(agent, 10000), "stop");
  opamp_agent_free(agent);
  opamp_client_unref(client);
}

static void beat(int is_poll, long count) {
  must(opamp_agent_start(agent, NULL), "start");
  wait_for(is_poll, &connects_seen, &wanted_connects, 1);
  pause_ms(WARM_UP * BEAT_MS);
  uint64_t before = number(OPAMP_SNAPSHOT_MESSAGES_SENT);
  long long cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
  pause_ms(count * BEAT_MS);
  cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  (void)printf("%llu %lld\n", (unsigned long long)(number(OPAMP_SNAPSHOT_MESSAGES_SENT) - before), cpu);
}

static void offers(int is_poll, long count) {
  must(opamp_agent_start(agent, NULL), "start");
  wait_for(is_poll, &offers_seen, &wanted_offers, WARM_UP);
  long before = offers_seen;
  long long cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
  wait_for(is_poll, &offers_seen, &wanted_offers, before + count);
  (void)printf("%ld %lld\n", offers_seen - before, now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

static void start(int is_poll, long count, int is_told) {
  for (long i = 0; i < count; i++) {
    if (is_told) (void)printf("%lld\n", now_ns(CLOCK_MONOTONIC));
    must(opamp_agent_start(agent, NULL), "start");
    wait_for(is_poll, &connects_seen, &wanted_connects, i + 1);
    must(opamp_agent_stop(agent, 10000), "stop");
    while (is_poll && opamp_agent_dispatch(agent, 0, NULL) == OPAMP_OK) continue;
  }
}

static long entries(const char *folder) {
  long count = 0;
  DIR *list = opendir(folder);
  while (list != NULL && readdir(list) != NULL) count++;
  if (list != NULL) (void)closedir(list);
  return count;
}

static void print_size(void) {
  (void)printf("%ld %ld %ld\n", kib_of("RssAnon:", "/proc/self/status"), entries("/proc/self/fd"), entries("/proc/self/task"));
}

static void big(int is_poll) {
  long before = kib_of("VmRSS:", "/proc/self/status");
  long long last = 0, seen = 0;
  must(opamp_agent_start(agent, NULL), "start");
  /* What the process had used shortly before the last byte, which comes half a second late. */
  while (offers_seen == 0) {
    last = seen;
    seen = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    if (is_poll) (void)opamp_agent_dispatch(agent, 20, NULL);
    else pause_ms(20);
  }
  long long decoding = cpu_at_callback - (cpu_at_callback >= seen ? seen : last);
  char *from = malloc(body_bytes), *to = malloc(body_bytes);
  long peak = kib_of("VmHWM:", "/proc/self/status");
  if (from == NULL || to == NULL) exit(1);
  memset(from, 1, body_bytes);
  memset(to, 2, body_bytes);
  long long copying = now_ns(CLOCK_PROCESS_CPUTIME_ID);
  memcpy(to, from, body_bytes);
  copying = now_ns(CLOCK_PROCESS_CPUTIME_ID) - copying;
  long long sum = to[body_bytes / 2];
  free(from);
  free(to);
  pause_ms(500);
  (void)printf("%lld %lld %zu %ld %ld %ld\n", decoding, copying + (sum == 0), body_bytes, before, peak,
               kib_of("VmRSS:", "/proc/self/status"));
}

static void cycles(int is_poll, long count) {
  start(is_poll, 100, 0);
  print_size();
  connects_seen = 0;
  start(is_poll, count, 0);
  print_size();
}

static void idle(int is_poll, long seconds) {
  must(opamp_agent_start(agent, NULL), "start");
  wait_for(is_poll, &connects_seen, &wanted_connects, 1);
  pause_ms(seconds * 1000);
}

static void memory(int is_poll, int has_agent) {
  if (has_agent) {
    must(opamp_agent_start(agent, NULL), "start");
    wait_for(is_poll, &connects_seen, &wanted_connects, 1);
  }
  pause_ms(3000);
  (void)printf("%ld\n", kib_of("Private_Dirty:", "/proc/self/smaps_rollup"));
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  const char *mode = argv[1];
  int is_poll = strcmp(argv[2], "poll") == 0;
  long count = strtol(argv[4], NULL, 10);
  is_big = strcmp(mode, "big") == 0;
  (void)sem_init(&arrived, 0, 0);
  if (strcmp(mode, "none") == 0) return memory(is_poll, 0), 0;
  make(argv[3], is_poll, strcmp(mode, "beat") == 0 ? BEAT_MS : strcmp(mode, "idle") == 0 ? 3600000 : 30000);
  if (strcmp(mode, "beat") == 0) beat(is_poll, count);
  else if (strcmp(mode, "offers") == 0) offers(is_poll, count);
  else if (strcmp(mode, "start") == 0) start(is_poll, count, 1);
  else if (is_big) big(is_poll);
  else if (strcmp(mode, "cycles") == 0) cycles(is_poll, count);
  else if (strcmp(mode, "idle") == 0) idle(is_poll, count);
  else memory(is_poll, 1);
  end();
  return 0;
}
