/* Silence by default; the log callback gets whole lines up to its level, from any thread, without control characters and secrets; it
 * may be changed inside itself, and taken away. Each line names its agent. [LOG-02] [LOG-03] [LOG-09] */
#include "kit.h"

typedef struct lines {
  kit_flag count;
  int level, secrets, controls, unnamed;
} lines;

static void on_line(int32_t level, const char *line, void *user) {
  lines *l = (lines *)user;
  const char *c;
  CHECK(level >= OPAMP_LOG_ERROR && level <= OPAMP_LOG_DEBUG && *line != 0);
  if (level > l->level) l->level = level;
  if (strstr(line, "top-secret")) l->secrets++;
  if (strncmp(line, "[log test] ", 11)) l->unnamed++;
  for (c = line; *c; c++) l->controls += (unsigned char)*c < 32;
  kit_add(&l->count, 1);
}

static void once(int32_t level, const char *line, void *user) {
  (void)level, (void)line;
  OK(opamp_set_log_callback(OPAMP_LOG_OFF, NULL, NULL));
  kit_add((kit_flag *)user, 1);
}

static void live(int work) {
  opamp_client *client = kit_client();
  opamp_agent *agent;
  OK(opamp_client_set_header(client, "Authorization", "Bearer top-secret", NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_FIRST_RETRY_MAX_MS, 10, NULL));
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  OK(opamp_agent_set_name(agent, "log test", NULL));
  if (work) kit_refuse("\"do\": {\"status\": 401}}, {\"do\": {\"body\": \"html\"}");
  kit_start(agent);
  if (work) kit_event_gone(agent, OPAMP_EVENT_CONNECT_FAILED);
  if (work) OK(opamp_client_set_header(client, "Authorization", "Bearer other-top-secret", NULL));
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_stop(agent, -1));
  opamp_agent_free(agent);
  opamp_client_unref(client);
}

int main(void) {
  static lines all = { KIT_FLAG, 0, 0, 0, 0 }, warnings = { KIT_FLAG, 0, 0, 0, 0 };
  static kit_flag first = KIT_FLAG;
  int pipes[2], kept_out = dup(1), kept_err = dup(2);
  char said[512];
  ssize_t len;
  /* Silent by default: nothing on either stream. */
  CHECK(pipe(pipes) == 0 && kept_out >= 0 && kept_err >= 0);
  fflush(NULL);
  dup2(pipes[1], 1), dup2(pipes[1], 2);
  live(1);
  dup2(kept_out, 1), dup2(kept_err, 2);
  close(pipes[1]);
  len = read(pipes[0], said, sizeof said);
  SAME(len, 0);
  OK(opamp_set_log_callback(OPAMP_LOG_DEBUG, on_line, &all));
  live(1);
  CHECK(kit_value(&all.count) >= 2);
  SAME(all.secrets, 0);
  SAME(all.controls, 0);
  SAME(all.unnamed, 0);
  OK(opamp_set_log_callback(OPAMP_LOG_WARN, on_line, &warnings));
  live(1);
  CHECK(warnings.level <= OPAMP_LOG_WARN);
  OK(opamp_set_log_callback(OPAMP_LOG_DEBUG, once, &first));
  live(0);
  SAME(kit_value(&first), 1);
  OK(opamp_set_log_callback(OPAMP_LOG_DEBUG, on_line, &all));
  OK(opamp_set_log_callback(OPAMP_LOG_DEBUG, NULL, NULL));
  all.count.value = 0;
  live(0);
  SAME(kit_value(&all.count), 0);
  return 0;
}
