/* A host that ends without a stop, whatever the agent is doing (idle, busy, unanswered, not even accepted, in a backoff, in a stuck callback,
 * blocked in a call): the end is immediate and its status the host's own, whether main returns, exit or quick_exit is called, by the main
 * thread, another one, or inside a callback. [GUEST-08] [http] */
#include "kit.h"

enum { IMMEDIATE_MS = 2000, STATUS = 3 };
typedef enum { LEAVE_EXIT, LEAVE_UNDERSCORE, LEAVE_QUICK, LEAVE_THREAD } leaving;
static const leaving WAYS[] = { LEAVE_EXIT, LEAVE_UNDERSCORE, LEAVE_QUICK, LEAVE_THREAD };

static int to_parent;
static kit_flag entered = KIT_FLAG;

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *leave_here(void *unused) {
  (void)unused;
  exit(STATUS);
}

/* The parent's clock runs from here. */
static void leave(leaving way) {
  pthread_t thread;
  CHECK(write(to_parent, "x", 1) == 1);
  switch (way) {
    case LEAVE_EXIT: exit(STATUS);
    case LEAVE_UNDERSCORE: _exit(STATUS);
    case LEAVE_QUICK: quick_exit(STATUS);
    case LEAVE_THREAD:
      CHECK(pthread_create(&thread, NULL, leave_here, NULL) == 0);
      for (;;) pause();
  }
}

static opamp_agent *started(const char *endpoint, const opamp_callbacks *callbacks) {
  opamp_client *client = kit_client_at(endpoint);
  opamp_agent *agent;
  if (strncmp(endpoint, "https:", 6) == 0) OK(opamp_client_set_insecure_skip_verify(client, 1, NULL)); /* whatever authorities are here */
  agent = kit_agent(client, callbacks, NULL, callbacks ? OPAMP_DELIVERY_THREAD : OPAMP_DELIVERY_POLL);
  OK(opamp_agent_set_heartbeat_interval(agent, 10, NULL));
  kit_start(agent);
  return agent;
}

static void busy(leaving way) {
  opamp_agent *agent = started(kit_endpoint(), NULL);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  leave(way);
}

static void idle(leaving way) {
  opamp_agent *agent = started(kit_endpoint(), NULL);
  OK(opamp_agent_set_heartbeat_interval(agent, 86400000, NULL));
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_flush(agent, SOON_MS, NULL));
  leave(way);
}

/* The server has the request and never answers. */
static void unanswered(leaving way) {
  char endpoint[128], rules[256];
  snprintf(endpoint, sizeof endpoint, "%.*s/silent-%d", (int)(strstr(kit_endpoint(), "/v1") - kit_endpoint()), kit_endpoint(), (int)getpid());
  snprintf(rules, sizeof rules, "{\"rules\": [{\"match\": {\"path\": \"/silent-%d\"}, \"times\": \"always\", \"do\": {\"silent\": true}}]}", (int)getpid());
  kit_post("faults", rules);
  (void)started(endpoint, NULL);
  kit_wait("fault%3Drule-1%3A1");
  leave(way);
}

/* A peer that takes the connection and says nothing, so that TLS never begins. */
static void in_a_handshake(leaving way) {
  struct sockaddr_in at;
  socklen_t size = sizeof at;
  char endpoint[64];
  int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  memset(&at, 0, sizeof at);
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(bind(s, (struct sockaddr *)&at, sizeof at) == 0 && listen(s, 8) == 0 && getsockname(s, (struct sockaddr *)&at, &size) == 0);
  snprintf(endpoint, sizeof endpoint, "https://127.0.0.1:%d/", ntohs(at.sin_port));
  (void)started(endpoint, NULL);
  CHECK(accept(s, NULL, NULL) >= 0);
  leave(way);
}

static void in_a_backoff(leaving way) {
  kit_event_gone(started("http://127.0.0.1:9/", NULL), OPAMP_EVENT_CONNECT_FAILED);
  leave(way);
}

static void stuck(opamp_agent *agent, opamp_client *client, void *user) {
  (void)agent, (void)client, (void)user;
  kit_add(&entered, 1);
  for (;;) pause();
}

static void in_a_stuck_callback(leaving way) {
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  callbacks.on_connect = stuck;
  (void)started(kit_endpoint(), &callbacks);
  kit_until(&entered, 1);
  leave(way);
}

static leaving asked;
static void leaves(opamp_agent *agent, opamp_client *client, void *user) {
  (void)agent, (void)client, (void)user;
  leave(asked);
}

static void inside_a_callback(leaving way) {
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  callbacks.on_connect = leaves;
  asked = way;
  (void)started(kit_endpoint(), &callbacks);
  for (;;) pause();
}

static void *wait_for_events(void *agent) {
  opamp_event *event = NULL;
  while (opamp_agent_next_event((opamp_agent *)agent, -1, &event) == OPAMP_OK) {
    if (opamp_event_kind(event) == OPAMP_EVENT_CONNECTED) kit_add(&entered, 1);
    opamp_event_free(event);
  }
  return NULL;
}

/* Another thread waits in the library, for ever. */
static void during_a_blocking_call(leaving way) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, wait_for_events, started(kit_endpoint(), NULL)) == 0);
  kit_until(&entered, 1);
  leave(way);
}

static const struct {
  const char *name;
  void (*run)(leaving way);
} MOMENTS[] = {
  { "busy", busy }, { "idle", idle }, { "unanswered", unanswered }, { "in a handshake", in_a_handshake }, { "in a backoff", in_a_backoff },
  { "in a stuck callback", in_a_stuck_callback }, { "inside a callback", inside_a_callback }, { "during a blocking call", during_a_blocking_call },
};

static void leaves_at_once(size_t moment, leaving way) {
  int ends[2], status;
  char byte;
  int64_t begin;
  pid_t child;
  CHECK(pipe(ends) == 0);
  child = fork(); /* the parent never touches the library */
  CHECK(child >= 0);
  if (child == 0) {
    close(ends[0]);
    to_parent = ends[1];
    MOMENTS[moment].run(way);
    _exit(1);
  }
  close(ends[1]);
  if (read(ends[0], &byte, 1) != 1) fprintf(stderr, "%s, way %d: it failed\n", MOMENTS[moment].name, (int)way);
  begin = now_ms();
  CHECK(waitpid(child, &status, 0) == child);
  close(ends[0]);
  if (status != STATUS << 8 || now_ms() - begin > IMMEDIATE_MS)
    fprintf(stderr, "%s, way %d: status %x after %d ms\n", MOMENTS[moment].name, (int)way, (unsigned)status, (int)(now_ms() - begin));
  SAME(status, STATUS << 8);
  CHECK(now_ms() - begin <= IMMEDIATE_MS);
}

int main(void) {
  size_t moment, way;
  for (moment = 0; moment < sizeof MOMENTS / sizeof *MOMENTS; moment++)
    for (way = 0; way < sizeof WAYS / sizeof *WAYS; way++) leaves_at_once(moment, WAYS[way]);
  return 0;
}
