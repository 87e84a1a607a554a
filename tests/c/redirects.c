/* A redirect is told as an event and by on_redirect, with both URLs and the status, before the answer that it led to; a loop ends at
 * the limit, and with a limit of 0 none is followed: one failed try then, and the endpoint is where the next one begins.
 * [HTTP-13] [HTTP-22] */
#include "kit.h"

/* The next message, or request for a WebSocket. */
static void moved_once(void) {
  const int is_ws = strncmp(kit_endpoint(), "ws", 2) == 0;
  char rule[200];
  snprintf(rule, sizeof rule, "{\"rules\": [{\"on\": \"%s\", \"times\": 1, \"do\": {\"redirect\": \"/moved?a=b\", \"status\": 308}}]}",
           is_ws ? "upgrade" : "message");
  kit_post("faults", rule);
}

static void check_hop(const char *from, const char *to, int32_t status) {
  const char *moved = strstr(to, "/moved?a=b");
  SAME(status, 308);
  SAME(strcmp(from, kit_endpoint()), 0);
  CHECK(moved != NULL && strcmp(moved, "/moved?a=b") == 0);
  CHECK(strncmp(from, to, (size_t)(moved - to)) == 0);
}

static void by_event(void) {
  opamp_client *client = kit_client();
  opamp_agent *agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  const char *from = NULL, *to = NULL, *none = NULL;
  int32_t status = 0;
  opamp_event *event;
  moved_once();
  kit_start(agent);
  event = kit_event(agent, OPAMP_EVENT_REDIRECT);
  OK(opamp_event_redirect(event, &from, &to, &status));
  check_hop(from, to, status);
  OK(opamp_event_redirect(event, NULL, NULL, NULL));
  CHECK(opamp_event_error(event) == NULL && opamp_event_message(event) == NULL);
  opamp_event_free(event);
  event = kit_event(agent, OPAMP_EVENT_CONNECTED);
  SAME(opamp_event_redirect(event, &none, NULL, NULL), OPAMP_E_NOT_FOUND);
  CHECK(none == NULL);
  opamp_event_free(event);
  OK(opamp_agent_stop(agent, SOON_MS));
  opamp_agent_free(agent);
  opamp_client_unref(client);
}

static void on_redirect(opamp_agent *agent, opamp_client *client, const char *from, const char *to, int32_t status, void *user) {
  check_hop(from, to, status);
  kit_add((kit_flag *)user, 1);
  (void)agent, (void)client;
}

static void on_connect(opamp_agent *agent, opamp_client *client, void *user) {
  SAME(kit_value((kit_flag *)user), 1);
  kit_add((kit_flag *)user, 1);
  (void)agent, (void)client;
}

static void by_callback(void) {
  opamp_client *client = kit_client();
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  kit_flag told = KIT_FLAG;
  opamp_agent *agent;
  callbacks.on_redirect = on_redirect;
  callbacks.on_connect = on_connect;
  agent = kit_agent(client, &callbacks, &told, OPAMP_DELIVERY_THREAD);
  moved_once();
  kit_start(agent);
  kit_until(&told, 2);
  OK(opamp_agent_stop(agent, SOON_MS));
  opamp_agent_free(agent);
  opamp_client_unref(client);
}

static void forbidden(void) {
  opamp_client *client = kit_client();
  opamp_agent *agent;
  opamp_event *event;
  OK(opamp_client_set_option(client, OPAMP_OPTION_REDIRECT_LIMIT, 0, NULL));
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  OK(opamp_agent_set_heartbeat_interval(agent, 100, NULL)); /* the next try is the next poll */
  moved_once();
  kit_start(agent);
  event = kit_event(agent, OPAMP_EVENT_CONNECT_FAILED);
  SAME(opamp_error_http_status(opamp_event_error(event)), 308);
  CHECK(strstr(opamp_error_text(opamp_event_error(event)), "forbidden") != NULL);
  opamp_event_free(event);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_stop(agent, SOON_MS));
  opamp_agent_free(agent);
  opamp_client_unref(client);
}

int main(void) {
  by_event();
  by_callback();
  forbidden();
  return 0;
}
