/* Loading and unloading the library does nothing: no thread, no descriptor, no signal handler, no output, no environment variable
 * read; only opamp_* is exported, by name. [GUEST-01] [GUEST-03] [no server] [native] [shared only] */
#include "kit.h"

#include <dlfcn.h>

int main(void) {
  struct sigaction before[32], after;
  int signal, tasks, files;
  void *library;
  const char *(*version)(void);
  const char *path = kit_env("OPAMP_TEST_LIBRARY");
  /* An environment in which any look would be a crash: getenv walks into it. */
  char **kept = environ;
  for (signal = 1; signal < 32; signal++) sigaction(signal, NULL, &before[signal]);
  tasks = kit_entries("/proc/self/task");
  files = kit_entries("/proc/self/fd");
  environ = (char **)(uintptr_t)8;
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) fprintf(stderr, "%s\n", dlerror());
  CHECK(library != NULL);
  *(void **)&version = dlsym(library, "opamp_version");
  CHECK(version != NULL && strncmp(version(), "0.", 2) == 0);
  environ = kept;
  CHECK(dlsym(library, "rust_eh_personality") == NULL);
  SAME(kit_entries("/proc/self/task"), tasks);
  SAME(kit_entries("/proc/self/fd"), files);
  for (signal = 1; signal < 32; signal++) {
    sigaction(signal, NULL, &after);
    CHECK(after.sa_handler == before[signal].sa_handler);
  }
  CHECK(dlclose(library) == 0);
  SAME(kit_entries("/proc/self/fd"), files);
  return 0;
}
