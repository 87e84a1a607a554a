/* Every argument is copied before the call returns: what the server sees is what was given, although all of it was overwritten
 * and freed at once. [LIFE-10] */
#include "kit.h"

/* A text on the heap. */
static char *heap(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = (char *)malloc(size);
  CHECK(copy != NULL);
  memcpy(copy, text, size);
  return copy;
}

/* Overwritten, then freed: a later look at it would be seen. */
static void gone(char *text) {
  memset(text, 'X', strlen(text));
  free(text);
}

int main(void) {
  char *endpoint = heap(kit_endpoint()), *name = heap("X-Test"), *value = heap("header-value"), *prefix = heap("my-host/1.0");
  char *key = heap("service.name"), *text = heap("copied-name"), *file = heap("file.yaml"), *type = heap("text/yaml");
  char *body = heap("kept: true\n"), *ca = heap(getenv("OPAMP_TEST_CA") ? getenv("OPAMP_TEST_CA") : ""), *uid;
  char *hash = heap("stored-hash"), *why = heap("from storage");
  opamp_client *client = NULL;
  opamp_agent *agent = NULL;
  opamp_attributes *who = NULL;
  opamp_config_map *map = NULL;
  opamp_callbacks *callbacks = (opamp_callbacks *)malloc(sizeof *callbacks);
  OK(opamp_client_new(endpoint, &client, NULL));
  kit_patient(client);
  if (*ca) OK(opamp_client_set_ca_file(client, ca, NULL));
  OK(opamp_client_set_header(client, name, value, NULL));
  OK(opamp_client_set_user_agent_prefix(client, prefix, NULL));
  uid = heap("0123456789abcdef");
  OK(opamp_client_set_instance_uid(client, (const uint8_t *)uid, 16, NULL));
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL));
  OK(opamp_attributes_new(&who));
  OK(opamp_attributes_set_string(who, key, text, NULL));
  OK(opamp_client_set_description(client, who, NULL, NULL));
  OK(opamp_attributes_set_string(who, "service.name", "changed afterwards", NULL));
  opamp_attributes_free(who);
  OK(opamp_config_map_new(&map));
  OK(opamp_config_map_add(map, file, strlen(file), type, (const uint8_t *)body, strlen(body), NULL));
  OK(opamp_client_set_effective_config(client, map, NULL));
  opamp_config_map_unref(map);
  OK(opamp_client_set_remote_config_status(client, (const uint8_t *)hash, strlen(hash), OPAMP_REMOTE_CONFIG_FAILED, why, strlen(why), NULL));
  OK(opamp_callbacks_init(callbacks, sizeof *callbacks));
  OK(opamp_agent_new(client, callbacks, NULL, NULL, &agent, NULL));
  SAME(opamp_agent_start(agent, NULL), OPAMP_E_INVALID_ARG); /* no on_message for an accepted configuration */
  opamp_agent_free(agent);
  callbacks->struct_size = sizeof *callbacks;
  OK(opamp_agent_new(client, NULL, NULL, NULL, &agent, NULL));
  memset(callbacks, 0xff, sizeof *callbacks);
  free(callbacks);
  gone(endpoint), gone(name), gone(value), gone(prefix), gone(key), gone(text), gone(file), gone(type), gone(body), gone(ca);
  gone(uid), gone(hash), gone(why);
  OK(opamp_agent_set_delivery(agent, OPAMP_DELIVERY_POLL, NULL));
  kit_start(agent);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_flush(agent, SOON_MS, NULL));
  CHECK(kit_timeline_has(kit_requests(), "header-value"));
  CHECK(kit_timeline_has(kit_requests(), "my-host/1.0"));
  CHECK(kit_timeline_has("kind=received", "copied-name"));
  CHECK(!kit_timeline_has("kind=received", "changed afterwards"));
  CHECK(kit_timeline_has("kind=received", "kept: true"));
  CHECK(kit_timeline_has("kind=received", "text/yaml"));
  CHECK(kit_timeline_has("kind=received", "from storage"));
  CHECK(kit_timeline_has("kind=received", "30313233-3435-3637-3839-616263646566"));
  opamp_agent_free(agent);
  opamp_client_unref(client);
  return 0;
}
