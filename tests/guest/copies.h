/* A second copy of the library, under another name, and its functions. */
#ifndef COPIES_H
#define COPIES_H
#include "kit.h"

#include <dlfcn.h>
#include <fcntl.h>

#define COPY_FUNCTIONS(EACH) \
  EACH(version) EACH(client_new) EACH(client_unref) EACH(client_set_ca_file) EACH(client_set_description) EACH(client_set_header) \
  EACH(attributes_new) EACH(attributes_set_string) EACH(attributes_free) EACH(agent_new) EACH(agent_set_delivery) EACH(agent_set_heartbeat_interval) \
  EACH(agent_start) EACH(agent_next_event) EACH(agent_stop) EACH(agent_free) EACH(event_kind) EACH(event_free)

typedef struct copy {
  void *library;
#define COPY_FIELD(name) __typeof__(opamp_##name) *name;
  COPY_FUNCTIONS(COPY_FIELD)
} copy;

static char copy_path[128];

static inline void copy_made(void) {
  static char piece[1 << 16];
  ssize_t got;
  int from = open(kit_env("OPAMP_TEST_LIBRARY"), O_RDONLY | O_CLOEXEC), to;
  snprintf(copy_path, sizeof copy_path, "/tmp/opamp-copy-XXXXXX");
  to = mkstemp(copy_path);
  CHECK(from >= 0 && to >= 0);
  while ((got = read(from, piece, sizeof piece)) > 0) CHECK(write(to, piece, (size_t)got) == got);
  SAME(got, 0);
  close(from), close(to);
}

static inline copy copy_loaded(void) {
  copy it;
  it.library = dlopen(copy_path, RTLD_NOW | RTLD_LOCAL);
  if (!it.library) fprintf(stderr, "%s\n", dlerror());
  CHECK(it.library != NULL);
#define COPY_FOUND(name) \
  *(void **)&it.name = dlsym(it.library, "opamp_" #name); \
  CHECK(it.name != NULL);
  COPY_FUNCTIONS(COPY_FOUND)
  return it;
}
#endif
