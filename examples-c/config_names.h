/* The names of a set of files, which come from a server and are not trusted. Part of config_dir.c.
 */
#ifndef CONFIG_NAMES_H
#define CONFIG_NAMES_H

#include "config_dir.h"

enum { CONFIG_PART_SIZE = 256 }; /* a part of a name, and its NUL */

/* A file's name or one of the directories on its way. The folded form has one number per character,
 * without case. */
typedef struct config_entry {
  const char *name;
  size_t len;
  const uint32_t *folded;
  size_t folded_len;
  int is_file;
} config_entry;

/* Every file and directory of a set, sorted: a directory comes before what is in it. */
typedef struct config_entries {
  config_entry *list;
  size_t len;
  uint32_t *folds;
} config_entries;

/* Writes the reason, without control characters, and answers -1. */
int config_fail(config_why *why, const char *format, ...);

/* How much of a name fits into a message, cut between characters. */
int config_name_shown(const char *name, size_t len);

/* Can this name alone be trusted? 0, or -1 with the reason. */
int config_name_check(const char *name, size_t len, config_why *why);

int config_name_is_same(const config_entry *a, const config_entry *b);

/* Checks every name and all of them together. 0, or -1 with the reason; config_entries_free in any
 * case. */
int config_entries_of(const config_file *files, size_t count, config_entries *all, config_why *why);
void config_entries_free(config_entries *all);

#endif
