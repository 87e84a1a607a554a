/* Eight threads that start and stop one agent, in both deliveries, with wide gaps behind each wake-up: each answer is a documented one,
 * and in the end a stop still ends the agent and its threads. [LIFE-02] [LIFE-09] [no server] [preload slow_wakes] */
#include "kit.h"

#include <sched.h>

enum { THREADS = 8, STARTS = 400 };

static opamp_agent *agent;
static kit_flag starts = KIT_FLAG;

static void on_stopped(opamp_agent *a, opamp_client *c, void *user) { (void)a, (void)c, (void)user; }

/* Some wait for ever, some not at all, some only ask; all of them start it again. */
static void *run(void *number) {
  int which = *(int *)number;
  while (kit_value(&starts) < STARTS) {
    opamp_status status = opamp_agent_start(agent, NULL);
    CHECK(status == OPAMP_OK || status == OPAMP_E_STATE);
    if (status == OPAMP_OK) kit_add(&starts, 1);
    if (which % 4 == 3) OK(opamp_agent_request_stop(agent));
    status = opamp_agent_stop(agent, which % 2 ? 0 : SOON_MS);
    CHECK(status == OPAMP_OK || (status == OPAMP_E_TIMEOUT && which % 2));
  }
  return NULL;
}

/* How many threads of the library there are; one that was joined may be listed for a moment yet. */
static int library_threads(void) {
  char path[300], name[32] = "";
  int count = 0;
  struct dirent *entry;
  DIR *dir = opendir("/proc/self/task");
  CHECK(dir != NULL);
  while ((entry = readdir(dir))) {
    FILE *file;
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
    if (!(file = fopen(path, "r"))) continue;
    count += fgets(name, sizeof name, file) && strncmp(name, "opamp", 5) == 0;
    fclose(file);
  }
  closedir(dir);
  return count;
}

static void start_and_stop(int32_t delivery) {
  static int numbers[THREADS];
  pthread_t threads[THREADS];
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_client *client = kit_client_at("http://127.0.0.1:1");
  int i;
  callbacks.on_stopped = on_stopped;
  OK(opamp_agent_new(client, &callbacks, NULL, NULL, &agent, NULL));
  OK(opamp_agent_set_delivery(agent, delivery, NULL));
  starts.value = 0;
  for (i = 0; i < THREADS; i++) {
    numbers[i] = i;
    CHECK(pthread_create(&threads[i], NULL, run, &numbers[i]) == 0);
  }
  for (i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  OK(opamp_agent_stop(agent, SOON_MS));
  OK(opamp_agent_stop(agent, 0));
  while (library_threads() > 0) sched_yield();
  OK(opamp_agent_start(agent, NULL));
  OK(opamp_agent_stop(agent, SOON_MS));
  opamp_agent_free(agent);
  opamp_client_unref(client);
}

int main(void) {
  alarm(6 * SOON_MS / 1000); /* a lost agent keeps its stop waiting */
  start_and_stop(OPAMP_DELIVERY_THREAD);
  start_and_stop(OPAMP_DELIVERY_POLL);
  return 0;
}
