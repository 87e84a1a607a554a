/* A host of the library over WebSocket, as small as can be.
 * usage: ws_host offers|push|big|idle thread|poll URL COUNT, or ws_host many poll URL COUNT
 *   offers    COUNT offers, each answered by APPLIED                  -> CPU ns
 *   push      the same for a server that pauses; POLL waits in poll() on the descriptor -> median ns from departure to callback
 *   big       one big offer                                           -> resident KiB before, at the peak, after
 *   idle      one connected, idle agent until it is killed
 *   many      COUNT connected, idle agents -> private dirty KiB of them all, KiB of heap in use; then, once a line was read
 *             and each has lost its connection, KiB of heap in use again */
#define _GNU_SOURCE
#include "library.h"

#include <malloc.h>
#include <poll.h>
#include <semaphore.h>
#include <unistd.h>

enum { WARM_UP = 50 };

static sem_t done;
static long long *samples, cpu;
static size_t seen, wanted;
static int is_push;

static void on_message(opamp_agent *agent, opamp_client *client, const opamp_message *message, void *user) {
  opamp_slice hash;
  long long sent = 0, now = is_push ? now_ns(CLOCK_MONOTONIC) : 0;
  if (opamp_message_remote_config(message, &hash) == NULL) return;
  memcpy(&sent, hash.data, sizeof sent);
  if (seen == WARM_UP) cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
  if (is_push && seen >= WARM_UP && seen < wanted) samples[seen - WARM_UP] = now - sent;
  (void)opamp_client_set_remote_config_status(client, hash.data, hash.len, OPAMP_REMOTE_CONFIG_APPLIED, NULL, 0, NULL);
  seen++;
  if (seen == wanted) (void)sem_post(&done);
  (void)agent, (void)user;
}

static opamp_agent *make(const char *url, int is_poll, opamp_client **client) {
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  callbacks.on_message = on_message;
  *client = new_client(url);
  return new_agent(*client, &callbacks, is_poll, 3600000);
}

/* Until all offers were seen. */
static void serve(opamp_agent *agent, int is_poll) {
  int32_t fd = -1;
  if (is_poll && is_push) must(opamp_agent_poll_fd(agent, &fd), "descriptor");
  must(opamp_agent_start(agent, NULL), "start");
  while (is_poll && seen < wanted) {
    struct pollfd readable = {fd, POLLIN, 0};
    if (!is_push) must(opamp_agent_dispatch(agent, -1, NULL), "dispatch");
    else if (poll(&readable, 1, -1) == 1) (void)opamp_agent_dispatch(agent, 0, NULL);
  }
  if (!is_poll) (void)sem_wait(&done);
}

/* All agents on one arena (MALLOC_ARENA_MAX=1), else this would miss theirs. */
static long heap_kib(void) {
  struct mallinfo2 info = mallinfo2();
  return (long)((info.uordblks + info.hblkhd) / 1024);
}

static void await(opamp_agent *agent, int32_t kind) {
  for (int is_there = 0; !is_there;) {
    opamp_event *event = NULL;
    must(opamp_agent_next_event(agent, 60000, &event), "event");
    is_there = opamp_event_kind(event) == kind;
    opamp_event_free(event);
  }
}

static void many(const char *url, size_t count) {
  opamp_agent **agents = calloc(count, sizeof(opamp_agent *));
  opamp_client **clients = calloc(count, sizeof(opamp_client *));
  long before = kib_of("Private_Dirty:", "/proc/self/smaps_rollup");
  if (agents == NULL || clients == NULL) exit(1);
  for (size_t i = 0; i < count; i++) {
    agents[i] = make(url, 1, &clients[i]);
    must(opamp_client_set_option(clients[i], OPAMP_OPTION_FIRST_RETRY_MAX_MS, 60000, NULL), "option");
    must(opamp_agent_start(agents[i], NULL), "start");
    await(agents[i], OPAMP_EVENT_CONNECTED);
  }
  for (size_t i = 0; i < count; i++) must(opamp_agent_flush(agents[i], 60000, NULL), "flush");
  pause_ms(3000);
  for (size_t i = 0; i < count; i++) must(opamp_agent_report_full_state(agents[i]), "full");
  pause_ms(3000);
  (void)printf("%ld %ld\n", kib_of("Private_Dirty:", "/proc/self/smaps_rollup") - before, heap_kib());
  (void)fflush(stdout);
  (void)getchar();
  for (size_t i = 0; i < count; i++) await(agents[i], OPAMP_EVENT_CONNECT_FAILED);
  (void)printf("%ld\n", heap_kib());
  (void)fflush(stdout);
  _exit(0);
}

static void big(opamp_agent *agent, int is_poll) {
  long before = kib_of("VmRSS:", "/proc/self/status");
  wanted = 1;
  serve(agent, is_poll);
  long peak = kib_of("VmHWM:", "/proc/self/status");
  pause_ms(500);
  (void)printf("%ld %ld %ld\n", before, peak, kib_of("VmRSS:", "/proc/self/status"));
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  const char *mode = argv[1];
  int is_poll = strcmp(argv[2], "poll") == 0;
  size_t count = strtoul(argv[4], NULL, 10);
  opamp_client *client = NULL;
  if (strcmp(mode, "many") == 0) many(argv[3], count);
  opamp_agent *agent = make(argv[3], is_poll, &client);
  is_push = strcmp(mode, "push") == 0;
  wanted = count + WARM_UP;
  samples = calloc(count, sizeof *samples);
  if (samples == NULL || sem_init(&done, 0, 0) != 0) return 1;
  if (strcmp(mode, "idle") == 0) {
    must(opamp_agent_start(agent, NULL), "start");
    for (;;) (void)pause();
  }
  if (strcmp(mode, "big") == 0) return big(agent, is_poll), 0;
  serve(agent, is_poll);
  cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  (void)printf("%lld\n", is_push ? median(samples, count) : cpu);
  (void)fflush(stdout);
  /* The server tells what it saw once it has the last verdict. */
  must(opamp_agent_stop(agent, 10000), "stop");
  return 0;
}
