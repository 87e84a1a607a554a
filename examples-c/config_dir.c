/* See config_dir.h. The order of this file: walking, sets, the public functions. */
#define _XOPEN_SOURCE 700 /* POSIX 2008, and realpath */

#include "config_dir.h"

#include "config_manifest.h"
#include "config_names.h"
#include "whole_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINK_NAME "current"
#define LINK_TEMP "current.new"
#define LOCK_NAME "lock"
#define NAMELESS "config" /* where the file with the empty name lies */

enum { FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

struct config_dir {
  char *path; /* absolute, without links */
  int fd, lock;
  unsigned long live, before, staged; /* numbers of sets; 0: none */
  int is_swapped;                     /* `staged` is live and `before` still there */
  char staged_path[PATH_MAX];
};

/* ---- walking: every step by openat with O_NOFOLLOW, so that no link is ever followed ---- */

/* A descriptor of the folder `path` below `base`; -1 with errno. */
static int open_folder(int base, const char *path, size_t len) {
  int fd = fcntl(base, F_DUPFD_CLOEXEC, 0);
  for (size_t start = 0; fd >= 0 && start < len;) {
    char part[CONFIG_PART_SIZE];
    size_t n = 0;
    while (start + n < len && path[start + n] != '/' && n + 1 < sizeof part) n++;
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
static int open_parent(int base, const char *name, size_t len, char part[CONFIG_PART_SIZE]) {
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
    char part[CONFIG_PART_SIZE];
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

/* Who else could write here could change what was checked before, and what is live. */
static int check_owner(const config_dir *dir, config_why *why) {
  struct stat status;
  if (fstat(dir->fd, &status) != 0) return config_fail(why, "%s: %s", dir->path, strerror(errno));
  if (status.st_uid != geteuid())
    return config_fail(why, "%s is owned by user %lu, must be owned by user %lu", dir->path,
                       (unsigned long)status.st_uid, (unsigned long)geteuid());
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return config_fail(
        why, "%s is writable by other users (mode %03o), must be by its owner only: chmod go-w",
        dir->path, (unsigned)(status.st_mode & 0777));
  return 0;
}

/* The folder must still be what was opened, reached without a link: the commands are given its
 * path. */
static int check_way(const config_dir *dir, config_why *why) {
  struct stat opened, found;
  int root = open("/", FOLDER_FLAGS);
  int fd = root < 0 ? -1 : open_folder(root, dir->path + 1, strlen(dir->path) - 1);
  int error = errno;
  if (root >= 0) (void)close(root);
  if (fd < 0)
    return error == ELOOP || error == ENOTDIR
               ? config_fail(why, "symbolic link in the path of %s", dir->path)
               : config_fail(why, "%s: %s", dir->path, strerror(error));
  int is_same = fstat(fd, &found) == 0 && fstat(dir->fd, &opened) == 0 &&
                found.st_dev == opened.st_dev && found.st_ino == opened.st_ino;
  (void)close(fd);
  return is_same ? check_owner(dir, why)
                 : config_fail(why, "%s is not the directory that was opened", dir->path);
}

/* ---- sets ---- */

static int open_set(const config_dir *dir, unsigned long number) {
  char name[CONFIG_SET_NAME_SIZE];
  config_set_name(name, number, "");
  return openat(dir->fd, name, FOLDER_FLAGS);
}

/* Removes what the manifest lists, then the folders that are empty, then the manifest. Without a
 * manifest of ours nothing is ours: one that a kill left torn stays, too, but then nothing else of
 * its set was made. */
static void remove_set(const config_dir *dir, unsigned long number) {
  char set[CONFIG_SET_NAME_SIZE], list[CONFIG_SET_NAME_SIZE], part[CONFIG_PART_SIZE];
  config_manifest text;
  config_manifest_entry entry;
  const config_file *file = &entry.file;
  if (config_manifest_open(dir->fd, number, &text) != 0) return;
  int fd = open_set(dir, number), is_ours = text.is_ours;
  if (fd >= 0) {
    while (config_manifest_next(&text, &entry)) {
      for (size_t end = file->name_len; end > 0; end--) {
        if (end < file->name_len && file->name[end] != '/') continue;
        int parent = open_parent(fd, file->name, end, part);
        if (parent < 0) continue;
        (void)unlinkat(parent, part, end == file->name_len ? 0 : AT_REMOVEDIR);
        (void)close(parent);
      }
    }
    (void)close(fd);
  }
  free(text.text);
  if (!is_ours) return;
  config_set_name(set, number, "");
  config_set_name(list, number, ".manifest");
  (void)unlinkat(dir->fd, set, AT_REMOVEDIR);
  (void)unlinkat(dir->fd, list, 0);
}

/* The number of the set that the link names; 0: no link. -1 as a result: a link, or something else,
 * that is not ours. */
static int live_set(const config_dir *dir, unsigned long *number, config_why *why) {
  char target[CONFIG_SET_NAME_SIZE], list[CONFIG_SET_NAME_SIZE];
  struct stat status;
  *number = 0;
  ssize_t n = readlinkat(dir->fd, LINK_NAME, target, sizeof target - 1);
  if (n < 0 && errno == ENOENT) return 0;
  target[n < 0 ? 0 : n] = 0;
  unsigned long found = config_set_number(target, "");
  config_set_name(list, found, ".manifest");
  if (found == 0 || fstatat(dir->fd, list, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(status.st_mode))
    return config_fail(why, "%s/" LINK_NAME " is not a link created by this program", dir->path);
  *number = found;
  return 0;
}

/* Is the link still as we left it? */
static int check_live(const config_dir *dir, config_why *why) {
  unsigned long live;
  if (live_set(dir, &live, why) != 0) return -1;
  return live == dir->live
             ? 0
             : config_fail(why, "%s/" LINK_NAME " was changed by another process", dir->path);
}

/* The highest number in use, of a set or of its manifest. With `remove_others`, sets that are not
 * live go: an interrupted run left them. */
static unsigned long highest_set(const config_dir *dir, int remove_others) {
  unsigned long highest = 0;
  int fd = openat(dir->fd, ".", FOLDER_FLAGS);
  DIR *list = fd < 0 ? NULL : fdopendir(fd);
  if (list == NULL) {
    if (fd >= 0) (void)close(fd);
    return dir->live;
  }
  for (struct dirent *item; (item = readdir(list)) != NULL;) {
    unsigned long ours = config_set_number(item->d_name, ".manifest"),
                  any = ours != 0 ? ours : config_set_number(item->d_name, "");
    if (any > highest) highest = any;
    if (remove_others && ours != 0 && ours != dir->live) remove_set(dir, ours);
  }
  (void)closedir(list);
  return highest;
}

static int write_file(int set, const config_file *file, config_why *why) {
  char part[CONFIG_PART_SIZE];
  int n = config_name_shown(file->name, file->name_len);
  int parent = open_parent(set, file->name, file->name_len, part);
  int fd = parent < 0
               ? -1
               : openat(parent, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  int good = fd >= 0 && whole_file_write(fd, file->body, file->body_len) == 0 && fsync(fd) == 0;
  int error = errno;
  if (fd >= 0 && close(fd) != 0 && good) good = 0, error = errno;
  if (parent >= 0) (void)close(parent);
  return good ? 0 : config_fail(why, "%.*s: %s", n, file->name, strerror(error));
}

/* Makes (or, at the end, syncs) every folder of the set once; a folder sorts before what is in it.
 */
static int each_folder(int set, const config_entries *all, int is_sync, config_why *why) {
  for (size_t i = 0; i < all->len; i++) {
    const config_entry *folder = &all->list[i];
    if (folder->is_file || (i > 0 && config_name_is_same(folder, &all->list[i - 1]))) continue;
    char part[CONFIG_PART_SIZE];
    int fd = is_sync ? open_folder(set, folder->name, folder->len)
                     : open_parent(set, folder->name, folder->len, part);
    int good = fd >= 0 && (is_sync ? fsync(fd) : mkdirat(fd, part, 0700)) == 0;
    int error = errno;
    if (fd >= 0) (void)close(fd);
    if (!good)
      return config_fail(why, "%.*s: %s", config_name_shown(folder->name, folder->len),
                         folder->name, strerror(error));
  }
  return 0;
}

static int write_set(int set, const config_file *files, size_t count, const config_entries *all,
                     int (*is_cancelled)(void), config_why *why) {
  if (each_folder(set, all, 0, why) != 0) return -1;
  for (size_t i = 0; i < count; i++) {
    if (is_cancelled != NULL && is_cancelled()) return config_fail(why, "cancelled: stopping");
    if (write_file(set, &files[i], why) != 0) return -1;
  }
  if (each_folder(set, all, 1, why) != 0) return -1;
  return fsync(set) == 0 ? 0 : config_fail(why, "sync: %s", strerror(errno));
}

/* A number that nobody uses, with its manifest and its empty folder. */
static int make_set(config_dir *dir, const config_file *files, size_t count, size_t nameless,
                    config_why *why) {
  unsigned long number = highest_set(dir, 0);
  for (int tries = 0; tries < 100; tries++) {
    char name[CONFIG_SET_NAME_SIZE];
    number += 1;
    config_set_name(name, number, ".manifest");
    if (config_manifest_write(dir->fd, number, files, count, nameless) != 0) {
      if (errno == EEXIST) continue;
      return config_fail(why, "%s/%s: %s", dir->path, name, strerror(errno));
    }
    config_set_name(name, number, "");
    if (mkdirat(dir->fd, name, 0700) == 0) {
      dir->staged = number;
      return 0;
    }
    int error = errno;
    config_set_name(name, number, ".manifest");
    (void)unlinkat(dir->fd, name, 0);
    if (error != EEXIST) return config_fail(why, "%s: %s", dir->path, strerror(error));
  }
  return config_fail(why, "%s: no free name for a new configuration", dir->path);
}

static int point_link(const config_dir *dir, unsigned long number, config_why *why) {
  char name[CONFIG_SET_NAME_SIZE], there[CONFIG_SET_NAME_SIZE];
  ssize_t n = readlinkat(dir->fd, LINK_TEMP, there, sizeof there - 1);
  if (n > 0) {
    there[n] = 0;
    if (config_set_number(there, "") != 0)
      (void)unlinkat(dir->fd, LINK_TEMP, 0); /* an interrupted run's */
  }
  config_set_name(name, number, "");
  if (symlinkat(name, dir->fd, LINK_TEMP) != 0)
    return config_fail(why, "%s/" LINK_TEMP ": %s", dir->path, strerror(errno));
  if (renameat(dir->fd, LINK_TEMP, dir->fd, LINK_NAME) != 0) {
    int error = errno;
    (void)unlinkat(dir->fd, LINK_TEMP, 0);
    return config_fail(why, "%s/" LINK_NAME ": %s", dir->path, strerror(error));
  }
  (void)fsync(dir->fd); /* the set itself is synced: should this fail, a power cut brings the old
                           link back, whole */
  return 0;
}

/* ---- the public functions ---- */

static int take_lock(config_dir *dir, config_why *why) {
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  struct stat status;
  dir->lock =
      openat(dir->fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
  if (dir->lock < 0)
    return config_fail(why, "%s/" LOCK_NAME ": %s", dir->path, whole_file_reason(errno));
  if (fstat(dir->lock, &status) != 0 || !S_ISREG(status.st_mode))
    return config_fail(why, "%s/" LOCK_NAME ": %s", dir->path, whole_file_reason(EINVAL));
  if (fcntl(dir->lock, F_SETLK, &whole) != 0)
    return config_fail(why, "%s is in use by another process", dir->path);
  return 0;
}

static int open_at(config_dir *dir, const char *path, config_why *why) {
  struct stat status;
  if (mkdir(path, 0700) != 0 && errno != EEXIST)
    return config_fail(why, "%s: %s", path, strerror(errno));
  if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode))
    return config_fail(why, "%s is a symbolic link", path);
  dir->path = realpath(path, NULL);
  dir->fd = dir->path == NULL ? -1 : open(dir->path, FOLDER_FLAGS);
  if (dir->fd < 0) return config_fail(why, "%s: %s", path, strerror(errno));
  if (check_owner(dir, why) != 0) return -1;
  if (take_lock(dir, why) != 0 || live_set(dir, &dir->live, why) != 0) return -1;
  (void)highest_set(dir, 1);
  return 0;
}

int config_dir_open(const char *path, config_dir **out, config_why *why) {
  config_dir *dir = calloc(1, sizeof *dir);
  if (dir == NULL) return config_fail(why, "out of memory");
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

static int check_links(const config_dir *dir, const config_file *files, size_t count,
                       config_why *why) {
  if (check_way(dir, why) != 0 || check_live(dir, why) != 0) return -1;
  int set = dir->live == 0 ? -1 : open_set(dir, dir->live);
  for (size_t i = 0; set >= 0 && i < count; i++) {
    if (!has_link_on_the_way(set, files[i].name, files[i].name_len)) continue;
    (void)close(set);
    return config_fail(why, "symbolic link in the path: \"%.*s\"",
                       config_name_shown(files[i].name, files[i].name_len), files[i].name);
  }
  if (set >= 0) (void)close(set);
  return 0;
}

static int stage(config_dir *dir, const config_file *files, size_t count, size_t nameless,
                 config_entries *all, int (*is_cancelled)(void), config_why *why) {
  if (config_entries_of(files, count, all, why) != 0) return -1;
  if (check_links(dir, files, count, why) != 0) return -1;
  if (make_set(dir, files, count, nameless, why) != 0) return -1;
  int set = open_set(dir, dir->staged);
  int done = set < 0 ? config_fail(why, "%s: %s", dir->path, strerror(errno))
                     : write_set(set, files, count, all, is_cancelled, why);
  if (set >= 0) (void)close(set);
  if (done == 0 && fsync(dir->fd) != 0)
    done = config_fail(why, "%s: %s", dir->path, strerror(errno));
  return done;
}

/* Does a file of this name, or in a directory of this name, come with the set? */
static int is_taken(const config_file *files, size_t count, const char *name) {
  size_t len = strlen(name);
  for (size_t i = 0; i < count; i++) {
    if (files[i].name_len < len || strncasecmp(files[i].name, name, len) != 0) continue;
    if (files[i].name_len == len || files[i].name[len] == '/') return 1;
  }
  return 0;
}

/* The name on disk of the file with the empty name: one that none of the others has. */
static void name_nameless(const config_file *files, size_t count, char name[CONFIG_PART_SIZE]) {
  (void)snprintf(name, CONFIG_PART_SIZE, NAMELESS);
  for (size_t i = 1; is_taken(files, count, name); i++)
    (void)snprintf(name, CONFIG_PART_SIZE, NAMELESS "-%zu", i);
}

int config_dir_stage(config_dir *dir, const config_file *files, size_t count,
                     int (*is_cancelled)(void), config_why *why) {
  config_entries all = {NULL, 0, NULL};
  char name[CONFIG_PART_SIZE];
  size_t nameless = 0;
  /* Left by a revert that failed, or never decided: the old set is to be live again before there is
   * a new one. */
  if (config_dir_revert(dir, why) != 0) return -1;
  if (count > CONFIG_DIR_MAX_FILES)
    return config_fail(why, "%zu files, limit is %d", count, (int)CONFIG_DIR_MAX_FILES);
  config_file *placed = malloc((count + 1) * sizeof *placed);
  if (placed == NULL) return config_fail(why, "out of memory");
  for (size_t i = 0; i < count; i++) placed[i] = files[i];
  while (nameless < count && files[nameless].name_len > 0) nameless++;
  if (nameless < count) {
    name_nameless(files, count, name);
    placed[nameless].name = name;
    placed[nameless].name_len = strlen(name);
  }
  int done = stage(dir, placed, count, nameless, &all, is_cancelled, why);
  config_entries_free(&all);
  free(placed);
  if (done != 0 && dir->staged != 0) {
    remove_set(dir, dir->staged);
    dir->staged = 0;
  }
  return done;
}

const char *config_dir_staged_path(const config_dir *dir) {
  config_dir *here = (config_dir *)dir; /* the text is a cache, not state */
  if (dir->staged == 0) return NULL;
  int n =
      snprintf(here->staged_path, sizeof here->staged_path, "%s/set-%lu", dir->path, dir->staged);
  return n > 0 && (size_t)n < sizeof here->staged_path ? here->staged_path : NULL;
}

int config_dir_swap(config_dir *dir, config_why *why) {
  if (dir->staged == 0 || dir->is_swapped) return config_fail(why, "no configuration is staged");
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
    int done =
        dir->before != 0 ? point_link(dir, dir->before, why) : unlinkat(dir->fd, LINK_NAME, 0);
    if (done != 0)
      return dir->before != 0
                 ? -1
                 : config_fail(why, "%s/" LINK_NAME ": %s", dir->path, strerror(errno));
    (void)fsync(dir->fd);
    dir->live = dir->before;
  }
  remove_set(dir, dir->staged);
  dir->before = dir->staged = 0;
  dir->is_swapped = 0;
  return 0;
}

/* The file's name on disk, that it is known by, and what is in it. A file that went away is none.
 */
static int read_one(int set, config_manifest_entry *entry, config_dir_visit *each, void *user,
                    config_why *why) {
  config_file *file = &entry->file;
  char part[CONFIG_PART_SIZE], *body = NULL;
  int n = config_name_shown(file->name, file->name_len);
  const char *name = file->name;
  int parent = open_parent(set, name, file->name_len, part);
  int done = parent < 0 ? -1 : whole_file_read(parent, part, &body, &file->body_len);
  int error = errno;
  if (parent >= 0) (void)close(parent);
  if (done != 0)
    return error == ENOENT ? 0 : config_fail(why, "%.*s: %s", n, name, whole_file_reason(error));
  file->body = (const uint8_t *)body;
  if (entry->is_nameless) file->name_len = 0;
  done = each(file, user);
  free(body);
  return done == 0 ? 0 : config_fail(why, "%.*s: rejected", n, name);
}

int config_dir_read(config_dir *dir, config_dir_visit *each, void *user, config_why *why) {
  config_manifest text;
  config_manifest_entry entry;
  int done = 0;
  if (dir->live == 0) return 0;
  int set = open_set(dir, dir->live);
  if (set < 0 || config_manifest_open(dir->fd, dir->live, &text) != 0) {
    done = config_fail(why, "%s/" LINK_NAME ": %s", dir->path, whole_file_reason(errno));
    if (set >= 0) (void)close(set);
    return done;
  }
  while (done == 0 && config_manifest_next(&text, &entry))
    done = read_one(set, &entry, each, user, why);
  free(text.text);
  (void)close(set);
  return done;
}

unsigned long config_dir_live(const config_dir *dir) { return dir->live; }

int config_dir_fd(const config_dir *dir) { return dir->fd; }
