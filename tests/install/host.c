/* Loads the plugin, uses it and unloads it, 1,000 times, each time on a thread that ends after the plugin is gone: what the
 * archive left for the end of a thread must still be there, with an agent that ran and with one that was never started. Memory, threads
 * and descriptors stay where they were.
 * usage: host PLUGIN */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMES = 1000, WARM_UP = 50, MAX_GROWTH_KIB = 2048 };

static const char *path;

static void *once(void *starts) {
  int (*run)(int);
  void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *found = plugin == NULL ? NULL : dlsym(plugin, "plugin_run");
  if (found == NULL) {
    (void)fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  memcpy(&run, &found, sizeof run);
  int status = run(starts != NULL);
  if (status != 0) {
    (void)fprintf(stderr, "plugin_run: %d\n", status);
    exit(1);
  }
  if (dlsym(RTLD_DEFAULT, "opamp_version") != NULL) {
    (void)fprintf(stderr, "the plugin exports what it embeds\n");
    exit(1);
  }
  if (dlclose(plugin) != 0) exit(1);
  return NULL;
}

static int entries(const char *folder) {
  int count = 0;
  DIR *list = opendir(folder);
  while (list != NULL && readdir(list) != NULL) count++;
  if (list != NULL) (void)closedir(list);
  return count;
}

static long resident_kib(void) {
  char line[256];
  long kib = -1;
  FILE *status = fopen("/proc/self/status", "r");
  while (status != NULL && fgets(line, sizeof line, status) != NULL)
    if (strncmp(line, "RssAnon:", 8) == 0) kib = strtol(line + 8, NULL, 10);
  if (status != NULL) (void)fclose(status);
  return kib;
}

int main(int argc, char **argv) {
  long memory = 0;
  int descriptors = 0, threads = entries("/proc/self/task");
  if (argc != 2) return 2;
  path = argv[1];
  for (int i = 0; i < TIMES; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, once, i % 2 ? &thread : NULL) != 0 || pthread_join(thread, NULL) != 0) return 1;
    if (i != WARM_UP) continue;
    memory = resident_kib();
    descriptors = entries("/proc/self/fd");
  }
  long growth = resident_kib() - memory;
  /* A joined thread may stand in /proc for a moment more. */
  for (int i = 0; i < 1000 && entries("/proc/self/task") > threads; i++) (void)poll(NULL, 0, 1);
  if (entries("/proc/self/fd") != descriptors || entries("/proc/self/task") != threads || growth > MAX_GROWTH_KIB) {
    (void)fprintf(stderr, "descriptors %d to %d, threads %d to %d, memory +%ld KiB\n", descriptors, entries("/proc/self/fd"), threads,
                  entries("/proc/self/task"), growth);
    return 1;
  }
  return printf("%d times loaded, used and unloaded; memory %+ld KiB\n", TIMES, growth) > 0 ? 0 : 1;
}
