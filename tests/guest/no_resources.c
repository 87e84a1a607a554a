/* A host out of descriptors or threads: start answers E_RESOURCE, nothing is left behind and nothing lost, and with room again it works;
 * a running agent that can not open a connection tells so and tries again. [LIFE-07] [LOG-01] [http] */
#include "kit.h"

#include <sys/resource.h>

static void limit(int which, rlim_t most) {
  struct rlimit now;
  CHECK(getrlimit(which, &now) == 0);
  now.rlim_cur = most < now.rlim_max ? most : now.rlim_max;
  CHECK(setrlimit(which, &now) == 0);
}

static int threads_left(int expected) {
  int i;
  for (i = 0; i < 1000 && kit_entries("/proc/self/task") > expected; i++) (void)poll(NULL, 0, 1);
  return kit_entries("/proc/self/task");
}

static opamp_client *prepared(void) {
  static const char why[] = "told before it could start";
  opamp_client *client = kit_client();
  OK(opamp_client_set_option(client, OPAMP_OPTION_FIRST_RETRY_MAX_MS, 1, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_BASE_MS, 1, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_MAX_MS, 1, NULL));
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL));
  OK(opamp_client_set_remote_config_status(client, (const uint8_t *)"kept", 4, OPAMP_REMOTE_CONFIG_FAILED, why, strlen(why), NULL));
  return client;
}

/* Was not lost by the starts that failed. */
static void tells_all(opamp_client *client, opamp_agent *agent) {
  char uid[37], query[120];
  kit_start(agent);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_flush(agent, SOON_MS, NULL));
  kit_client_uid(client, uid);
  snprintf(query, sizeof query, "agent=%s&part=remote_config_status", uid);
  CHECK(kit_timeline_has(query, "told before it could start"));
  OK(opamp_agent_stop(agent, -1));
  opamp_agent_free(agent);
  opamp_client_unref(client);
}

static void without_descriptors(int32_t delivery) {
  int files = kit_entries("/proc/self/fd"), tasks = kit_entries("/proc/self/task"), i, refused = 0, fd;
  opamp_client *client = prepared();
  opamp_agent *agent = kit_agent(client, NULL, NULL, delivery);
  opamp_error *err = NULL;
  int taken[64], count = 0;
  /* every free number below the limit is taken */
  limit(RLIMIT_NOFILE, 64);
  while ((fd = dup(0)) >= 0) taken[count++] = fd;
  SAME(errno, EMFILE);
  if (delivery == OPAMP_DELIVERY_POLL) SAME(opamp_agent_poll_fd(agent, &fd), OPAMP_E_RESOURCE);
  for (i = 0; i < 20; i++) {
    SAME(opamp_agent_start(agent, &err), OPAMP_E_RESOURCE);
    SAME(opamp_error_code(err), OPAMP_E_RESOURCE);
    opamp_error_free(err);
    err = NULL;
    refused++;
  }
  SAME(refused, 20);
  /* room for its own descriptor, none for a connection */
  close(taken[--count]);
  if (delivery == OPAMP_DELIVERY_POLL) {
    opamp_event *event = NULL;
    kit_start(agent);
    event = kit_event(agent, OPAMP_EVENT_CONNECT_FAILED);
    CHECK(opamp_event_error(event) != NULL);
    opamp_event_free(event);
    while (count > 0) close(taken[--count]);
    kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
    OK(opamp_agent_stop(agent, -1));
  }
  while (count > 0) close(taken[--count]);
  limit(RLIMIT_NOFILE, 1024);
  opamp_agent_free(agent);
  opamp_client_unref(client);
  SAME(threads_left(tasks), tasks);
  SAME(kit_entries("/proc/self/fd"), files);
}

/* The limit counts all processes of a user and is nothing to root: as nobody, who may have none. */
static void without_threads(int32_t delivery) {
  int files = kit_entries("/proc/self/fd"), tasks = kit_entries("/proc/self/task"), i;
  opamp_client *client = prepared();
  opamp_agent *agent = kit_agent(client, NULL, NULL, delivery);
  limit(RLIMIT_NPROC, 0);
  for (i = 0; i < 20; i++) SAME(opamp_agent_start(agent, NULL), OPAMP_E_RESOURCE);
  SAME(threads_left(tasks), tasks);
  CHECK(kit_entries("/proc/self/fd") <= files + 1); /* the one that wakes the worker */
  limit(RLIMIT_NPROC, 10000);
  if (delivery == OPAMP_DELIVERY_POLL) {
    tells_all(client, agent);
  } else {
    kit_start(agent);
    OK(opamp_agent_flush(agent, SOON_MS, NULL));
    opamp_agent_free(agent);
    opamp_client_unref(client);
  }
  SAME(threads_left(tasks), tasks);
  SAME(kit_entries("/proc/self/fd"), files);
}

int main(void) {
  int status;
  pid_t child;
  without_descriptors(OPAMP_DELIVERY_POLL);
  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    if (geteuid() == 0) CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    without_threads(OPAMP_DELIVERY_POLL);
    without_threads(OPAMP_DELIVERY_THREAD);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child);
  SAME(status, 0);
  return 0;
}
