/* See config_dir.h. The order of this file: names, walking, manifests, sets, the public functions. */
#define _XOPEN_SOURCE 700 /* POSIX 2008, and realpath */

#include "config_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wctype.h>

#define LINK_NAME "current"
#define LINK_TEMP "current.new"
#define LOCK_NAME "lock"
#define MANIFEST_HEAD "opamp config set 1\n"

enum { PART_MAX = 255, SET_NAME_SIZE = 64, FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

struct config_dir {
  char *path; /* absolute, without links */
  int fd, lock;
  unsigned long live, before, staged; /* numbers of sets; 0: none */
  int is_swapped;                     /* `staged` is live and `before` still there */
  char staged_path[PATH_MAX];
};

static int fail(config_why *why, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(why->text, sizeof why->text, format, arguments);
  va_end(arguments);
  for (char *c = why->text; *c != 0; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
  return -1;
}

/* ---- names ---- */

/* A name as far as it fits into a message, cut between characters. */
static int shown(const char *name, size_t len) {
  size_t n = len < 80 ? len : 80;
  while (n < len && n > 0 && ((unsigned char)name[n] & 0xC0) == 0x80) n--;
  return (int)n;
}

static int check_part(const char *name, size_t name_len, const char *part, size_t len, config_why *why) {
  int n = shown(name, name_len);
  if (len == 0) return fail(why, "a name with an empty part: \"%.*s\"", n, name);
  if ((len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.'))
    return fail(why, "a name with a part \"%.*s\": \"%.*s\"", (int)len, part, n, name);
  if (len > PART_MAX) return fail(why, "a name with a part over 255 bytes: \"%.*s...\"", n, name);
  return 0;
}

static int check_name(const char *name, size_t len, config_why *why) {
  int n = shown(name, len);
  size_t start = 0, parts = 0;
  if (len == 0) return fail(why, "a file with an empty name beside others");
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)name[i];
    if (c == 0) return fail(why, "a name with a NUL in it: \"%.*s\"", n, name);
    if (c == '\\') return fail(why, "a name with a backslash: \"%.*s\"", n, name);
    /* U+0080 to U+009F are control characters too. */
    int is_c1 = c == 0xC2 && i + 1 < len && (unsigned char)name[i + 1] >= 0x80 && (unsigned char)name[i + 1] < 0xA0;
    if (c < 0x20 || c == 0x7f || is_c1) return fail(why, "a name with a control character: \"%.*s\"", n, name);
  }
  if (name[0] == '/') return fail(why, "an absolute name: \"%.*s\"", n, name);
  for (size_t i = 0; i <= len; i++) {
    if (i < len && name[i] != '/') continue;
    if (check_part(name, len, name + start, i - start, why) != 0) return -1;
    start = i + 1;
    parts += 1;
  }
  if (parts > CONFIG_DIR_MAX_PARTS) return fail(why, "a name with more than %d parts: \"%.*s\"", (int)CONFIG_DIR_MAX_PARTS, n, name);
  if (len > CONFIG_DIR_MAX_NAME) return fail(why, "a name over %d bytes: \"%.*s...\"", (int)CONFIG_DIR_MAX_NAME, n, name);
  return 0;
}

/* A file's name or one of the folders on its way. The folded form has one number per character, without case. */
typedef struct entry {
  const char *name;
  size_t len;
  const uint32_t *folded;
  size_t folded_len;
  int is_file;
} entry;

typedef struct entries {
  entry *list;
  size_t len;
  uint32_t *folds;
} entries;

static void entries_free(entries *all) {
  free(all->list);
  free(all->folds);
}

/* One character of well-formed UTF-8, or a single byte of anything else. */
static uint32_t next_char(const char *text, size_t len, size_t *at) {
  unsigned char c = (unsigned char)text[*at];
  size_t more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
  uint32_t value = more == 3 ? c & 0x07u : more == 2 ? c & 0x0Fu : more == 1 ? c & 0x1Fu : c;
  *at += 1;
  for (; more > 0 && *at < len; more--, *at += 1) value = value << 6 | ((unsigned char)text[*at] & 0x3Fu);
  return value;
}

static int by_folded_name(const void *left, const void *right) {
  const entry *a = left, *b = right;
  size_t common = a->folded_len < b->folded_len ? a->folded_len : b->folded_len;
  for (size_t i = 0; i < common; i++)
    if (a->folded[i] != b->folded[i]) return a->folded[i] < b->folded[i] ? -1 : 1;
  if (a->folded_len != b->folded_len) return a->folded_len < b->folded_len ? -1 : 1;
  int order = memcmp(a->name, b->name, a->len < b->len ? a->len : b->len);
  return order != 0 ? order : a->is_file - b->is_file;
}

static int is_same_name(const entry *a, const entry *b) { return a->len == b->len && memcmp(a->name, b->name, a->len) == 0; }

static int is_same_folded(const entry *a, const entry *b) {
  return a->folded_len == b->folded_len && memcmp(a->folded, b->folded, a->folded_len * sizeof *a->folded) == 0;
}

static void add_entries(entries *all, const config_file *file, uint32_t **fold, locale_t locale) {
  const uint32_t *folded = *fold;
  for (size_t at = 0; at < file->name_len;) {
    uint32_t c = next_char(file->name, file->name_len, &at);
    **fold = locale != (locale_t)0 ? (uint32_t)towlower_l((wint_t)c, locale) : c >= 'A' && c <= 'Z' ? c + 32 : c;
    *fold += 1;
    int is_end = at == file->name_len;
    if (!is_end && file->name[at] != '/') continue;
    all->list[all->len++] = (entry){file->name, at, folded, (size_t)(*fold - folded), is_end};
  }
}

/* Every file and folder of a set, sorted so that clashing names are neighbours and a folder comes before what is in it. */
static int entries_of(const config_file *files, size_t count, entries *all, config_why *why) {
  size_t bytes = 0, parts = 0;
  for (size_t i = 0; i < count; i++) {
    bytes += files[i].name_len;
    for (size_t k = 0; k < files[i].name_len; k++) parts += files[i].name[k] == '/';
    parts += 1;
  }
  memset(all, 0, sizeof *all);
  all->list = calloc(parts + 1, sizeof *all->list);
  all->folds = calloc(bytes + 1, sizeof *all->folds);
  if (all->list == NULL || all->folds == NULL) return fail(why, "out of memory");
  locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  uint32_t *fold = all->folds;
  for (size_t i = 0; i < count; i++) add_entries(all, &files[i], &fold, locale);
  if (locale != (locale_t)0) freelocale(locale);
  qsort(all->list, all->len, sizeof *all->list, by_folded_name);
  return 0;
}

static int check_clashes(const entries *all, config_why *why) {
  for (size_t i = 1; i < all->len; i++) {
    const entry *a = &all->list[i - 1], *b = &all->list[i];
    if (!is_same_folded(a, b)) continue;
    int a_len = shown(a->name, a->len), b_len = shown(b->name, b->len);
    if (!is_same_name(a, b))
      return fail(why, "two names that differ in case only: \"%.*s\" and \"%.*s\"", a_len, a->name, b_len, b->name);
    if (a->is_file && b->is_file) return fail(why, "a name given twice: \"%.*s\"", a_len, a->name);
    if (a->is_file || b->is_file) return fail(why, "a name that is a file and a folder: \"%.*s\"", a_len, a->name);
  }
  return 0;
}

/* ---- walking: every step by openat with O_NOFOLLOW, so that no link is ever followed ---- */

/* A descriptor of the folder `path` below `base`; -1 with errno. */
static int open_folder(int base, const char *path, size_t len) {
  int fd = fcntl(base, F_DUPFD_CLOEXEC, 0);
  for (size_t start = 0; fd >= 0 && start < len;) {
    char part[PART_MAX + 1];
    size_t n = 0;
    while (start + n < len && path[start + n] != '/' && n < PART_MAX) n++;
    memcpy(part, path + start, n);
    part[n] = 0;
    start += n + 1;
    int next = openat(fd, part, FOLDER_FLAGS);
    int error = errno;
    (void)close(fd);
    errno = error;
    fd = next;
  }
  return fd;
}

/* The folder in which the last part of a name lies, and that part. -1 with errno. */
static int open_parent(int base, const char *name, size_t len, char part[PART_MAX + 1]) {
  size_t start = len;
  while (start > 0 && name[start - 1] != '/') start--;
  memcpy(part, name + start, len - start);
  part[len - start] = 0;
  return open_folder(base, name, start > 0 ? start - 1 : 0);
}

/* Has somebody put a link where this file would come to lie? A missing folder or file is none. */
static int has_link_on_the_way(int base, const char *name, size_t len) {
  for (size_t end = 1; end <= len; end++) {
    if (end < len && name[end] != '/') continue;
    char part[PART_MAX + 1];
    struct stat status;
    int parent = open_parent(base, name, end, part);
    if (parent < 0) return errno == ELOOP;
    int found = fstatat(parent, part, &status, AT_SYMLINK_NOFOLLOW);
    (void)close(parent);
    if (found != 0) return 0;
    if (S_ISLNK(status.st_mode)) return 1;
  }
  return 0;
}

/* The folder must still be what was opened, reached without a link: the commands are given its path. */
static int check_way(const config_dir *dir, config_why *why) {
  struct stat opened, found;
  int root = open("/", FOLDER_FLAGS);
  int fd = root < 0 ? -1 : open_folder(root, dir->path + 1, strlen(dir->path) - 1);
  int error = errno;
  if (root >= 0) (void)close(root);
  if (fd < 0)
    return error == ELOOP || error == ENOTDIR ? fail(why, "a symbolic link on the way to %s", dir->path)
                                              : fail(why, "%s: %s", dir->path, strerror(error));
  int is_same = fstat(fd, &found) == 0 && fstat(dir->fd, &opened) == 0 && found.st_dev == opened.st_dev && found.st_ino == opened.st_ino;
  (void)close(fd);
  return is_same ? 0 : fail(why, "%s is not the folder that was opened", dir->path);
}

/* ---- manifests: a head line, then per file two netstrings (content type, name) and a line end ---- */

typedef struct manifest {
  char *text;
  size_t len, at;
  int is_ours;
} manifest;

static void set_name(char out[SET_NAME_SIZE], unsigned long number, const char *suffix) {
  (void)snprintf(out, SET_NAME_SIZE, "set-%lu%s", number, suffix);
}

/* The number in `set-N` and the given suffix, spelled as set_name spells it; 0 for anything else. */
static unsigned long set_number(const char *name, const char *suffix) {
  char again[SET_NAME_SIZE];
  if (strncmp(name, "set-", 4) != 0) return 0;
  unsigned long number = strtoul(name + 4, NULL, 10);
  set_name(again, number, suffix);
  return number != ULONG_MAX && strcmp(again, name) == 0 ? number : 0;
}

static int read_whole(int fd, char **out, size_t *len) {
  struct stat status;
  if (fstat(fd, &status) != 0) return -1;
  if (!S_ISREG(status.st_mode)) return errno = EINVAL, -1;
  size_t size = (size_t)status.st_size, used = 0;
  char *text = malloc(size + 1);
  if (text == NULL) return -1;
  while (used < size) {
    ssize_t n = read(fd, text + used, size - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return free(text), -1;
    if (n == 0) break;
    used += (size_t)n;
  }
  *out = text;
  *len = used;
  return 0;
}

static int write_whole(int fd, const void *data, size_t len) {
  for (const char *at = data; len > 0;) {
    ssize_t n = write(fd, at, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    at += n;
    len -= (size_t)n;
  }
  return 0;
}

static int manifest_open(const config_dir *dir, unsigned long number, manifest *out) {
  char name[SET_NAME_SIZE];
  set_name(name, number, ".manifest");
  memset(out, 0, sizeof *out);
  int fd = openat(dir->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  int done = read_whole(fd, &out->text, &out->len);
  (void)close(fd);
  if (done != 0) return -1;
  out->at = strlen(MANIFEST_HEAD);
  out->is_ours = out->len >= out->at && memcmp(out->text, MANIFEST_HEAD, out->at) == 0;
  if (!out->is_ours) out->at = out->len;
  return 0;
}

static int manifest_field(manifest *text, const char **field, size_t *len) {
  size_t n = 0, at = text->at;
  while (at < text->len && text->text[at] >= '0' && text->text[at] <= '9' && n < text->len)
    n = n * 10 + (size_t)(text->text[at++] - '0');
  if (at >= text->len || text->text[at] != ':' || n >= text->len - at - 1) return 0;
  *field = text->text + at + 1;
  *len = n;
  text->at = at + 1 + n + 1;
  return 1;
}

/* The next file of a manifest, without its body; 0 at its end, or where it is torn. */
static int manifest_next(manifest *text, config_file *file) {
  config_why ignored;
  memset(file, 0, sizeof *file);
  return manifest_field(text, &file->content_type, &file->content_type_len) && manifest_field(text, &file->name, &file->name_len) &&
         check_name(file->name, file->name_len, &ignored) == 0;
}

static int manifest_write(const config_dir *dir, unsigned long number, const config_file *files, size_t count) {
  char name[SET_NAME_SIZE];
  set_name(name, number, ".manifest");
  int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return -1;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  FILE *out = copy < 0 ? NULL : fdopen(copy, "w");
  int good = out != NULL && fputs(MANIFEST_HEAD, out) >= 0;
  for (size_t i = 0; good && i < count; i++) {
    good = fprintf(out, "%zu:", files[i].content_type_len) > 0 &&
           fwrite(files[i].content_type, 1, files[i].content_type_len, out) == files[i].content_type_len &&
           fprintf(out, ",%zu:", files[i].name_len) > 0 &&
           fwrite(files[i].name, 1, files[i].name_len, out) == files[i].name_len && fputs("\n", out) >= 0;
  }
  if (out != NULL && fclose(out) != 0) good = 0;
  if (good && (fsync(fd) != 0 || fsync(dir->fd) != 0)) good = 0;
  int error = errno;
  (void)close(fd);
  if (!good) (void)unlinkat(dir->fd, name, 0);
  errno = error;
  return good ? 0 : -1;
}

/* ---- sets ---- */

static int open_set(const config_dir *dir, unsigned long number) {
  char name[SET_NAME_SIZE];
  set_name(name, number, "");
  return openat(dir->fd, name, FOLDER_FLAGS);
}

/* Removes what the manifest lists, then the folders that are empty, then the manifest. Without a manifest of ours nothing is
 * ours: one that a kill left torn stays, too, but then nothing else of its set was made. */
static void remove_set(const config_dir *dir, unsigned long number) {
  char set[SET_NAME_SIZE], list[SET_NAME_SIZE], part[PART_MAX + 1];
  manifest text;
  config_file file;
  if (manifest_open(dir, number, &text) != 0) return;
  int fd = open_set(dir, number), is_ours = text.is_ours;
  if (fd >= 0) {
    while (manifest_next(&text, &file)) {
      for (size_t end = file.name_len; end > 0; end--) {
        if (end < file.name_len && file.name[end] != '/') continue;
        int parent = open_parent(fd, file.name, end, part);
        if (parent < 0) continue;
        (void)unlinkat(parent, part, end == file.name_len ? 0 : AT_REMOVEDIR);
        (void)close(parent);
      }
    }
    (void)close(fd);
  }
  free(text.text);
  if (!is_ours) return;
  set_name(set, number, "");
  set_name(list, number, ".manifest");
  (void)unlinkat(dir->fd, set, AT_REMOVEDIR);
  (void)unlinkat(dir->fd, list, 0);
}

/* The number of the set that the link names; 0: no link. -1 as a result: a link, or something else, that is not ours. */
static int live_set(const config_dir *dir, unsigned long *number, config_why *why) {
  char target[SET_NAME_SIZE], list[SET_NAME_SIZE];
  struct stat status;
  *number = 0;
  ssize_t n = readlinkat(dir->fd, LINK_NAME, target, sizeof target - 1);
  if (n < 0 && errno == ENOENT) return 0;
  target[n < 0 ? 0 : n] = 0;
  unsigned long found = set_number(target, "");
  set_name(list, found, ".manifest");
  if (found == 0 || fstatat(dir->fd, list, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
    return fail(why, "%s/" LINK_NAME " is not a link of ours", dir->path);
  *number = found;
  return 0;
}

/* Is the link still as we left it? */
static int check_live(const config_dir *dir, config_why *why) {
  unsigned long live;
  if (live_set(dir, &live, why) != 0) return -1;
  return live == dir->live ? 0 : fail(why, "%s/" LINK_NAME " was changed by somebody else", dir->path);
}

/* The highest number in use, of a set or of its manifest. With `remove_others`, sets that are not live go: an interrupted run
 * left them. */
static unsigned long highest_set(const config_dir *dir, int remove_others) {
  unsigned long highest = 0;
  int fd = openat(dir->fd, ".", FOLDER_FLAGS);
  DIR *list = fd < 0 ? NULL : fdopendir(fd);
  if (list == NULL) {
    if (fd >= 0) (void)close(fd);
    return dir->live;
  }
  for (struct dirent *item; (item = readdir(list)) != NULL;) {
    unsigned long ours = set_number(item->d_name, ".manifest"), any = ours != 0 ? ours : set_number(item->d_name, "");
    if (any > highest) highest = any;
    if (remove_others && ours != 0 && ours != dir->live) remove_set(dir, ours);
  }
  (void)closedir(list);
  return highest;
}

static int write_file(int set, const config_file *file, config_why *why) {
  char part[PART_MAX + 1];
  int n = shown(file->name, file->name_len);
  int parent = open_parent(set, file->name, file->name_len, part);
  int fd = parent < 0 ? -1 : openat(parent, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  int good = fd >= 0 && write_whole(fd, file->body, file->body_len) == 0 && fsync(fd) == 0;
  int error = errno;
  if (fd >= 0 && close(fd) != 0 && good) good = 0, error = errno;
  if (parent >= 0) (void)close(parent);
  return good ? 0 : fail(why, "%.*s: %s", n, file->name, strerror(error));
}

/* Makes (or, at the end, syncs) every folder of the set once; a folder sorts before what is in it. */
static int each_folder(int set, const entries *all, int is_sync, config_why *why) {
  for (size_t i = 0; i < all->len; i++) {
    const entry *folder = &all->list[i];
    if (folder->is_file || (i > 0 && is_same_name(folder, &all->list[i - 1]))) continue;
    char part[PART_MAX + 1];
    int fd = is_sync ? open_folder(set, folder->name, folder->len) : open_parent(set, folder->name, folder->len, part);
    int good = fd >= 0 && (is_sync ? fsync(fd) : mkdirat(fd, part, 0700)) == 0;
    int error = errno;
    if (fd >= 0) (void)close(fd);
    if (!good) return fail(why, "%.*s: %s", shown(folder->name, folder->len), folder->name, strerror(error));
  }
  return 0;
}

static int write_set(int set, const config_file *files, size_t count, const entries *all, int (*is_cancelled)(void), config_why *why) {
  if (each_folder(set, all, 0, why) != 0) return -1;
  for (size_t i = 0; i < count; i++) {
    if (is_cancelled != NULL && is_cancelled()) return fail(why, "given up: stopping");
    if (write_file(set, &files[i], why) != 0) return -1;
  }
  if (each_folder(set, all, 1, why) != 0) return -1;
  return fsync(set) == 0 ? 0 : fail(why, "sync: %s", strerror(errno));
}

/* A number that nobody uses, with its manifest and its empty folder. */
static int make_set(config_dir *dir, const config_file *files, size_t count, config_why *why) {
  unsigned long number = highest_set(dir, 0);
  for (int tries = 0; tries < 100; tries++) {
    char name[SET_NAME_SIZE];
    number += 1;
    set_name(name, number, ".manifest");
    if (manifest_write(dir, number, files, count) != 0) {
      if (errno == EEXIST) continue;
      return fail(why, "%s/%s: %s", dir->path, name, strerror(errno));
    }
    set_name(name, number, "");
    if (mkdirat(dir->fd, name, 0700) == 0) {
      dir->staged = number;
      return 0;
    }
    int error = errno;
    set_name(name, number, ".manifest");
    (void)unlinkat(dir->fd, name, 0);
    if (error != EEXIST) return fail(why, "%s: %s", dir->path, strerror(error));
  }
  return fail(why, "%s: no free name for a set", dir->path);
}

static int point_link(const config_dir *dir, unsigned long number, config_why *why) {
  char name[SET_NAME_SIZE], there[SET_NAME_SIZE];
  ssize_t n = readlinkat(dir->fd, LINK_TEMP, there, sizeof there - 1);
  if (n > 0) {
    there[n] = 0;
    if (set_number(there, "") != 0) (void)unlinkat(dir->fd, LINK_TEMP, 0); /* an interrupted run's */
  }
  set_name(name, number, "");
  if (symlinkat(name, dir->fd, LINK_TEMP) != 0) return fail(why, "%s/" LINK_TEMP ": %s", dir->path, strerror(errno));
  if (renameat(dir->fd, LINK_TEMP, dir->fd, LINK_NAME) != 0) {
    int error = errno;
    (void)unlinkat(dir->fd, LINK_TEMP, 0);
    return fail(why, "%s/" LINK_NAME ": %s", dir->path, strerror(error));
  }
  (void)fsync(dir->fd); /* the set itself is synced: should this fail, a power cut brings the old link back, whole */
  return 0;
}

/* ---- the public functions ---- */

static int take_lock(config_dir *dir, config_why *why) {
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  dir->lock = openat(dir->fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (dir->lock < 0) return fail(why, "%s/" LOCK_NAME ": %s", dir->path, strerror(errno));
  if (fcntl(dir->lock, F_SETLK, &whole) != 0) return fail(why, "%s is in use by another process", dir->path);
  return 0;
}

static int open_at(config_dir *dir, const char *path, config_why *why) {
  struct stat status;
  if (mkdir(path, 0700) != 0 && errno != EEXIST) return fail(why, "%s: %s", path, strerror(errno));
  if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode)) return fail(why, "%s is a symbolic link", path);
  dir->path = realpath(path, NULL);
  dir->fd = dir->path == NULL ? -1 : open(dir->path, FOLDER_FLAGS);
  if (dir->fd < 0) return fail(why, "%s: %s", path, strerror(errno));
  if (take_lock(dir, why) != 0 || live_set(dir, &dir->live, why) != 0) return -1;
  (void)highest_set(dir, 1);
  return 0;
}

int config_dir_open(const char *path, config_dir **out, config_why *why) {
  config_dir *dir = calloc(1, sizeof *dir);
  if (dir == NULL) return fail(why, "out of memory");
  dir->fd = dir->lock = -1;
  if (open_at(dir, path, why) != 0) {
    config_dir_close(dir);
    return -1;
  }
  *out = dir;
  return 0;
}

void config_dir_close(config_dir *dir) {
  if (dir == NULL) return;
  if (dir->lock >= 0) (void)close(dir->lock);
  if (dir->fd >= 0) (void)close(dir->fd);
  free(dir->path);
  free(dir);
}

static int check_links(const config_dir *dir, const config_file *files, size_t count, config_why *why) {
  if (check_way(dir, why) != 0 || check_live(dir, why) != 0) return -1;
  int set = dir->live == 0 ? -1 : open_set(dir, dir->live);
  for (size_t i = 0; set >= 0 && i < count; i++) {
    if (!has_link_on_the_way(set, files[i].name, files[i].name_len)) continue;
    (void)close(set);
    return fail(why, "a symbolic link on the way: \"%.*s\"", shown(files[i].name, files[i].name_len), files[i].name);
  }
  if (set >= 0) (void)close(set);
  return 0;
}

static int stage(config_dir *dir, const config_file *files, size_t count, entries *all, int (*is_cancelled)(void), config_why *why) {
  for (size_t i = 0; i < count; i++)
    if (check_name(files[i].name, files[i].name_len, why) != 0) return -1;
  if (entries_of(files, count, all, why) != 0 || check_clashes(all, why) != 0) return -1;
  if (check_links(dir, files, count, why) != 0 || make_set(dir, files, count, why) != 0) return -1;
  int set = open_set(dir, dir->staged);
  int done = set < 0 ? fail(why, "%s: %s", dir->path, strerror(errno)) : write_set(set, files, count, all, is_cancelled, why);
  if (set >= 0) (void)close(set);
  if (done == 0 && fsync(dir->fd) != 0) done = fail(why, "%s: %s", dir->path, strerror(errno));
  return done;
}

int config_dir_stage(config_dir *dir, const config_file *files, size_t count, int (*is_cancelled)(void), config_why *why) {
  entries all = {NULL, 0, NULL};
  config_file only;
  /* Left by a revert that failed, or never decided: the old set is to be live again before there is a new one. */
  if (config_dir_revert(dir, why) != 0) return -1;
  if (count > CONFIG_DIR_MAX_FILES) return fail(why, "%zu files, more than %d", count, (int)CONFIG_DIR_MAX_FILES);
  if (count == 1 && files[0].name_len == 0) {
    only = files[0];
    only.name = "config";
    only.name_len = strlen(only.name);
    files = &only;
  }
  int done = stage(dir, files, count, &all, is_cancelled, why);
  entries_free(&all);
  if (done != 0 && dir->staged != 0) {
    remove_set(dir, dir->staged);
    dir->staged = 0;
  }
  return done;
}

const char *config_dir_staged_path(const config_dir *dir) {
  config_dir *here = (config_dir *)dir; /* the text is a cache, not state */
  if (dir->staged == 0) return NULL;
  int n = snprintf(here->staged_path, sizeof here->staged_path, "%s/set-%lu", dir->path, dir->staged);
  return n > 0 && (size_t)n < sizeof here->staged_path ? here->staged_path : NULL;
}

int config_dir_swap(config_dir *dir, config_why *why) {
  if (dir->staged == 0 || dir->is_swapped) return fail(why, "no set is staged");
  if (check_live(dir, why) != 0 || point_link(dir, dir->staged, why) != 0) return -1;
  dir->before = dir->live;
  dir->live = dir->staged;
  dir->is_swapped = 1;
  return 0;
}

void config_dir_keep(config_dir *dir) {
  if (!dir->is_swapped) return;
  if (dir->before != 0) remove_set(dir, dir->before);
  dir->before = dir->staged = 0;
  dir->is_swapped = 0;
}

int config_dir_revert(config_dir *dir, config_why *why) {
  if (dir->staged == 0) return 0;
  if (dir->is_swapped) {
    if (check_live(dir, why) != 0) return -1;
    int done = dir->before != 0 ? point_link(dir, dir->before, why) : unlinkat(dir->fd, LINK_NAME, 0);
    if (done != 0) return dir->before != 0 ? -1 : fail(why, "%s/" LINK_NAME ": %s", dir->path, strerror(errno));
    (void)fsync(dir->fd);
    dir->live = dir->before;
  }
  remove_set(dir, dir->staged);
  dir->before = dir->staged = 0;
  dir->is_swapped = 0;
  return 0;
}

static int read_one(int set, config_file *file, int (*each)(const config_file *file, void *user), void *user, config_why *why) {
  char part[PART_MAX + 1], *body = NULL;
  int n = shown(file->name, file->name_len);
  int parent = open_parent(set, file->name, file->name_len, part);
  int fd = parent < 0 ? -1 : openat(parent, part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  int done = fd < 0 ? -1 : read_whole(fd, &body, &file->body_len);
  int error = errno;
  if (fd >= 0) (void)close(fd);
  if (parent >= 0) (void)close(parent);
  if (done != 0) return error == ENOENT ? 0 : fail(why, "%.*s: %s", n, file->name, strerror(error));
  file->body = (const uint8_t *)body;
  done = each(file, user);
  free(body);
  return done == 0 ? 0 : fail(why, "%.*s: not taken", n, file->name);
}

int config_dir_read(config_dir *dir, int (*each)(const config_file *file, void *user), void *user, config_why *why) {
  manifest text;
  config_file file;
  int done = 0;
  if (dir->live == 0) return 0;
  int set = open_set(dir, dir->live);
  if (set < 0 || manifest_open(dir, dir->live, &text) != 0) {
    done = fail(why, "%s/" LINK_NAME ": %s", dir->path, strerror(errno));
    if (set >= 0) (void)close(set);
    return done;
  }
  while (done == 0 && manifest_next(&text, &file)) done = read_one(set, &file, each, user, why);
  free(text.text);
  (void)close(set);
  return done;
}

int config_dir_is_live(const config_dir *dir) { return dir->live != 0; }
