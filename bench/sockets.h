/* What the bare servers and clients share: blocking sockets on loopback. */
#define _POSIX_C_SOURCE 200809L
#include "common.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void must(int good, const char *what) {
  if (good) return;
  perror(what);
  exit(1);
}

static inline void send_at_once(int fd) {
  int one = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static inline int dial(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
  send_at_once(fd);
  return fd;
}

/* A listener on a free port, which goes into `port`. */
static inline int listen_here(int *port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof at;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(bind(listener, (struct sockaddr *)&at, size) == 0 && listen(listener, 16) == 0, "listen");
  must(getsockname(listener, (struct sockaddr *)&at, &size) == 0, "getsockname");
  *port = ntohs(at.sin_port);
  return listener;
}

static inline int accept_one(int listener) {
  int fd = accept(listener, NULL, NULL);
  must(fd >= 0, "accept");
  send_at_once(fd);
  return fd;
}

/* All of a file of less than `size` bytes; its length. */
static inline size_t read_file(const char *path, void *to, size_t size) {
  FILE *file = fopen(path, "rb");
  must(file != NULL, path);
  size_t len = fread(to, 1, size, file);
  (void)fclose(file);
  return len;
}
