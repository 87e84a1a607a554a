/* Two copies of the library in one process, as two plugins bring them: each has threads, descriptors, a fork handler and an agent of its
 * own; they run side by side, in a forked child both answer E_FORKED, and the end of one is nothing to the other.
 * [GUEST-09] [LIFE-05] [LIFE-07] [https] */
#include "copies.h"

typedef struct pair {
  opamp_client *client;
  opamp_agent *agent;
} pair;

static pair started(const copy *of, const char *name) {
  pair it = { NULL, NULL };
  opamp_attributes *who = NULL;
  const char *ca = getenv("OPAMP_TEST_CA");
  OK(of->client_new(kit_endpoint(), &it.client, NULL));
  if (ca) OK(of->client_set_ca_file(it.client, ca, NULL));
  OK(of->attributes_new(&who));
  OK(of->attributes_set_string(who, "service.name", name, NULL));
  OK(of->client_set_description(it.client, who, NULL, NULL));
  of->attributes_free(who);
  OK(of->agent_new(it.client, NULL, NULL, NULL, &it.agent, NULL));
  OK(of->agent_set_delivery(it.agent, OPAMP_DELIVERY_POLL, NULL));
  OK(of->agent_set_heartbeat_interval(it.agent, 10, NULL));
  OK(of->agent_start(it.agent, NULL));
  return it;
}

static void is_connected(const copy *of, pair it) {
  opamp_event *event = NULL;
  int32_t kind = 0;
  while (kind != OPAMP_EVENT_CONNECTED) {
    OK(of->agent_next_event(it.agent, SOON_MS, &event));
    kind = of->event_kind(event);
    of->event_free(event);
  }
}

static void ended(const copy *of, pair it) {
  OK(of->agent_stop(it.agent, -1));
  of->agent_free(it.agent);
  of->client_unref(it.client);
}

static void in_child(const copy *first, pair one, const copy *second, pair two) {
  pair mine;
  SAME(first->client_set_header(one.client, "X-A", "b", NULL), OPAMP_E_FORKED);
  SAME(second->client_set_header(two.client, "X-A", "b", NULL), OPAMP_E_FORKED);
  SAME(first->agent_stop(one.agent, -1), OPAMP_E_FORKED);
  SAME(second->agent_stop(two.agent, -1), OPAMP_E_FORKED);
  mine = started(second, "child");
  is_connected(second, mine);
  ended(second, mine);
  exit(0);
}

int main(void) {
#define LINKED(name) opamp_##name,
  copy first = { NULL, COPY_FUNCTIONS(LINKED) }, second;
  int tasks = kit_entries("/proc/self/task"), files = kit_entries("/proc/self/fd"), i, status;
  pair one, two;
  pid_t child;
  copy_made();
  second = copy_loaded();
  CHECK(first.version != second.version);
  one = started(&first, "one");
  two = started(&second, "two");
  is_connected(&first, one);
  is_connected(&second, two);
  child = fork();
  CHECK(child >= 0);
  if (child == 0) in_child(&first, one, &second, two);
  CHECK(waitpid(child, &status, 0) == child);
  SAME(status, 0);
  ended(&second, two);
  CHECK(dlclose(second.library) == 0);
  kit_wait("heartbeats%3E%3D20");
  second = copy_loaded(); /* once more: it works as before */
  two = started(&second, "two");
  is_connected(&second, two);
  ended(&first, one);
  ended(&second, two);
  CHECK(!kit_timeline_has("problem=1", "verdicts"));
  for (i = 0; i < 1000 && kit_entries("/proc/self/task") > tasks; i++) (void)poll(NULL, 0, 1);
  SAME(kit_entries("/proc/self/task"), tasks);
  SAME(kit_entries("/proc/self/fd"), files);
  unlink(copy_path);
  return 0;
}
