/* opamp_callbacks of other releases: a smaller caller is refused, an equal one taken, a larger one taken while its unknown slots
 * are NULL; the library never writes to the caller's struct. [no server] */
#include "kit.h"

typedef struct larger {
  opamp_callbacks known;
  void (*on_later)(void);
  void (*on_much_later)(void);
} larger;

/* In the first release on_stopped was the last slot. */
#define FIRST offsetof(opamp_callbacks, on_redirect)

static void later(void) {}

static opamp_status make(opamp_client *client, const void *callbacks) {
  opamp_agent *agent = NULL;
  opamp_error *err = NULL;
  opamp_status status = opamp_agent_new(client, (const opamp_callbacks *)callbacks, NULL, NULL, &agent, &err);
  SAME(status == OPAMP_OK, agent != NULL);
  SAME(status == OPAMP_OK, err == NULL);
  opamp_agent_free(agent);
  opamp_error_free(err);
  return status;
}

int main(void) {
  opamp_client *client = kit_client_at("http://127.0.0.1:9/v1/opamp");
  opamp_callbacks equal = OPAMP_CALLBACKS_INIT, copy;
  larger big, before;
  size_t size;
  copy = equal;
  OK(make(client, &equal));
  CHECK(memcmp(&equal, &copy, sizeof equal) == 0);
  for (size = 0; size < sizeof equal; size++) {
    equal.struct_size = size;
    SAME(make(client, &equal), size == FIRST ? OPAMP_OK : OPAMP_E_INVALID_ARG);
  }
  equal.struct_size = (size_t)-1; /* garbage */
  SAME(make(client, &equal), OPAMP_E_INVALID_ARG);
  SAME(opamp_callbacks_init(&equal, FIRST - sizeof(void *)), OPAMP_E_INVALID_ARG);
  SAME(opamp_callbacks_init(&equal, (size_t)-1), OPAMP_E_INVALID_ARG);
  memset(&equal, 0xff, sizeof equal);
  OK(opamp_callbacks_init(&equal, sizeof equal));
  CHECK(memcmp(&equal, &copy, sizeof equal) == 0);
  /* A host of a later release: */
  memset(&big, 0xff, sizeof big);
  OK(opamp_callbacks_init(&big.known, sizeof big));
  SAME(big.known.struct_size, sizeof big);
  CHECK(big.on_later == NULL && big.on_much_later == NULL);
  before = big;
  OK(make(client, &big));
  big.on_much_later = later;
  SAME(make(client, &big), OPAMP_E_UNSUPPORTED);
  big.on_much_later = NULL;
  CHECK(memcmp(&big, &before, sizeof big) == 0);
  opamp_client_unref(client);
  return 0;
}
