/* The physical limit: a blocking loop on a bare socket that moves the bytes the library moved.
 * usage: bare beat|offers|handoffs|start PORT REQUEST-FILE COUNT
 *   beat      COUNT exchanges, 50 ms apart
 *   offers    COUNT exchanges, back to back
 *   handoffs  the same, but each answer goes to another thread and its verdict comes back
 *   start     one exchange on a new connection
 * Prints the CPU time of COUNT exchanges in nanoseconds; for start the monotonic time before the connect. */
#include "sockets.h"

#include <pthread.h>
#include <sys/eventfd.h>

enum { WARM_UP = 20 };

static char request[1 << 16], answer[1 << 20];
static size_t request_len, answer_len;
static int to_handler, to_worker;

/* All answers are of one length, which the first one tells. */
static void exchange(int fd) {
  size_t len = 0, wanted = answer_len;
  must(send(fd, request, request_len, MSG_NOSIGNAL) == (ssize_t)request_len, "send");
  while (wanted == 0 || len < wanted) {
    ssize_t n = recv(fd, answer + len, sizeof answer - 1 - len, 0);
    must(n > 0, "recv");
    len += (size_t)n;
    answer[len] = 0;
    char *end = strstr(answer, "\r\n\r\n"), *length = strstr(answer, "Content-Length: ");
    if (wanted == 0 && end != NULL && length != NULL) wanted = (size_t)(end + 4 - answer) + strtoul(length + 16, NULL, 10);
  }
  answer_len = wanted;
}

static void *handler(void *unused) {
  uint64_t value;
  for (;;) {
    if (read(to_handler, &value, sizeof value) != sizeof value) return unused;
    value = 1;
    if (write(to_worker, &value, sizeof value) != sizeof value) return unused;
  }
}

static void hand_off(void) {
  uint64_t value = 1;
  must(write(to_handler, &value, sizeof value) == sizeof value && read(to_worker, &value, sizeof value) == sizeof value, "hand off");
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  const char *mode = argv[1];
  long count = strtol(argv[4], NULL, 10);
  request_len = read_file(argv[3], request, sizeof request);
  long long started = now_ns(CLOCK_MONOTONIC), cpu = 0;
  int fd = dial((int)strtol(argv[2], NULL, 10)), is_handing = strcmp(mode, "handoffs") == 0;
  if (strcmp(mode, "start") == 0) {
    exchange(fd);
    return printf("%lld\n", started) > 0 ? 0 : 1;
  }
  if (is_handing) {
    pthread_t thread;
    to_handler = eventfd(0, EFD_CLOEXEC);
    to_worker = eventfd(0, EFD_CLOEXEC);
    must(pthread_create(&thread, NULL, handler, NULL) == 0, "thread");
  }
  for (long i = -WARM_UP; i < count; i++) {
    if (i == 0) cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    exchange(fd);
    if (is_handing) hand_off();
    if (strcmp(mode, "beat") == 0) pause_ms(50);
  }
  return printf("%lld\n", now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) > 0 ? 0 : 1;
}
