/* See config_manifest.h. A head line, then per file two netstrings (content type, name on disk) and
 * a line end; a third one, empty, before the line end of the file that came with the empty name. */
#define _POSIX_C_SOURCE 200809L

#include "config_manifest.h"

#include "config_names.h"
#include "whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "opamp config set 1\n"

void config_set_name(char out[CONFIG_SET_NAME_SIZE], unsigned long number, const char *suffix) {
  (void)snprintf(out, CONFIG_SET_NAME_SIZE, "set-%lu%s", number, suffix);
}

unsigned long config_set_number(const char *name, const char *suffix) {
  char again[CONFIG_SET_NAME_SIZE];
  if (strncmp(name, "set-", 4) != 0) return 0;
  unsigned long number = strtoul(name + 4, NULL, 10);
  config_set_name(again, number, suffix);
  return number != ULONG_MAX && strcmp(again, name) == 0 ? number : 0;
}

int config_manifest_open(int dir, unsigned long number, config_manifest *out) {
  char name[CONFIG_SET_NAME_SIZE];
  config_set_name(name, number, ".manifest");
  memset(out, 0, sizeof *out);
  if (whole_file_read(dir, name, &out->text, &out->len) != 0) return -1;
  out->at = strlen(HEAD);
  out->is_ours = out->len >= out->at && memcmp(out->text, HEAD, out->at) == 0;
  if (!out->is_ours) out->at = out->len;
  return 0;
}

/* A netstring and the character behind it, which parts it from what follows. */
static int next_field(config_manifest *manifest, const char **field, size_t *len, char *behind) {
  const char *text = manifest->text;
  size_t n = 0, at = manifest->at;
  while (at < manifest->len && text[at] >= '0' && text[at] <= '9' && n < manifest->len)
    n = n * 10 + (size_t)(text[at++] - '0');
  if (at >= manifest->len || text[at] != ':' || n >= manifest->len - at - 1) return 0;
  *field = text + at + 1;
  *len = n;
  *behind = text[at + 1 + n];
  manifest->at = at + 1 + n + 1;
  return 1;
}

int config_manifest_next(config_manifest *manifest, config_manifest_entry *out) {
  config_why ignored;
  config_file *file = &out->file;
  const char *given;
  size_t given_len;
  char behind;
  memset(out, 0, sizeof *out);
  if (!next_field(manifest, &file->content_type, &file->content_type_len, &behind)) return 0;
  if (!next_field(manifest, &file->name, &file->name_len, &behind)) return 0;
  if (config_name_check(file->name, file->name_len, &ignored) != 0) return 0;
  if (behind == '\n') return 1;
  out->is_nameless = next_field(manifest, &given, &given_len, &behind) && given_len == 0;
  return out->is_nameless;
}

static int write_entry(FILE *out, const config_file *file, int is_nameless) {
  size_t type_len = file->content_type_len;
  return fprintf(out, "%zu:", type_len) > 0 &&
         fwrite(file->content_type, 1, type_len, out) == type_len &&
         fprintf(out, ",%zu:", file->name_len) > 0 &&
         fwrite(file->name, 1, file->name_len, out) == file->name_len &&
         fputs(is_nameless ? ",0:\n" : "\n", out) >= 0;
}

int config_manifest_write(int dir, unsigned long number, const config_file *files, size_t count,
                          size_t nameless) {
  char name[CONFIG_SET_NAME_SIZE];
  config_set_name(name, number, ".manifest");
  int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return -1;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  FILE *out = copy < 0 ? NULL : fdopen(copy, "w");
  int good = out != NULL && fputs(HEAD, out) >= 0;
  for (size_t i = 0; good && i < count; i++) good = write_entry(out, &files[i], i == nameless);
  if (out != NULL && fclose(out) != 0) good = 0;
  if (good && (fsync(fd) != 0 || fsync(dir) != 0)) good = 0;
  int error = errno;
  (void)close(fd);
  if (!good) (void)unlinkat(dir, name, 0);
  errno = error;
  return good ? 0 : -1;
}
