/* Many starts and stops, on one client and on new ones, leave threads and descriptors where they were, and memory about there.
 * [LIFE-07] [native] */
#include "kit.h"

/* A joined thread may stand in /proc for a moment more. */
static int threads_left(int expected) {
  int i;
  for (i = 0; i < 1000 && kit_entries("/proc/self/task") > expected; i++) (void)poll(NULL, 0, 1);
  return kit_entries("/proc/self/task");
}

static long resident_kib(void) {
  FILE *file = fopen("/proc/self/statm", "r");
  long pages = 0, all = 0;
  CHECK(file != NULL && fscanf(file, "%ld %ld", &all, &pages) == 2);
  fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void cycle(opamp_client *client, int32_t delivery) {
  opamp_agent *agent = kit_agent(client, NULL, NULL, delivery);
  kit_start(agent);
  if (delivery == OPAMP_DELIVERY_POLL) kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_stop(agent, -1));
  opamp_agent_free(agent);
}

int main(void) {
  /* OPAMP_TEST_CYCLES=10000 is the whole of it */
  const char *asked = getenv("OPAMP_TEST_CYCLES");
  int cycles = asked ? atoi(asked) : 100, tasks = kit_entries("/proc/self/task"), i, files;
  long before;
  opamp_client *client = kit_client();
  opamp_agent *restarted = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  for (i = 0; i < 20; i++) cycle(client, i % 2);
  kit_start(restarted); /* until it is freed it keeps the descriptor that wakes its worker */
  OK(opamp_agent_stop(restarted, -1));
  files = kit_entries("/proc/self/fd");
  before = resident_kib();
  for (i = 0; i < cycles; i++) {
    switch (i % 3) {
      case 0:
        cycle(client, OPAMP_DELIVERY_THREAD);
        break;
      case 1: {
        opamp_client *own = kit_client();
        cycle(own, OPAMP_DELIVERY_POLL);
        opamp_client_unref(own);
        break;
      }
      default:
        kit_start(restarted);
        kit_event_gone(restarted, OPAMP_EVENT_CONNECTED);
        OK(opamp_agent_stop(restarted, -1));
    }
  }
  SAME(threads_left(tasks), tasks);
  SAME(kit_entries("/proc/self/fd"), files);
  if (resident_kib() > before + 1024) fprintf(stderr, "%ld KiB became %ld\n", before, resident_kib());
  CHECK(resident_kib() <= before + 1024);
  opamp_agent_free(restarted);
  opamp_client_unref(client);
  return 0;
}
