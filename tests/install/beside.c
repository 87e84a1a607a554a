/* A program with the shared library loads a plugin that embeds the archive, for all to see: each
 * keeps to its own copy.
 * usage: beside PLUGIN */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <opamp.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  const char *(*version)(void), *own = opamp_version();
  int (*run)(int);
  void *plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
  void *found[2];
  if (plugin == NULL) return fprintf(stderr, "no plugin\n"), 1;
  found[0] = dlsym(plugin, "plugin_version"), found[1] = dlsym(plugin, "plugin_run");
  if (found[0] == NULL || found[1] == NULL) return 1;
  memcpy(&version, &found[0], sizeof version);
  memcpy(&run, &found[1], sizeof run);
  if (version() == own) return fprintf(stderr, "the plugin calls the program's copy\n"), 1;
  if (run(1) != OPAMP_OK) return 1;
  return printf("%s\n", own) > 0 ? 0 : 1;
}
