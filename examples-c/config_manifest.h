/* What was written into a set: `set-N.manifest` beside the directory `set-N`. Part of config_dir.c.
 */
#ifndef CONFIG_MANIFEST_H
#define CONFIG_MANIFEST_H

#include "config_dir.h"

enum { CONFIG_SET_NAME_SIZE = 64 };

typedef struct config_manifest {
  char *text; /* the caller's to free */
  size_t len, at;
  int is_ours; /* it begins as ours do */
} config_manifest;

/* A file of a manifest, without its body. */
typedef struct config_manifest_entry {
  config_file file; /* by its name on disk */
  int is_nameless;  /* it came, and goes back, with the empty name */
} config_manifest_entry;

/* `set-N` and a suffix. */
void config_set_name(char out[CONFIG_SET_NAME_SIZE], unsigned long number, const char *suffix);

/* N of `set-N` and that suffix, spelled as config_set_name spells it; 0 for anything else. */
unsigned long config_set_number(const char *name, const char *suffix);

/* 0, or -1 with errno: see whole_file_reason. */
int config_manifest_open(int dir, unsigned long number, config_manifest *out);

/* The next file; 0 at the end, or where the manifest is torn. */
int config_manifest_next(config_manifest *manifest, config_manifest_entry *out);

/* Claims the number: EEXIST if it is taken. nameless: the position of the file that came with the
 * empty name, which lies under another on disk; `count` if there is none. 0, or -1 with errno. */
int config_manifest_write(int dir, unsigned long number, const config_file *files, size_t count,
                          size_t nameless);

#endif
