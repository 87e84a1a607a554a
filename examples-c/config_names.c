/* See config_names.h. */
#define _XOPEN_SOURCE 700 /* POSIX 2008 */

#include "config_names.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

int config_fail(config_why *why, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(why->text, sizeof why->text, format, arguments);
  va_end(arguments);
  for (char *c = why->text; *c != 0; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
  return -1;
}

int config_name_shown(const char *name, size_t len) {
  size_t n = len < 80 ? len : 80;
  while (n < len && n > 0 && ((unsigned char)name[n] & 0xC0) == 0x80) n--;
  return (int)n;
}

static int check_part(const char *name, size_t name_len, const char *part, size_t len,
                      config_why *why) {
  int n = config_name_shown(name, name_len);
  if (len == 0) return config_fail(why, "name has an empty path component: \"%.*s\"", n, name);
  if ((len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.'))
    return config_fail(why, "name has a path component \"%.*s\": \"%.*s\"", (int)len, part, n,
                       name);
  if (len >= CONFIG_PART_SIZE)
    return config_fail(why, "name has a path component over 255 bytes: \"%.*s...\"", n, name);
  return 0;
}

int config_name_check(const char *name, size_t len, config_why *why) {
  int n = config_name_shown(name, len);
  size_t start = 0, parts = 0;
  if (len == 0) return config_fail(why, "name is empty");
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)name[i];
    if (c == 0) return config_fail(why, "name contains a NUL: \"%.*s\"", n, name);
    if (c == '\\') return config_fail(why, "name contains a backslash: \"%.*s\"", n, name);
    /* U+0080 to U+009F are control characters too. */
    unsigned char next = i + 1 < len ? (unsigned char)name[i + 1] : 0;
    if (c < 0x20 || c == 0x7f || (c == 0xC2 && next >= 0x80 && next < 0xA0))
      return config_fail(why, "name contains a control character: \"%.*s\"", n, name);
  }
  if (name[0] == '/') return config_fail(why, "name is an absolute path: \"%.*s\"", n, name);
  for (size_t i = 0; i <= len; i++) {
    if (i < len && name[i] != '/') continue;
    if (check_part(name, len, name + start, i - start, why) != 0) return -1;
    start = i + 1;
    parts += 1;
  }
  if (parts > CONFIG_DIR_MAX_PARTS)
    return config_fail(why, "name has more than %d path components: \"%.*s\"",
                       (int)CONFIG_DIR_MAX_PARTS, n, name);
  if (len > CONFIG_DIR_MAX_NAME)
    return config_fail(why, "name is over %d bytes: \"%.*s...\"", (int)CONFIG_DIR_MAX_NAME, n,
                       name);
  return 0;
}

void config_entries_free(config_entries *all) {
  free(all->list);
  free(all->folds);
}

/* One character of well-formed UTF-8, or a single byte of anything else. */
static uint32_t next_char(const char *text, size_t len, size_t *at) {
  unsigned char c = (unsigned char)text[*at];
  size_t more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
  uint32_t value = more == 3 ? c & 0x07u : more == 2 ? c & 0x0Fu : more == 1 ? c & 0x1Fu : c;
  *at += 1;
  for (; more > 0 && *at < len; more--, *at += 1)
    value = value << 6 | ((unsigned char)text[*at] & 0x3Fu);
  return value;
}

static int by_folded_name(const void *left, const void *right) {
  const config_entry *a = left, *b = right;
  size_t common = a->folded_len < b->folded_len ? a->folded_len : b->folded_len;
  for (size_t i = 0; i < common; i++)
    if (a->folded[i] != b->folded[i]) return a->folded[i] < b->folded[i] ? -1 : 1;
  if (a->folded_len != b->folded_len) return a->folded_len < b->folded_len ? -1 : 1;
  int order = memcmp(a->name, b->name, a->len < b->len ? a->len : b->len);
  return order != 0 ? order : a->is_file - b->is_file;
}

int config_name_is_same(const config_entry *a, const config_entry *b) {
  return a->len == b->len && memcmp(a->name, b->name, a->len) == 0;
}

static int is_same_folded(const config_entry *a, const config_entry *b) {
  return a->folded_len == b->folded_len &&
         memcmp(a->folded, b->folded, a->folded_len * sizeof *a->folded) == 0;
}

/* Without case, by the C.UTF-8 locale or, where there is none, for ASCII alone. */
static uint32_t folded_char(uint32_t c, locale_t locale) {
  if (locale != (locale_t)0) return (uint32_t)towlower_l((wint_t)c, locale);
  return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static void add_entries(config_entries *all, const config_file *file, uint32_t **fold,
                        locale_t locale) {
  const uint32_t *folded = *fold;
  for (size_t at = 0; at < file->name_len;) {
    **fold = folded_char(next_char(file->name, file->name_len, &at), locale);
    *fold += 1;
    int is_end = at == file->name_len;
    if (!is_end && file->name[at] != '/') continue;
    size_t folded_len = (size_t)(*fold - folded);
    all->list[all->len++] = (config_entry){file->name, at, folded, folded_len, is_end};
  }
}

/* Sorted, clashing names are neighbours. */
static int list_entries(const config_file *files, size_t count, config_entries *all,
                        config_why *why) {
  size_t bytes = 0, parts = 0;
  for (size_t i = 0; i < count; i++) {
    bytes += files[i].name_len;
    for (size_t k = 0; k < files[i].name_len; k++) parts += files[i].name[k] == '/';
    parts += 1;
  }
  all->list = calloc(parts + 1, sizeof *all->list);
  all->folds = calloc(bytes + 1, sizeof *all->folds);
  if (all->list == NULL || all->folds == NULL) return config_fail(why, "out of memory");
  locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  uint32_t *fold = all->folds;
  for (size_t i = 0; i < count; i++) add_entries(all, &files[i], &fold, locale);
  if (locale != (locale_t)0) freelocale(locale);
  qsort(all->list, all->len, sizeof *all->list, by_folded_name);
  return 0;
}

static int check_clashes(const config_entries *all, config_why *why) {
  for (size_t i = 1; i < all->len; i++) {
    const config_entry *a = &all->list[i - 1], *b = &all->list[i];
    if (!is_same_folded(a, b)) continue;
    int n = config_name_shown(a->name, a->len), m = config_name_shown(b->name, b->len);
    if (!config_name_is_same(a, b))
      return config_fail(why, "names differ only in case: \"%.*s\" and \"%.*s\"", n, a->name, m,
                         b->name);
    if (a->is_file && b->is_file) return config_fail(why, "duplicate name: \"%.*s\"", n, a->name);
    if (a->is_file || b->is_file)
      return config_fail(why, "name is both a file and a directory: \"%.*s\"", n, a->name);
  }
  return 0;
}

int config_entries_of(const config_file *files, size_t count, config_entries *all,
                      config_why *why) {
  memset(all, 0, sizeof *all);
  for (size_t i = 0; i < count; i++)
    if (config_name_check(files[i].name, files[i].name_len, why) != 0) return -1;
  return list_entries(files, count, all, why) != 0 ? -1 : check_clashes(all, why);
}
