/* make examples && build/examples/minimal http://127.0.0.1:4320/v1/opamp */
#include <opamp.h>
#include <stdio.h>

static void on_message(opamp_agent *agent, opamp_client *client, const opamp_message *message, void *user) {
  opamp_slice hash;
  const opamp_config_map *config = opamp_message_remote_config(message, &hash);
  if (config == NULL) return;
  printf("a configuration of %zu files\n", opamp_config_map_len(config)); /* here you would apply it */
  opamp_client_set_effective_config(client, config);
  opamp_client_set_remote_config_status(client, hash.data, hash.len, OPAMP_REMOTE_CONFIG_APPLIED, NULL);
  (void)agent, (void)user;
}

static void on_log(int32_t level, const char *line, void *user) {
  fprintf(stderr, "%s\n", line);
  (void)level, (void)user;
}

int main(int argc, char **argv) {
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_client *client = NULL;
  opamp_agent *agent = NULL;
  opamp_attributes *about = NULL;
  opamp_error *error = NULL;

  callbacks.on_message = on_message;
  opamp_set_log(OPAMP_LOG_INFO, on_log, NULL);
  if (opamp_client_new(argc > 1 ? argv[1] : "http://127.0.0.1:4320/v1/opamp", &client, &error) == OPAMP_OK &&
      opamp_attributes_new(&about) == OPAMP_OK && opamp_attributes_set_string(about, "service.name", "minimal") == OPAMP_OK &&
      opamp_client_set_description(client, about, NULL) == OPAMP_OK &&
      opamp_client_set_capabilities(client, OPAMP_CAPABILITY_REPORTS_STATUS | OPAMP_CAPABILITY_REPORTS_HEARTBEAT |
          OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG | OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG |
          OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG, &error) == OPAMP_OK &&
      opamp_agent_new(client, &callbacks, NULL, NULL, &agent, &error) == OPAMP_OK &&
      opamp_agent_start(agent, &error) == OPAMP_OK) {
    getchar(); /* the agent works on its own threads until Enter or the end of input */
    opamp_agent_stop(agent, 3000);
  }
  if (error != NULL) fprintf(stderr, "%s\n", opamp_error_text(error));
  opamp_agent_free(agent), opamp_attributes_free(about), opamp_client_unref(client);
  return error == NULL ? 0 : (opamp_error_free(error), 1);
}
