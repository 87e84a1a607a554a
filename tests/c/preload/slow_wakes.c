/* Preloaded into a C test: whoever has woken another thread (FUTEX_WAKE) sleeps for 50 us, so that the gap between a change and what
 * its maker does next is wide. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

typedef long (*call)(long number, ...);

long syscall(long number, ...) {
  static call next;
  const struct timespec gap = { 0, 50000 };
  long arguments[6], result;
  int i, why;
  va_list more;
  if (!next) {
    void *found = dlsym(RTLD_NEXT, "syscall");
    memcpy(&next, &found, sizeof next);
  }
  va_start(more, number);
  for (i = 0; i < 6; i++) arguments[i] = va_arg(more, long);
  va_end(more);
  result = next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
  why = errno;
  if (number == SYS_futex && (arguments[1] & FUTEX_CMD_MASK) == FUTEX_WAKE) nanosleep(&gap, NULL);
  errno = why;
  return result;
}
