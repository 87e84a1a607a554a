/* See whole_file.h. */
#define _POSIX_C_SOURCE 200809L

#include "whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SIZE = 256 };

/* EINVAL: not a regular file. A link is ELOOP, a socket ENXIO; a pipe would wait for its writer,
 * but for O_NONBLOCK. */
static int open_regular(int dir, const char *name, size_t *size) {
  struct stat status;
  int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return -1;
  int error = fstat(fd, &status) != 0 ? errno : S_ISREG(status.st_mode) ? 0 : EINVAL;
  if (error == 0) {
    *size = (size_t)status.st_size;
    return fd;
  }
  (void)close(fd);
  errno = error;
  return -1;
}

static int read_all(int fd, char *to, size_t size, size_t *len) {
  for (*len = 0; *len < size;) {
    ssize_t n = read(fd, to + *len, size - *len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break; /* it became shorter meanwhile */
    *len += (size_t)n;
  }
  return 0;
}

int whole_file_read(int dir, const char *name, char **out, size_t *len) {
  size_t size;
  int fd = open_regular(dir, name, &size);
  if (fd < 0) return -1;
  char *text = malloc(size + 1);
  int done = text == NULL ? -1 : read_all(fd, text, size, len);
  int error = errno;
  (void)close(fd);
  if (done == 0) *out = text;
  else free(text);
  errno = error;
  return done;
}

int whole_file_write(int fd, const void *data, size_t len) {
  for (const char *at = data; len > 0;) {
    ssize_t n = write(fd, at, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    at += n;
    len -= (size_t)n;
  }
  return 0;
}

int whole_file_replace(int dir, const char *name, const void *data, size_t len) {
  char beside[NAME_SIZE];
  if ((size_t)snprintf(beside, sizeof beside, "%s.new", name) >= sizeof beside)
    return errno = ENAMETOOLONG, -1;
  (void)unlinkat(dir, beside, 0); /* an interrupted run's */
  int fd = openat(dir, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return -1;
  int good = whole_file_write(fd, data, len) == 0 && fsync(fd) == 0;
  int error = errno;
  if (close(fd) != 0 && good) good = 0, error = errno;
  if (good && renameat(dir, beside, dir, name) != 0) good = 0, error = errno;
  if (good) return fsync(dir);
  (void)unlinkat(dir, beside, 0);
  errno = error;
  return -1;
}

const char *whole_file_reason(int error) {
  return error == EINVAL || error == ELOOP || error == ENXIO ? "not a regular file"
                                                             : strerror(error);
}
