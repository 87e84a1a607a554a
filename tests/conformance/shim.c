/* Preloaded into a child of a test: shifts its clocks and holds its look-ups, as the words of a shared page say.
 * 0: ns added to all clocks but the wall's. 1: ns added to CLOCK_BOOTTIME on top. 2: look-ups wait while it is not 0.
 * 3: look-ups begun. 4: seconds added to the wall's clock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *page;

__attribute__((constructor)) static void map_page(void) {
  const char *path = getenv("OPAMP_TEST_PAGE");
  int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) page = mapped;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  long result = syscall(SYS_clock_gettime, clock, time);
  if (result != 0 || !page) return (int)result;
  if (clock == CLOCK_REALTIME) {
    time->tv_sec += page[4];
    return 0;
  }
  int64_t shift = page[0] + (clock == CLOCK_BOOTTIME ? page[1] : 0) + time->tv_nsec;
  time->tv_sec += shift / 1000000000;
  time->tv_nsec = shift % 1000000000;
  return 0;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
      (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");
  if (page) {
    __sync_fetch_and_add((int64_t *)&page[3], 1);
    while (page[2]) nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  return real(node, service, hints, found);
}
