/* The physical limit over WebSocket: a blocking loop on a bare socket that moves the bytes the library moved.
 * usage: ws_bare offers|push|handoffs PORT VERDICT-FILE COUNT
 *   offers    COUNT verdicts, each sent for an offer as soon as it came; prints CPU ns
 *   push      the same for a server that pauses; prints the median ns from an offer's departure to its arrival
 *   handoffs  the same, where a second thread hears of each offer and lets the first one send, as a library with a worker must
 * The verdict's frames are sent as they were dumped, ping and masks included. */
#include "ws.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

enum { WARM_UP = 50, HASH = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long long offered, heard;
static int answer_fd = -1;

/* The second thread: takes the time at which each offer reached it, and wakes the first. */
static void *hear(void *unused) {
  for (uint64_t one = 1;;) {
    (void)pthread_mutex_lock(&lock);
    while (offered == 0) (void)pthread_cond_wait(&changed, &lock);
    heard = now_ns(CLOCK_MONOTONIC) - offered;
    offered = 0;
    (void)pthread_mutex_unlock(&lock);
    must(write(answer_fd, &one, sizeof one) == sizeof one, "write");
  }
  return unused;
}

/* Hands the offer over, waits to be woken, and answers how long it had been on its way to the second thread. */
static long long hand_over(int fd, long long sent) {
  struct pollfd set[2] = {{answer_fd, POLLIN, 0}, {fd, POLLIN, 0}};
  uint64_t count;
  (void)pthread_mutex_lock(&lock);
  offered = sent;
  (void)pthread_mutex_unlock(&lock);
  (void)pthread_cond_signal(&changed);
  while (set[0].revents == 0) must(poll(set, 2, -1) > 0, "poll");
  must(read(answer_fd, &count, sizeof count) == sizeof count, "read");
  return heard;
}

static void upgrade(int fd) {
  static const char request[] = "GET /v1/opamp HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
                                "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  char head[1024];
  send_all(fd, request, sizeof request - 1);
  read_head(fd, head, sizeof head);
}

int main(int argc, char **argv) {
  static uint8_t verdict[1 << 12];
  if (argc != 5) return 2;
  int fd = dial(atoi(argv[2])), is_handed = strcmp(argv[1], "handoffs") == 0;
  int is_push = is_handed || strcmp(argv[1], "push") == 0;
  size_t count = strtoul(argv[4], NULL, 10), verdict_len = read_file(argv[3], verdict, sizeof verdict);
  long long cpu = 0, *samples = calloc(count, sizeof *samples);
  must(samples != NULL, "samples");
  upgrade(fd);
  if (is_handed) {
    pthread_t second;
    answer_fd = eventfd(0, EFD_CLOEXEC);
    must(answer_fd >= 0 && pthread_create(&second, NULL, hear, NULL) == 0, "second thread");
  }
  send_all(fd, verdict, verdict_len);
  for (size_t i = 0; i < count + WARM_UP;) {
    uint8_t *payload;
    size_t len;
    int first = read_frame(fd, &payload, &len);
    must(first != 0, "read");
    if (first != BINARY || len < 2 * HASH) continue; /* a pong, or an empty answer */
    if (i == WARM_UP) cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    long long sent = 0;
    memcpy(&sent, payload + len - 2 - HASH, HASH);
    long long took = is_handed ? hand_over(fd, sent) : now_ns(CLOCK_MONOTONIC) - sent;
    if (is_push && i >= WARM_UP) samples[i - WARM_UP] = took;
    send_all(fd, verdict, verdict_len);
    i++;
  }
  cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  if (is_push) {
    uint8_t rest[64];
    while (recv(fd, rest, sizeof rest, 0) > 0) continue; /* until the server has seen the last verdict */
    cpu = median(samples, count);
  }
  return printf("%lld\n", cpu) > 0 ? 0 : 1;
}
