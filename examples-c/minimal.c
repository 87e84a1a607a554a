/* make examples && build/examples/minimal http://127.0.0.1:4320/v1/opamp */
#include <opamp.h>
#include <stdio.h>

static int failures;

/* Counts and names what failed. A pointer to the error, because the call beside it may set it. */
static int is_good(opamp_status status, opamp_error **error, const char *what) {
  if (status == OPAMP_OK) return 1;
  fprintf(stderr, "minimal: %s: %s\n", what,
          *error ? opamp_error_text(*error) : opamp_status_name(status));
  opamp_error_free(*error);
  *error = NULL;
  failures++;
  return 0;
}

static void on_message(opamp_agent *agent, opamp_client *client, const opamp_message *message,
                       void *user) {
  opamp_slice hash;
  opamp_error *error = NULL;
  const opamp_config_map *config = opamp_message_remote_config(message, &hash);
  if (config == NULL) return;
  printf("received a configuration of %zu files\n", opamp_config_map_len(config));
  /* here you would apply it */
  is_good(opamp_client_set_effective_config(client, config, &error), &error, "effective config");
  is_good(opamp_client_set_remote_config_status(client, hash.data, hash.len,
                                                OPAMP_REMOTE_CONFIG_APPLIED, NULL, 0, &error),
          &error, "remote config status");
  (void)agent, (void)user;
}

static void on_log(int32_t level, const char *line, void *user) {
  fprintf(stderr, "%s\n", line);
  (void)level, (void)user;
}

int main(int argc, char **argv) {
  const char *endpoint = argc > 1 ? argv[1] : "http://127.0.0.1:4320/v1/opamp";
  uint64_t capabilities =
      OPAMP_CAPABILITY_REPORTS_STATUS | OPAMP_CAPABILITY_REPORTS_HEARTBEAT |
      OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG | OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG |
      OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG;
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_client *client = NULL;
  opamp_agent *agent = NULL;
  opamp_attributes *about = NULL;
  opamp_error *error = NULL;

  callbacks.on_message = on_message;
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* so that a pipe, too, gets each line as it comes */
  if (is_good(opamp_set_log_callback(OPAMP_LOG_INFO, on_log, NULL), &error, "log") &&
      is_good(opamp_client_new(endpoint, &client, &error), &error, "client") &&
      is_good(opamp_attributes_new(&about), &error, "attributes") &&
      is_good(opamp_attributes_set_string(about, "service.name", "minimal", &error), &error,
              "service.name") &&
      is_good(opamp_client_set_description(client, about, NULL, &error), &error, "description") &&
      is_good(opamp_client_set_capabilities(client, capabilities, &error), &error,
              "capabilities") &&
      is_good(opamp_agent_new(client, &callbacks, NULL, NULL, &agent, &error), &error, "agent") &&
      is_good(opamp_agent_start(agent, &error), &error, "start")) {
    getchar(); /* the agent works on its own threads until Enter, or the end of the input */
    is_good(opamp_agent_stop(agent, 3000), &error, "stop");
  }
  opamp_agent_free(agent), opamp_attributes_free(about), opamp_client_unref(client);
  return failures == 0 ? 0 : 1; /* no callback runs any more */
}
