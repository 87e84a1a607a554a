/* THREAD delivery: callbacks are serial, on one thread of the library, on_connect before on_message, on_stopped last; none
 * runs once stop has answered OK; a callback that is stuck does not stop the heartbeats; what belongs to POLL delivery is
 * refused. [GUEST-04] [LIFE-02] [LOG-06] */
#include "kit.h"

typedef struct host {
  kit_flag events, release;
  int running; /* callbacks at this moment: never more than one */
  int connected, messages, stopped;
  pthread_t thread;
} host;

static void enter(host *h) {
  SAME(__sync_add_and_fetch(&h->running, 1), 1);
  if (h->connected) CHECK(pthread_equal(h->thread, pthread_self()));
  h->thread = pthread_self();
  SAME(h->stopped, 0);
}

static void leave(host *h) {
  SAME(__sync_sub_and_fetch(&h->running, 1), 0);
  kit_add(&h->events, 1);
}

static void on_connect(opamp_agent *agent, opamp_client *client, void *user) {
  host *h = (host *)user;
  uint32_t served = 7;
  int32_t fd = 7;
  opamp_event *event = NULL;
  (void)client;
  enter(h);
  SAME(h->messages, 0);
  h->connected++;
  SAME(opamp_agent_dispatch(agent, 0, &served), OPAMP_E_STATE);
  SAME(opamp_agent_next_event(agent, 0, &event), OPAMP_E_STATE);
  SAME(opamp_agent_poll_fd(agent, &fd), OPAMP_E_STATE);
  CHECK(served == 7 && fd == 7 && event == NULL);
  leave(h);
}

static void on_message(opamp_agent *agent, opamp_client *client, const opamp_message *message, void *user) {
  host *h = (host *)user;
  (void)agent, (void)client, (void)message;
  enter(h);
  h->messages++;
  leave(h);
  kit_until(&h->release, h->messages);
}

static void on_stopped(opamp_agent *agent, opamp_client *client, void *user) {
  host *h = (host *)user;
  (void)agent, (void)client;
  enter(h);
  h->stopped = 1;
  SAME(__sync_sub_and_fetch(&h->running, 1), 0);
}

int main(void) {
  static host h = { KIT_FLAG, KIT_FLAG, 0, 0, 0, 0, 0 };
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_client *client = kit_client();
  opamp_agent *agent;
  char uid[37], condition[160];
  callbacks.on_connect = on_connect;
  callbacks.on_message = on_message;
  callbacks.on_stopped = on_stopped;
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL));
  kit_post("config", "{\"files\": [{\"name\": \"a\", \"body\": \"1\"}]}");
  agent = kit_agent(client, &callbacks, &h, OPAMP_DELIVERY_THREAD);
  OK(opamp_agent_set_heartbeat_interval(agent, 20, NULL));
  kit_start(agent);
  SAME(opamp_agent_start(agent, NULL), OPAMP_E_STATE);
  kit_until(&h.events, 2);
  /* The callback of the offer is stuck: the server sees heartbeats all the same, more than any queue could hold back. */
  kit_client_uid(client, uid);
  snprintf(condition, sizeof condition, "heartbeats%%3E%%3D20&agent=%s", uid);
  kit_wait(condition);
  SAME(h.messages, 1);
  /* Stop waits for it; a bound that passes leaves the handle good. */
  SAME(opamp_agent_stop(agent, 50), OPAMP_E_TIMEOUT);
  kit_add(&h.release, 1);
  OK(opamp_agent_stop(agent, -1));
  SAME(h.connected, 1);
  SAME(h.stopped, 1);
  SAME(h.running, 0);
  OK(opamp_agent_stop(agent, 0));
  OK(opamp_agent_request_stop(agent));
  SAME(opamp_agent_poll_now(agent), OPAMP_E_STATE);
  opamp_agent_free(agent);
  opamp_client_unref(client);
  return 0;
}
