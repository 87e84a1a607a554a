/* What all programs of the bench share: one clock, a pause, a line of /proc, a median. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline long long now_ns(clockid_t clock) {
  struct timespec now;
  (void)clock_gettime(clock, &now);
  return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void pause_ms(long ms) {
  struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
  (void)nanosleep(&pause, NULL);
}

/* A field of a file of /proc, or -1. */
static inline long kib_of(const char *field, const char *file) {
  char line[256];
  long kib = -1;
  FILE *status = fopen(file, "r");
  while (status != NULL && fgets(line, sizeof line, status) != NULL)
    if (strncmp(line, field, strlen(field)) == 0) kib = strtol(line + strlen(field), NULL, 10);
  if (status != NULL) (void)fclose(status);
  return kib;
}

static inline int compare(const void *a, const void *b) {
  long long x = *(const long long *)a, y = *(const long long *)b;
  return x < y ? -1 : x > y;
}

static inline long long median(long long *samples, size_t count) {
  qsort(samples, count, sizeof *samples, compare);
  return samples[count / 2];
}
