/* Handles in any order: a client freed before its agent, an agent freed in its own callback, the user data's destructor
 * exactly once and only after the last callback, never for an agent that was not made; stop inside a callback is a request.
 * [LIFE-02] */
#include "kit.h"

typedef struct host {
  kit_flag calls, destroyed;
  int inside;
  int free_inside;
  opamp_status stop_inside;
} host;

static void on_connect(opamp_agent *agent, opamp_client *client, void *user) {
  host *h = (host *)user;
  h->inside = 1;
  h->stop_inside = opamp_agent_stop(agent, -1);
  if (h->free_inside) {
    opamp_client_unref(client); /* the test's own reference: the agent still has one */
    opamp_agent_free(agent);
    SAME(kit_value(&h->destroyed), 0);
  }
  h->inside = 0;
  kit_add(&h->calls, 1);
}

static void on_stopped(opamp_agent *agent, opamp_client *client, void *user) {
  host *h = (host *)user;
  (void)client;
  SAME(h->inside, 0);
  SAME(opamp_agent_stop(agent, -1), OPAMP_E_TIMEOUT);
  kit_add(&h->calls, 100);
}

static void destroy(void *user) {
  host *h = (host *)user;
  SAME(h->inside, 0);
  kit_add(&h->destroyed, 1);
}

static void reset(host *h) {
  static const host fresh = { KIT_FLAG, KIT_FLAG, 0, 0, OPAMP_OK };
  *h = fresh;
}

static opamp_agent *make(opamp_client *client, host *h, int32_t delivery) {
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_agent *agent = NULL;
  callbacks.on_connect = on_connect;
  callbacks.on_stopped = on_stopped;
  OK(opamp_agent_new(client, &callbacks, h, destroy, &agent, NULL));
  OK(opamp_agent_set_delivery(agent, delivery, NULL));
  return agent;
}

/* The client goes first; the agent lives on it. */
static void client_first(void) {
  host h;
  opamp_agent *agent;
  opamp_client *client = kit_client();
  reset(&h);
  agent = make(client, &h, OPAMP_DELIVERY_THREAD);
  opamp_client_unref(client);
  kit_start(agent);
  kit_until(&h.calls, 1); /* on_connect, which asked for a stop */
  SAME(h.stop_inside, OPAMP_E_TIMEOUT);
  OK(opamp_agent_stop(agent, -1));
  SAME(kit_value(&h.calls), 101);
  SAME(kit_value(&h.destroyed), 0);
  opamp_agent_free(agent);
  SAME(kit_value(&h.destroyed), 1);
}

/* In THREAD delivery a free inside the callback is done on the library's thread, when the callback has returned. */
static void free_in_thread_callback(void) {
  host h;
  opamp_agent *agent;
  reset(&h);
  h.free_inside = 1;
  agent = make(kit_client(), &h, OPAMP_DELIVERY_THREAD);
  kit_start(agent);
  kit_until(&h.destroyed, 1);
  SAME(kit_value(&h.calls) % 100, 1);
}

/* In POLL delivery it is done before the dispatch returns. */
static void free_in_dispatch(void) {
  host h;
  opamp_agent *agent;
  opamp_client *client = kit_client();
  reset(&h);
  h.free_inside = 1;
  opamp_client_ref(client);
  agent = make(client, &h, OPAMP_DELIVERY_POLL);
  kit_start(agent);
  OK(opamp_agent_dispatch(agent, SOON_MS, NULL));
  SAME(kit_value(&h.calls) % 100, 1);
  SAME(kit_value(&h.destroyed), 1);
  opamp_client_unref(client);
}

/* Freed without a start, without a stop, and twice in one process. */
static void free_without_stop(void) {
  host h;
  opamp_agent *agent;
  opamp_client *client = kit_client();
  reset(&h);
  agent = make(client, &h, OPAMP_DELIVERY_THREAD);
  opamp_agent_free(agent);
  SAME(kit_value(&h.destroyed), 1);
  agent = make(client, &h, OPAMP_DELIVERY_POLL);
  kit_start(agent);
  opamp_agent_free(agent);
  SAME(kit_value(&h.destroyed), 2);
  opamp_client_unref(client);
}

static void failed_new_leaves_the_user_data_alone(void) {
  host h;
  opamp_agent *agent = NULL;
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_client *client = kit_client();
  reset(&h);
  callbacks.struct_size = 1;
  SAME(opamp_agent_new(client, &callbacks, &h, destroy, &agent, NULL), OPAMP_E_INVALID_ARG);
  SAME(opamp_agent_new(NULL, NULL, &h, destroy, &agent, NULL), OPAMP_E_INVALID_ARG);
  SAME(opamp_agent_new(client, NULL, &h, destroy, NULL, NULL), OPAMP_E_INVALID_ARG);
  CHECK(agent == NULL);
  opamp_client_unref(client);
  SAME(kit_value(&h.destroyed), 0);
}

int main(void) {
  client_first();
  free_in_thread_callback();
  free_in_dispatch();
  free_without_stop();
  failed_new_leaves_the_user_data_alone();
  return 0;
}
