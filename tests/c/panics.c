/* A bug in the library, planted in a test build: no panic crosses the boundary, the call and later ones on that handle answer
 * E_PANIC with a text, nothing is printed, an error line of the log says so, other handles work on, and everything can be freed; the
 * same for a bug on the agent's own threads. [LIFE-06] [planted] */
#include "kit.h"

static void plant(const char *function) { CHECK(setenv("OPAMP_PLANTED_PANIC", function, 1) == 0); }

static kit_flag errors = KIT_FLAG;

static void on_line(int32_t level, const char *line, void *user) {
  (void)user;
  if (level == OPAMP_LOG_ERROR && strstr(line, "internal error") && strstr(line, "planted")) kit_add(&errors, 1);
}

static void on_connect(opamp_agent *a, opamp_client *c, void *user) { (void)a, (void)c, (void)user; }

/* The worker ends, or a callback can not be called: an event with the bug says so, or a stop follows; free does not wait for ever. */
static void on_its_threads(opamp_client *client, const char *place, int32_t delivery) {
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_agent *agent;
  opamp_event *event;
  opamp_error *err = NULL;
  int before = kit_value(&errors);
  callbacks.on_connect = on_connect;
  agent = kit_agent(client, &callbacks, NULL, delivery);
  plant(place);
  kit_start(agent);
  if (delivery == OPAMP_DELIVERY_POLL && strcmp(place, "the worker") == 0) {
    event = kit_event(agent, OPAMP_EVENT_STOPPED);
    SAME(opamp_error_kind(opamp_event_error(event)), OPAMP_ERROR_BUG);
    opamp_event_free(event);
  } else if (delivery == OPAMP_DELIVERY_POLL) {
    opamp_agent_dispatch(agent, SOON_MS, NULL);
  }
  kit_until(&errors, before + 1);
  plant("");
  SAME(opamp_agent_start(agent, &err), OPAMP_E_PANIC);
  CHECK(strstr(opamp_error_text(err), "planted") != NULL);
  opamp_error_free(err);
  opamp_agent_free(agent);
}

/* Before anything of the library ran in this process: no hook of it is in place yet. */
static void in_the_first_call(void) {
  opamp_client *client = NULL;
  opamp_status status;
  int pipes[2], kept_err = dup(2);
  char said[64];
  CHECK(pipe(pipes) == 0);
  dup2(pipes[1], 2);
  plant("opamp_client_new");
  status = opamp_client_new("http://127.0.0.1:9/", &client, NULL);
  plant("");
  dup2(kept_err, 2);
  close(pipes[1]);
  close(kept_err);
  SAME(status, OPAMP_E_PANIC);
  SAME(read(pipes[0], said, sizeof said), 0);
  close(pipes[0]);
}

static void in_later_calls(void) {
  opamp_client *client = kit_client(), *other = kit_client();
  opamp_agent *agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  opamp_error *err = NULL;
  opamp_event *event = NULL;
  opamp_status status;
  int pipes[2], kept_err = dup(2);
  char said[64];
  CHECK(pipe(pipes) == 0);
  OK(opamp_set_log_callback(OPAMP_LOG_WARN, on_line, NULL));
  kit_start(agent);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  fflush(NULL);
  dup2(pipes[1], 2);
  plant("opamp_agent_poll_now");
  status = opamp_agent_poll_now(agent);
  plant("opamp_client_set_header");
  SAME(opamp_client_set_header(other, "X-A", "b", &err), OPAMP_E_PANIC);
  plant("");
  dup2(kept_err, 2);
  close(pipes[1]);
  SAME(read(pipes[0], said, sizeof said), 0);
  SAME(status, OPAMP_E_PANIC);
  CHECK(kit_value(&errors) >= 2);
  SAME(opamp_error_kind(err), OPAMP_ERROR_BUG);
  CHECK(strstr(opamp_error_text(err), "planted") != NULL);
  opamp_error_free(err);
  /* The poisoned handles: */
  SAME(opamp_agent_poll_now(agent), OPAMP_E_PANIC);
  SAME(opamp_agent_stop(agent, -1), OPAMP_E_PANIC);
  SAME(opamp_client_set_header(other, "X-A", "b", NULL), OPAMP_E_PANIC);
  CHECK(opamp_client_ref(other) == NULL);
  opamp_client_unref(other);
  /* Events up to STOPPED, then the bug. */
  do {
    opamp_event_free(event);
    event = NULL;
    status = opamp_agent_next_event(agent, SOON_MS, &event);
  } while (status == OPAMP_OK && opamp_event_kind(event) != OPAMP_EVENT_STOPPED);
  SAME(opamp_event_kind(event), OPAMP_EVENT_STOPPED);
  opamp_event_free(event);
  SAME(opamp_agent_next_event(agent, SOON_MS, &event), OPAMP_E_PANIC);
  opamp_agent_free(agent);
  /* The client of that agent is good, and so is another agent on it. */
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  kit_start(agent);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_stop(agent, -1));
  opamp_agent_free(agent);
  on_its_threads(client, "the worker", OPAMP_DELIVERY_POLL);
  on_its_threads(client, "the worker", OPAMP_DELIVERY_THREAD);
  on_its_threads(client, "the delivery", OPAMP_DELIVERY_POLL);
  on_its_threads(client, "the delivery", OPAMP_DELIVERY_THREAD);
  opamp_client_unref(client);
}

int main(void) {
  in_the_first_call();
  in_later_calls();
  return 0;
}
