/* The host's own messages: opamp_agent_send takes the parts over and ends each ticket once, confirmed or given up after so many
 * tries, or ended by a stop, whenever it comes; a flush that was given up takes no place; opamp_client_exchange works without an agent and is refused beside one; flush answers when all is confirmed.
 * [LIFE-12] */
#include "kit.h"

#include <sys/resource.h>

/* AgentToServer { agent_description { identifying_attributes { key: "k", value { string_value: "sent-by-host" } } } } */
static const uint8_t MESSAGE[] = "\x1a\x17\x0a\x15\x0a\x01k\x12\x10\x0a\x0e" "sent-by-host!!";

enum { SENDERS = 3, MOST = 20000 };
static kit_flag stopped = KIT_FLAG;
static opamp_agent *sending;

/* The tickets of one thread, or of all. */
typedef struct tickets {
  size_t count;
  uint64_t of[SENDERS * MOST];
} tickets;
static tickets asked[SENDERS], promised, ended;

/* Sends until the agent has stopped, and notes the tickets that it got. */
static void *sends(void *argument) {
  tickets *own = (tickets *)argument;
  while (!kit_value(&stopped) && own->count < MOST) {
    opamp_status status = opamp_agent_send(sending, NULL, 0, 0, &own->of[own->count], NULL);
    CHECK(status == OPAMP_OK || status == OPAMP_E_STATE || status == OPAMP_E_AGAIN);
    own->count += status == OPAMP_OK;
  }
  return NULL;
}

static int by_number(const void *left, const void *right) {
  const uint64_t *a = (const uint64_t *)left, *b = (const uint64_t *)right;
  return (*a > *b) - (*a < *b);
}

static void take_ends(opamp_agent *agent) {
  opamp_status status;
  do {
    opamp_event *event = NULL;
    status = opamp_agent_next_event(agent, SOON_MS, &event);
    CHECK(status == OPAMP_OK || status == OPAMP_E_STATE);
    CHECK(ended.count < SENDERS * MOST);
    ended.count += status == OPAMP_OK && opamp_event_ticket(event, &ended.of[ended.count]) == OPAMP_OK;
    opamp_event_free(event);
  } while (status == OPAMP_OK);
}

/* What was promised an end gets it, also when the stop comes between the promise and the worker. */
static void every_ticket_ends_once(opamp_client *client) {
  opamp_agent *agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  pthread_t threads[SENDERS];
  int i, round;
  sending = agent;
  for (round = 0; round < 20; round++) {
    stopped.value = 0;
    promised.count = ended.count = 0;
    kit_start(agent);
    kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
    for (i = 0; i < SENDERS; i++) {
      asked[i].count = 0;
      CHECK(pthread_create(&threads[i], NULL, sends, &asked[i]) == 0);
    }
    OK(opamp_agent_request_stop(agent));
    take_ends(agent);
    kit_add(&stopped, 1);
    for (i = 0; i < SENDERS; i++) {
      CHECK(pthread_join(threads[i], NULL) == 0);
      memcpy(&promised.of[promised.count], asked[i].of, asked[i].count * sizeof *asked[i].of);
      promised.count += asked[i].count;
    }
    qsort(promised.of, promised.count, sizeof *promised.of, by_number);
    qsort(ended.of, ended.count, sizeof *ended.of, by_number);
    SAME(ended.count, promised.count);
    CHECK(memcmp(ended.of, promised.of, ended.count * sizeof *ended.of) == 0);
    OK(opamp_agent_stop(agent, -1));
  }
  opamp_agent_free(agent);
}

/* A refused exchange has used no number: the next message follows the last one. [SYNC-12] */
static void a_refused_exchange_changes_nothing(void) {
  char uid[37], query[64];
  opamp_client *client = kit_client();
  struct rlimit few, before;
  opamp_agent *agent;
  OK(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, SOON_MS, NULL, NULL));
  CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
  few = before;
  few.rlim_cur = 3;
  CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
  SAME(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, SOON_MS, NULL, NULL), OPAMP_E_RESOURCE);
  CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  kit_start(agent);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_stop(agent, -1));
  opamp_agent_free(agent);
  kit_client_uid(client, uid);
  snprintf(query, sizeof query, "agent=%s&kind=received", uid);
  CHECK(kit_timeline_has(query, "\"1 after 0\""));
  opamp_client_unref(client);
}

/* Without an agent, over HTTP. */
static void exchanges(opamp_client *client) {
  opamp_message *answer = NULL;
  opamp_slice bytes;
  opamp_error *err = NULL;
  OK(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, SOON_MS, &answer, &err));
  CHECK(answer != NULL && err == NULL);
  opamp_message_bytes(answer, &bytes);
  CHECK(bytes.len > 0);
  CHECK(opamp_message_server_capabilities(answer) & OPAMP_SERVER_CAPABILITY_ACCEPTS_STATUS);
  CHECK(opamp_message_remote_config(answer, NULL) == NULL);
  opamp_message_unref(answer);
  OK(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, -1, NULL, NULL)); /* the answer is not wanted */
  CHECK(kit_timeline_has("kind=received", "sent-by-host!!"));
  kit_post("faults", "{\"rules\": [{\"do\": {\"status\": 404}}]}");
  answer = NULL;
  SAME(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, SOON_MS, &answer, &err), OPAMP_E_FAILED);
  CHECK(answer == NULL);
  SAME(opamp_error_kind(err), OPAMP_ERROR_HTTP_STATUS);
  SAME(opamp_error_http_status(err), 404);
  opamp_error_free(err);
  err = NULL;
  kit_post("faults", "{\"rules\": [{\"do\": {\"silent\": true}}]}");
  SAME(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, 50, &answer, &err), OPAMP_E_TIMEOUT);
  opamp_error_free(err);
  kit_post("faults", "{\"rules\": []}");
}

int main(void) {
  opamp_client *client = kit_client();
  opamp_agent *agent;
  opamp_event *event;
  opamp_attributes *who = NULL;
  uint64_t first = 0, second = 0, ended = 0;
  int i;
  if (kit_is_websocket()) SAME(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, SOON_MS, NULL, NULL), OPAMP_E_UNSUPPORTED);
  else exchanges(client), a_refused_exchange_changes_nothing();
  OK(opamp_client_set_option(client, OPAMP_OPTION_FIRST_RETRY_MAX_MS, 10, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_BASE_MS, 10, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_MAX_MS, 10, NULL));
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  kit_start(agent);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  SAME(opamp_client_exchange(client, MESSAGE, sizeof MESSAGE - 1, 0, NULL, NULL), OPAMP_E_STATE);
  SAME(opamp_agent_send(agent, (const uint8_t *)"\xff\xff", 2, 1, NULL, NULL), OPAMP_E_INVALID_ARG);
  OK(opamp_agent_send(agent, MESSAGE, sizeof MESSAGE - 1, 1, &first, NULL));
  event = kit_event(agent, OPAMP_EVENT_SEND_DONE);
  OK(opamp_event_ticket(event, &ended));
  SAME(ended, first);
  CHECK(opamp_event_error(event) == NULL); /* confirmed */
  opamp_event_free(event);
  OK(opamp_agent_flush(agent, SOON_MS, NULL));
  kit_refuse("\"times\": \"always\", \"do\": {\"status\": 500}");
  if (kit_is_websocket()) kit_post("connections", "{\"how\": \"close\"}");
  OK(opamp_agent_send(agent, MESSAGE, sizeof MESSAGE - 1, 2, &second, NULL));
  CHECK(second != first);
  event = kit_event(agent, OPAMP_EVENT_SEND_DONE);
  OK(opamp_event_ticket(event, &ended));
  SAME(ended, second);
  SAME(opamp_error_http_status(opamp_event_error(event)), 500);
  opamp_event_free(event);
  OK(opamp_agent_flush(agent, SOON_MS, NULL)); /* that message said nothing new, so nothing is owed */
  OK(opamp_attributes_new(&who));
  OK(opamp_attributes_set_string(who, "k", "new", NULL));
  OK(opamp_client_set_description(client, who, NULL, NULL));
  opamp_attributes_free(who);
  /* However often it is given up while the server is away, it is a time-out, and a send is as good as before. */
  for (i = 0; i < 200; i++) SAME(opamp_agent_flush(agent, 1, NULL), OPAMP_E_TIMEOUT);
  OK(opamp_agent_send(agent, NULL, 0, 1, &first, NULL));
  event = kit_event(agent, OPAMP_EVENT_SEND_DONE);
  SAME(opamp_error_http_status(opamp_event_error(event)), 500);
  opamp_event_free(event);
  OK(opamp_agent_stop(agent, -1));
  SAME(opamp_agent_flush(agent, -1, NULL), OPAMP_E_STATE);
  opamp_agent_free(agent);
  kit_post("faults", "{\"rules\": []}");
  every_ticket_ends_once(client);
  opamp_client_unref(client);
  return 0;
}
