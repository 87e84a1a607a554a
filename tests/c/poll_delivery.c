/* POLL delivery: no callback outside a dispatch, the descriptor is readable exactly while something waits, a dispatch serves at
 * most what waited at entry, nothing waiting is E_TIMEOUT, a dispatch inside a callback is E_STATE; after stop the rest can be
 * taken up to STOPPED, then E_STATE; a blocked call wakes; the descriptor stays the same through a restart. [GUEST-05]
 * [LIFE-02] */
#include "kit.h"

typedef struct host {
  int inside, dispatching, connected, stopped;
} host;

static int is_readable(int fd, int timeout_ms) {
  struct pollfd p;
  p.fd = fd;
  p.events = POLLIN;
  p.revents = 0;
  CHECK(poll(&p, 1, timeout_ms) >= 0);
  return p.revents & POLLIN;
}

static void on_connect(opamp_agent *agent, opamp_client *client, void *user) {
  host *h = (host *)user;
  uint32_t served = 9;
  (void)client;
  CHECK(h->dispatching);
  h->connected++;
  SAME(opamp_agent_dispatch(agent, 0, &served), OPAMP_E_STATE);
  SAME(served, 9);
}

static void on_stopped(opamp_agent *agent, opamp_client *client, void *user) {
  host *h = (host *)user;
  (void)agent, (void)client;
  CHECK(h->dispatching);
  h->stopped++;
}

static opamp_status dispatch(opamp_agent *agent, host *h, int64_t timeout_ms) {
  uint32_t served = 0;
  opamp_status status;
  h->dispatching = 1;
  status = opamp_agent_dispatch(agent, timeout_ms, &served);
  h->dispatching = 0;
  SAME(status == OPAMP_OK, served > 0);
  return status;
}

static void *block(void *agent) {
  opamp_event *event = NULL;
  opamp_status status;
  do {
    status = opamp_agent_next_event((opamp_agent *)agent, -1, &event);
    if (status == OPAMP_OK) opamp_event_free(event);
  } while (status == OPAMP_OK);
  SAME(status, OPAMP_E_STATE);
  return NULL;
}

int main(void) {
  host h = { 0, 0, 0, 0 };
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_client *client = kit_client();
  opamp_agent *agent;
  int32_t fd = -1, again = -1;
  int round;
  pthread_t threads[3];
  callbacks.on_connect = on_connect;
  callbacks.on_stopped = on_stopped;
  agent = kit_agent(client, &callbacks, &h, OPAMP_DELIVERY_POLL);
  SAME(opamp_agent_dispatch(agent, 0, NULL), OPAMP_E_STATE); /* not started */
  OK(opamp_agent_poll_fd(agent, &fd));
  CHECK(fd >= 0 && !is_readable(fd, 0));
  for (round = 1; round <= 2; round++) {
    kit_start(agent);
    SAME(opamp_agent_set_delivery(agent, OPAMP_DELIVERY_THREAD, NULL), OPAMP_E_STATE);
    CHECK(is_readable(fd, SOON_MS));
    CHECK(is_readable(fd, 0)); /* level: still */
    SAME(h.connected, round - 1); /* nobody dispatched */
    OK(dispatch(agent, &h, 0));
    SAME(h.connected, round);
    CHECK(!is_readable(fd, 0));
    SAME(dispatch(agent, &h, 0), OPAMP_E_TIMEOUT);
    SAME(dispatch(agent, &h, 10), OPAMP_E_TIMEOUT);
    OK(opamp_agent_stop(agent, -1));
    CHECK(is_readable(fd, 0));
    SAME(h.stopped, round - 1);
    OK(dispatch(agent, &h, -1));
    SAME(h.stopped, round);
    CHECK(!is_readable(fd, 0));
    SAME(dispatch(agent, &h, -1), OPAMP_E_STATE);
    OK(opamp_agent_poll_fd(agent, &again));
    SAME(again, fd);
  }
  /* Any number may wait in next_event; STOPPED reaches one of them and the end all. */
  kit_start(agent);
  for (round = 0; round < 3; round++) CHECK(pthread_create(&threads[round], NULL, block, agent) == 0);
  kit_wait("messages%3E%3D3");
  OK(opamp_agent_stop(agent, -1));
  for (round = 0; round < 3; round++) CHECK(pthread_join(threads[round], NULL) == 0);
  opamp_agent_free(agent);
  opamp_client_unref(client);
  return 0;
}
