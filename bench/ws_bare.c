/* The physical limit over WebSocket: a blocking loop on a bare socket that moves the bytes the library moved.
 * usage: ws_bare offers|push PORT VERDICT-FILE COUNT
 *   offers    COUNT verdicts, each sent for an offer as soon as it came; prints CPU ns
 *   push      the same for a server that pauses; prints the median ns from an offer's departure to its arrival
 * The verdict's frames are sent as they were dumped, ping and masks included. */
#include "ws.h"

enum { WARM_UP = 50, HASH = 8 };

static void upgrade(int fd) {
  static const char request[] = "GET /v1/opamp HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
                                "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  char head[1024];
  size_t len = 0;
  send_all(fd, request, sizeof request - 1);
  do {
    ssize_t n = recv(fd, head + len, sizeof head - 1 - len, 0);
    must(n > 0, "upgrade");
    len += (size_t)n;
    head[len] = 0;
  } while (strstr(head, "\r\n\r\n") == NULL);
}

int main(int argc, char **argv) {
  static uint8_t verdict[1 << 12];
  if (argc != 5) return 2;
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), is_push = strcmp(argv[1], "push") == 0;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  size_t count = strtoul(argv[4], NULL, 10), verdict_len;
  long long cpu = 0, *samples = calloc(count, sizeof *samples);
  FILE *file = fopen(argv[3], "rb");
  must(file != NULL && samples != NULL, argv[3]);
  verdict_len = fread(verdict, 1, sizeof verdict, file);
  (void)fclose(file);
  must(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  upgrade(fd);
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
    if (is_push && i >= WARM_UP) samples[i - WARM_UP] = now_ns(CLOCK_MONOTONIC) - sent;
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
