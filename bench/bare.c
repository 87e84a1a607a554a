/* The physical limit: a blocking loop on a bare socket that moves the bytes the library moved.
 * usage: bare beat|offers|handoffs|start PORT REQUEST-FILE COUNT
 *   beat      COUNT exchanges, 50 ms apart
 *   offers    COUNT exchanges, back to back
 *   handoffs  the same, but each answer goes to another thread and its verdict comes back
 *   start     one exchange on a new connection
 * Prints the CPU time of COUNT exchanges in nanoseconds; for start the monotonic time before the connect. */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WARM_UP = 20 };

static char request[1 << 16], answer[1 << 20];
static size_t request_len, answer_len;
static int to_handler, to_worker;

static void must(int good, const char *what) {
  if (good) return;
  perror(what);
  exit(1);
}

static long long now_ns(clockid_t clock) {
  struct timespec now;
  (void)clock_gettime(clock, &now);
  return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int dial(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

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
  FILE *file = fopen(argv[3], "rb");
  must(file != NULL, argv[3]);
  request_len = fread(request, 1, sizeof request, file);
  (void)fclose(file);
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
    struct timespec pause = {0, 50000000};
    if (i == 0) cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    exchange(fd);
    if (is_handing) hand_off();
    if (strcmp(mode, "beat") == 0) (void)nanosleep(&pause, NULL);
  }
  return printf("%lld\n", now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) > 0 ? 0 : 1;
}
