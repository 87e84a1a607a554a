/* A configuration offer: every file byte for byte, also an empty name, no content type, a binary and an empty body; kept by
 * _ref it outlives event, agent and client; the effective configuration and the verdict reach the server as they were set; an
 * empty map is an offer too; a map that was set is frozen. [SYNC-18] [RCV-03] [RCV-14] [LOG-07] */
#include "kit.h"

static const uint8_t BINARY[] = { 0x00, 0xff, 0x0a, 0x0d, 0x80, 0x00 };
static const char OFFER[] =
    "{\"hash_text\": \"v1\", \"files\": [{\"name\": \"\", \"content_type\": \"text/yaml\", \"body\": \"a: 1\\n\"},"
    " {\"name\": \"bin\", \"content_type\": \"\", \"body_base64\": \"AP8KDYAA\"}, {\"name\": \"empty\", \"body\": \"\"}]}";

static void check_files(const opamp_config_map *map) {
  opamp_slice name, type, body;
  SAME(opamp_config_map_len(map), 3);
  OK(opamp_config_map_at(map, 0, &name, &type, &body));
  CHECK(name.data != NULL && name.len == 0);
  CHECK(kit_is(type, "text/yaml") && kit_is(body, "a: 1\n"));
  OK(opamp_config_map_at(map, 1, &name, &type, &body));
  CHECK(kit_is(name, "bin") && type.data != NULL && type.len == 0);
  CHECK(body.len == sizeof BINARY && memcmp(body.data, BINARY, sizeof BINARY) == 0);
  OK(opamp_config_map_get(map, "empty", 5, NULL, &body));
  CHECK(body.data != NULL && body.len == 0);
  OK(opamp_config_map_get(map, NULL, 0, NULL, &body));
  CHECK(kit_is(body, "a: 1\n"));
  body.len = 77;
  SAME(opamp_config_map_get(map, "bi", 2, NULL, &body), OPAMP_E_NOT_FOUND);
  SAME(opamp_config_map_at(map, 3, &name, &type, &body), OPAMP_E_NOT_FOUND);
  SAME(body.len, 77);
}

int main(void) {
  static const char why[] = "no files, no work";
  opamp_client *client = kit_client();
  opamp_agent *agent;
  opamp_event *event;
  const opamp_config_map *offer;
  opamp_config_map *kept, *own = NULL;
  opamp_message *message;
  opamp_slice hash, bytes;
  OK(opamp_client_set_capabilities(client, KIT_ALL, NULL));
  kit_post("config", OFFER);
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  kit_start(agent);
  event = kit_event(agent, OPAMP_EVENT_MESSAGE);
  CHECK(opamp_event_error(event) == NULL && opamp_event_request(event) == NULL);
  SAME(opamp_message_parts(opamp_event_message(event)), OPAMP_MESSAGE_PART_REMOTE_CONFIG);
  CHECK(opamp_message_server_capabilities(opamp_event_message(event)) & OPAMP_SERVER_CAPABILITY_OFFERS_REMOTE_CONFIG);
  offer = opamp_message_remote_config(opamp_event_message(event), &hash);
  CHECK(kit_is(hash, "v1"));
  check_files(offer);
  kept = opamp_config_map_ref(offer);
  message = opamp_message_ref(opamp_event_message(event));
  opamp_event_free(event);
  OK(opamp_client_set_effective_config(client, kept, NULL));
  OK(opamp_client_set_remote_config_status(client, hash.data, hash.len, OPAMP_REMOTE_CONFIG_APPLYING, NULL, 0, NULL));
  kit_wait("status%3DAPPLYING:offered");
  OK(opamp_client_set_remote_config_status(client, hash.data, hash.len, OPAMP_REMOTE_CONFIG_APPLIED, NULL, 0, NULL));
  kit_wait("status%3DAPPLIED:offered");
  kit_wait("effective%3Doffered");
  /* Received maps, and those that were set, are frozen. */
  SAME(opamp_config_map_add(kept, "new", 3, NULL, NULL, 0, NULL), OPAMP_E_STATE);
  OK(opamp_config_map_new(&own));
  OK(opamp_config_map_add(own, "a", 1, NULL, BINARY, sizeof BINARY, NULL));
  SAME(opamp_config_map_add(own, "a", 1, "text/plain", NULL, 0, NULL), OPAMP_E_INVALID_ARG); /* the same name twice */
  SAME(opamp_config_map_len(own), 1);
  OK(opamp_client_set_effective_config(client, own, NULL));
  SAME(opamp_config_map_add(own, "b", 1, NULL, NULL, 0, NULL), OPAMP_E_STATE);
  kit_wait("match%3D%7B%22kind%22%3A%22received%22%2C%22parts%22%3A%5B%22effective_config%22%5D%7D&since=0");
  opamp_config_map_unref(own);
  /* A map from its encoded form: {"a": {body "1"}, "": {}}; frozen. */
  OK(opamp_config_map_decode((const uint8_t *)"\x0a\x08\x0a\x01" "a" "\x12\x03\x0a\x01" "1" "\x0a\x02\x12\x00", 14, &own, NULL));
  SAME(opamp_config_map_len(own), 2);
  OK(opamp_config_map_get(own, "a", 1, NULL, &bytes));
  CHECK(kit_is(bytes, "1"));
  SAME(opamp_config_map_add(own, "b", 1, NULL, NULL, 0, NULL), OPAMP_E_STATE);
  opamp_config_map_unref(own);
  OK(opamp_config_map_decode(NULL, 0, &own, NULL));
  SAME(opamp_config_map_len(own), 0);
  opamp_config_map_unref(own);
  /* All files withdrawn: an offer like any other. */
  kit_post("config", "{\"hash_text\": \"v2\", \"files\": []}");
  OK(opamp_agent_poll_now(agent));
  event = kit_event(agent, OPAMP_EVENT_MESSAGE);
  offer = opamp_message_remote_config(opamp_event_message(event), &hash);
  CHECK(offer != NULL && opamp_config_map_len(offer) == 0 && kit_is(hash, "v2"));
  OK(opamp_client_set_remote_config_status(client, hash.data, hash.len, OPAMP_REMOTE_CONFIG_FAILED, why, strlen(why), NULL));
  opamp_event_free(event);
  kit_wait("status%3DFAILED:offered");
  CHECK(kit_timeline_has("part=remote_config_status", "no files, no work"));
  OK(opamp_agent_stop(agent, -1));
  opamp_agent_free(agent);
  opamp_client_unref(client);
  /* Kept beyond everything it came from. */
  check_files(kept);
  CHECK(opamp_message_remote_config(message, NULL) == kept);
  opamp_message_bytes(message, &bytes);
  CHECK(bytes.len > sizeof BINARY);
  opamp_message_unref(message);
  check_files(kept);
  opamp_config_map_unref(kept);
  return 0;
}
