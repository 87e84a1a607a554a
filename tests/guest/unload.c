/* dlopen and dlclose a thousand times, also under a thread that used the library and ends afterwards: mapped once, and nothing else is
 * left. [GUEST-03] [LIFE-07] [no server] */
#include "copies.h"

static kit_flag used = KIT_FLAG, unloaded = KIT_FLAG;

static int mappings(void) {
  FILE *file = fopen("/proc/self/maps", "r");
  char line[512];
  int count = 0;
  CHECK(file != NULL);
  while (fgets(line, sizeof line, file)) count += strstr(line, copy_path) != NULL;
  fclose(file);
  return count;
}

/* Its thread-local destructors run when the library is closed already. */
static void *user(void *given) {
  const copy *library = (const copy *)given;
  opamp_client *client = NULL;
  OK(library->client_new("http://127.0.0.1:9/", &client, NULL));
  library->client_unref(client);
  kit_add(&used, 1);
  kit_until(&unloaded, 1);
  return NULL;
}

static void cycle(int with_thread) {
  copy library = copy_loaded();
  pthread_t thread;
  used.value = unloaded.value = 0;
  if (with_thread) {
    CHECK(pthread_create(&thread, NULL, user, &library) == 0);
    kit_until(&used, 1);
  }
  CHECK(dlclose(library.library) == 0);
  kit_add(&unloaded, 1);
  if (with_thread) CHECK(pthread_join(thread, NULL) == 0);
}

int main(void) {
  int tasks = kit_entries("/proc/self/task"), files = kit_entries("/proc/self/fd"), mapped, i;
  copy_made();
  cycle(1);
  mapped = mappings();
  CHECK(mapped > 0);
  for (i = 0; i < 1000; i++) cycle(i % 10 == 0);
  SAME(mappings(), mapped);
  for (i = 0; i < 1000 && kit_entries("/proc/self/task") > tasks; i++) (void)poll(NULL, 0, 1);
  SAME(kit_entries("/proc/self/task"), tasks);
  SAME(kit_entries("/proc/self/fd"), files);
  unlink(copy_path);
  return 0;
}
