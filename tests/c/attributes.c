/* Every kind of attribute value arrives at the server unchanged: text, truth, integer, floating point, bytes, array, map, none,
 * nested; a key set twice keeps the last value, at its first place; all stand in the order in which they were set; 32
 * levels cross. [SYNC-17] [SYNC-28] */
#include "kit.h"

#define PAIR(key, value) "{\"key\":\"" key "\",\"value\":{" value "}}"
#define TEXT(value) "\"string_value\":\"" value "\""
#define LIST(values) "\"array_value\":{\"values\":[" values "]}"
#define INNER LIST("{" TEXT("in-the-inner-array") "},{\"bool_value\":true}")
#define MAP "\"kvlist_value\":{\"values\":[" PAIR("number", "\"int_value\":12345") "," PAIR("array", INNER) "]}"

static const char IDENTIFYING[] =
    "\"identifying_attributes\":[" PAIR("text", TEXT("gr\xc3\xbc\xc3\x9f-dich")) ","
    PAIR("yes", "\"bool_value\":true") "," PAIR("no", "\"bool_value\":false") ","
    PAIR("least", "\"int_value\":-9223372036854775808") "," PAIR("most", "\"int_value\":9223372036854775807") ","
    PAIR("half", "\"double_value\":0.5") "," PAIR("raw", "\"bytes_value_base64\":\"AAH+/w==\"") ","
    PAIR("none", "\"bytes_value\":\"\"") "," PAIR("empty", "") "]";
static const char NON_IDENTIFYING[] =
    "\"non_identifying_attributes\":[" PAIR("list", LIST("{\"int_value\":-5},{\"double_value\":2.25},"
    "{\"bytes_value_base64\":\"AAH+/w==\"},{},{" INNER "},{" MAP "}")) "," PAIR("map", MAP) "]";

/* JSON without the white space (no text in this test has any). */
static void squeeze(char *text) {
  char *to = text;
  for (; *text; text++)
    if (*text != ' ' && *text != '\n') *to++ = *text;
  *to = 0;
}

int main(void) {
  static const uint8_t raw[] = { 0x00, 0x01, 0xfe, 0xff };
  opamp_client *client = kit_client();
  opamp_attributes *who = NULL, *more = NULL, *map = NULL, *deep = NULL;
  opamp_array *array = NULL, *inner = NULL;
  opamp_agent *agent;
  char answer[65536];
  int i;
  OK(opamp_attributes_new(&who));
  OK(opamp_attributes_new(&more));
  OK(opamp_attributes_new(&map));
  OK(opamp_attributes_new(&deep));
  OK(opamp_array_new(&array));
  OK(opamp_array_new(&inner));
  OK(opamp_attributes_set_string(who, "text", "first", NULL));
  OK(opamp_attributes_set_bool(who, "yes", 7, NULL));
  OK(opamp_attributes_set_string(who, "text", "gr\xc3\xbc\xc3\x9f-dich", NULL));
  OK(opamp_attributes_set_bool(who, "no", 0, NULL));
  OK(opamp_attributes_set_int(who, "least", INT64_MIN, NULL));
  OK(opamp_attributes_set_int(who, "most", INT64_MAX, NULL));
  OK(opamp_attributes_set_double(who, "half", 0.5, NULL));
  OK(opamp_attributes_set_bytes(who, "raw", raw, sizeof raw, NULL));
  OK(opamp_attributes_set_bytes(who, "none", NULL, 0, NULL));
  OK(opamp_attributes_set_empty(who, "empty", NULL));
  OK(opamp_array_add_string(inner, "in-the-inner-array", NULL));
  OK(opamp_array_add_bool(inner, 1, NULL));
  OK(opamp_array_add_int(array, -5, NULL));
  OK(opamp_array_add_double(array, 2.25, NULL));
  OK(opamp_array_add_bytes(array, raw, sizeof raw, NULL));
  OK(opamp_array_add_empty(array, NULL));
  OK(opamp_array_add_array(array, inner, NULL));
  OK(opamp_attributes_set_int(map, "number", 12345, NULL));
  OK(opamp_attributes_set_array(map, "array", inner, NULL));
  OK(opamp_array_add_map(array, map, NULL));
  OK(opamp_attributes_set_array(more, "list", array, NULL));
  OK(opamp_attributes_set_map(more, "map", map, NULL));
  OK(opamp_attributes_set_string(deep, "bottom", "reached the bottom", NULL));
  for (i = 0; i < 32; i++) OK(opamp_attributes_set_map(deep, "down", deep, NULL));
  OK(opamp_client_set_description(client, who, deep, NULL));
  OK(opamp_client_set_description(client, who, more, NULL)); /* the newest wins; the deep one comes later */
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  kit_start(agent);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_flush(agent, SOON_MS, NULL));
  SAME(kit_api("GET", "timeline?kind=received&part=agent_description", NULL, answer, sizeof answer), 200);
  squeeze(answer);
  CHECK(strstr(answer, IDENTIFYING) != NULL);
  CHECK(strstr(answer, NON_IDENTIFYING) != NULL);
  OK(opamp_client_set_description(client, deep, NULL, NULL));
  OK(opamp_agent_flush(agent, SOON_MS, NULL));
  CHECK(kit_timeline_has("kind=received&part=agent_description", "reached the bottom"));
  opamp_agent_free(agent);
  opamp_attributes_free(who);
  opamp_attributes_free(more);
  opamp_attributes_free(map);
  opamp_attributes_free(deep);
  opamp_array_free(array);
  opamp_array_free(inner);
  opamp_client_unref(client);
  return 0;
}
